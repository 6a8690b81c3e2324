"""Few latents explain why this class *rather than that one*."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from attributions.methods.gradients import path_contributions
from attributions.penalties.protocol import Penalty, Step
from attributions.penalties.sparsity import path_l1_over_l2

Opponent = Literal["runner_up", "random"]


def opponents(
    outputs: Tensor,
    target: Tensor,
    opponent: Opponent = "runner_up",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Another class for each example, to be told apart from its own.

    Args:
        outputs: `(batch, classes)`, of two classes or more.
        target: `(batch,)`, the classes explained.
        opponent: `"runner_up"`, the likeliest other class, or `"random"`, any other.
        generator: Of random ones; default: torch's global one.

    Returns:
        `(batch,)`, never the target.

    Examples:
        >>> outputs = torch.tensor([[3.0, 1.0, 2.0]])
        >>> opponents(outputs, torch.tensor([0])).tolist()
        [2]
    """
    count = outputs.shape[1]
    if opponent == "random":
        steps = torch.randint(
            1, count, target.shape, generator=generator, device=target.device, dtype=target.dtype
        )
        return (target + steps) % count
    others = outputs.scatter(1, target.unsqueeze(1), -torch.inf)
    return others.argmax(dim=1)


@dataclass(frozen=True, kw_only=True)
class ContrastSparsity(Penalty):
    """Few latents tell each predicted class from another; `path_l1_over_l2` of their contrast.

    The contrast is contributions to the predicted class less those to an opponent. What speaks for
    both alike does not count, so that this asks for what differs between neighbouring classes.
    Of a single output it is that of `Sparsity`.

    Args:
        weight: Factor in the loss.
        opponent: `"runner_up"`, the likeliest other class, or `"random"`, any other.

    Raises:
        ValueError: The weight is negative, or the opponent unknown.
    """

    weight: float = 6.0
    opponent: Opponent = "runner_up"
    name: ClassVar[str] = "contrast_sparsity"

    def __post_init__(self) -> None:
        """Check the arguments."""
        super().__post_init__()
        if self.opponent not in get_args(Opponent):
            raise ValueError(
                f"`opponent` must be one of {get_args(Opponent)}. Got {self.opponent!r}. "
                "Start with the default."
            )

    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty of a training step, a scalar."""
        if not isinstance(step.target, Tensor):
            return path_l1_over_l2(step.contributions)
        with torch.no_grad():
            outputs = step.trim(step.latents, step.residual)
            other = opponents(outputs, step.target, self.opponent, step.generator)
        against = path_contributions(
            step.trim,
            step.latents,
            step.baselines,
            target=other,
            additional_forward_args=step.residual,
            alphas=step.alphas,
        )
        return path_l1_over_l2(step.contributions - against)
