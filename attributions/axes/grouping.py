"""Which latents may be mixed with each other."""

import warnings
from collections.abc import Collection, Sequence

from torch import Tensor

from attributions.codes import Code, blocks_of

Groups = tuple[tuple[int, ...], ...]

LEAST_VARIANCE = 0.01


def dead_latents(latents: Tensor, deviations: Tensor) -> tuple[int, ...]:
    """Latents that do not vary: less than a hundredth of the prior's variance, which is 1.

    Of a code without posteriors, of the largest variance.

    References:
        Burda, Grosse, Salakhutdinov: Importance Weighted Autoencoders, 2016,
        https://arxiv.org/abs/1509.00519

    Args:
        latents: `(n, latents)`, means of posteriors.
        deviations: `(n, latents)`, of the posteriors; 0 where there are none.

    Returns:
        Their indices.

    Examples:
        >>> import torch
        >>> latents = torch.tensor([[0.0, 1.0], [0.1, -1.0]])
        >>> dead_latents(latents, torch.ones(2, 2))
        (0,)
    """
    variances = latents.var(dim=0)
    scale = 1.0 if bool(deviations.any()) else float(variances.max())
    return tuple((variances <= LEAST_VARIANCE * scale).nonzero()[:, 0].tolist())


def warn_of_few(count: int, groups: Groups) -> None:
    """Warn the caller's caller of fewer examples than the latents of a group squared."""
    turned = max((len(group) for group in groups), default=0)
    if count < turned**2:
        warnings.warn(
            f"`inputs` must be as many as the latents squared ({turned**2}) for axes that hold on "
            f"others. Got {count} to fit to. Pass more.",
            stacklevel=3,
        )


def groups_of(code: Code, size: int, dead: Collection[int] = ()) -> Groups:
    """Latents of a code that may be mixed with each other: those of one block of real numbers.

    Categories and noise are in no group, nor is a latent that is dead.

    Args:
        code: Its `blocks` are respected; without any, all latents are one block.
        size: Number of latents.
        dead: Indices of latents that say nothing.

    Returns:
        A tuple of indices for each group.

    Raises:
        ValueError: The blocks do not cover the latents, each once and in order, or `dead` holds
            what is no index of a latent.

    Examples:
        >>> from attributions.transforms import Identity
        >>> groups_of(Identity((4,)), 4, dead=[2])
        ((0, 1, 3),)
    """
    if not set(dead) <= set(range(size)):
        raise ValueError(
            f"`dead` must hold indices from 0 to {size - 1}. Got {sorted(dead)}. Count from 0."
        )
    groups = [
        tuple(index for index in range(block.start, block.stop) if index not in dead)
        for block in blocks_of(code, size)
        if block.kind == "real"
    ]
    return tuple(group for group in groups if group)


def checked_groups(groups: Sequence[Sequence[int]] | None, size: int) -> Groups:
    """Groups as tuples; all latents as one group, where none are given.

    Raises:
        ValueError: An index stands twice, is none of a latent, or a group is empty.
    """
    if groups is None:
        return (tuple(range(size)),)
    checked = tuple(tuple(int(index) for index in group) for group in groups)
    indices = [index for group in checked for index in group]
    known = all(0 <= index < size for index in indices)
    if not (known and len(set(indices)) == len(indices) and all(checked)):
        raise ValueError(
            f"`groups` must hold indices from 0 to {size - 1}, each at most once, and no empty "
            f"group. Got {checked}. Leave out what is not to be mixed."
        )
    return checked


def check_groups(groups: Groups, code: Code, size: int) -> None:
    """Raise a ValueError where axes of these groups would mix blocks of a code, or noise."""
    allowed = [set(group) for group in groups_of(code, size)]
    for group in groups:
        if not any(set(group) <= block for block in allowed):
            raise ValueError(
                f"`axes` must mix latents within one block of real numbers. Got the group {group} "
                f"of a code whose blocks allow {groups_of(code, size)}. "
                f"Make them with groups=groups_of(code, {size})."
            )


def united(groups: Sequence[tuple[int, ...]]) -> Groups:
    """Groups that have no index in common: those that had one are one."""
    apart: list[set[int]] = []
    for group in map(set, groups):
        met = [other for other in apart if other & group]
        apart = [other for other in apart if not other & group]
        apart.append(group.union(*met))
    return tuple(tuple(sorted(group)) for group in sorted(apart, key=min))
