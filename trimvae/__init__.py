"""Explain a trained classifier through the latents of a disentangling VAE."""
from trimvae.objectives import BetaVAE
from trimvae.training import VAETraining, fit
from trimvae.vae import VAE
__all__ = ["VAE","BetaVAE","VAETraining","fit"]
