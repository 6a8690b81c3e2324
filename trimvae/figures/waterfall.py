"""How one output comes about: from the baseline, latent by latent, to the input."""

from typing import TYPE_CHECKING, NamedTuple

from attributions.heatmaps import PALETTE, new_figure
from trimvae.figures.drawing import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from trimvae.explanation import Explanation


def plot_waterfall(
    explanation: "Explanation",
    example: int = 0,
    *,
    n_latents: int = 8,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw where the predictor's output for one example comes from; completeness can be seen.

    From what is explained at the baseline, each latent's attribution in order of size, the other
    latents together, what the quadrature misses (if it is to be seen) and the residual (what the
    latents leave out), to the predictor's own output.

    Args:
        explanation: An explanation.
        example: Index into the batch.
        n_latents: Bars of their own; the rest is one bar.
        ax: Where to draw; a new figure without it.

    Returns:
        The axes; `.figure` is the figure.

    Raises:
        ValueError: `example` is out of range.
    """
    steps = contributions(explanation, example, n_latents=n_latents)
    if ax is None:
        ax = new_figure(6.4, 1.5 + 0.32 * (len(steps.names) + 2)).subplots()
    position, rows = steps.start, len(steps.names) + 1
    span = max(abs(steps.start), abs(steps.end), *map(abs, steps.values), 1e-12)
    for row, (name, value) in enumerate(zip(steps.names, steps.values, strict=True), start=1):
        fades = name in ("residual", "not attributed")
        colour = "0.6" if fades else PALETTE[1 if value > 0 else 0]
        ax.barh(row, value, left=position, color=colour, height=0.7)
        ax.plot([position + value] * 2, [row, row + 1], color="0.5", linewidth=0.8)
        right = max(position, position + value) + 0.015 * span
        ax.text(right, row, f"{value:+.2f}", va="center", fontsize=8)
        position += value
    ax.plot([steps.start] * 2, [0, 1], color="0.5", linewidth=0.8)
    for row, value in ((0, steps.start), (rows, steps.end)):
        ax.plot(value, row, marker="D", color="black", markersize=6)
        ax.text(value + 0.03 * span, row, f"{value:.2f}", va="center", fontsize=8, weight="bold")
    ax.axvline(0, color="0.85", linewidth=0.8, zorder=0)
    names = [short(name) for name in steps.names]
    ax.set_yticks(range(rows + 1), ["at the baseline", *names, "at the input"], fontsize=8)
    ax.set_ylim(rows + 0.6, -0.6)
    ax.margins(x=0.12)
    ax.set_xlabel(steps.label)
    ax.set_title(steps.title, loc="left", fontsize=10)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax


class Contributions(NamedTuple):
    """The bars of a waterfall: they add up from `start` to `end`."""

    start: float
    end: float
    names: list[str]
    values: list[float]
    latents: list[int]
    """Those that have a bar of their own, in order."""
    label: str
    """What is explained."""
    title: str


def contributions(
    explanation: "Explanation", example: int, *, n_latents: int = 8, hidden: float = 0.01
) -> Contributions:
    """Return the bars of `plot_waterfall`.

    Args:
        explanation: An explanation.
        example: Index into the batch.
        n_latents: Latents with a bar of their own.
        hidden: Share of the change below which what the quadrature misses gets no bar: the last
            bar takes it.

    Raises:
        ValueError: `example` is out of range.
    """
    explanation.check_example(example)
    target = int(explanation.target[example])
    scores = explanation.target_attributions[example].cpu().double()
    start, reached, end = (
        float(values[example, target])
        for values in (
            explanation.explained_at_baseline,
            explanation.explained_at,
            explanation.explained_at_inputs,
        )
    )
    drawn = explanation.strongest(example, n_latents)
    names = [explanation.latent_names[latent] for latent in drawn]
    values = scores[drawn].tolist()
    rest = len(scores) - len(drawn)
    if rest:
        names.append(f"{rest} other latents")
        values.append(float(scores.sum() - scores[drawn].sum()))
    missed = reached - start - float(scores.sum())
    if abs(missed) > hidden * max(abs(reached - start), 1e-12):
        names.append("not attributed")
        values.append(missed)
    else:
        values[-1] += missed
    if not explanation.settings["residual"]:
        names.append("residual")
        values.append(end - reached)
    label, title = explanation.settings["explained_name"], f"Example {example}"
    if len(explanation.explained_names) > 1:
        label += f" of {short(explanation.explained_names[target])}"
    if explanation.task == "classification":
        title += (
            f", predicted {short(explanation.class_names[int(explanation.predicted[example])])}"
        )
    return Contributions(start, end, names, values, drawn, label, title)
