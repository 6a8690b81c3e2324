"""Can torch take this derivative of a function in this way? Asked once, at one example."""

from collections.abc import Callable

# How torch begins to say that an operator has no forward derivative or cannot be vectorised.
_REFUSALS = (
    "Batching rule not implemented for",
    "Cannot access data pointer of Tensor that doesn't have storage",
    "In order to use an autograd.Function with functorch transforms",
    "Trying to use forward AD with",
    "You are attempting to call Tensor.requires_grad_()",
    "You must implement the jvp function",
    "You tried to vmap over",
    "element 0 of tensors does not require grad",
    "vmap: ",
)


def torch_supports(attempt: Callable[[], object]) -> bool:
    """Whether torch can carry out a derivative.

    Nothing but torch's own refusals counts as a no. Any other error, of a module above all, comes
    out as itself.

    Args:
        attempt: Takes the derivative at one example.

    Examples:
        >>> import torch
        >>> plain, square = torch.ones(2), lambda point: point.pow(2)
        >>> torch_supports(lambda: torch.func.jvp(square, (plain,), (plain,)))
        True
    """
    try:
        attempt()
    except RuntimeError as error:  # a NotImplementedError is one
        if not _is_refusal(str(error)):
            raise
        return False
    return True


def _is_refusal(message: str) -> bool:
    # TorchScript puts the error of an operator at the end of its own traceback.
    last = message.strip().rpartition("\nRuntimeError: ")[2]
    return last.startswith(_REFUSALS)
