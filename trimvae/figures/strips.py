"""Strips of decoded inputs: a latent moved, a decision flipped, what tells classes apart."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attributions.attfind import Attribute
from attributions.heatmaps import DIVERGING, PALETTE, new_figure
from attributions.measures import both_classes, decisions
from trimvae.figures.drawing import are_images, draw_image, draw_montage, feature_names, short
from trimvae.traversals import Traversal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from trimvae.explanation import Explanation

# Values of a latent between two frames, so that the curve is smooth and a flip is where it is.
_BETWEEN = 4


def plot_traversals(
    explanation: "Explanation",
    example: int = 0,
    *,
    n_latents: int = 5,
    frames: int = 9,
    fig: "Figure | None" = None,
) -> "Figure":
    """Draw the strongest latents of one example moved, with what the predictor says on the way.

    Under each strip the probability of the predicted class (for a regression, the output) along
    the way; a dashed line where the decision flips, and to what. A dotted line marks the example's
    own value. For tables the columns that move most take the place of pictures.

    Args:
        explanation: An explanation with code and predictor.
        example: Index into the batch.
        n_latents: Rows: the latents of largest absolute attribution to the predicted class.
        frames: Pictures per row.
        fig: Where to draw; a new figure without it.

    Returns:
        The figure.

    Raises:
        ValueError: `example` is out of range.
        RuntimeError: The explanation was loaded without code and predictor.
    """
    explanation.check_example(example)
    scores = explanation.target_attributions[example]
    chosen = explanation.strongest(example, n_latents)
    steps = _BETWEEN * (frames - 1) + 1
    traversals = [explanation.traverse(example, latent, steps=steps) for latent in chosen]
    predicted = explanation.class_names[int(explanation.predicted[example])]
    said = f"probability of {predicted}" if explanation.task == "classification" else predicted
    images = are_images(explanation)
    if images:
        # Frames share the width that the names leave; a frame keeps the picture's proportions.
        frame = 7.6 / frames * explanation.inputs.shape[-2] / explanation.inputs.shape[-1]
        fig = fig or new_figure(8.7, (frame + 0.68) * len(chosen) + 0.6)
        ratios = [frame, 0.45] * len(chosen)
        panels = fig.subplots(2 * len(chosen), 1, gridspec_kw={"height_ratios": ratios})
    else:
        fig = fig or new_figure(8.2, 1.5 * len(chosen) + 0.6)
        panels = fig.subplots(len(chosen), 2, squeeze=False)
    for row, (latent, traversal) in enumerate(zip(chosen, traversals, strict=True)):
        name = f"{short(explanation.latent_names[latent], 14)}\n({scores[latent]:+.2f})"
        if images:
            strip, below = panels[2 * row : 2 * row + 2]
            half = (traversal.values[-1] - traversal.values[0]).item() / (frames - 1) / 2
            edges = (traversal.values[0].item() - half, traversal.values[-1].item() + half)
            draw_montage(strip, traversal.inputs[::_BETWEEN], edges)
            strip.set_xlim(edges)
            below.set_xlim(edges)
            strip.set_ylabel(name, fontsize=8, rotation=0, ha="right", va="center")
        else:
            below, columns = panels[row]
            below.set_title(name.replace("\n", " "), fontsize=8, loc="left")
            _draw_columns(columns, traversal, feature_names(explanation))
        own = explanation.latents[example, latent].item()
        _draw_curve(below, traversal, explanation, int(explanation.predicted[example]), own)
    last = panels[-1] if images else panels[-1][0]
    last.set_xlabel("value of the latent")
    fig.suptitle(
        f"Example {example}, predicted {short(predicted)}. Curves: {short(said, 40)}; dotted: the "
        "example's own value;\ndashed: the decision flips. In brackets: attribution.",
        fontsize=8.5,
        x=0.01,
        ha="left",
    )
    return fig


def _draw_curve(
    axes: Any, traversal: Traversal, explanation: "Explanation", target: int, own: float
) -> None:
    values = traversal.values.cpu()
    axes.axvline(own, color="0.4", linewidth=1, linestyle=":")
    if explanation.task == "regression":
        axes.plot(values, traversal.outputs[:, 0].cpu(), color=PALETTE[0])
    else:
        axes.plot(
            values,
            both_classes(traversal.outputs).softmax(dim=1)[:, target].cpu(),
            color=PALETTE[0],
        )
        axes.set_ylim(-0.05, 1.05)
        axes.set_yticks([0, 1])
        for value, winner in flips(traversal):
            axes.axvline(value, color=PALETTE[1], linewidth=1.2, linestyle="--")
            axes.annotate(
                short(explanation.class_names[winner], 12),
                (value, 0.5),
                xytext=(3, 0),
                textcoords="offset points",
                fontsize=7,
                color=PALETTE[1],
                va="center",
            )
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def flips(traversal: Traversal) -> list[tuple[float, int]]:
    """Where a traversal's decision changes, half-way between two steps, and to which class."""
    said = decisions(traversal.outputs)
    middles = (traversal.values[1:] + traversal.values[:-1]) / 2
    places = (said[1:] != said[:-1]).nonzero()[:, 0].tolist()
    return [(middles[place].item(), int(said[place + 1])) for place in places]


