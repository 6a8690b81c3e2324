"""How one output comes about: from the baseline, latent by latent, to the input."""

from typing import TYPE_CHECKING, Any, NamedTuple

from attributions.checks import check_counts
from attributions.heatmaps import PALETTE, new_figure
from trimvae.explanation.evidence import Evidence
from trimvae.explanation.usage import Usage
from trimvae.figures.drawing import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_waterfall(
    explanation: Usage,
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
        ax: Where to draw; default: a new figure.

    Returns:
        The axes; `.figure` is the figure.

    Raises:
        ValueError: `example` or `n_latents` is out of range.
    """
    steps = contributions(explanation, example, n_latents=n_latents)
    if ax is None:
        ax = new_figure(6.4, 1.5 + 0.32 * (len(steps.names) + 2)).subplots()
    _draw_bars(ax, steps)
    names = [short(name) for name in steps.names]
    rows = len(names) + 2
    ax.axvline(0, color="0.85", linewidth=0.8, zorder=0)
    ax.set_yticks(range(rows), ["at the baseline", *names, "at the input"], fontsize=8)
    ax.set_ylim(rows - 0.4, -0.6)
    ax.margins(x=0.12)
    ax.set_xlabel(short(steps.label, 60))
    ax.set_title(steps.title, loc="left", fontsize=10)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax


def _draw_bars(ax: Any, steps: "Contributions") -> None:
    """Draw each bar from where the one before ends, and diamonds at both ends of the way."""
    position, last = steps.start, len(steps.names) + 1
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
    for row, value in ((0, steps.start), (last, steps.end)):
        ax.plot(value, row, marker="D", color="black", markersize=6)
        ax.text(value + 0.03 * span, row, f"{value:.2f}", va="center", fontsize=8, weight="bold")


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
    explanation: Usage, example: int, *, n_latents: int = 8, hidden: float = 0.01
) -> Contributions:
    """Split what is explained at an input into what each latent adds to the baseline.

    Args:
        explanation: An explanation.
        example: Index into the batch.
        n_latents: Latents with a bar of their own.
        hidden: Share of the change below which what the quadrature misses gets no bar: the last
            bar takes it.

    Returns:
        Bars that add up from what is explained at the baseline to what is explained at the input.

    Raises:
        ValueError: `example` or `n_latents` is out of range.
    """
    explanation.check_example(example)
    check_counts(n_latents=n_latents)
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
    return Contributions(
        start, end, names, values, drawn, _label(explanation, target), _title(explanation, example)
    )


def _label(explanation: Evidence, target: int) -> str:
    label: str = explanation.settings["explained_name"]
    if len(explanation.output_names) == 1:
        return label
    return f"{label} of {explanation.output_names[target]}"


def _title(explanation: Evidence, example: int) -> str:
    if explanation.task == "regression":
        return f"Example {example}"
    predicted = explanation.class_names[int(explanation.predicted[example])]
    return f"Example {example}, predicted {short(predicted)}"
