"""Chosen latents carry the decision."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from attributions.measures.information import mutual_information
from attributions.outputs import both_classes
from attributions.penalties.protocol import Penalty, Step
from attributions.predictors import Function


def negative_information(
    function: Function,
    latent_size: int,
    chosen: tuple[int, ...],
    *,
    n_alpha: int = 25,
    n_beta: int = 25,
    like: Tensor,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Minus the information flow from some latents to the decision, $-I(\alpha; \hat Y)$, nats.

    The objective of GCE: the chosen latents become the causal ones. Prior samples.

    References:
        O'Shaughnessy et al.: Generative causal explanations of black-box classifiers, 2020,
        https://arxiv.org/abs/2006.13913

    Args:
        function: Latents to logits `(batch, classes)`; a `Trim`.
        latent_size: Number of latents.
        chosen: The causal latents.
        n_alpha: Outer samples.
        n_beta: Inner samples for each.
        like: A tensor whose device and dtype samples take.
        generator: Of the samples.

    Returns:
        Scalar.
    """
    options: dict[str, Any] = {"generator": generator, "device": like.device, "dtype": like.dtype}
    samples = torch.randn((n_alpha * n_beta, latent_size), **options)
    alpha = torch.randn((n_alpha, len(chosen)), **options)
    samples[:, list(chosen)] = alpha.repeat_interleave(n_beta, dim=0)
    probabilities = both_classes(function(samples)).softmax(dim=1)
    return -mutual_information(probabilities.unflatten(0, (n_alpha, n_beta)))


@dataclass(frozen=True, kw_only=True)
class InformationFlow(Penalty):
    """Chosen latents carry the decision: GCE's objective; see `negative_information`.

    The only penalty that is a reward: its value is minus the information, in nats.

    Args:
        weight: Factor in the loss.
        chosen: The causal latents.
        n_alpha: Outer samples.
        n_beta: Inner samples for each.
    """

    weight: float = 20.0
    chosen: tuple[int, ...] = (0, 1)
    n_alpha: int = 25
    n_beta: int = 25
    name: ClassVar[str] = "information_flow"

    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty."""
        return negative_information(
            step.trim,
            step.latents.shape[1],
            self.chosen,
            n_alpha=self.n_alpha,
            n_beta=self.n_beta,
            like=step.latents,
            generator=step.generator,
        )
