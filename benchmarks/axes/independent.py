"""Does turning a code to independent axes tell factors apart? Known factors say it.

VAEs of sprites of four factors (shape, scale, x, y), which know of no predictor: the plain ones of
`benchmarks.planted_rules`, found in --out or trained now. Each along its own latents, along the
principal axes of its latents, which are uncorrelated, along `independent_axes`, and turned at
random. Figures on all images: MIG, and how much of each factor the latent tells which tells most
(mutual information over the factor's entropy). Figures of two trainings, of each seed and the next:
does one classifier of two classes ("two, additive": is the sum of scale and x large?) have the same
explanation through both?

    python -m benchmarks.axes.independent --seeds 22 23 24 25 26
"""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attributions.axes import Rotation
from attributions.codes import Code, encode
from attributions.independent import independent_axes
from attributions.turned import AlongAxes
from benchmarks.planted_rules.rules import COLUMNS, DATA, FACTORS, plant
from benchmarks.planted_rules.run import trained
from benchmarks.planted_rules.settings import LATENTS, OBJECTIVES
from benchmarks.sizes import new_parser, results_folder, sized
from benchmarks.tables import interval, write
from trimvae import explain
from trimvae.metrics import mig, mutual_information

N_FIT = sized(2_000, 128)
OWN, RULE = "own latents", "two, additive"
N_STEPS = sized(32, 4)


def principal(code: Code, inputs: Tensor, seed: int) -> Code:
    """The code along axes on which its latents are uncorrelated."""
    latents = read(code, inputs)
    axes = torch.linalg.eigh(latents.double().T.cov()).eigenvectors.T
    return AlongAxes(code, Rotation(LATENTS, matrix=axes))


def at_random(code: Code, inputs: Tensor, seed: int) -> Code:
    """The code along axes that nothing was asked for."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(LATENTS, LATENTS, generator=generator, dtype=torch.float64)
    return AlongAxes(code, Rotation(LATENTS, matrix=torch.linalg.qr(drawn)[0]))


ARMS: dict[str, Callable[[Any, Tensor, int], Code]] = {
    OWN: lambda code, inputs, seed: code,
    "turned at random": at_random,
    "principal axes": principal,
    "independent axes": lambda code, inputs, seed: independent_axes(code, inputs),
}


def read(code: Code, images: Tensor) -> Tensor:
    """Latents of images, without gradient."""
    with torch.no_grad():
        return torch.cat([encode(code, part).latents for part in images.split(512)])


def figures(code: Code) -> dict[str, float]:
    """How well single latents tell single factors, over all images."""
    factors = DATA.factors[:, COLUMNS].numpy()
    parts = torch.arange(len(DATA)).split(512)
    codes = torch.cat([read(code, DATA.images_at(part)) for part in parts]).numpy()
    found = mutual_information(codes, factors)
    told = (found.matrix / found.entropies).max(axis=0)
    return {
        "MIG": mig(codes, factors),
        **{f"told of {name}": float(share) for name, share in zip(FACTORS, told, strict=True)},
    }


def agreements(codes: Sequence[Code], seed: int) -> list[dict[str, float]]:
    """Of each code and the next, whether they explain one classifier alike."""
    planted = plant(RULE, seed)
    explained = [
        explain(code, planted.classifier, planted.test_inputs, n_steps=N_STEPS, check_parts=False)
        for code in codes
    ]
    compared = [one.compare(other) for one, other in itertools.pairwise([*explained, explained[0]])]
    return [
        {
            "same strongest": float(pair.same_strongest),
            "attribution cosine": float(pair.attribution_cosine),
            "used correlation": float(pair.used_correlation),
        }
        for pair in compared
    ]


def main() -> None:
    parser = new_parser(__doc__, seeds=[22, 23, 24, 25, 26])
    parser.add_argument("--out", type=Path, default=results_folder("planted_rules"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    rows: dict[str, dict[str, str]] = {}
    for name in OBJECTIVES:
        codes: dict[str, list[Code]] = {arm: [] for arm in ARMS}
        for seed, arm in itertools.product(arguments.seeds, ARMS):
            planted = plant(RULE, seed)
            vae, _ = trained(RULE, name, seed, planted, arguments.out, "plain")
            codes[arm].append(ARMS[arm](vae, planted.inputs[:N_FIT], seed))
        found = {}
        for arm, several in codes.items():
            both = zip(map(figures, several), agreements(several, arguments.seeds[0]), strict=True)
            found[arm] = [alone | beside for alone, beside in both]
            print(name, arm, found[arm], flush=True)
        for arm, results in found.items():
            rows[f"{name}; {arm}"] = {
                figure: interval([one[figure] for one in results]) for figure in results[0]
            }
        paired = zip(found["independent axes"], found[OWN], strict=True)
        differences = [{name: ours[name] - own[name] for name in own} for ours, own in paired]
        rows[f"{name}; independent axes less own latents"] = {
            figure: interval([one[figure] for one in differences], sign=True)
            for figure in differences[0]
        }
    seeds = " ".join(map(str, arguments.seeds))
    note = (
        f"32x32 sprites, {LATENTS} latents, plain VAEs of `benchmarks.planted_rules`; axes found "
        f"on {N_FIT:,} images. Mean ± half the 95 % interval over {len(arguments.seeds)} "
        f"seeds. `python -m benchmarks.axes.independent --seeds {seeds}`"
    )
    write("independent_axes", note, rows, "code; axes")


if __name__ == "__main__":
    main()
