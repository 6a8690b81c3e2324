"""Hand explanations to Quantus, whose metrics then run on latents."""

from typing import Any

from torch import Tensor, nn

from attributions.outputs import as_numpy
from attributions.trim import Trim
from trimvae.explanation.probing import Probing


class OnLatents(nn.Module):
    """What is explained as a classifier of latents `(batch, 1, latents)`, as Quantus wants it."""

    def __init__(self, trim: Trim) -> None:
        super().__init__()
        self.trim = trim

    def forward(self, latents: Tensor) -> Tensor:
        """Latents `(batch, 1, latents)` to `(batch, classes)`."""
        outputs: Tensor = self.trim(latents.flatten(1))
        return outputs


def for_quantus(explanation: Probing) -> dict[str, Any]:
    """Arguments for the metrics of Quantus: model, latents, targets and attributions.

    Pass a baseline of 0 (`perturb_baseline=0.0`), subsets smaller than the number of latents and
    `channel_first=True`. Quantus' completeness tests float equality; ours says how far off.

    References:
        Hedström et al.: Quantus, 2023, https://jmlr.org/papers/v24/22-0142.html

    Args:
        explanation: Made by `explain`, or loaded with code and predictor.

    Returns:
        `model`, `x_batch` `(n, 1, latents)`, `y_batch` `(n,)` and `a_batch` `(n, 1, latents)`,
        NumPy arrays; `channel_first` and `device`.

    Raises:
        RuntimeError: The explanation was loaded without code and predictor.
    """
    return {
        "model": OnLatents(explanation.trim).eval(),
        "x_batch": as_numpy(explanation.latents.unsqueeze(1)),
        "y_batch": explanation.target.cpu().numpy(),
        "a_batch": as_numpy(explanation.target_attributions.unsqueeze(1)),
        "channel_first": True,
        "device": str(explanation.latents.device),
    }
