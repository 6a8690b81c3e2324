"""trimvae evaluate: how far a run's explanations can be trusted."""

from typing import Annotated

import typer

from trimvae.cli.options import (
    AsJson,
    Classifier,
    Judges,
    MethodOption,
    OtherData,
    Preprocess,
    RunFolder,
    Trust,
)
from trimvae.cli.runs import EVALUATION
from trimvae.cli.speaker import Speaker
from trimvae.storage import write_json, write_text


def evaluate_command(
    run: RunFolder,
    classifier: Classifier = None,
    preprocess: Preprocess = None,
    trust: Trust = False,
    data: OtherData = None,
    method: MethodOption = "integrated_gradients",
    interventions: Annotated[
        int,
        typer.Option(help="Examples for the figures that move latents and decode anew.", min=1),
    ] = 256,
    judge: Judges = None,
    as_json: AsJson = False,
) -> None:
    """Measure how far a run's explanations can be trusted; writes RUN/evaluation.json and .md.

    Example: trimvae evaluate runs/mine --classifier my_model.py:load --judge my_model.py:other
    """
    from attributions.methods.captum import method_named
    from trimvae.cli.functions import load
    from trimvae.cli.opening import open_run
    from trimvae.cli.trusting import Named
    from trimvae.evaluation.evaluating import evaluate

    speaker = Speaker(as_json)
    named = Named(classifier, preprocess, trust)
    opened = open_run(run, named, data)
    judges = [load(spec, "judge") for spec in judge or ()]
    with speaker.working(f"evaluating {len(opened.inputs)} examples"):
        evaluation = evaluate(
            opened.code,
            opened.predictor,
            opened.inputs,
            preprocess=opened.preprocess,
            method=method_named(method),
            task=opened.configuration.get("task"),
            class_names=opened.configuration.get("class_names"),
            n_interventions=interventions,
            labels=opened.labels,
            judges=judges,
        )
    folder = opened.folder
    write_json(folder / EVALUATION, evaluation.to_dict())
    write_text(folder / "evaluation.md", evaluation.to_markdown())
    speaker.table(
        f"{len(opened.inputs)} examples",
        ["figure", "value", "95 % interval"],
        {
            f"{name}\n  {meaning}": [value, interval]
            for name, value, interval, meaning in evaluation.rows()
        },
    )
    speaker.warnings(evaluation.warnings)
    speaker.end(
        folder,
        f"read {folder}/evaluation.md, then trimvae report {folder}{named.options()}",
        evaluation.to_dict(),
    )
