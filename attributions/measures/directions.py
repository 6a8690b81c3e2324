"""The trivial explanation: a code turned to the directions of the classes, to compare with."""

import torch
from torch import Tensor

from attributions.measures.dependence import class_dependence

# Singular values below this share of the largest are rounding.
_LEAST_SINGULAR = 1e-6


def class_directions(
    moved: Tensor, gradients: Tensor, class_gradients: Tensor, predicted: Tensor
) -> Tensor:
    r"""The orthogonal turn of a code whose axes are nearest to the directions of the classes.

    The direction of a class is its mean gradient less the mean over classes. Of all orthonormal
    sets, the first axes are the nearest to these directions (the polar factor), one for each
    predicted class; where there are more classes than latents, for those most often predicted.
    Two things the directions leave open: they add up to 0, and there may be fewer of them than
    latents. There, axes are principal directions of the gradients to the predicted class, so that
    the turned code is the same one however the code was turned before.

    References:
        Higham: Computing the Polar Decomposition, 1986, https://doi.org/10.1137/0907079

    Args:
        moved: `(batch, latents)`, latents less where their path starts.
        gradients: `(batch, latents)`, of the predicted class, the mean along the path.
        class_gradients: `(classes, latents)`, of each class, also the mean over examples.
        predicted: `(batch,)`, the predicted classes.

    Returns:
        `(latents, latents)` in double precision; its rows are the axes.

    Raises:
        ValueError: Shapes do not fit.

    Examples:
        >>> moved, predicted = torch.eye(3), torch.arange(3)
        >>> axes = class_directions(moved, torch.eye(3), torch.eye(3), predicted)
        >>> torch.allclose(axes, torch.eye(3, dtype=torch.float64))
        True
    """
    _check(moved, gradients, class_gradients, predicted)
    moved, gradients, means = (part.double() for part in (moved, gradients, class_gradients))
    counts = predicted.bincount(minlength=len(means))
    kept = counts.argsort(descending=True, stable=True)[
        : min(int((counts > 0).sum()), len(moved.T))
    ]
    left, sizes, right = torch.linalg.svd((means - means.mean(dim=0))[kept])
    rank = int((sizes > _LEAST_SINGULAR * sizes[0]).sum())
    spare = right[rank:]
    inside = gradients @ spare.T
    spare = torch.linalg.eigh(inside.T @ inside).eigenvectors.flip(1).T @ spare
    rows = torch.cat([right[:rank], _signed(spare, moved.mean(dim=0))])
    columns = torch.cat([left.T[:rank], _signed(left.T[rank:], torch.ones_like(left[0]))])
    return torch.cat([columns.T @ rows[: len(kept)], rows[len(kept) :]])


def class_dependence_of_class_directions(
    moved: Tensor, gradients: Tensor, class_gradients: Tensor, predicted: Tensor
) -> Tensor:
    r"""Class dependence of a code turned to its `class_directions`: that of the trivial axes.

    Along a straight path integrated gradients are $z_i g_i$, the way times the mean gradient. Along
    the axes of an orthogonal $R$ they are $(Rz)_i (Rg)_i$, with the same sum, so that predictor and
    decoder need not be asked again.

    Args:
        moved: `(batch, latents)`, latents less where their path starts.
        gradients: `(batch, latents)`, of the predicted class, the mean along the path: the
            attributions over `moved`.
        class_gradients: `(classes, latents)`, of each class, also the mean over examples.
        predicted: `(batch,)`, the predicted classes.

    Returns:
        Scalar in [0, 1], to read `class_dependence` beside; NaN where all examples have one class
        and one strongest axis.

    Raises:
        ValueError: Shapes do not fit.

    Examples:
        >>> moved = torch.eye(3) + 0.1
        >>> class_dependence_of_class_directions(
        ...     moved, torch.eye(3), torch.eye(3), torch.arange(3)
        ... ).item()
        1.0
    """
    axes = class_directions(moved, gradients, class_gradients, predicted)
    turned = (moved.double() @ axes.T) * (gradients.double() @ axes.T)
    return class_dependence(turned, predicted).to(moved.dtype)


def _signed(rows: Tensor, towards: Tensor) -> Tensor:
    """Each row in that of its two signs which points towards a vector."""
    return torch.where(rows @ towards < 0, -1.0, 1.0).to(rows).unsqueeze(1) * rows


def _check(moved: Tensor, gradients: Tensor, class_gradients: Tensor, predicted: Tensor) -> None:
    if (
        moved.ndim != 2
        or gradients.shape != moved.shape
        or predicted.shape != moved.shape[:1]
        or class_gradients.shape[1:] != moved.shape[1:]
    ):
        raise ValueError(
            "`moved` and `gradients` must be (batch, latents), `class_gradients` (classes, "
            f"latents) and `predicted` (batch,). Got {tuple(moved.shape)}, "
            f"{tuple(gradients.shape)}, {tuple(class_gradients.shape)} and "
            f"{tuple(predicted.shape)}. Pass them of the same examples and latents."
        )
