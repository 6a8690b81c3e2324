"""What a code keeps when it may keep little: along beta, and along a growing capacity.

A heavier KL term, or a smaller capacity, leaves room for the factors that change most of the
picture (Burgess et al., Understanding disentangling in beta-VAE, 2018,
https://arxiv.org/abs/1804.03599). Sprites of four known factors; one seed here, five in
`python -m benchmarks.disentanglement.capacity`.

python -m examples.beta_and_capacity
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch import Callback
from scipy.stats import t
from torch import Tensor

from attributions.heatmaps import PALETTE, new_figure
from examples.quick import quick
from trimvae import VAE, fit
from trimvae.data import FactorData, sprites
from trimvae.metrics import mig
from trimvae.metrics.information import mutual_information
from trimvae.objectives import BetaVAE, CapacityVAE, Objective, Ramp

FACTORS = ("shape", "scale", "x", "y")
LATENTS, BATCH = 8, 64
BETAS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
MOST_NATS = 15.0


class Kept(NamedTuple):
    """What a code keeps of held-out sprites."""

    reconstruction: float
    """Error, nats an image."""
    kl: float
    """Nats an image."""
    kl_of_latents: list[float]
    """Of each latent, largest first."""
    information: list[float]
    """Of each factor, the nats that the latent tells which tells most of it."""
    mig: float


def data() -> FactorData:
    """Upright sprites in the middle of the picture."""
    return sprites(size=32).only(orientation=[0], x=range(8, 24), y=range(8, 24))


def kept(vae: VAE, known: FactorData) -> Kept:
    """Take the figures of a code over all sprites."""
    columns = [known.factor_names.index(name) for name in FACTORS]
    errors, means, deviations = [], [], []
    with torch.no_grad():
        for part in torch.arange(len(known)).split(512):
            images = known.images_at(part)
            posterior = vae.encode(images)
            errors.append(-vae.observe(posterior.mean).log_prob(images).flatten(1).sum(dim=1))
            means.append(posterior.mean)
            deviations.append(posterior.stddev)
    mean, deviation = torch.cat(means), torch.cat(deviations)
    kl = ((mean.square() + deviation.square() - 1) / 2 - deviation.log()).mean(dim=0)
    factors = known.factors[:, columns].numpy()
    told = mutual_information(mean.numpy(), factors).matrix.max(axis=0)
    return Kept(
        float(torch.cat(errors).mean()),
        float(kl.sum()),
        sorted(kl.tolist(), reverse=True),
        told.tolist(),
        mig(mean.numpy(), factors),
    )


class Watching(Callback):
    """Takes the figures after every epoch, with the capacity that was allowed."""

    def __init__(self, known: FactorData, ramp: Ramp, steps: int) -> None:
        self.known, self.ramp, self.steps = known, ramp, steps
        self.found: list[tuple[float, Kept]] = []

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Look at the code, which stays in training."""
        capacity = self.ramp(self.steps * (trainer.current_epoch + 1))
        code = pl_module.code.eval()
        self.found.append((capacity, kept(code, self.known)))
        code.train()


def train(objective: Objective, images: Tensor, epochs: int, seed: int, **options: Any) -> VAE:
    """Train a new VAE, which no classifier takes part in."""
    torch.manual_seed(seed)
    vae = VAE.convolutional((1, 32, 32), LATENTS, channels=16, hidden=128)
    fit(
        vae,
        None,
        images,
        objective=objective,
        max_epochs=epochs,
        batch_size=BATCH,
        learning_rate=2e-3,
        seed=seed,
        progress=False,
        **options,
    )
    return vae.eval()


def along_beta(known: FactorData, images: Tensor, epochs: int, seed: int) -> list[Kept]:
    """Train a VAE for each of `BETAS`."""
    return [kept(train(BetaVAE(beta), images, epochs, seed), known) for beta in BETAS]


def along_capacity(
    known: FactorData, images: Tensor, epochs: int, seed: int
) -> list[tuple[float, Kept]]:
    """Train one VAE whose capacity grows to `MOST_NATS`, and look after every epoch."""
    steps = -(-len(images) // BATCH)
    ramp = Ramp(MOST_NATS, steps=steps * epochs)
    watching = Watching(known, ramp, steps)
    train(CapacityVAE(ramp, gamma=100.0), images, epochs, seed, callbacks=[watching])
    return watching.found


def draw(
    betas: Sequence[Sequence[Kept]], capacities: Sequence[Sequence[tuple[float, Kept]]]
) -> Any:
    """Draw both studies, a line for each figure; bands are 95 % intervals over seeds."""
    figure = new_figure(12, 6)
    (above, below) = figure.subplots(2, 3)
    nats = [capacity for capacity, _ in capacities[0]]
    rows = (
        (above, "beta", BETAS, betas),
        (below, "capacity (nats)", nats, [[one for _, one in seed] for seed in capacities]),
    )
    for axes, label, places, found in rows:
        _band(axes[0], places, found, lambda one: one.reconstruction, "reconstruction error", 0)
        _band(axes[0], places, found, lambda one: one.kl, "KL", 1)
        axes[0].set_ylabel("nats an image")
        for number, factor in enumerate(FACTORS):
            _band(axes[1], places, found, lambda one, n=number: one.information[n], factor, number)
        axes[1].set_ylabel("told by one latent (nats)")
        _band(axes[2], places, found, lambda one: one.mig, "MIG", 0)
        axes[2].set_ylim(0, 0.6)
        axes[2].set_ylabel("mutual information gap")
        for one in axes:
            one.set_xlabel(label)
            one.spines[["top", "right"]].set_visible(False)
            if label == "beta":
                one.set_xscale("log", base=2)
                one.set_xticks(BETAS, [f"{beta:g}" for beta in BETAS])
        axes[0].legend(frameon=False)
        axes[1].legend(frameon=False, ncols=2)
    return figure


def _band(axes: Any, places: Any, found: Any, of: Any, label: str, colour: int) -> None:
    """Draw the mean over seeds, and its 95 % interval where there are several."""
    values = np.array([[of(one) for one in seed] for seed in found])
    mean = values.mean(axis=0)
    shade = PALETTE[colour]
    axes.plot(places, mean, marker="o", markersize=3, color=shade, label=label)
    if len(values) > 1:
        half = t.ppf(0.975, len(values) - 1) * values.std(axis=0, ddof=1) / len(values) ** 0.5
        axes.fill_between(places, mean - half, mean + half, color=shade, alpha=0.2, linewidth=0)


def main() -> None:
    known = data()
    images = known.sample(known.draw(quick(6_000, 128), generator=torch.Generator().manual_seed(0)))
    betas = [along_beta(known, images, quick(2, 1), seed=0)]
    capacities = [along_capacity(known, images, quick(8, 1), seed=0)]
    path = Path("runs/examples/beta_and_capacity.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(betas, capacities).savefig(path, dpi=120)
    print(f"{path}: KL {betas[0][0].kl:.1f} nats at beta 0.5, {betas[0][-1].kl:.1f} at beta 16")


if __name__ == "__main__":
    main()