def moving_columns(inputs: Tensor, count: int) -> list[int]:
    """Columns of decoded inputs `(steps, *event)` that change most from step to step."""
    flat = inputs.flatten(1)
    moved = flat.amax(dim=0) - flat.amin(dim=0)
    return moved.topk(min(count, flat.shape[1])).indices.tolist()


def _draw_columns(axes: Any, traversal: Traversal, names: Sequence[str]) -> None:
    flat = traversal.inputs.flatten(1).cpu()
    for colour, column in zip(PALETTE, moving_columns(traversal.inputs, 4), strict=False):
        axes.plot(traversal.values.cpu(), flat[:, column], color=colour, label=short(names[column]))
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    axes.set_title("columns that move most (decoded)", fontsize=8, loc="left")
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def plot_counterfactual(
    explanation: "Explanation",
    example: int = 0,
    *,
    target: int | None = None,
    fig: "Figure | None" = None,
    **options: Any,
) -> "Figure":
    """Draw one input, the smallest latent change that flips its decision, and the difference.

    Args:
        explanation: An explanation with code and predictor.
        example: Index into the batch.
        target: The class to reach; any other without it.
        fig: Where to draw; a new figure without it.
        **options: For `trimvae.counterfactuals.counterfactuals`, such as `method="gradient"`.

    Returns:
        The figure; where nothing flips the decision it says so.

    Raises:
        ValueError: `example` or `target` is out of range, or this is a regression.
        RuntimeError: The explanation was loaded without code and predictor.
    """
    explanation.check_example(example)
    found = explanation.counterfactuals([example], target=target, **options)
    before, after = explanation.reconstructions[example], found.inputs[0]
    change = (found.latents[0] - explanation.latents[example]).cpu()
    images = are_images(explanation)
    figure = fig or new_figure(10 if images else 8.6, 2.6 if images else 3.2)
    if images:
        panels = figure.subplots(1, 5, width_ratios=[1, 1, 1, 1.15, 1.5])
        pictures = (explanation.inputs[example], before, after)
        titles = ("input", "decoded", "moved")
        outputs = (
            explanation.outputs[example],
            explanation.reencoded_outputs[example],
            found.outputs[0],
        )
        for panel, picture, title, said in zip(panels, pictures, titles, outputs, strict=False):
            draw_image(panel, picture)
            panel.set_title(f"{title}\n{saying(explanation, said)}", fontsize=8)
        _draw_difference(panels[3], (after - before).mean(dim=0).cpu())
        bars = panels[4]
    else:
        columns, bars = figure.subplots(1, 2, width_ratios=[1.6, 1])
        both = [
            saying(explanation, outputs)
            for outputs in (explanation.outputs[example], found.outputs[0])
        ]
        _draw_profiles(columns, explanation, before, after, both)
    order = change.abs().argsort(descending=True).tolist()
    moved = [latent for latent in order if abs(change[latent]) > 1e-4][:6]
    names = [short(explanation.latent_names[latent]) for latent in moved]
    bars.barh(range(len(moved)), [float(change[latent]) for latent in moved], color=PALETTE[2])
    bars.set_yticks(range(len(moved)), names, fontsize=8)
    bars.set_ylim(max(len(moved), 3) - 0.4, -0.6)
    bars.axvline(0, color="0.7", linewidth=0.8)
    bars.set_title("latents moved by", fontsize=8)
    bars.tick_params(labelsize=7)
    bars.spines[["top", "right"]].set_visible(False)
    figures = found.figures
    caption = (
        f"Example {example}: the decision flips after a move of {figures.latent_distance[0]:.2f} "
        f"in latents; log-prior {found.log_prior_before[0]:.1f} before and "
        f"{figures.log_prior[0]:.1f} after, re-encoding error {found.reencoding_error[0]:.2f}."
        if bool(figures.valid[0])
        else f"Example {example}: NOT flipped; as close as the search came."
    )
    figure.suptitle(caption, fontsize=8.5, x=0.01, ha="left")
    return figure


def _draw_difference(panel: Any, difference: Tensor) -> None:
    limit = float(difference.abs().max()) or 1.0
    image = panel.imshow(difference.numpy(), cmap=DIVERGING, vmin=-limit, vmax=limit)
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_title("moved - decoded", fontsize=8)
    bar = panel.figure.colorbar(image, ax=panel, fraction=0.046, pad=0.03)
    bar.ax.tick_params(labelsize=6)


