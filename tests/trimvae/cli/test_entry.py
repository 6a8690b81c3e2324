import subprocess
import sys

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


def test_an_error_that_is_no_refusal_keeps_its_traceback(folder):
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
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "my_model.py" in done.stderr
    assert "AttributeError: 'Tensor' object has no attribute 'no_such_method'" in done.stderr


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("    return torch.load('weights.pt')\n", FileNotFoundError),
        ("    raise ValueError('no weights')\n", ValueError),
        ("    raise ValueError('`weights` must be given.')\n", ValueError),
    ],
)
def test_what_the_caller_s_own_file_raises_comes_out_as_itself(folder, monkeypatch, body, kind):
    (folder / "my_model.py").write_text(f"import torch\ndef load():\n{body}")
    monkeypatch.setattr(
        sys, "argv", ["trimvae", "train", "--classifier", "my_model.py:load", "--data", "table.npz"]
    )
    with pytest.raises(kind) as raised:
        entry.main()
    note = f"This error comes from your own code, {folder}/my_model.py:load."
    assert raised.value.__notes__ == [note]
    assert not (folder / "runs").exists()


def test_an_error_of_the_caller_s_file_while_it_is_read_comes_out_as_itself(folder, monkeypatch):
    (folder / "my_model.py").write_text("open('weights.pt')\n")
    monkeypatch.setattr(
        sys, "argv", ["trimvae", "train", "--classifier", "my_model.py:load", "--data", "table.npz"]
    )
    with pytest.raises(FileNotFoundError, match="weights.pt"):
        entry.main()


def test_the_traceback_of_a_refusal_is_shown_when_asked_for(folder, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["trimvae", "--traceback", "explain", "nowhere"])
    with pytest.raises(FileNotFoundError, match="must be the folder of a run"):
        entry.main()


def test_errors_of_the_disk_are_one_line_that_says_how_to_see_more(folder, monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "run")

    monkeypatch.setattr("trimvae.cli.train.Start", full)
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
