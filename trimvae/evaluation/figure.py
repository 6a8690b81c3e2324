"""A figure with its interval, and the examples that costly figures are taken over."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from attributions.codes import Block
from attributions.measures.intervals import Interval, share_interval
from trimvae.explanation.bundles import Bundle
from trimvae.explanation.probing import Probing

# What fewer examples move a latent through says little of what it draws.
_LEAST_MOVED = 20


class Measured(NamedTuple):
    """A figure, and from where to where it may be."""

    value: float
    interval: Interval | None = None
    """95 %; None where there is none, such as of a count."""


def measured_share(hits: Tensor) -> Measured:
    """Share of zeros and ones `(n,)` with Wilson's interval; of none, 0 from 0 to 1."""
    share = float(hits.double().mean()) if len(hits) else 0.0
    return Measured(share, share_interval(share, len(hits)))


class Sample(NamedTuple):
    """The first examples of all batches, as code and predictor see them."""

    inputs: Tensor
    latents: Tensor
    deviations: Tensor
    reconstructions: Tensor
    outputs: Tensor
    shares: Tensor
    """`(latents,)`, each latent's share of the absolute attribution to predicted classes."""
    latent_names: tuple[str, ...]
    blocks: tuple[Block, ...]
    """Of the latents."""
    fixed_code: bool
    """Whether they are those of a basis that is known beforehand."""
    bundles: tuple[Bundle, ...] = ()
    """What the strongest latents of the first batch draw in parts, if it is no small one."""


def sample_of(kept: Sequence[Probing], count: int) -> Sample:
    """Take the first examples of some explanations of consecutive batches."""

    def first(name: str) -> Tensor:
        return torch.cat([getattr(part, name) for part in kept])[:count]

    sizes = first("target_attributions").abs().double().mean(dim=0)
    return Sample(
        first("inputs"),
        first("latents"),
        first("deviations"),
        first("reconstructions"),
        first("outputs"),
        sizes / sizes.sum().clamp_min(torch.finfo(sizes.dtype).tiny),
        kept[0].latent_names,
        kept[0].blocks,
        kept[0].fixed_code,
        kept[0].bundles if len(kept[0].inputs) >= _LEAST_MOVED else (),
    )
