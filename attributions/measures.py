"""Can this explanation be trusted? Figures of tensors, each with its pitfall."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


def completeness_error(attributions: Tensor, change: Tensor) -> Tensor:
    r"""Relative error of completeness, mean $|\sum_i a_i - \Delta|$ over mean $|\Delta|$.

    Means run over all examples (and classes) before the division: an example whose output
    hardly changes would otherwise decide the figure. A test of float equality (Quantus) gives
    every numerical integral zero marks; this says how far it is off.

    References:
        Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks, 2017,
        https://arxiv.org/abs/1703.01365

    Args:
        attributions: `(..., latents)`.
        change: `(...)`, the output at the latents minus that at the baseline.

    Returns:
        Scalar, 0 at best; 0 where nothing changes and nothing is attributed.

    Examples:
        >>> attributions = torch.tensor([[1.0, 2.0], [0.5, 0.5]])
        >>> bool(completeness_error(attributions, torch.tensor([3.0, 1.0])) == 0)
        True
    """
    error = (attributions.sum(dim=-1) - change).abs().mean()
    return torch.where(error == 0, error, error / change.abs().mean())


def agreement(outputs: Tensor, reencoded: Tensor, *, regression: bool = False) -> Tensor:
    """Share of examples whose predicted class survives encoding and decoding.

    Take `reencoded` **without** residual: with it every example agrees by construction.

    Args:
        outputs: The predictor at the inputs, `(batch, classes)`; one column is a logit whose
            sign decides.
        reencoded: The predictor at the reconstructions, `(batch, classes)`.
        regression: Whether the single output is a quantity; then this is R squared, the share of
            the outputs' variance that survives.

    Returns:
        Scalar, 1 at best.

    Examples:
        >>> outputs = torch.tensor([[2.0, 1.0], [0.0, 1.0]])
        >>> agreement(outputs, outputs.flip(1)).item()
        0.0
    """
    if regression:
        variance = (outputs - outputs.mean(dim=0)).pow(2).sum()
        return 1 - (outputs - reencoded).pow(2).sum() / variance
    return (decisions(outputs) == decisions(reencoded)).to(outputs.dtype).mean()


def decisions(outputs: Tensor) -> Tensor:
    """Predicted class of outputs `(batch, classes)`; for a single logit, whether it is above 0."""
    return (outputs[:, 0] > 0).long() if outputs.shape[1] == 1 else outputs.argmax(dim=1)


def both_classes(outputs: Tensor) -> Tensor:
    """Logits `(batch, classes)`; a single binary logit gives (negative, positive)."""
    if outputs.shape[1] > 1:
        return outputs
    return torch.cat([torch.zeros_like(outputs), outputs], dim=1)


def prediction_kl(outputs: Tensor, reencoded: Tensor) -> Tensor:
    r"""KL of the predictor's distribution at the inputs from that at the reconstructions, in nats.

    $$ \mathrm{KL}(f(x) \,\|\, f(D(E(x)))) = \sum_c p_c (\log p_c - \log q_c) $$

    The prediction loss of training and, on held-out data, a fidelity that sees confidence where
    agreement sees only the winner.

    References:
        Lang et al.: Explaining in Style (StylEx), 2021, https://arxiv.org/abs/2104.13369

    Args:
        outputs: Logits at the inputs, `(batch, classes)`; one column is a single binary logit.
        reencoded: Logits at the reconstructions, `(batch, classes)`.

    Returns:
        Scalar, mean over the batch; 0 at best.

    Examples:
        >>> logits = torch.randn(4, 3)
        >>> torch.allclose(prediction_kl(logits, logits + 5), torch.zeros(()), atol=1e-5)
        True
    """
    return F.kl_div(
        both_classes(reencoded).log_softmax(dim=1),
        both_classes(outputs).log_softmax(dim=1),
        reduction="batchmean",
        log_target=True,
    )


def latent_share(output: Tensor, reencoded: Tensor, baseline: Tensor) -> Tensor:
    r"""How much of the evidence the latents carry, the rest being the residual's.

    $$ \frac{|f(D(z)) - f(D(b))|}{|f(D(z)) - f(D(b))| + |f(x) - f(D(z))|} $$

    References:
        Singh et al.: Transformation Importance, 2020, https://arxiv.org/abs/2003.01926
        (their residual, counted here as what the explanation cannot see).

    Args:
        output: What is explained, at the inputs, any shape.
        reencoded: The same at the reconstructions.
        baseline: The same at the decoded baseline.

    Returns:
        Same shape, in [0, 1]; 0 where nothing changes at all.
    """
    latents, residual = (reencoded - baseline).abs(), (output - reencoded).abs()
    return latents / (latents + residual).clamp_min(torch.finfo(latents.dtype).tiny)


def participation_ratio(attributions: Tensor) -> Tensor:
    r"""Effective number of latents, $(\sum |a|)^2 / \sum a^2$, per example.

    Free of scale, and so blind to it: a dead explanation can look sparse or dense. Read it
    beside fidelity and the sum of $|a|$. Undefined at $a = 0$: NaN there.

    Args:
        attributions: `(..., latents)`.

    Returns:
        `(...)`, between 1 and the number of latents.

    Examples:
        >>> participation_ratio(torch.tensor([[1.0, -1.0, 0.0], [0.0, 5.0, 0.0]])).tolist()
        [2.0, 1.0]
    """
    # Scaled by the largest first, so that squares neither vanish nor overflow.
    size = attributions.abs()
    size = size / size.amax(dim=-1, keepdim=True)
    return size.sum(dim=-1).pow(2) / size.pow(2).sum(dim=-1)


def gini_index(attributions: Tensor) -> Tensor:
    r"""Gini coefficient of $|a|$ per example: 0 (all alike) to $1 - 1/n$ (one latent).

    Free of scale, as the participation ratio; unlike it, latents that all hardly matter count.

    References:
        Hurley, Rickard: Comparing Measures of Sparsity, 2009, https://arxiv.org/abs/0811.4706

    Args:
        attributions: `(..., latents)`.

    Returns:
        `(...)`; NaN where every attribution is 0.

    Examples:
        >>> gini_index(torch.tensor([[1.0, 1.0], [0.0, 2.0]])).tolist()
        [0.0, 0.5]
    """
    size = attributions.abs().sort(dim=-1).values
    n = size.shape[-1]
    rank = torch.arange(1, n + 1, device=size.device, dtype=size.dtype)
    return ((2 * rank - n - 1) * size).sum(dim=-1) / (n * size.sum(dim=-1))


def hoyer(attributions: Tensor) -> Tensor:
    r"""Hoyer's sparsity, $(\sqrt n - \lVert a \rVert_1 / \lVert a \rVert_2) / (\sqrt n - 1)$.

    References:
        Hoyer: Non-negative Matrix Factorization with Sparseness Constraints, 2004,
        https://www.jmlr.org/papers/v5/hoyer04a.html

    Args:
        attributions: `(..., latents)`, at least two latents.

    Returns:
        `(...)`, 0 (all alike) to 1 (one latent); NaN where every attribution is 0.

    Examples:
        >>> hoyer(torch.tensor([0.0, 0.0, 5.0, 0.0])).item()
        1.0
    """
    root = attributions.shape[-1] ** 0.5
    return (root - participation_ratio(attributions).sqrt()) / (root - 1)


def latents_for_share(attributions: Tensor, share: float = 0.9) -> Tensor:
    """Smallest number of latents that together carry `share` of the sum of absolute attributions.

    Args:
        attributions: `(..., latents)`.
        share: In (0, 1].

    Returns:
        `(...)`, whole numbers; 0 where every attribution is 0.

    Raises:
        ValueError: `share` is outside (0, 1].

    Examples:
        >>> latents_for_share(torch.tensor([0.5, -8.0, 1.5])).tolist()
        2
    """
    if not 0 < share <= 1:
        raise ValueError(f"`share` must be above 0 and at most 1. Got {share}. Use 0.9.")
    size = attributions.abs().sort(dim=-1, descending=True).values
    carried = size.cumsum(dim=-1)
    total = carried[..., -1:]
    # The tolerance keeps rounding in the sum from asking for one latent too many.
    missing = (carried < share * total * (1 - 1e-6)).sum(dim=-1) + 1
    return torch.where(total[..., 0] > 0, missing, 0)


def monotonicity(attributions: Tensor, total_variation: Tensor) -> Tensor:
    r"""Share of movement along the path that is not undone, $\sum |a| / \sum \overline{|c|}$.

    Sums run over examples and latents before the division: a latent counts by how much it moves
    the output. (Flat latents would otherwise score 1 or 0 by noise.)

    Args:
        attributions: `(..., latents)`, the integral of the contributions along the path.
        total_variation: Same shape, the integral of their absolute values; both come from
            `integrated_gradients` (32 steps or more).

    Returns:
        Scalar; 1 if every latent moves the output in one direction for every example. NaN where
        nothing moves.

    Examples:
        >>> contributions = torch.tensor([[[1.0], [-1.0], [2.0]]])
        >>> monotonicity(contributions.mean(dim=1), contributions.abs().mean(dim=1)).item()
        0.5
    """
    return attributions.abs().sum() / total_variation.sum()


def rank_correlation(left: Tensor, right: Tensor) -> Tensor:
    """Spearman's correlation over the last dimension; ties share their mean rank.

    For sanity checks: near 1 means that another predictor is explained like the first. Pitfall:
    absolute attributions of any two predictors correlate where both multiply by the latents;
    with their signs chance is 0.

    References:
        Adebayo et al.: Sanity Checks for Saliency Maps, 2018, https://arxiv.org/abs/1810.03292

    Args:
        left: `(..., n)`.
        right: `(..., n)`.

    Returns:
        `(...)` in [-1, 1]; NaN where all values of a row are alike.

    Examples:
        >>> rank_correlation(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 4.0, 9.0])).item()
        1.0
    """
    ranks = [_ranks(side) for side in (left, right)]
    centred = [rank - rank.mean(dim=-1, keepdim=True) for rank in ranks]
    product = (centred[0] * centred[1]).sum(dim=-1)
    # One square root, so that perfect agreement is exactly 1.
    squares = [rank.pow(2).sum(dim=-1) for rank in centred]
    return (product / (squares[0] * squares[1]).sqrt()).to(left.dtype)


def _ranks(values: Tensor) -> Tensor:
    smaller = (values.unsqueeze(-2) < values.unsqueeze(-1)).sum(dim=-1)
    alike = (values.unsqueeze(-2) == values.unsqueeze(-1)).sum(dim=-1)
    return smaller.double() + (alike.double() - 1) / 2


class Counterfactual(NamedTuple):
    """Figures of counterfactual latents, each `(batch,)`."""

    valid: Tensor
    """Whether the decision is another, or the wanted one."""
    latent_distance: Tensor
    """L2 length of the move, in prior standard deviations."""
    input_distance: Tensor
    """L1 distance of the decoded inputs, summed over the event."""
    changed_latents: Tensor
    """How many latents moved by more than the threshold."""
    log_prior: Tensor
    """Log density of the counterfactual latents under the standard normal prior, in nats."""


def counterfactual_figures(
    latents: Tensor,
    changed: Tensor,
    decoded: Sequence[Tensor],
    outputs: Sequence[Tensor],
    *,
    target: Tensor | None = None,
    threshold: float = 0.5,
) -> Counterfactual:
    """Validity, proximity, sparsity and plausibility of counterfactual latents.

    Pitfall: a move far outside the prior is always valid; read `log_prior` beside it.

    References:
        Verma et al.: Counterfactual Explanations for Machine Learning: A Review, 2020,
        https://arxiv.org/abs/2010.10596

    Args:
        latents: `(batch, latents)`, before.
        changed: `(batch, latents)`, after.
        decoded: Inputs decoded from both, two tensors `(batch, *event)`.
        outputs: Logits at both, two tensors `(batch, classes)`.
        target: `(batch,)`, the decision wanted; any other than before without it.
        threshold: A latent counts as changed beyond this, in prior standard deviations.

    Returns:
        One figure per example and name.
    """
    before, after = (decisions(side) for side in outputs)
    move = changed - latents
    log_prior = -0.5 * (changed.pow(2) + math.log(2 * math.pi)).sum(dim=1)
    return Counterfactual(
        valid=after == target if target is not None else after != before,
        latent_distance=move.norm(dim=1),
        input_distance=(decoded[1] - decoded[0]).abs().flatten(1).sum(dim=1),
        changed_latents=(move.abs() > threshold).sum(dim=1),
        log_prior=log_prior,
    )
