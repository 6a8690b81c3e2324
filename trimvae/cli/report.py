"""trimvae report: a run's explanation as one page."""

import json
from pathlib import Path
from typing import Annotated

import typer

from trimvae.cli.options import AsJson, Classifier, Examples, OtherData, Preprocess, RunFolder
from trimvae.cli.speaker import Speaker


def report_command(
    run: RunFolder,
    classifier: Classifier = None,
    preprocess: Preprocess = None,
    data: OtherData = None,
    examples: Examples = 256,
    shown: Annotated[
        int, typer.Option(help="How many of them get a card with sliders.", min=0)
    ] = 24,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "What the classifier uses",
    out: Annotated[
        Path | None, typer.Option(help="The file to write; default: RUN/report.html.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a run's explanation as one HTML page that opens anywhere, without network.

    Where `trimvae evaluate` was run before, its figures are added.

    Example: trimvae report runs/mine --title "How our classifier sees birds"
    """
    from trimvae.cli.opening import open_run
    from trimvae.evaluation.result import Evaluation

    speaker = Speaker(as_json)
    opened = open_run(run, classifier, preprocess, data)
    measured = opened.folder / "evaluation.json"
    evaluation = None
    if measured.is_file():
        evaluation = Evaluation(**json.loads(measured.read_text(encoding="utf-8")))
    explanation = opened.explain(examples)
    path = explanation.to_html(
        out or opened.folder / "report.html",
        title=title,
        evaluation=evaluation,
        max_examples=shown,
    )
    speaker.warnings(explanation.warnings)
    speaker.end(path, f"open {path} in a browser", explanation.to_dict())
