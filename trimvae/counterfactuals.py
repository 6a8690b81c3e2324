"""The smallest move in latents that changes what the predictor decides."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Normal

from attributions.codes import Code, encode, held_in_eval_mode
from attributions.measures import Counterfactual, counterfactual_figures, decisions
from attributions.predictors import Function, predict, predict_in_batches

SearchMethod = Literal["sparse", "gradient"]
_BISECTIONS = 12
# Lengths that a gradient shift tries, each a tenth longer than the one before.
_SHIFTS = 60


class Counterfactuals(NamedTuple):
    """For each example the move that was found, and how good it is."""

    latents: Tensor
    """`(batch, latents)`, moved; where it is not valid, as close as the search came."""
    inputs: Tensor
    """`(batch, *event)`, decoded."""
    outputs: Tensor
    """`(batch, outputs)`, the predictor's there."""
    figures: Counterfactual
    """Validity, proximity, sparsity and plausibility, `(batch,)` each."""
    log_prior_before: Tensor
    """`(batch,)`, log-density of the example's own latents, to compare `figures.log_prior` with."""
    reencoding_error: Tensor
    """`(batch,)`, Euclidean distance between the moved latents and those that the code gives to
    the decoded input: small where encoder and decoder agree that there is such an input."""

    @property
    def metrics(self) -> dict[str, float]:
        """Validity over all examples, the other figures over the valid ones (NaN without any)."""
        figures = self.figures
        parts = {
            "latent_distance": figures.latent_distance,
            "input_distance": figures.input_distance,
            "changed_latents": figures.changed_latents,
            "log_prior_change": figures.log_prior - self.log_prior_before,
            "reencoding_error": self.reencoding_error,
        }
        return {"validity": figures.valid.double().mean().item()} | {
            name: values[figures.valid].double().mean().item() for name, values in parts.items()
        }


def counterfactuals(
    code: Code,
    predictor: Function,
    latents: Tensor,
    *,
    target: int | Tensor | None = None,
    method: SearchMethod = "sparse",
    low: Tensor | None = None,
    high: Tensor | None = None,
    n_latents: int = 3,
    steps: int = 11,
    preprocess: Function | None = None,
) -> Counterfactuals:
    r"""Find the smallest latent change that flips each decision, without residual.

    `"sparse"` moves as few latents as possible: over all single latents and a grid of values, the
    nearest value that flips the decision; if none does, the move that brings the classes closest
    is kept and the search goes on from there, with at most `n_latents` latents. What was
    moved is then drawn back by bisection as far as the decision allows. For one latent this is
    exhaustive on the grid; for more it is greedy.

    `"gradient"` shifts all latents along the gradient of the margin between the classes,
    $z' = z + \lambda \nabla_z m(z)$ with the least $\lambda$ that flips: one ray, as in the latent
    shift of Cohen et al. It moves every latent, stays nearer, and may miss where the margin bends.

    References:
        Cohen et al.: Gifsplanation via Latent Shift, 2021, https://arxiv.org/abs/2102.09475
        Joshi et al.: Towards Realistic Individual Recourse and Actionable Explanations in
        Black-Box Decision Making Systems, 2019, https://arxiv.org/abs/1907.09615

    Args:
        code: Encodes and decodes.
        predictor: A classifier; see `attributions.Trim`.
        latents: `(batch, latents)`.
        target: The class to reach, for all or for each example `(batch,)`; any other than the
            one predicted at the decoded latents without it.
        method: How to search.
        low: `(latents,)`, least value of each latent; -2.5 without it.
        high: `(latents,)`, largest value; 2.5 without it.
        n_latents: Most latents that a sparse search may move.
        steps: Values tried between `low` and `high`, for each latent.
        preprocess: See `attributions.Trim`.

    Returns:
        Moved latents with validity, distances and plausibility.

    Raises:
        ValueError: There is no such class, a count is below 1, or the predictor has a single
            class.
    """
    if method not in ("sparse", "gradient"):
        raise ValueError(f"`method` must be 'sparse' or 'gradient'. Got {method!r}. Use 'sparse'.")
    if n_latents < 1 or steps < 2:
        raise ValueError(
            "`n_latents` must be at least 1 and `steps` at least 2. "
            f"Got {n_latents} and {steps}. Use the defaults."
        )
    latents = latents.detach()
    low = torch.full_like(latents[0], -2.5) if low is None else low.to(latents)
    high = torch.full_like(latents[0], 2.5) if high is None else high.to(latents)
    with held_in_eval_mode(code):

        def outputs_at(points: Tensor) -> Tensor:
            with torch.no_grad():
                parts = [
                    predict_in_batches(predictor, code.decode(part), preprocess)
                    for part in points.split(512)
                ]
            return torch.cat(parts)

        before = outputs_at(latents)
        wanted = _wanted(target, before)
        margin = _Margin(wanted, decisions(before))
        if method == "sparse":
            moved = _sparse(outputs_at, margin, latents, low, high, n_latents, steps)
        else:
            moved = _shift(code, predictor, preprocess, outputs_at, margin, latents, low, high)
        outputs = outputs_at(moved)
        with torch.no_grad():
            inputs, inputs_before = code.decode(moved), code.decode(latents)
            reencoded, _ = encode(code, inputs)
    figures = counterfactual_figures(
        latents,
        moved,
        (inputs_before, inputs),
        (before, outputs),
        target=None if target is None else wanted,
    )
    return Counterfactuals(
        latents=moved,
        inputs=inputs,
        outputs=outputs,
        figures=figures,
        log_prior_before=Normal(0.0, 1.0).log_prob(latents).sum(dim=1),
        reencoding_error=(reencoded - moved).norm(dim=1),
    )


