"""What the gradient of the penalties reaches: a code, the axes that it is seen along, or both."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from attributions.axes import Axes
from trimvae.models.saved import TrainableCode

Penalised = Literal["both", "axes", "code", "alternating"]


def check_penalised(penalised: Penalised, code: TrainableCode) -> None:
    """Check that there is what the penalties are to reach.

    Raises:
        ValueError: The word is unknown, or the code has no axes that can be trained.
    """
    if penalised not in get_args(Penalised):
        raise ValueError(
            f"`penalised` must be one of {get_args(Penalised)}. Got {penalised!r}. Leave it out."
        )
    axes = axes_seen(code)
    trained = axes is not None and any(part.requires_grad for part in axes.parameters())
    if penalised in ("axes", "alternating") and not trained:
        found = "a code without axes" if axes is None else "axes that are held"
        raise ValueError(
            f"`code` must have axes to be trained for penalised={penalised!r}. Got {found}. Use "
            "vae.with_axes(Rotation(vae.latent_size)), or leave penalised out."
        )


def axes_seen(code: TrainableCode) -> Axes | None:
    """The axes that a code is seen along, if there are any."""
    axes: Axes | None = getattr(code, "axes", None)
    return axes


def reached_now(penalised: Penalised, turn: int) -> Penalised:
    """Which of the two is reached, the `turn`-th time that penalties join: axes first."""
    if penalised != "alternating":
        return penalised
    return "code" if turn % 2 else "axes"


@contextmanager
def only_reaching(code: TrainableCode, reached: Penalised) -> Iterator[None]:
    """Hold all parameters but those that are reached, for what is computed in a block."""
    axes = axes_seen(code)
    own = set() if axes is None else set(axes.parameters())
    held = {"both": set(), "code": own, "axes": set(code.parameters()) - own}[reached]
    changed = [parameter for parameter in held if parameter.requires_grad]
    try:
        for parameter in changed:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in changed:
            parameter.requires_grad_(True)


def idle(module: nn.Module | None) -> Tensor | float:
    """0, with a graph to a module's parameters: in every step each must find its gradient.

    Otherwise several processes would wait for the gradients of a step without penalties.
    """
    parameters = [] if module is None else [p for p in module.parameters() if p.requires_grad]
    return torch.stack([0.0 * each.sum() for each in parameters]).sum() if parameters else 0.0
