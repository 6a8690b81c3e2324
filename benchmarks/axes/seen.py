"""Everything that an arm needs of a code: latents and mean gradients, taken once."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from attributions.codes import Code, encode
from attributions.measures import (
    agreement,
    beyond_class,
    class_dependence,
    classes_per_latent,
    participation_ratio,
    within_class_share,
)
from attributions.outputs import select
from attributions.predictors import Function
from trimvae.explanation.matching import correlations_of, matched_latents

BATCH = 256


class Seen(NamedTuple):
    """Examples as a code and a predictor see them."""

    latents: Tensor
    """`(batch, latents)`."""
    gradients: Tensor
    """`(batch, latents)`, of the predicted class, the mean along the path from 0."""
    against: Tensor
    """`(batch, latents)`, likewise of the runner-up."""
    logits: Tensor
    """`(batch, classes)`, centred."""
    changes: Tensor
    """`(batch, latents, latents)`, $J^T J$ of the decoder at the latents: what is drawn by both."""
    agreement: float
    error: float

    @property
    def predicted(self) -> Tensor:
        """`(batch,)`, the predicted classes."""
        return self.logits.argmax(dim=1)


def seen_by(code: Code, predictor: Function, inputs: Tensor, n_steps: int = 8) -> Seen:
    """Look at inputs: integrated gradients by Gauss-Legendre points, target and runner-up."""
    points, weights = np.polynomial.legendre.leggauss(n_steps)
    parts = []
    for batch in inputs.split(BATCH):
        with torch.no_grad():
            latents, outputs = encode(code, batch).latents, predictor(batch)
            again = code.decode(latents)
            error = (again - batch).pow(2).flatten(1).sum(dim=1)
            reencoded = predictor(again)
        classes = outputs.topk(2, dim=1).indices
        gradients = torch.zeros(2, *latents.shape)
        for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
            on_path = (latents * float(point)).requires_grad_()
            explained = (
                select(predictor(code.decode(on_path)), "centred_logit")
                .gather(1, classes)
                .sum(dim=0)
            )
            for row in range(2):
                (gradient,) = torch.autograd.grad(explained[row], on_path, retain_graph=row == 0)
                gradients[row] += float(weight) * gradient
        centred, changes = select(outputs, "centred_logit"), changes_of(code, latents)
        parts.append((latents, *gradients, centred, changes, outputs, reencoded, error))
    *tensors, outputs, reencoded, error = (torch.cat(part) for part in zip(*parts, strict=True))
    return Seen(
        *(tensor.double() for tensor in tensors),
        float(agreement(outputs, reencoded)),
        float(error.mean()),
    )


def changes_of(code: Code, latents: Tensor) -> Tensor:
    """How alike two latents change what is drawn: $J^T J$, `(batch, latents, latents)`."""
    columns = []
    for latent in range(latents.shape[1]):
        direction = torch.zeros_like(latents)
        direction[:, latent] = 1
        with torch.no_grad():
            _, change = torch.func.jvp(code.decode, (latents,), (direction,))
        columns.append(change.flatten(1))
    jacobian = torch.stack(columns, dim=1)
    return jacobian @ jacobian.mT


class Along(NamedTuple):
    """Attributions to the predicted class along axes, and where examples are on them."""

    attributions: Tensor
    coordinates: Tensor
    predicted: Tensor


def along(seen: Seen, matrix: Tensor) -> Along:
    """See examples along the axes $u = M z$: integrated gradients are $(Mz)_i (M^{-T} g)_i$."""
    coordinates = seen.latents @ matrix.T
    turned = seen.gradients @ torch.linalg.inv(matrix)
    return Along(coordinates * turned, coordinates, seen.predicted)


def figures(one: Along) -> dict[str, float]:
    """What attributions along axes are like."""
    attributions, _, predicted = one
    used = attributions.abs().mean(dim=0)
    return {
        "class dependence": float(class_dependence(attributions, predicted)),
        "within classes": float(within_class_share(attributions, predicted)),
        "effective latents": float(participation_ratio(attributions).nanmean()),
        "over the data": float(participation_ratio(used)),
        "classes per axis": float(
            (classes_per_latent(attributions, predicted) * used).sum() / used.sum()
        ),
    }


def likeness(one: Along, other: Along) -> dict[str, float]:
    """What two codes say of the same examples, axes matched by |correlation|."""
    correlation = correlations_of(one.coordinates, other.coordinates)
    matched = matched_latents(correlation)
    ours, theirs = one.attributions, other.attributions[:, matched]
    share = ours.abs().mean(dim=0) / ours.abs().mean(dim=0).sum()
    left, right = (beyond_class(part, one.predicted) for part in (ours, theirs))
    return {
        "same strongest": float((ours.abs().argmax(1) == theirs.abs().argmax(1)).double().mean()),
        "cosine": float(cosine_similarity(ours, theirs, dim=1).mean()),
        "within-class correlation": float(
            (left * right).sum() / (left.pow(2).sum() * right.pow(2).sum()).sqrt()
        ),
        "used correlation": float(share @ correlation[torch.arange(len(matched)), matched].abs()),
    }
