"""Other codes with the same two verbs, encode and decode."""

from trimvae.latent_models.adapter import GeneratorAdapter
from trimvae.latent_models.adversarial import GenerativeCode, Update, fit_generator
from trimvae.latent_models.alae import ALAE
from trimvae.latent_models.infogan import InfoGAN
from trimvae.latent_models.inversion import Inversion, fit_inverter, invert
from trimvae.latent_models.ivae import IVAE
from trimvae.latent_models.stylegan2 import StyleGAN2

__all__ = [
    "ALAE",
    "IVAE",
    "GenerativeCode",
    "GeneratorAdapter",
    "InfoGAN",
    "Inversion",
    "StyleGAN2",
    "Update",
    "fit_generator",
    "fit_inverter",
    "invert",
]
