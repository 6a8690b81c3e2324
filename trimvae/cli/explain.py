"""trimvae explain: examples explained by a trained run."""

from pathlib import Path
from typing import Annotated

import typer

from trimvae.cli.options import (
    AsJson,
    Baselines,
    Classes,
    Classifier,
    Examples,
    LatentNames,
    MethodOption,
    NSteps,
    OtherData,
    Preprocess,
    Residual,
    RunFolder,
    Trust,
)
from trimvae.cli.runs import save_explanation
from trimvae.cli.speaker import Speaker


def explain_command(
    run: RunFolder,
    classifier: Classifier = None,
    preprocess: Preprocess = None,
    trust: Trust = False,
    data: OtherData = None,
    examples: Examples = 64,
    method: MethodOption = "integrated_gradients",
    classes: Classes = None,
    baselines: Baselines = "prior_mean",
    residual: Residual = False,
    n_steps: NSteps = None,
    latent_names: LatentNames = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; default: RUN/explanation.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explain examples with a trained run: figures, a table and trust figures.

    Works from the run's folder alone plus the classifier.

    Example: trimvae explain runs/mine --classifier my_model.py:load --examples 20

    Example: trimvae explain runs/mine --trust --baselines class_mean --latent-names names.json
    """
    from trimvae.cli.opening import open_run
    from trimvae.cli.trusting import Named
    from trimvae.report.sentences import headline

    speaker = Speaker(as_json)
    named = Named(classifier, preprocess, trust)
    opened = open_run(run, named, data)
    target = out or opened.folder / "explanation"
    with speaker.working(f"explaining {min(examples, len(opened.inputs))} examples"):
        explanation = opened.explain(
            examples,
            method,
            classes=opened.classes_of(classes),
            baselines=baselines,
            residual=residual,
            n_steps=n_steps,
            latent_names=latent_names,
        )
    with speaker.working("drawing"):
        save_explanation(target, explanation)
    speaker.say("\n".join((*headline(explanation), "", explanation.summary())))
    speaker.end(
        target,
        f"look at {target}/heatmap.png and {target}/traversals_0.png, or trimvae report "
        f"{opened.folder}{named.options()}",
        explanation.to_dict(),
    )
