"""Second derivatives: attention that has them, and a check of a predictor before training."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from attributions.predictors import Predictor

# How torch says that an operator, or a backward pass, cannot be differentiated (again).
_MISSING = re.compile(
    r"derivative for '?(?P<one>[\w:.]+)'? is not implemented"
    r"|the derivative for (?P<two>\S+) is not"
    r"|(?P<three>\S+) (?:does not support|is not) (?:double backward|twice differentiable)"
    r"|trying to differentiate twice a function that was marked with @once_differentiable"
)


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Compute attention by torch's plain mathematics within a block.

    The fused kernels of `scaled_dot_product_attention` have one derivative, and a loss on
    attributions needs two. What is recorded here has both, also when it is differentiated later.

    Examples:
        >>> from torch.nn.functional import scaled_dot_product_attention
        >>> query = torch.randn(1, 2, 3, 4, requires_grad=True)
        >>> with twice_differentiable():
        ...     once = scaled_dot_product_attention(query, query, query).pow(2).sum()
        >>> (gradient,) = torch.autograd.grad(once, query, create_graph=True)
        >>> torch.autograd.grad(gradient.pow(2).sum(), query)[0].shape == query.shape
        True
    """
    with sdpa_kernel(SDPBackend.MATH):
        yield


def check_twice_differentiable(predictor: Predictor, inputs: Tensor) -> None:
    """Take one small second derivative, so that a refusal comes before training and names itself.

    Args:
        predictor: That penalties will look through.
        inputs: `(batch, *event)`, of which two are used.

    Raises:
        RuntimeError: An operator of the predictor has no second derivative.
    """
    point = inputs[:2].detach().clone().requires_grad_()
    try:
        with torch.enable_grad(), twice_differentiable():
            outputs = predictor(point)
            (gradient,) = torch.autograd.grad(outputs.square().sum(), point, create_graph=True)
            if gradient.requires_grad:
                # Not `grad`, which passes over what leads back to no input: refusals as well.
                gradient.square().sum().backward()
    except RuntimeError as error:  # a NotImplementedError is one
        found = _MISSING.search(str(error))
        if found is None:
            raise
        named = next((group for group in found.groups() if group), "an operator of its own")
        raise RuntimeError(
            "`predictor` must be twice differentiable for penalties, which are losses on "
            f"attributions. Got {named}, whose second derivative torch does not have. Leave "
            "penalties out (the prediction loss and explanatory_axes need one derivative), or "
            "put plain operators in its place."
        ) from error
