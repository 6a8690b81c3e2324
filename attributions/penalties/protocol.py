r"""What a penalty is: a name, a weight, and one call on a training step.

A penalty makes a code explainable when it stands in a loss. It sees a `Step`: the predictor behind
the decoder, the latents, and their contributions along the path from the baseline. The functions
beside each penalty are pure and can be used alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from attributions.methods.gradients import path_contributions
from attributions.trim import Trim


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a training step hands to a penalty."""

    trim: Trim
    encode: Callable[[Tensor], Tensor]
    """Inputs to posterior means."""
    inputs: Tensor
    """`(examples, *event)`."""
    latents: Tensor
    """`(examples, latents)`, samples of the posterior."""
    target: Tensor | int
    """`(examples,)`, the predicted classes; 0 for a single output."""
    alphas: Tensor
    """`(examples, n_steps)`, where on the path contributions are taken."""
    generator: torch.Generator | None = None
    """Of whatever a penalty draws."""
    residual: Tensor | None = None
    """`(examples, *event)`, held fixed along paths; None for none."""
    baselines: Tensor | None = None
    """`(examples, latents)`, where paths start; None for 0, a normal prior's mean."""

    @property
    def classes(self) -> Tensor:
        """`(examples,)`, the classes explained; one and the same for a single output."""
        if isinstance(self.target, Tensor):
            return self.target
        return torch.full((len(self.latents),), self.target, device=self.latents.device)

    @cached_property
    def contributions(self) -> Tensor:
        """`(examples, n_steps, latents)`, see `attributions.path_contributions`."""
        return path_contributions(
            self.trim,
            self.latents,
            self.baselines,
            target=self.target,
            additional_forward_args=self.residual,
            alphas=self.alphas,
        )


@dataclass(frozen=True, kw_only=True)
class Penalty(ABC):
    """What can stand in `penalties=`; subclass it for your own, and give it a `name`.

    Args:
        weight: Factor in the loss; 0 logs the penalty only.

    Raises:
        ValueError: The weight is negative or NaN.

    Examples:
        >>> class Size(Penalty):
        ...     name = "size"
        ...
        ...     def __call__(self, step):
        ...         return step.latents.pow(2).mean()
        >>> Size(weight=2.0).weight
        2.0
    """

    name: ClassVar[str]
    """What its value is logged as."""
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Check the weight."""
        if not self.weight >= 0:
            raise ValueError(
                f"`weight` must be at least 0. Got {self.weight}. Use 0 to log a penalty only."
            )

    @abstractmethod
    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty of a training step, a scalar."""


def check_penalties(penalties: Sequence[Any]) -> tuple[Penalty, ...]:
    """Return the penalties, or raise a TypeError for the first that is none.

    Whatever has `name`, `weight` and a call is one.
    """
    if not isinstance(penalties, Sequence) or isinstance(penalties, str):
        raise TypeError(
            "`penalties` must be a list of penalties. Got "
            f"{penalties!r}. Write e.g. penalties=[attributions.Sparsity(weight=6)]."
        )
    for penalty in penalties:
        if isinstance(penalty, type) or not (
            callable(penalty) and hasattr(penalty, "name") and hasattr(penalty, "weight")
        ):
            raise TypeError(
                "`penalties` must be penalties: a name, a weight and a call on a step. Got "
                f"{penalty!r}. Make one, e.g. attributions.Sparsity(weight=6)."
            )
    return tuple(penalties)


def weighted_sum(
    penalties: Sequence[Penalty], step: Step, terms: dict[str, Tensor], factor: float = 1.0
) -> Tensor:
    """All penalties at a training step, each with its weight and a common factor: a scalar.

    Args:
        penalties: Any number of them.
        step: What they see.
        terms: Receives each one's unweighted value by its name.
        factor: Common to all.
    """
    total = step.latents.new_zeros(())
    for penalty in penalties:
        terms[penalty.name] = penalty(step)
        total = total + factor * penalty.weight * terms[penalty.name]
    return total


def tiny(tensor: Tensor) -> float:
    """Return what keeps a quotient or logarithm finite in the tensor's precision."""
    return 1e-12 if tensor.dtype in (torch.float32, torch.float64) else 1e-6
