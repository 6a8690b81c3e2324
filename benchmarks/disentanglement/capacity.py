"""Beta and capacity: what a code keeps of four known factors when it may keep little.

The studies of Burgess et al., Understanding disentangling in beta-VAE, 2018
(https://arxiv.org/abs/1804.03599), on 32x32 sprites: one training for each beta and seed, and one
for each seed whose capacity grows from 0. Functions and figure are those of the example
`examples/beta_and_capacity.py`. Results are kept in --out, so that an interrupted run goes on.

    python -m benchmarks.disentanglement.capacity --seeds 10 11 12 13 14
"""

import json
from pathlib import Path

import torch

from benchmarks.sizes import docs, new_parser, results_folder, sized
from benchmarks.tables import interval, write
from examples.beta_and_capacity import BETAS, FACTORS, Kept, along_beta, along_capacity, data, draw

N_TRAIN, EPOCHS, EPOCHS_GROWING = sized((8_000, 8, 15), (128, 1, 1))


def found(seed: int, out: Path) -> tuple[list[Kept], list[tuple[float, Kept]]]:
    """Both studies of a seed, run now or found."""
    path = out / f"{seed}.json"
    if not path.exists():
        known = data()
        images = known.sample(known.draw(N_TRAIN, generator=torch.Generator().manual_seed(seed)))
        betas = along_beta(known, images, EPOCHS, seed)
        capacities = along_capacity(known, images, EPOCHS_GROWING, seed)
        path.write_text(json.dumps([betas, capacities]))
    betas, capacities = json.loads(path.read_text())
    return [Kept(*one) for one in betas], [(nats, Kept(*one)) for nats, one in capacities]


def row(several: list[Kept]) -> dict[str, str]:
    """Mean and 95 % interval over seeds."""
    told = {
        f"told of {factor}": interval([one.information[number] for one in several], 2)
        for number, factor in enumerate(FACTORS)
    }
    return {
        "reconstruction": interval([one.reconstruction for one in several], 1),
        "KL": interval([one.kl for one in several], 1),
        "latents of 0.1 nats or more": interval(
            [sum(nats >= 0.1 for nats in one.kl_of_latents) for one in several], 1
        ),
        **told,
        "MIG": interval([one.mig for one in several], 2),
    }


def main() -> None:
    parser = new_parser(__doc__, seeds=[10, 11, 12, 13, 14])
    parser.add_argument("--out", type=Path, default=results_folder("capacity"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    both = []
    for seed in arguments.seeds:
        both.append(found(seed, arguments.out))
        print(f"seed {seed}: done", flush=True)
    betas, capacities = ([one[side] for one in both] for side in (0, 1))
    rows = {
        f"beta {beta:g}": row([seed[number] for seed in betas]) for number, beta in enumerate(BETAS)
    }
    for number in range(2, len(capacities[0]), 3):
        nats = capacities[0][number][0]
        rows[f"capacity {nats:.0f} nats"] = row([seed[number][1] for seed in capacities])
    write(
        "capacity",
        f"32x32 sprites, {N_TRAIN:,} images, {EPOCHS} epochs for each beta; capacity grown to 15 "
        f"nats in {EPOCHS_GROWING} epochs. Mean ± half the 95 % interval over {len(both)} seeds, "
        "fresh ones, in nats an image; of a factor what the latent tells which tells most. "
        "`python -m benchmarks.disentanglement.capacity`",
        rows,
        "",
    )
    draw(betas, capacities).savefig(docs("images") / "capacity.png", dpi=150)


if __name__ == "__main__":
    main()
