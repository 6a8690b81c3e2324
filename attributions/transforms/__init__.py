"""Codes that need no training: Fourier and cosine bands, wavelets, PCA, ICA, NMF; of a layer.

Each has the two verbs of a code, `encode` and `decode`, on flat latents, and knows which latents
form a group (a frequency, a wavelet level): `by_group` sums attributions within each. Stand-ins
for a VAE in `Trim`, `explain` and heatmaps. References: Singh et al.: Transformation Importance,
2020, https://arxiv.org/abs/2003.01926 (attributions on transforms).
"""

from attributions.transforms.amounts import Amounts
from attributions.transforms.bands import Bands
from attributions.transforms.base import Identity, Transform
from attributions.transforms.cutting import CutNetwork
from attributions.transforms.dictionaries import SparseDictionary
from attributions.transforms.factorisations import (
    IndependentComponents,
    NonNegativeParts,
    PrincipalComponents,
)
from attributions.transforms.features import Features
from attributions.transforms.frequencies import Cosine, Fourier
from attributions.transforms.parts import Parts, channels, places
from attributions.transforms.wavelets import LearnableWavelet, Wavelet, wavelet_constraint

__all__ = [
    "Amounts",
    "Bands",
    "Cosine",
    "CutNetwork",
    "Features",
    "Fourier",
    "Identity",
    "IndependentComponents",
    "LearnableWavelet",
    "NonNegativeParts",
    "Parts",
    "PrincipalComponents",
    "SparseDictionary",
    "Transform",
    "Wavelet",
    "channels",
    "places",
    "wavelet_constraint",
]
