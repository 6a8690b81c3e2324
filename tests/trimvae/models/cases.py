"""Small generators that learn by a game, and what they are tried with."""

import torch

from tests.cases import convolutional_predictor
from trimvae.models import ALAE, IVAE, InfoGAN, StyleGAN2

SHAPE = (1, 8, 8)


def infogan(**options):
    torch.manual_seed(0)
    defaults = {"n_categories": 3, "n_continuous": 1, "noise_size": 4, "channels": 4}
    return InfoGAN(SHAPE, **{**defaults, "inversion_steps": 5, **options})


def alae():
    torch.manual_seed(0)
    return ALAE(SHAPE, latent_size=5, channels=4)


def stylegan(**options):
    torch.manual_seed(0)
    return StyleGAN2(SHAPE, **{"w_dim": 4, "channels": 4, "inversion_steps": 5, **options})


def predictor(classes=4):
    torch.manual_seed(1)
    return convolutional_predictor(classes=classes, size=8).eval()


MODELS = {InfoGAN: infogan, ALAE: alae, StyleGAN2: stylegan}


def weights(module):
    return torch.cat([value.flatten().float() for value in module.state_dict().values()])


def small(**options) -> IVAE:
    return IVAE.dense(event_shape=(6,), latent_size=2, hidden=(8,), **({"n_contexts": 4} | options))


def reached(total, *modules):
    """Whether a gradient that is not 0 comes to each module."""
    found = []
    for module in modules:
        gradients = torch.autograd.grad(
            total, list(module.parameters()), retain_graph=True, allow_unused=True
        )
        found.append(any(g is not None and bool(g.abs().max() > 0) for g in gradients))
    return all(found)
