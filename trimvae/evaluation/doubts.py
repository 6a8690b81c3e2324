"""What a reader must know before believing an evaluation."""

from collections.abc import Mapping, Sequence

from trimvae.evaluation.figure import Measured
from trimvae.explanation.cues import Cue, of_cues

# Fewer examples give intervals that are too wide to tell much.
FEW_EXAMPLES = 20

# Judges that are so much worse than the predictor, by more than chance, do not see what it sees.
# Honest codes of digits and fashion: .00 to .05; a reconstruction that fools one predictor: .7.
MOST_GAP = 0.1

# Attributions must say of real pairs what the predictor says. Right explanations: .99, of trained
# codes of digits .9; where the predictor reads what is not drawn: below .5.
LEAST_OF_PAIRS = 0.6

# Random predictors must not be explained alike, nor may an example be told by their explanations.
# Right explanations: between -.1 and .1, and .45 to .55.
MOST_RANDOM_CORRELATION = 0.5


def doubts_of(figures: Mapping[str, Measured], cues: Sequence[Cue], examples: int) -> list[str]:
    """Warnings of an evaluation, in plain language.

    Args:
        figures: By name.
        cues: What changed inputs showed.
        examples: How many there were.
    """
    found = (
        _of_few(examples),
        of_cues(cues) or _of_following(figures),
        _of_pairs(figures),
        _of_majority(figures),
        _of_judges(figures),
        _of_random_predictors(figures),
    )
    return [text for text in found if text]


def _of_few(examples: int) -> str:
    if examples >= FEW_EXAMPLES:
        return ""
    return (
        f"Only {examples} example{'s were' if examples > 1 else ' was'} evaluated: the intervals "
        f"are wide, and figures say little. Evaluate {FEW_EXAMPLES} or more."
    )


def _of_following(figures: Mapping[str, Measured]) -> str:
    """Where re-encoded decisions go the other way, of no kind of change alone but of all."""
    beyond = figures.get("following_beyond_chance")
    if beyond is None or beyond.interval is None or not beyond.interval.high < 0:
        return ""
    share, chance = figures["following"], figures["following_by_chance"]
    return (
        "Where real inputs are changed so that the decision changes, the re-encoded decision "
        f"follows in {share.value:.0%}, and would in {chance.value:.0%} by chance: the code draws "
        "something else than what the predictor reads. Train with more latents, on inputs in which "
        "the two part."
    )


def _of_pairs(figures: Mapping[str, Measured]) -> str:
    """Where the predictor does not say of real pairs what attributions say of their latent."""
    found = figures.get("real_pairs_correlation")
    if found is None or found.interval is None or not found.interval.high < LEAST_OF_PAIRS:
        return ""
    return (
        "Of real inputs that differ mostly in one latent, the predictor does not say what that "
        f"latent's attribution says (correlation {found.value:.2f}): the explanation holds for the "
        "decoder's pictures alone. Train with a larger prediction_weight or more latents."
    )


def _of_majority(figures: Mapping[str, Measured]) -> str:
    """Where a code that draws nothing but the most frequent decision would agree as often."""
    majority, agreed = figures.get("majority_share"), figures["agreement"]
    if majority is None or agreed.interval is None:
        return ""
    if majority.value == 1.0:
        return (
            "The predictor decides alike for every example, so that agreement says nothing. "
            "Evaluate examples of several classes."
        )
    if agreed.interval.low > majority.value:
        return ""
    return (
        f"Agreement ({agreed.value:.3f}) is not surely above the share of the most frequent "
        f"decision ({majority.value:.3f}), which a code that draws nothing else reaches. Evaluate "
        "more examples of the other classes."
    )


def _of_judges(figures: Mapping[str, Measured]) -> str:
    gap = figures.get("judges_gap")
    if gap is None or gap.interval is None or not gap.interval.low > MOST_GAP:
        return ""
    return (
        "Other classifiers do not read the reconstructions as this predictor does: their agreement "
        f"is {gap.value:.2f} lower. They hold what it alone takes for a class. Train with a "
        "smaller prediction_weight, or through several classifiers."
    )


def _of_random_predictors(figures: Mapping[str, Measured]) -> str:
    found = figures.get("randomised_predictor_rank_correlation")
    if found is None or found.interval is None:
        return ""
    if not found.interval.low > MOST_RANDOM_CORRELATION:
        return ""
    return (
        "Predictors with random weights are explained much alike (rank correlation "
        f"{found.value:.2f}): the explanation shows the code, and not the predictor. Choose "
        "another method of attribution."
    )
