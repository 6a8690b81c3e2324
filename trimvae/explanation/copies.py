"""Latents that are copies of each other: which of them gets the evidence is the code's choice."""

from collections.abc import Sequence

from torch import Tensor

from attributions.measures.entanglement import latent_copies

# Latents with less of the evidence are not compared.
_LEAST_SHARE = 0.1

# Fewer examples correlate by chance.
_LEAST_EXAMPLES = 20


def of_copies(
    latents: Tensor, deviations: Tensor, shares: Tensor, latent_names: Sequence[str]
) -> str:
    """What a reader must know where latents that are used are copies; empty where none are.

    Args:
        latents: `(n, latents)`.
        deviations: `(n, latents)`, of the posterior.
        shares: `(latents,)`, each latent's share of the evidence.
        latent_names: One per latent.
    """
    used = (shares >= _LEAST_SHARE).nonzero()[:, 0]
    if len(latents) < _LEAST_EXAMPLES or len(used) < 2:
        return ""
    found = latent_copies(latents[:, used], deviations[:, used])
    if not found:
        return ""
    one, other, correlation = max(found, key=lambda pair: abs(pair[2]))
    first, second = (latent_names[int(used[place])] for place in (one, other))
    return (
        f"{first} and {second} are all but one latent (correlation {correlation:.2f} in the data): "
        "how the evidence is split between them is the code's choice. Read them together, or train "
        "with fewer latents."
    )
