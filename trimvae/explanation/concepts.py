"""Concepts of a layer: an explanation by them, and where in an input each acts."""

from typing import Any

import torch
from torch import Tensor

from attributions.checks import check_counts, check_mode
from attributions.methods.paths import integrated_gradients
from attributions.outputs import Explained, decisions
from attributions.transforms import Amounts, Features
from attributions.trim import Trim
from trimvae.data.loading import Array
from trimvae.explanation.arguments import as_inputs, check_inputs
from trimvae.explanation.explaining import explain
from trimvae.explanation.explanation import Explanation


def explain_concepts(features: Features, inputs: Array, **options: Any) -> Explanation:
    """Explain a network's outputs by the concepts of one of its layers, one latent for each.

    What the basis leaves out is held fixed, so that the attributions end at the network's own
    outputs. `explanation.inputs` are what `Amounts.read` gives, for they are what is explained;
    pictures are drawn by `trimvae.figures.plot_concepts` and `plot_concept_maps`. Re-encoded
    outputs, and so the agreement, are those of the amounts alone, spread evenly over the places.

    Args:
        features: Concepts of a layer of the network.
        inputs: `(batch, *event)`, as the network sees them.
        **options: Of `explain`, such as `class_names`, `explained`, `n_steps` and `method`.

    Returns:
        The explanation; its latents are the concepts.

    Raises:
        TypeError: An option is unknown.
        ValueError: The inputs do not fit the network, or an option is out of range.

    Examples:
        >>> from torch import nn
        >>> from attributions.transforms import PrincipalComponents
        >>> network = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(54, 3))
        >>> pictures = torch.randn(20, 1, 5, 5)
        >>> features = Features(network, "1", PrincipalComponents, pictures, latent_size=2)
        >>> explanation = explain_concepts(features, pictures, explained="output")
        >>> ends = explanation.explained_at_baseline + explanation.attributions.sum(dim=2)
        >>> torch.allclose(ends, network(pictures), atol=0.01)
        True
    """
    amounts = Amounts(features)
    points = _as_seen(features, inputs)
    options = {"residual": True, "check_parts": False, **options}
    return explain(amounts, amounts.predictor, amounts.read(points), **options)


def concept_maps(
    features: Features,
    inputs: Array,
    target: int | None = None,
    *,
    explained: Explained = "output",
    n_steps: int = 16,
) -> Tensor:
    """Split the attribution of each concept to one class over the places of the layer.

    Integrated gradients along the path of `explain_concepts`: over the places they add up to its
    attributions, up to the quadrature.

    Args:
        features: Concepts of a layer of the network.
        inputs: `(batch, *event)`, as the network sees them.
        target: The class; default: the one that each input is predicted as.
        explained: `"output"`, `"centred_logit"` or a `Contrast` (whose only target is 0).
        n_steps: Points of the quadrature.

    Returns:
        `(batch, concepts, *grid)`.

    Raises:
        ValueError: There is no such class, `n_steps` is below 1, or the inputs do not fit.
        RuntimeError: It is called under `torch.inference_mode`.
    """
    check_mode("concept_maps")
    check_counts(n_steps=n_steps)
    activations = features.activations(_as_seen(features, inputs))
    trim = Trim(features.tail, features.decode, explained=explained)
    latents = features.encode(activations)
    residual = trim.residual(activations, latents)
    with torch.no_grad():
        outputs = trim(latents, residual)
    classes = outputs.shape[1]
    if target is not None and not 0 <= target < classes:
        raise ValueError(
            f"`target` must be from 0 to {classes - 1}. Got {target}. Choose an existing class."
        )
    chosen = torch.zeros(len(outputs), dtype=torch.long) if classes == 1 else decisions(outputs)
    if target is not None:
        chosen = torch.full_like(chosen, target)
    found = integrated_gradients(
        trim,
        latents,
        None,
        residual,
        targets=chosen.unsqueeze(1),
        n_steps=n_steps,
        max_points=64,
        mode="reverse",
    )
    return features.on_grid(found.attributions[:, 0])


def _as_seen(features: Features, inputs: Array) -> Tensor:
    points = as_inputs(inputs, features)
    check_inputs(features, points)
    return points
