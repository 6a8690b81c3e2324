"""What is said beyond the class, from sums over examples: for the intervals of these figures."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from trimvae.evaluation.resampling import Sums
from trimvae.explanation.trust import Weighed

# Of more classes times latents, sums over every resample would take too much memory.
_MOST_SUMS = 2_000

# A latent takes part in a class where it carries this share of the evidence.
_TAKES_PART = 0.1


def class_rows(explanation: Weighed) -> dict[str, Tensor]:
    """What sums are taken of, `(batch, ...)` each: of each class and latent, where they are few."""
    scores = explanation.target_attributions.double()
    classes = len(explanation.class_names) if explanation.by_class else 1
    if classes * scores.shape[1] > _MOST_SUMS:
        return {}
    members = F.one_hot(explanation.predicted if explanation.by_class else 0 * explanation.target)
    members = F.pad(members, (0, classes - members.shape[1])).double()
    strongest = F.one_hot(scores.abs().argmax(dim=1), scores.shape[1]).double()
    return {
        "members": members,
        "strongest": members.unsqueeze(2) * strongest.unsqueeze(1),
        "scores": members.unsqueeze(2) * scores.unsqueeze(1),
        "sizes": members.unsqueeze(2) * scores.abs().unsqueeze(1),
        "squares": scores.square().sum(dim=1),
    }


def class_figures(sums: Sums) -> dict[str, Callable[[Sums], Tensor]]:
    """How each figure follows from sums; none where there are none."""
    if "sizes" not in sums:
        return {}
    return {
        "effective_latents_over_data": _effective_latents,
        "class_dependence": lambda sums: 2 * _shared(sums) / sum(_entropies(sums)),
        "class_told": lambda sums: _shared(sums) / _entropies(sums)[0],
        "within_class_share": _within_class_share,
        "classes_per_latent": _classes_per_latent,
    }


def _effective_latents(sums: Sums) -> Tensor:
    sizes = sums["sizes"].sum(dim=1)
    return sizes.sum(dim=1).square() / sizes.square().sum(dim=1)


def _entropies(sums: Sums) -> tuple[Tensor, Tensor]:
    """Of the classes, and of the strongest latents."""
    joint = _joint(sums)
    return _entropy(joint.sum(dim=2)), _entropy(joint.sum(dim=1))


def _shared(sums: Sums) -> Tensor:
    """Mutual information of both."""
    of_classes, of_latents = _entropies(sums)
    return of_classes + of_latents - _entropy(_joint(sums).flatten(1))


def _joint(sums: Sums) -> Tensor:
    return sums["strongest"] / sums["strongest"].sum(dim=(1, 2), keepdim=True)


def _within_class_share(sums: Sums) -> Tensor:
    counts = sums["members"].clamp_min(1e-9)
    between = (sums["scores"].square().sum(dim=2) / counts).sum(dim=1)
    mean = sums["scores"].sum(dim=1).square().sum(dim=1) / sums["examples"]
    return (sums["squares"] - between) / (sums["squares"] - mean)


def _classes_per_latent(sums: Sums) -> Tensor:
    sizes = sums["sizes"]
    whole = sizes.sum(dim=2, keepdim=True)
    taking_part = ((sizes >= _TAKES_PART * whole) & (whole > 0)).sum(dim=1)
    used = sizes.sum(dim=1)
    return (taking_part * used).sum(dim=1) / used.sum(dim=1)


def _entropy(probabilities: Tensor) -> Tensor:
    return -torch.xlogy(probabilities, probabilities).sum(dim=-1)
