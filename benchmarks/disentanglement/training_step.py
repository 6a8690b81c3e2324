"""A training step of each objective through `fit` against a bare loop of the same mathematics.

Burgess' network on 64x64 images, batch 64, CPU time of one thread. After every step of `fit` comes
one of the bare loop, with a network of its own, so that other work on the machine disturbs both
alike (1 is as fast as the bare loop). FactorVAE is also compared with two plain steps.

    python -m benchmarks.disentanglement.training_step
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from benchmarks.clock import Turns
from benchmarks.sizes import new_parser, sized
from benchmarks.tables import write
from trimvae import VAE, fit
from trimvae.objectives import DIPVAE, BetaTCVAE, BetaVAE, CapacityVAE, FactorVAE, Objective

BATCH = sized(64, 8)


def total_correlation(latents: Tensor, posterior: Normal, weights: Tensor) -> Tensor:
    pairs = posterior.log_prob(latents.unsqueeze(1))
    joint = (pairs.sum(2) + weights).logsumexp(1)
    return (joint - (pairs + weights.unsqueeze(2)).logsumexp(1).sum(1)).mean()


def bare_loop(name: str, vae: VAE, images: Tensor) -> Callable[[], None]:
    """A step as a researcher would write it."""
    optimizer = torch.optim.Adam(vae.parameters(), 1e-3)
    layers: list[nn.Module] = []
    for index in range(6):
        layers += [nn.Linear(1000 if index else 10, 1000), nn.LeakyReLU(0.2)]
    discriminator = nn.Sequential(*layers, nn.Linear(1000, 2))
    discriminating = torch.optim.Adam(discriminator.parameters(), 1e-4, betas=(0.5, 0.9))
    zeros, ones = torch.zeros(BATCH, dtype=torch.long), torch.ones(BATCH, dtype=torch.long)
    weights = torch.full((BATCH, BATCH), 1 / (BATCH - 1)).log()

    def step() -> None:
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

    return step


def new_vae() -> VAE:
    return VAE.convolutional((1, 64, 64), latent_size=10)


def turns(name: str, make: Callable[[], Objective], bare: str, images: Tensor) -> Turns:
    """`fit` with an objective, and a bare loop, in turns."""
    clock = Turns(bare_loop(bare, new_vae(), images))
    fit(
        new_vae(),
        None,
        images,
        objective=make(),
        batch_size=BATCH,
        max_epochs=1,
        prediction_weight=0.0,
        progress=False,
        callbacks=[clock],
    )
    return clock


OBJECTIVES: dict[str, tuple[str, Callable[[], Objective]]] = {
    "vae": ("VAE, beta-VAE", BetaVAE),
    "capacity": ("capacity", lambda: CapacityVAE(5.0)),
    "btcvae": ("beta-TCVAE", BetaTCVAE),
    "dipvae": ("DIP-VAE II", DIPVAE),
    "factorvae": ("FactorVAE", FactorVAE),
}


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--steps", type=int, default=sized(72, 11), help="8 of them to warm up")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = {}
    for name, (title, make) in OBJECTIVES.items():
        # FactorVAE reads two batches for a step. The last step ends the epoch, too.
        per_step = BATCH * (2 if name == "factorvae" else 1)
        images = torch.rand(per_step * arguments.steps, 1, 64, 64)
        rows[title] = turns(name, make, name, images).row("fit")
        if name == "factorvae":
            plain = turns(name, make, "vae", images)
            rows[title]["two plain steps / fit"] = f"{2 * plain.ratio:.2f}"
        print(title, rows[title], flush=True)
    note = (
        f"Medians of {arguments.steps - 8} steps in turns, CPU time of one thread, batch {BATCH}. "
        "`python -m benchmarks.disentanglement.training_step`"
    )
    write("objectives_step", note, rows, "objective")


if __name__ == "__main__":
    main()
