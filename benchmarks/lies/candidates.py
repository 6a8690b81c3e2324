"""Figures that the library does not warn of yet, each with the bound that parts lies from controls.

They know nothing of how a case was made: code, predictor and inputs are enough.
"""

import torch
from torch import Tensor

from attributions.codes import Code, encode
from attributions.measures.bundles import common_share
from attributions.trim import Trim
from trimvae.explanation.explanation import Explanation

LEAST = {
    "reread": 0.8,
    "drawn variance": 0.3,
    "within-class correlation": 0.7,
    "direction": 0.5,
    "common columns": 0.4,
}

# Latents that carry less of the evidence than this do not count as used.
_USED = 0.1


def candidates(explanation: Explanation) -> dict[str, float]:
    """Every figure that applies, by name."""
    used = explanation.shares >= _USED
    found = {
        "reread": reread(explanation.code, explanation.latents, explanation.reconstructions, used),
        "drawn variance": drawn_variance(explanation.inputs, explanation.reconstructions),
        "within-class correlation": within_class_correlation(
            explanation.outputs, explanation.reencoded_outputs, explanation.predicted
        ),
        "direction": direction(explanation.trim, explanation.latents, used),
    }
    if explanation.inputs.ndim == 2:
        found["common columns"] = common_columns(explanation.trim, explanation.latents, used)
    return found


def beyond(found: dict[str, float]) -> list[str]:
    """Names of the figures that are below their bounds."""
    return [name for name, least in LEAST.items() if name in found and found[name] < least]


def reread(code: Code, latents: Tensor, reconstructions: Tensor, used: Tensor) -> float:
    r"""Does the encoder read what the decoder draws?

    $$ 1 - \frac{\sum_n (E(D(z_n)) - z_n)^2}{\sum_n (z_n - \bar z)^2} $$

    The lowest of the latents that are used: 1 at best, 0 where nothing is drawn.
    """
    with torch.no_grad():
        again_read = encode(code, reconstructions).latents
    error = (again_read - latents).square().sum(dim=0)
    spread = (latents - latents.mean(dim=0)).square().sum(dim=0).clamp_min(1e-12)
    return float((1 - error / spread)[used].min()) if used.any() else 0.0


def drawn_variance(inputs: Tensor, reconstructions: Tensor) -> float:
    """Share of the inputs' variance that the reconstructions draw; below 0 for a wrong picture."""
    spread = (inputs - inputs.mean(dim=0)).square().sum()
    return float(1 - (inputs - reconstructions).square().sum() / spread.clamp_min(1e-12))


def within_class_correlation(outputs: Tensor, reencoded: Tensor, predicted: Tensor) -> float:
    """Correlation of centred logits at inputs and reconstructions, less the means of each class.

    A code that guesses the cue from what goes with it knows the class, not how strong the cue is.
    """
    products = outputs.new_zeros(3)
    for index in predicted.unique():
        sides = []
        for side in (outputs[predicted == index], reencoded[predicted == index]):
            centred = side - side.mean(dim=1, keepdim=True)
            sides.append(centred - centred.mean(dim=0))
        one, other = sides
        products += torch.stack([(one * other).sum(), one.square().sum(), other.square().sum()])
    return float(products[0] / (products[1] * products[2]).sqrt().clamp_min(1e-12))


def direction(trim: Trim, latents: Tensor, used: Tensor) -> float:
    r"""Does more of a latent speak for a class in every example, or now for and now against it?

    $$ \frac{\sum_{jc} |\sum_n \Delta_{njc}|}{\sum_{njc} |\Delta_{njc}|} $$

    with the change $\Delta$ of the centred logits as a latent that is used moves from its first to
    its last tenth, all others held. Of exclusive or it is 0: no latent means anything alone.
    """
    net, total = 0.0, 0.0
    for latent in used.nonzero()[:, 0].tolist():
        ends = latents[:, latent].quantile(latents.new_tensor([0.1, 0.9]))
        outputs = []
        for end in ends:
            moved = latents.clone()
            moved[:, latent] = end
            with torch.no_grad():
                outputs.append(trim(moved))
        change = outputs[1] - outputs[0]
        net += float(change.sum(dim=0).abs().sum())
        total += float(change.abs().sum())
    return net / total if total else 0.0


def common_columns(trim: Trim, latents: Tensor, used: Tensor, n_steps: int = 16) -> float:
    r"""Does the predictor respond to the columns that a latent draws, each as it draws them?

    As a latent moves from its first to its last twentieth, column $k$ of the table changes by
    $\Delta_k$ and draws the share $d_k$ of $\lVert\Delta\rVert^2$. Integrated gradients in the
    columns, from one end to the other, say which share $c_k$ of the change of the outputs it
    causes. Of the latents used, the lowest $\sum_k \min(d_k, c_k)$.
    """
    lowest = 1.0
    for latent in used.nonzero()[:, 0].tolist():
        ends = []
        for end in latents[:, latent].quantile(latents.new_tensor([0.05, 0.95])):
            moved = latents.clone()
            moved[:, latent] = end
            with torch.no_grad():
                ends.append(trim.decode(moved))
        before, after = ends
        change, gradients = after - before, torch.zeros(())
        for point in (torch.arange(n_steps) + 0.5) / n_steps:
            rows = (before + point * change).requires_grad_(True)
            outputs = trim.of_inputs(rows)
            each = [
                torch.autograd.grad(outputs[:, index].sum(), rows, retain_graph=True)[0]
                for index in range(outputs.shape[1])
            ]
            gradients = gradients + torch.stack(each, dim=1) / n_steps
        effects = gradients * change.unsqueeze(1)
        caused = (effects * effects.sum(dim=2, keepdim=True)).sum(dim=(0, 1))
        drawn = change.square().sum(dim=0)
        lowest = min(lowest, float(common_share(drawn / drawn.sum(), caused / caused.sum())))
    return lowest
