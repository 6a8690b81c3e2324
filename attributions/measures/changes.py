"""Real inputs, changed: hybrids of two, blur, noise, and whatever else may change a decision."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attributions.placement import made_on
from attributions.transforms import Cosine

# Up to which share of the finest frequency an input lends its low frequencies to a hybrid, and up
# to which share of the columns it keeps where two rows of a table exchange the others.
CUTOFFS = (0.2, 0.3, 0.4)
KEPT_COLUMNS = (0.25, 0.5, 0.75)

# Blur leaves frequencies up to this share, contrast this part of what differs from the mean; noise
# is in standard deviations of the data; squares and shifts are parts of a side.
_BLUR, _CONTRAST, _NOISE, _SQUARE, _SHIFT = 0.15, 0.4, 0.5, 0.4, 0.15


class Changed(NamedTuple):
    """Inputs that were changed in one way, in the order of the inputs."""

    kind: str
    inputs: Tensor
    """`(batch, *event)`."""
    mixed: bool = False
    """Whether each took something of another real input, so that its cues may be at odds."""


def changed_inputs(inputs: Tensor, *, generator: torch.Generator | None = None) -> list[Changed]:
    """Change real inputs in every way that fits them, so that some decisions change.

    Pictures `(batch, channels, height, width)` and series `(batch, channels, length)`: hybrids with
    another input, whose fine detail they take, at three cut-offs; of several channels also the
    other's colours; blur, noise, less contrast, a part that is covered, a shift. Tables
    `(batch, columns)`: groups of columns exchanged with another row's, and noise. No value leaves
    the range of the inputs.

    References:
        Oliva, Torralba, Schyns: Hybrid Images, 2006, https://doi.org/10.1145/1141911.1141919;
        Geirhos et al.: ImageNet-trained CNNs are biased towards texture, 2019,
        https://arxiv.org/abs/1811.12231 (cue conflict).

    Args:
        inputs: `(batch, *event)`, at least two, of one to three dimensions each.
        generator: Source of randomness, on the device; default: torch's global one.

    Returns:
        One change for each kind.

    Raises:
        ValueError: There are fewer than two inputs, or an input has more than three dimensions.

    Examples:
        >>> table = torch.randn(8, 6)
        >>> [change.kind for change in changed_inputs(table)][:2]
        ['exchange of 75% of the columns', 'exchange of 50% of the columns']
    """
    _check(inputs)
    inputs = inputs.detach()
    others = inputs[_others(len(inputs), inputs.device, generator)]
    if inputs.ndim == 2:
        found = [
            Changed(
                f"exchange of {1 - kept:.0%} of the columns",
                exchange_columns(inputs, others, kept, generator=generator),
                mixed=True,
            )
            for kept in KEPT_COLUMNS
        ]
        return [*found, Changed("noise", _noisy(inputs, inputs.std(dim=0), generator))]
    found = [
        Changed(f"hybrid at {cut:g}", hybrids(inputs, others, cut), mixed=True) for cut in CUTOFFS
    ]
    if inputs.shape[1] > 1:
        found.append(Changed("exchange of colour", _coloured(inputs, others), mixed=True))
    mean = inputs.flatten(1).mean(dim=1).view(-1, *[1] * (inputs.ndim - 1))
    return [
        *found,
        Changed("blur", _clamped(_low(inputs, _BLUR), inputs)),
        Changed("noise", _noisy(inputs, inputs.std(), generator)),
        Changed("contrast", mean + _CONTRAST * (inputs - mean)),
        Changed("occlusion", _covered(inputs, generator)),
        Changed("shift", _shifted(inputs, generator)),
    ]


def hybrids(inputs: Tensor, others: Tensor, cutoff: float) -> Tensor:
    r"""Low frequencies of some inputs with the high frequencies of others.

    $$ x' = G x + (1 - G)\, y $$

    with a Gaussian low-pass $G$, which at the cut-off lets half of an amplitude through. Edges are
    mirrored (cosine transform). Values are clamped to the range of both.

    References:
        Oliva, Torralba, Schyns: Hybrid Images, 2006, https://doi.org/10.1145/1141911.1141919

    Args:
        inputs: `(batch, channels, height, width)` or `(batch, channels, length)`, which give what
            is coarse.
        others: Same shape, which give what is fine.
        cutoff: As a share of the finest frequency, in (0, 1).

    Returns:
        Hybrids, same shape.

    Raises:
        ValueError: Shapes differ, an input has one dimension only, or `cutoff` is out of range.

    Examples:
        >>> inputs = torch.rand(3, 1, 16, 16)
        >>> torch.allclose(hybrids(inputs, inputs, 0.3), inputs, atol=1e-5)
        True
    """
    if inputs.shape != others.shape or inputs.ndim not in (3, 4):
        raise ValueError(
            "`inputs` and `others` must be pictures or series of one shape. Got "
            f"{tuple(inputs.shape)} and {tuple(others.shape)}. Exchange columns of tables."
        )
    if not 0 < cutoff < 1:
        raise ValueError(f"`cutoff` must be above 0 and below 1. Got {cutoff}. Use 0.2.")
    return _clamped(others + _low(inputs - others, cutoff), torch.cat([inputs, others]))


def exchange_columns(
    inputs: Tensor, others: Tensor, kept: float, *, generator: torch.Generator | None = None
) -> Tensor:
    """Rows that keep a share of their columns, drawn anew for each, and take the rest from others.

    Args:
        inputs: `(batch, columns)`.
        others: Same shape.
        kept: Share of the columns that stay, in (0, 1); of two columns or more one always goes.
        generator: Source of randomness, on the device; default: torch's global one.

    Returns:
        `(batch, columns)`.

    Raises:
        ValueError: These are no tables of one shape, or `kept` is out of range.

    Examples:
        >>> mixed = exchange_columns(torch.zeros(3, 8), torch.ones(3, 8), 0.75)
        >>> mixed.sum(dim=1).tolist()
        [2.0, 2.0, 2.0]
    """
    if inputs.shape != others.shape or inputs.ndim != 2:
        raise ValueError(
            "`inputs` and `others` must be tables (batch, columns) of one shape. Got "
            f"{tuple(inputs.shape)} and {tuple(others.shape)}. Make hybrids of pictures."
        )
    if not 0 < kept < 1:
        raise ValueError(f"`kept` must be above 0 and below 1. Got {kept}. Use 0.5.")
    columns = inputs.shape[1]
    staying = min(round(kept * columns), columns - 1)
    noise = torch.rand(inputs.shape, generator=generator, device=inputs.device)
    return torch.where(noise.argsort(dim=1).argsort(dim=1) < staying, inputs, others)


def exchange_residuals(
    inputs: Tensor, reconstructions: Tensor, *, generator: torch.Generator | None = None
) -> Changed:
    r"""What the code draws of an input with what it leaves out of another, $D(z_i) + r_j$.

    Where a decision changes, the predictor reads what no latent draws.

    Args:
        inputs: `(batch, *event)`, at least two.
        reconstructions: Same shape.
        generator: Source of randomness, on the device; default: torch's global one.

    Returns:
        The change.

    Raises:
        ValueError: Shapes differ, or there are fewer than two inputs.

    Examples:
        >>> inputs = torch.randn(5, 4)
        >>> torch.equal(exchange_residuals(inputs, inputs).inputs, inputs)
        True
    """
    if inputs.shape != reconstructions.shape or len(inputs) < 2:
        raise ValueError(
            "`inputs` and `reconstructions` must be two or more of one shape. Got "
            f"{tuple(inputs.shape)} and {tuple(reconstructions.shape)}. Pass decoded latents."
        )
    residual = (inputs - reconstructions).detach()
    others = _others(len(inputs), inputs.device, generator)
    mixed = reconstructions.detach() + residual[others]
    return Changed("exchange of residuals", mixed, mixed=True)


def _others(count: int, device: torch.device, generator: torch.Generator | None) -> Tensor:
    """For each example another one, each once: a random circle."""
    order = torch.randperm(count, generator=generator, device=device)
    return torch.empty_like(order).scatter_(0, order, order.roll(1))


def _low(inputs: Tensor, cutoff: float) -> Tensor:
    """What a Gaussian low-pass lets through of pictures or series."""
    shape = tuple(inputs.shape[1:])
    with made_on(inputs.device):
        cosine = Cosine(shape, dims=len(shape) - 1)
    along = [torch.arange(size, device=inputs.device) / size for size in shape[1:]]
    grid = torch.meshgrid(*along, indexing="ij")
    radius = torch.stack([axis.square() for axis in grid]).sum(dim=0).sqrt()
    gain = 0.5 ** (radius / cutoff).square().to(inputs)
    passed: Tensor = cosine.decode((cosine.encode(inputs).view(-1, *shape) * gain).flatten(1))
    return passed


def _clamped(changed: Tensor, inputs: Tensor) -> Tensor:
    return changed.clamp(inputs.min(), inputs.max())


def _coloured(inputs: Tensor, others: Tensor) -> Tensor:
    """Mean over channels of some inputs, and what the channels of others add to theirs."""
    tint = others - others.mean(dim=1, keepdim=True)
    return _clamped(inputs.mean(dim=1, keepdim=True) + tint, inputs)


def _noisy(inputs: Tensor, deviation: Tensor, generator: torch.Generator | None) -> Tensor:
    noise = torch.randn(inputs.shape, generator=generator, device=inputs.device, dtype=inputs.dtype)
    return _clamped(inputs + _NOISE * deviation.nan_to_num() * noise, inputs)


def _corners(
    inputs: Tensor, room: Sequence[int], generator: torch.Generator | None
) -> list[Tensor]:
    """For every spatial axis a random start for each example, from 0 to its room: `(batch,)`."""
    options: dict[str, Any] = {"generator": generator, "device": inputs.device}
    return [torch.randint(most + 1, (len(inputs),), **options) for most in room]


def _covered(inputs: Tensor, generator: torch.Generator | None) -> Tensor:
    """A random square (a stretch, of a series) that shows the mean of all inputs."""
    sizes = inputs.shape[2:]
    sides = [max(1, round(_SQUARE * size)) for size in sizes]
    room = [size - side for size, side in zip(sizes, sides, strict=True)]
    inside = inputs.new_ones((len(inputs), *[1] * (inputs.ndim - 1)), dtype=torch.bool)
    for axis, start in enumerate(_corners(inputs, room, generator)):
        shape = [-1 if place == axis + 2 else 1 for place in range(inputs.ndim)]
        place = torch.arange(sizes[axis], device=inputs.device).view(shape)
        first = start.view(-1, *[1] * (inputs.ndim - 1))
        inside = inside & (place >= first) & (place < first + sides[axis])
    return torch.where(inside, inputs.mean(dim=0, keepdim=True), inputs)


def _shifted(inputs: Tensor, generator: torch.Generator | None) -> Tensor:
    """Moved by up to so much along every axis; what comes in repeats the edge."""
    sizes = inputs.shape[2:]
    most = [max(1, round(_SHIFT * size)) for size in sizes]
    moved = inputs
    for axis, start in enumerate(_corners(inputs, [2 * step for step in most], generator)):
        shape = [-1 if place == axis + 2 else 1 for place in range(inputs.ndim)]
        place = torch.arange(sizes[axis], device=inputs.device).view(shape)
        offset = (start - most[axis]).view(-1, *[1] * (inputs.ndim - 1))
        source = (place - offset).clamp(0, sizes[axis] - 1)
        moved = moved.gather(axis + 2, source.expand_as(moved))
    return moved


def _check(inputs: Tensor) -> None:
    if len(inputs) < 2:
        raise ValueError(
            f"`inputs` must be at least two, to be mixed. Got {len(inputs)}. Pass more examples."
        )
    if inputs.ndim not in (2, 3, 4):
        raise ValueError(
            "`inputs` must be tables (batch, columns), series (batch, channels, length) or "
            f"pictures (batch, channels, height, width). Got {tuple(inputs.shape)}. Flatten other "
            "inputs to columns."
        )
