"""What suits a kind of code when it is trained: `fit`'s defaults."""

from typing import Literal, NamedTuple

Schedule = Literal["one_cycle", "constant"]


class Recipe(NamedTuple):
    """What `trimvae.fit` uses wherever its caller leaves the choice to the code."""

    prediction_weight: float
    """Of the prediction loss, where a predictor is given."""
    batch_size: int
    """Examples per step."""
    learning_rate: float | None
    """The largest; None for those of a game's own updates."""
    schedule: Schedule
    """Of the learning rate over the training."""
    penalty_every: int
    """Steps from one with penalties to the next."""
