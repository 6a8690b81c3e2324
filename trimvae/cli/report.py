"""trimvae report: a run's explanation as one page."""

from pathlib import Path
from typing import Annotated

import typer

from trimvae.cli.options import (
    AsJson,
    Classifier,
    Examples,
    Judges,
    LatentNames,
    OtherData,
    Preprocess,
    RunFolder,
    Trust,
)
from trimvae.cli.runs import load_evaluation
from trimvae.cli.speaker import Speaker


def report_command(
    run: RunFolder,
    classifier: Classifier = None,
    preprocess: Preprocess = None,
    trust: Trust = False,
    data: OtherData = None,
    examples: Examples = 256,
    shown: Annotated[
        int, typer.Option(help="How many of them get a card with sliders.", min=0)
    ] = 24,
    latent_names: LatentNames = None,
    against: Annotated[
        Path | None,
        typer.Option(help="Folder of another run, whose explanation stands beside this one."),
    ] = None,
    against_classifier: Annotated[
        str | None,
        typer.Option(
            help="FILE.py:FUNCTION of another classifier, to stand beside this one, seen through "
            "the code of --against or the run's own."
        ),
    ] = None,
    judge: Judges = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "What the classifier uses",
    out: Annotated[
        Path | None, typer.Option(help="The file to write; default: RUN/report.html.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a run's explanation as one HTML page that opens anywhere, without network.

    Where `trimvae evaluate` was run before, its figures are added. With --against or
    --against-classifier the same inputs are explained twice, side by side.

    Example: trimvae report runs/mine --classifier my_model.py:load --title "Seen in birds"
    Example: trimvae report runs/mine --trust --against runs/another
    """
    from trimvae.cli.functions import load
    from trimvae.cli.opening import open_run
    from trimvae.cli.trusting import Named

    speaker = Speaker(as_json)
    named = Named(classifier, preprocess, trust)
    opened = open_run(run, named, data)
    other = None
    if against is not None or against_classifier is not None:
        beside = Named(against_classifier or classifier, preprocess, trust)
        other = open_run(against or run, beside)._replace(
            inputs=opened.inputs, labels=opened.labels
        )
    judges = [load(spec, "judge") for spec in judge or ()]
    evaluation = load_evaluation(opened.folder)
    with speaker.working(f"explaining {min(examples, len(opened.inputs))} examples"):
        explanation = opened.explain(examples, latent_names=latent_names)
        second = None if other is None else other.explain(examples)
    with speaker.working("writing the report"):
        path = explanation.to_html(
            out or opened.folder / "report.html",
            title=title,
            evaluation=evaluation,
            against=second,
            called=_called(run, against, against_classifier),
            judges=judges,
            max_examples=shown,
        )
    speaker.warnings(explanation.warnings)
    speaker.end(path, f"open {path} in a browser", explanation.to_dict())


def _called(run: Path, against: Path | None, classifier: str | None) -> tuple[str, str]:
    """What two explanations are called: by their runs, or where it is one run, by what differs."""
    first, second = run.resolve(), (against or run).resolve()
    if first == second:
        return "the classifier", classifier or "the same"
    return (first.name, second.name) if first.name != second.name else (str(first), str(second))
