"""Does the re-encoded decision follow where changed inputs change the predictor's own?"""

from typing import NamedTuple

from torch import Tensor


class Following(NamedTuple):
    """What re-encoded decisions do where changed inputs change the predictor's own."""

    share: float | None
    """How many follow: 1 at best; None where no decision changed."""
    stayed: float | None
    """How many stay with the decision before the change; the rest are third classes."""
    chance: float | None
    """How many would follow if the same re-encoded decisions were dealt out at random."""
    changed: int
    """How many of the predictor's decisions changed: those that the shares are over."""
    asked: int
    """How many inputs were changed."""

    def in_words(self) -> str:
        """Such as "12% of 240 changed decisions (chance 47%)"."""
        if self.share is None:
            return f"no decision changed, of {self.asked}"
        return f"{self.share:.0%} of {self.changed} changed decisions (chance {self.chance:.0%})"


def followed_decisions(before: Tensor, after: Tensor, reencoded: Tensor) -> Following:
    r"""Share of changed decisions that are the same when the changed input is re-encoded.

    Over the $N$ inputs whose decision $c_n = \arg\max f(x'_n)$ after a change differs from the one
    before it, with $\hat c_n = \arg\max f(D(E(x'_n)))$:

    $$ \frac{1}{N} \sum_n [\hat c_n = c_n], \qquad
       \mathrm{chance} = \sum_k \frac{1}{N} \sum_n [\hat c_n = k] \cdot
       \frac{1}{N} \sum_n [c_n = k] $$

    Chance is what the same re-encoded decisions reach on average if they are dealt out to the
    inputs in random order. Agreement asks inputs whose cues all say the same: there, a decoder
    that paints what it cannot see agrees as well. Changed inputs part the cues. A code that draws
    what the predictor reads follows; one that draws another cue stays, and is below chance.

    References:
        Geirhos et al.: ImageNet-trained CNNs are biased towards texture, 2019,
        https://arxiv.org/abs/1811.12231 (decisions on inputs whose cues conflict).

    Args:
        before: `(n,)`, the predictor's decisions at unchanged inputs.
        after: `(n,)`, at the changed ones.
        reencoded: `(n,)`, at the changed ones, encoded and decoded.

    Returns:
        Shares, chance and counts.

    Raises:
        ValueError: Shapes differ.

    Examples:
        >>> import torch
        >>> before, after = torch.tensor([0, 0, 0, 0]), torch.tensor([1, 2, 1, 0])
        >>> followed_decisions(before, after, torch.tensor([1, 2, 0, 0])).in_words()
        '67% of 3 changed decisions (chance 33%)'
    """
    if not before.shape == after.shape == reencoded.shape or before.ndim != 1:
        raise ValueError(
            "`before`, `after` and `reencoded` must be one decision for each input, (n,). Got "
            f"{tuple(before.shape)}, {tuple(after.shape)} and {tuple(reencoded.shape)}. Pass "
            "attributions.outputs.decisions of each."
        )
    moved = before != after
    count = int(moved.sum())
    if not count:
        return Following(None, None, None, 0, len(before))
    was, said, again = before[moved], after[moved], reencoded[moved]
    classes = said.unique()
    of_said, of_again = (
        (side.unsqueeze(1) == classes).double().mean(dim=0) for side in (said, again)
    )
    return Following(
        share=float((again == said).double().mean()),
        stayed=float((again == was).double().mean()),
        chance=float((of_said * of_again).sum()),
        changed=count,
        asked=len(before),
    )
