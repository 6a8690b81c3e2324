"""Latents deleted or inserted one by one, in the order of their attributions."""

from typing import NamedTuple

import torch
from torch import Tensor

from attributions.predictors import Function


class Curves(NamedTuple):
    """The explained output while latents are deleted or inserted one by one, with its bounds."""

    curve: Tensor
    """`(batch, latents + 1)`, in the order of the attributions."""
    random: Tensor
    """`(batch, latents + 1)`, mean over random orders: what an uninformed explanation gets."""
    oracle: Tensor
    """`(batch, latents + 1)`, each step the best of all that are left (greedy)."""


def curve_area(curve: Tensor) -> Tensor:
    """Area under a curve `(..., n_steps)` by the trapezoid rule, its width taken as 1: `(...)`.

    Examples:
        >>> curve_area(torch.tensor([0.0, 1.0, 1.0])).item()
        0.75
    """
    return torch.trapezoid(curve, dim=-1) / (curve.shape[-1] - 1)


def curve_score(curves: Curves) -> Tensor:
    r"""Where the area lies between random order (0) and greedy oracle (1), means over the batch.

    Pitfall of the bare area: its scale is the output's, so that areas of two predictors do not
    compare. NaN where oracle and random order are alike (nothing to explain).

    Returns:
        Scalar; negative for an order that is worse than random.
    """
    ours, random, oracle = (curve_area(curve).mean() for curve in curves)
    return (random - ours) / (random - oracle)


def deletion(
    function: Function,
    latents: Tensor,
    attributions: Tensor,
    target: Tensor,
    baselines: Tensor | None = None,
    *,
    insertion: bool = False,
    by_size: bool = False,
    n_random: int = 10,
    generator: torch.Generator | None = None,
) -> Curves:
    """Set latents to the baseline one by one, strongest attribution first, and watch the output.

    A good explanation makes the output fall early: a low area. With `insertion`, start from the
    baseline and put latents back: a high area.

    References:
        Petsiuk, Das, Saenko: RISE, 2018, https://arxiv.org/abs/1806.07421

    Args:
        function: Latents `(batch, latents)` to `(batch, classes)`; a `Trim`.
        latents: `(batch, latents)`.
        attributions: `(batch, latents)`, of the target.
        target: `(batch,)`, the class watched.
        baselines: `(1, latents)` or `(batch, latents)`; default: 0.
        insertion: Put back instead of deleting.
        by_size: Order by absolute instead of signed attributions: latents that speak against
            the class then also go early, and the output first rises.
        n_random: Random orders to average.
        generator: Of the random orders; default: torch's global one.

    Returns:
        The curve and its two bounds.

    Raises:
        ValueError: Attributions are NaN, or shapes do not match.
    """
    check_attributions(attributions, latents)
    path = _path(function, latents, baselines, target)
    random = path.random(n_random, generator)
    if insertion:
        path, random = path.backwards(), random.flip(1)
    return path.curves(attributions.abs() if by_size else attributions, random, highest=insertion)


def deletion_and_insertion(
    function: Function,
    latents: Tensor,
    attributions: Tensor,
    target: Tensor,
    baselines: Tensor | None = None,
    *,
    n_random: int = 10,
    generator: torch.Generator | None = None,
) -> tuple[Curves, Curves]:
    """`deletion` both ways, with the same random orders: insertion runs them backwards.

    Args:
        function: Latents `(batch, latents)` to `(batch, classes)`; a `Trim`.
        latents: `(batch, latents)`.
        attributions: `(batch, latents)`, of the target.
        target: `(batch,)`, the class watched.
        baselines: `(1, latents)` or `(batch, latents)`; default: 0.
        n_random: Random orders to average.
        generator: Of the random orders; default: torch's global one.

    Returns:
        The curves of deletion, and those of insertion.

    Raises:
        ValueError: Attributions are NaN, or shapes do not match.

    Examples:
        >>> weight = torch.tensor([[2.0, 1.0]])
        >>> latents, target = torch.ones(1, 2), torch.zeros(1, dtype=torch.long)
        >>> both = deletion_and_insertion(lambda z: z @ weight.T, latents, weight, target)
        >>> [curves.curve.tolist() for curves in both]
        [[[3.0, 1.0, 0.0]], [[0.0, 2.0, 3.0]]]
    """
    check_attributions(attributions, latents)
    path = _path(function, latents, baselines, target)
    random = path.random(n_random, generator)
    return (
        path.curves(attributions, random, highest=False),
        path.backwards().curves(attributions, random.flip(1), highest=True),
    )


