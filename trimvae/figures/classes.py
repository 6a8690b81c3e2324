"""Heatmaps: what each class is recognised by, in latents or in blocks of them."""

from typing import TYPE_CHECKING, Any, cast

from attributions.heatmaps import plot_heatmap
from trimvae.explanation.trust import Weighed
from trimvae.explanation.usage import Usage

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_classes(explanation: Weighed, **options: Any) -> "Figure":
    """Draw classes x latents: mean attribution over the examples predicted as each class.

    Beside each row the effective latents and, as the reference to read it by, the agreement of
    the class' re-encoded examples.

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
        "title": "What each class is recognised by "
        f"(agreement {explanation.metrics['agreement']:.2f})",
        "label": f"mean attribution ({explanation.settings['explained_name']})",
    }
    return cast("Figure", plot_heatmap(attributions, **{**defaults, **options}).figure)


def plot_blocks(explanation: Usage, **options: Any) -> "Figure":
    """Draw classes x blocks: mean attribution of each block to each predicted class.

    Args:
        explanation: An explanation.
        **options: Of `attributions.plot_heatmap`, such as `title`, `limit`, `max_classes` and
            `ax`.

    Returns:
        The figure.
    """
    rows = explanation.mean_by_class(explanation.of_target(explanation.by_block))
    defaults = {
        "class_names": row_names(explanation),
        "latent_names": [block.name for block in explanation.blocks],
        "title": "Which blocks of the code each class is recognised by",
        "label": f"mean attribution ({explanation.settings['explained_name']})",
    }
    return cast("Figure", plot_heatmap(rows, **{**defaults, **options}).figure)


def row_names(explanation: Usage) -> tuple[str, ...]:
    """Names of the rows that means over predicted classes have."""
    if not explanation.by_class:
        return (explanation.settings["explained_name"],)
    if explanation.attributions.shape[1] == 1:
        return tuple(f"predicted {name}" for name in explanation.class_names)
    return explanation.class_names
