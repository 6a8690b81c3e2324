"""Training and held-out examples, and how to part them."""

from typing import NamedTuple

import torch
from torch import Tensor

from attributions.randomness import checked_seed
from trimvae.data.loading import Array, as_tensor
from trimvae.tables.schema import TableSchema


class Split(NamedTuple):
    """Training and held-out examples; labels only where the source has them."""

    train_inputs: Tensor
    """`(n, *event)`, images in [0, 1]."""
    train_labels: Tensor | None
    """`(n,)`, whole numbers."""
    test_inputs: Tensor
    """`(m, *event)`."""
    test_labels: Tensor | None
    """`(m,)`."""
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    """Columns of a table."""
    schema: TableSchema | None = None
    """What they hold, of a table that was encoded."""


def split(
    inputs: Array,
    labels: Array | None = None,
    *,
    test_share: float = 0.2,
    seed: int = 0,
    class_names: tuple[str, ...] | None = None,
) -> Split:
    """Part examples at random, the same way for the same seed.

    Args:
        inputs: `(n, *event)`, a tensor, NumPy array or table.
        labels: `(n,)`; default: there are none.
        test_share: Share held out, above 0 and below 1.
        seed: Of the shuffling; torch's global generator stays as it is.
        class_names: Names of the classes, which the result holds; default: none.

    Returns:
        The two parts, tensors.

    Raises:
        TypeError: `inputs` or `labels` are no numbers.
        ValueError: `test_share` is out of range, or one of the parts would be empty.

    Examples:
        >>> parts = split(torch.arange(10), test_share=0.3)
        >>> len(parts.train_inputs), len(parts.test_inputs)
        (7, 3)
    """
    inputs = as_tensor(inputs)
    labels = None if labels is None else as_tensor(labels, "labels")
    held_out = round(test_share * len(inputs)) if 0 < test_share < 1 else 0
    if not 0 < held_out < len(inputs):
        raise ValueError(
            "`test_share` must leave examples on both sides. Got "
            f"{test_share} of {len(inputs)} examples. Use 0.2, or more examples."
        )
    generator = torch.Generator().manual_seed(checked_seed(seed))
    order = torch.randperm(len(inputs), generator=generator, device="cpu")
    test, train = order[:held_out], order[held_out:]
    return Split(
        inputs[train],
        None if labels is None else labels[train],
        inputs[test],
        None if labels is None else labels[test],
        class_names,
    )
