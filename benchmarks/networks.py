"""Which network reconstructs better in equal time: Burgess' convolutions or residual blocks?

A plain VAE of ten latents on coloured sprites, Fashion-MNIST and the photograph of a cat. The time
of a step is measured first; then each network trains for as many epochs as fit in the same CPU
seconds, each under its own one-cycle schedule. Squared error of held-out pictures at the posterior
means, and epochs.

    python -m benchmarks.networks --seeds 0 1 2 3 4
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.sizes import add_fashion, new_parser, results_folder, sized, skip
from benchmarks.tables import interval, write
from trimvae import VAE, fit
from trimvae.data import fashion_mnist, photographs, sprites

SEEDS = [0, 1, 2, 3, 4]
N_TRAINED, N_HELD_OUT, N_TIMED = sized((2000, 500, 256), (64, 16, 64))
SECONDS, BATCH = sized(20.0, 0.1), 64

NETWORKS: dict[str, Callable[[tuple[int, int, int]], VAE]] = {
    "convolutional (32)": lambda shape: VAE.convolutional(shape, 10),
    "residual (8)": lambda shape: VAE.residual(shape, 10),
    "residual (16)": lambda shape: VAE.residual(shape, 10, channels=16),
}


def pictures(folder: Path | None) -> dict[str, Callable[[int], Tensor]]:
    """For each data set pictures of a seed, those to train with first."""

    def of_sprites(seed: int) -> Tensor:
        data = sprites(colours=6)
        return data.sample(data.draw(N_TRAINED + N_HELD_OUT, generator=source(seed)))

    def of_fashion(seed: int) -> Tensor:
        images = fashion_mnist(folder).train_inputs
        return images[torch.randperm(len(images), generator=source(seed))[: N_TRAINED + N_HELD_OUT]]

    def of_photographs(seed: int) -> Tensor:
        data = photographs(size=64)
        fixed, count = {"photograph": 0}, N_TRAINED + N_HELD_OUT
        return data.sample(data.draw(count, fixed=fixed, generator=source(seed)))

    return {"sprites": of_sprites, "fashion": of_fashion, "photographs": of_photographs}


def source(seed: int) -> torch.Generator:
    """Of the pictures of a seed."""
    return torch.Generator().manual_seed(seed)


def trained(network: str, images: Tensor, epochs: int, seed: int) -> tuple[VAE, float]:
    """A VAE of this network, and how many CPU seconds it took."""
    torch.manual_seed(seed)
    vae = NETWORKS[network](tuple(images.shape[1:]))
    started = time.process_time()
    options = {"progress": False, "accelerator": "cpu", "seed": seed}
    fit(vae, None, images, max_epochs=epochs, batch_size=BATCH, **options)
    return vae, time.process_time() - started


def figures(network: str, images: Tensor, seed: int) -> dict[str, float]:
    """Squared error of held-out pictures after the same time, and in how many epochs."""
    to_train, held_out = images[:N_TRAINED], images[N_TRAINED:]
    trained(network, to_train[:BATCH], 1, seed)  # what is made once is not a step's
    _, seconds = trained(network, to_train[:N_TIMED], 1, seed)
    epochs = max(1, round(SECONDS / (seconds * N_TRAINED / N_TIMED)))
    vae, spent = trained(network, to_train, epochs, seed)
    with torch.no_grad():
        parts = [(vae(some) - some).square().flatten(1).sum(1) for some in held_out.split(BATCH)]
    return {"error": float(torch.cat(parts).mean()), "epochs": epochs, "seconds": spent}


def main() -> None:
    parser = new_parser(__doc__, seeds=SEEDS)
    add_fashion(parser)
    parser.add_argument("--out", type=Path, default=results_folder("networks"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, list[dict[str, float]]]] = {n: {} for n in NETWORKS}
    for seed in arguments.seeds:
        for name, of_seed in pictures(arguments.folder).items():
            try:
                images = of_seed(seed)
            except ModuleNotFoundError as error:
                skip(str(error))
            for network in NETWORKS:
                kept = arguments.out / f"{name}_{network.replace(' ', '_')}_{seed}.json"
                if not kept.exists():
                    kept.write_text(json.dumps(figures(network, images, seed)), encoding="utf-8")
                each = json.loads(kept.read_text(encoding="utf-8"))
                found[network].setdefault(name, []).append(each)
                print(seed, name, network, each, flush=True)
    rows = {
        network: {
            name: f"{interval([r['error'] for r in results], 1)} "
            f"({sum(r['epochs'] for r in results) / len(results):.0f} epochs)"
            for name, results in by_data.items()
        }
        for network, by_data in found.items()
    }
    note = (
        f"Squared error of held-out pictures after {SECONDS:.0f} CPU seconds of training, "
        f"{len(arguments.seeds)} seeds; mean ± half the 95 % interval. "
        f"`python -m benchmarks.networks --seeds {' '.join(map(str, arguments.seeds))}`"
    )
    write("networks", note, rows, "network (channels)")


if __name__ == "__main__":
    main()
