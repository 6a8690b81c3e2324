"""What games cost: a step through `fit` against a bare loop, and inversion by the batch.

Images of Fashion-MNIST's size, CPU time of one thread. After every step of `fit` comes
one of the bare loop, with networks of its own, so that other work on the machine disturbs both
alike (1 is as fast as the bare loop). Inversion: 128 images at once against one, for each image.

    python -m benchmarks.latent_models.speed
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.clock import Turns
from benchmarks.sizes import new_parser, sized
from benchmarks.tables import write
from trimvae import fit
from trimvae.models import ALAE, InfoGAN, StyleGAN2, invert

SHAPE = (1, 28, 28)
BATCH = sized(64, 8)
MANY = 128
INVERSION_STEPS = sized(20, 1)


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


def turns(kind: type[InfoGAN | ALAE], bare: Callable, steps: int) -> Turns:
    """`fit` and a bare loop, in turns."""
    images = torch.rand(BATCH * steps, *SHAPE)
    clock = Turns(bare(images))
    fit(
        kind(SHAPE),
        None,
        images,
        max_epochs=1,
        batch_size=BATCH,
        progress=False,
        callbacks=[clock],
    )
    return clock


def inversion_seconds(
    model: InfoGAN | ALAE | StyleGAN2, count: int, steps: int = INVERSION_STEPS
) -> float:
    """The fewest CPU seconds for a step of each image, of three times."""
    images, start, seconds = torch.rand(count, *SHAPE), model.baseline(1), []
    for _ in range(3):
        started = time.process_time()
        invert(model.decode, images, start, n_steps=steps, warn_above=None)
        seconds.append((time.process_time() - started) / (steps * count))
    return min(seconds)


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--steps", type=int, default=sized(108, 11), help="8 of them to warm up")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = {}
    for kind, bare in ((InfoGAN, bare_infogan), (ALAE, bare_alae), (StyleGAN2, None)):
        row = {} if bare is None else turns(kind, bare, arguments.steps).row("fit")
        model = kind(SHAPE).eval()
        alone, together = (inversion_seconds(model, count) for count in (1, MANY))
        row[f"inversion: one / {MANY} at once"] = f"{alone / together:.1f}"
        rows[kind.__name__] = row
        print(kind.__name__, row, flush=True)
    note = (
        f"Steps: medians of {arguments.steps - 8} in turns, batch {BATCH}. CPU time of one thread. "
        "`python -m benchmarks.latent_models.speed`"
    )
    write("latent_models_speed", note, rows, "model")


if __name__ == "__main__":
    main()
