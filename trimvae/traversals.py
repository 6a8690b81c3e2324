"""Moving one latent, with what the predictor says on the way."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from attributions.codes import Code
from attributions.heatmaps import PALETTE, new_figure
from attributions.predictors import Function, predict

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Traversal(NamedTuple):
    """One latent moved from end to end, the others held."""

    values: Tensor
    """`(steps,)`, what the latent is set to."""
    inputs: Tensor
    """`(steps, *event)`, decoded."""
    outputs: Tensor
    """`(steps, classes)`, the predictor's logits (or quantities) there."""


def probabilities(outputs: Tensor) -> Tensor:
    """Class probabilities of logits `(batch, classes)`; one column is one binary logit."""
    return outputs.sigmoid() if outputs.shape[1] == 1 else outputs.softmax(dim=1)


def traverse(
    code: Code,
    predictor: Function,
    latents: Tensor,
    latent: int,
    *,
    values: Tensor | None = None,
    preprocess: Function | None = None,
) -> Traversal:
    """Move one latent of one example and ask the predictor at every step.

    Args:
        code: Decodes.
        predictor: Asked at every decoded step, without residual.
        latents: `(latent_size,)`, the example.
        latent: Index of the latent that moves.
        values: `(steps,)`, its values; nine from -2.5 to 2.5 (99 % of the prior) without it.
        preprocess: See `attributions.Trim`.

    Returns:
        Values, decoded inputs and outputs.

    Raises:
        ValueError: `latents` is not one example, or `latent` is out of range.
    """
    size = getattr(code, "latent_size", len(latents) if latents.ndim == 1 else 0)
    if latents.shape != (size,):
        raise ValueError(
            f"`latents` must have shape ({size or 'latents'},). Got {tuple(latents.shape)}. "
            "Traverse one example at a time."
        )
    if not 0 <= latent < size:
        raise ValueError(
            f"`latent` must be from 0 to {size - 1}. Got {latent}. Choose an existing one."
        )
    if values is None:
        values = torch.linspace(-2.5, 2.5, 9)
    values = values.to(latents)
    path = latents.detach().repeat(len(values), 1)
    path[:, latent] = values
    with torch.no_grad():
        inputs = code.decode(path)
        outputs = predict(predictor, inputs, preprocess)
    return Traversal(values, inputs, outputs)


def plot_traversals(
    traversals: Sequence[Traversal],
    *,
    target: int,
    class_names: Sequence[str],
    row_names: Sequence[str],
    original: Tensor | None = None,
    caption: str = "",
    as_probability: bool = True,
    feature_names: Sequence[str] | None = None,
) -> "Figure":
    """Draw traversals as strips; over each frame stands what the predictor says there.

    Args:
        traversals: One per row.
        target: The class whose probability is written; its curve for tables.
        class_names: One name per class.
        row_names: One per traversal, such as "z3 (+4.1)".
        original: The latents' own values, `(rows,)`: the frame nearest is outlined.
        caption: Above the figure.
        as_probability: False for regressions: outputs are written as they are.
        feature_names: Of a table's columns.

    Returns:
        The figure.
    """
    if traversals[0].inputs.ndim == 4:
        return _plot_image_strips(
            traversals, target, class_names, row_names, original, caption, as_probability
        )
    return _plot_table_strips(
        traversals, target, class_names, row_names, original, caption, as_probability, feature_names
    )


def image_array(image: Tensor) -> Any:
    """Image `(channels, height, width)` for matplotlib: `(height, width[, 3])` in [0, 1]."""
    image = image.detach().cpu().float()
    if image.shape[0] == 3:
        return image.clamp(0, 1).permute(1, 2, 0).numpy()
    return image.mean(dim=0).clamp(0, 1).numpy()


def draw_image(axes: Any, image: Tensor) -> None:
    """Draw one image without ticks, greys from black 0 to white 1."""
    axes.imshow(image_array(image), cmap="gray", vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])


