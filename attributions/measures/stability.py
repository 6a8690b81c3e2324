"""Do two codes explain the same predictor alike?"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from attributions.measures.sanity import rank_correlation


class Stability(NamedTuple):
    """How alike two codes explain the same predictor."""

    matching: Tensor
    """`(latents,)`: the second code's latent for each of the first's."""
    correlation: Tensor
    """Scalar: mean |correlation| of matched latents."""
    rank_correlation: Tensor
    """Scalar: Spearman's correlation of the mean |attributions| of matched latents."""


def seed_stability(latents: Sequence[Tensor], attributions: Sequence[Tensor]) -> Stability:
    """Compare two codes of the same examples, such as of two seeds.

    Latents are matched by their |correlation| over the examples (Hungarian method), since their
    order and sign mean nothing.

    Args:
        latents: Two tensors `(batch, latents)`.
        attributions: Two tensors `(batch, latents)`, of the same class for each example.

    Returns:
        The matching, how well it fits, and whether matched latents matter alike.

    Raises:
        ValueError: Not two of each, or of different shapes.
    """
    from scipy.optimize import linear_sum_assignment

    shapes = {tuple(tensor.shape) for tensor in (*latents, *attributions)}
    if len(latents) != 2 or len(attributions) != 2 or len(shapes) != 1:
        raise ValueError(
            "`latents` and `attributions` must be two tensors each, of one shape. Got "
            f"{[tuple(tensor.shape) for tensor in (*latents, *attributions)]}. "
            "Explain the same examples through two codes of the same size."
        )
    size = latents[0].shape[1]
    joint = torch.corrcoef(torch.cat([side.T for side in latents]).double())
    correlation = joint[:size, size:].abs().nan_to_num()
    first, second = linear_sum_assignment(-correlation.cpu().numpy())
    matching = torch.as_tensor(second, device=correlation.device)
    strengths = [side.abs().mean(dim=0) for side in attributions]
    return Stability(
        matching,
        correlation[first, second].mean(),
        rank_correlation(strengths[0], strengths[1][matching]),
    )
