"""Figures that ask real inputs: changed ones, pairs of them, and what goes together in them."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from attributions.codes import Code
from attributions.measures.entanglement import gaussian_total_correlation, latent_correlation
from attributions.measures.intervals import interval_of, resampling_counts
from attributions.measures.real_pairs import (
    Pairs,
    pair_correlation,
    pairs_along_latents,
    said_of_pairs,
)
from attributions.outputs import decisions
from attributions.trim import Trim
from trimvae.evaluation.figure import Measured, Sample
from trimvae.explanation.cues import Asked, Cue, asked_of_changes

# A latent with less of the evidence is not looked for in pairs, nor among those that go together.
_LEAST_SHARE = 0.05

# Fewer pairs say nothing of a latent.
_LEAST_PAIRS = 8

# Resamples of figures that have to be computed anew for each.
_RESAMPLES = 200


class Found(NamedTuple):
    """What changed inputs show."""

    figures: dict[str, Measured]
    by_change: dict[str, dict[str, float]]
    """Of each kind of change, how many decisions changed and how many were followed."""
    cues: list[Cue]


def following_figures(
    code: Code, trim: Trim, sample: Sample, *, shifted: Tensor | None, seed: int
) -> Found:
    """Change real inputs in every way that fits: do re-encoded decisions follow?

    Args:
        code: Frozen.
        trim: The predictor behind the code's decoder.
        sample: Real inputs.
        shifted: Other versions of the first ones, `(m, *event)`; default: none.
        seed: Of the changes.
    """
    device = sample.inputs.device
    asked = asked_of_changes(
        code,
        trim.predictor,
        sample.inputs,
        sample.reconstructions,
        decisions(sample.outputs),
        generator=torch.Generator(device=device).manual_seed(seed),
        shifted=shifted,
    )
    if asked is None:
        return Found({}, {}, [])
    cues = asked.cues()
    rows = {cue.kind: _row(cue) for cue in cues}
    enough = [cue for cue in cues if cue.counts]
    figures: dict[str, Measured] = {}
    if enough:
        share, chance = (
            sum(getattr(cue.found, name) for cue in enough) / len(enough)
            for name in ("share", "chance")
        )
        shares, chances = _resampled(asked, [cue.counts for cue in cues], seed)
        figures["following"] = Measured(share, interval_of(shares, share))
        figures["following_by_chance"] = Measured(chance, interval_of(chances, chance))
        figures["following_beyond_chance"] = Measured(
            share - chance, interval_of(shares - chances, share - chance)
        )
    return Found(figures, rows, cues)


def _row(cue: Cue) -> dict[str, float]:
    """Of one kind of change; no shares where no decision changed."""
    share, stayed, chance, changed, asked = cue.found
    row: dict[str, float] = {"asked": asked, "changed": changed}
    if share is not None and stayed is not None and chance is not None:
        row |= {"following": share, "by_chance": chance, "stayed": stayed}
    return row


def _resampled(asked: Asked, kinds: list[bool], seed: int) -> tuple[Tensor, Tensor]:
    """Mean share and chance over kinds, `(resamples,)` each.

    An example counts in every kind of change as often as it was drawn.
    """
    generator = torch.Generator().manual_seed(seed)
    counts = resampling_counts(len(asked.before), generator=generator, like=asked.before).T
    classes = int(max(asked.after.max(), asked.reencoded.max())) + 1
    shares, chances = [], []
    for after, again in zip(asked.after[kinds], asked.reencoded[kinds], strict=True):
        moved = (after >= 0) & (after != asked.before)
        whole = counts[:, moved].sum(dim=1)
        said, heard = (
            counts[:, moved] @ F.one_hot(side[moved], classes).to(counts) / whole.unsqueeze(1)
            for side in (after, again)
        )
        shares.append(counts[:, moved] @ (after == again)[moved].to(counts) / whole)
        chances.append((said * heard).sum(dim=1))
    return torch.stack(shares).mean(dim=0), torch.stack(chances).mean(dim=0)


class OfPairs(NamedTuple):
    """What pairs of real inputs show, over all latents and for each."""

    figures: dict[str, Measured]
    by_latent: dict[str, dict[str, float]]


def pair_figures(trim: Trim, sample: Sample, seed: int) -> OfPairs:
    """Compare what the predictor says of real pairs with what attributions say of their latent.

    Args:
        trim: The predictor behind the code's decoder.
        sample: Real inputs.
        seed: Of the resamples.
    """
    pairs = pairs_along_latents(sample.latents)
    used = (sample.shares >= _LEAST_SHARE)[pairs.latent]
    pairs = Pairs(*(side[used] for side in pairs))
    figures = {"real_pairs": Measured(float(len(pairs.latent)))}
    if len(pairs.latent) < _LEAST_PAIRS:
        return OfPairs(figures, {})
    differences, said = said_of_pairs(trim, sample.inputs, sample.latents, pairs)
    correlation = float(pair_correlation(differences, said))
    if correlation == correlation:
        generator = torch.Generator().manual_seed(seed)
        counts = resampling_counts(len(sample.latents), generator=generator, like=differences)
        resampled = pair_correlation(differences, said, counts[pairs.first] * counts[pairs.second])
        figures["real_pairs_correlation"] = Measured(
            correlation, interval_of(resampled, correlation)
        )
    rows = {}
    for latent in pairs.latent.unique().tolist():
        chosen = pairs.latent == latent
        row = {"real_pairs": float(chosen.sum())}
        alike = float(pair_correlation(differences[chosen], said[chosen]))
        if row["real_pairs"] >= _LEAST_PAIRS and alike == alike:
            row["real_pairs_correlation"] = alike
        rows[sample.latent_names[latent]] = row
    return OfPairs(figures, rows)


def entanglement_figures(sample: Sample, seed: int) -> dict[str, Measured]:
    """How far the latents that are used go together in the data.

    Args:
        sample: Real inputs.
        seed: Of the resamples.
    """
    used = sample.shares >= _LEAST_SHARE
    if len(sample.latents) <= int(used.sum()) + 1:
        return {}
    shares = sample.shares.to(sample.latents)
    generator = torch.Generator().manual_seed(seed)
    size = (_RESAMPLES, len(sample.latents))
    rows = torch.randint(size[1], size, generator=generator, device="cpu").to(used.device)

    def correlation(row: Tensor) -> Tensor:
        return latent_correlation(sample.latents[row], shares)

    def together(row: Tensor) -> Tensor:
        return gaussian_total_correlation(
            sample.latents[row], shares, sample.deviations[row], least_share=_LEAST_SHARE
        )

    found = {}
    for name, figure in (("latent_correlation", correlation), ("total_correlation", together)):
        value = float(figure(torch.arange(size[1], device=rows.device)))
        resampled = torch.stack([figure(row) for row in rows])
        ends = interval_of(resampled, value) if abs(value) < torch.inf else None
        found[name] = Measured(value, ends)
    return found
