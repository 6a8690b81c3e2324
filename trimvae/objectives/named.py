"""Objectives by the short names of the command line."""

from collections.abc import Callable

from trimvae.objectives.base import Objective, Ramp
from trimvae.objectives.factor import FactorVAE
from trimvae.objectives.family import DIPVAE, BetaTCVAE, BetaVAE, CapacityVAE


def objective_named(
    name: str, weight: float | None = None, *, warm_up: int | None = None
) -> Objective:
    """Return an objective by its short name and main weight.

    Args:
        name: `vae`, `betavae` (weight beta, 4), `capacity` (final capacity in nats, 25, reached
            after `warm_up` steps, 100,000), `factorvae` (gamma, 6.4), `btcvae` (beta, 6.4),
            `dipvae1` or `dipvae2` (off-diagonal weight, 10).
        weight: Main weight; default: the published one of dSprites.
        warm_up: Steps over which the weight grows from 0 (from 1 for `btcvae`); default: none.

    Raises:
        ValueError: There is no such name, the name takes no weight, or `warm_up` does not apply.

    Examples:
        >>> objective_named("btcvae", 6.0)
        BetaTCVAE(beta=6.0, alpha=1.0, gamma=1.0, estimator='mss')
    """
    makers: dict[str, tuple[float, Callable[[float], Objective]]] = {
        "vae": (1.0, lambda value: BetaVAE(_ramp(value, warm_up))),
        "betavae": (4.0, lambda value: BetaVAE(_ramp(value, warm_up))),
        "capacity": (25.0, lambda value: CapacityVAE(Ramp(value, warm_up or 100_000))),
        "factorvae": (6.4, lambda value: FactorVAE(_ramp(value, warm_up))),
        "btcvae": (6.4, lambda value: BetaTCVAE(_ramp(value, warm_up, start=1.0))),
        "dipvae1": (10.0, lambda value: DIPVAE(value, moments="I")),
        "dipvae2": (10.0, lambda value: DIPVAE(value, moments="II")),
    }
    if name not in makers:
        raise ValueError(
            f"`objective` must be one of {', '.join(makers)}. Got {name!r}. Use 'btcvae'."
        )
    if name == "vae" and weight is not None:
        raise ValueError(
            f"`weight` must be left out for 'vae'. Got {weight}. Use 'betavae' to weigh the KL."
        )
    if warm_up is not None and name.startswith("dipvae"):
        raise ValueError(
            f"`warm_up` must be left out for {name!r}. Got {warm_up}. Its weights are constant."
        )
    default, make = makers[name]
    return make(default if weight is None else weight)


def _ramp(value: float, warm_up: int | None, start: float = 0.0) -> float | Ramp:
    return value if warm_up is None else Ramp(value, warm_up, start)
