"""Strips of decoded inputs: latents moved, with what the predictor says on the way."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure
from attributions.checks import check_counts
from attributions.heatmaps import PALETTE, new_figure
from attributions.outputs import both_classes, decisions, select
from trimvae.explanation.evidence import Evidence
from trimvae.explanation.probing import Probing
from trimvae.explanation.traversals import Traversal
from trimvae.figures.drawing import are_images, draw_montage, feature_names, short
from trimvae.figures.rows import spans

# Values of a latent between two frames, so that the curve is smooth and a flip is where it is.
_BETWEEN = 4

_SATURATED = 0.99  # probability


def plot_traversals(
    explanation: Probing,
    example: int = 0,
    *,
    n_latents: int = 5,
    frames: int = 9,
    fig: "Figure | None" = None,
) -> "Figure":
    """Draw the strongest latents of one example moved, with what the predictor says on the way.

    Under each strip what the attributions are of, such as the centred logit of the predicted class,
    along the way; a dashed line where the decision flips, and to what. A dotted line marks the
    example's own value. Where the probability of the predicted class is above .99 or below .01,
    which hides what the latent does, the curve is shaded. For tables the columns that move most
    take the place of pictures.

    Args:
        explanation: An explanation with code and predictor.
        example: Index into the batch.
        n_latents: Rows: the latents of largest absolute attribution to the predicted class.
        frames: Pictures per row.
        fig: Where to draw; default: a new figure.

    Returns:
        The figure.

    Raises:
        ValueError: `example` or a count is out of range.
        RuntimeError: The explanation was loaded without code and predictor.
    """
    explanation.check_example(example)
    check_counts(n_latents=n_latents)
    if frames < 2:
        raise ValueError(f"`frames` must be at least 2. Got {frames}. Use 9.")
    chosen = explanation.strongest(example, n_latents)
    n_steps = _BETWEEN * (frames - 1) + 1
    traversals = [explanation.traverse(example, latent, n_steps=n_steps) for latent in chosen]
    if are_images(explanation):
        # Frames share the width that the names leave; a frame keeps the picture's proportions.
        height = 7.6 / frames * explanation.inputs.shape[-2] / explanation.inputs.shape[-1]
        figure = fig or new_figure(8.7, (height + 0.68) * len(chosen) + 0.6)
        below = _draw_strips(figure, explanation, example, chosen, traversals, height)
    else:
        figure = fig or new_figure(8.2, 1.5 * len(chosen) + 0.6)
        below = _draw_tables(figure, explanation, example, chosen, traversals)
    for axes, latent, traversal in zip(below, chosen, traversals, strict=True):
        _draw_curve(axes, explanation, example, latent, traversal)
    limits = [axes.get_ylim() for axes in below]  # one scale: a latent that does little looks so
    for axes in below:
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    below[-1].set_xlabel("value of the latent")
    figure.suptitle(title_of_example(explanation, example), fontsize=8.5, x=0.01, ha="left")
    return figure


def title_of_example(explanation: Probing, example: int) -> str:
    """What is drawn, and how far it is to be trusted: of this example, and of all."""
    name = explanation.settings["explained_name"]
    curves = f"Curves: {short(name, 40)}; dotted: the example's own value"
    trust = f"latents carry {explanation.latent_share[example]:.0%} of its evidence"
    if explanation.task == "regression":
        return f"Example {example}: {trust}.\n{curves}. In brackets: attribution."
    names, here = explanation.class_names, int(explanation.predicted[example])
    read = int(decisions(explanation.reencoded_outputs[example : example + 1])[0])
    agreed = f"agreement over all examples {explanation.metrics['agreement']:.2f}"
    start = f"Example {example}, predicted {short(names[here])}"
    if read != here:
        start = f"Not an explanation: {start}, but {short(names[read])} where it is re-encoded"
    return (
        f"{start}; {trust}, {agreed}.\n{curves}; dashed: the decision flips; shaded: saturated. "
        "In brackets: attribution."
    )


def _draw_strips(
    figure: Any,
    explanation: Probing,
    example: int,
    chosen: Sequence[int],
    traversals: Sequence[Traversal],
    height: float,
) -> list[Any]:
    """Draw a row of pictures for each latent; return the axes below each."""
    rows = 2 * len(chosen)
    ratios = [height, 0.45] * len(chosen)
    panels = figure.subplots(rows, 1, gridspec_kw={"height_ratios": ratios})
    for strip, below, latent, traversal in zip(
        panels[::2], panels[1::2], chosen, traversals, strict=True
    ):
        first, last = traversal.values[0].item(), traversal.values[-1].item()
        half = (last - first) / (len(traversal.values[::_BETWEEN]) - 1) / 2
        draw_montage(strip, traversal.inputs[::_BETWEEN], (first - half, last + half))
        for axes in (strip, below):
            axes.set_xlim(first - half, last + half)
        name = _name(explanation, example, latent)
        strip.set_ylabel(name, fontsize=8, rotation=0, ha="right", va="center")
    return list(panels[1::2])


def _draw_tables(
    figure: Any,
    explanation: Probing,
    example: int,
    chosen: Sequence[int],
    traversals: Sequence[Traversal],
) -> list[Any]:
    """Draw the columns that each latent moves most; return the axes beside each."""
    panels = figure.subplots(len(chosen), 2, squeeze=False)
    for (beside, columns), latent, traversal in zip(panels, chosen, traversals, strict=True):
        name = _name(explanation, example, latent).replace("\n", " ")
        beside.set_title(name, fontsize=8, loc="left")
        _draw_columns(columns, explanation, traversal)
    return list(panels[:, 0])


def _name(explanation: Probing, example: int, latent: int) -> str:
    score = explanation.target_attributions[example, latent]
    return f"{short(explanation.latent_names[latent], 14)}\n({score:+.2f})"


def _draw_curve(
    axes: Any, explanation: Probing, example: int, latent: int, traversal: Traversal
) -> None:
    """Draw what the predictor says on the way, and where the decision flips."""
    values = traversal.values.cpu().float()
    axes.axvline(
        explanation.latents[example, latent].item(), color="0.4", linewidth=1, linestyle=":"
    )
    quantity = select(traversal.outputs, explanation.explained)[:, int(explanation.target[example])]
    axes.plot(values, quantity.cpu().float(), color=PALETTE[0])
    if explanation.task == "classification":
        chances = both_classes(traversal.outputs).softmax(dim=1)
        chance = chances[:, int(explanation.predicted[example])].cpu().float()
        axes.fill_between(
            values,
            0,
            1,
            where=(chance - 0.5).abs() > _SATURATED - 0.5,
            transform=axes.get_xaxis_transform(),
            color="0.92",
            linewidth=0,
            zorder=0,
        )
        for value, winner in flips(traversal.values, traversal.outputs):
            axes.axvline(value, color=PALETTE[1], linewidth=1.2, linestyle="--")
            axes.annotate(
                short(explanation.class_names[winner], 12),
                (value, 0.5),
                xycoords=axes.get_xaxis_transform(),
                xytext=(3, 0),
                textcoords="offset points",
                fontsize=7,
                color=PALETTE[1],
                va="center",
            )
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def flips(values: Tensor, outputs: Tensor) -> list[tuple[float, int]]:
    """Where the decision changes along a traversal, half-way between two steps, and to what class.

    Args:
        values: `(n_steps,)`, of the latent that moves.
        outputs: `(n_steps, outputs)`.
    """
    said = decisions(outputs)
    middles = (values[1:] + values[:-1]) / 2
    places = (said[1:] != said[:-1]).nonzero()[:, 0].tolist()
    return [(middles[place].item(), int(said[place + 1])) for place in places]


def moving_columns(inputs: Tensor, count: int) -> list[int]:
    """Columns of decoded inputs `(n_steps, *event)` that change most on the way."""
    flat = inputs.flatten(1)
    moved = flat.amax(dim=0) - flat.amin(dim=0)
    found: list[int] = moved.topk(min(count, flat.shape[1])).indices.tolist()
    return found


def _draw_columns(axes: Any, explanation: Probing, traversal: Traversal) -> None:
    """Draw them as the code sees them, on one scale; their own units stand beside the names."""
    flat, values = traversal.inputs.flatten(1).cpu().float(), traversal.values.cpu().float()
    names, columns = feature_names(explanation), moving_columns(traversal.inputs, 4)
    units = spans(explanation, traversal.inputs, columns)
    for colour, column, span in zip(PALETTE, columns, units, strict=False):
        label = f"{short(names[column])}\n{span}" if span else short(names[column])
        axes.plot(values, flat[:, column], color=colour, label=label)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    axes.set_title("columns that move most (decoded)", fontsize=8, loc="left")
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def saying(explanation: Evidence, outputs: Tensor, named: Callable[[str, int], str] = short) -> str:
    """What the predictor says: the class and its probability, or the output.

    Args:
        explanation: Whose classes have names.
        outputs: `(outputs,)`, of one input.
        named: Makes a name and a length to what is shown; default: as figures do.
    """
    return sayings(explanation, outputs.unsqueeze(0), named)[0]


def sayings(
    explanation: Evidence, outputs: Tensor, named: Callable[[str, int], str] = short
) -> list[str]:
    """What the predictor says of each of many inputs, as `saying` does of one.

    Args:
        explanation: Whose classes have names.
        outputs: `(n, outputs)`.
        named: Makes a name and a length to what is shown; default: as figures do.
    """
    if explanation.task == "regression":
        name = named(explanation.class_names[0], 22)
        return [f"{name} {value:.2f}" for value in outputs[:, 0].tolist()]
    chances, winners = both_classes(outputs).softmax(dim=1).max(dim=1)
    names = {
        winner: named(explanation.class_names[winner], 14) for winner in winners.unique().tolist()
    }
    return [
        f"{names[winner]} ({chance:.2f})"
        for winner, chance in zip(winners.tolist(), chances.tolist(), strict=True)
    ]
