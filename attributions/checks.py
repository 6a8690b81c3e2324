"""Refusing what cannot be explained, and saying why."""

import warnings
from collections.abc import Iterator
from numbers import Integral

import torch
from torch import Tensor, nn

from attributions.answers import repeats, stands_alone
from attributions.black_boxes import LEAST_PROBABILITY
from attributions.outputs import Contrast, Explained, Task, lost_by_centring
from attributions.predictors import Function, Predictor, gives_probabilities
from attributions.randomness import undisturbed


def checked_predictor(
    predictor: Function,
    inputs: Tensor,
    *,
    preprocess: Function | None = None,
    explained: Explained = "output",
    task: Task | None = None,
    gradient: bool = True,
    labels: bool = False,
    apart: bool = False,
    stacklevel: int = 2,
) -> Predictor:
    """Freeze a predictor for explanation, or refuse it and say why.

    The frozen predictor is called a few times on `inputs`. The caller's module, the inputs and the
    random generators are left as they were.

    Args:
        predictor: Module or function to be explained, inputs `(batch, *event)` to outputs
            `(batch, classes)`, `(batch, 1)` or `(batch,)`; an `attributions.predictors.Predictor`
            is taken as it is, and the options below are then its own.
        inputs: A few examples, `(batch, *event)`.
        preprocess: Applied to the inputs first.
        explained: `"output"`, the predictor's own output; `"centred_logit"`, the logit minus the
            mean logit of the example; or a `Contrast` of two classes.
        task: default: `"regression"` for a single output and `"classification"` for several.
        gradient: Whether a gradient is needed.
        labels: Whether a predictor of several labels can be asked as a whole.
        apart: Whether its weights are copied, so that it stays what it is now while another thread
            trains it; default: it shares and follows them.
        stacklevel: Of the warning about probabilities, as in `warnings.warn`; 1 names the caller
            of this function.

    Returns:
        The predictor; one that ends in a softmax gives logarithms of its probabilities, one that
        ends in a sigmoid those of their odds.

    Raises:
        TypeError: The predictor cannot be called, or its outputs are not a floating-point tensor.
        ValueError: Device or dtype differ from those of the inputs; the outputs have another
            batch size, are not finite, change from call to call in eval mode, or with the other
            examples of the batch; `task` is unknown, or `"multilabel"` where one decision is asked
            for; or options contradict a `Predictor`.
        RuntimeError: A gradient is needed and does not arrive at the inputs, or gradients are
            switched off by `torch.inference_mode`.

    Warns:
        UserWarning: The predictor has a gradient and ends in a softmax, or, of labels and of a
            single output that decides, in a sigmoid; or centring its logits loses them.
    """
    check_mode("predictor")
    if isinstance(predictor, Predictor):
        _check_options(predictor, preprocess, explained, task)
        _check_decides(predictor.task, explained=predictor.explained, labels=labels)
        if gradient:
            _check_no_black_box(predictor)
        return predictor.as_now() if apart else predictor
    _check_decides(task, explained=explained, labels=labels)
    _check_placement(predictor, inputs)
    made = Predictor(
        predictor,
        preprocess=preprocess,
        explained=explained,
        task=task or "classification",
        apart=apart,
    )
    if gradient:
        _check_no_black_box(made)
    buffers = {name: buffer.clone() for name, buffer in made.named_buffers()}
    point = inputs.detach().clone().requires_grad_()
    # Not a fork of its own: it would set back the generators that another thread draws from.
    with undisturbed(0, inputs.device), torch.enable_grad():
        outputs = made(point)
        again = made.in_batches(inputs.detach(), len(inputs))
    after = dict(made.named_buffers())
    changed = [
        name.partition(".")[2]
        for name, before in buffers.items()
        if not _same(before, after.get(name, before))
    ]
    _check_outputs(outputs.detach(), again, inputs, changed)
    if gradient:
        with torch.enable_grad():
            _check_gradient(outputs, point)
    made.task = task or ("classification" if outputs.shape[1] > 1 else "regression")
    _check_alone(made, inputs.detach())
    made.probabilities = gives_probabilities(made, outputs.detach(), inputs.detach())
    made.select(outputs.detach())  # refuses a contrast of classes that do not exist
    for text in _doubts(made, outputs.detach(), inputs):
        warnings.warn(text, UserWarning, stacklevel=stacklevel + 1)
    return made


