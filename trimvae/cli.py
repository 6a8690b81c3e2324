"""The command line: trimvae demo | train | explain | evaluate."""

from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.distributions import Normal

from attributions import Monotonicity, Penalty, Sparsity
from attributions.code_penalties import CodePenalty, penalty_named
from attributions.methods import method_named
from trimvae import demo as demonstration
from trimvae import runs
from trimvae.data import Split, arrays, digits, fashion_mnist, image_folder, split, sprites
from trimvae.evaluation import evaluate
from trimvae.explaining import explain, versions
from trimvae.explanation import Explanation
from trimvae.files import write_json, write_text
from trimvae.objectives import Perceptual, decomposition, objective_named
from trimvae.training import fit
from trimvae.vae import VAE

app = typer.Typer(
    help="Explain a trained PyTorch classifier through the latents of a disentangling VAE.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console()

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
RunFolder = Annotated[Path, typer.Argument(help="Folder that train or demo wrote.")]
MethodOption = Annotated[
    str,
    typer.Option(
        help="integrated_gradients, exact_shapley, expected_gradients, input_x_gradient, saliency "
        "or a class of captum.attr, such as KernelShap."
    ),
]
Overwrite = Annotated[bool, typer.Option(help="Replace an earlier run in that folder.")]


@app.command()
def demo(
    seed: Annotated[int, typer.Option(help="Seed of everything that is learned.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for metrics and figures.")] = Path("runs/demo"),
    epochs: Annotated[
        int, typer.Option(help="Passes over the digits, for each VAE.")
    ] = demonstration.EPOCHS,
    overwrite: Overwrite = False,
) -> None:
    """Train a digit classifier, then explain it through a plain VAE and through trimvae.

    Takes a few minutes on two cores and downloads nothing.

    Example: trimvae demo --seed 1 --out runs/demo1
    """
    folder = runs.create(out, overwrite=overwrite)
    metrics = demonstration.run(folder, seed=seed, epochs=epochs, say=console.print)
    table = Table("held-out digits", "plain", "trimvae", title="The same classifier, two codes")
    for name in metrics["plain"]:
        table.add_row(name, f"{metrics['plain'][name]:.4g}", f"{metrics['trim'][name]:.4g}")
    console.print(table)
    _say_written(folder, f"Next: look at {folder}/comparison.png, then trimvae explain {folder}")


@app.command()
def train(
    classifier: Classifier = None,
    data: DataOption = "digits",
    out: Annotated[Path, typer.Option(help="Folder for the run.")] = Path("runs/train"),
    preprocess: Preprocess = None,
    latent_size: Annotated[int, typer.Option(help="Number of latents.")] = 10,
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
    prediction_weight: Annotated[float, typer.Option(help="Weight of the prediction loss.")] = 20.0,
    sparsity: Annotated[float, typer.Option(help="Weight of the sparsity penalty.")] = 6.0,
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
) -> None:
    """Train a VAE through your frozen classifier, and explain held-out examples.

    Example: trimvae train --classifier my_model.py:load --data images.npz --out runs/mine
    """
    if classifier is None:
        _fail("`--classifier` must be given. Got none. Write e.g. --classifier my_model.py:load.")
    penalties = _penalties(sparsity, monotonicity, penalty or [])
    minimised = objective_named(objective, weight, warm_up=warm_up)
    predictor, preprocessing = _load(classifier), _load(preprocess)
    parts = _read_data(data, seed, grey)
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
    folder = runs.create(out, overwrite=overwrite, resume=resume)
    configuration = {
        "command": "train",
        **{name: value for name, value in locals().items() if name in _RECORDED},
        "classifier": _absolute(classifier),
        "preprocess": _absolute(preprocess),
        "class_names": parts.class_names,
        "versions": versions(),
    }
    write_json(folder / runs.CONFIGURATION, configuration)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        vae = _new_vae(parts.train_inputs, latent_size, likelihood)
    history = fit(
        vae,
        predictor,
        parts.train_inputs,
        validation=parts.test_inputs,
        objective=minimised,
        prediction_weight=prediction_weight,
        penalties=penalties,
        max_epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        preprocess=preprocessing,
        task=task,  # type: ignore[arg-type]
        seed=seed,
        checkpoint_dir=folder,
        resume=resume,
        accelerator=accelerator,
    )
    vae.save(folder / "vae.safetensors")
    runs.save_examples(folder, parts.test_inputs[:256], _first(parts.test_labels, 256))
    write_json(folder / "history.json", history)
    explanation = _explain_into(
        folder / "explanation",
        configuration,
        vae,
        predictor,
        preprocessing,
        parts.test_inputs[:1000],
    )
    parts_of_kl = _decomposition(vae, parts.train_inputs, seed)
    write_json(folder / "metrics.json", {**explanation.metrics, **parts_of_kl})
    console.print(
        "code: " + ", ".join(f"{name} {value:.3g}" for name, value in parts_of_kl.items()),
        highlight=False,
    )
    _say_written(folder, f"Next: trimvae explain {folder} --examples 20")


@app.command(name="explain")
def explain_command(
    run: RunFolder,
    classifier: Classifier = None,
    preprocess: Preprocess = None,
    data: Annotated[
        str | None, typer.Option(help="Other data than the run's held-out examples, see train.")
    ] = None,
    examples: Annotated[int, typer.Option(help="How many examples to explain.")] = 64,
    method: MethodOption = "integrated_gradients",
    out: Annotated[
        Path | None, typer.Option(help="Where to write; RUN/explanation by default.")
    ] = None,
) -> None:
    """Explain examples with a trained run: figures, a table and trust figures.

    Works from the run's folder alone plus the classifier.

    Example: trimvae explain runs/mine --examples 20
    """
    folder, configuration, vae, predictor, preprocessing, inputs = _open(
        run, classifier, preprocess, data
    )
    target = out or folder / "explanation"
    _explain_into(target, configuration, vae, predictor, preprocessing, inputs[:examples], method)
    _say_written(target, f"Next: look at {target}/heatmap.png and {target}/traversals_0.png")


@app.command(name="evaluate")
def evaluate_command(
    run: RunFolder,
    classifier: Classifier = None,
    preprocess: Preprocess = None,
    data: Annotated[
        str | None, typer.Option(help="Other data than the run's held-out examples, see train.")
    ] = None,
    method: MethodOption = "integrated_gradients",
    interventions: Annotated[
        int, typer.Option(help="Examples for the figures that move latents and decode anew.")
    ] = 256,
) -> None:
    """Measure how far a run's explanations can be trusted; writes RUN/evaluation.json and .md.

    Example: trimvae evaluate runs/mine --data images.npz
    """
    folder, configuration, vae, predictor, preprocessing, inputs = _open(
        run, classifier, preprocess, data
    )
    evaluation = evaluate(
        vae,
        predictor,
        inputs,
        preprocess=preprocessing,
        method=method_named(method),
        task=configuration.get("task"),
        class_names=configuration.get("class_names"),
        n_interventions=interventions,
    )
    write_json(folder / "evaluation.json", evaluation.to_dict())
    write_text(folder / "evaluation.md", evaluation.to_markdown())
    table = Table("figure", "value", title=f"{len(inputs)} examples")
    for name, value in evaluation.metrics.items():
        table.add_row(name, f"{value:.4g}")
    console.print(table)
    _say_written(folder, f"Next: read {folder}/evaluation.md, then trimvae explain {folder}")


def main() -> None:
    """Run the command line; what the user can mend is said in one line, with exit code 2."""
    try:
        app()
    except (ValueError, TypeError, OSError, AttributeError, ModuleNotFoundError) as error:
        _fail(str(error))


_RECORDED = (
    "data",
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


def _penalties(
    sparsity: float, monotonicity: float, others: list[str]
) -> list[Penalty | CodePenalty]:
    penalties: list[Penalty | CodePenalty] = []
    if sparsity:
        penalties.append(Sparsity(sparsity))
    if monotonicity:
        penalties.append(Monotonicity(monotonicity))
    for item in others:
        name, equals, weight = item.partition("=")
        try:
            penalties.append(penalty_named(name, float(weight) if equals else None))
        except ValueError as error:
            _fail(f"`--penalty` must be NAME or NAME=WEIGHT. Got {item!r}. {error}")
    return penalties


def _fail(message: str) -> None:
    Console(stderr=True).print(f"error: {message}", highlight=False, markup=False)
    raise SystemExit(2)


def _say_written(folder: Path, following: str) -> None:
    console.print(f"Written to {folder}. {following}", highlight=False)


def _load(spec: str | None) -> Any:
    return None if spec is None else runs.load_function(spec)()


def _absolute(spec: str | None) -> str | None:
    """Make a spec that holds from any folder."""
    if spec is None or ".py:" not in spec:
        return spec
    path, _, name = spec.rpartition(":")
    return f"{Path(path).resolve()}:{name}"


def _first(labels: Tensor | None, count: int) -> Tensor | None:
    return None if labels is None else labels[:count]


def _read_data(name: str, seed: int, grey: bool) -> Split:
    if name == "digits":
        return digits()
    if name == "sprites":
        data = sprites(size=32)
        images = data.sample(data.draw(20_000, generator=torch.Generator().manual_seed(seed)))
        return split(images, seed=seed)
    if name.split(":")[0] == "fashion":
        folder = name.partition(":")[2]
        return fashion_mnist(folder or None)
    path = Path(name)
    if path.is_dir():
        return image_folder(path, channels=1 if grey else 3, seed=seed)
    return arrays(path, seed=seed)


def _new_vae(inputs: Tensor, latent_size: int, likelihood: str) -> VAE:
    if likelihood == "auto":
        low, high = inputs.aminmax()
        likelihood = "bernoulli" if low >= 0 and high <= 1 else "gaussian"
    shape = tuple(inputs.shape[1:])
    if len(shape) == 3 and min(shape[1:]) >= 28:
        return VAE.convolutional(shape, latent_size, likelihood=likelihood)  # type: ignore[arg-type]
    return VAE.dense(shape, latent_size, likelihood=likelihood)  # type: ignore[arg-type]


def _decomposition(vae: VAE, inputs: Tensor, seed: int) -> dict[str, float]:
    """The KL's three parts, in nats: 10,000 points against the whole training set."""
    device = next(vae.parameters()).device
    with torch.no_grad():
        posteriors = [vae.encode(part.to(device)) for part in inputs.split(512)]
    whole = Normal(
        torch.cat([one.mean for one in posteriors]), torch.cat([one.stddev for one in posteriors])
    )
    generator = torch.Generator(device=device).manual_seed(seed)
    parts = decomposition(whole, vae.prior, generator=generator)
    return {name: value.item() for name, value in parts._asdict().items()}


def _open(
    run: Path, classifier: str | None, preprocess: str | None, data: str | None
) -> tuple[Path, dict[str, Any], VAE, nn.Module, Any, Tensor]:
    """All that a run's folder gives, and the classifier."""
    folder, configuration = runs.open_run(run)
    predictor = _load(classifier or configuration["classifier"])
    preprocessing = _load(preprocess or configuration.get("preprocess"))
    vae = runs.load_vae(folder)
    if data is None:
        inputs, _ = runs.load_examples(folder)
    else:
        grey = configuration.get("grey", False)
        inputs = _read_data(data, configuration["seed"], grey).test_inputs
    return folder, configuration, vae, predictor, preprocessing, inputs


def _explain_into(
    target: Path,
    configuration: dict[str, Any],
    vae: VAE,
    predictor: nn.Module,
    preprocessing: Any,
    inputs: Tensor,
    method: str = "integrated_gradients",
) -> Explanation:
    """Explain with a run's settings; write to `target` and print the summary."""
    explanation = explain(
        vae,
        predictor,
        inputs,
        preprocess=preprocessing,
        method=method_named(method),
        task=configuration.get("task"),
        class_names=configuration.get("class_names"),
    )
    runs.save_explanation(target, explanation)
    console.print(explanation.summary(), highlight=False)
    return explanation
