"""What a notebook shows of an explanation."""

import base64
import io
import re

from PIL import Image

from tests.trimvae.explanation.made import by_hand
from trimvae.report.notebook import notebook_card


def test_summary_and_heatmap_are_shown_and_names_stay_text():
    shown = notebook_card(by_hand(latent_names=("<b>x", "y", "z")))
    assert "&lt;b&gt;x" in shown
    assert "<b>x" not in shown
    assert "agreement                    0.75" in shown
    (data,) = re.findall('data:image/png;base64,([^"]+)"', shown)
    with Image.open(io.BytesIO(base64.b64decode(data))) as heatmap:
        assert min(heatmap.size) > 100
