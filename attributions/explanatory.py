r"""Axes along which a predictor is explained: the same for every code of the data, and shared.

A standard normal prior does not say along which axes a code is to be read: turned by any rotation
it draws the same pictures. `explanatory_axes` takes the axes from predictor and data, which two
codes have in common, and aligns each code to them.
"""

import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from attributions.axes import Axes, Linear, Rotation, dead_latents, groups_of
from attributions.axes.grouping import warn_of_few
from attributions.checks import check_counts, check_mode, checked_predictor
from attributions.code_checks import check_code
from attributions.codes import Code, Decoder, Inputs, baseline_of, encode, inputs_for
from attributions.factors import Factors, aligned, predictor_factors
from attributions.measures.dependence import class_dependence, within_class_share
from attributions.measures.simplicity import participation_ratio
from attributions.methods.gradients import path_contributions, stratified
from attributions.outputs import Explained, Task, decisions
from attributions.placement import made_on
from attributions.predictors import Function, Predictor
from attributions.replicas import frozen
from attributions.trim import Trim
from attributions.turned import AlongAxes, seen_along, without_axes

Layer = Literal["rotation", "linear"]

BATCH = 256


def explanatory_axes(
    code: Code,
    predictor: Function,
    inputs: Inputs,
    *,
    class_price: float = 1.0,
    layer: Layer = "rotation",
    held_out: float = 0.25,
    n_steps: int = 8,
    preprocess: Function | None = None,
    explained: Explained = "centred_logit",
    task: Task | None = None,
    generator: torch.Generator | None = None,
) -> Any:
    r"""Return a code seen along the axes that a predictor tells apart.

    First the predictor's factors are found, from its outputs at the inputs alone
    (`attributions.factors.predictor_factors`): few for each example, shared by classes. Then the
    code is turned: of all orthogonal layers the one whose first axes come nearest to the factors
    (orthogonal Procrustes); what is left of the code keeps to its own latents, as nearly as it can.
    Last, axes are ordered by their share of the evidence, with the sign in which more of an axis
    speaks for the class it speaks most for. Reconstructions and decisions stay what they were.

    Two trainings of a code agree along these axes as far as both hold the predictor's factors. A
    code whose latents are the factors keeps them. Where a single output is explained (a binary
    logit, a `Contrast`, two classes, a regression) there is one factor, the output itself, and an
    axis of it would say nothing: then axes are the code's own, ordered and signed
    (`attributions.independent.independent_axes` turns a code that mixes factors).

    Attributions along the axes are those of integrated gradients through the returned code. They
    add up to what they added up to before.

    References:
        Schoenemann: A generalized solution of the orthogonal Procrustes problem, 1966,
        https://doi.org/10.1007/BF02289451; Rolinek, Zietlow, Martius: Variational autoencoders
        pursue PCA directions (by accident), 2019, https://arxiv.org/abs/1812.06775 (what fixes the
        axes of a VAE: its decoder, not the predictor); Burda, Grosse, Salakhutdinov: Importance
        Weighted Autoencoders, 2016, https://arxiv.org/abs/1509.00519 (latents that are not used).

    Args:
        code: Anything with `encode` and `decode` whose latents are flat and real. Only latents of
            the same real block are turned into each other; noise, categories and latents that do
            not vary are left alone.
        predictor: Module, function or `Predictor`, as in `explain`.
        inputs: `(batch, *event)`, 1,000 or more, a tensor or an array; no labels are used.
        class_price: What it costs that the class tells the axis; see
            `attributions.penalties.sharing.shared_sparsity`. 0 asks for sparsity alone.
        layer: `"rotation"`, or `"linear"`: a rotation of the whitened latents, where these are far
            from a standard normal.
        held_out: Share of the inputs, the last, that no axis is fitted to; 0 for none.
        n_steps: Path points of the attributions by which axes are ordered.
        preprocess: Between decoder and predictor.
        explained: `"centred_logit"`, `"output"` or a `Contrast`.
        task: default: `"regression"` for a single output and `"classification"` for several. Of
            `"multilabel"`, an example's strongest label counts as its class.
        generator: Of the search; default: a seed of 0.

    Returns:
        The code along its axes: what its own `with_axes` returns, as of a `VAE`, and otherwise an
        `attributions.turned.AlongAxes`. Its `axes.figures` has the figures of the axes, on the
        inputs they were fitted to and on those held out.

    Raises:
        TypeError: Inputs, predictor or outputs are of a wrong kind.
        ValueError: An argument is out of range, inputs are not finite or too few, or code or
            predictor change from call to call or with the rest of the batch.
        RuntimeError: Decoder or predictor are not differentiable, or `torch.inference_mode` is on.

    Warns:
        UserWarning: There are fewer examples than latents squared; the predictor's outputs do not
            vary; or it predicts a single class, so that the price has no meaning.

    Examples:
        >>> from attributions.transforms import PrincipalComponents
        >>> inputs = torch.randn(200, 6)
        >>> code = explanatory_axes(PrincipalComponents(inputs, 4), torch.nn.Linear(6, 3), inputs)
        >>> code.encode(inputs).shape == (200, 4)
        True
    """
    check_mode("explanatory_axes")
    inputs = inputs_for(code, inputs)
    _check(inputs, class_price, layer, held_out)
    check_counts(n_steps=n_steps)
    code = without_axes(code)
    asked: Any = frozen(code)
    check_code(asked, inputs)
    predictor = checked_predictor(
        predictor, inputs[:8], preprocess=preprocess, explained=explained, task=task, labels=True
    )
    seen = _seen(asked, predictor, inputs)
    fitted = len(inputs) - round(held_out * len(inputs))
    groups = groups_of(asked, seen.latents.shape[1], dead_latents(seen.latents, seen.deviations))
    warn_of_few(fitted, groups)
    known = seen.rows(slice(fitted))
    factors = _factors(known, predictor, class_price, generator)
    with made_on(inputs.device):
        start: Axes = Rotation(seen.latents.shape[1], groups)
        if layer == "linear":
            start = Linear.fitted(known.latents, groups)
    axes = start.turned(_turn(start(known.latents), factors, groups))
    contributions, moved = _along(AlongAxes(asked, axes), predictor, inputs, seen, n_steps)
    order = _ordered(contributions[:fitted], moved[:fitted], known.predicted, groups)
    axes = axes.turned(order)
    axes.figures = _figures(contributions, seen.predicted, fitted)
    return seen_along(code, axes)


