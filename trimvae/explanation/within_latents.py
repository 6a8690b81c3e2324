"""What inside a latent is used: its attribution over a second transform of what it draws."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from attributions.measures.bundles import caused_shares, drawn_shares, integrated_shares
from attributions.measures.simplicity import latents_for_share
from attributions.methods.within import check_splitting, within_attributions
from attributions.placement import made_on
from attributions.transforms import Bands, Identity, Parts, Transform, channels, places
from attributions.trim import Trim
from trimvae.explanation.bundles import FEW_PARTS, Bundle
from trimvae.explanation.trust import Weighed

NamedTransform: TypeAlias = Literal["bands", "channels", "pixels", "columns"]

# Examples whose latents are moved: for one latent that is asked about, and for every explanation.
_MOVED, _CHECKED = 64, 32

# Which latents of every explanation are checked: the strongest, of a tenth of the evidence or more;
# in many parts, of a fifth, because a predictor may well weigh places unevenly for a weak latent.
_MOST_LATENTS, _LEAST_SHARE, _LEAST_SHARE_IN_MANY = 3, 0.1, 0.2

# Channels of pictures that are parts of their own for every explanation.
_MOST_CHANNELS = 4

# Smaller pictures have no places that are worth a name.
_LEAST_SIDE = 16

# A latent moves between these quantiles of its values: what the data shows.
_ENDS = (0.05, 0.95)


class Within(NamedTuple):
    """One latent's attributions, split over parts of what it draws."""

    latent: int
    name: str
    """Of the latent."""
    attributions: Tensor
    """`(batch, classes, groups)`; over the groups they add up to the latent's attributions. Where
    not all classes were attributed, those to the predicted class alone, `(batch, 1, groups)`."""
    names: tuple[str, ...]
    """Of the groups."""
    drawn: Tensor
    """`(groups,)`, share of the energy of what the latent draws as it moves through the data."""
    used: Tensor
    """`(groups,)`, share of the absolute attributions to the predicted classes."""
    caused: Tensor | None
    """`(groups,)`, share of the change of the outputs as the latent moves, where the picture is
    changed in that group alone (Shapley values); None for more than eight groups."""

    @property
    def sentence(self) -> str:
        """What the latent draws, and what of it the predictor responds to."""
        if self.caused is None:
            drawn, used = (latents_for_share(shares) for shares in (self.drawn, self.used))
            return (
                f"Of {len(self.names)} parts, {drawn} hold 90% of what {self.name} draws, and "
                f"{used} hold 90% of its absolute attribution."
            )
        return _bundle(self.latent, self.names, self.drawn, self.caused).sentence(self.name)


def split_within(
    weighed: Weighed,
    trim: Trim,
    latent: int,
    transform: Transform | NamedTransform | Mapping[str, Tensor],
) -> Within:
    """Split one latent's attributions over parts of what it draws.

    Args:
        weighed: Integrated gradients, whose path points are known.
        trim: What was explained.
        latent: Index of the latent.
        transform: Linear and exactly invertible, for the inputs' shape; or a name, or masks.

    Raises:
        TypeError: `transform` is none.
        ValueError: There is no such latent, the method was another, or the transform does not fit
            the inputs, is not linear or loses something.
    """
    weighed.check_latents(latent)
    if weighed.path_points is None:
        raise ValueError(
            "`within` must split integrated gradients, whose path is known. Got attributions by "
            f"{weighed.settings['method']}. Explain with method=integrated_gradients."
        )
    parts = transform_of(transform, weighed)
    check_splitting(parts, weighed.inputs)
    every_class = weighed.chosen_classes is None
    classes = weighed.attributions.shape[1] if every_class else 1
    attributions = weighed.attributions.new_empty(
        len(weighed.inputs), classes, len(parts.group_names)
    )
    residual = _residual(weighed)
    for count in weighed.path_points.unique().tolist():
        rows = (weighed.path_points == count).nonzero()[:, 0]
        attributions[rows] = within_attributions(
            trim,
            weighed.latents[rows],
            weighed.starts[rows],
            [latent],
            parts,
            residual=None if residual is None else residual[rows],
            target=None if every_class else weighed.target[rows],
            n_steps=count,
            rule=weighed.settings["quadrature"],
        )[:, 0]
    of_target = weighed.of_target(attributions) if every_class else attributions[:, 0]
    sizes = of_target.abs().sum(dim=0)
    before, after = _moved(weighed, trim, latent, _MOVED)
    few = len(parts.group_names) <= FEW_PARTS
    return Within(
        latent,
        weighed.latent_names[latent],
        attributions,
        parts.group_names,
        drawn=drawn_shares(before, after, parts),
        used=sizes / sizes.sum(),
        caused=caused_shares(trim.of_inputs, before, after, parts) if few else None,
    )


