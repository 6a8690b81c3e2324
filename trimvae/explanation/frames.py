"""An explanation as a table: one row per example and latent."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from attributions.outputs import as_numpy
from trimvae.explanation.evidence import Evidence

if TYPE_CHECKING:
    import pandas as pd


def as_frame(evidence: Evidence, *, all_classes: bool) -> "pd.DataFrame":
    """Return one row per example and latent (and class): its value and attribution.

    Args:
        evidence: An explanation.
        all_classes: All explained outputs instead of the predicted class alone.
    """
    import pandas as pd

    examples, classes, latents = evidence.attributions.shape
    shape = (examples, classes if all_classes else 1, latents)
    indices = torch.meshgrid(*(torch.arange(size, device="cpu") for size in shape), indexing="ij")
    example, column, latent = (index.flatten() for index in indices)
    if not all_classes:
        column = evidence.target.cpu()[example]
    predicted = evidence.predicted.cpu()[example]
    names = evidence.explained_names

    def named(all_names: Sequence[str], column: torch.Tensor) -> "pd.Series[str]":
        # Objects: text of pandas itself takes no half surrogates, which names from files may hold.
        return pd.Series([all_names[index] for index in column.tolist()], dtype=object)

    return pd.DataFrame(
        {
            "example": example.numpy(),
            "predicted": named(evidence.class_names, predicted),
            "explained": named(names, column),
            "latent": named(evidence.latent_names, latent),
            "value": as_numpy(evidence.latents.cpu()[example, latent]),
            "attribution": as_numpy(evidence.attributions.cpu()[example, column, latent]),
        }
    )
