"""Discrete wavelets, through ptwt, and one that is learned from attributions."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from attributions.transforms.base import Transform, check_dims, count

Mode = Literal["constant", "zero", "reflect", "periodic", "symmetric"]
"""What lies beyond a signal's border, in ptwt's words."""


class Wavelet(Transform):
    """Discrete wavelet coefficients, through ptwt; groups are levels (and orientations).

    References:
        Wolter et al.: ptwt, the PyTorch Wavelet Toolbox, 2024,
        https://jmlr.org/papers/v25/23-0636.html

    Args:
        event_shape: `(..., length)` or `(..., height, width)`.
        wavelet: A name that PyWavelets knows, or an object with its four filters.
        dims: 1 or 2.
        level: Decomposition levels; default: as many as fit.
        mode: What lies beyond the border, see ptwt; a few more coefficients than inputs.

    Raises:
        ValueError: `dims` is neither 1 nor 2, or exceeds the event's dimensions.

    Examples:
        >>> inputs, levels = torch.randn(3, 100), Wavelet((100,), "db2")
        >>> torch.allclose(levels.decode(levels.encode(inputs)), inputs, atol=1e-5)
        True
    """

    fixed = True

    def __init__(
        self,
        event_shape: Sequence[int],
        wavelet: Any = "db2",
        *,
        dims: int = 1,
        level: int | None = None,
        mode: Mode = "periodic",
    ) -> None:
        check_dims(event_shape, dims)
        self.wavelet, self.dims, self.level, self.mode = wavelet, dims, level, mode
        with torch.no_grad():
            filters = wavelet.dec_lo if isinstance(wavelet, FilterBank) else torch.zeros(())
            parts = self._named(self._analyse(filters.new_zeros(1, *event_shape)))
        self.shapes = [tuple(part.shape[1:]) for _, part in parts]
        groups, latent_names = [], []
        for index, (name, part) in enumerate(parts):
            groups += [index] * part[0].numel()
            latent_names += [f"{name}.{position}" for position in range(part[0].numel())]
        names = [name for name, _ in parts]
        super().__init__(event_shape, latent_names, torch.tensor(groups), names)

    def filters(self) -> Any:
        """The wavelet that the transform uses, as ptwt takes it."""
        return self.wavelet

    def encode(self, inputs: Tensor) -> Tensor:
        """Coefficients, the coarsest first."""
        self._check(inputs)
        return torch.cat([part.flatten(1) for _, part in self._named(self._analyse(inputs))], dim=1)

    def decode(self, latents: Tensor) -> Tensor:
        """Inverse transform, cropped to the input's shape."""
        from ptwt.constants import WaveletDetailTuple2d
        from ptwt.conv_transform import waverec
        from ptwt.conv_transform_2 import waverec2

        sizes = [count(shape) for shape in self.shapes]
        parts = [
            part.unflatten(1, shape)
            for part, shape in zip(latents.split(sizes, dim=1), self.shapes, strict=True)
        ]
        if self.dims == 1:
            inputs = waverec(parts, self.filters())
        else:
            triples = [
                WaveletDetailTuple2d(*parts[first : first + 3]) for first in range(1, len(parts), 3)
            ]
            inputs = waverec2((parts[0], *triples), self.filters())
        for axis, size in enumerate(self.event_shape[-self.dims :], start=-self.dims):
            inputs = inputs.narrow(axis, 0, size)
        return inputs

    def _analyse(self, inputs: Tensor) -> Any:
        from ptwt.conv_transform import wavedec
        from ptwt.conv_transform_2 import wavedec2

        analyse: Any = wavedec if self.dims == 1 else wavedec2
        return analyse(inputs, self.filters(), mode=self.mode, level=self.level)

    def _named(self, parts: Any) -> list[tuple[str, Tensor]]:
        depth = len(parts) - 1
        named = [(f"a{depth}", parts[0])]
        for level, part in zip(range(depth, 0, -1), parts[1:], strict=True):
            if self.dims == 1:
                named.append((f"d{level}", part))
            else:
                named += [
                    (f"{name}{level}", detail) for name, detail in zip("hvd", part, strict=True)
                ]
        return named


