"""Whether what is asked answers alike: every time, and for each example whatever is beside it."""

from collections.abc import Callable

import torch
from torch import Tensor

# Of an ordinary output. What depends on the rest of its batch differs by more; activations that
# are quantised over a batch, by less.
_MOST_APART = 0.01


def repeats(answers: Tensor, again: Tensor) -> bool:
    """Whether the same question was answered the same."""
    return torch.allclose(answers, again, rtol=1e-4, atol=1e-5)


def stands_alone(ask: Callable[[Tensor], Tensor], asked: Tensor) -> bool:
    """Whether examples are answered alike, whatever others are beside them.

    Four examples at most are asked in three batches of one size, since a batch of another size may
    be added up in another order: beside others, beside themselves at half their size, and beside
    copies of the first.

    Args:
        ask: Inputs or latents `(batch, *event)` to anything of as many rows.
        asked: Inputs or latents.

    Examples:
        >>> inputs = torch.randn(6, 3)
        >>> stands_alone(torch.tanh, inputs)
        True
        >>> stands_alone(lambda rows: rows - rows.mean(dim=0), inputs)
        False
    """
    asked = asked[:8]
    few = asked[: (len(asked) + 1) // 2]
    companies = (asked[-len(few) :], few / 2, few[:1].expand_as(few))
    answers, *others = (ask(torch.cat([few, rest]))[: len(few)].flatten(1) for rest in companies)
    size = answers.abs().amax(dim=0)
    most = _MOST_APART * size.maximum(size.median()) + 1e-5  # small ones are rounded as large ones
    return all(bool(((answers - other).abs() <= most).all()) for other in others)
