"""The pictures of an explanation: each takes `fig` or `ax`, returns it, and shows nothing."""

from trimvae.figures.animation import animate
from trimvae.figures.attributes import plot_attributes
from trimvae.figures.classes import plot_blocks, plot_classes
from trimvae.figures.concepts import plot_concept_maps, plot_concepts
from trimvae.figures.curves import plot_history, plot_trade_off
from trimvae.figures.flips import plot_counterfactual
from trimvae.figures.latents import plot_latent, plot_latent_maps
from trimvae.figures.pixels import plot_pixels
from trimvae.figures.strips import plot_traversals
from trimvae.figures.trust import plot_trust
from trimvae.figures.waterfall import plot_waterfall
from trimvae.figures.within import plot_within

__all__ = [
    "animate",
    "plot_attributes",
    "plot_blocks",
    "plot_classes",
    "plot_concept_maps",
    "plot_concepts",
    "plot_counterfactual",
    "plot_history",
    "plot_latent",
    "plot_latent_maps",
    "plot_pixels",
    "plot_trade_off",
    "plot_traversals",
    "plot_trust",
    "plot_waterfall",
    "plot_within",
]