def _draw_profiles(
    panel: Any, explanation: "Explanation", before: Tensor, after: Tensor, said: list[str]
) -> None:
    columns = moving_columns(torch.stack([before, after]), 8)
    names = feature_names(explanation)
    places = range(len(columns))
    before, after = before.flatten().cpu(), after.flatten().cpu()
    panel.hlines(places, before[columns], after[columns], color="0.75", linewidth=3)
    panel.plot(before[columns], places, "o", color=PALETTE[0], label=f"decoded: {said[0]}")
    panel.plot(after[columns], places, "D", color=PALETTE[1], label=f"moved: {said[1]}")
    panel.set_yticks(places, [short(names[column]) for column in columns], fontsize=8)
    panel.invert_yaxis()
    panel.set_title("columns that change most", fontsize=8, loc="left")
    panel.legend(fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(0, 1.08), ncols=2)
    panel.tick_params(labelsize=7)
    panel.spines[["top", "right"]].set_visible(False)


def saying(explanation: "Explanation", outputs: Tensor) -> str:
    """What the predictor says: the class and its probability, or the output."""
    if explanation.task == "regression":
        return f"{explanation.class_names[0]} {outputs[0]:.2f}"
    chances = both_classes(outputs.unsqueeze(0)).softmax(dim=1)[0]
    winner = int(chances.argmax())
    return f"{short(explanation.class_names[winner], 14)} ({chances[winner]:.2f})"


def plot_attributes(
    explanation: "Explanation",
    target: int,
    *,
    k: int = 4,
    examples: int = 4,
    fig: "Figure | None" = None,
) -> "Figure":
    """Draw which latents, in which direction, turn inputs into a class: StylEx's AttFind.

    For each attribute some examples of other classes, as they are decoded and with the latent at
    the end that pushes towards the class; over each what the predictor says.

    Args:
        explanation: An explanation with code and predictor.
        target: The class.
        k: Most attributes.
        examples: Examples per attribute: those that it moves most.
        fig: Where to draw; a new figure without it.

    Returns:
        The figure.

    Raises:
        ValueError: There is no such class, nothing speaks for it, or this is a regression.
        RuntimeError: The explanation was loaded without code and predictor.
    """
    found = explanation.attributes(target, k=k)
    name = short(explanation.class_names[target])
    if not found:
        raise ValueError(
            f"`target` must be a class that some latent speaks for. Got {name!r}, for which no "
            "example of another class has one. Explain more examples."
        )
    if are_images(explanation):
        pairs = [explanation.attribute_pairs(one, target, examples) for one in found]
        figure = fig or new_figure(2.0 * examples + 1.6, 1.28 * len(found) + 0.9)
        grid = figure.subplots(len(found), 2 * examples, squeeze=False)
        for row, (attribute, pair) in enumerate(zip(found, pairs, strict=True)):
            _draw_pairs(grid[row], explanation, pair)
            grid[row, 0].set_ylabel(
                attribute_name(explanation, attribute),
                fontsize=8,
                rotation=0,
                ha="right",
                va="center",
            )
    else:
        figure = fig or new_figure(7.5, 1.7 * len(found) + 0.8)
        for axes, attribute in zip(
            figure.subplots(len(found), 1, squeeze=False)[:, 0], found, strict=True
        ):
            _draw_column_pairs(axes, explanation, attribute, target)
    what = (
        "pairs: another class' example as decoded, and with one latent at the end of its range"
        if are_images(explanation)
        else "one latent at the end of its range"
    )
    figure.suptitle(f"What turns inputs into {name}; {what}", fontsize=8.5, x=0.01, ha="left")
    return figure


def attribute_name(explanation: "Explanation", attribute: Attribute) -> str:
    """A latent with its direction and effect, such as "z3 high (+4.1)"."""
    direction = ("low", "high")[attribute.direction]
    name = short(explanation.latent_names[attribute.latent], 14)
    return f"{name} {direction}\n({attribute.effect:+.1f}, {attribute.flipped:.0%} flip)"


def _draw_pairs(axes: Any, explanation: "Explanation", pair: Any) -> None:
    count = len(pair.before)
    for index in range(len(axes) // 2):
        for side, inputs, outputs in (
            (0, pair.before, pair.outputs_before),
            (1, pair.after, pair.outputs_after),
        ):
            panel = axes[2 * index + side]
            if index >= count:
                panel.set_axis_off()
                continue
            draw_image(panel, inputs[index])
            panel.set_title(
                saying(explanation, outputs[index]),
                fontsize=7,
                pad=3,
                color=PALETTE[1] if side else "black",
            )


def _draw_column_pairs(
    axes: Any, explanation: "Explanation", attribute: Attribute, target: int
) -> None:
    pair = explanation.attribute_pairs(attribute, target, 10_000)
    change = (pair.after - pair.before).flatten(1).mean(dim=0).cpu()
    names = feature_names(explanation)
    columns = change.abs().topk(min(6, len(change))).indices.tolist()
    places = range(len(columns))
    colours = [PALETTE[1 if change[column] > 0 else 0] for column in columns]
    axes.barh(places, [float(change[column]) for column in columns], color=colours)
    axes.set_yticks(places, [short(names[column]) for column in columns], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0, color="0.7", linewidth=0.8)
    axes.set_title(
        attribute_name(explanation, attribute).replace("\n", " ") + ": mean change of the columns",
        fontsize=8,
        loc="left",
    )
    axes.spines[["top", "right"]].set_visible(False)
