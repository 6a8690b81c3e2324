import subprocess
import sys

import pytest

from attributions import Predictor
from attributions.saying import said_of
from trimvae.cli.blaming import frames_of_the_caller, told, told_of
from trimvae.storage import read_json


def caught(function, *arguments):
    with pytest.raises(Exception) as raised:  # noqa: PT011 (of whatever kind)
        function(*arguments)
    return raised.value


def names(error):
    return [frame.name for frame in frames_of_the_caller(error)]


def doubled(inputs):
    return halved(inputs) * 2


def halved(inputs):
    raise ArithmeticError


def test_the_frames_are_those_below_our_last_one():
    error = caught(Predictor(doubled), None)
    assert names(error) == []  # ours has failed before: None has no dtype

    import torch

    error = caught(Predictor(doubled), torch.zeros(1))
    assert names(error) == ["doubled", "halved"]
    assert told(error, frames_of_the_caller(error)).startswith(
        "error: `test_blaming.py:doubled` raised ArithmeticError\n"
    )


def test_a_refusal_of_ours_is_nobody_else_s_though_the_caller_asked_for_it(tmp_path):
    def asks():
        read_json(tmp_path / "nothing.json")

    assert names(caught(asks)) == []


def test_a_refusal_within_the_caller_s_function_shows_where_it_was_asked_for(tmp_path):
    def asks():
        with said_of("classifier", asks):
            read_json(tmp_path / "nothing.json")

    assert "asks" in names(caught(asks))


@pytest.mark.slow
def test_of_an_installed_module_its_own_lines_are_shown(tmp_path):
    place = tmp_path / "site-packages"
    place.mkdir()
    (place / "vendor.py").write_text("def load():\n    raise OSError('no weights')\n")
    program = (
        f"import sys; sys.path.insert(0, {str(place)!r})\n"
        "from trimvae.cli import main\n"
        "sys.argv = ['trimvae', 'train', '--classifier', 'vendor:load', '--out', 'run']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: `vendor.py:load` raised OSError: no weights\n"
        f"  File \"{place}/vendor.py\", line 2, in load\n    raise OSError('no weights')\n"
    )


def test_what_no_line_of_the_caller_s_has_raised_is_told_of_their_function_in_one_line():
    def load(size):
        return size

    def asks():
        with said_of("classifier", load):
            load()

    error = caught(asks)
    assert told_of(error).startswith("error: `classifier` (")
    assert "raised TypeError: " in told_of(error)
    assert "missing 1 required positional argument: 'size'" in told_of(error)
    assert told_of(ArithmeticError("ours\nalone")) is None
