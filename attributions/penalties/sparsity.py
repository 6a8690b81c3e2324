r"""Few latents explain each prediction, or each class.

Sparsity must be free of scale. A plain L1 norm is a *size* penalty: it is minimised by shrinking
the range of the output or by hiding the class in the residual, and agreement collapses (.913 to
.323 on three classes of Fashion-MNIST). Use a scale-free one, together with a prediction loss.

The functions take contributions $c$ `(batch, n_steps, latents)` along the path from baseline to
latents (`attributions.path_contributions`), or their mean over the path, the attributions $a$
`(batch, latents)`.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attributions.penalties.protocol import Penalty, Step, tiny


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
        contributions: `(batch, n_steps, latents)`.

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
    return -((2 * rank - n - 1) * size).sum() / (n * size.sum().clamp_min(tiny(size)))


def entropy(attributions: Tensor) -> Tensor:
    r"""Mean over examples of the entropy of $|a| / \lVert a \rVert_1$, in nats.

    Between 0 (one latent) and $\ln n$ (all alike). Free of scale.

    Args:
        attributions: `(..., latents)`.

    Returns:
        Scalar.
    """
    size = attributions.abs()
    share = size / size.sum(dim=-1, keepdim=True).clamp_min(tiny(size))
    # The logarithm is kept finite where an attribution is 0: its gradient would be NaN.
    return -(share * (share + tiny(size)).log()).sum(dim=-1).mean()


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


def _norm(attributions: Tensor) -> Tensor:
    # At a = 0 the ratio is 0 with a zero gradient, never NaN.
    return (attributions.pow(2).sum(dim=-1) + tiny(attributions)).sqrt()


@dataclass(frozen=True, kw_only=True)
class Sparsity(Penalty):
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
        super().__post_init__()
        if self.form != "path" and self.form not in self.forms:
            raise ValueError(
                f"`form` must be one of {['path', *self.forms]}. Got {self.form!r}. "
                "Start with the default."
            )

    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty of a training step, a scalar."""
        if self.form == "path":
            return path_l1_over_l2(step.contributions)
        return self.forms[self.form](step.contributions.mean(dim=1))


def group_l1_over_l2(attributions: Tensor, target: Tensor) -> Tensor:
    r"""Class-wise group sparsity: this class uses these latents.

    $$ g_{ci} = \sqrt{\operatorname{mean}_{n \in c} a_{ni}^2}, \qquad
    \operatorname{mean}_c \lVert g_c \rVert_1 / \lVert g_c \rVert_2 $$

    The L2 norm inside a class makes its examples share their latents (a group lasso), the ratio
    is free of scale. A figure of the whole batch.

    References:
        Yuan, Lin: Model selection and estimation in regression with grouped variables, 2006.

    Args:
        attributions: `(batch, latents)`.
        target: `(batch,)`, the class of each.

    Returns:
        Scalar, between 1 and the square root of the number of latents.
    """
    ratios = []
    for index in target.unique():
        group = attributions[target == index].pow(2).mean(dim=0)
        length = (group.sum() + 1e-12).sqrt()
        ratios.append((group + 1e-12).sqrt().sum() / length)
    return torch.stack(ratios).mean()


@dataclass(frozen=True, kw_only=True)
class GroupSparsity(Penalty):
    """Each class uses few latents, the same for all its examples; see `group_l1_over_l2`.

    Args:
        weight: Factor in the loss.
    """

    weight: float = 6.0
    name: ClassVar[str] = "group_sparsity"

    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty."""
        return group_l1_over_l2(step.contributions.mean(dim=1), step.classes)
