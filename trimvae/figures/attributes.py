"""Which latents turn inputs into a class, and how that looks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
from attributions.heatmaps import PALETTE, new_figure
from attributions.measures.attfind import Attribute
from trimvae.explanation.evidence import Evidence
from trimvae.explanation.pairs import AttributePairs
from trimvae.explanation.probing import Probing
from trimvae.figures.drawing import are_images, draw_image, feature_names, short
from trimvae.figures.strips import saying


def plot_attributes(
    explanation: Probing,
    target: int | str,
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
        target: The class, by name or number.
        k: Most attributes.
        examples: Examples per attribute: those that it moves most.
        fig: Where to draw; default: a new figure.

    Returns:
        The figure.

    Raises:
        ValueError: There is no such class, nothing speaks for it, or this is a regression.
        RuntimeError: The explanation was loaded without code and predictor.
    """
    target = explanation.class_index(target)
    found = explanation.attributes(target, k=k)
    name = short(explanation.class_names[target])
    if not found:
        raise ValueError(
            f"`target` must be a class that some latent speaks for. Got {name!r}, for which no "
            "example of another class has one. Explain more examples."
        )
    if are_images(explanation):
        figure = fig or new_figure(2.0 * examples + 1.6, 1.28 * len(found) + 0.9)
        _draw_pictures(figure, explanation, found, target, examples)
        what = (
            "pairs: another class' example as decoded, and with one latent at the end of its range"
        )
    else:
        figure = fig or new_figure(7.5, 1.7 * len(found) + 0.8)
        panels = figure.subplots(len(found), 1, squeeze=False)[:, 0]
        for axes, attribute in zip(panels, found, strict=True):
            _draw_columns(axes, explanation, attribute, target)
        what = "one latent at the end of its range"
    figure.suptitle(f"What turns inputs into {name}; {what}", fontsize=8.5, x=0.01, ha="left")
    return figure


def attribute_name(explanation: Evidence, attribute: Attribute) -> str:
    """A latent with its direction and effect, such as "z3 high (+4.1)"."""
    direction = ("low", "high")[attribute.direction]
    name = short(explanation.latent_names[attribute.latent], 14)
    return f"{name} {direction}\n({attribute.effect:+.1f}, {attribute.flipped:.0%} flip)"


def _draw_pictures(
    figure: Any, explanation: Probing, found: Sequence[Attribute], target: int, examples: int
) -> None:
    """Draw a row of pairs for each attribute."""
    grid = figure.subplots(len(found), 2 * examples, squeeze=False)
    for panels, attribute in zip(grid, found, strict=True):
        _draw_pairs(panels, explanation, explanation.attribute_pairs(attribute, target, examples))
        name = attribute_name(explanation, attribute)
        panels[0].set_ylabel(name, fontsize=8, rotation=0, ha="right", va="center")


def _draw_pairs(axes: Any, explanation: Probing, pair: AttributePairs) -> None:
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


def _draw_columns(axes: Any, explanation: Probing, attribute: Attribute, target: int) -> None:
    pair = explanation.attribute_pairs(attribute, target, 10_000)
    change = (pair.after - pair.before).flatten(1).mean(dim=0).cpu().float()
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
