"""What a VAE minimises: sums over the event, means over the batch.

An objective is any callable from a `Pass` to a `Loss`: its own total, and named terms to log.
Prediction loss and penalties are added by `fit`, whatever the objective.
"""

from trimvae.objectives.base import Loss, Objective, Pass, Ramp, kl, reconstruction
from trimvae.objectives.factor import FactorVAE, permuted
from trimvae.objectives.family import DIPVAE, BetaTCVAE, BetaVAE, CapacityVAE, covariance_penalties
from trimvae.objectives.kl_parts import (
    Decomposition,
    batch_decomposition,
    batch_weights,
    decomposition,
)
from trimvae.objectives.named import objective_named
from trimvae.objectives.perceptual import Perceptual, features

__all__ = [
    "DIPVAE",
    "BetaTCVAE",
    "BetaVAE",
    "CapacityVAE",
    "Decomposition",
    "FactorVAE",
    "Loss",
    "Objective",
    "Pass",
    "Perceptual",
    "Ramp",
    "batch_decomposition",
    "batch_weights",
    "covariance_penalties",
    "decomposition",
    "features",
    "kl",
    "objective_named",
    "permuted",
    "reconstruction",
]
