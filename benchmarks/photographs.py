"""Does an explanation of an ImageNet classifier say which factors of a photograph it uses?

EfficientNet-Lite0 with its own weights looks at a photograph of a cat, rendered with known
position, zoom, rotation, hue, brightness and blur. Its true use of each factor is measured by
rendering again: the mean change of its evidence for "cat" (the centred logit) from a level to every
other, over held-out pictures. A VAE that never saw a factor explains it: a factor's evidence is the
mean size of each latent's attribution to "cat", times the share of the latent's variance that the
factor explains, summed over the latents. Both are ranked.

The control ranks factors by how many pixels they change, and by the latents' variance without the
attributions: what a code draws, whoever looks.

    python -m benchmarks.photographs --seeds 0 1 2 3 4
"""

import json
import statistics
from pathlib import Path

import torch
from scipy.stats import spearmanr
from torch import Tensor

from attributions import Predictor
from benchmarks.sizes import new_parser, results_folder, sized, skip
from benchmarks.tables import interval, write
from trimvae import VAE, explain, fit
from trimvae.data import FactorData, photographs
from trimvae.data.imagenet import CLASSES, efficientnet_lite
from trimvae.metrics.variance import variance_shares

SEEDS = [0, 1, 2, 3, 4]
# Pictures that are explained and rendered again: of a seed that no code was trained with.
HELD_OUT = 1000
N_TRAINED, N_THROUGH, N_EXPLAINED = sized((6000, 4000, 120), (64, 32, 12))
EPOCHS, EPOCHS_THROUGH, N_STEPS = sized((10, 4, 8), (1, 1, 2))
PREDICTION_WEIGHT = 200.0
CAT = 0


def drawn(data: FactorData, n: int, seed: int) -> Tensor:
    """Levels of pictures of the cat."""
    generator = torch.Generator().manual_seed(seed)
    return data.draw(n, fixed={"photograph": CAT}, generator=generator)


def rendered_again(data: FactorData, levels: Tensor, asked: Predictor) -> dict[str, Tensor]:
    """Mean change of the evidence for the cat, and of the pixels, from a level to all others."""
    images = data.sample(levels)
    before = asked.select(asked.in_batches(images))[:, CAT]
    said, seen = [], []
    for column, size in enumerate(data.factor_sizes[1:], start=1):
        evidence, pixels = [], []
        for level in range(size):
            other = levels.clone()
            other[:, column] = level
            moved = other[:, column] != levels[:, column]
            changed = data.sample(other[moved])
            after = asked.select(asked.in_batches(changed))[:, CAT]
            evidence.append((after - before[moved]).abs())
            pixels.append((changed - images[moved]).abs().flatten(1).mean(dim=1))
        said.append(torch.cat(evidence).mean())
        seen.append(torch.cat(pixels).mean())
    return {"used": torch.stack(said), "pixels": torch.stack(seen)}


def trained(data: FactorData, asked: Predictor, seed: int) -> VAE:
    """A code of the cat: first for pictures alone, which is fast, then through the classifier."""
    images = data.sample(drawn(data, N_TRAINED, seed))
    torch.manual_seed(seed)
    vae = VAE.convolutional((3, 64, 64), latent_size=12)
    options = {"seed": seed, "progress": False, "accelerator": "cpu"}
    fit(vae, None, images, max_epochs=EPOCHS, batch_size=64, **options)
    fit(
        vae,
        asked,
        images[:N_THROUGH],
        max_epochs=EPOCHS_THROUGH,
        batch_size=64,
        learning_rate=2e-3,
        prediction_weight=PREDICTION_WEIGHT,
        **options,
    )
    return vae


def figures(
    data: FactorData, levels: Tensor, asked: Predictor, truth: dict[str, Tensor], seed: int
) -> dict[str, float]:
    """Rank correlations of one code's explanation with the true use."""
    vae = trained(data, asked, seed)
    explanation = explain(vae, asked, data.sample(levels), n_steps=N_STEPS, check_parts=False)
    shares = variance_shares(explanation.latents, levels[:, 1:])
    sizes = explanation.attributions[:, CAT].abs().mean(dim=0)
    drawn_alone = explanation.latents.var(dim=0)
    evidence = {
        "explanation": sizes @ shares,
        "variance of latents": drawn_alone @ shares,
        "pixels": truth["pixels"],
    }
    found = {name: float(spearmanr(each, truth["used"])[0]) for name, each in evidence.items()}
    metrics = explanation.metrics
    return {
        **found,
        "agreement": metrics["agreement"],
        "latent share": metrics["latent_share"],
        **{f"evidence {n}": float(v) for n, v in zip(names(data), sizes @ shares, strict=True)},
    }


def names(data: FactorData) -> tuple[str, ...]:
    """Of the factors that vary."""
    return data.factor_names[1:]


def main() -> None:
    parser = new_parser(__doc__, seeds=SEEDS)
    parser.add_argument("--out", type=Path, default=results_folder("photographs"))
    parser.add_argument("--size", type=int, default=64, help="pixels that the classifier sees")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    try:
        data = photographs(size=64)
        classifier = efficientnet_lite({"cat": CLASSES["cat"]}, size=arguments.size)
    except ModuleNotFoundError as error:
        skip(str(error))
    asked = Predictor(classifier, explained="centred_logit")
    levels = drawn(data, N_EXPLAINED, HELD_OUT)
    truth = rendered_again(data, levels, asked)
    results = []
    for seed in arguments.seeds:
        kept = arguments.out / f"{arguments.size}_{seed}.json"
        if not kept.exists():
            found = figures(data, levels, asked, truth, seed)
            kept.write_text(json.dumps(found), encoding="utf-8")
        results.append(json.loads(kept.read_text(encoding="utf-8")))
        print(seed, results[-1], flush=True)
    note = (
        f"{len(results)} codes of {N_TRAINED} pictures, {N_EXPLAINED} held out; Spearman's "
        "correlation over seven factors with their true use, mean ± half the 95 % interval. "
        f"Agreement {interval([each['agreement'] for each in results])}, latent share "
        f"{interval([each['latent share'] for each in results])}."
    )
    ranked = ("explanation", "variance of latents", "pixels")
    rows = {n: {"rank correlation": interval([each[n] for each in results])} for n in ranked}
    write("photographs", note, rows, "factors ranked by")
    whole = truth["used"].sum()
    shares = {
        name: {
            "true use": f"{float(used / whole):.2f}",
            "explanation": f"{statistics.mean(_share(each, name) for each in results):.2f}",
        }
        for name, used in zip(names(data), truth["used"], strict=True)
    }
    write("photographs_factors", "Shares of the sum over factors, mean of codes.", shares, "factor")


def _share(result: dict[str, float], name: str) -> float:
    total = sum(value for key, value in result.items() if key.startswith("evidence "))
    return result[f"evidence {name}"] / total


if __name__ == "__main__":
    main()
