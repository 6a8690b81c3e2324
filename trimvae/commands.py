"""What the commands share: data by name, a run opened again, an explanation written."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.utils.data import TensorDataset

from attributions import Monotonicity, Penalty, Sparsity
from attributions.code_penalties import CodePenalty, penalty_named
from attributions.methods import method_named
from trimvae import runs
from trimvae.data import Split, arrays, digits, fashion_mnist, image_folder, split, sprites
from trimvae.explaining import explain
from trimvae.explanation import Explanation
from trimvae.latent_models import ALAE, IVAE, GenerativeCode, InfoGAN, StyleGAN2, fit_generator
from trimvae.objectives import decomposition
from trimvae.training import fit
from trimvae.vae import VAE

CODES = {"vae": VAE, "ivae": IVAE, "infogan": InfoGAN, "alae": ALAE, "stylegan2": StyleGAN2}


class Weights(NamedTuple):
    """What a code is trained through the classifier with, where the caller does not say."""

    prediction: float
    sparsity: float


WEIGHTS = {
    "vae": Weights(20.0, 6.0),
    "ivae": Weights(20.0, 6.0),
    "infogan": Weights(1.0, 0.1),
    "alae": Weights(2.0, 0.3),
    "stylegan2": Weights(0.0, 0.0),  # no encoder in training
}


def load(spec: str | None) -> Any:
    """Call the function that `FILE.py:FUNCTION` names; None for None."""
    return None if spec is None else runs.load_function(spec)()


def absolute(spec: str | None) -> str | None:
    """Make a spec that holds from any folder."""
    if spec is None or ".py:" not in spec:
        return spec
    path, _, name = spec.rpartition(":")
    return f"{Path(path).resolve()}:{name}"


def penalties_named(
    sparsity: float, monotonicity: float, others: list[str]
) -> list[Penalty | CodePenalty]:
    """Return the penalties of the command line: two by weight, others as NAME or NAME=WEIGHT.

    Raises:
        ValueError: A name or weight is none.
    """
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
            raise ValueError(
                f"`--penalty` must be NAME or NAME=WEIGHT. Got {item!r}. {error}"
            ) from error
    return penalties


def read_data(name: str, seed: int, grey: bool) -> Split:
    """Data by the word of `--data`."""
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


def new_code(model: str, parts: Split, latent_size: int | None, likelihood: str) -> Any:
    """Return an untrained code of a kind that suits the inputs.

    Raises:
        ValueError: There is no such kind, it needs images or labels, or has no such option.
    """
    if model not in CODES:
        raise ValueError(
            f"`--model` must be one of {', '.join(CODES)}. Got {model!r}. Start with vae."
        )
    shape: Any = tuple(parts.train_inputs.shape[1:])
    if model in ("vae", "ivae"):
        return _new_vae(model, parts, latent_size or 10, likelihood)
    if len(shape) != 3:
        raise ValueError(
            f"`--model {model}` must be given images. Got inputs of shape {shape}. Use --model vae."
        )
    if model == "infogan":
        if latent_size is not None:
            raise ValueError(
                "`--latent-size` must be left out for infogan, whose codes are a category for each "
                f"class and two numbers. Got {latent_size}. Leave it out."
            )
        return InfoGAN(shape, n_categories=max(2, len(parts.class_names or range(10))))
    if model == "alae":
        return ALAE(shape, latent_size or 32)
    return StyleGAN2(shape, w_dim=latent_size or 64)


def _new_vae(model: str, parts: Split, latent_size: int, likelihood: str) -> VAE:
    inputs = parts.train_inputs
    if likelihood == "auto":
        low, high = inputs.aminmax()
        likelihood = "bernoulli" if low >= 0 and high <= 1 else "gaussian"
    options: dict[str, Any] = {"likelihood": likelihood}
    if model == "ivae":
        if parts.train_labels is None:
            raise ValueError(
                "`--model ivae` must be given labels, its auxiliary variable u. Got data without. "
                "Add `labels` to the .npz, or use --model vae."
            )
        options["n_contexts"] = int(parts.train_labels.max()) + 1
    kind: Any = CODES[model]
    shape: Any = tuple(inputs.shape[1:])
    if len(shape) == 3 and min(shape[1:]) >= 28:
        return kind.convolutional(shape, latent_size, **options)
    return kind.dense(shape, latent_size, **options)


def train_code(
    code: Any,
    predictor: Any,
    parts: Split,
    *,
    objective: Any,
    prediction_weight: float,
    penalties: list[Penalty | CodePenalty],
    task: Any,
    learning_rate: float,
    accelerator: str,
    **options: Any,
) -> list[dict[str, float]]:
    """Train any of `CODES`; what only a VAE has (objective, task, learning rate) is for VAEs."""
    if isinstance(code, GenerativeCode):
        return fit_generator(
            code,
            predictor,
            parts.train_inputs,
            prediction_weight=prediction_weight,
            penalties=penalties,
            **options,
        )
    contexts = isinstance(code, IVAE)
    assert not contexts or parts.train_labels is not None  # checked where the code was made

    def with_labels(inputs: Tensor, labels: Tensor | None) -> Any:
        return TensorDataset(inputs, labels) if contexts and labels is not None else inputs

    return fit(
        code,
        predictor,
        with_labels(parts.train_inputs, parts.train_labels),
        validation=with_labels(parts.test_inputs, parts.test_labels),
        objective=objective,
        prediction_weight=prediction_weight,
        penalties=penalties,
        task=task,
        learning_rate=learning_rate,
        accelerator=accelerator,
        **options,
    )


def code_parts(vae: VAE, inputs: Tensor, seed: int) -> dict[str, float]:
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


class Opened(NamedTuple):
    """All that a run's folder gives, and the classifier."""

    folder: Path
    configuration: dict[str, Any]
    code: Any
    predictor: nn.Module
    preprocess: Any
    inputs: Tensor
    labels: Tensor | None

    def explain(
        self, examples: int | None = None, method: str = "integrated_gradients"
    ) -> Explanation:
        """Explain the first examples with the run's settings."""
        return explain(
            self.code,
            self.predictor,
            self.inputs[:examples],
            preprocess=self.preprocess,
            method=method_named(method),
            task=self.configuration.get("task"),
            labels=None if self.labels is None else self.labels[:examples],
            class_names=self.configuration.get("class_names"),
            feature_names=self.configuration.get("feature_names"),
        )


def open_run(run: Path, classifier: str | None, preprocess: str | None, data: str | None) -> Opened:
    """Open a run's folder; classifier, preprocess and data only where others are wanted."""
    folder, configuration = runs.open_run(run)
    if data is None:
        inputs, labels = runs.load_examples(folder)
    else:
        parts = read_data(data, configuration["seed"], configuration.get("grey", False))
        inputs, labels = parts.test_inputs, parts.test_labels
    return Opened(
        folder,
        configuration,
        runs.load_code(folder, CODES[configuration.get("model", "vae")]),
        load(classifier or configuration["classifier"]),
        load(preprocess or configuration.get("preprocess")),
        inputs,
        labels,
    )
