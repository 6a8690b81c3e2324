"""What a training step costs: bare PyTorch, ours through Lightning, with TRIM penalties.

Burgess' network on 64x64 images, batch 64, against the bare loop of the same mathematics in the
same run. Every variant runs in a process of its own, in turns, on one thread whose CPU time
counts, so that a busy neighbour matters little; the ratio is that of medians over rounds.

    python -m benchmarks.training_step
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import torch
from captum.attr import IntegratedGradients
from torch import nn
from torch.distributions import kl_divergence
from torch.nn import functional as F

from attributions import Sparsity, Trim, differentiable
from attributions.penalties.sparsity import l1_over_l2
from benchmarks.clock import Clock
from benchmarks.sizes import new_parser, sized
from benchmarks.tables import write
from trimvae import VAE, fit

BATCH, STEPS, WARM_UP = 64, sized(48, 3), sized(8, 1)
VARIANTS = {
    "bare PyTorch loop, beta-VAE": "bare",
    "fit, no predictor": "plain",
    "fit, prediction loss": "prediction",
    "fit, prediction loss and default penalty": "penalty",
    "bare loop, penalty on the full batch through Captum": "captum",
}


def new_predictor() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4096, 10),
    ).eval()


def bare_loop(vae: VAE, predictor: nn.Module, images: torch.Tensor, *, captum: bool) -> float:
    """What a researcher would write; CPU seconds a step after the warm-up."""
    optimizer = torch.optim.Adam(vae.parameters(), 1e-3)
    started = 0.0
    for step in range(STEPS):
        if step == WARM_UP:
            started = time.process_time()
        inputs = images[torch.randint(len(images), (BATCH,))]
        posterior = vae.encode(inputs)
        latents = posterior.rsample()
        logits = vae.decoder(latents)
        loss = F.binary_cross_entropy_with_logits(logits, inputs, reduction="sum") / BATCH
        loss = loss + kl_divergence(posterior, vae.prior).sum() / BATCH
        if captum:
            outputs = predictor(inputs)
            loss = loss + 20 * F.kl_div(
                predictor(logits.sigmoid()).log_softmax(1),
                outputs.log_softmax(1),
                log_target=True,
                reduction="batchmean",
            )
            method = differentiable(IntegratedGradients(Trim(predictor, vae.decode)))
            scores = method.attribute(latents, target=outputs.argmax(1), n_steps=4)
            loss = loss + 6 * l1_over_l2(scores)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (time.process_time() - started) / (STEPS - WARM_UP)


def through_fit(vae: VAE, predictor: nn.Module, images: torch.Tensor, variant: str) -> float:
    clock = Clock(WARM_UP, STEPS)
    fit(
        vae,
        None if variant == "plain" else predictor,
        images,
        batch_size=BATCH,
        max_epochs=1,
        prediction_weight=0.0 if variant == "plain" else 20.0,
        penalties=[Sparsity()] if variant == "penalty" else [],
        callbacks=[clock],
    )
    return clock.seconds


def measure(variant: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = torch.rand(BATCH * STEPS, 1, 64, 64)
    vae = VAE.convolutional(image_shape=(1, 64, 64), latent_size=10)
    predictor = new_predictor()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if variant in ("bare", "captum"):
        for parameter in predictor.parameters():
            parameter.requires_grad_(False)
        seconds = bare_loop(vae, predictor, images, captum=variant == "captum")
    else:
        seconds = through_fit(vae, predictor, images, variant)
    mebibytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps({"seconds": seconds, "mebibytes": mebibytes}))


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=sized(5, 1))
    parser.add_argument("--variant", choices=list(VARIANTS.values()), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.variant:
        measure(arguments.variant)
        return
    results: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
    smoke = ["--smoke"] if arguments.smoke else []
    for _ in range(arguments.rounds):
        for name, variant in VARIANTS.items():
            output = subprocess.run(
                [sys.executable, "-m", "benchmarks.training_step", "--variant", variant, *smoke],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            results[name].append(json.loads(output.splitlines()[-1]))
    bare = next(iter(results.values()))
    reference = statistics.median(result["seconds"] for result in bare)
    rows = {}
    for name, rounds in results.items():
        seconds = statistics.median(result["seconds"] for result in rounds)
        ratios = [
            mine["seconds"] / base["seconds"] for mine, base in zip(rounds, bare, strict=True)
        ]
        memory = statistics.median(result["mebibytes"] for result in rounds)
        rows[name] = {
            "images per CPU second": f"{BATCH / seconds:.0f}",
            "step over bare": f"{seconds / reference:.2f}",
            "over rounds": f"{min(ratios):.2f} to {max(ratios):.2f}",
            "peak memory, MiB": f"{memory:.0f}",
        }
    note = (
        f"{arguments.rounds} rounds, CPU time of one thread, beside other work: "
        "read the ratios and their spread."
    )
    write("training_step", note, rows, "Burgess 64x64, batch 64")


if __name__ == "__main__":
    main()
