"""A training step of InfoGAN and of ALAE through `fit_generator` against a bare loop.

Images of Fashion-MNIST's size, batch 64, CPU time of one thread. After every step of
`fit_generator` comes one of the bare loop, with networks of its own, so that other work on the
machine disturbs both alike (1 is as fast as the bare loop).

    python benchmarks/latent_models/training_step.py
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "explanations"))

import torch
from clock import Turns
from tables import write
from torch import Tensor
from torch.nn import functional as F

from trimvae.latent_models import ALAE, InfoGAN, fit_generator

SHAPE = (1, 28, 28)
BATCH = 64


def adam(learning_rate: float, *modules: torch.nn.Module) -> torch.optim.Optimizer:
    parameters = [parameter for module in modules for parameter in module.parameters()]
    return torch.optim.Adam(parameters, learning_rate, betas=(0.5, 0.99))


def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Gradients of this optimiser's parameters alone."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()


def bare_infogan(images: Tensor) -> Callable[[], None]:
    """A step as a researcher would write it."""
    model = InfoGAN(SHAPE)
    discriminating = adam(5e-4, model.trunk, model.discriminator)
    generating = adam(1e-3, model.generator, model.recogniser)

    def codes(n: int) -> tuple[Tensor, Tensor, Tensor]:
        category = torch.randint(10, (n,))
        continuous = 2 * torch.rand(n, 2) - 1
        noise = torch.randn(n, model.noise_size)
        return category, continuous, torch.cat([F.one_hot(category, 10), continuous, noise], 1)

    def one() -> None:
        inputs = images[torch.randint(len(images), (BATCH,))]
        with torch.no_grad():
            fake = model.generator(codes(len(inputs))[2])
        real_score = model.discriminator(model.trunk(inputs))
        fake_score = model.discriminator(model.trunk(fake))
        step(discriminating, F.softplus(-real_score).mean() + F.softplus(fake_score).mean())
        category, continuous, latents = codes(len(inputs))
        features = model.trunk(model.generator(latents))
        loss = F.softplus(-model.discriminator(features)).mean()
        read = model.recogniser(features)
        loss = loss + F.cross_entropy(read[:, :10], category)
        loss = loss + 0.5 * (read[:, 10:] - continuous).pow(2).sum(1).mean()
        step(generating, loss)

    return one


def bare_alae(images: Tensor) -> Callable[[], None]:
    """A step as a researcher would write it."""
    model = ALAE(SHAPE)
    discriminating = adam(5e-4, model.encoder, model.discriminator)
    generating = adam(1e-3, model.mapping, model.generator)
    cycling = adam(5e-4, model.encoder, model.generator)

    def one() -> None:
        inputs = images[torch.randint(len(images), (BATCH,))]
        n, size = len(inputs), model.latent_size
        with torch.no_grad():
            fake = model.generator(model.mapping(torch.randn(n, size)))
        inputs = inputs.detach().requires_grad_()
        real_score = model.discriminator(model.encoder(inputs))
        (gradient,) = torch.autograd.grad(real_score.sum(), inputs, create_graph=True)
        loss = F.softplus(-real_score).mean()
        loss = loss + F.softplus(model.discriminator(model.encoder(fake))).mean()
        loss = loss + 0.3 * 0.5 * gradient.pow(2).flatten(1).sum(1).mean()
        step(discriminating, loss)
        fake = model.generator(model.mapping(torch.randn(n, size)))
        step(generating, F.softplus(-model.discriminator(model.encoder(fake))).mean())
        with torch.no_grad():
            latents = model.mapping(torch.randn(n, size))
        error = (model.encoder(model.generator(latents)) - latents).pow(2).sum(1).mean()
        step(cycling, 0.3 * error / latents.var(0).mean())

    return one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=108, help="8 of them to warm up")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = torch.rand(BATCH * arguments.steps, *SHAPE)
    rows = {}
    for kind, bare in ((InfoGAN, bare_infogan), (ALAE, bare_alae)):
        clock = Turns(bare(images))
        fit_generator(
            kind(SHAPE),
            None,
            images,
            max_epochs=1,
            batch_size=BATCH,
            progress=False,
            callbacks=[clock],
        )
        other, mine = clock.medians
        rows[kind.__name__] = {
            "bare ms": f"{1e3 * other:.0f}",
            "fit_generator ms": f"{1e3 * mine:.0f}",
            "bare / fit_generator": f"{clock.ratio:.2f}",
        }
        print(rows, flush=True)
    note = (
        f"Medians of {arguments.steps - 8} steps in turns, CPU time of one thread, batch 64. "
        "`python benchmarks/latent_models/training_step.py`"
    )
    write("latent_models_step", note, rows, "model")


if __name__ == "__main__":
    main()