def _doubts(made: Predictor, outputs: Tensor, inputs: Tensor) -> Iterator[str]:
    """What a caller must know of a predictor that can be explained."""
    logits = made.in_batches(inputs) if made.probabilities else outputs
    if made.probabilities and not made.is_black_box:
        several = made.task != "multilabel" and outputs.shape[1] > 1
        kind, taken = ("softmax", "logarithms") if several else ("sigmoid", "logarithms of odds")
        yield (
            f"`predictor` ends in a {kind}: its outputs are probabilities. Their {taken} are "
            "explained instead, since attributions of saturated probabilities vanish. "
            "Return the logits to silence this."
        )
    rare = outputs[(outputs > 0) & (outputs < LEAST_PROBABILITY / 100)]
    if made.probabilities and made.least_probability and len(rare):
        yield (
            f"`predictor` must mean probabilities of {LEAST_PROBABILITY} or more. Got one of "
            f"{float(rare.min()):.2g}, which is explained as {LEAST_PROBABILITY}, since a forest "
            "means rarely by 0. Pass its scores or logarithms, such as "
            "black_box(model.predict_log_proba)."
        )
    if made.explained == "centred_logit" and lost_by_centring(logits):
        yield (
            "`predictor` must have logits of one size for their mean to be taken off. Got a "
            f"smallest one of {float(logits.min()):.3g}, which rounds the others away in "
            f"{outputs.dtype}. Explain the output itself (explained='output') or a Contrast."
        )


def _check_decides(task: Task | None, *, explained: Explained, labels: bool) -> None:
    """Raise a ValueError where labels are decided one by one, and one decision is asked for."""
    if task != "multilabel":
        return
    if not labels:
        raise ValueError(
            "`task` must be 'classification' or 'regression' here. Got 'multilabel', whose labels "
            "are decided one by one. Use explain_labels, or Predictor(...).of_label(number)."
        )
    if isinstance(explained, Contrast):
        raise ValueError(
            f"`explained` must not be a Contrast of labels. Got {explained}, and labels do not "
            "exclude each other. Leave it out."
        )


def _check_no_black_box(predictor: Predictor) -> None:
    if predictor.is_black_box:
        raise RuntimeError(
            "`predictor` must have a gradient here. Got a black box or an estimator of "
            "scikit-learn, which has none. Explain it with method=exact_shapley, or Captum's "
            "KernelShap, ShapleyValueSampling, FeatureAblation or Lime; train a code through a "
            "network that imitates it."
        )


def _check_options(
    predictor: Predictor, preprocess: Function | None, explained: Explained, task: Task | None
) -> None:
    """Raise a ValueError where an option that was surely asked for is not the Predictor's own."""
    if preprocess is not None:
        raise ValueError(
            "`preprocess` must be given to the Predictor itself. Got a Predictor and another "
            "preprocess beside it. Write Predictor(function, preprocess=...)."
        )
    asked = {"task": task, "explained": explained if isinstance(explained, Contrast) else None}
    for option, value in asked.items():
        own = getattr(predictor, option)
        if value is not None and value != own:
            raise ValueError(
                f"`{option}` must be given to the Predictor itself. Got a Predictor with {own!r} "
                f"and {value!r} beside it. Write Predictor(function, {option}=...)."
            )


def check_mode(argument: str) -> None:
    """Raise a RuntimeError under `torch.inference_mode`, which no `enable_grad` can undo."""
    if torch.is_inference_mode_enabled():
        raise RuntimeError(
            f"`{argument}` must be asked outside torch.inference_mode(), under which there are no "
            "gradients. Got a call inside it. Leave that block; torch.no_grad() does no harm."
        )


