"""Explain a trained classifier through the latents of a disentangling VAE."""

from attributions import Monotonicity, Sparsity
from trimvae.counterfactuals import Counterfactuals, counterfactuals
from trimvae.evaluation import Evaluation, evaluate
from trimvae.explaining import explain
from trimvae.explanation import Explanation
from trimvae.objectives import (
    DIPVAE,
    BetaTCVAE,
    BetaVAE,
    CapacityVAE,
    FactorVAE,
    Perceptual,
    Ramp,
)
from trimvae.training import fit
from trimvae.training_module import VAETraining
from trimvae.traversals import Traversal, traverse
from trimvae.vae import VAE

__all__ = [
    "DIPVAE",
    "VAE",
    "BetaTCVAE",
    "BetaVAE",
    "CapacityVAE",
    "Counterfactuals",
    "Evaluation",
    "Explanation",
    "FactorVAE",
    "Monotonicity",
    "Perceptual",
    "Ramp",
    "Sparsity",
    "Traversal",
    "VAETraining",
    "counterfactuals",
    "evaluate",
    "explain",
    "fit",
    "traverse",
]
