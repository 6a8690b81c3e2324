"""Reading checkpoints of training without executing code."""

import pickle
from pathlib import Path
from typing import Any

import torch

from trimvae.vae import VAE, check_same_shapes


def check_checkpoint(path: str | Path, vae: VAE) -> dict[str, Any]:
    """Read a checkpoint of `fit`, weights only, and check that it is one of this VAE.

    Args:
        path: A `last.ckpt`.
        vae: The VAE to go on with.

    Returns:
        The checkpoint.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated, not ours, or of another architecture.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be a checkpoint. Got {path}, which does not exist.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, OSError) as error:
        raise ValueError(
            f"`path` must be a whole checkpoint that fit wrote. Got {path}, which is truncated, "
            "of another kind, or holds code that is never executed. Use an earlier copy, or "
            "start again in another folder."
        ) from error
    if not isinstance(checkpoint, dict) or "trimvae" not in checkpoint:
        raise ValueError(
            f"`path` must be a checkpoint that fit wrote. Got {path}, written by something else. "
            "Start again in another folder."
        )
    found = {
        name.removeprefix("vae."): tuple(tensor.shape)
        for name, tensor in checkpoint["state_dict"].items()
        if name.startswith("vae.")
    }
    own = {name: tuple(tensor.shape) for name, tensor in vae.state_dict().items()}
    check_same_shapes(own, found, path)
    return checkpoint