class _Margin(NamedTuple):
    """How far a decision is from what was asked for: positive once it is reached."""

    wanted: Tensor
    predicted: Tensor

    def __call__(self, outputs: Tensor, examples: slice | Tensor) -> Tensor:
        """Margins `(rows,)` of `outputs` `(rows, outputs)` that belong to `examples`."""
        if outputs.shape[1] == 1:
            outputs = torch.cat([-outputs, outputs], dim=1) / 2
        wanted, predicted = self.wanted[examples], self.predicted[examples]
        any_other = wanted < 0
        named = torch.where(any_other, predicted, wanted).unsqueeze(1).expand(len(outputs), 1)
        own = outputs.gather(1, named)[:, 0]
        others = outputs.scatter(1, named, -torch.inf).amax(dim=1)
        return torch.where(any_other, others - own, own - others)


def _sparse(
    outputs_at: Callable[[Tensor], Tensor],
    margin: _Margin,
    latents: Tensor,
    low: Tensor,
    high: Tensor,
    n_latents: int,
    steps: int,
) -> Tensor:
    size = latents.shape[1]
    fractions = torch.linspace(0, 1, steps, device=latents.device, dtype=latents.dtype)
    grid = low.unsqueeze(1) + fractions * (high - low).unsqueeze(1)  # (latents, steps)
    moved = latents.clone()
    for example in range(len(latents)):
        rows = slice(example, example + 1)

        def margins(points: Tensor, rows: slice = rows) -> Tensor:
            return margin(outputs_at(points), rows)

        point, free = latents[example].clone(), torch.ones_like(low, dtype=torch.bool)
        for _ in range(min(n_latents, size)):
            if margins(point.unsqueeze(0)) > 0:
                break
            candidates = point.repeat(size * steps, 1).view(size, steps, size)
            index = torch.arange(size, device=point.device)
            candidates[index, :, index] = grid
            reached = margins(candidates.flatten(0, 1)).view(size, steps)
            reached[~free] = -torch.inf
            distance = (candidates - latents[example]).norm(dim=2)
            if bool((reached > 0).any()):
                best = int(distance.masked_fill(reached <= 0, torch.inf).argmin())
            else:
                best = int(reached.argmax())
            point = candidates.flatten(0, 1)[best]
            free[best // steps] = False
        if margins(point.unsqueeze(0)) > 0:
            point = _drawn_back(margins, latents[example], point)
        moved[example] = point
    return moved


def _drawn_back(margins: Callable[[Tensor], Tensor], start: Tensor, point: Tensor) -> Tensor:
    """Draw every moved latent back towards its start as far as the decision stays."""
    for latent in (point - start).abs().argsort().tolist():  # the smallest moves first
        if point[latent] == start[latent]:
            continue
        near, far = start[latent].clone(), point[latent].clone()
        trial = point.clone()
        trial[latent] = near
        if margins(trial.unsqueeze(0)) > 0:
            point = trial
            continue
        for _ in range(_BISECTIONS):
            trial[latent] = (near + far) / 2
            if margins(trial.unsqueeze(0)) > 0:
                far = trial[latent].clone()
            else:
                near = trial[latent].clone()
        point = point.clone()
        point[latent] = far
    return point


def _shift(
    code: Code,
    predictor: Function,
    preprocess: Function | None,
    outputs_at: Callable[[Tensor], Tensor],
    margin: _Margin,
    latents: Tensor,
    low: Tensor,
    high: Tensor,
) -> Tensor:
    with torch.enable_grad():
        point = latents.clone().requires_grad_()
        outputs = predict(predictor, code.decode(point), preprocess)
        (gradient,) = torch.autograd.grad(margin(outputs, slice(None)).sum(), point)
    direction = gradient / gradient.norm(dim=1, keepdim=True).clamp_min(1e-12)

    def at(lengths: Tensor) -> Tensor:
        return torch.clamp(latents + lengths.unsqueeze(1) * direction, low, high)

    def flips(lengths: Tensor) -> Tensor:
        return margin(outputs_at(at(lengths)), slice(None)) > 0

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


def _wanted(target: int | Tensor | None, outputs: Tensor) -> Tensor:
    classes = 2 if outputs.shape[1] == 1 else outputs.shape[1]
    batch = len(outputs)
    if target is None:
        return torch.full((batch,), -1, device=outputs.device)
    wanted = torch.as_tensor(target, device=outputs.device).long()
    if wanted.ndim and wanted.shape != (batch,):
        raise ValueError(
            f"`target` must be one class or have shape ({batch},). Got {tuple(wanted.shape)}. "
            "Name one class per example."
        )
    wanted = wanted.expand(batch).clone()
    if bool(((wanted < 0) | (wanted >= classes)).any()):
        raise ValueError(
            f"`target` must be a class from 0 to {classes - 1}. Got {target}. "
            "Choose one that the predictor has."
        )
    return wanted
