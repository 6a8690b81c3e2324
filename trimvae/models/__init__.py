"""Codes: VAEs, generators that learn by a game, and generators of your own."""

from trimvae.models.adapter import GeneratorAdapter
from trimvae.models.alae import ALAE
from trimvae.models.generative import GenerativeCode, Update
from trimvae.models.infogan import InfoGAN
from trimvae.models.inversion import ConvolutionalInverter, Inversion, fit_inverter, invert
from trimvae.models.ivae import IVAE
from trimvae.models.stylegan2 import StyleGAN2
from trimvae.models.stylex import StylEx
from trimvae.models.vae import VAE

__all__ = [
    "ALAE",
    "IVAE",
    "VAE",
    "ConvolutionalInverter",
    "GenerativeCode",
    "GeneratorAdapter",
    "InfoGAN",
    "Inversion",
    "StylEx",
    "StyleGAN2",
    "Update",
    "fit_inverter",
    "invert",
]
