"""What the commands share: data by name, a run opened again, an explanation written."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from attributions import Monotonicity, Penalty, Sparsity
from attributions.code_penalties import CodePenalty, penalty_named
from attributions.methods import method_named
from trimvae import runs
from trimvae.data import Split, arrays, digits, fashion_mnist, image_folder, split, sprites
from trimvae.explaining import explain
from trimvae.explanation import Explanation
from trimvae.objectives import decomposition
from trimvae.vae import VAE


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


def new_vae(inputs: Tensor, latent_size: int, likelihood: str) -> VAE:
    """Return an untrained VAE that suits the inputs: convolutional for images from 28 pixels."""
    if likelihood == "auto":
        low, high = inputs.aminmax()
        likelihood = "bernoulli" if low >= 0 and high <= 1 else "gaussian"
    shape = tuple(inputs.shape[1:])
    if len(shape) == 3 and min(shape[1:]) >= 28:
        return VAE.convolutional(shape, latent_size, likelihood=likelihood)  # type: ignore[arg-type]
    return VAE.dense(shape, latent_size, likelihood=likelihood)  # type: ignore[arg-type]


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
    vae: VAE
    predictor: nn.Module
    preprocess: Any
    inputs: Tensor
    labels: Tensor | None

    def explain(
        self, examples: int | None = None, method: str = "integrated_gradients"
    ) -> Explanation:
        """Explain the first examples with the run's settings."""
        return explain(
            self.vae,
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
        runs.load_vae(folder),
        load(classifier or configuration["classifier"]),
        load(preprocess or configuration.get("preprocess")),
        inputs,
        labels,
    )
