"""What an import loads: read from `sys.modules` of fresh interpreters."""

import subprocess
import sys

import pytest

import trimvae

COMMANDS = ("demo", "train", "explain", "evaluate", "report")

HEAVY = {
    "lightning",
    "torchmetrics",
    "torchvision",
    "scipy",
    "sklearn",
    "pandas",
    "ptwt",
    "pywt",
    "mlxtend",
    "jinja2",
    "h5py",
}


def modules_after(program):
    """Top names and full names of all modules that a program loads."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names = set(done.stdout.splitlines()[-1].split())
    return names | {name.partition(".")[0] for name in names}


@pytest.fixture(scope="module")
def captum():
    return modules_after("import captum.attr")


def test_importing_trimvae_loads_neither_torch_nor_anything_heavy():
    found = modules_after("import trimvae")
    assert not found & (HEAVY | {"torch", "captum", "numpy", "matplotlib", "typer"})


def test_importing_attributions_loads_nothing_heavy_that_captum_does_not(captum):
    found = modules_after("import attributions") - captum
    assert not found & HEAVY
    assert "matplotlib.pyplot" not in found
    assert "trimvae" not in found


def test_explaining_needs_neither_lightning_nor_anything_heavy_that_captum_does_not(captum):
    names = sorted(set(trimvae.__all__) - {"fit", "VAETraining"})
    program = (
        f"from trimvae import {', '.join(names)}\n"
        "import trimvae.data, trimvae.figures, trimvae.report.page, trimvae.models\n"
        "import trimvae.evaluation.evaluating, trimvae.objectives"
    )
    found = modules_after(program) - captum
    assert not found & HEAVY
    assert "matplotlib.pyplot" not in found


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)], ids=" ".join
)
def test_the_command_line_answers_without_torch(words):
    program = (
        "import sys\n"
        f"sys.argv = ['trimvae', *{words!r}]\n"
        "from trimvae.cli import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code"
    )
    found = modules_after(program)
    assert not found & (HEAVY | {"torch", "captum", "numpy", "matplotlib"})
