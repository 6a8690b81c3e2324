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
        all_classes: All classes that are attributed instead of the predicted one alone.
    """
    import pandas as pd

    attributions, names = evidence.attributions, evidence.explained_names
    of_target = not all_classes or evidence.chosen_classes == "predicted"
    if of_target:
        attributions, names = evidence.target_attributions.unsqueeze(1), evidence.output_names
    shape = attributions.shape
    indices = torch.meshgrid(*(torch.arange(size, device="cpu") for size in shape), indexing="ij")
    example, column, latent = (index.flatten() for index in indices)
    explained = evidence.target.cpu()[example] if of_target else column
    predicted = evidence.predicted.cpu()[example]

    def named(all_names: Sequence[str], column: torch.Tensor) -> "pd.Series[str]":
        # Objects: text of pandas itself takes no half surrogates, which names from files may hold.
        return pd.Series([all_names[index] for index in column.tolist()], dtype=object)

    return pd.DataFrame(
        {
            "example": example.numpy(),
            "predicted": named(evidence.class_names, predicted),
            "explained": named(names, explained),
            "latent": named(evidence.latent_names, latent),
            "value": as_numpy(evidence.latents.cpu()[example, latent]),
            "attribution": as_numpy(attributions.cpu()[example, column, latent]),
        }
    )
