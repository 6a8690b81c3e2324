"""What a training step costs: bare PyTorch, ours through Lightning, with TRIM penalties.

Burgess' network on 64x64 images, batch 64, against two bare loops of the same mathematics in the
same run: the usual one, and the fastest that we know (channels-last, fused Adam, nothing logged).
Then every lever on its own. Every variant runs in a process of its own, in turns, on one thread
whose CPU time counts, so that a busy neighbour matters little; ratios are those of medians over
rounds. What a lever does to what is learned takes hours: `benchmarks.penalty_levers`, whose tables
are printed beside this one.

    python -m benchmarks.training_step
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

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
BARE, FASTEST = "bare PyTorch loop, beta-VAE", "fastest bare loop: channels-last, fused Adam"
CAPTUM = "bare loop, penalty on the full batch through Captum"
PLAIN: dict[str, Any] = {"prediction_weight": 0.0}
PENALTY: dict[str, Any] = {"penalties": [Sparsity()]}
# What `fit` is asked for.
FITS: dict[str, dict[str, Any]] = {
    "fit, no predictor": PLAIN,
    "fit, prediction loss": {},
    "fit, prediction loss and default penalty": PENALTY,
    "the same, contiguous instead of channels-last": {**PENALTY, "contiguous": True},
    "the same, outputs asked for at every step": {**PENALTY, "cache_outputs": False},
    "the same, 2 points instead of 4": {**PENALTY, "penalty_n_steps": 2},
    "the same, 8 examples instead of 16": {**PENALTY, "penalty_examples": 8},
    "the same, every 8 steps": {**PENALTY, "penalty_every": 8},
    "the same, every 8 steps and 2 points": {
        **PENALTY,
        "penalty_every": 8,
        "penalty_n_steps": 2,
    },
}
VARIANTS = [BARE, FASTEST, *FITS, CAPTUM]


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


def bare_loop(vae: VAE, predictor: nn.Module, images: torch.Tensor, variant: str) -> float:
    """What a researcher would write; CPU seconds a step after the warm-up."""
    optimizer = torch.optim.Adam(vae.parameters(), 1e-3, fused=variant == FASTEST)
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
        if variant == CAPTUM:
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
    options = dict(FITS[variant])
    options.pop("contiguous", None)
    fit(
        vae,
        None if options == PLAIN else predictor,
        images,
        batch_size=BATCH,
        max_epochs=1,
        callbacks=[clock],
        **options,
    )
    return clock.seconds


def measure(variant: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = torch.rand(BATCH * STEPS, 1, 64, 64)
    vae = VAE.convolutional(image_shape=(1, 64, 64), latent_size=10)
    if variant in (BARE, CAPTUM) or FITS.get(variant, {}).get("contiguous"):
        vae.to(memory_format=torch.contiguous_format)
    predictor = new_predictor()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if variant in FITS:
        seconds = through_fit(vae, predictor, images, variant)
    else:
        for parameter in predictor.parameters():
            parameter.requires_grad_(False)
        seconds = bare_loop(vae, predictor, images, variant)
    mebibytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps({"seconds": seconds, "mebibytes": mebibytes}))


def seconds_of(rounds: list[dict[str, float]]) -> float:
    """Median over rounds."""
    return statistics.median(result["seconds"] for result in rounds)


def over_rounds(mine: list[dict[str, float]], base: list[dict[str, float]]) -> str:
    """Smallest and largest ratio of a round."""
    ratios = [one["seconds"] / other["seconds"] for one, other in zip(mine, base, strict=True)]
    return f"{min(ratios):.2f} to {max(ratios):.2f}"


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=sized(5, 1))
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.variant:
        measure(arguments.variant)
        return
    results: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
    smoke = ["--smoke"] if arguments.smoke else []
    for _ in range(arguments.rounds):
        for name in VARIANTS:
            output = subprocess.run(
                [sys.executable, "-m", "benchmarks.training_step", "--variant", name, *smoke],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            results[name].append(json.loads(output.splitlines()[-1]))
    rows = {}
    for name, rounds in results.items():
        memory = statistics.median(result["mebibytes"] for result in rounds)
        rows[name] = {
            "images per CPU second": f"{BATCH / seconds_of(rounds):.0f}",
            "step over bare": f"{seconds_of(rounds) / seconds_of(results[BARE]):.2f}",
            "over the fastest": f"{seconds_of(rounds) / seconds_of(results[FASTEST]):.2f}",
            "over rounds": over_rounds(rounds, results[FASTEST]),
            "peak memory, MiB": f"{memory:.0f}",
        }
    note = (
        f"{arguments.rounds} rounds, CPU time of one thread, beside other work: "
        "read the ratios and their spread."
    )
    write("training_step", note, rows, "Burgess 64x64, batch 64")
    for learned in sorted(Path("docs/tables").glob("penalty_levers_*.md")):
        print(learned.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
