"""trimvae report: a run's explanation as one page."""

from pathlib import Path
from typing import Annotated

import typer

from trimvae.cli.options import (
    AsJson,
    Classifier,
    Examples,
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
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "What the classifier uses",
    out: Annotated[
        Path | None, typer.Option(help="The file to write; default: RUN/report.html.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a run's explanation as one HTML page that opens anywhere, without network.

    Where `trimvae evaluate` was run before, its figures are added.

    Example: trimvae report runs/mine --classifier my_model.py:load --title "Seen in birds"
    """
    from trimvae.cli.opening import open_run
    from trimvae.cli.trusting import Named

    speaker = Speaker(as_json)
    named = Named(classifier, preprocess, trust)
    opened = open_run(run, named, data)
    evaluation = load_evaluation(opened.folder)
    with speaker.working(f"explaining {min(examples, len(opened.inputs))} examples"):
        explanation = opened.explain(examples, latent_names=latent_names)
    with speaker.working("writing the report"):
        path = explanation.to_html(
            out or opened.folder / "report.html",
            title=title,
            evaluation=evaluation,
            max_examples=shown,
        )
    speaker.warnings(explanation.warnings)
    speaker.end(path, f"open {path} in a browser", explanation.to_dict())
