"""AWD's simulation: attributions pull a perturbed wavelet back to the one that a model uses.

A network learns to predict three db5 coefficients' sum of ReLUs from 64 normal numbers. A wavelet
filter starts at db5 plus noise and is trained on reconstruction, the constraints of an orthogonal
wavelet and L1 of the network's TRIM attributions to coefficients (integrated gradients with four
random points). Distance: L2 between the learned low-pass filter and db5's, against the penalty's
weight. Without the penalty the filter becomes some wavelet, not the one the network uses.

    python -m benchmarks.explanations.wavelet_distillation --seeds 10 11 12 13 14
"""

import pywt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attributions import Trim, path_contributions
from attributions.transforms import LearnableWavelet, Wavelet
from benchmarks.sizes import SEEDS, new_parser, sized
from benchmarks.tables import interval, write

LENGTH, LEVEL = 64, 2
TRUE = torch.tensor(pywt.Wavelet("db5").dec_lo)
WEIGHTS = (0.0, 0.01, 0.1, 0.3, 1.0, 3.0)

EPOCHS, N_TRAIN = sized(30, 1), sized(20_000, 512)


def response(inputs: Tensor) -> Tensor:
    """What the network learns: a few coefficients of the true wavelet."""
    coefficients = Wavelet((LENGTH,), "db5", level=LEVEL).encode(inputs)
    return F.relu(coefficients[:, [8, 12, 16]]).sum(dim=1, keepdim=True)


def train_network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    inputs = torch.randn(N_TRAIN, LENGTH)
    outputs = response(inputs)
    model = nn.Sequential(nn.Linear(LENGTH, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3, weight_decay=0.05)
    steps = EPOCHS * -(-N_TRAIN // 256)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(inputs)).split(256):
            loss = F.mse_loss(model(inputs[rows]), outputs[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def distil(model: nn.Module, weight: float, seed: int, steps: int) -> tuple[float, float]:
    """Distance to the true filter at the end, and violation of the constraints."""
    generator = torch.Generator().manual_seed(seed)
    start = TRUE + 0.1 * torch.randn(TRUE.shape, generator=generator)
    code = LearnableWavelet((LENGTH,), start, level=LEVEL)
    trim = Trim(model, code.decode)
    optimizer = torch.optim.Adam(code.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        inputs = torch.randn((64, LENGTH), generator=generator)
        latents = code.encode(inputs)
        error = (code.decode(latents) - inputs).pow(2).sum(dim=1).mean()
        loss = error + code.constraint()
        if weight:
            residual = trim.residual(inputs, latents)
            contributions = path_contributions(
                trim, latents, additional_forward_args=residual, generator=generator
            )
            attributions = contributions.mean(dim=1)
            loss = loss + weight * attributions.abs().sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    learned = code.lowpass.detach()
    return (learned - TRUE).norm().item(), code.constraint().item()


def main() -> None:
    parser = new_parser(__doc__, seeds=SEEDS)
    parser.add_argument("--steps", type=int, default=sized(1500, 5))
    arguments = parser.parse_args()
    found: dict[float, list[tuple[float, float]]] = {weight: [] for weight in WEIGHTS}
    starts = []
    for seed in arguments.seeds:
        model = train_network(seed)
        generator = torch.Generator().manual_seed(seed)
        starts.append((0.1 * torch.randn(TRUE.shape, generator=generator)).norm().item())
        for weight, results in found.items():
            results.append(distil(model, weight, seed, arguments.steps))
            print(seed, weight, results[-1], flush=True)
    rows = {
        f"{weight:g}": {
            "distance to db5": interval([distance for distance, _ in results], 2),
            "constraint": f"{max(violation for _, violation in results):.1e}",
        }
        for weight, results in found.items()
    }
    seeds = " ".join(map(str, arguments.seeds))
    note = (
        f"Starting distance {interval(starts, 2)}; {len(arguments.seeds)} seeds, "
        f"{arguments.steps} steps. "
        f"`python -m benchmarks.explanations.wavelet_distillation --seeds {seeds}`"
    )
    write("wavelet_distillation", note, rows, "weight of the penalty")


if __name__ == "__main__":
    main()
