import subprocess
import sys
from unittest.mock import Mock

import pytest

import trimvae
from tests.trimvae.cli.command_line import call, train
from trimvae.cli import entry
from trimvae.cli.entry import mendable


def shell(*arguments, folder="."):
    return subprocess.run(
        [sys.executable, "-c", "from trimvae.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


def main_on(monkeypatch, capsys, *arguments):
    """Exit code and standard error of `main` in this process."""
    monkeypatch.setattr(sys, "argv", ["trimvae", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    return ended.value.code, capsys.readouterr().err


def test_every_command_has_help_with_an_example():
    for command in ("demo", "train", "explain", "evaluate", "report"):
        result = call(command, "--help")
        assert result.exit_code == 0
        assert "Example: trimvae" in result.output.replace("\n", " ")


def test_the_version_is_the_package_s():
    assert call("--version").output == f"trimvae {trimvae.__version__}\n"


def test_errors_are_one_line_and_exit_code_two(folder, monkeypatch, capsys):
    code, said = main_on(monkeypatch, capsys, "explain", "nowhere")
    assert code == 2
    assert said.startswith("error: `run` must be the folder of a run. Got nowhere")
    assert said.count("\n") == 1


def test_an_error_of_the_caller_s_model_in_training_is_told_with_its_own_lines_alone(folder):
    (folder / "my_model.py").write_text(
        "import torch\n"
        "class Broken(torch.nn.Linear):\n"
        "    def forward(self, inputs):\n"
        "        return super().forward(inputs).no_such_method()\n"
        "def load():\n"
        "    return Broken(6, 3)\n"
    )
    done = shell(
        "train", "--classifier", "my_model.py:load", "--data", "table.npz", folder=folder
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-3:] == [
        "error: `my_model.py:forward` raised AttributeError: 'Tensor' object has no attribute "
        "'no_such_method'",
        f'  File "{folder}/my_model.py", line 4, in forward',
        "    return super().forward(inputs).no_such_method()",
    ]
    assert "site-packages" not in done.stderr


def test_an_error_of_ours_keeps_its_traceback(folder, monkeypatch):
    monkeypatch.setattr("trimvae.cli.train.Start", Mock(side_effect=KeyError("model")))
    monkeypatch.setattr(sys, "argv", ["trimvae", "train", "--classifier", "my_model.py:load"])
    with pytest.raises(KeyError, match="model"):
        entry.main()


TRAIN = ("train", "--classifier", "my_model.py:load", "--data", "table.npz")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise RuntimeError('boom')", "`my_model.py:load` raised RuntimeError: boom"),
        ("torch.load('weights.pt')", "`my_model.py:load` raised FileNotFoundError: [Errno 2]"),
        (
            "raise ValueError('`weights` must be given.')",
            "`my_model.py:load` raised ValueError: `weights` must be given.",
        ),
    ],
)
def test_what_the_caller_s_own_file_raises_is_told_with_its_lines(
    folder, monkeypatch, capsys, body, said
):
    (folder / "my_model.py").write_text(f"import torch\ndef load():\n    {body}\n")
    code, shown = main_on(monkeypatch, capsys, *TRAIN)
    assert code == 2
    assert shown.startswith(f"error: {said}")
    assert shown.endswith(f'  File "{folder}/my_model.py", line 3, in load\n    {body}\n')
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("open('weights.pt')\n", "`my_model.py` raised FileNotFoundError: [Errno 2]"),
        ("def load(:\n  pass\n", "`my_model.py` raised SyntaxError: "),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_its_line(folder, monkeypatch, capsys, text, said):
    (folder / "my_model.py").write_text(text)
    code, shown = main_on(monkeypatch, capsys, *TRAIN)
    assert code == 2
    assert shown.startswith(f"error: {said}")
    assert f'File "{folder}/my_model.py", line 1' in shown
    assert shown.endswith(f"    {text.splitlines()[0]}\n")


@pytest.mark.parametrize("command", ["explain", "evaluate", "report"])
def test_preprocessing_that_fails_is_told_by_every_command(
    run, folder, monkeypatch, capsys, command
):
    (folder / "other.py").write_text(
        "def halve(inputs):\n"
        "    return half(inputs)\n"
        "def half(inputs):\n"
        "    raise KeyError('scale')\n"
        "def load():\n"
        "    return halve\n"
    )
    named = ("--classifier", "my_model.py:load", "--preprocess", "other.py:load")
    code, shown = main_on(monkeypatch, capsys, command, "run", *named)
    assert code == 2
    assert shown.endswith(
        "error: `other.py:halve` raised KeyError: 'scale'\n"
        f'  File "{folder}/other.py", line 2, in halve\n    return half(inputs)\n'
        f"  File \"{folder}/other.py\", line 4, in half\n    raise KeyError('scale')\n"
    )


def test_the_traceback_of_a_refusal_is_shown_when_asked_for(folder, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["trimvae", "--traceback", "explain", "nowhere"])
    with pytest.raises(FileNotFoundError, match="must be the folder of a run"):
        entry.main()


def test_errors_of_the_disk_are_one_line_that_says_how_to_see_more(folder, monkeypatch, capsys):
    full = OSError(28, "No space left on device", "run")
    monkeypatch.setattr("trimvae.cli.train.Start", Mock(side_effect=full))
    code, said = main_on(monkeypatch, capsys, "train", "--classifier", "my_model.py:load")
    assert code == 2
    assert said == (
        "error: [Errno 28] No space left on device: 'run'. "
        "trimvae --traceback COMMAND shows where.\n"
    )


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (ValueError("`seed` must be a number. Got x. Use 0."), True),
        (RuntimeError("`predictor` must be differentiable. Got none."), True),
        (PermissionError(13, "Permission denied"), True),
        (ValueError("not enough values to unpack"), False),
        (TypeError("unsupported operand type(s) for +: 'NoneType' and 'int'"), False),
        (AttributeError("'NoneType' object has no attribute 'x'"), False),
        (KeyError("model"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ModuleNotFoundError("No module named 'sklearn'"), False),
    ],
)
def test_only_refusals_and_errors_of_files_are_called_mendable(error, wanted):
    assert mendable(error) is wanted


def test_a_wrong_option_is_exit_code_two(folder):
    result = call("train", "--epochs", "0")
    assert result.exit_code == 2
    assert "Invalid value for '--epochs'" in result.output
    assert call("explain", "run", "--examples", "-5").exit_code == 2


def test_a_command_without_a_classifier_says_so(folder):
    with pytest.raises(ValueError, match="`--classifier` must be given. Got none"):
        call("train")


def test_json_is_all_that_standard_output_holds(run):
    import json

    for command in ("explain", "evaluate", "report"):
        found = json.loads(call(command, "run", "--trust", "--json").stdout)
        assert "agreement" in found["metrics"]
    trained = json.loads(train("--json", out="other").stdout)
    assert trained["folder"] == "other"
    assert 0 <= trained["metrics"]["agreement"] <= 1


@pytest.mark.parametrize(
    ("loader", "said"),
    [
        ("def load(size):\n    return torch.nn.Linear(size, 3)", "missing 1 required positional"),
        ("def load():\n    return torch.nn.Linear(99, 3)", "raised RuntimeError: mat1 and mat2"),
    ],
    ids=["arguments", "shape"],
)
def test_a_loader_or_classifier_that_does_not_fit_is_told_in_one_line(
    folder, monkeypatch, capsys, loader, said
):
    (folder / "my_model.py").write_text(f"import torch\n{loader}\n")
    code, shown = main_on(
        monkeypatch, capsys, "train", "--classifier", "my_model.py:load", "--data", "table.npz"
    )
    assert code == 2
    assert said in shown
    assert shown.count("error: `") == 1
    assert shown.splitlines()[-1].startswith("error: `")
