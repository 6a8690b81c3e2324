"""Searching latents for another decision: few of them on a grid, or all along a gradient."""

from typing import NamedTuple

import torch
from torch import Tensor

from attributions.predictors import Predictor
from trimvae.explanation.asking import FrozenCode

_BISECTIONS = 12

# Lengths that a gradient shift tries, each a tenth longer than the one before.
_SHIFTS = 60


class Margins(NamedTuple):
    """How far decisions are from what was asked for: positive once it is reached."""

    code: FrozenCode
    predictor: Predictor
    wanted: Tensor
    """`(batch,)`, the class to reach; -1 for any other than the predicted one."""
    predicted: Tensor
    """`(batch,)`."""

    def at(self, points: Tensor, examples: slice) -> Tensor:
        """Margins `(rows,)` at latents `(rows, latents)` that belong to `examples`."""
        return self._of(outputs_at(self.code, self.predictor, points), examples)

    def gradients(self, latents: Tensor) -> Tensor:
        """Gradient of every example's margin by its latents, `(batch, latents)`."""
        with torch.enable_grad():
            point = latents.clone().requires_grad_()
            outputs = self.predictor(self.code.decode(point))
            (gradient,) = torch.autograd.grad(self._of(outputs, slice(None)).sum(), point)
        return gradient

    def _of(self, outputs: Tensor, examples: slice) -> Tensor:
        if outputs.shape[1] == 1:
            outputs = torch.cat([-outputs, outputs], dim=1) / 2
        wanted, predicted = self.wanted[examples], self.predicted[examples]
        any_other = wanted < 0
        named = torch.where(any_other, predicted, wanted).unsqueeze(1).expand(len(outputs), 1)
        own = outputs.gather(1, named)[:, 0]
        others = outputs.scatter(1, named, -torch.inf).amax(dim=1)
        return torch.where(any_other, others - own, own - others)


def outputs_at(code: FrozenCode, predictor: Predictor, latents: Tensor) -> Tensor:
    """Logits `(rows, classes)` at latents `(rows, latents)`, a few hundred at a time."""
    with torch.no_grad():
        return torch.cat([predictor(code.decode(rows)) for rows in latents.split(512)])


def sparse_moves(margins: Margins, latents: Tensor, grid: Tensor, n_latents: int) -> Tensor:
    """Move as few latents as possible, each to a value of the grid `(latents, n_steps)`.

    Returns:
        `(batch, latents)`; where nothing flips, as close as the search came.
    """
    size = latents.shape[1]
    moved = latents.clone()
    for example in range(len(latents)):
        rows = slice(example, example + 1)
        point, free = latents[example].clone(), torch.ones_like(grid[:, 0], dtype=torch.bool)
        for _ in range(min(n_latents, size)):
            if margins.at(point.unsqueeze(0), rows) > 0:
                break
            point, latent = _next(margins, latents[example], point, grid, free, rows)
            free[latent] = False
        if margins.at(point.unsqueeze(0), rows) > 0:
            point = _drawn_back(margins, latents[example], point, rows)
        moved[example] = point
    return moved


def _next(
    margins: Margins, start: Tensor, point: Tensor, grid: Tensor, free: Tensor, rows: slice
) -> tuple[Tensor, int]:
    """Move one more latent: to the nearest value that flips, else to where the margin is best."""
    size, n_steps = grid.shape
    candidates = point.repeat(size * n_steps, 1).view(size, n_steps, size)
    index = torch.arange(size, device=point.device)
    candidates[index, :, index] = grid
    candidates = candidates.flatten(0, 1)
    reached = margins.at(candidates, rows)
    reached[~free.repeat_interleave(n_steps)] = -torch.inf
    flips = reached > 0
    if bool(flips.any()):
        distance = (candidates - start).norm(dim=1)
        best = int(distance.masked_fill(~flips, torch.inf).argmin())
    else:
        best = int(reached.argmax())
    return candidates[best], best // n_steps


def _drawn_back(margins: Margins, start: Tensor, point: Tensor, rows: slice) -> Tensor:
    """Draw every moved latent back towards its start as far as the decision stays."""
    for latent in (point - start).abs().argsort().tolist():  # the smallest moves first
        if point[latent] == start[latent]:
            continue
        near, far = start[latent].clone(), point[latent].clone()
        trial = point.clone()
        trial[latent] = near
        if margins.at(trial.unsqueeze(0), rows) > 0:
            point = trial
            continue
        for _ in range(_BISECTIONS):
            trial[latent] = (near + far) / 2
            if margins.at(trial.unsqueeze(0), rows) > 0:
                far = trial[latent].clone()
            else:
                near = trial[latent].clone()
        point = point.clone()
        point[latent] = far
    return point


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