class _Seen(NamedTuple):
    """What code and predictor make of inputs."""

    latents: Tensor
    deviations: Tensor
    outputs: Tensor
    """`(batch, classes)`, what is explained."""
    predicted: Tensor
    """`(batch,)`, which of them is explained of each example."""

    def rows(self, which: slice) -> "_Seen":
        return _Seen(*(tensor[which] for tensor in self))


def _seen(code: Code, predictor: Predictor, inputs: Tensor) -> _Seen:
    with torch.no_grad():
        latents, deviations = encode(code, inputs)
    logits = predictor.in_batches(inputs, BATCH)
    outputs = predictor.select(logits)
    classes = predictor.task != "regression" and outputs.shape[1] > 1
    predicted = decisions(logits) if classes else torch.zeros_like(logits[:, 0], dtype=torch.long)
    return _Seen(latents, deviations, outputs, predicted)


def _factors(
    seen: _Seen, predictor: Predictor, class_price: float, generator: torch.Generator | None
) -> Factors | None:
    """What the predictor tells apart; None where that is one thing, or nothing."""
    if predictor.task == "regression" or seen.outputs.shape[1] < 2:
        return None
    if float(seen.outputs.std(dim=0).max()) <= torch.finfo(seen.outputs.dtype).eps ** 0.5:
        warnings.warn(
            "`predictor` must vary over `inputs` to have factors. Got outputs that are all the "
            "same. The code keeps its own axes.",
            stacklevel=3,
        )
        return None
    if len(seen.predicted.unique()) == 1:
        warnings.warn(
            "`inputs` must be predicted as several classes for `class_price` to mean anything. Got "
            f"class {int(seen.predicted[0])} only. The axes are sparse, and may stand for classes.",
            stacklevel=3,
        )
    factors = predictor_factors(
        seen.outputs, seen.predicted, class_price=class_price, generator=generator
    )
    return factors if factors.scores.shape[1] > 1 else None


