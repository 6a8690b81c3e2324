"""Fourier and cosine coefficients, grouped by frequency."""

from collections.abc import Sequence

import torch
from torch import Tensor

from attributions.transforms.base import Transform, check_dims, count


class Fourier(Transform):
    """Orthonormal Fourier coefficients; groups are frequency bands, radial in two dimensions.

    Real and imaginary parts of the half spectrum that a real input needs (imaginary parts that
    are always 0 included, so that the shape is simple).

    Args:
        event_shape: `(..., length)` or `(..., height, width)`.
        dims: 1 or 2, how many of the last dimensions to transform.

    Raises:
        ValueError: `dims` is neither, or exceeds the event's dimensions.

    Examples:
        >>> inputs, bands = torch.randn(3, 1, 28, 28), Fourier((1, 28, 28), dims=2)
        >>> torch.allclose(bands.decode(bands.encode(inputs)), inputs, atol=1e-5)
        True
    """

    fixed = True

    def __init__(self, event_shape: Sequence[int], *, dims: int = 1) -> None:
        check_dims(event_shape, dims)
        self.dims = dims
        sizes = tuple(event_shape[-dims:])
        frequencies = [torch.fft.fftfreq(size, 1 / size) for size in sizes[:-1]]
        frequencies.append(torch.fft.rfftfreq(sizes[-1], 1 / sizes[-1]))
        groups, names, labels = _bands(event_shape[:-dims], frequencies)
        pairs = groups.repeat_interleave(2)
        latent_names = [f"{label} {part}" for label in labels for part in ("re", "im")]
        super().__init__(event_shape, latent_names, pairs, names)

    def encode(self, inputs: Tensor) -> Tensor:
        """Coefficients as pairs of real and imaginary part."""
        self._check(inputs)
        axes = tuple(range(-self.dims, 0))
        return torch.view_as_real(torch.fft.rfftn(inputs, dim=axes, norm="ortho")).flatten(1)

    def decode(self, latents: Tensor) -> Tensor:
        """Inverse transform."""
        sizes = self.event_shape[-self.dims :]
        spectrum = (*self.event_shape[: -self.dims], *sizes[:-1], sizes[-1] // 2 + 1, 2)
        coefficients = torch.view_as_complex(latents.unflatten(1, spectrum).contiguous())
        axes = tuple(range(-self.dims, 0))
        inputs: Tensor = torch.fft.irfftn(coefficients, s=sizes, dim=axes, norm="ortho")
        return inputs


class Cosine(Transform):
    """Orthonormal cosine transform (DCT-II); groups are frequency bands, radial in 2-D.

    References:
        Ahmed, Natarajan, Rao: Discrete Cosine Transform, 1974.

    Args:
        event_shape: `(..., length)` or `(..., height, width)`.
        dims: 1 or 2, how many of the last dimensions to transform.

    Raises:
        ValueError: `dims` is neither, or exceeds the event's dimensions.
    """

    fixed = True

    def __init__(self, event_shape: Sequence[int], *, dims: int = 1) -> None:
        check_dims(event_shape, dims)
        self.dims = dims
        sizes = event_shape[-dims:]
        groups, names, labels = _bands(
            event_shape[:-dims], [torch.arange(size).float() for size in sizes]
        )
        super().__init__(event_shape, labels, groups, names)
        for axis, size in enumerate(sizes):
            self.register_buffer(f"matrix{axis}", _cosine_matrix(size), persistent=False)

    def encode(self, inputs: Tensor) -> Tensor:
        """Coefficients in the order of the inputs."""
        self._check(inputs)
        return self._along_axes(inputs, inverse=False).flatten(1)

    def decode(self, latents: Tensor) -> Tensor:
        """Inverse transform."""
        return self._along_axes(latents.unflatten(1, self.event_shape), inverse=True)

    def _along_axes(self, values: Tensor, *, inverse: bool) -> Tensor:
        for axis in range(self.dims):
            matrix = getattr(self, f"matrix{axis}").to(values.dtype)
            position = axis - self.dims
            values = values.transpose(position, -1) @ (matrix if inverse else matrix.T)
            values = values.transpose(position, -1)
        return values


def _cosine_matrix(size: int) -> Tensor:
    frequency = torch.arange(size, dtype=torch.float64).unsqueeze(1)
    position = torch.arange(size, dtype=torch.float64) + 0.5
    matrix: Tensor = torch.cos(torch.pi / size * frequency * position) * (2 / size) ** 0.5
    matrix[0] /= 2**0.5
    return matrix


def _bands(
    channels: Sequence[int], frequencies: Sequence[Tensor]
) -> tuple[Tensor, list[str], list[str]]:
    """Band of every coefficient (the rounded length of its frequency), and names of both."""
    grid = torch.meshgrid(*frequencies, indexing="ij")
    radius = torch.stack([axis.pow(2) for axis in grid]).sum(dim=0).sqrt().round().long()
    labels = [
        "f" + ",".join(f"{int(value)}" for value in point)
        for point in zip(*(axis.flatten().tolist() for axis in grid), strict=True)
    ]
    copies = count(channels)
    names = [f"f{band}" for band in range(int(radius.max()) + 1)]
    if copies > 1:
        labels = [f"c{copy} {label}" for copy in range(copies) for label in labels]
    return radius.flatten().repeat(copies), names, labels
