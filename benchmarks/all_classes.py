"""Attributions to every class: one pass against Captum looped over the classes.

Prints, and writes to docs, how many times faster each is than Captum's loop in the same round,
the median over rounds. Small CNN: random 28x28 convolutional decoder, ten classes; resnet18: a
1,000-class torchvision network on 3x64x64, Captum timed on ten of the classes and scaled.

    python -m benchmarks.all_classes --rounds 5
"""

import statistics
import time
from collections.abc import Callable

import torch
import torchvision
from captum.attr import InputXGradient, IntegratedGradients, Saliency, ShapleyValueSampling
from torch import Tensor, nn

from attributions import Trim, exact_shapley, integrated_gradients
from attributions.measures.fidelity import completeness_error
from attributions.measures.information import mutual_information
from attributions.methods.jacobians import input_x_gradient, saliency
from benchmarks.sizes import docs, new_parser, sized
from trimvae import VAE, fit
from trimvae.cli.demo_data import train_classifier
from trimvae.data import digits

N, LATENTS = sized(None, 256), sized(64, 4)
EPOCHS = sized(4, 1)
SAMPLES = sized((100, 25), (4, 3))
CLASSES = sized(1000, 20)


def trained_case() -> tuple[Trim, Tensor]:
    """A classifier and a VAE trained on digits, and held-out latents."""
    data = digits()
    torch.manual_seed(0)
    classifier = nn.Sequential(
        nn.Conv2d(1, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * 49, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )
    inputs, labels = data.train_inputs[:N], data.train_labels[:N]
    train_classifier(classifier, inputs, labels, epochs=EPOCHS)
    classifier.eval()
    vae = VAE.convolutional((1, 28, 28), latent_size=10)
    fit(vae, classifier, inputs, max_epochs=EPOCHS, progress=False)
    with torch.no_grad():
        latents = vae.eval().encode(data.test_inputs[:LATENTS]).mean
    return Trim(classifier, vae.decode, explained="centred_logit"), latents


def captum_loop(method, latents: Tensor, classes: range, **options) -> Tensor:
    columns = [method.attribute(latents, target=index, **options).detach() for index in classes]
    return torch.stack(columns, dim=1)


def seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def ratios(theirs: Callable, ours: Callable, rounds: int, factor: float = 1.0) -> list[float]:
    ours()
    return [factor * seconds(theirs) / seconds(ours) for _ in range(rounds)]


def sampling_rounds(function, latents: Tensor, exact: Tensor, error: float) -> int:
    """Permutations that Captum's sampling needs for a relative error; ours has none."""
    samples = 25
    while samples < sized(1600, 50):
        torch.manual_seed(0)
        scores = ShapleyValueSampling(function).attribute(latents, target=0, n_samples=samples)
        if (scores - exact).norm() / exact.norm() <= error:
            return samples
        samples *= 2
    return samples


def looped_flow(trim: Trim, latent_size: int, n_alpha: int, n_beta: int) -> Tensor:
    """GCE's estimator with the loops of the published code: one decoder call per alpha."""
    information, marginal = torch.zeros(()), torch.zeros(())
    for _ in range(n_alpha):
        alpha = torch.randn(1)
        samples = torch.zeros(n_beta, latent_size)
        for row in range(n_beta):
            samples[row, :1] = alpha
            samples[row, 1:] = torch.randn(latent_size - 1)
        with torch.no_grad():
            conditional = trim(samples).softmax(dim=1).mean(dim=0)
        information = information + (conditional * conditional.log()).sum() / n_alpha
        marginal = marginal + conditional / n_alpha
    return information - (marginal * marginal.log()).sum()


def estimated_flow(trim: Trim) -> Tensor:
    """Ours at the same samples, without the control that `information_flow` adds."""
    n_alpha, n_beta = SAMPLES
    samples = torch.randn(n_alpha * n_beta, 10)
    samples[:, 0] = torch.randn(n_alpha).repeat_interleave(n_beta)
    with torch.no_grad():
        return mutual_information(trim(samples).softmax(dim=1).unflatten(0, SAMPLES))


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=sized(5, 1))
    arguments = parser.parse_args()
    rounds = arguments.rounds
    trim, latents = trained_case()
    ten = range(10)
    with torch.no_grad():
        change = trim(latents) - trim(torch.zeros_like(latents))
    rows = []

    def add(name: str, values: list[float], note: str) -> None:
        middle = statistics.median(values)
        row = f"| {name} | {middle:.1f} ({min(values):.1f} to {max(values):.1f}) | {note} |"
        rows.append(row)
        print(row, flush=True)

    for ours, theirs, name in (
        (saliency, Saliency, "Saliency"),
        (input_x_gradient, InputXGradient, "InputXGradient"),
    ):
        values = ratios(
            lambda theirs=theirs: captum_loop(theirs(trim), latents, ten),
            lambda ours=ours: ours(trim, latents),
            rounds,
        )
        add(f"{name}, small CNN, 10 classes", values, "equal results")
    captum = IntegratedGradients(trim)
    values = ratios(
        lambda: captum_loop(captum, latents, ten, n_steps=50),
        lambda: integrated_gradients(trim, latents, n_steps=50),
        rounds,
    )
    add("Integrated gradients, 50 steps each", values, "equal results")
    error = completeness_error(captum_loop(captum, latents, ten, n_steps=50), change).item()
    result = integrated_gradients(trim, latents, n_steps=None, tolerance=0.01)
    ours_error = completeness_error(result.attributions, change).item()
    values = ratios(
        lambda: captum_loop(captum, latents, ten, n_steps=50),
        lambda: integrated_gradients(trim, latents, n_steps=None, tolerance=0.01),
        rounds,
    )
    note = (
        f"completeness error {ours_error:.4f} at {result.n_steps.float().mean():.0f} points on "
        f"average; Captum's 50 steps: {error:.4f}"
    )
    add("Integrated gradients, until complete to 1 %, against Captum's 50 steps", values, note)
    few = latents[:4]
    exact = exact_shapley(trim, few)[:, 0]
    samples = sampling_rounds(trim, few, exact, 0.02)

    def sampled() -> Tensor:
        method = ShapleyValueSampling(trim)
        with torch.no_grad():
            return captum_loop(method, few, range(1), n_samples=samples)

    values = ratios(sampled, lambda: exact_shapley(trim, few), max(1, rounds // 2), factor=10)
    note = f"Captum at {samples} permutations, a relative error of 2 % (ours: none); ten classes"
    add("Exact Shapley, 10 latents, against ShapleyValueSampling", values, note)
    dense = VAE.dense((20,), latent_size=10, hidden=(32,)).eval()
    for name, case in (
        ("convolutional decoder and CNN", trim),
        ("dense decoder and classifier", Trim(nn.Linear(20, 3), dense.decode)),
    ):
        values = [
            seconds(lambda case=case: looped_flow(case, 10, *SAMPLES))
            / seconds(lambda case=case: estimated_flow(case))
            for _ in range(rounds)
        ]
        note = f"{SAMPLES[0]} x {SAMPLES[1]} samples, against the published loops"
        add(f"Information flow, {name}", values, note)
    torch.manual_seed(0)
    resnet = torchvision.models.resnet18(num_classes=CLASSES).eval()
    vae = VAE.convolutional((3, 64, 64), latent_size=10).eval()
    trim, latents = Trim(resnet, vae.decode), torch.randn(4, 10)
    values = ratios(
        lambda: captum_loop(IntegratedGradients(trim), latents, range(10), n_steps=8),
        lambda: integrated_gradients(trim, latents, n_steps=8),
        rounds,
        factor=CLASSES / 10,
    )
    name = f"Integrated gradients, resnet18, {CLASSES:,} classes, 8 steps each"
    add(name, values, "equal results")
    lines = ["| attributions to every class | times faster than Captum's loop | |", "|---|---|---|"]
    text = "\n".join([*lines, *rows]) + "\n"
    (docs("tables") / "all_classes.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
