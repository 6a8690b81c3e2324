"""Explanation -> one self-contained HTML page that needs no network, server or programmer."""

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from attributions.naming import cut
from attributions.predictors import Function
from trimvae.evaluation.result import Evaluation
from trimvae.explanation.evidence import Evidence
from trimvae.explanation.probing import Probing
from trimvae.figures.trust import checks
from trimvae.report.comparing import check_against, comparison_section
from trimvae.report.details import findings
from trimvae.report.examples import example_card
from trimvae.report.flips import flips_of
from trimvae.report.glossary import anchor_of, meanings
from trimvae.report.moving import Moves, moves_of
from trimvae.report.names import (
    own_names,
    renamable,
    unmarked,
    with_marked_names,
    with_shown_names,
)
from trimvae.report.overview import heatmap
from trimvae.report.sections import class_sections, latent_sections
from trimvae.report.sentences import answers
from trimvae.storage import checksum, replacing

if TYPE_CHECKING:
    from jinja2 import Template


_MOST_OF_A_TITLE = 200


def write_report(
    explanation: Probing,
    path: str | Path,
    *,
    title: str = "What the classifier uses",
    evaluation: Evaluation | None = None,
    against: Probing | None = None,
    called: tuple[str, str] = ("this", "the other"),
    judges: Sequence[Function] = (),
    counterfactuals: bool | None = None,
    max_examples: int = 24,
    n_latents: int = 10,
    frames: int = 11,
    max_pixels: int = 80,
) -> Path:
    """Write an explanation as one HTML page: overview, latents, classes and examples.

    Each shown example has sliders that move one latent and show the decoded picture and the
    predictor's probabilities, computed beforehand. All names are escaped, and the page's policy
    lets no script run but its own and nothing be fetched.

    Args:
        explanation: An explanation; one that was loaded without code and predictor has a page
            without sliders.
        path: The file; written whole or not at all. Missing folders are made.
        title: Of the page.
        evaluation: Of the same code and predictor, whose figures are added; default: none.
        against: Another explanation of the same inputs and classes, by another predictor, another
            code or both: a section shows both side by side, what they have in common and where
            they part, and the rest of the page stays with the first; default: none.
        called: What the two are called there.
        judges: Other classifiers of the same classes, behind the predictor's preprocessing, asked
            about each card's smallest move that changes the answer; default: none.
        counterfactuals: Whether cards name that move; default: where judges are asked, or where
            the search is cheap, of at most 32 latents and inputs that are not large (.002 s a card
            of digits; of pictures of 96 pixels and a large network more than a second).
        max_examples: Examples shown, in the order of the batch. Up to half of them are those that
            went wrong: misclassified, or decided otherwise when re-encoded; the rest is spread
            evenly over the predicted classes.
        n_latents: Latents shown, and sliders per example, the strongest first.
        frames: Values of each slider, the example's own aside.
        max_pixels: Longest side of a slider's pictures; larger ones are reduced.

    Returns:
        The path.

    Raises:
        TypeError: `title` is no text, `evaluation` or `against` is none, or judges are no list.
        ValueError: A count is below 1, or `frames` below 2; `against` explains other inputs, other
            classes or another output; or a judge has other classes.
        PermissionError: The folder cannot be written to.
    """
    if min(max_examples, n_latents, max_pixels) < 1 or frames < 2:
        raise ValueError(
            "`max_examples`, `n_latents` and `max_pixels` must be at least 1 and `frames` 2. Got "
            f"{max_examples}, {n_latents}, {max_pixels} and {frames}. Use the defaults."
        )
    if not isinstance(title, str):
        raise TypeError(f"`title` must be text. Got {title!r}. Leave it out for the usual one.")
    if not isinstance(evaluation, Evaluation | None):
        raise TypeError(
            f"`evaluation` must be what evaluate returns. Got {type(evaluation).__name__}. "
            "Leave it out, or pass evaluate(code, predictor, data)."
        )
    path = Path(path)
    page = render_report(
        explanation,
        title=title,
        evaluation=evaluation,
        against=against,
        called=called,
        judges=judges,
        counterfactuals=counterfactuals,
        max_examples=max_examples,
        n_latents=n_latents,
        frames=frames,
        max_pixels=max_pixels,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def render_report(
    explanation: Probing,
    *,
    title: str,
    evaluation: Evaluation | None = None,
    against: Probing | None = None,
    called: tuple[str, str] = ("this", "the other"),
    judges: Sequence[Function] = (),
    counterfactuals: bool | None = None,
    max_examples: int = 24,
    n_latents: int = 10,
    frames: int = 11,
    max_pixels: int = 80,
) -> str:
    """Return the page that `write_report` writes, with the same arguments."""
    own, explanation = explanation, with_marked_names(with_shown_names(explanation))
    folder = resources.files("trimvae.report") / "templates"
    style, script = ((folder / name).read_text("utf-8") for name in ("report.css", "report.js"))
    if against is not None:
        check_against(own, against)
    shown = chosen_examples(explanation, max_examples)
    used = explanation.top(min(n_latents, len(explanation.latent_names)))
    moves: list[Moves] = []
    if explanation.can_be_asked:
        moves = moves_of(explanation, shown, n_latents, frames, max_pixels)
    return _template().render(
        title=cut(title, _MOST_OF_A_TITLE),
        style=style,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        explanation=explanation,
        glossary=meanings(explanation, compared=against is not None),
        names={
            "report": checksum(
                {"attributions": own.attributions}, {"names": repr(own.latent_names)}
            ),
            "own": own_names(own, [use.latent for use in used]),
        },
        answers=answers(explanation),
        details=findings(explanation),
        checks=checks(explanation),
        evaluation=evaluation,
        more_warnings=[] if evaluation is None else _unsaid(evaluation, explanation),
        comparison=None
        if against is None
        else comparison_section(explanation, against, called, max_pixels),
        shown=shown,
        heatmap=heatmap(explanation),
        latents=latent_sections(explanation, used, max_pixels),
        classes=class_sections(explanation, max_pixels),
        examples=[
            example_card(explanation, example, n_latents, max_pixels, its)
            for example, its in zip_longest(shown, moves)
        ],
        flips=flips_of(explanation, shown, judges, max_pixels, search=counterfactuals, moves=moves),
        asked=explanation.can_be_asked,
        classification=explanation.task == "classification",
        has_labels=explanation.labels is not None,
        shown_classes=shown_classes(explanation, shown),
    )


def _unsaid(evaluation: Evaluation, explanation: Probing) -> list[str]:
    """Warnings of an evaluation that the explanation does not give as well, with other numbers."""

    def without_numbers(text: str) -> str:
        return re.sub(r"\d[\d.]*", "", unmarked(text))

    said = {without_numbers(text) for text in explanation.warnings}
    return [text for text in evaluation.warnings if without_numbers(text) not in said]


@cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("trimvae.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"renamable": renamable, "anchor": anchor_of}
    return environment.get_template("report.html.j2")


def chosen_examples(explanation: Evidence, count: int) -> list[int]:
    """Choose the examples to show.

    Examples that went wrong (another class than the label, or another one when re-encoded) are
    taken first, the first ones of the batch, up to half of `count`. What is left of `count` goes
    to the other examples and the remaining wrong ones, in turn over the predicted classes, so that
    every class is shown where there is room.

    Args:
        explanation: An explanation.
        count: Most examples.

    Returns:
        Their indices, ascending; all, where there are no more than `count`.
    """
    wrong = explanation.disagrees.clone()
    if explanation.labels is not None and explanation.task == "classification":
        wrong |= explanation.predicted != explanation.labels
    chosen: list[int] = wrong.nonzero()[:, 0].tolist()[: count // 2]
    by_class: dict[int, list[int]] = {}
    for example, predicted in enumerate(explanation.predicted.tolist()):
        if example not in chosen:
            by_class.setdefault(predicted, []).append(example)
    queues = [by_class[index] for index in sorted(by_class)]
    while len(chosen) < count and any(queues):
        for queue in queues:
            if queue and len(chosen) < count:
                chosen.append(queue.pop(0))
    return sorted(chosen)


def shown_classes(explanation: Evidence, shown: Sequence[int]) -> list[tuple[int, str]]:
    """Classes that the shown examples are predicted as, for the filter."""
    if explanation.task == "regression":
        return []
    indices = sorted({int(explanation.predicted[example]) for example in shown})
    return [(index, explanation.class_names[index]) for index in indices]
