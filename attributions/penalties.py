r"""Penalties on attributions: what makes a code explainable when it stands in a loss.

Every penalty is a pure function of contributions $c$ `(batch, points, latents)` along the path
from baseline to latents (`path_contributions`) or of their mean over points, the attributions $a$
`(batch, latents)`. The small classes at the end name a penalty and its weight for `trimvae.fit`.

Sparsity must be free of scale. A plain L1 norm is a *size* penalty: it is minimised by shrinking
the range of the output or by hiding the class in the residual, and agreement collapses (.913 to
.323 on three classes of Fashion-MNIST). Use a scale-free one, together with a prediction loss.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor


def l1_over_l2(attributions: Tensor) -> Tensor:
    r"""Mean over examples of $\lVert a \rVert_1 / \lVert a \rVert_2$, the default sparsity.

    Between 1 (one latent) and $\sqrt{n}$ (all alike); its square is the participation ratio, the
    effective number of latents. Free of scale.

    References:
        Hurley, Rickard: Comparing Measures of Sparsity, 2009, https://arxiv.org/abs/0811.4706

    Args:
        attributions: `(..., latents)`.

    Returns:
        Scalar.

    Examples:
        >>> bool(l1_over_l2(torch.tensor([[0.0, 3.0, 0.0]])) == 1.0)
        True
    """
    return (attributions.abs().sum(dim=-1) / _norm(attributions)).mean()


def path_l1_over_l2(contributions: Tensor) -> Tensor:
    r"""Mean over examples of $\sum_i \overline{|c_i|} \,/\, \lVert \bar c \rVert_2$.

    The L1 norm is taken on every path point and the L2 norm of the attributions: the ratio is
    `l1_over_l2` times total variation over net change (at least 1, and 1 if every latent moves
    the output in one direction along the path). One figure asks for few *and* monotone latents.

    Args:
        contributions: `(batch, points, latents)`.

    Returns:
        Scalar, never below `l1_over_l2` of the attributions.

    Examples:
        >>> contributions = torch.randn(4, 3, 5)
        >>> bool(path_l1_over_l2(contributions) >= l1_over_l2(contributions.mean(dim=1)))
        True
    """
    total_variation = contributions.abs().mean(dim=1).sum(dim=-1)
    return (total_variation / _norm(contributions.mean(dim=1))).mean()


def gini(attributions: Tensor) -> Tensor:
    r"""Minus the Gini coefficient of the mean $|a|$ over the batch: few latents for all examples.

    Between $-(1 - 1/n)$ (one latent) and 0 (all alike). A figure of the whole batch: the mean
    of several batches' figures (as with several devices) is not that of their union.

    References:
        Erion et al.: Improving performance of deep learning models with axiomatic attribution
        priors and expected gradients, 2021, https://arxiv.org/abs/1906.10670

    Args:
        attributions: `(batch, latents)`.

    Returns:
        Scalar.
    """
    size = attributions.abs().mean(dim=0).sort().values
    n = len(size)
    rank = torch.arange(1, n + 1, device=size.device, dtype=size.dtype)
    return -((2 * rank - n - 1) * size).sum() / (n * size.sum().clamp_min(_tiny(size)))


def entropy(attributions: Tensor) -> Tensor:
    r"""Mean over examples of the entropy of $|a| / \lVert a \rVert_1$, in nats.

    Between 0 (one latent) and $\ln n$ (all alike). Free of scale.

    Args:
        attributions: `(..., latents)`.

    Returns:
        Scalar.
    """
    size = attributions.abs()
    share = size / size.sum(dim=-1, keepdim=True).clamp_min(_tiny(size))
    # The logarithm is kept finite where an attribution is 0: its gradient would be NaN.
    return -(share * (share + _tiny(size)).log()).sum(dim=-1).mean()


def l1(attributions: Tensor) -> Tensor:
    r"""Mean over examples of $\lVert a \rVert_1$: a **size** penalty with a loophole.

    It is minimised by a decoder that hides the class from the predictor or shrinks the range of
    its outputs. For comparison with the literature (AWD, local-vae), not for use.

    Args:
        attributions: `(..., latents)`.

    Returns:
        Scalar.
    """
    return attributions.abs().sum(dim=-1).mean()


def excess(attributions: Tensor) -> Tensor:
    r"""Mean over examples of $\sum_i |a_i| - |\sum_i a_i|$: what cancels, a **size** penalty.

    0 where no latent speaks against the others, however many there are: it asks for one sign,
    not for few latents. Shares the loophole of `l1`.

    Args:
        attributions: `(..., latents)`.

    Returns:
        Scalar.
    """
    return (attributions.abs().sum(dim=-1) - attributions.sum(dim=-1).abs()).mean()


def turning_back(contributions: Tensor) -> Tensor:
    r"""Share of movement that is undone along the path: $1 - \sum |\bar c| / \sum \overline{|c|}$.

    Between 0 (every latent moves the output in one direction, whichever) and 1. Sums run over
    examples and latents before the division, so that a latent counts by how much it moves the
    output; the mean of per-latent ratios is dominated by latents that move nothing and was
    measured to change only the cost. A figure of the whole batch, as `gini` is.

    Args:
        contributions: `(batch, points, latents)`.

    Returns:
        Scalar; one minus `measures.monotonicity`.
    """
    net = contributions.mean(dim=1).abs().sum()
    return 1 - net / contributions.abs().mean(dim=1).sum().clamp_min(_tiny(contributions))


def against_sign(contributions: Tensor, sign: Tensor) -> Tensor:
    r"""Share of movement against the wanted directions: $\sum (-s_i c)_+ \,/\, \sum |c|$.

    Args:
        contributions: `(batch, points, latents)`.
        sign: `(latents,)` or `(batch, latents)` of +1 (should raise the output), -1 (should
            lower it) or 0 (free).

    Returns:
        Scalar in [0, 1].
    """
    sign = sign.to(contributions).reshape(-1, 1, contributions.shape[-1])
    wrong = torch.relu(-sign * contributions).sum()
    return wrong / contributions.abs().sum().clamp_min(_tiny(contributions))


def _norm(attributions: Tensor) -> Tensor:
    # At a = 0 the ratio is 0 with a zero gradient, never NaN.
    return (attributions.pow(2).sum(dim=-1) + _tiny(attributions)).sqrt()


def _tiny(tensor: Tensor) -> float:
    return 1e-12 if tensor.dtype in (torch.float32, torch.float64) else 1e-6


class Penalty(Protocol):
    """A weight and a pure function of contributions `(batch, points, latents)`."""

    name: ClassVar[str]

    @property
    def weight(self) -> float:
        """Factor in the loss."""
        ...

    def __call__(self, contributions: Tensor) -> Tensor:
        """Unweighted penalty, a scalar."""
        ...


def check_weight(weight: float) -> None:
    """Raise a ValueError for a negative weight or NaN."""
    if not weight >= 0:
        raise ValueError(f"`weight` must be at least 0. Got {weight}. Use 0 to log a penalty only.")


@dataclass(frozen=True)
class Sparsity:
    """Few latents explain each prediction. `form` is one of the functions of this module.

    Args:
        weight: Factor in the loss.
        form: `"path"` (`path_l1_over_l2`), `"l1_over_l2"`, `"gini"`, `"entropy"`, or one of the
            size penalties `"l1"` and `"excess"`.

    Raises:
        ValueError: The weight is negative or the form unknown.
    """

    weight: float = 6.0
    form: str = "path"
    name: ClassVar[str] = "sparsity"
    forms: ClassVar = {
        "l1_over_l2": l1_over_l2,
        "gini": gini,
        "entropy": entropy,
        "l1": l1,
        "excess": excess,
    }

    def __post_init__(self) -> None:
        """Check the arguments."""
        check_weight(self.weight)
        if self.form != "path" and self.form not in self.forms:
            raise ValueError(
                f"`form` must be one of {['path', *self.forms]}. Got {self.form!r}. "
                "Start with the default."
            )

    def __call__(self, contributions: Tensor) -> Tensor:
        """Unweighted penalty of contributions `(batch, points, latents)`."""
        if self.form == "path":
            return path_l1_over_l2(contributions)
        return self.forms[self.form](contributions.mean(dim=1))


@dataclass(frozen=True)
class Monotonicity:
    """Each latent moves the output in one direction along the path.

    Args:
        weight: Factor in the loss.
        sign: `(latents,)` of +1, -1 or 0 where directions are known (`against_sign`); free
            without it (`turning_back`).

    Raises:
        ValueError: The weight is negative.
    """

    weight: float = 20.0
    sign: tuple[int, ...] | None = None
    name: ClassVar[str] = "monotonicity"

    def __post_init__(self) -> None:
        """Check the arguments."""
        check_weight(self.weight)

    def __call__(self, contributions: Tensor) -> Tensor:
        """Unweighted penalty of contributions `(batch, points, latents)`."""
        if self.sign is None:
            return turning_back(contributions)
        if len(self.sign) != contributions.shape[-1]:
            raise ValueError(
                f"`sign` must have one entry per latent ({contributions.shape[-1]}). "
                f"Got {len(self.sign)}. Use 0 for latents whose direction is free."
            )
        return against_sign(contributions, torch.tensor(self.sign))
