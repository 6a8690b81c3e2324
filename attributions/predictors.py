"""A predictor as it is explained: frozen, in eval mode, apart from the caller's module."""

import types
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from attributions.black_boxes import BlackBox, as_function, is_black_box
from attributions.outputs import (
    Explained,
    Task,
    are_label_probabilities,
    are_probabilities,
    as_logits,
    as_outputs,
    check_explained,
    check_task,
    select,
)
from attributions.replicas import frozen
from attributions.saying import said_of

Function = Callable[..., Any]


class Predictor(nn.Module):
    """A frozen predictor with all that is said about it, made once and then passed on.

    A module is explained through a replica (`attributions.replicas.frozen`): the caller's own is
    never changed. The predictor is given copies of its inputs, so that one that works in place
    reaches nobody's tensors. It stays in eval mode, whatever `train` is called on.

    Args:
        function: Trained module or function, inputs `(batch, *event)` to outputs
            `(batch, classes)`, `(batch, 1)` or `(batch,)`; also a tuple, or a mapping or object
            with `logits`. Or a predictor without gradient: a `black_box`, or an estimator or
            pipeline of scikit-learn.
        preprocess: Applied to the inputs first: a resize, three channels, mean and deviation.
        explained: `"output"`, the predictor's own output; `"centred_logit"`, the logit minus the
            mean logit of the example (labels, which do not compete, are never centred); or a
            `Contrast` of two classes.
        probabilities: Whether the predictor ends in a softmax, or for labels and a single output
            in a sigmoid. Then the logarithms are taken, or those of the odds.
        task: `"classification"`, `"multilabel"` or `"regression"`.
        label: Which output alone is looked at, as the logit of yes or no; default: all are.
        apart: Whether the weights of modules are copied, so that they stay what they are now;
            default: they are shared, and follow an optimiser.

    Raises:
        TypeError: `function` or `preprocess` cannot be called.
        ValueError: `explained` or `task` is not one of the known forms.

    Examples:
        >>> network = nn.Sequential(nn.Linear(6, 3), nn.Dropout())
        >>> predictor, inputs = Predictor(network), torch.randn(5, 6)
        >>> torch.equal(predictor(inputs), network.eval()(inputs))
        True
    """

    def __init__(
        self,
        function: Function,
        *,
        preprocess: Function | None = None,
        explained: Explained = "output",
        probabilities: bool = False,
        task: Task = "classification",
        label: int | None = None,
        apart: bool = False,
    ) -> None:
        super().__init__()
        function = as_function(function)
        _check_callable("predictor", function)
        if preprocess is not None:
            _check_callable("preprocess", preprocess)
        check_explained(explained)
        check_task(task)
        # In a tuple: the caller's modules are not parts of this one.
        self.original = (function, preprocess)
        self.function = _registered(frozen(function, apart=apart))
        self.preprocess = _registered(frozen(preprocess, apart=apart))
        self.apart = apart
        centred = explained == "centred_logit" and task == "multilabel"
        self.explained: Explained = "output" if centred else explained
        self.probabilities = probabilities
        self.task = task
        self.label = label
        super().train(False)

    def train(self, mode: bool = True) -> "Predictor":
        """Stay in eval mode."""
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits at inputs `(batch, *event)`, differentiable in them: `(batch, classes)`.

        In no lower precision than `inputs`, also under autocast.
        """
        precision = inputs.dtype
        inputs = inputs.clone()
        if self.preprocess is not None:
            with said_of("preprocess", self.original[1]):
                inputs = self.preprocess(inputs)
        logarithms = self._logarithms(inputs)
        if logarithms is not None:
            return logarithms
        outputs = as_outputs(self._asked(inputs))
        outputs = outputs.to(torch.promote_types(outputs.dtype, precision))
        if self.label is not None:
            if not 0 <= self.label < outputs.shape[1]:
                raise ValueError(
                    f"`label` must be from 0 to {outputs.shape[1] - 1}. Got {self.label}. Choose "
                    "an output that the predictor has."
                )
            outputs = outputs[:, self.label].unsqueeze(1)
        of_labels = outputs.shape[1] == 1 or self.task == "multilabel"
        if self.probabilities and self.is_black_box:
            # Of a label 0 means rarely, and 1 nearly always.
            least = self.least_probability
            outputs = outputs.clamp(least, 1 - least if of_labels else None)
        return as_logits(outputs, self.probabilities, of_labels=of_labels)

    def _logarithms(self, inputs: Tensor) -> Tensor | None:
        """Of a black box whose probabilities of classes come from scores; None of all others."""
        box, one_holds = self.original[0], self.task != "multilabel" and self.label is None
        if self.probabilities and one_holds and isinstance(box, BlackBox):
            return box.logarithms(inputs)
        return None

    def _asked(self, inputs: Tensor) -> Any:
        if self.is_black_box:  # which says itself what is its function's
            return self.function(inputs)
        with said_of("predictor", self.original[0]):
            return self.function(inputs)

    def in_batches(self, inputs: Tensor, batch_size: int = 512) -> Tensor:
        """Logits without a graph, a few hundred examples at a time: `(batch, classes)`."""
        with torch.no_grad():
            return torch.cat([self(batch) for batch in inputs.split(batch_size)])

    @property
    def is_black_box(self) -> bool:
        """Whether it has no gradient, so that only methods without one can explain it."""
        return is_black_box(self.original[0])

    @property
    def least_probability(self) -> float:
        """The least that its probabilities tell from 0: of a black box that counts votes .001."""
        function = self.original[0]
        return function.least if isinstance(function, BlackBox) else 0.0

    def select(self, logits: Tensor) -> Tensor:
        """What is explained of logits `(batch, outputs)`: `(batch, classes)`."""
        return select(logits, self.explained)

    def like(self, function: Function, *, apart: bool = False) -> "Predictor":
        """Return another predictor of which the same is explained, behind the same preprocess."""
        return Predictor(
            function,
            preprocess=self.original[1],
            explained=self.explained,
            probabilities=self.probabilities,
            task=self.task,
            label=self.label,
            apart=apart,
        )

    def of_label(self, label: int) -> "Predictor":
        """Return the same predictor as one that decides on a label alone, yes or no.

        Args:
            label: The number of its output.

        Examples:
            >>> network, inputs = nn.Linear(4, 3), torch.randn(5, 4)
            >>> alone = Predictor(network, task="multilabel").of_label(2)
            >>> torch.equal(alone(inputs), network(inputs)[:, 2:])
            True
        """
        return Predictor(
            self.original[0],
            preprocess=self.original[1],
            probabilities=self.probabilities,
            label=label,
            apart=self.apart,
        )

    def as_now(self) -> "Predictor":
        """Return one whose weights stay what they are now, whoever trains the caller's modules."""
        return self if self.apart else self.like(self.original[0], apart=True)


