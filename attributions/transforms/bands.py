"""A picture's changes in four bands with names: from its brightness to its fine texture."""

from collections.abc import Sequence

import torch

from attributions.transforms.frequencies import Cosine

# Half waves across the shorter side that a coarse shape may have; at most a quarter of all.
_COARSE_HALF_WAVES, _MOST_COARSE = 7, 1 / 4

NAMES = ("overall brightness", "coarse shape", "detail", "fine texture")


class Bands(Cosine):
    r"""Orthonormal cosine transform of pictures; groups are four bands of spatial frequency.

    With $\rho = \sqrt{(k / H)^2 + (l / W)^2}$, the frequency in units of the finest stripes:

    - *overall brightness*: $\rho = 0$, the mean of each channel;
    - *coarse shape*: fewer than 7 half waves across the shorter side, and $\rho < 1/4$, waves of
      more than 8 pixels;
    - *fine texture*: the upper half of what is left on a scale of octaves, for pictures of up to
      28 pixels $\rho \ge 1/2$, waves of at most 4 pixels;
    - *detail*: between the two.

    Bands that a small picture does not have are left out.

    Args:
        event_shape: `(channels, height, width)`.

    Raises:
        ValueError: It has fewer than two dimensions.

    Examples:
        >>> bands = Bands((1, 28, 28))
        >>> bands.group_names
        ('overall brightness', 'coarse shape', 'detail', 'fine texture')
        >>> lighter = bands.by_group(bands.encode(torch.full((1, 1, 28, 28), 0.1)).square())
        >>> torch.allclose(lighter, torch.tensor([[28 * 28 * 0.01, 0.0, 0.0, 0.0]]))
        True
    """

    def __init__(self, event_shape: Sequence[int]) -> None:
        super().__init__(event_shape, dims=2)
        height, width = event_shape[-2:]
        along = (torch.arange(size, dtype=torch.float64) / size for size in (height, width))
        frequency = torch.stack(torch.meshgrid(*along, indexing="ij")).square().sum(dim=0).sqrt()
        coarse = min(_MOST_COARSE, _COARSE_HALF_WAVES / min(height, width))
        edges = torch.tensor([1e-9, coarse, coarse**0.5], dtype=torch.float64)
        bands = torch.bucketize(frequency, edges, right=True).flatten()
        present, groups = bands.unique(return_inverse=True)
        self.groups = groups.repeat(self.latent_size // (height * width))
        self.group_names = tuple(NAMES[band] for band in present.tolist())
