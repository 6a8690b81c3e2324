"""What was found, in sentences that need no training in this field; made from the figures."""

from typing import NamedTuple

from trimvae.explanation.comparison import Comparison
from trimvae.explanation.redrawn import LEAST_DIRECTION
from trimvae.explanation.trust import Weighed
from trimvae.explanation.usage import LatentUse
from trimvae.report.details import LEAST_SHARE
from trimvae.report.sureness import doubted, found_again, how_sure, not_seen, survival, warned
from trimvae.report.wording import asked_model, in_letters, listed, percent, plural

# Factors that carry so much of the evidence together are said to decide, if they are few.
_MOST_OF_IT, _FEW = 2 / 3, 3


class Answer(NamedTuple):
    """A question of the reader's, and what the figures say to it."""

    question: str
    sentences: list[str]


def headline(explanation: Weighed, comparison: Comparison | None = None) -> list[str]:
    """Say in at most three sentences what decides, in which direction, and how sure it is.

    What the figures do not support is not said: an explanation out of its bounds is called none,
    and a factor that a second training does not find again is told of.

    Args:
        explanation: An explanation.
        comparison: Of this explanation with a second one, by `Explanation.compare`; default: none,
            and what a consensus of codes has found, if there was one.

    Returns:
        One to three sentences.

    Raises:
        ValueError: The comparison is of another explanation.

    Examples:
        >>> import torch
        >>> from attributions.transforms import Fourier
        >>> from trimvae import explain
        >>> rows = torch.tensor([[1.0, 0.0], [3.0, 0.0]])
        >>> total = lambda rows: rows.sum(dim=1, keepdim=True)
        >>> said = headline(explain(Fourier((2,)), total, rows, class_names=["sum"]))
        >>> len(said) <= 3 and said[0].startswith("The model predicts the sum by one factor")
        True
    """
    if comparison is not None and comparison.latent_names[0] != explanation.latent_names:
        raise ValueError(
            "`comparison` must be of this explanation. Got one of the latents "
            f"{', '.join(comparison.latent_names[0][:5])}. Pass explanation.compare(other)."
        )
    if explanation.doubt:
        return [doubted(explanation)]
    main = _main_factors(explanation)
    if not main:
        return [_what_decides(explanation, main)]
    sure = survival(explanation)
    if again := found_again(explanation, main, comparison):
        sure += f" {again}"
    if explanation.warnings:
        sure += f" {warned(len(explanation.warnings))}"
    return [_what_decides(explanation, main), _direction(explanation, main[0]), sure]


def answers(explanation: Weighed) -> list[Answer]:
    """What decides, in which direction, how sure it is, and what is not seen, for the overview."""
    main = _main_factors(explanation)
    found = []
    if explanation.doubt:
        found.append(Answer("Do not rely on this page", [doubted(explanation)]))
    found.append(Answer("What decides", _deciding(explanation, main)))
    if main:
        found.append(Answer("In which direction", _directions(explanation)))
    found.append(Answer("How sure it is", how_sure(explanation, main)))
    return [*found, Answer("What it does not see", not_seen(explanation))]


def _main_factors(explanation: Weighed) -> list[LatentUse]:
    """The fewest latents that carry two thirds of the evidence; none where there is none."""
    used = explanation.top(len(explanation.latent_names))
    if not used[0].share > 0:
        return []
    carried = 0.0
    for count, use in enumerate(used, start=1):
        carried += use.share
        if carried >= _MOST_OF_IT:
            return used[:count]
    return used


def _deciding(explanation: Weighed, main: list[LatentUse]) -> list[str]:
    """Which factors decide, each one's part, and how many a single decision takes."""
    said = [_what_decides(explanation, main)]
    if not main:
        return said
    used = [use for use in explanation.top(_FEW) if use.share >= LEAST_SHARE]
    if not used:
        said.append(f"No factor carries {percent(LEAST_SHARE)} of it.")
    elif len(used) > 1 or len(main) > _FEW:
        others = len(explanation.latent_names) - len(used)
        rest = 1 - sum(use.share for use in used)
        said.append(
            f"{listed([f'{use.name} carries {percent(use.share)}' for use in used])}"
            + (f"; the other {others} carry {percent(rest)} together." if others > 1 else ".")
        )
    about = max(1, round(explanation.metrics["effective_latents"]))
    one = "prediction" if explanation.task == "regression" else "decision"
    said.append(f"A single {one} rests on about {in_letters(about)} {plural('factor', about)}.")
    return said


def _what_decides(explanation: Weighed, main: list[LatentUse]) -> str:
    what, size = _task(explanation), len(explanation.latent_names)
    if not main:
        return f"None of the {size} factors changes what {asked_model(explanation)} says."
    if len(main) > _FEW:
        return (
            f"{what} by no few factors: it takes {in_letters(len(main))} of {size} to carry two "
            "thirds of the evidence."
        )
    share = percent(sum(use.share for use in main))
    carry = "which carries" if len(main) == 1 else "which carry"
    factors = f"{in_letters(len(main))} {plural('factor', len(main))}"
    return (
        f"{what} by {factors} ({listed([use.name for use in main])}), {carry} {share} of the "
        "evidence."
    )


def _task(explanation: Weighed) -> str:
    """What the predictor does, as the beginning of a sentence."""
    if explanation.task == "regression":
        return f"The model predicts the {explanation.explained_names[0]}"
    if not explanation.by_class:
        return f"The classifier says {explanation.explained_names[0]}"
    names = [explanation.class_names[i] for i in explanation.predicted.unique().tolist()]
    if len(names) == 1:
        return f"The classifier recognises {names[0]}"
    if len(names) == 2:
        return f"The classifier tells {names[0]} from {names[1]}"
    return f"The classifier tells {in_letters(len(names))} classes apart"


def _directions(explanation: Weighed) -> list[str]:
    said = [
        _direction(explanation, use)
        for place, use in enumerate(explanation.top(_FEW))
        if use.share >= LEAST_SHARE or not place
    ]
    if "direction" in explanation.redrawn and not _acts_with_others(explanation):
        value = explanation.redrawn["direction"].value
        said.append(
            "More of a factor means the same from one example to the next: "
            f"{value:.2f}, where 1 is always."
        )
    return said


def _direction(explanation: Weighed, use: LatentUse) -> str:
    """What more of a factor speaks for, if it speaks for the same in every example."""
    (most, up), (least, down) = use.speaks_for, use.speaks_against
    if _acts_with_others(explanation):
        return (
            f"More of {use.name} speaks for a class in some examples and against it in others: it "
            "acts together with other factors."
            if explanation.task == "classification"
            else f"More of {use.name} acts together with other factors: up in some examples, down "
            "in others."
        )
    if explanation.task == "regression":
        return f"More of {use.name} {'raises' if up > 0 else 'lowers'} the {most}."
    if not explanation.by_class:
        return f"{'More' if up > 0 else 'Less'} of {use.name} speaks for {most}."
    if len(explanation.output_names) == 1:  # a binary logit, which speaks for its second class
        negative, positive = explanation.class_names
        most, least = (positive, negative) if up > 0 else (negative, positive)
    elif not up > 0 > down:
        return f"More of {use.name} speaks more for {most} than for {least}."
    degree = " most" if len(explanation.output_names) > 2 else ""
    return f"More of {use.name} speaks{degree} for {most}, less of it for {least}."


def _acts_with_others(explanation: Weighed) -> bool:
    figure = explanation.redrawn.get("direction")
    return figure is not None and figure.value < LEAST_DIRECTION
