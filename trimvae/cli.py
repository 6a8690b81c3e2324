"""The command line: trimvae demo | train | explain | evaluate | report."""

import json
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch import Tensor, nn

from attributions.methods import method_named
from trimvae import demo as demonstration
from trimvae import runs
from trimvae.commands import (
    WEIGHTS,
    Opened,
    absolute,
    code_parts,
    load,
    new_code,
    open_run,
    penalties_named,
    read_data,
    train_code,
)
from trimvae.evaluation import Evaluation, evaluate
from trimvae.explaining import versions
from trimvae.explanation import Explanation
from trimvae.files import write_json, write_text
from trimvae.objectives import Perceptual, objective_named
from trimvae.vae import VAE

app = typer.Typer(
    help="Explain a trained PyTorch classifier through the latents of a disentangling VAE.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Classifier = Annotated[
    str | None,
    typer.Option(
        help="FILE.py:FUNCTION or MODULE:FUNCTION that returns your trained nn.Module.",
        show_default=False,
    ),
]
Preprocess = Annotated[
    str | None,
    typer.Option(
        help="FILE.py:FUNCTION that returns what stands between image and classifier "
        "(resize, mean and deviation)."
    ),
]
DataOption = Annotated[
    str,
    typer.Option(
        help="digits; sprites; fashion; fashion:FOLDER of idx files; FILE.npz with `inputs`; or a "
        "folder with one subfolder of images per class."
    ),
]
OtherData = Annotated[
    str | None, typer.Option(help="Other data than the run's held-out examples, see train.")
]
RunFolder = Annotated[Path, typer.Argument(help="Folder that train or demo wrote.")]
MethodOption = Annotated[
    str,
    typer.Option(
        help="integrated_gradients, exact_shapley, expected_gradients, input_x_gradient, saliency "
        "or a class of captum.attr, such as KernelShap."
    ),
]
Overwrite = Annotated[bool, typer.Option(help="Replace an earlier run in that folder.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object to standard output and nothing else.")
]