class _Path(NamedTuple):
    """From latents to latents, some of which have moved already."""

    function: Function
    before: Tensor
    after: Tensor
    target: Tensor
    ends: Tensor
    """`(batch, 2)`, the output at both."""

    def backwards(self) -> "_Path":
        return self._replace(before=self.after, after=self.before, ends=self.ends.flip(1))

    def outputs(self, moved: Tensor) -> Tensor:
        """Of `moved`, `(batch, n, latents)`: `(batch, n)`."""
        points = torch.where(moved, self.after.unsqueeze(1), self.before.unsqueeze(1))
        return outputs_of(self.function, points, self.target)

    def whole(self, middle: Tensor) -> Tensor:
        """What lies between, with both ends: `(batch, latents + 1)`."""
        return torch.cat([self.ends[:, :1], middle, self.ends[:, 1:]], dim=1)

    def curve(self, order: Tensor) -> Tensor:
        rank, size = order.argsort(dim=1).unsqueeze(1), order.shape[1]
        counts = torch.arange(1, size, device=order.device).view(1, -1, 1)
        return self.whole(self.outputs(rank < counts) if size > 1 else self.ends[:, :0])

    def random(self, times: int, generator: torch.Generator | None) -> Tensor:
        shape, device = self.before.shape, self.before.device
        with torch.no_grad():
            curves = [
                self.curve(torch.rand(shape, generator=generator, device=device).argsort(dim=1))
                for _ in range(times)
            ]
        return torch.stack(curves).mean(dim=0)

    def greedy(self, *, highest: bool) -> Tensor:
        """Of all latents that are left always the best."""
        batch, size = self.before.shape
        moved = torch.zeros_like(self.before, dtype=torch.bool)
        each = torch.eye(size, dtype=torch.bool, device=moved.device)
        columns = []
        for _ in range(size - 1):
            left = (~moved).nonzero()[:, 1].view(batch, -1)
            outputs = self.outputs(moved.unsqueeze(1) | each[left])
            best = (outputs if highest else -outputs).argmax(dim=1, keepdim=True)
            columns.append(outputs.gather(1, best))
            moved = moved | each[left.gather(1, best)[:, 0]]
        return self.whole(torch.cat([self.ends[:, :0], *columns], dim=1))

    def curves(self, scores: Tensor, random: Tensor, *, highest: bool) -> Curves:
        with torch.no_grad():
            curve = self.curve(scores.argsort(dim=1, descending=True, stable=True))
            return Curves(curve, random, self.greedy(highest=highest))


def _path(function: Function, latents: Tensor, baselines: Tensor | None, target: Tensor) -> _Path:
    start = torch.zeros_like(latents) if baselines is None else baselines.expand_as(latents)
    with torch.no_grad():
        ends = outputs_of(function, torch.stack([latents, start], dim=1), target)
    return _Path(function, latents, start, target, ends)


def outputs_of(function: Function, points: Tensor, target: Tensor) -> Tensor:
    """The target's output at points `(batch, n, latents)`: `(batch, n)`."""
    outputs = function(points.flatten(0, 1).clone()).unflatten(0, points.shape[:2])
    columns = target.clamp_max(outputs.shape[2] - 1).view(-1, 1, 1)
    watched: Tensor = outputs.gather(2, columns.expand(-1, points.shape[1], 1))[..., 0]
    return watched


def check_attributions(attributions: Tensor, latents: Tensor) -> None:
    """Raise a ValueError unless attributions can be ranked: a number for each latent."""
    if attributions.shape != latents.shape:
        raise ValueError(
            f"`attributions` must have the shape of the latents, {tuple(latents.shape)}. "
            f"Got {tuple(attributions.shape)}. Choose one class for each example."
        )
    if attributions.isnan().any():
        raise ValueError(
            "`attributions` must be numbers to be ranked. Got NaN. Look for examples without "
            "any attribution, and leave them out."
        )