class FilterBank(NamedTuple):
    """Filters of an orthogonal wavelet, as ptwt takes them."""

    dec_lo: Tensor
    dec_hi: Tensor
    rec_lo: Tensor
    rec_hi: Tensor

    @property
    def filter_bank(self) -> "FilterBank":
        """The four filters."""
        return self

    @property
    def dec_len(self) -> int:
        """Length of the analysis filters."""
        return len(self.dec_lo)

    @property
    def rec_len(self) -> int:
        """Length of the synthesis filters."""
        return len(self.rec_lo)

    @property
    def name(self) -> str:
        """For messages."""
        return "learned"


class LearnableWavelet(Wavelet):
    r"""A wavelet whose low-pass filter $h$ is learned: adaptive wavelet distillation (AWD).

    The high-pass filter is its quadrature mirror, $g_n = (-1)^n h_{N-1-n}$. Train `lowpass` on
    reconstruction, a penalty on TRIM attributions and `constraint`.

    References:
        Ha et al.: Adaptive wavelet distillation from neural networks through interpretations,
        2021, https://arxiv.org/abs/2107.09145

    Args:
        event_shape: `(..., length)` or `(..., height, width)`.
        lowpass: `(N,)`, N even: where training starts, such as that of db5 with noise.
        dims: 1 or 2.
        level: Decomposition levels; default: as many as fit.
        mode: What lies beyond the border, see ptwt; a few more coefficients than inputs.

    Raises:
        ValueError: `lowpass` is not a vector of even length.
    """

    fixed = False

    def __init__(
        self,
        event_shape: Sequence[int],
        lowpass: Tensor,
        *,
        dims: int = 1,
        level: int | None = None,
        mode: Mode = "periodic",
    ) -> None:
        if lowpass.ndim != 1 or len(lowpass) % 2:
            raise ValueError(
                f"`lowpass` must have shape (N,) with N even. Got {tuple(lowpass.shape)}. Start "
                "from pywt.Wavelet('db5').dec_lo."
            )
        start = _mirrored(lowpass.detach())
        super().__init__(event_shape, start, dims=dims, level=level, mode=mode)
        self.lowpass = nn.Parameter(lowpass.detach().clone())

    def filters(self) -> FilterBank:
        """The filter bank of the present low-pass filter, differentiable."""
        return _mirrored(self.lowpass) if hasattr(self, "lowpass") else self.wavelet

    def constraint(self) -> Tensor:
        """How far the filter is from an orthogonal wavelet's; see `wavelet_constraint`."""
        return wavelet_constraint(self.lowpass)


def wavelet_constraint(lowpass: Tensor) -> Tensor:
    r"""Sum of squared violations of what makes $h$ the low-pass filter of an orthogonal wavelet.

    $$ (\sum_n h_n - \sqrt 2)^2 + (\sum_n g_n)^2 + (\lVert h \rVert^2 - 1)^2
    + \sum_w (|\hat h(w)|^2 + |\hat h(w + \pi)|^2 - 2)^2
    + \sum_k (\sum_n h_n h_{n - 2k} - 1_{k = 0})^2 $$

    References:
        Ha et al., 2021, https://arxiv.org/abs/2107.09145, section 3.

    Args:
        lowpass: `(N,)`.

    Returns:
        Scalar, 0 for every Daubechies wavelet.

    Examples:
        >>> haar = torch.full((2,), 0.5).sqrt()
        >>> bool(wavelet_constraint(haar) < 1e-10)
        True
    """
    length = len(lowpass)
    highpass = _mirrored(lowpass).dec_hi
    spectrum = torch.fft.fft(lowpass).abs().pow(2)
    double_shifts = [
        (lowpass[2 * k :] * lowpass[: length - 2 * k]).sum() for k in range(1, length // 2)
    ]
    total: Tensor = (lowpass.sum() - 2**0.5).pow(2) + highpass.sum().pow(2)
    total = total + 2 * (lowpass.pow(2).sum() - 1).pow(2)
    total = total + (spectrum + spectrum.roll(length // 2) - 2).pow(2).sum()
    # Shifts by k and -k give the same product.
    for shift in double_shifts:
        total = total + 2 * shift.pow(2)
    return total


def _mirrored(lowpass: Tensor) -> FilterBank:
    sign = 1 - 2 * (torch.arange(len(lowpass), device=lowpass.device) % 2)
    highpass = -sign * lowpass.flip(0)
    return FilterBank(lowpass, highpass, lowpass.flip(0), highpass.flip(0))