@app.command()
def demo(
    dataset: Annotated[
        str, typer.Option(help="digits, fashion, sprites or breast-cancer.")
    ] = "digits",
    seed: Annotated[int, typer.Option(help="Seed of everything that is learned.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for metrics, figures and report; runs/demo.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data, for each VAE.")] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Train a classifier, then explain it through a plain VAE and through trimvae.

    Takes a few minutes on two cores. Nothing is downloaded, but Fashion-MNIST where Debian's
    package dataset-fashion-mnist is not installed.

    Example: trimvae demo --dataset sprites --out runs/sprites
    """
    speaker = _Speaker(as_json)
    demonstration.dataset_named(dataset)
    folder = runs.create(out or Path("runs/demo"), overwrite=overwrite)
    metrics = demonstration.run(
        folder,
        dataset=dataset,
        seed=seed,
        epochs=epochs,
        say=speaker.say,
        progress=not as_json,
    )
    speaker.table(
        f"The same classifier of {dataset}, two codes",
        ["held-out examples", "plain", "trimvae"],
        {name: [value, metrics["trim"][name]] for name, value in metrics["plain"].items()},
    )
    speaker.end(folder, f"open {folder}/report.html in a browser; {folder}/comparison.png", metrics)


@app.command()
def train(
    classifier: Classifier = None,
    data: DataOption = "digits",
    out: Annotated[Path, typer.Option(help="Folder for the run.")] = Path("runs/train"),
    preprocess: Preprocess = None,
    model: Annotated[
        str,
        typer.Option(
            help="vae; ivae (its u is the label); infogan, alae or stylegan2, which learn by a "
            "game and take images."
        ),
    ] = "vae",
    latent_size: Annotated[
        int | None, typer.Option(help="Number of latents; what suits the model without it.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the data.")] = 20,
    batch_size: Annotated[int, typer.Option(help="Examples per step.")] = 128,
    learning_rate: Annotated[float, typer.Option(help="Peak of the schedule.")] = 3e-3,
    objective: Annotated[
        str,
        typer.Option(
            help="vae, betavae, capacity, factorvae, btcvae, dipvae1 or dipvae2: what the VAE "
            "minimises beside prediction loss and penalties."
        ),
    ] = "vae",
    weight: Annotated[
        float | None,
        typer.Option(help="The objective's own weight (beta, gamma, nats of capacity ...)."),
    ] = None,
    warm_up: Annotated[
        int | None, typer.Option(help="Steps over which that weight grows; at once without.")
    ] = None,
    perceptual: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of a layer of the classifier whose features the reconstruction must keep, "
            "too. Repeat for several."
        ),
    ] = None,
    perceptual_weight: Annotated[float, typer.Option(help="Weight of those features.")] = 100.0,
    likelihood: Annotated[str, typer.Option(help="auto, bernoulli, gaussian or laplace.")] = "auto",
    prediction_weight: Annotated[
        float | None,
        typer.Option(
            help="Weight of the prediction loss; without it 20, for infogan 1, for alae 2, for "
            "stylegan2, which has no encoder, 0."
        ),
    ] = None,
    sparsity: Annotated[
        float | None,
        typer.Option(
            help="Weight of the sparsity penalty; without it 6, for infogan .1, for alae .3, for "
            "stylegan2 0."
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
        str | None, typer.Option(help="classification or regression, if not clear.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the VAE and its training.")] = 0,
    grey: Annotated[bool, typer.Option(help="Read a folder of images as grey.")] = False,
    accelerator: Annotated[
        str, typer.Option(help="Lightning's word for where to train: auto, cpu, gpu ...")
    ] = "auto",
    resume: Annotated[bool, typer.Option(help="Go on with an interrupted run.")] = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Train a VAE, or another code, through your frozen classifier; explain held-out examples.

    Example: trimvae train --classifier my_model.py:load --data images.npz --out runs/mine
    """
    if classifier is None:
        _fail("`--classifier` must be given. Got none. Write e.g. --classifier my_model.py:load.")
    speaker = _Speaker(as_json)
    defaults = WEIGHTS.get(model, WEIGHTS["vae"])
    if prediction_weight is None:
        prediction_weight = defaults.prediction
    if sparsity is None:
        sparsity = defaults.sparsity
    penalties = penalties_named(sparsity, monotonicity, penalty or [])
    minimised = objective_named(objective, weight, warm_up=warm_up)
    predictor, preprocessing = load(classifier), load(preprocess)
    parts = read_data(data, seed, grey)
    if perceptual:
        if not isinstance(predictor, nn.Module):
            _fail("`--perceptual` must name layers of an nn.Module. Got a plain function.")
        minimised = Perceptual(
            predictor,
            perceptual,
            weight=perceptual_weight,
            objective=minimised,
            preprocess=preprocessing,
        )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        code = new_code(model, parts, latent_size, likelihood)
    folder = runs.create(out, overwrite=overwrite, resume=resume)
    configuration = {
        "command": "train",
        **{name: value for name, value in locals().items() if name in _RECORDED},
        "classifier": absolute(classifier),
        "preprocess": absolute(preprocess),
        "class_names": parts.class_names,
        "feature_names": parts.feature_names,
        "versions": versions(),
    }
    write_json(folder / runs.CONFIGURATION, configuration)
    history = train_code(
        code,
        predictor,
        parts,
        objective=minimised,
        prediction_weight=prediction_weight,
        penalties=penalties,
        max_epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        preprocess=preprocessing,
        task=task,
        seed=seed,
        checkpoint_dir=folder,
        resume=resume,
        accelerator=accelerator,
        progress=not as_json,
    )
    code.save(folder / runs.CODE)
    runs.save_examples(folder, parts.test_inputs[:256], _first(parts.test_labels, 256))
    write_json(folder / "history.json", history)
    searched = model in ("infogan", "stylegan2")  # no encoder: each image is searched for
    held_out = 128 if searched else 1000
    explanation = Opened(
        folder, configuration, code, predictor, preprocessing, parts.test_inputs, parts.test_labels
    ).explain(held_out)
    runs.save_explanation(folder / "explanation", explanation)
    metrics = explanation.metrics
    if isinstance(code, VAE):
        metrics = {**metrics, **code_parts(code, parts.train_inputs, seed)}
    write_json(folder / "metrics.json", metrics)
    speaker.table(
        f"{len(explanation.inputs)} held-out examples",
        ["figure", "value"],
        {name: [value] for name, value in metrics.items()},
    )
    speaker.warnings(explanation)
    speaker.end(folder, f"trimvae report {folder}", {"metrics": metrics})


@app.command(name="explain")
def explain_command(
    run: RunFolder,
    classifier: Classifier = None,
    preprocess: Preprocess = None,
    data: OtherData = None,
    examples: Annotated[int, typer.Option(help="How many examples to explain.")] = 64,
    method: MethodOption = "integrated_gradients",
    out: Annotated[
        Path | None, typer.Option(help="Where to write; RUN/explanation by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explain examples with a trained run: figures, a table and trust figures.

    Works from the run's folder alone plus the classifier.

    Example: trimvae explain runs/mine --examples 20
    """
    speaker = _Speaker(as_json)
    opened = open_run(run, classifier, preprocess, data)
    explanation = opened.explain(examples, method)
    target = out or opened.folder / "explanation"
    runs.save_explanation(target, explanation)
    speaker.say(explanation.summary())
    speaker.end(
        target,
        f"look at {target}/heatmap.png and {target}/traversals_0.png, or trimvae report "
        f"{opened.folder}",
        explanation.to_dict(),
    )


@app.command(name="evaluate")
def evaluate_command(
    run: RunFolder,
    classifier: Classifier = None,
    preprocess: Preprocess = None,
    data: OtherData = None,
    method: MethodOption = "integrated_gradients",
    interventions: Annotated[
        int, typer.Option(help="Examples for the figures that move latents and decode anew.")
    ] = 256,
    as_json: AsJson = False,
) -> None:
    """Measure how far a run's explanations can be trusted; writes RUN/evaluation.json and .md.

    Example: trimvae evaluate runs/mine --data images.npz
    """
    speaker = _Speaker(as_json)
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


@app.command()
def report(
    run: RunFolder,
    classifier: Classifier = None,
    preprocess: Preprocess = None,
    data: OtherData = None,
    examples: Annotated[int, typer.Option(help="How many examples to explain.")] = 256,
    shown: Annotated[int, typer.Option(help="How many of them get a card with sliders.")] = 24,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "What the classifier uses",
    out: Annotated[Path | None, typer.Option(help="The file; RUN/report.html by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a run's explanation as one HTML page that opens anywhere, without network.

    Where `trimvae evaluate` was run before, its figures are added.

    Example: trimvae report runs/mine --title "How our classifier sees birds"
    """
    speaker = _Speaker(as_json)
    opened = open_run(run, classifier, preprocess, data)
    measured = opened.folder / "evaluation.json"
    explanation = opened.explain(examples)
    path = explanation.to_html(
        out or opened.folder / "report.html",
        title=title,
        evaluation=Evaluation(**json.loads(measured.read_text())) if measured.is_file() else None,
        max_examples=shown,
    )
    speaker.warnings(explanation)
    speaker.end(path, f"open {path} in a browser", explanation.to_dict())


def main() -> None:
    """Run the command line; what the user can mend is said in one line, with exit code 2."""
    try:
        app()
    except (ValueError, TypeError, OSError, AttributeError, ModuleNotFoundError) as error:
        _fail(str(error))


_RECORDED = (
    "data",
    "model",
    "latent_size",
    "epochs",
    "batch_size",
    "learning_rate",
    "objective",
    "weight",
    "warm_up",
    "perceptual",
    "perceptual_weight",
    "likelihood",
    "prediction_weight",
    "sparsity",
    "monotonicity",
    "penalty",
    "task",
    "grey",
    "seed",
)


def _fail(message: str) -> None:
    Console(stderr=True).print(f"error: {message}", highlight=False, markup=False)
    raise SystemExit(2)


def _first(labels: Tensor | None, count: int) -> Tensor | None:
    return None if labels is None else labels[:count]


class _Speaker:
    """Says things to a person, or one JSON object to a machine."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(quiet=as_json)

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False)

    def table(self, title: str, columns: list[str], rows: dict[str, list[float]]) -> None:
        table = Table(*columns, title=title)
        for name, values in rows.items():
            table.add_row(name, *[f"{value:.4g}" for value in values])
        self.console.print(table)

    def warnings(self, explanation: Explanation) -> None:
        for text in explanation.warnings:
            self.console.print(f"[bold yellow]warning:[/] {escape(text)}", highlight=False)

    def end(self, folder: Path, following: str, result: dict[str, Any]) -> None:
        if self.as_json:
            typer.echo(json.dumps({"folder": str(folder), **result}))
        else:
            self.say(f"Written to {folder}. Next: {following}")
