"""The commands called in this process, on data of a hundred rows."""

from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from trimvae.cli.entry import app

CLASSIFIER = """
import torch

def load():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))

def preprocessing():
    return lambda inputs: inputs / 2

def function():
    return load().forward

weights = 3
"""


def write_inputs(folder):
    (folder / "my_model.py").write_text(CLASSIFIER)
    rng = np.random.default_rng(0)
    np.savez(
        folder / "table.npz",
        inputs=rng.normal(size=(100, 6)),
        class_names=np.array(["red", "green", "blü"]),
    )


def call(*arguments):
    return CliRunner().invoke(
        app, [str(argument) for argument in arguments], catch_exceptions=False
    )


def train(*more, out="run", epochs=1, axes=False):
    """Train for a moment; along axes only where a test asks for it, since these are searched."""
    return call(
        "train", "--classifier", "my_model.py:load", "--data", "table.npz", "--out", out,
        "--epochs", epochs, "--latent-size", "2", "--batch-size", "32",
        "--axes" if axes else "--no-axes", *more,
    )  # fmt: skip


def content(folder):
    """Every file under a folder with its bytes, to show that nothing was lost."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(Path(folder).rglob("*"))
    }