def bundles_of(weighed: Weighed, trim: Trim) -> list[Bundle]:
    """What the strongest latents draw and what the predictor responds to, where that is cheap.

    Of pictures: in bands of spatial frequency, in channels, where there are two to four, and in
    places. Of tables: in columns. Of more than eight parts by integrated gradients, where
    attributions are. For at most three latents that each carry a tenth of the evidence (of many
    parts, a fifth), on at most 32 examples. Of a basis that is known beforehand nothing is asked:
    what a cosine draws is no bundle.
    """
    found: list[Bundle] = []
    if weighed.fixed_code:
        return found
    with made_on(weighed.inputs.device):
        splits = _checked_splits(weighed)
    for latent in weighed.shares.argsort(descending=True)[:_MOST_LATENTS].tolist():
        if not weighed.shares[latent] >= _LEAST_SHARE:
            continue
        for parts in splits:
            few = len(parts.group_names) <= FEW_PARTS
            if not few and weighed.shares[latent] < _LEAST_SHARE_IN_MANY:
                continue
            before, after = _moved(weighed, trim, latent, _CHECKED, from_middle=not few)
            drawn = drawn_shares(before, after, parts)
            shares_of = caused_shares if few else integrated_shares
            caused = shares_of(trim.of_inputs, before, after, parts)
            if len(drawn) > 1 and bool(drawn.isfinite().all() and caused.isfinite().all()):
                found.append(_bundle(latent, parts.group_names, drawn, caused))
    return found


def _checked_splits(weighed: Weighed) -> list[Transform]:
    """Transforms in whose parts the latents of every explanation are split."""
    shape = tuple(weighed.inputs.shape[1:])
    differentiable = weighed.path_points is not None
    splits: list[Transform] = []
    if len(shape) == 3:
        splits.append(Bands(shape))
        if 1 < shape[0] <= _MOST_CHANNELS:
            splits.append(channels(shape))
        if differentiable and min(shape[1:]) >= _LEAST_SIDE:
            splits.append(places(shape))
    if len(shape) == 1 and (shape[0] <= FEW_PARTS or differentiable):
        splits.append(Identity(shape, weighed.settings["feature_names"]))
    return splits


def _bundle(latent: int, names: tuple[str, ...], drawn: Tensor, caused: Tensor) -> Bundle:
    """The shares as plain numbers."""
    return Bundle(latent, names, tuple(drawn.tolist()), tuple(caused.tolist()))


def transform_of(
    transform: Transform | NamedTransform | Mapping[str, Tensor], weighed: Weighed
) -> Transform:
    """Return a transform as it is, and what a name or masks stand for.

    Raises:
        ValueError: There is no such name, it does not fit the inputs, or masks do not.
    """
    if isinstance(transform, Mapping):
        return Parts(weighed.inputs.shape[1:], transform).to(weighed.inputs.device)
    if not isinstance(transform, str):
        return transform
    shape = tuple(weighed.inputs.shape[1:])
    pictures, table = len(shape) == 3, len(shape) == 1
    fits = {"bands": pictures, "channels": pictures, "pixels": pictures, "columns": table}
    if not fits.get(transform):
        known = ", ".join(repr(name) for name, fit in fits.items() if fit) or "masks"
        raise ValueError(
            f"`transform` must fit inputs of shape {shape}. Got {transform!r}. Use {known}, or one "
            "of attributions.transforms."
        )
    with made_on(weighed.inputs.device):
        if transform == "bands":
            return Bands(shape)
        if transform == "channels":
            return channels(shape)
        return Identity(shape, weighed.settings["feature_names"] if table else None)


def _moved(
    weighed: Weighed, trim: Trim, latent: int, most: int, *, from_middle: bool = False
) -> tuple[Tensor, Tensor]:
    """Inputs of evenly chosen examples before and after a latent moves through the data's range.

    The range reaches to the baseline, so that it is not empty for a single example. From the
    middle, every other example moves to the lower end: a latent whose both ends mean the same to
    the predictor changes nothing from end to end.
    """
    values, starts = weighed.latents[:, latent].double(), weighed.starts[:, latent]
    low, high = values.quantile(values.new_tensor(_ENDS)).to(starts)
    count = len(values)
    rows = torch.linspace(0, count - 1, min(most, count), device=values.device).round().long()
    before, after = torch.minimum(low, starts.min()), torch.maximum(high, starts.max())
    if from_middle:
        lower = torch.arange(len(rows), device=rows.device) % 2 == 1
        before, after = values.median().to(starts), torch.where(lower, before, after)
    residual = _residual(weighed)
    pictures = []
    for end in (before, after):
        points = weighed.latents[rows].clone()
        points[:, latent] = end
        with torch.no_grad():
            decoded = trim.decode(points)
        pictures.append(decoded if residual is None else decoded + residual[rows])
    return pictures[0], pictures[1]


def _residual(weighed: Weighed) -> Tensor | None:
    """What the decoder leaves out, where it was held fixed."""
    return weighed.inputs - weighed.reconstructions if weighed.settings["residual"] else None