def _said(outputs: Tensor, target: int, class_names: Sequence[str], as_probability: bool) -> str:
    if not as_probability:
        return f"{outputs[target]:.2f}"
    chances = probabilities(outputs.unsqueeze(0))[0]
    if len(chances) == 1:
        return f"{chances[0]:.2f}"
    winner = int(chances.argmax())
    return f"{class_names[winner]} {chances[winner]:.2f}"


def _plot_image_strips(
    traversals: Sequence[Traversal],
    target: int,
    class_names: Sequence[str],
    row_names: Sequence[str],
    original: Tensor | None,
    caption: str,
    as_probability: bool,
) -> "Figure":
    rows, steps = len(traversals), len(traversals[0].values)
    figure = new_figure(0.95 * steps + 1.2, 1.22 * rows + 0.7)
    axes = figure.subplots(rows, steps, squeeze=False)
    for row, traversal in enumerate(traversals):
        nearest = None
        if original is not None:
            nearest = int((traversal.values - original[row]).abs().argmin())
        for step in range(steps):
            frame = axes[row, step]
            draw_image(frame, traversal.inputs[step])
            outputs = traversal.outputs[step]
            keeps = outputs.shape[0] == 1 or int(outputs.argmax()) == target
            frame.set_title(
                _said(outputs, target, class_names, as_probability),
                fontsize=8,
                pad=4,
                color="black" if keeps else PALETTE[1],
            )
            for spine in frame.spines.values():
                spine.set_color(PALETTE[0] if step == nearest else "0.8")
                spine.set_linewidth(2.5 if step == nearest else 0.5)
            if row == rows - 1:
                frame.set_xlabel(f"{traversal.values[step]:+.1f}", fontsize=8)
        axes[row, 0].set_ylabel(row_names[row], fontsize=9, rotation=0, ha="right", va="center")
    figure.suptitle(caption, fontsize=9, x=0.01, ha="left")
    figure.supxlabel("value of the latent", fontsize=8)
    return figure


def _plot_table_strips(
    traversals: Sequence[Traversal],
    target: int,
    class_names: Sequence[str],
    row_names: Sequence[str],
    original: Tensor | None,
    caption: str,
    as_probability: bool,
    feature_names: Sequence[str] | None,
) -> "Figure":
    figure = new_figure(9, 2.1 * len(traversals) + 0.6)
    axes = figure.subplots(len(traversals), 2, squeeze=False, sharex=True)
    for row, traversal in enumerate(traversals):
        values = traversal.values.cpu()
        said = probabilities(traversal.outputs) if as_probability else traversal.outputs
        left, right = axes[row]
        left.plot(values, said[:, target].cpu(), color=PALETTE[0], marker="o", markersize=3)
        left.set_ylabel(row_names[row], rotation=0, ha="right", va="center")
        if as_probability:
            left.set_ylim(-0.05, 1.05)
            left.axhline(0.5, color="0.8", linewidth=0.8, zorder=0)
        if original is not None:
            left.axvline(float(original[row]), color=PALETTE[1], linewidth=1, linestyle="--")
        flat = traversal.inputs.flatten(1)
        moved = (flat.amax(dim=0) - flat.amin(dim=0)).topk(min(4, flat.shape[1])).indices
        for colour, feature in zip(PALETTE, moved.tolist(), strict=False):
            name = feature_names[feature] if feature_names else f"x{feature}"
            right.plot(values, flat[:, feature].cpu(), color=colour, label=name)
        right.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    what = f"probability of {class_names[target]}" if as_probability else class_names[target]
    axes[0, 0].set_title(what, fontsize=9)
    axes[0, 1].set_title("columns that move most (decoded)", fontsize=9)
    for column in range(2):
        axes[-1, column].set_xlabel("value of the latent")
    figure.suptitle(caption, fontsize=9, x=0.01, ha="left")
    return figure
