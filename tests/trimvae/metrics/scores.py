"""Every score by name, as functions of codes and factors."""

import numpy as np

from trimvae import metrics

SAMPLED = {"n_train": 1000, "n_test": 1000}
SCORES = {
    "mig": metrics.mig,
    "aam": metrics.aam,
    "modularity": metrics.modularity,
    "sap": metrics.sap,
    "explicitness": metrics.explicitness,
    "disentanglement": lambda c, f: metrics.dci(c, f).disentanglement,
    "completeness": lambda c, f: metrics.dci(c, f).completeness,
    "higgins": lambda c, f: metrics.higgins_metric(c, f, **SAMPLED),
    "factor_vae": lambda c, f: metrics.factor_vae_metric(c, f, **SAMPLED),
    "irs": metrics.irs,
    "mcc": metrics.mcc,
}


def rotated(factors: np.ndarray) -> np.ndarray:
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    return factors @ rotation
