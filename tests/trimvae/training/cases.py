"""Small codes, what they are trained on, and scripts that train in processes of their own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from tests.trimvae.models.cases import SHAPE, alae, infogan, predictor, stylegan
from trimvae import VAE

ROOT = Path(__file__).parents[3]
QUIET = {"progress": False}
GAMES = {"InfoGAN": infogan, "ALAE": alae, "StyleGAN2": stylegan}


def small_vae(seed: int = 0, latent_size: int = 3) -> VAE:
    torch.manual_seed(seed)
    return VAE.dense((6,), latent_size, hidden=(16,))


KINDS = {"VAE": small_vae, **GAMES}


def make(kind: str):
    """A code, data and a predictor of each kind, the same at every call."""
    code = KINDS[kind]()
    generator = torch.Generator().manual_seed(2)
    torch.manual_seed(3)
    if kind == "VAE":
        network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
        return code, torch.randn(48, 6, generator=generator), network
    return code, torch.rand(24, *SHAPE, generator=generator), predictor()


def weights(module: nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten().double() for value in module.state_dict().values()])


def start(script: Path, *arguments: object, **environment: str) -> subprocess.Popen:
    """A script in a process of its own, one thread, gloo."""
    return subprocess.Popen(
        [sys.executable, str(script), *map(str, arguments)],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "PL_TORCH_DISTRIBUTED_BACKEND": "gloo",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen, timeout: float = 200) -> str:
    """Its output, once it ended well."""
    try:
        output, _ = process.communicate(timeout=timeout)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
    assert process.returncode == 0, output
    return output
