"""The arms: ways to choose axes of trained codes, ours among them, the losers and the controls.

Every arm sees the fitting examples of several codes of one classifier, and returns for each code
the matrix whose rows are its axes. None touches the weights of a code, so that reconstructions and
decisions are the same in all.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from sklearn.decomposition import FastICA
from torch import Tensor

from attributions.factors import aligned, least_turn, predictor_factors
from attributions.measures.directions import class_directions
from attributions.penalties.sharing import evidence_entropies, shared_sparsity
from benchmarks.axes.seen import Seen
from benchmarks.sizes import sized

Arm = Callable[[Sequence[Seen]], list[Tensor]]
STEPS, STARTS = sized((200, 16), (5, 2))
FEW = 500  # examples that a price sees which looks at what is drawn
ACTIVE = 0.95  # share of the gradients' second moment that the active subspace holds


def each(axes: Callable[[Seen], Tensor]) -> Arm:
    """Return an arm that looks at each code alone."""
    return lambda codes: [axes(seen) for seen in codes]


def turned(price: Callable[[Tensor], Tensor], size: int) -> Tensor:
    """Return the rotation of least price."""
    return least_turn(price, size, starts=STARTS, steps=STEPS)


def contributions(seen: Seen, rotations: Tensor, gradients: Tensor | None = None) -> Tensor:
    """Attributions along the axes of several rotations, `(..., batch, latents)`."""
    gradients = seen.gradients if gradients is None else gradients
    return (seen.latents @ rotations.mT) * (gradients @ rotations.mT)


def ratio(attributions: Tensor) -> Tensor:
    """L1 over L2, the mean over examples."""
    return (attributions.abs().sum(-1) / (attributions.pow(2).sum(-1) + 1e-12).sqrt()).mean(-1)


def sparse(seen: Seen) -> Tensor:
    return turned(lambda r: ratio(contributions(seen, r)), seen.latents.shape[1])


def sparse_contrast(seen: Seen) -> Tensor:
    apart = seen.gradients - seen.against
    return turned(lambda r: ratio(contributions(seen, r, apart)), seen.latents.shape[1])


def sparse_beyond_class(seen: Seen) -> Tensor:
    members = torch.nn.functional.one_hot(seen.predicted).double()
    counts = members.sum(dim=0).clamp_min(1)

    def price(rotations: Tensor) -> Tensor:
        scores = contributions(seen, rotations)
        means = (members / counts).T @ scores
        return ratio(scores - means[..., seen.predicted, :])

    return turned(price, seen.latents.shape[1])


def group_sparse(seen: Seen) -> Tensor:
    """Few axes for an example and few over the data: no word about classes."""

    def price(rotations: Tensor) -> Tensor:
        entropies = evidence_entropies(contributions(seen, rotations), seen.predicted)
        return entropies.of_example + entropies.of_data

    return turned(price, seen.latents.shape[1])


def shared(seen: Seen, anchor: float = 0.0) -> Tensor:
    """Shared sparsity of the code's own attributions, at a price for leaving its own axes."""

    def price(rotations: Tensor) -> Tensor:
        cost = shared_sparsity(contributions(seen, rotations), seen.predicted)
        # 1 where every axis is one of the code's own latents, whichever and of either sign.
        own = rotations.pow(4).sum(dim=(-2, -1)) / rotations.shape[-1]
        return cost + anchor * (1 - own)

    return turned(price, seen.latents.shape[1])


def shared_and_independent(seen: Seen) -> Tensor:
    r"""Shared sparsity, and the total correlation of the turned latents, both in nats.

    Of a normal distribution, $\frac12 (\sum_i \log \Sigma_{ii} - \log \det \Sigma)$, whose
    determinant no turn changes.
    """
    covariance = torch.cov(seen.latents.T)

    def price(rotations: Tensor) -> Tensor:
        cost = shared_sparsity(contributions(seen, rotations), seen.predicted)
        return cost + log_lengths(rotations, covariance)

    return turned(price, seen.latents.shape[1])


def shared_and_drawn_apart(seen: Seen) -> Tensor:
    r"""Shared sparsity, and the contrast of independent mechanisms, both in nats.

    $\sum_i \log \lVert \partial x / \partial u_i \rVert - \log |J|$, the mean over examples: 0
    where axes change the picture in directions that are orthogonal (Gresele et al. 2021,
    https://arxiv.org/abs/2106.05200).
    """
    drawn = seen.changes[:FEW]

    def price(rotations: Tensor) -> Tensor:
        cost = shared_sparsity(contributions(seen, rotations), seen.predicted)
        return cost + log_lengths(rotations.unsqueeze(-3), drawn).mean(dim=-1)

    return turned(price, seen.latents.shape[1])