def as_predictor(function: Function) -> Predictor:
    """Return a `Predictor` as it is, and anything else frozen into one with the defaults."""
    return function if isinstance(function, Predictor) else Predictor(function)


def gives_probabilities(predictor: Predictor, outputs: Tensor, inputs: Tensor) -> bool:
    """Whether outputs are probabilities: of classes, of labels, or of a single output's yes.

    Args:
        predictor: Asked again, where all outputs lie between 0 and 1, at random inputs far from
            these: there logits do not.
        outputs: Its own at the inputs, `(batch, classes)`.
        inputs: `(batch, *event)`.
    """
    if predictor.task != "multilabel" and (outputs.shape[1] > 1 or predictor.task == "regression"):
        return are_probabilities(outputs)
    if not are_label_probabilities(outputs):
        return False
    device, dtype, event = inputs.device, inputs.dtype, inputs.shape[1:]
    generator = torch.Generator(device=device).manual_seed(0)
    random = torch.randn(8, *event, device=device, dtype=dtype, generator=generator)
    return are_label_probabilities(predictor.in_batches(10 * inputs.abs().max() * random))


def _check_callable(argument: str, function: object) -> None:
    found, remedy = type(function).__name__, "Pass what maps inputs to outputs."
    if isinstance(function, type):
        found, remedy = f"the class {function.__name__}", "Make one, and pass that."
    elif isinstance(function, Mapping):
        remedy = "If these are weights, give them to their module with load_state_dict; pass that."
    elif function is None:
        remedy = "A function that makes it must return it."
    elif isinstance(function, nn.Module) and _has_no_forward(function):
        found, remedy = f"{found}, which has no forward", "Wrap it in a module that has one."
    elif isinstance(function, nn.Module) and any(map(is_lazy, function.parameters())):
        found, remedy = f"{found}, which has no weights yet", "Call it once, on a batch of inputs."
    elif _is_exported(function):
        remedy = "Pass a function that calls its module: exported = program.module(), and then "
        found, remedy = "an exported program", f"{remedy}lambda inputs: exported(inputs)."
    elif callable(function):
        return
    raise TypeError(f"`{argument}` must be a module or a function. Got {found}. {remedy}")


def _is_exported(function: object) -> bool:
    """Whether `torch.export` made it: a program, or its module, which cannot be set to eval."""
    own = getattr(function, "__dict__", {}).get("train")
    made = getattr(own, "__func__", type(function))
    return made.__module__ == "torch.export.exported_program"


def _has_no_forward(module: nn.Module) -> bool:
    """Whether it has `nn.Module`'s own, which refuses; a compiled or scripted module keeps one."""
    return getattr(module.forward, "__func__", None) is nn.Module.forward


class _Method(nn.Module):
    """A module's method, so that the module is found, moved and hooked as a part."""

    def __init__(self, owner: nn.Module, method: Function) -> None:
        super().__init__()
        self.owner, self._method = owner, method

    def forward(self, *arguments: Any) -> Any:
        return self._method(self.owner, *arguments)


def _registered(function: Any) -> Any:
    if isinstance(function, types.MethodType) and isinstance(function.__self__, nn.Module):
        return _Method(function.__self__, function.__func__)
    return function
