"""Identifiable codes: ICA for a linear mix, iVAE for a nonlinear one with known segments.

python -m examples.objectives.ica_and_ivae
"""

import torch
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from attributions.transforms import IndependentComponents
from examples.quick import QUICK, quick
from trimvae import VAE, fit
from trimvae.metrics import mcc
from trimvae.models import IVAE


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    # Two sources whose loudness changes from segment to segment, mixed twice.
    loudness = 0.1 + 2.9 * torch.rand(40, 2, generator=generator)
    segments = torch.arange(40).repeat_interleave(200)
    sources = loudness[segments] * torch.randn(8000, 2, generator=generator)
    first, second = (torch.linalg.qr(torch.randn(2, 2, generator=generator)).Q for _ in range(2))
    linear = sources @ first
    inputs = F.leaky_relu(linear, 0.2) @ second + 0.1 * torch.randn(8000, 2, generator=generator)

    scores = {
        "ICA, linear mix": mcc(IndependentComponents(linear, 2).encode(linear), sources),
        "ICA": mcc(IndependentComponents(inputs, 2).encode(inputs), sources),
    }
    for name in ("VAE", "iVAE"):
        torch.manual_seed(0)
        options = {"hidden": (32, 32), "scale": 0.1}
        code = (
            VAE.dense((2,), 2, **options)
            if name == "VAE"
            else IVAE.dense((2,), 2, n_contexts=40, **options)
        )
        fit(
            code,
            None,
            TensorDataset(inputs, segments),
            prediction_weight=0.0,
            max_epochs=quick(25, 1),
            learning_rate=1e-2,
            progress=False,
        )
        scores[name] = mcc(code.encode(inputs).mean, sources)
    for name, score in scores.items():
        print(f"{name:16} mean correlation with the true sources {score:.3f}")
    assert scores["ICA, linear mix"] > 0.99
    assert QUICK or scores["iVAE"] > scores["VAE"]
    assert QUICK or scores["iVAE"] > 0.9


if __name__ == "__main__":
    main()
