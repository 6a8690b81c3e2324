"""The smallest move in latents that changes what the predictor decides."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Normal

from attributions.axes import Axes
from attributions.codes import Code, encode
from attributions.measures.counterfactuals import Counterfactual, counterfactual_figures
from attributions.outputs import decisions
from attributions.predictors import Function
from trimvae.data.loading import Array, as_tensor
from trimvae.explanation.asking import asked
from trimvae.explanation.searching import Margins, gradient_shifts, outputs_at, sparse_moves

SearchMethod = Literal["sparse", "gradient"]


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


def find_counterfactuals(
    code: Code,
    predictor: Function,
    latents: Array,
    *,
    target: int | Array | None = None,
    method: SearchMethod = "sparse",
    low: Array | None = None,
    high: Array | None = None,
    n_latents: int = 3,
    n_steps: int = 11,
    on_grid: Tensor | None = None,
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
        code: A VAE, or anything else with `encode` and `decode`.
        predictor: A classifier, inputs `(batch, *event)` to logits `(batch, classes)`, or an
            `attributions.Predictor`, which brings its preprocessing.
        latents: `(batch, latents)`.
        target: The class to reach, for all or for each example `(batch,)`; default: any other
            than the one predicted at the decoded latents.
        method: How to search.
        low: `(latents,)`, least value of each latent; default: -2.5.
        high: `(latents,)`, largest value; default: 2.5.
        n_latents: Most latents that a sparse search may move.
        n_steps: Values tried between `low` and `high` for each latent.
        on_grid: `(batch, latents, n_steps, outputs)`, the predictor's outputs where one latent
            alone takes each of these values: a sparse search that is given them need not ask for
            them; default: asked for.

    Returns:
        Moved latents with validity, distances and plausibility.

    Raises:
        ValueError: There is no such class or method, a count is out of range, `low` exceeds `high`
            or one of them is not finite, or `on_grid` does not have this shape.
        RuntimeError: It is called under `torch.inference_mode`.

    Examples:
        >>> class Identity:
        ...     def encode(self, inputs):
        ...         return inputs
        ...
        ...     def decode(self, latents):
        ...         return latents
        >>> found = find_counterfactuals(Identity(), lambda x: x[:, :1] - 1, torch.zeros(1, 2))
        >>> torch.allclose(found.latents, torch.tensor([[1.0, 0.0]]), atol=1e-2)
        True
    """
    _check_search(method, n_latents, n_steps)
    frozen_code, frozen_predictor = asked(code, predictor, "find_counterfactuals")
    latents = as_tensor(latents, "latents").detach().clone()
    if latents.ndim != 2 or not len(latents):
        raise ValueError(
            f"`latents` must have shape (batch, latents). Got {tuple(latents.shape)}. "
            "Pass one row per example, at least one."
        )
    lowest, highest = _end("low", low, -2.5, latents), _end("high", high, 2.5, latents)
    _check_ends(lowest, highest, finite=method == "sparse")
    before = outputs_at(frozen_code, frozen_predictor, latents)
    wanted = wanted_classes(target, before)
    margins = Margins(frozen_code, frozen_predictor, wanted, decisions(before))
    if method == "sparse":
        grid = grid_between(lowest, highest, n_steps)
        first = None if on_grid is None else _margins_on(grid, margins, on_grid, before)
        moved = sparse_moves(margins, latents, grid, n_latents, first=first)
    else:
        moved = gradient_shifts(margins, latents, lowest, highest)
    outputs = outputs_at(frozen_code, frozen_predictor, moved)
    with torch.no_grad():
        inputs, inputs_before = frozen_code.decode(moved), frozen_code.decode(latents)
        reencoded, _ = encode(frozen_code, inputs)
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
        figures=figures._replace(log_prior=_log_prior(frozen_code.code, moved)),
        log_prior_before=_log_prior(frozen_code.code, latents),
        reencoding_error=(reencoded - moved).norm(dim=1),
    )