def _turn(latents: Tensor, factors: Factors | None, groups: tuple[tuple[int, ...], ...]) -> Tensor:
    if factors is None:
        return torch.eye(latents.shape[1], dtype=torch.float64, device=latents.device)
    return aligned(latents, factors.scores, groups)


def _along(
    code: AlongAxes, predictor: Predictor, inputs: Tensor, seen: _Seen, n_steps: int
) -> tuple[Tensor, Tensor]:
    """Attributions along axes to the predicted class, and how far each axis moves from its start.

    Returns:
        `(batch, latents)` each.
    """
    trim = Trim(predictor, Decoder(code))
    with torch.no_grad():
        coordinates = code.axes(seen.latents)
        start = code.axes(baseline_of(code.code, seen.latents))
    middle = stratified(torch.full((1, n_steps), 0.5, device=inputs.device, dtype=inputs.dtype))
    found = []
    for some, predicted in zip(coordinates.split(BATCH), seen.predicted.split(BATCH), strict=True):
        with torch.no_grad():
            contributions = path_contributions(
                trim, some, start, target=predicted, alphas=middle.expand(len(some), -1)
            )
        found.append(contributions.mean(dim=1))
    return torch.cat(found), coordinates - start


def _ordered(
    contributions: Tensor, moved: Tensor, predicted: Tensor, groups: tuple[tuple[int, ...], ...]
) -> Tensor:
    """Return the signed permutation to the order of evidence, each group within itself."""
    size = contributions.shape[1]
    members = torch.nn.functional.one_hot(predicted).to(moved)
    slopes = (members.T @ (contributions * moved)) / (members.T @ moved.pow(2)).clamp_min(1e-12)
    strongest = slopes.abs().argmax(dim=0, keepdim=True)
    sign = torch.where(slopes.gather(0, strongest)[0] < 0, -1.0, 1.0).double()
    share = contributions.abs().mean(dim=0)
    order = torch.arange(size, device=share.device)
    sign_of = torch.ones(size, dtype=torch.float64, device=share.device)
    for group in groups:
        index = torch.tensor(group, device=share.device)
        order[index] = index[share[index].argsort(descending=True)]
        sign_of[index] = sign[index]
    return torch.diag(sign_of)[order]


def _figures(
    contributions: Tensor, predicted: Tensor, fitted: int
) -> dict[str, tuple[float, float]]:
    """Figures of the axes on the fitted and the held-out examples (NaN where there are none)."""
    measures: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "effective_latents": lambda some, _: participation_ratio(some).nanmean(),
        "effective_latents_over_data": lambda some, _: participation_ratio(some.abs().mean(dim=0)),
        "class_dependence": class_dependence,
        "within_class_share": within_class_share,
    }

    def on(measure: Callable[[Tensor, Tensor], Tensor], side: slice) -> float:
        some, classes = contributions[side], predicted[side]
        return float(measure(some, classes)) if len(classes) > 1 else float("nan")

    return {
        name: (on(measure, slice(fitted)), on(measure, slice(fitted, None)))
        for name, measure in measures.items()
    }


def _check(inputs: Tensor, class_price: float, layer: Layer, held_out: float) -> None:
    if layer not in get_args(Layer):
        raise ValueError(
            f"`layer` must be one of {get_args(Layer)}. Got {layer!r}. Start with the default."
        )
    if not class_price >= 0:
        raise ValueError(f"`class_price` must be at least 0. Got {class_price}. Start with 1.")
    if not 0 <= held_out < 1:
        raise ValueError(f"`held_out` must be from 0 to below 1. Got {held_out}. Use 0.25.")
    if len(inputs) - round(held_out * len(inputs)) < 2:
        raise ValueError(
            f"`inputs` must be at least 2 beside those held out. Got {len(inputs)}. Pass 1,000."
        )
    if not bool(torch.isfinite(inputs).all()):
        raise ValueError("`inputs` must be finite. Got NaN or infinity. Clean them.")
