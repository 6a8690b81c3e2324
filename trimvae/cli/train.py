"""trimvae train: a code learns through your classifier."""

from pathlib import Path
from typing import Annotated

import typer

from trimvae.cli.options import AsJson, Classifier, DataOption, Overwrite, Preprocess
from trimvae.cli.settings import Settings
from trimvae.cli.speaker import Speaker
from trimvae.cli.starting import Start


def train_command(
    classifier: Classifier = None,
    data: DataOption = "digits",
    label: Annotated[
        str | None,
        typer.Option(
            help="Column of the classes of a CSV file, which is taken off; default: there is none."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the run.")] = Path("runs/train"),
    preprocess: Preprocess = None,
    model: Annotated[
        str,
        typer.Option(
            help="vae; residual, a vae of residual blocks for pictures of 16 to 256 pixels; ivae "
            "(its u is the label); infogan, alae or stylegan2, which are trained adversarially "
            "and take images."
        ),
    ] = "vae",
    latent_size: Annotated[
        int | None, typer.Option(help="Number of latents; default: what suits the model.", min=1)
    ] = None,
    epochs: Annotated[
        int, typer.Option(help="Passes over the data, before those along axes.", min=1)
    ] = 20,
    batch_size: Annotated[int, typer.Option(help="Examples per step.", min=1)] = 128,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Peak of the schedule; default: what suits the model, .003 for a vae."),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="vae, betavae, capacity, factorvae, btcvae, dipvae1 or dipvae2: what a vae or "
            "ivae minimises beside prediction loss and penalties; default: vae."
        ),
    ] = None,
    weight: Annotated[
        float | None,
        typer.Option(help="The objective's own weight (beta, gamma, nats of capacity ...)."),
    ] = None,
    warm_up: Annotated[
        int | None,
        typer.Option(help="Steps over which that weight grows; default: it does not grow."),
    ] = None,
    perceptual: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of a layer of the classifier whose features the reconstruction must also "
            "keep. Repeat for several."
        ),
    ] = None,
    perceptual_weight: Annotated[float, typer.Option(help="Weight of those features.")] = 100.0,
    likelihood: Annotated[str, typer.Option(help="auto, bernoulli, gaussian or laplace.")] = "auto",
    prediction_weight: Annotated[
        float | None,
        typer.Option(
            help="Weight of the prediction loss; default: 20, for infogan 1, for alae 2, for "
            "stylegan2, which has no encoder, 0."
        ),
    ] = None,
    sparsity: Annotated[
        float | None,
        typer.Option(
            help="Weight of the sparsity penalty, along axes the one that classes share; default: "
            "6, for infogan .1, for alae .3, for stylegan2 0."
        ),
    ] = None,
    monotonicity: Annotated[float, typer.Option(help="Weight of the monotonicity penalty.")] = 0.0,
    penalty: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME or NAME=WEIGHT of another penalty: group_sparsity, hessian, independence, "
            "information_flow, jacobian_sparsity, nearest_neighbour. Repeat for several."
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="classification or regression; default: regression for a single output, else "
            "classification."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the code and its training.", min=0)] = 0,
    codes: Annotated[
        int,
        typer.Option(
            help="How many codes are trained, of a vae or ivae: from this seed, the next ... With "
            "several, the explanation says which of its factors recur.",
            min=1,
        ),
    ] = 1,
    axes: Annotated[
        bool | None,
        typer.Option(
            "--axes/--no-axes",
            help="Train with the prediction loss, look along the axes that suit the classifier, "
            "then train on with the penalties along these, for 3 epochs in 7; default: for vae "
            "and ivae. Otherwise penalties act from the first step.",
        ),
    ] = None,
    grey: Annotated[bool, typer.Option("--grey", help="Read a folder of images as grey.")] = False,
    accelerator: Annotated[
        str, typer.Option(help="Lightning's word for where to train: auto, cpu, gpu ...")
    ] = "auto",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with an interrupted run, with the same settings or more epochs."
        ),
    ] = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Train a VAE, or another code, through your frozen classifier; explain held-out examples.

    Example: trimvae train --classifier my_model.py:load --data images.npz --out runs/mine
    """
    if classifier is None:
        raise ValueError(
            "`--classifier` must be given. Got none. Write e.g. --classifier my_model.py:load."
        )
    settings = Settings(
        classifier=classifier,
        preprocess=preprocess,
        data=data,
        label=label,
        grey=grey,
        model=model,
        latent_size=latent_size,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        objective=objective,
        weight=weight,
        warm_up=warm_up,
        perceptual=perceptual or [],
        perceptual_weight=perceptual_weight,
        likelihood=likelihood,
        prediction_weight=prediction_weight,
        sparsity=sparsity,
        monotonicity=monotonicity,
        penalty=penalty or [],
        task=task,
        seed=seed,
        codes=codes,
        axes=axes,
    )
    with Start(out, overwrite=overwrite, resume=resume) as start:
        _train(settings, start, out, accelerator, Speaker(as_json))


def _train(settings: Settings, start: Start, out: Path, accelerator: str, speaker: Speaker) -> None:
    from trimvae.cli import cures, preparing, several, training

    preparing.check_accelerator(accelerator)
    run = preparing.prepared(settings, start)
    progress, said = not speaker.as_json, {}
    if settings.codes == 1:
        opened = training.trained(run, start, accelerator=accelerator, progress=progress)
    else:
        opened, found = several.trained_together(
            run, start, accelerator=accelerator, progress=progress
        )
        speaker.say(found.summary())
        said = {"consensus": found.to_dict()}
    explanation, metrics = training.explained(run, opened)
    speaker.table(
        f"{len(explanation.inputs)} held-out examples",
        ["figure", "value"],
        {name: [value] for name, value in metrics.items()},
    )
    speaker.warnings(explanation.warnings)
    following = cures.cure(explanation, metrics, run.settings) or f"trimvae report {out} --trust"
    speaker.end(out, following, {"metrics": metrics, **said})
