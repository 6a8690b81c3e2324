"""Explain a trained classifier through the latents of a disentangling VAE."""

from attributions import Monotonicity, Sparsity
from trimvae.evaluation import Evaluation, evaluate
from trimvae.explaining import explain
from trimvae.explanation import Explanation
from trimvae.objectives import BetaVAE
from trimvae.training import VAETraining, fit
from trimvae.traversals import Traversal, traverse
from trimvae.vae import VAE

__all__ = [
    "VAE",
    "BetaVAE",
    "Evaluation",
    "Explanation",
    "Monotonicity",
    "Sparsity",
    "Traversal",
    "VAETraining",
    "evaluate",
    "explain",
    "fit",
    "traverse",
]