def _log_prior(code: Code, latents: Tensor) -> Tensor:
    """Log-density `(batch,)` of the code's own latents, behind the axes that it is seen along."""
    axes = getattr(code, "axes", None)
    with torch.no_grad():
        own = axes.inverse(latents) if isinstance(axes, Axes) else latents
    standard = Normal(torch.zeros_like(own), torch.ones_like(own))
    density: Tensor = standard.log_prob(own).sum(dim=1)
    return density


def _check_search(method: str, n_latents: int, n_steps: int) -> None:
    if method not in ("sparse", "gradient"):
        raise ValueError(f"`method` must be 'sparse' or 'gradient'. Got {method!r}. Use 'sparse'.")
    if n_latents < 1 or n_steps < 2:
        raise ValueError(
            "`n_latents` must be at least 1 and `n_steps` at least 2. "
            f"Got {n_latents} and {n_steps}. Use the defaults."
        )


def _end(argument: str, values: Array | None, default: float, latents: Tensor) -> Tensor:
    """One end of the range of each latent, `(latents,)`."""
    if values is None:
        return torch.full_like(latents[0], default)
    end = as_tensor(values, argument).detach().to(latents)
    if end.shape != latents[0].shape:
        raise ValueError(
            f"`{argument}` must have shape {tuple(latents[0].shape)}. Got {tuple(end.shape)}. "
            "Pass one value per latent."
        )
    return end


def _check_ends(low: Tensor, high: Tensor, *, finite: bool) -> None:
    """Raise a ValueError unless every latent has a range, if it is one value alone."""
    there = low <= high  # not where one is NaN
    if finite:
        there &= torch.isfinite(high - low)
    if not there.all():
        latent = int((~there).nonzero()[0, 0])
        raise ValueError(
            "`low` must be finite numbers that do not exceed `high`. Got "
            f"{float(low[latent]):g} and {float(high[latent]):g} of latent {latent}. Pass ends "
            "such as -2.5 and 2.5."
        )


def _margins_on(grid: Tensor, margins: Margins, outputs: Tensor, before: Tensor) -> Tensor:
    """Margins `(batch, latents, n_steps)` of what a predictor says on a grid."""
    expected = (len(before), *grid.shape, before.shape[1])
    if outputs.shape != expected:
        raise ValueError(
            f"`on_grid` must have shape {expected}. Got {tuple(outputs.shape)}. Pass the outputs "
            "at every value of every latent, or leave it out."
        )
    rows = torch.arange(len(before), device=before.device).repeat_interleave(grid.numel())
    return margins.of(outputs.to(before).flatten(0, 2), rows).view(expected[:3])


def grid_between(low: Tensor, high: Tensor, n_steps: int) -> Tensor:
    """Values that each latent may take, `(latents, n_steps)`."""
    fractions = torch.linspace(0, 1, n_steps, device=low.device, dtype=low.dtype)
    return low.unsqueeze(1) + fractions * (high - low).unsqueeze(1)


def wanted_classes(target: int | Array | None, outputs: Tensor) -> Tensor:
    """The class that each example is to reach, `(batch,)`; -1 for any other than its own."""
    classes = 2 if outputs.shape[1] == 1 else outputs.shape[1]
    batch = len(outputs)
    if target is None:
        return torch.full((batch,), -1, device=outputs.device)
    # Names are an explanation's, not the predictor's.
    given = torch.as_tensor(-1 if isinstance(target, str) else target, device=outputs.device)
    wanted = given.long()
    if wanted.ndim and wanted.shape != (batch,):
        raise ValueError(
            f"`target` must be one class or have shape ({batch},). Got {tuple(wanted.shape)}. "
            "Name one class per example."
        )
    wanted = wanted.expand(batch).clone()
    if bool(((wanted != given) | (wanted < 0) | (wanted >= classes)).any()):
        raise ValueError(
            f"`target` must be a class from 0 to {classes - 1}. Got {target!r}. "
            "Choose one that the predictor has."
        )
    return wanted
