"""What was found in detail: the figures behind the overview, in sentences."""

from collections.abc import Mapping
from math import isnan

from trimvae.explanation.marks import Recurrence
from trimvae.explanation.trust import Weighed
from trimvae.explanation.usage import LatentUse
from trimvae.report.wording import plural

LEAST_SHARE = 0.05
"""Of the evidence: a latent with less is not mentioned."""


def findings(explanation: Weighed) -> list[str]:
    """What was found, each figure in a sentence: counts, the most used latents, their parts."""
    figures, count = explanation.metrics, len(explanation.inputs)
    needed, size = figures["latents_for_90_percent"], len(explanation.latent_names)
    what = "prediction" if explanation.task == "regression" else "decision"
    found = [
        f"{count} {plural(what, count)} {'was' if count == 1 else 'were'} explained through {size} "
        f"{plural('latent', size)}.",
    ]
    if bool(explanation.shares.any()):
        found.append(
            f"On average a single one of these {what}s rests on {figures['effective_latents']:.1f} "
            f"latents (effective number); {needed:.1f} carry 90 % of its evidence. All together "
            f"they use {figures['effective_latents_over_data']:.1f} latents."
        )
    if explanation.judges_classes:
        found.append(_beyond_class(figures))
    found += [_used(explanation, use) for use in explanation.top(3) if use.share >= LEAST_SHARE]
    found += _parts(explanation)
    if explanation.recurrence is not None:
        found.append(_recurring(explanation, explanation.recurrence))
    if len(explanation.blocks) > 1:
        parts = [
            f"{block.name} {share:.0%}"
            for block, share in zip(explanation.blocks, explanation.block_shares, strict=True)
            if block.kind != "noise"
        ]
        found.append(f"By parts of the code, the evidence is in: {', '.join(parts)}.")
    if explanation.task == "classification":
        found.append(
            f"Encoded and decoded again, {figures['agreement']:.1%} of the inputs are decided "
            "alike; what is said here holds for what the latents can draw."
        )
    elif not isnan(figures["agreement"]):
        found.append(
            f"Encoded and decoded again, {max(figures['agreement'], 0):.1%} of the variance of the "
            "outputs remains."
        )
    return found


def _used(explanation: Weighed, use: LatentUse) -> str:
    """How much a latent carries, in how many classes it takes part, in how many codes it is."""
    sentence = f"{use.name} carries {use.share:.0%} of the evidence"
    if use.classes is not None:
        sentence += f" and takes part in {use.classes} of {explanation.classes_predicted} classes"
    again = "" if use.recurrence is None else f" It is {use.recurrence}."
    return f"{sentence}.{again}"


def _parts(explanation: Weighed) -> list[str]:
    """What the strongest latents draw and what of it is used: in bands, and where it is little."""
    found, said = [], set()
    for bundle in explanation.bundles:
        if bundle.is_small or bundle.latent not in said:
            found.append(bundle.sentence(explanation.latent_names[bundle.latent]))
        said.add(bundle.latent)
    return found


def _recurring(explanation: Weighed, found: Recurrence) -> str:
    """How much of the evidence is in what several codes have in common."""
    compared = f"{found.codes} codes were compared."
    if not found.recurring:
        return (
            f"{compared} None of these latents is found in {found.least} of them or more: each "
            "code explains otherwise."
        )
    shares = explanation.shares[list(found.recurring)].tolist()
    names = [
        explanation.latent_names[latent]
        for latent, share in zip(found.recurring, shares, strict=True)
        if share >= LEAST_SHARE
    ]
    listed = f": {', '.join(names)}" if names else ""
    return (
        f"{compared} The latents that recur in {found.least} of them or more carry "
        f"{sum(shares):.0%} of the evidence{listed}."
    )


def _beyond_class(figures: Mapping[str, float]) -> str:
    """How far the explanation says more than the class."""
    trivial = figures.get("class_dependence_of_class_directions")
    beside = "" if trivial is None else f", {trivial:.2f} along the directions of the classes"
    dependence, within = figures["class_dependence"], figures.get("within_class_share", 0.0)
    return (
        f"How far the class alone tells which latent is strongest: {dependence:.2f} "
        f"(0 not at all, 1 fully{beside}). {within:.0%} of the variance of "
        "what is said lies within classes, and is said of the example itself."
    )
