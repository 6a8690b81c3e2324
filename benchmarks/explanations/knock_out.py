"""TRIM's knock-out test: which method names the NMF part that was taken out of the images?

For every part j a small CNN learns to tell digits from the same digits without part j. Parts are
then scored by attributions through the NMF code with the residual held fixed, on held-out full
images that contain part j. Identified: the part of the largest mean |attribution| is j. Published
(Singh et al., 2020): IG .95, GradientShap .91, CD .82, InputXGradient .80, Saliency .72.

    python -m benchmarks.explanations.knock_out --seeds 10 11 12 13 14
"""

import statistics

import torch
from captum.attr import DeepLift, GradientShap, InputXGradient, Saliency, ShapleyValueSampling
from torch import Tensor, nn
from torch.nn import functional as F

from attributions import Trim, attribute, exact_shapley, expected_gradients, integrated_gradients
from attributions.codes import Decoder
from attributions.transforms import NonNegativeParts
from benchmarks.sizes import SEEDS, new_parser, sized
from benchmarks.tables import interval, write
from trimvae.data import digits

N_TRAIN = sized(None, 200)
METHODS = {
    "exact Shapley (ours)": (exact_shapley, {}),
    "IntegratedGradients (ours)": (integrated_gradients, {}),
    "expected_gradients (ours)": (expected_gradients, {}),
    "ShapleyValueSampling": (ShapleyValueSampling, {"n_samples": 10}),
    "DeepLift": (DeepLift, {}),
    "GradientShap": (GradientShap, {"n_samples": 20}),
    "InputXGradient": (InputXGradient, {}),
    "Saliency": (Saliency, {}),
}


def new_classifier() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 49, 1),
    )


def train(full: Tensor, without: Tensor, seed: int, epochs: int) -> nn.Module:
    torch.manual_seed(seed)
    model = new_classifier()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    inputs = torch.cat([full, without])
    labels = torch.cat([torch.ones(len(full), 1), torch.zeros(len(without), 1)])
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs)).split(128):
            loss = F.binary_cross_entropy_with_logits(model(inputs[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


def run(seed: int, parts: int, epochs: int, examples: int) -> tuple[dict[str, list], list[float]]:
    data = digits()
    train_inputs = data.train_inputs[:N_TRAIN]
    code = NonNegativeParts(train_inputs, parts, generator=torch.Generator().manual_seed(seed))
    codes = [code.encode(inputs) for inputs in (train_inputs, data.test_inputs)]
    hits: dict[str, list] = {name: [] for name in METHODS}
    accuracies = []
    for part in range(parts):
        removed = [
            inputs - latents[:, part].view(-1, 1, 1, 1) * code.components[part].view(1, 1, 28, 28)
            for inputs, latents in zip((train_inputs, data.test_inputs), codes, strict=True)
        ]
        present = [latents[:, part] > latents[:, part].quantile(0.5) for latents in codes]
        model = train(train_inputs[present[0]], removed[0][present[0]], seed, epochs)
        inputs, latents = data.test_inputs[present[1]][:examples], codes[1][present[1]][:examples]
        with torch.no_grad():
            right = (model(inputs) > 0).float().mean()
            right += (model(removed[1][present[1]][:examples]) < 0).float().mean()
        accuracies.append(right.item() / 2)
        trim = Trim(model, Decoder(code))
        residual = trim.residual(inputs, latents)
        for name, (method, options) in METHODS.items():
            scores = attribute(method, trim, latents, None, residual, max_points=2048, **options)
            hits[name].append(int(scores[:, 0].abs().mean(dim=0).argmax() == part))
        print(seed, part, f"accuracy {accuracies[-1]:.3f}", flush=True)
    return hits, accuracies


def main() -> None:
    parser = new_parser(__doc__, seeds=SEEDS)
    parser.add_argument("--parts", type=int, default=sized(12, 2))
    parser.add_argument("--epochs", type=int, default=sized(4, 1))
    parser.add_argument("--examples", type=int, default=sized(32, 4))
    arguments = parser.parse_args()
    rates: dict[str, list[float]] = {name: [] for name in METHODS}
    accuracies: list[float] = []
    for seed in arguments.seeds:
        hits, seen = run(seed, arguments.parts, arguments.epochs, arguments.examples)
        accuracies += seen
        for name, found in hits.items():
            rates[name].append(sum(found) / len(found))
    seeds = " ".join(map(str, arguments.seeds))
    accuracy = statistics.mean(accuracies)
    note = (
        f"{arguments.parts} parts of 5,000 MNIST digits, one CNN per part and seed, "
        f"{len(arguments.seeds)} seeds; mean accuracy of the CNNs {accuracy:.3f}. "
        f"`python -m benchmarks.explanations.knock_out --seeds {seeds}`"
    )
    rows = {name: {"identified": interval(values)} for name, values in rates.items()}
    write("knock_out", note, rows, "method")


if __name__ == "__main__":
    main()
