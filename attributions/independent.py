"""Axes along which a code's latents are as independent as a turn can make them."""

import itertools
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from attributions.axes import Rotation, dead_latents, groups_of
from attributions.axes.grouping import Groups, warn_of_few
from attributions.checks import check_mode
from attributions.code_checks import check_code
from attributions.codes import Code, Inputs, encode, inputs_for
from attributions.factors import nearest_orthonormal
from attributions.placement import made_on
from attributions.replicas import frozen
from attributions.turned import seen_along, without_axes

# Angles of a quarter turn that are tried, sweeps over all pairs, and nats that a turn must gain.
_ANGLES, _MOST_SWEEPS, _LEAST_GAIN = 90, 20, 1e-3


def independent_axes(code: Code, inputs: Inputs) -> Any:
    r"""Return a code seen along the axes that make its latents most independent.

    A standard normal prior does not say along which axes a code is to be read, but data can: where
    factors are independent and at most one of them is normal, they are the only directions that are
    (Comon, 1994). The code is turned so that the total correlation of its latents is least: as a
    turn keeps their joint entropy, where the sum of their own entropies is. Pairs of axes are
    turned in the plane to the best of 90 angles, over and over, until no pair gains. Entropies are
    Vasicek's, from spacings: this is RADICAL without its whitening, which would let in more than
    turns, and without its replicates. Latents are means of posteriors: samples are smoothed towards
    the prior, a normal distribution, of which every turn is as good. Each axis stands in the place,
    and has the sign, of the latent that it is most of.

    No predictor is asked: `explanatory_axes` takes axes from what the predictor tells apart.
    Reconstructions and decisions stay what they were. Where factors depend on each other, or a code
    bends them, independent axes need not be factors.

    References:
        Comon: Independent Component Analysis, A New Concept?, 1994,
        https://doi.org/10.1016/0165-1684(94)90029-9; Learned-Miller, Fisher: ICA Using Spacings
        Estimates of Entropy, 2003, https://www.jmlr.org/papers/v4/learned-miller03a.html; Vasicek:
        A Test for Normality Based on Sample Entropy, 1976

    Args:
        code: Anything with `encode` and `decode` whose latents are flat. Only latents of the same
            real block are turned into each other; noise, categories and latents that do not vary
            are left alone, and axes that the code is seen along already are taken off.
        inputs: `(batch, *event)`, 1,000 or more, a tensor or an array.

    Returns:
        The code along its axes: what its own `with_axes` returns, as of a `VAE`, and otherwise an
        `attributions.turned.AlongAxes`.

    Raises:
        TypeError: Inputs are of a wrong kind.
        ValueError: Inputs are not finite or too few, or the code changes from call to call.
        RuntimeError: `torch.inference_mode` is on.

    Warns:
        UserWarning: There are fewer examples than latents squared.

    Examples:
        >>> from attributions.axes import Rotation
        >>> from attributions.transforms import Identity
        >>> inputs = torch.rand(1000, 2, generator=torch.Generator().manual_seed(0))
        >>> turn = torch.tensor([[0.8, 0.6], [-0.6, 0.8]])
        >>> mixed = seen_along(Identity((2,)), Rotation(2, matrix=turn))
        >>> found = independent_axes(mixed, inputs).encode(inputs)
        >>> alike = torch.corrcoef(torch.cat([found, inputs], dim=1).T)[:2, 2:].abs()
        >>> bool((alike.amax(dim=1) > 0.99).all())
        True
    """
    check_mode("independent_axes")
    inputs = inputs_for(code, inputs)
    if not bool(torch.isfinite(inputs).all()):
        raise ValueError("`inputs` must be finite. Got NaN or infinity. Clean them.")
    code = without_axes(code)
    asked: Any = frozen(code)
    check_code(asked, inputs)
    with torch.no_grad():
        latents, deviations = encode(asked, inputs)
    groups = groups_of(asked, latents.shape[1], dead_latents(latents, deviations))
    _check_count(len(latents), groups)
    warn_of_few(len(latents), groups)
    with made_on(inputs.device):
        start = Rotation(latents.shape[1], groups)
    axes = start.turned(_turn(latents, groups))
    return seen_along(code, axes)


def _turn(latents: Tensor, groups: Groups) -> Tensor:
    """`(latents, latents)`, orthogonal; each row near to the latent of its place."""
    turn = torch.eye(latents.shape[1], dtype=torch.float64, device=latents.device)
    for group in groups:
        index = torch.tensor(group, device=latents.device)
        axes = _least_dependent(latents[:, index].double())
        order = torch.as_tensor(linear_sum_assignment(-axes.abs().T.cpu().numpy())[1])
        axes = axes[order.to(axes.device)]
        turn[index.unsqueeze(1), index] = (
            axes * torch.where(axes.diagonal() < 0, -1.0, 1.0)[:, None]
        )
    return turn


def _least_dependent(latents: Tensor) -> Tensor:
    """Orthonormal rows along which the sum of marginal entropies is least, by Jacobi's turns."""
    size = latents.shape[1]
    axes = torch.eye(size, dtype=latents.dtype, device=latents.device)
    coordinates = latents.T.clone()
    steps = torch.arange(-_ANGLES // 2, _ANGLES // 2, device=latents.device).to(latents)
    cosines, sines = (wave(steps * torch.pi / 2 / _ANGLES) for wave in (torch.cos, torch.sin))
    planes = torch.stack([cosines, sines, -sines, cosines], dim=1).view(-1, 2, 2)
    for _ in range(_MOST_SWEEPS):
        found = False
        for pair in itertools.combinations(range(size), 2):
            rows = list(pair)
            entropies = _entropies(planes @ coordinates[rows]).sum(dim=1)
            best = int(entropies.argmin())
            if entropies[_ANGLES // 2] - entropies[best] > _LEAST_GAIN:
                found = True
                coordinates[rows] = planes[best] @ coordinates[rows]
                axes[rows] = planes[best] @ axes[rows]
        if not found:
            break
    return nearest_orthonormal(axes)


def _entropies(rows: Tensor) -> Tensor:
    """Vasicek's estimate of each row's differential entropy but for constants: `(...)`, nats."""
    count = rows.shape[-1]
    width = max(1, round(count**0.5))
    ordered = rows.sort(dim=-1).values
    gaps = ordered[..., width:] - ordered[..., :-width]
    return gaps.clamp_min(torch.finfo(rows.dtype).tiny).log().mean(dim=-1)


def _check_count(count: int, groups: Groups) -> None:
    turned = max((len(group) for group in groups), default=0)
    if count <= turned:
        raise ValueError(
            f"`inputs` must be more than the latents that are turned ({turned}). Got {count}. Pass "
            "1,000."
        )
