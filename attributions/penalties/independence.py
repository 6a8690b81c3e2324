"""Moving one latent moves no other when encoded again."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attributions.penalties.protocol import Penalty, Step
from attributions.predictors import Function


def pointwise_independence(encode: Function, decode: Function, inputs: Tensor) -> Tensor:
    r"""Mean over examples of $\sum_{i \ne j} |\partial z'_i / \partial z_j|$.

    $$ z = E(x), \qquad z'(z) = E(D(z) + r), \qquad r = x - D(E(x)) \text{ held fixed} $$

    A latent that is moved and encoded again should not move the others. Reverse mode, once per
    latent: take few examples.

    References:
        Singh et al., local-vae, https://github.com/csinva/local-vae

    Args:
        encode: Inputs to posterior means `(batch, latents)`.
        decode: Latents to inputs.
        inputs: `(batch, *event)`.

    Returns:
        Scalar, 0 at best.
    """
    latents = encode(inputs)
    # The residual is fixed while latents move, yet the penalty's gradient is that of the whole.
    move = torch.zeros_like(latents).requires_grad_()
    again = encode(decode(latents + move) + (inputs - decode(latents)))
    size = latents.shape[1]
    rows = [
        torch.autograd.grad(again[:, row].sum(), move, create_graph=True)[0] for row in range(size)
    ]
    jacobian = torch.stack(rows, dim=1)
    others = ~torch.eye(size, dtype=torch.bool, device=latents.device)
    return (jacobian.abs() * others).sum(dim=(1, 2)).mean()


@dataclass(frozen=True, kw_only=True)
class Independence(Penalty):
    """Moving one latent moves no other when encoded again; see `pointwise_independence`.

    Args:
        weight: Factor in the loss.
        examples: How many of the step's examples to look at.
    """

    examples: int = 8
    name: ClassVar[str] = "independence"

    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty."""
        return pointwise_independence(step.encode, step.trim.decode, step.inputs[: self.examples])
