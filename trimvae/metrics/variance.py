"""How much of each latent's variance a factor explains, whatever the order of its levels."""

import torch
from torch import Tensor


def variance_shares(latents: Tensor, factors: Tensor) -> Tensor:
    r"""Share of each latent's variance that the levels of each factor explain.

    $$ \eta^2_{jf} = \frac{\sum_l n_l (\bar z_{jl} - \bar z_j)^2}{\sum_n (z_{nj} - \bar z_j)^2} $$

    over the levels $l$ of a factor $f$: the correlation ratio, which, unlike a correlation, also
    finds an angle or a photograph. Pitfall: it is above 0 by chance, by about the number of levels
    over the number of examples.

    References:
        Fisher: Statistical Methods for Research Workers, 1925, chapter 8.

    Args:
        latents: `(n, latents)`.
        factors: `(n, n_factors)`, levels, whole numbers.

    Returns:
        `(latents, n_factors)`, from 0 to 1; 0 for a latent that does not vary.

    Raises:
        ValueError: There are not as many rows of the one as of the other.

    Examples:
        >>> latents = torch.tensor([[1.0, 0.0], [1.0, 2.0], [5.0, 0.0], [5.0, 2.0]])
        >>> variance_shares(latents, torch.tensor([[0], [0], [1], [1]])).tolist()
        [[1.0], [0.0]]
    """
    if latents.ndim != 2 or factors.ndim != 2 or len(latents) != len(factors):
        raise ValueError(
            "`latents` and `factors` must have one row for each example. Got "
            f"{tuple(latents.shape)} and {tuple(factors.shape)}. Use data.draw for the levels."
        )
    centred = latents.double() - latents.double().mean(dim=0)
    total = centred.square().sum(dim=0)
    columns = []
    for levels in factors.T:
        places = levels.unique(return_inverse=True)[1]
        sizes = torch.bincount(places).to(centred)
        sums = torch.zeros(len(sizes), centred.shape[1]).to(centred).index_add(0, places, centred)
        explained = (sums.square() / sizes[:, None]).sum(dim=0)
        columns.append(torch.where(total > 0, explained / total.clamp_min(1e-300), 0.0))
    return torch.stack(columns, dim=1).to(latents.dtype)
