"""An explanation as a table: one row per example and latent."""

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
    indices = torch.meshgrid(*map(torch.arange, shape), indexing="ij")
    example, column, latent = (index.flatten() for index in indices)
    if not all_classes:
        column = evidence.target.cpu()[example]
    predicted = evidence.predicted.cpu()[example]
    names = evidence.explained_names
    return pd.DataFrame(
        {
            "example": example.numpy(),
            "predicted": [evidence.class_names[index] for index in predicted.tolist()],
            "explained": [names[index] for index in column.tolist()],
            "latent": [evidence.latent_names[index] for index in latent.tolist()],
            "value": as_numpy(evidence.latents.cpu()[example, latent]),
            "attribution": as_numpy(evidence.attributions.cpu()[example, column, latent]),
        }
    )
