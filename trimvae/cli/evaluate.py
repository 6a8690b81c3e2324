"""trimvae evaluate: how far a run's explanations can be trusted."""

from typing import Annotated

import typer

from trimvae.cli.options import (
    AsJson,
    Classifier,
    MethodOption,
    OtherData,
    Preprocess,
    RunFolder,
)
from trimvae.cli.speaker import Speaker
from trimvae.storage import write_json, write_text


def evaluate_command(
    run: RunFolder,
    classifier: Classifier = None,
    preprocess: Preprocess = None,
    data: OtherData = None,
    method: MethodOption = "integrated_gradients",
    interventions: Annotated[
        int,
        typer.Option(help="Examples for the figures that move latents and decode anew.", min=1),
    ] = 256,
    as_json: AsJson = False,
) -> None:
    """Measure how far a run's explanations can be trusted; writes RUN/evaluation.json and .md.

    Example: trimvae evaluate runs/mine --data images.npz
    """
    from attributions.methods.captum import method_named
    from trimvae.cli.opening import open_run
    from trimvae.evaluation.evaluating import evaluate

    speaker = Speaker(as_json)
    opened = open_run(run, classifier, preprocess, data)
    evaluation = evaluate(
        opened.code,
        opened.predictor,
        opened.inputs,
        preprocess=opened.preprocess,
        method=method_named(method),
        task=opened.configuration.get("task"),
        class_names=opened.configuration.get("class_names"),
        n_interventions=interventions,
    )
    folder = opened.folder
    write_json(folder / "evaluation.json", evaluation.to_dict())
    write_text(folder / "evaluation.md", evaluation.to_markdown())
    speaker.table(
        f"{len(opened.inputs)} examples",
        ["figure", "value"],
        {name: [value] for name, value in evaluation.metrics.items()},
    )
    speaker.end(
        folder, f"read {folder}/evaluation.md, then trimvae report {folder}", evaluation.to_dict()
    )
