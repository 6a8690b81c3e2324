"""Other codes with the same two verbs, encode and decode."""

from trimvae.latent_models.ivae import IVAE

__all__ = ["IVAE"]
