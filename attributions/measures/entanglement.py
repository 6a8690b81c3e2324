"""Are the latents that are used independent of each other, as their names suggest?"""

import torch
from torch import Tensor


def latent_correlation(latents: Tensor, shares: Tensor) -> Tensor:
    r"""Mean absolute correlation of two latents, weighted by how much they are used.

    $$ \frac{\sum_{i \ne j} s_i s_j |\rho_{ij}|}{\sum_{i \ne j} s_i s_j} $$

    with each latent's share $s_i$ of the evidence. Where two latents go together in the data,
    evidence for one is evidence for the other as well, and which of them gets it is the code's
    choice.

    Args:
        latents: `(n, latents)`, at least two examples.
        shares: `(latents,)`, not negative.

    Returns:
        Scalar in [0, 1]; 0 where one latent alone is used. Latents that do not vary count as 0.

    Raises:
        ValueError: Shapes do not fit, or there are fewer than two examples.

    Examples:
        >>> column = torch.randn(50, 1)
        >>> twice = torch.cat([column, -column], dim=1)
        >>> torch.allclose(latent_correlation(twice, torch.tensor([0.7, 0.3])), torch.ones(()))
        True
    """
    correlation = _correlations(latents, shares)
    weights = torch.outer(shares, shares).double()
    weights.fill_diagonal_(0)
    total = weights.sum()
    weighted = (weights * correlation.abs()).sum() / total
    return torch.where(total > 0, weighted, 0).to(latents.dtype)


def gaussian_total_correlation(
    latents: Tensor, shares: Tensor, deviations: Tensor | None = None, *, least_share: float = 0.05
) -> Tensor:
    r"""Total correlation of the latents that are used, as if they were normal: a lower resolution.

    $$ -\tfrac{1}{2} \log \det R $$

    with the correlation matrix $R$ of the latents, in nats: exact for normal latents, and blind to
    what correlation cannot see. With `deviations`, latents are samples of their posteriors (the
    aggregate posterior): their variances are added to those of the means.

    References:
        Watanabe: Information Theoretical Analysis of Multivariate Correlation, 1960,
        https://doi.org/10.1147/rd.41.0066

    Args:
        latents: `(n, latents)`, more examples than latents that are used.
        shares: `(latents,)`, each latent's share of the evidence.
        deviations: `(n, latents)`, posterior standard deviations; default: none.
        least_share: Latents below it are left out.

    Returns:
        Scalar, nats; 0 for fewer than two latents, infinite where one is a mixture of the others.
        Latents that do not vary are left out.

    Raises:
        ValueError: Shapes do not fit, or there are fewer than two examples.

    Examples:
        >>> grid = torch.cartesian_prod(torch.arange(3.0), torch.arange(3.0))
        >>> found = gaussian_total_correlation(grid, torch.tensor([0.5, 0.5]))
        >>> torch.allclose(found, torch.zeros(()), atol=1e-6)
        True
    """
    correlation = _correlations(latents, shares, deviations)
    used = (shares >= least_share) & (correlation.diagonal() > 0)
    chosen = correlation[used][:, used]
    # A mixture of others has a determinant of 0, or by rounding just below it.
    sign, logarithm = torch.linalg.slogdet(chosen)
    singular = torch.full_like(logarithm, torch.inf)
    return torch.where(sign > 0, (-0.5 * logarithm).clamp_min(0), singular).to(latents.dtype)


def latent_copies(
    latents: Tensor, deviations: Tensor | None = None, *, least: float = 0.9
) -> list[tuple[int, int, float]]:
    """Pairs of latents of which one all but tells the other.

    Args:
        latents: `(n, latents)`, at least two examples.
        deviations: `(n, latents)`, posterior standard deviations, whose variances are added;
            default: none.
        least: Absolute correlation from which on a pair is listed.

    Returns:
        Both latents and their correlation, of each pair.

    Raises:
        ValueError: There are fewer than two examples.

    Examples:
        >>> column = torch.tensor([[0.0], [1.0], [3.0]])
        >>> latent_copies(torch.cat([column, 2 - column, column % 3], dim=1))
        [(0, 1, -1.0)]
    """
    correlation = _correlations(latents, latents[0], deviations).triu(diagonal=1)
    places = (correlation.abs() >= least).nonzero().tolist()
    return [(one, other, round(float(correlation[one, other]), 6)) for one, other in places]


def _correlations(latents: Tensor, shares: Tensor, deviations: Tensor | None = None) -> Tensor:
    """`(latents, latents)` in double precision; a row of zeros for a latent that does not vary."""
    if latents.ndim != 2 or len(latents) < 2 or shares.shape != latents.shape[1:]:
        raise ValueError(
            "`latents` must have shape (n, latents) with two examples or more, and `shares` "
            f"(latents,). Got {tuple(latents.shape)} and {tuple(shares.shape)}. Pass the shares of "
            "the same latents."
        )
    centred = latents.double() - latents.double().mean(dim=0)
    covariance = centred.T @ centred / (len(latents) - 1)
    if deviations is not None:
        covariance = covariance + deviations.double().square().mean(dim=0).diag()
    spread = covariance.diagonal().sqrt()
    varies = spread > 1e-9 * spread.max().clamp_min(1e-30)
    scale = torch.where(varies, 1 / spread.clamp_min(1e-30), 0)
    return covariance * torch.outer(scale, scale)
