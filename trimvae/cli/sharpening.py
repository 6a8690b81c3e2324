"""A code that has learned with the prediction loss: its axes, and penalties along them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from attributions.explanatory import explanatory_axes
from attributions.penalties import Penalty, SharedSparsity
from attributions.predictors import Function
from trimvae.models import VAE
from trimvae.training.fitting import fit

# Examples to which axes are fitted.
FITTED = 2_000

# Of a batch, seen by a penalty that compares examples within their classes.
_PENALTY_EXAMPLES = 64


def epochs_along(epochs: int) -> int:
    """How many epochs follow along the axes, after so many without: 6 after 14."""
    return max(1, round(epochs * 3 / 7))


def along_axes(
    code: VAE,
    predictor: Function,
    inputs: Tensor,
    *,
    preprocess: Function | None,
    task: Any,
    seed: int,
) -> VAE:
    """Return a trained code along the axes that suit the predictor, by `explanatory_axes`.

    Args:
        code: Trained with the prediction loss.
        predictor: That it was trained through.
        inputs: Training inputs, of which up to 2,000 are drawn.
        preprocess: Between decoder and predictor.
        task: As for `fit`.
        seed: Of the draw and of the search.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(inputs), generator=generator)[:FITTED]
    turned: VAE = explanatory_axes(
        code,
        predictor,
        inputs[drawn],
        held_out=0.0,
        preprocess=preprocess,
        task=task,
        generator=generator,
    )
    return turned


def sharpened(
    code: VAE,
    predictor: Function,
    data: Any,
    *,
    penalties: Sequence[Penalty],
    max_epochs: int,
    learning_rate: float | None,
    **options: Any,
) -> list[dict[str, float]]:
    """Train a code that is seen along axes with penalties along these; return the history.

    The axes are held, and the code follows. The record of its training keeps what came before.

    Args:
        code: Seen along axes, trained in place.
        predictor: That the axes were chosen for.
        data: As of `fit`.
        penalties: Along the axes.
        max_epochs: Passes over the data.
        learning_rate: Of the training before; here it is half. Default: what suits the code.
        **options: Of `fit`.
    """
    before = code.trained_with
    rate = learning_rate or code.recipe.learning_rate
    if any(isinstance(penalty, SharedSparsity) for penalty in penalties):
        options["penalty_examples"] = _PENALTY_EXAMPLES
    history = fit(
        code,
        predictor,
        data,
        penalties=penalties,
        penalised="code",
        max_epochs=max_epochs,
        learning_rate=None if rate is None else rate / 2,
        **options,
    )
    code.trained_with = {**(code.trained_with or {}), "after": before}
    return history
