"""Searching latents for another decision: few of them on a grid, or all along a gradient."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from attributions.predictors import Predictor
from trimvae.explanation.asking import FrozenCode

_BISECTIONS = 12

_AT_ONCE = 64  # examples, of each of which all latents are tried

# Numbers of the moves that are tried at once, each a row of all latents: 16 MB.
_NUMBERS_AT_ONCE = 2**22

# Lengths that a gradient shift tries, each a tenth longer than the one before.
_SHIFTS = 60


class Reaching(Protocol):
    """What a sparse search asks: how far points are from the decision that is wanted."""

    def at(self, points: Tensor, examples: Tensor, /) -> Tensor:
        """Margins `(rows,)` at latents `(rows, latents)` of so many examples, positive there."""
        ...


class Margins(NamedTuple):
    """How far decisions are from what was asked for: positive once it is reached."""

    code: FrozenCode
    predictor: Predictor
    wanted: Tensor
    """`(batch,)`, the class to reach; -1 for any other than the predicted one."""
    predicted: Tensor
    """`(batch,)`."""

    def at(self, points: Tensor, examples: Tensor | slice) -> Tensor:
        """Margins `(rows,)` at latents `(rows, latents)` that belong to `examples`."""
        return self.of(outputs_at(self.code, self.predictor, points), examples)

    def gradients(self, latents: Tensor) -> Tensor:
        """Gradient of every example's margin by its latents, `(batch, latents)`."""
        with torch.enable_grad():
            point = latents.clone().requires_grad_()
            outputs = self.predictor(self.code.decode(point))
            (gradient,) = torch.autograd.grad(self.of(outputs, slice(None)).sum(), point)
        return gradient

    def of(self, outputs: Tensor, examples: Tensor | slice) -> Tensor:
        """Margins `(rows,)` of outputs `(rows, classes)` that belong to `examples`."""
        if outputs.shape[1] == 1:
            outputs = torch.cat([-outputs, outputs], dim=1) / 2
        wanted, predicted = self.wanted[examples], self.predicted[examples]
        any_other = wanted < 0
        named = torch.where(any_other, predicted, wanted).unsqueeze(1).expand(len(outputs), 1)
        own = outputs.gather(1, named)[:, 0]
        others = outputs.scatter(1, named, -torch.inf).amax(dim=1)
        return torch.where(any_other, others - own, own - others)


def outputs_at(code: FrozenCode, predictor: Predictor, latents: Tensor) -> Tensor:
    """Logits `(rows, classes)` at latents `(rows, latents)`, no more at a time than fit."""
    with torch.no_grad():
        return torch.cat([predictor(code.decode(rows)) for rows in latents.split(code.at_once)])


def along_grid(latents: Tensor, chosen: Tensor, grid: Tensor) -> Tensor:
    """Let one latent of each row take every value of its grid.

    Args:
        latents: `(rows, latents)`.
        chosen: `(rows,)`, which latent moves.
        grid: `(latents, n_steps)`.

    Returns:
        `(rows, n_steps, latents)`.
    """
    points = latents.unsqueeze(1).repeat(1, grid.shape[1], 1)
    points[torch.arange(len(points), device=points.device), :, chosen] = grid[chosen]
    return points


def sparse_moves(
    margins: Reaching,
    latents: Tensor,
    grid: Tensor,
    n_latents: int,
    *,
    first: Tensor | None = None,
) -> Tensor:
    """Move as few latents as possible, each to a value of the grid `(latents, n_steps)`.

    Args:
        margins: What is to become positive.
        latents: `(batch, latents)`, where the search starts.
        grid: `(latents, n_steps)`, the values that each latent may take.
        n_latents: Most latents that move.
        first: `(batch, latents, n_steps)`, margins where one latent alone takes each value;
            default: asked for.

    Returns:
        `(batch, latents)`; where nothing flips, as close as the search came.
    """
    size = latents.shape[1]
    moved, free = latents.clone(), torch.ones_like(latents, dtype=torch.bool)
    every = torch.arange(len(latents), device=latents.device)
    left = every
    for turn in range(min(n_latents, size)):
        left = left[~(margins.at(moved[left], left) > 0)]
        if not len(left):
            break
        for examples in left.split(_AT_ONCE):
            known = None if first is None or turn else first[examples]
            _move_one(margins, latents, moved, grid, free, examples, known)
    _draw_back(margins, latents, moved, every[margins.at(moved, every) > 0])
    return moved


