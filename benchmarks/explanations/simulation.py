"""TRIM's one-dimensional simulation: which method names the coefficient that decides the label?

Inputs are 100 independent normal numbers; the label says whether coefficient 12 of a transform
(identity, Fourier: the real part, db2 wavelet) is above its median; an MLP learns it. Error: the
share of held-out examples whose largest |attribution| is not coefficient 12. Published errors for
Fourier (Singh et al., 2020): CD .004, DeepLift .036, SHAP .040, IG .042.

    python -m benchmarks.explanations.simulation --seeds 10 11 12 13 14
"""

import torch
from captum.attr import (
    DeepLift,
    FeatureAblation,
    GradientShap,
    InputXGradient,
    Saliency,
    ShapleyValueSampling,
)
from torch import Tensor, nn
from torch.nn import functional as F

from attributions import Trim, attribute, expected_gradients, integrated_gradients
from attributions.codes import Decoder
from attributions.transforms import Fourier, Identity, Transform, Wavelet
from benchmarks.sizes import SEEDS, new_parser, sized
from benchmarks.tables import interval, write

COEFFICIENT = 12
EPOCHS, N_TRAIN, N_TEST = sized(30, 1), sized(30_000, 512), sized(500, 20)
METHODS = {
    "IntegratedGradients (ours)": (integrated_gradients, {}),
    "expected_gradients (ours)": (expected_gradients, {}),
    "DeepLift": (DeepLift, {}),
    "GradientShap": (GradientShap, {"n_samples": 20}),
    "ShapleyValueSampling": (ShapleyValueSampling, {"n_samples": 5}),
    "FeatureAblation": (FeatureAblation, {}),
    "InputXGradient": (InputXGradient, {}),
    "Saliency": (Saliency, {}),
}


def settings() -> dict[str, tuple[Transform, int]]:
    """Each transform and the latent that is coefficient 12."""
    return {
        "identity": (Identity((100,)), COEFFICIENT),
        "Fourier": (Fourier((100,)), 2 * COEFFICIENT),
        "db2": (Wavelet((100,), "db2", level=2), COEFFICIENT),
    }


def train(inputs: Tensor, labels: Tensor, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(100, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.1)
    steps = EPOCHS * (len(inputs) // 256 + 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(inputs)).split(256):
            loss = F.binary_cross_entropy_with_logits(model(inputs[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def run(code: Transform, latent: int, seed: int) -> tuple[dict[str, float], float]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn((N_TRAIN + N_TEST, 100), generator=generator)
    values = code.encode(inputs)[:, latent]
    labels = (values > values.median()).float().unsqueeze(1)
    model = train(inputs[N_TEST:], labels[N_TEST:], seed)
    held_out = inputs[:N_TEST]
    with torch.no_grad():
        accuracy = ((model(held_out) > 0).float() == labels[:N_TEST]).float().mean().item()
    trim = Trim(model, Decoder(code))
    latents = code.encode(held_out)
    errors = {}
    for name, (method, options) in METHODS.items():
        scores = attribute(method, trim, latents, max_points=4096, **options)[:, 0]
        errors[name] = (scores.abs().argmax(dim=1) != latent).float().mean().item()
    return errors, accuracy


def main() -> None:
    parser = new_parser(__doc__, seeds=SEEDS)
    arguments = parser.parse_args()
    rows: dict[str, dict[str, str]] = {name: {} for name in [*METHODS, "accuracy of the MLP"]}
    for setting, (code, latent) in settings().items():
        found: dict[str, list[float]] = {name: [] for name in rows}
        for seed in arguments.seeds:
            errors, accuracy = run(code, latent, seed)
            for name, error in {**errors, "accuracy of the MLP": accuracy}.items():
                found[name].append(error)
            print(setting, seed, errors, flush=True)
        for name, values in found.items():
            rows[name][setting] = interval(values)
    seeds = " ".join(map(str, arguments.seeds))
    note = (
        f"Error of the arg-max on {N_TEST} held-out examples, {len(arguments.seeds)} seeds. "
        f"`python -m benchmarks.explanations.simulation --seeds {seeds}`"
    )
    write("simulation", note, rows, "method")


if __name__ == "__main__":
    main()
