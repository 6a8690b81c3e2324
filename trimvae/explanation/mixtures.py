"""Latents that are mixtures of independent directions: which they are is the code's choice."""

from collections.abc import Sequence

import torch
from torch import Tensor

from attributions.codes import Block
from attributions.measures.unmixing import Unmixing, unmix

# Nats of total correlation that an unmixing takes away, at the least. Set on seeds 0 and 1 of
# benchmarks/lies: .40 to .44 of three factors that were turned (their interval from .32 up), and
# intervals from .03 down of factors that were not.
LEAST_GAIN = 0.15

# Where latents go together more, so may factors, and no turn tells which of the two it is: .12 at
# most of factors that were turned, .29 at least of digits along axes, whose factors nobody knows.
_MOST_CORRELATION = 0.2

# A latent that is less like a direction of its own is a mixture: .8 at most of turned factors, .99
# at least of those that were not.
_LEAST_PURITY = 0.9

# Latents with less of the evidence do not count as used.
_LEAST_SHARE = 0.1

# Examples that are asked, the first ones.
_MOST_ASKED = 512


def unmixed(latents: Tensor, deviations: Tensor, blocks: Sequence[Block]) -> Unmixing | None:
    """Take the first 512 examples' latents apart, those that are real numbers.

    Args:
        latents: `(n, latents)`.
        deviations: `(n, latents)`, of the posterior.
        blocks: Of the latents, which say what is real.

    Returns:
        What was found, with a purity for every latent; None where nothing can be told.
    """
    real = [
        latent
        for block in blocks
        if block.kind == "real"
        for latent in range(block.start, block.stop)
    ]
    rows = slice(_MOST_ASKED)
    found = unmix(latents[rows, real], deviations[rows, real])
    if found is None:
        return None
    purity = torch.full_like(latents[0], torch.nan)
    purity[real] = found.purity
    return found._replace(purity=purity)


def of_mixtures(found: Unmixing | None, shares: Tensor, latent_names: Sequence[str]) -> str:
    """What a reader must know where latents that are used are mixtures; empty where none are.

    Args:
        found: What unmixing them showed.
        shares: `(latents,)`, each latent's share of the evidence.
        latent_names: One per latent.
    """
    if found is None or found.gain.interval is None or found.correlation > _MOST_CORRELATION:
        return ""
    if not found.gain.interval.low > LEAST_GAIN:
        return ""
    mixed = (shares >= _LEAST_SHARE) & (found.purity < _LEAST_PURITY)
    names = [latent_names[place] for place in mixed.nonzero()[:, 0].tolist()]
    if not names:
        return ""
    each = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return (
        f"{each} {'are mixtures' if len(names) > 1 else 'is a mixture'} of directions that are "
        f"independent: turned to these, the latents lose {found.gain.value:.2f} nats of total "
        "correlation. What single latents are called is the code's choice, and another training "
        "may choose otherwise. Look along independent_axes, or train with BetaTCVAE or FactorVAE."
    )