def check_apart(predictor: Function, code: nn.Module) -> None:
    """Raise a ValueError that names the first parameter that predictor and code share.

    Training the code would otherwise train the predictor that it is to explain. A replica that
    shares the storage of a parameter shares the parameter.
    """
    own = {_place(parameter): name for name, parameter in code.named_parameters()}
    asked = predictor.original if isinstance(predictor, Predictor) else (predictor,)
    for function in asked:
        module = getattr(function, "__self__", function)  # a method's own
        if not isinstance(module, nn.Module):
            continue
        for name, parameter in module.named_parameters():
            if _place(parameter) in own:
                raise ValueError(
                    f"`predictor` must not share parameters with the code. Got {name!r}, which is "
                    f"the code's {own[_place(parameter)]!r}: training the code would change the "
                    "predictor. Pass a copy, e.g. copy.deepcopy(predictor)."
                )


def _place(parameter: Tensor) -> int:
    """Whose memory a parameter's numbers lie in; without any, which object it is."""
    return parameter.untyped_storage().data_ptr() or id(parameter)


def _same(left: Tensor, right: Tensor) -> bool:
    return torch.equal(torch.nan_to_num(left), torch.nan_to_num(right))


def _check_placement(predictor: Function, inputs: Tensor) -> None:
    if not isinstance(predictor, nn.Module):
        return
    for parameter in predictor.parameters():
        if parameter.device != inputs.device:
            raise ValueError(
                "`predictor` must be on the device of the inputs. Got a predictor on "
                f"{parameter.device} and inputs on {inputs.device}. "
                f"Call predictor.to('{inputs.device}')."
            )
        if parameter.is_floating_point() and parameter.dtype != inputs.dtype:
            raise ValueError(
                "`predictor` must have the dtype of the inputs. Got a predictor in "
                f"{parameter.dtype} and inputs in {inputs.dtype}. "
                "Convert one of the two, or convert inside `preprocess`."
            )


def _check_outputs(outputs: Tensor, again: Tensor, inputs: Tensor, changed: list[str]) -> None:
    if len(outputs) != len(inputs):
        raise ValueError(
            "`predictor` must return one row of outputs per example. "
            f"Got {len(outputs)} rows for {len(inputs)} examples. "
            "Keep the batch dimension first."
        )
    if not torch.isfinite(outputs).all():
        raise ValueError(
            "`predictor` must return finite outputs. Got NaN or infinity. "
            "Check its weights and the range of its inputs (see `preprocess`)."
        )
    if changed or not repeats(outputs, again):
        what = f"buffers that changed ({', '.join(changed)})" if changed else "other outputs"
        raise ValueError(
            "`predictor` must not change in eval mode. Got "
            f"{what} when it was called twice on the same inputs. "
            "Use nn.Dropout and nn.BatchNorm as modules, so that eval() reaches them."
        )


def _check_alone(made: Predictor, inputs: Tensor) -> None:
    if not stands_alone(made.in_batches, inputs):
        raise ValueError(
            "`predictor` must answer for each example alone. Got other outputs for the same "
            "examples when others were beside them. Call eval() on modules that a function uses; "
            "take means and deviations over the training data, none over the batch."
        )


def _check_gradient(outputs: Tensor, point: Tensor) -> None:
    gradient = None
    if outputs.requires_grad:
        # A random combination of outputs: the plain sum of a softmax is constant.
        weights = torch.linspace(-1, 2, outputs.numel(), dtype=torch.float32, device=outputs.device)
        (gradient,) = torch.autograd.grad(
            (outputs * weights.view_as(outputs).to(outputs)).sum(),
            point,
            allow_unused=True,
        )
    if gradient is None:
        raise RuntimeError(
            "`predictor` must be differentiable. Got outputs that no gradient connects with the "
            "inputs. Remove argmax, rounding, `.detach()` and `torch.no_grad()` from its forward "
            "pass (and from `preprocess`)."
        )
    if not torch.isfinite(gradient).all():
        raise ValueError(
            "`predictor` must have finite gradients. Got NaN or infinity at the inputs. "
            "Look for a division or logarithm at zero."
        )


def check_counts(**counts: int) -> None:
    """Raise a TypeError or ValueError unless every count is a whole number of at least 1."""
    for name, value in counts.items():
        if not isinstance(value, Integral):
            raise TypeError(f"`{name}` must be a whole number. Got {value!r}. Use the default.")
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1. Got {value}. Use the default.")
