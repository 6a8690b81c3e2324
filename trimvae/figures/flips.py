"""What a flipped decision looks like."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure
from attributions.heatmaps import DIVERGING, PALETTE, new_figure
from trimvae.explanation.counterfactuals import Counterfactuals
from trimvae.explanation.evidence import Evidence
from trimvae.explanation.probing import Probing
from trimvae.figures.drawing import are_images, draw_image, feature_names, short
from trimvae.figures.rows import spans
from trimvae.figures.strips import moving_columns, saying


def plot_counterfactual(
    explanation: Probing,
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
        target: The class to reach; default: any other.
        fig: Where to draw; default: a new figure.
        **options: Of the search: `method` (`"sparse"` or `"gradient"`), `low`, `high`,
            `n_latents` and `n_steps`.

    Returns:
        The figure; where nothing flips the decision it says so.

    Raises:
        ValueError: `example` or `target` is out of range, or this is a regression.
        RuntimeError: The explanation was loaded without code and predictor.
    """
    explanation.check_example(example)
    found = explanation.counterfactuals([example], target=target, **options)
    if are_images(explanation):
        figure = fig or new_figure(10, 2.6)
        bars = _draw_pictures(figure, explanation, example, found)
    else:
        figure = fig or new_figure(8.6, 3.2)
        profiles, bars = figure.subplots(1, 2, width_ratios=[1.6, 1])
        _draw_profiles(profiles, explanation, example, found)
    _draw_moves(bars, explanation, found.latents[0] - explanation.latents[example])
    figure.suptitle(_caption(example, found), fontsize=8.5, x=0.01, ha="left")
    return figure


def _draw_pictures(figure: Any, explanation: Probing, example: int, found: Counterfactuals) -> Any:
    """Draw input, decoded and moved picture and their difference; return the axes that are left."""
    panels = figure.subplots(1, 5, width_ratios=[1, 1, 1, 1.15, 1.5])
    before, after = explanation.reconstructions[example], found.inputs[0]
    pictures = (
        ("input", explanation.inputs[example], explanation.outputs[example]),
        ("decoded", before, explanation.reencoded_outputs[example]),
        ("moved", after, found.outputs[0]),
    )
    for panel, (title, picture, said) in zip(panels, pictures, strict=False):
        draw_image(panel, picture)
        panel.set_title(f"{title}\n{saying(explanation, said)}", fontsize=8)
    _draw_difference(panels[3], (after - before).mean(dim=0).cpu())
    return panels[4]


def _draw_moves(bars: Any, explanation: Evidence, change: Tensor) -> None:
    """Draw by how much each latent moved, the largest moves first."""
    moves = change.tolist()
    order = sorted(range(len(moves)), key=lambda latent: -abs(moves[latent]))
    moved = [latent for latent in order if abs(moves[latent]) > 1e-4][:6]
    names = [short(explanation.latent_names[latent]) for latent in moved]
    bars.barh(range(len(moved)), [moves[latent] for latent in moved], color=PALETTE[2])
    bars.set_yticks(range(len(moved)), names, fontsize=8)
    bars.set_ylim(max(len(moved), 3) - 0.4, -0.6)
    bars.axvline(0, color="0.7", linewidth=0.8)
    bars.set_title("latents moved by", fontsize=8)
    bars.tick_params(labelsize=7)
    bars.spines[["top", "right"]].set_visible(False)


def _caption(example: int, found: Counterfactuals) -> str:
    figures = found.figures
    if not bool(figures.valid[0]):
        return f"Example {example}: NOT flipped; as close as the search came."
    return (
        f"Example {example}: the decision flips after a move of {figures.latent_distance[0]:.2f} "
        f"in latents; log-prior {found.log_prior_before[0]:.1f} before and "
        f"{figures.log_prior[0]:.1f} after, re-encoding error {found.reencoding_error[0]:.2f}."
    )


def _draw_difference(panel: Any, difference: Tensor) -> None:
    limit = float(difference.abs().max()) or 1.0
    image = panel.imshow(difference.float().numpy(), cmap=DIVERGING, vmin=-limit, vmax=limit)
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_title("moved - decoded", fontsize=8)
    bar = panel.figure.colorbar(image, ax=panel, fraction=0.046, pad=0.03)
    bar.ax.tick_params(labelsize=6)


def _draw_profiles(panel: Any, explanation: Probing, example: int, found: Counterfactuals) -> None:
    """Draw the columns that change most, before and after."""
    both = torch.stack([explanation.reconstructions[example], found.inputs[0]])
    columns = moving_columns(both, 8)
    names = feature_names(explanation)
    places = range(len(columns))
    before = explanation.reconstructions[example].flatten().cpu().float()
    after = found.inputs[0].flatten().cpu().float()
    said = [
        saying(explanation, outputs) for outputs in (explanation.outputs[example], found.outputs[0])
    ]
    panel.hlines(places, before[columns], after[columns], color="0.75", linewidth=3)
    panel.plot(before[columns], places, "o", color=PALETTE[0], label=f"decoded: {said[0]}")
    panel.plot(after[columns], places, "D", color=PALETTE[1], label=f"moved: {said[1]}")
    units = spans(explanation, both, columns)
    labels = [
        f"{short(names[column])} {span}".strip()
        for column, span in zip(columns, units, strict=True)
    ]
    panel.set_yticks(places, labels, fontsize=8)
    panel.invert_yaxis()
    panel.set_title("columns that change most", fontsize=8, loc="left")
    panel.legend(fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(0, 1.08), ncols=2)
    panel.tick_params(labelsize=7)
    panel.spines[["top", "right"]].set_visible(False)