def _move_one(
    margins: Reaching,
    latents: Tensor,
    moved: Tensor,
    grid: Tensor,
    free: Tensor,
    examples: Tensor,
    known: Tensor | None,
) -> None:
    """Move one more latent: to the nearest value that flips, else to where the margin is best."""
    size, n_steps = grid.shape
    reached = latents.new_full((len(examples), size, n_steps), -torch.inf)
    distance = torch.full_like(reached, torch.inf)
    tried = free[examples].nonzero()
    for pairs in tried.split(max(1, _NUMBERS_AT_ONCE // (size * n_steps))):
        places, chosen = pairs.T
        points = along_grid(moved[examples[places]], chosen, grid)
        start = latents[examples[places]].unsqueeze(1)
        distance[places, chosen] = (points - start).norm(dim=2)
        if known is None:
            rows = examples[places].repeat_interleave(n_steps)
            found = margins.at(points.flatten(0, 1), rows).view(-1, n_steps)
        else:
            found = known[places, chosen]
        reached[places, chosen] = found.to(reached)
    reached, distance = reached.flatten(1), distance.flatten(1)
    nearest = distance.masked_fill(~(reached > 0), torch.inf).argmin(dim=1)
    best = torch.where((reached > 0).any(dim=1), nearest, reached.argmax(dim=1))
    latent, step = best // n_steps, best % n_steps
    moved[examples, latent] = grid[latent, step]
    free[examples, latent] = False


def _draw_back(margins: Reaching, latents: Tensor, moved: Tensor, examples: Tensor) -> None:
    """Draw every moved latent back towards its start as far as the decision stays."""
    order = (moved - latents).abs().argsort(dim=1)  # the smallest moves first
    for turn in range(latents.shape[1]):
        latent = order[examples, turn]
        apart = latents[examples, latent] != moved[examples, latent]
        here, latent = examples[apart], latent[apart]
        if not len(here):
            continue
        near, far = latents[here, latent], moved[here, latent]
        trial, row = moved[here], torch.arange(len(here), device=here.device)
        for step in range(_BISECTIONS + 1):
            middle = (near + far) / 2 if step else near  # first: can it do without?
            trial[row, latent] = middle
            flips = margins.at(trial, here) > 0
            near, far = torch.where(flips, near, middle), torch.where(flips, middle, far)
        moved[here, latent] = far


def gradient_shifts(margins: Margins, latents: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Shift all latents along the gradient of the margin, as little as flips the decision.

    Returns:
        `(batch, latents)`, between `low` and `high`.
    """
    gradient = margins.gradients(latents)
    direction = gradient / gradient.norm(dim=1, keepdim=True).clamp_min(1e-12)

    def at(lengths: Tensor) -> Tensor:
        return torch.clamp(latents + lengths.unsqueeze(1) * direction, low, high)

    def flips(lengths: Tensor) -> Tensor:
        return margins.at(at(lengths), slice(None)) > 0

    near = torch.zeros_like(latents[:, 0])
    far, done = near.clone(), flips(near)
    for step in range(_SHIFTS):
        trial = torch.full_like(near, 0.05 * 1.1**step)
        flipped = flips(trial)
        far = torch.where(done, far, trial)
        near = torch.where(done | flipped, near, trial)
        done = done | flipped
        if bool(done.all()):
            break
    for _ in range(_BISECTIONS):
        middle = (near + far) / 2
        flipped = flips(middle)
        near, far = torch.where(flipped, near, middle), torch.where(flipped, middle, far)
    return at(far)
