"""All that decides what `trimvae train` makes: recorded in the run, compared when it goes on."""

from typing import Any, NamedTuple


class Settings(NamedTuple):
    """The options of `trimvae train` that decide its result; None leaves a choice to the model."""

    classifier: str
    preprocess: str | None
    data: str
    grey: bool
    model: str
    latent_size: int | None
    epochs: int
    batch_size: int
    learning_rate: float | None
    objective: str | None
    weight: float | None
    warm_up: int | None
    perceptual: list[str]
    perceptual_weight: float
    likelihood: str
    prediction_weight: float | None
    sparsity: float | None
    monotonicity: float
    penalty: list[str]
    task: Any
    seed: int
    codes: int
    axes: bool | None
    """Whether penalties act along axes that suit the predictor, chosen first."""
    label: str | None = None
    """Column of the classes of a CSV file."""