def log_lengths(rotations: Tensor, gram: Tensor) -> Tensor:
    """Half the sum of the logarithms of a Gram matrix's diagonal, turned: `(...)`."""
    lengths = (rotations @ gram * rotations).sum(dim=-1)
    return lengths.clamp_min(1e-12).log().sum(dim=-1) / 2


def sparse_in_active_subspace(seen: Seen) -> Tensor:
    """Constantine 2015: directions along which the output varies; turned within these alone."""
    variances, directions = torch.linalg.eigh(seen.gradients.T @ seen.gradients)
    variances, directions = variances.flip(0), directions.flip(1).T
    active = int((variances.cumsum(0) < ACTIVE * variances.sum()).sum()) + 1
    size = len(directions)

    def whole(rotations: Tensor) -> Tensor:
        rest = torch.eye(size).double().expand(*rotations.shape[:-2], size, size).clone()
        rest[..., :active, :active] = rotations
        return rest @ directions

    return whole(turned(lambda r: ratio(contributions(seen, whole(r))), active))


def of_classes(seen: Seen) -> Tensor:
    members = torch.nn.functional.one_hot(seen.predicted, seen.logits.shape[1]).double()
    means = members.T @ seen.gradients / members.sum(dim=0).clamp_min(1).unsqueeze(1)
    return class_directions(seen.latents, seen.gradients, means, seen.predicted)


def random_rotations(codes: Sequence[Seen]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    size = codes[0].latents.shape[1]
    return [
        torch.linalg.qr(torch.randn(size, size, generator=generator).double())[0] for _ in codes
    ]


def whitening(seen: Seen) -> Tensor:
    variances, directions = torch.linalg.eigh(torch.cov(seen.latents.T))
    return (directions * variances.clamp_min(1e-4).rsqrt()) @ directions.T


def ica(seen: Seen) -> Tensor:
    made = FastICA(whiten="unit-variance", random_state=0, max_iter=sized(1000, 5), tol=1e-3)
    latents = seen.latents.numpy()
    with np.errstate(all="ignore"):
        made.fit(latents)
    return torch.from_numpy(made.components_).double()


def consensus(codes: Sequence[Seen], *, sharing: bool = False) -> list[Tensor]:
    """Turn all codes towards their mean, time and again; then all of them to common axes.

    Generalised Procrustes (Gower 1975) of the latents; the common axes are the sparsest for all
    codes' attributions, or those of least shared sparsity.
    """
    size = codes[0].latents.shape[1]
    turns = [torch.eye(size).double() for _ in codes]
    for _ in range(20):
        mean = torch.stack([c.latents @ t.T for c, t in zip(codes, turns, strict=True)]).mean(dim=0)
        turns = [aligned(c.latents, mean, [range(size)]) for c in codes]

    def price(rotations: Tensor) -> Tensor:
        parts = [contributions(c, rotations @ t) for c, t in zip(codes, turns, strict=True)]
        prices = [
            shared_sparsity(part, code.predicted) if sharing else ratio(part)
            for part, code in zip(parts, codes, strict=True)
        ]
        return torch.stack(prices).mean(dim=0)

    common = turned(price, size)
    return [common @ turn for turn in turns]


def of_factors(class_price: float, *, white: bool = False) -> Arm:
    """`explanatory_axes` on numbers: the predictor's factors, and each code aligned to them."""

    def axes(seen: Seen) -> Tensor:
        size = seen.latents.shape[1]
        start = whitening(seen) if white else torch.eye(size).double()
        found = predictor_factors(
            seen.logits, seen.predicted, class_price=class_price, starts=STARTS
        )
        return aligned(seen.latents @ start.T, found.scores, [range(size)]) @ start

    return each(axes)


ARMS: dict[str, Arm] = {
    "as trained": each(lambda seen: torch.eye(seen.latents.shape[1]).double()),
    "sparse, predicted class": each(sparse),
    "sparse, contrast with the runner-up": each(sparse_contrast),
    "sparse, class means removed": each(sparse_beyond_class),
    "sparse, and few over the data": each(group_sparse),
    "sparse, in the active subspace": each(sparse_in_active_subspace),
    "shared sparsity of the code's attributions": each(shared),
    "shared sparsity, near to the code's own axes": each(lambda seen: shared(seen, anchor=2.0)),
    "shared sparsity, and total correlation of the axes": each(shared_and_independent),
    "shared sparsity, and axes drawn apart": each(shared_and_drawn_apart),
    "consensus of the codes, sparse": consensus,
    "consensus of the codes, shared sparsity": lambda codes: consensus(codes, sharing=True),
    "control: class directions": each(of_classes),
    "control: random rotation": random_rotations,
    "control: whitening": each(whitening),
    "control: ICA": each(ica),
    "predictor's factors, price 0": of_factors(0.0),
    "predictor's factors, price 0.5": of_factors(0.5),
    "**predictor's factors, price 1**": of_factors(1.0),
    "the same, whitened first": of_factors(1.0, white=True),
}
