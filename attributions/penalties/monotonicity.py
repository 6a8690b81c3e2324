"""Each latent moves the output in one direction."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attributions.penalties.protocol import Penalty, Step, tiny


def turning_back(contributions: Tensor) -> Tensor:
    r"""Share of movement that is undone along the path: $1 - \sum |\bar c| / \sum \overline{|c|}$.

    Between 0 (every latent moves the output in one direction, whichever) and 1. Sums run over
    examples and latents before the division, so that a latent counts by how much it moves the
    output; the mean of per-latent ratios is dominated by latents that move nothing and was
    measured to change only the cost. A figure of the whole batch, as `gini` is.

    Args:
        contributions: `(batch, n_steps, latents)`.

    Returns:
        Scalar; one minus `measures.monotonicity`.
    """
    net = contributions.mean(dim=1).abs().sum()
    return 1 - net / contributions.abs().mean(dim=1).sum().clamp_min(tiny(contributions))


def against_sign(contributions: Tensor, sign: Tensor) -> Tensor:
    r"""Share of movement against the wanted directions: $\sum (-s_i c)_+ \,/\, \sum |c|$.

    Args:
        contributions: `(batch, n_steps, latents)`.
        sign: `(latents,)` or `(batch, latents)` of +1 (should raise the output), -1 (should
            lower it) or 0 (free).

    Returns:
        Scalar in [0, 1].
    """
    sign = sign.to(contributions).reshape(-1, 1, contributions.shape[-1])
    wrong = torch.relu(-sign * contributions).sum()
    return wrong / contributions.abs().sum().clamp_min(tiny(contributions))


@dataclass(frozen=True, kw_only=True)
class Monotonicity(Penalty):
    """Each latent moves the output in one direction along the path.

    Args:
        weight: Factor in the loss.
        sign: `(latents,)` of +1, -1 or 0 where directions are known (`against_sign`);
            default: free (`turning_back`).

    Raises:
        ValueError: The weight is negative.
    """

    weight: float = 20.0
    sign: tuple[int, ...] | None = None
    name: ClassVar[str] = "monotonicity"

    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty of a training step, a scalar."""
        contributions = step.contributions
        if self.sign is None:
            return turning_back(contributions)
        if len(self.sign) != contributions.shape[-1]:
            raise ValueError(
                f"`sign` must have one entry per latent ({contributions.shape[-1]}). "
                f"Got {len(self.sign)}. Use 0 for latents whose direction is free."
            )
        return against_sign(contributions, contributions.new_tensor(self.sign))
