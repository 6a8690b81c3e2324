"""consensus(): several codes of the same data, each along its axes, and which axes recur."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from attributions.axes import Rotation
from attributions.axes.grouping import groups_of
from attributions.checks import check_mode, checked_predictor
from attributions.codes import Code, encode
from attributions.explanatory import Layer, explanatory_axes
from attributions.outputs import Explained, Task
from attributions.predictors import Function
from attributions.randomness import checked_seed
from attributions.replicas import frozen
from attributions.turned import seen_along
from trimvae.data.loading import Array
from trimvae.explanation.arguments import as_inputs, check_inputs
from trimvae.explanation.explaining import explain
from trimvae.recurrence.aligning import alignment, found_again, medoid, realigned
from trimvae.recurrence.result import Consensus

_FEWEST = 3  # examples: two always correlate


def consensus(
    codes: Sequence[Code],
    predictor: Function,
    inputs: Array,
    *,
    class_price: float = 1.0,
    least_correlation: float = 0.7,
    least_likeness: float = 0.5,
    layer: Layer | None = "rotation",
    held_out: float = 0.25,
    n_steps: int = 8,
    preprocess: Function | None = None,
    explained: Explained = "centred_logit",
    task: Task | None = None,
    seed: int = 0,
) -> Consensus:
    r"""Say which axes several codes of the same data have in common.

    Each code is turned to its explanatory axes (`attributions.explanatory_axes`), or seen as it
    is. The reference is the code whose used axes correlate best with those of the others, on
    average. Its axes are matched with those of every other code by |correlation| (Hungarian
    method), and one is found again where its match correlates with it and draws alike. What a
    single training happened to find is found nowhere else; what several find is in data and
    predictor.

    All figures are of the held-out inputs. Codes, predictor and inputs stay as they are, and the
    same call gives the same result.

    References:
        Duan et al.: Unsupervised Model Selection for Variational Disentangled Representation
        Learning, 2020, https://arxiv.org/abs/1905.12614 (a good code is one that other seeds find
        again); Kuhn: The Hungarian method for the assignment problem, 1955,
        https://doi.org/10.1002/nav.3800020109

    Args:
        codes: Two or more, each with `encode` and `decode`, of the same inputs: as a rule one
            model trained from several seeds. They may have different numbers of latents.
        predictor: Module, function or `attributions.Predictor`, as in `explain`.
        inputs: `(batch, *event)`, 1,000 or more, a tensor on the device and in the dtype of codes
            and predictor, a NumPy array or a DataFrame. No labels are used.
        class_price: What it costs that the class tells the axis; 0 asks for sparsity alone.
        least_correlation: |Correlation| with its match from which on an axis is found again.
        least_likeness: Likeness of what both draw from which on it is: |cosine| of the changes of
            the picture, from one standard deviation below an example to one above.
        layer: `"rotation"`, or `"linear"`: a rotation of the whitened latents. None: every code
            is seen as it is, along its own latents or along the axes that it was trained along.
        held_out: Share of the inputs, the last, that no axis is fitted to and all figures are of;
            0 for figures of all inputs.
        n_steps: Path points of the attributions.
        preprocess: Between decoder and predictor; default: none.
        explained: `"centred_logit"`, `"output"` or a `Contrast` of two classes.
        task: `"classification"` or `"regression"`; default: `"regression"` for a single output,
            else `"classification"`.
        seed: Of the search for axes.

    Returns:
        The consensus, which is itself a code: the reference along its axes. Its `summary` says in
        words whether the codes agree.

    Raises:
        TypeError: `codes` is a single code, one of them is no code, or predictor or outputs are of
            a wrong kind.
        ValueError: There are fewer than two codes, they are not codes of these inputs, an argument
            is out of range, or inputs are not finite or too few.
        RuntimeError: Decoder or predictor are not differentiable, or `torch.inference_mode` is on.

    Warns:
        UserWarning: There are fewer examples than latents squared; the predictor's outputs do not
            vary; or it predicts a single class.

    Examples:
        >>> from attributions.transforms import PrincipalComponents
        >>> inputs = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
        >>> codes = [PrincipalComponents(inputs, 4), PrincipalComponents(inputs, 4)]
        >>> found = consensus(codes, torch.nn.Linear(6, 5), inputs)
        >>> found.found_in.tolist(), found.encode(inputs).shape == (400, 4)
        ([2, 2, 2, 2], True)
    """
    check_mode("consensus")
    seed = checked_seed(seed)
    codes = _checked_codes(codes)
    _check_bound("least_correlation", least_correlation, 0.7)
    _check_bound("least_likeness", least_likeness, 0.5)
    points = as_inputs(inputs, codes[0])
    for place, code in enumerate(codes):
        _check_event(code, place, points)
    frozen_predictor = checked_predictor(
        predictor, points[:8], preprocess=preprocess, explained=explained, task=task
    )
    turned = [
        _as_it_is(_copied(code), points)
        if layer is None
        else explanatory_axes(
            _copied(code),
            frozen_predictor,
            points,
            class_price=class_price,
            layer=layer,
            held_out=held_out,
            n_steps=n_steps,
            generator=torch.Generator().manual_seed(seed),
        )
        for code in codes
    ]
    seen = [
        explain(code, frozen_predictor, _held_out(points, held_out), n_steps=n_steps)
        for code in turned
    ]
    reference = medoid(seen)
    beside = [seen[reference].compare(other) for other in seen]
    aligned = [
        alignment(turned[place].axes, seen[reference], seen[place], beside[place].matched)
        for place in range(len(codes))
    ]
    return Consensus(
        [realigned(code, each) for code, each in zip(turned, aligned, strict=True)],
        reference,
        found_again(seen, reference, beside, aligned),
        (least_correlation, least_likeness),
    )


def _checked_codes(codes: Sequence[Code]) -> list[Any]:
    """Return the codes as a list, once there are several, and all of them are codes."""
    if not isinstance(codes, Sequence | nn.ModuleList) or isinstance(codes, str):
        raise TypeError(
            f"`codes` must be a list of codes. Got {type(codes).__name__}. Write [code, other], of "
            "two trainings."
        )
    for place, code in enumerate(codes):
        if not all(callable(getattr(code, verb, None)) for verb in ("encode", "decode")):
            raise TypeError(
                "`codes` must all have the methods encode and decode. Got "
                f"{type(code).__name__} at place {place}. Pass VAEs or transforms; the predictor "
                "comes after them."
            )
    if len(codes) < 2:
        raise ValueError(
            f"`codes` must be at least two. Got {len(codes)}. Train the same code from another "
            "seed as well."
        )
    return list(codes)


def _check_event(code: Any, place: int, inputs: Tensor) -> None:
    """Refuse inputs that do not fit a code, and a code of other inputs."""
    wanted = tuple(inputs.shape[1:])
    found = tuple(getattr(code, "event_shape", None) or wanted)
    if found == wanted:
        check_inputs(code, inputs)
        asked = frozen(code)
        with torch.no_grad():
            found = tuple(asked.decode(encode(asked, inputs[:2]).latents).shape[1:])
    if found != wanted:
        raise ValueError(
            f"`codes` must all be codes of `inputs`, of shape {wanted}. Got one of {found} "
            f"at place {place}. Leave it out, or pass the inputs that it was trained on."
        )


def _check_bound(name: str, value: float, default: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"`{name}` must be from 0 to 1. Got {value}. Use {default}.")


def _copied(code: Any) -> Any:
    """A copy in eval mode that no later training of the caller's code reaches."""
    return copy.deepcopy(frozen(code)) if isinstance(code, nn.Module) else code


def _as_it_is(code: Any, inputs: Tensor) -> Any:
    """The code along the axes that it has, or else along its own latents."""
    if getattr(code, "axes", None) is not None:
        return code
    asked: Any = frozen(code)
    with torch.no_grad():
        size = encode(asked, inputs[:2]).latents.shape[1]
    own = Rotation(size, groups_of(asked, size))
    return seen_along(code, own)


def _held_out(inputs: Tensor, share: float) -> Tensor:
    """The inputs that figures are of: those that no axis is fitted to, or all."""
    count = round(share * len(inputs)) or len(inputs)
    if count < _FEWEST:
        raise ValueError(
            f"`inputs` must leave at least {_FEWEST} examples held out. Got {len(inputs)}, of "
            f"which held_out={share} leaves {count}. Pass 1,000."
        )
    return inputs[-count:]
