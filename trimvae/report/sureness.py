"""How sure an explanation is and what it does not see, in plain sentences."""

from math import isnan

from trimvae.explanation.comparison import Comparison
from trimvae.explanation.cues import Cue
from trimvae.explanation.trust import LEAST_LATENT_SHARE, Weighed
from trimvae.explanation.usage import LatentUse
from trimvae.figures.trust import checks
from trimvae.report.wording import asked_model, in_letters, listed, percent, plural

# From this correlation on, a factor of one explanation is that of another.
SAME = 0.7

# Lost factors that are named; of more, how many.
_FEW = 3


def how_sure(explanation: Weighed, main: list[LatentUse]) -> list[str]:
    """Whether to rely on it, what real inputs say, other codes, and how many checks it passes."""
    said = [survival(explanation), *_mixed(explanation)]
    if again := found_again(explanation, main, None):
        said.append(again)
    found = checks(explanation)
    failed = [check.name for check in found if not check.passed]
    if failed:
        passed = len(found) - len(failed)
        said.append(
            f"It passes {passed} of the {len(found)} checks below, but not {listed(failed)}."
        )
    else:
        said.append(f"It passes all {len(found)} checks below.")
    if explanation.warnings:
        said.append(warned(len(explanation.warnings)))
    return said


def survival(explanation: Weighed) -> str:
    """How much of what the predictor says survives encoding and decoding."""
    count, agreed = len(explanation.inputs), explanation.metrics["agreement"]
    if isnan(agreed):
        return "The model's predictions do not differ between these inputs."
    if explanation.task == "regression":
        return (
            "Shown only what the factors draw, the model's predictions keep "
            f"{percent(max(agreed, 0.0))} of their variance."
        )
    alike = count - int(explanation.disagrees.sum())
    return (
        f"Shown only what the factors draw, the classifier decides {percent(agreed)} of the inputs "
        f"as before ({alike:,} of {count:,})."
    )


def found_again(explanation: Weighed, main: list[LatentUse], comparison: Comparison | None) -> str:
    """Whether a second training finds the factors that decide; empty where none was asked."""
    recurrence = explanation.recurrence
    if not main or (comparison is None and recurrence is None):
        return ""
    if comparison is not None:
        alike = comparison.latent_correlation[[use.latent for use in main]].tolist()
        lost = [use.name for use, value in zip(main, alike, strict=True) if value < SAME]
        least = f" (correlation {min(alike):.2f}{' or more' if len(main) > 1 else ''})"
        by = "A second explanation"
    else:
        assert recurrence is not None  # otherwise it has returned above
        lost = [use.name for use in main if use.latent not in recurrence.recurring]
        least = "" if recurrence.codes == 2 else f" in at least {recurrence.least}"
        by = (
            "A second code, trained apart,"
            if recurrence.codes == 2
            else f"A search in {recurrence.codes} codes, trained apart,"
        )
    if lost:
        which = listed(lost) if len(lost) <= _FEW else f"{len(lost)} of these factors"
        return f"{by} does not find {which} again: another training may explain otherwise."
    which = {1: "the same factor", 2: "both factors"}.get(len(main), "the same factors")
    return f"{by} finds {which} again{least}."


def _mixed(explanation: Weighed) -> list[str]:
    """What became of decisions where real inputs were mixed, in the kind that changed most."""
    told = [cue for cue in explanation.cues if cue.counts]
    if not told:
        return []
    cue = max(told, key=lambda cue: cue.found.changed)
    follow, stay = (percent(share or 0.0) for share in (cue.found.share, cue.found.stayed))
    what = "the coarse shape of one with the detail of another" if _is_hybrid(cue) else cue.kind
    return [
        f"Real inputs were mixed in pairs ({what}), which changed {cue.found.changed} of "
        f"{cue.found.asked} decisions. Redrawn by the factors, {follow} of these change alike and "
        f"{stay} do not change."
    ]


def _is_hybrid(cue: Cue) -> bool:
    return cue.kind.startswith("hybrid")


def doubted(explanation: Weighed) -> str:
    """Why this is no explanation, in plain words."""
    figures = explanation.metrics
    if explanation.nothing_changes:
        return f"There is nothing to explain: {explanation.doubt}."
    if figures["latent_share"] < LEAST_LATENT_SHARE:
        return (
            f"The factors do not explain {asked_model(explanation)}: "
            f"{percent(1 - figures['latent_share'])} of what moves it is in none of them."
        )
    if explanation.task == "regression":
        return (
            "The factors do not explain the model: shown only what they draw, its predictions "
            f"keep {percent(max(figures['agreement'], 0.0))} of their variance."
        )
    return (
        "The factors do not explain the classifier: shown only what they draw, it decides "
        f"{percent(1 - figures['agreement'])} of the inputs otherwise."
    )


def warned(count: int) -> str:
    """How many warnings there are."""
    said = "warning says" if count == 1 else "warnings say"
    return f"{in_letters(count).capitalize()} {said} what to doubt."


def not_seen(explanation: Weighed) -> list[str]:
    """What no factor draws, and what the data cannot show."""
    model, said = asked_model(explanation), []
    outside = 1 - explanation.metrics["latent_share"]
    if outside >= 0.005 and not explanation.nothing_changes:
        said.append(
            f"{percent(outside)} of what moves {model} comes from details that no factor draws, "
            "and is not explained."
        )
    drawn = explanation.redrawn.get("drawn_variance")
    if drawn is not None and not explanation.settings["residual"]:
        said.append(
            f"The factors draw {percent(max(drawn.value, 0.0))} of what differs between the "
            "inputs; of the rest this page says nothing."
        )
    if lost := int(explanation.disagrees.sum()):
        said.append(
            f"{in_letters(lost).capitalize()} {plural('input', lost)} "
            f"{'is' if lost == 1 else 'are'} decided otherwise when redrawn: what is said of "
            f"{'it' if lost == 1 else 'them'} is said of the redrawn {plural('input', lost)}."
        )
    said.append("What always goes together in these inputs cannot be told apart.")
    return said
