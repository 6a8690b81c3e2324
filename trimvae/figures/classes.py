"""Heatmaps: what each class is recognised by, in latents or in blocks of them."""

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from attributions.heatmaps import plot_heatmap
from trimvae.explanation.trust import Weighed
from trimvae.explanation.usage import Usage
from trimvae.figures.drawing import short

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_classes(explanation: Weighed, **options: Any) -> "Figure":
    """Draw classes x latents: mean attribution over the examples predicted as each class.

    A cell's arrow tells the direction: ▲ where more of the latent speaks for the class. The
    strongest colour is the whole change of the output, so that a cell shows its part. Beside each
    row are the effective latents and, as the reference to read it by, the agreement of the class'
    re-encoded examples; rows of low agreement are grey. Where fidelity is out of its bounds the
    title says that this is not an explanation.

    Args:
        explanation: An explanation.
        **options: Of `attributions.plot_heatmap`, such as `title`, `limit`, `max_classes` and
            `ax`.

    Returns:
        The figure.
    """
    attributions, effective = explanation.by_predicted_class
    defaults = {
        "class_names": row_names(explanation),
        "latent_names": explanation.latent_names,
        "effective_latents": effective,
        "agreement": explanation.agreement_by_class,
        "slopes": row_slopes(explanation.slopes, len(attributions)),
        "doubtful": explanation.doubtful_classes,
        "title": title_of(explanation, "What each class is recognised by"),
        "label": f"mean attribution ({short(explanation.settings['explained_name'], 40)})",
        "note": how_to_read(explanation),
        "limit": whole_change(explanation),
    }
    return cast("Figure", plot_heatmap(attributions, **{**defaults, **options}).figure)


def title_of(explanation: Weighed, title: str) -> str:
    """A title with the agreement; or, where fidelity is out of bounds, why it is no explanation."""
    if explanation.doubt:
        return f"Not an explanation: {explanation.doubt}"
    return f"{title} (agreement {explanation.metrics['agreement']:.2f})"


def how_to_read(explanation: Weighed) -> str:
    """What colours and arrows mean, in a sentence."""
    what = "the class" if explanation.by_class else short(explanation.settings["explained_name"])
    return (
        f"Red speaks for {what}, blue against. ▲: more of the latent does, ▼: less of it does. "
        "Strongest colour: the whole change of the output."
    )


def whole_change(explanation: Weighed) -> float:
    """The largest mean change of the explained output over a predicted class, or the largest cell.

    Where latents cancel each other, a cell may be larger than the change.
    """
    changes = explanation.mean_by_class(explanation.target_change)
    cells, _ = explanation.by_predicted_class
    return float(torch.cat([changes.flatten(), cells.flatten()]).nan_to_num().abs().max())


def plot_blocks(explanation: Usage, **options: Any) -> "Figure":
    """Draw classes x blocks: mean attribution of each block to each predicted class.

    Args:
        explanation: An explanation.
        **options: Of `attributions.plot_heatmap`, such as `title`, `limit`, `max_classes` and
            `ax`.

    Returns:
        The figure.
    """
    rows = explanation.mean_by_class(explanation.target_by_block)
    defaults = {
        "class_names": row_names(explanation),
        "latent_names": [block.name for block in explanation.blocks],
        "title": "Which blocks of the code each class is recognised by",
        "label": f"mean attribution ({short(explanation.settings['explained_name'], 40)})",
    }
    return cast("Figure", plot_heatmap(rows, **{**defaults, **options}).figure)


def row_names(explanation: Usage) -> tuple[str, ...]:
    """Names of the rows that means over predicted classes have."""
    if not explanation.by_class:
        several = explanation.task == "regression" and explanation.attributions.shape[1] > 1
        name: str = explanation.settings["explained_name"]
        return (f"{name} {explanation.class_names[0]}" if several else name,)
    if len(explanation.output_names) == 1:
        return tuple(f"predicted {name}" for name in explanation.class_names)
    return explanation.class_names


def row_slopes(slopes: Tensor, rows: int) -> Tensor:
    """Slopes `(outputs, latents)` for so many rows: a single output's for all.

    Of a regression with several outputs, whose one row is of the first, the first's.
    """
    return slopes if len(slopes) == rows else slopes[:1].expand(rows, -1)
