"""trimvae explain: examples explained by a trained run."""

from pathlib import Path
from typing import Annotated

import typer

from trimvae.cli.options import (
    AsJson,
    Classifier,
    Examples,
    MethodOption,
    OtherData,
    Preprocess,
    RunFolder,
)
from trimvae.cli.runs import save_explanation
from trimvae.cli.speaker import Speaker


def explain_command(
    run: RunFolder,
    classifier: Classifier = None,
    preprocess: Preprocess = None,
    data: OtherData = None,
    examples: Examples = 64,
    method: MethodOption = "integrated_gradients",
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; default: RUN/explanation.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explain examples with a trained run: figures, a table and trust figures.

    Works from the run's folder alone plus the classifier.

    Example: trimvae explain runs/mine --examples 20
    """
    from trimvae.cli.opening import open_run

    speaker = Speaker(as_json)
    opened = open_run(run, classifier, preprocess, data)
    explanation = opened.explain(examples, method)
    target = out or opened.folder / "explanation"
    save_explanation(target, explanation)
    speaker.say(explanation.summary())
    speaker.end(
        target,
        f"look at {target}/heatmap.png and {target}/traversals_0.png, or trimvae report "
        f"{opened.folder}",
        explanation.to_dict(),
    )
