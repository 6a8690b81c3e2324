"""How much of the predictor survives encoding and decoding, and how complete attributions are."""

import torch
from torch import Tensor
from torch.nn import functional as F

from attributions.outputs import both_classes, decisions, visible_change


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


def completeness_by_class(attributions: Tensor, change: Tensor) -> Tensor:
    r"""Relative error of completeness of each class, beside its own change.

    $$ \frac{\sum_n |\sum_i a_{nci} - \Delta_{nc}|}
       {\sum_n \max(|\Delta_{nc}|, \tfrac{1}{2} \max_k |\Delta_{nk}|)} $$

    An error that is small beside the changes of all classes together can be large beside that of
    one. A class that hardly changes counts as if it changed half as much as the one that changes
    most, since classes are drawn on one scale.

    Args:
        attributions: `(batch, classes, latents)`.
        change: `(batch, classes)`, the output at the latents minus that at the baseline.

    Returns:
        `(classes,)`, 0 at best; 0 where nothing changes and nothing is attributed.

    Examples:
        >>> attributions = torch.tensor([[[1.0, 3.0], [1.0, 1.5]]])
        >>> completeness_by_class(attributions, torch.tensor([[4.0, 2.0]])).tolist()
        [0.0, 0.25]
    """
    error = (attributions.sum(dim=-1) - change).abs().sum(dim=0)
    return torch.where(error == 0, error, error / visible_change(change).sum(dim=0))


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
