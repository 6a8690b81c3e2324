"""An explanation as a notebook shows it: summary and heatmap."""

import base64
import html
import io

from trimvae.explanation.trust import Weighed
from trimvae.figures.classes import plot_classes
from trimvae.report.names import with_shown_names


def notebook_card(explanation: Weighed) -> str:
    """Summary as escaped text above the heatmap, embedded."""
    explanation, picture = with_shown_names(explanation), io.BytesIO()
    plot_classes(explanation).savefig(picture, format="png", dpi=100)
    source = base64.b64encode(picture.getvalue()).decode()
    return (
        f"<pre>{html.escape(explanation.summary())}</pre>"
        f'<img alt="Mean attribution of each latent, by class" '
        f'src="data:image/png;base64,{source}">'
    )
