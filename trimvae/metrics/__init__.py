"""Disentanglement scores against known factors, usable on any array of codes.

Each is a pure function of `codes (n, latent_size)`, posterior means by default, and
`factors (n, n_factors)`, tensors or arrays, by the standard protocol unless told otherwise.
Whole numbers are levels; other values are continuous.
"""

from trimvae.metrics.alignment import active_units, mcc, udr
from trimvae.metrics.information import Information, aam, mig, modularity, mutual_information
from trimvae.metrics.prediction import DCI, dci, explicitness, sap
from trimvae.metrics.sampling import factor_vae_metric, higgins_metric, irs
from trimvae.metrics.shares import InfoMEC, infomec

__all__ = [
    "DCI",
    "InfoMEC",
    "Information",
    "aam",
    "active_units",
    "dci",
    "explicitness",
    "factor_vae_metric",
    "higgins_metric",
    "infomec",
    "irs",
    "mcc",
    "mig",
    "modularity",
    "mutual_information",
    "sap",
    "udr",
]
