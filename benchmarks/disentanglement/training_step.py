"""A training step of each objective through `fit` against a bare loop of the same mathematics.

Burgess' network on 64x64 images, batch 64, in turns in one process; ratios of medians over rounds
(1 is as fast as the bare loop). FactorVAE is also compared with two plain passes.

    python benchmarks/disentanglement/training_step.py
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "explanations"))

import torch
from clock import Clock
from tables import write
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from trimvae import VAE, fit
from trimvae.objectives import DIPVAE, BetaTCVAE, BetaVAE, CapacityVAE, FactorVAE, Objective

BATCH, STEPS, WARM_UP = 64, 16, 4


def total_correlation(latents: Tensor, posterior: Normal, weights: Tensor) -> Tensor:
    pairs = posterior.log_prob(latents.unsqueeze(1))
    joint = (pairs.sum(2) + weights).logsumexp(1)
    return (joint - (pairs + weights.unsqueeze(2)).logsumexp(1).sum(1)).mean()


def bare(name: str, vae: VAE, images: Tensor) -> float:
    """What a researcher would write; seconds a step after the warm-up."""
    optimizer = torch.optim.Adam(vae.parameters(), 1e-3)
    layers: list[nn.Module] = []
    for index in range(6):
        layers += [nn.Linear(1000 if index else 10, 1000), nn.LeakyReLU(0.2)]
    discriminator = nn.Sequential(*layers, nn.Linear(1000, 2))
    discriminating = torch.optim.Adam(discriminator.parameters(), 1e-4, betas=(0.5, 0.9))
    zeros, ones = torch.zeros(BATCH, dtype=torch.long), torch.ones(BATCH, dtype=torch.long)
    weights = torch.full((BATCH, BATCH), 1 / (BATCH - 1)).log()
    started = 0.0
    for step in range(STEPS):
        if step == WARM_UP:
            started = time.perf_counter()
        inputs = images[torch.randint(len(images), (BATCH,))]
        posterior = vae.encode(inputs)
        latents = posterior.rsample()
        logits = vae.decoder(latents)
        loss = F.binary_cross_entropy_with_logits(logits, inputs, reduction="sum") / BATCH
        kl = kl_divergence(posterior, vae.prior).sum() / BATCH
        loss = loss + 1000 * (kl - 5.0).abs() if name == "capacity" else loss + kl
        if name == "btcvae":
            loss = loss + 5.4 * total_correlation(latents, posterior, weights)
        if name == "dipvae":
            covariance = torch.cov(posterior.mean.T, correction=0)
            variance = covariance.diagonal() + posterior.variance.mean(0)
            off = covariance.square().sum() - covariance.diagonal().square().sum()
            loss = loss + 10 * off + 10 * (variance - 1).square().sum()
        if name == "factorvae":
            with torch.no_grad():
                other = vae.encode(images[torch.randint(len(images), (BATCH,))]).rsample()
            other = torch.stack([column[torch.randperm(BATCH)] for column in other.T], 1)
            for parameter in discriminator.parameters():
                parameter.requires_grad_(False)
            guess = discriminator(latents)
            loss = loss + 6.4 * (guess[:, 0] - guess[:, 1]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if name == "factorvae":
            for parameter in discriminator.parameters():
                parameter.requires_grad_(True)
            joint, product = discriminator(latents.detach()), discriminator(other)
            loss = F.cross_entropy(joint, zeros) + F.cross_entropy(product, ones)
            discriminating.zero_grad()
            loss.backward()
            discriminating.step()
    return (time.perf_counter() - started) / (STEPS - WARM_UP)


def ours(objective: Objective, vae: VAE, images: Tensor) -> float:
    clock = Clock(WARM_UP, STEPS)
    fit(
        vae,
        None,
        images,
        objective=objective,
        batch_size=BATCH,
        max_epochs=1,
        prediction_weight=0.0,
        progress=False,
        callbacks=[clock],
    )
    return clock.seconds


OBJECTIVES: dict[str, tuple[str, Callable[[], Objective]]] = {
    "vae": ("VAE, beta-VAE", BetaVAE),
    "capacity": ("capacity", lambda: CapacityVAE(5.0)),
    "btcvae": ("beta-TCVAE", BetaTCVAE),
    "dipvae": ("DIP-VAE II", DIPVAE),
    "factorvae": ("FactorVAE", FactorVAE),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = torch.rand(2 * BATCH * STEPS, 1, 64, 64)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in OBJECTIVES}
    for turn in range(arguments.rounds):
        for name, (_, make) in OBJECTIVES.items():
            vae = VAE.convolutional((1, 64, 64), latent_size=10)
            some = images if name == "factorvae" else images[: BATCH * STEPS]
            # Whoever goes first now goes second next time.
            if turn % 2:
                mine, other = ours(make(), vae, some), bare(name, vae, some)
            else:
                other, mine = bare(name, vae, some), ours(make(), vae, some)
            times[name].append((other, mine))
    plain = statistics.median(other for other, _ in times["vae"])
    rows = {}
    for name, (title, _) in OBJECTIVES.items():
        ratios = [other / mine for other, mine in times[name]]
        medians = [statistics.median(column) for column in zip(*times[name], strict=True)]
        rows[title] = {
            "bare ms": f"{1e3 * medians[0]:.0f}",
            "fit ms": f"{1e3 * medians[1]:.0f}",
            "bare / fit": f"{medians[0] / medians[1]:.2f}",
            "over rounds": f"{min(ratios):.2f} to {max(ratios):.2f}",
            "two plain passes / fit": f"{2 * plain / medians[1]:.2f}" if "factor" in name else "",
        }
    note = (
        f"One thread, batch 64, {arguments.rounds} rounds. "
        "`python benchmarks/disentanglement/training_step.py`"
    )
    write("objectives_step", note, rows, "objective")


if __name__ == "__main__":
    main()
