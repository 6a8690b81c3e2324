"""Does an explanation say what each change of a photograph costs an ImageNet classifier?

EfficientNet-Lite0 with its own weights looks at a photograph that is shifted, zoomed, turned,
recoloured, dimmed and blurred, at random and all at once. The true use of a change is measured by
rendering the picture again without it: the mean absolute change of the evidence (the centred
logit) for the photograph's class. The code decodes by the same renderer; its latents are read from
the pixels alone, by a network of the seed and a search. So what is asked is whether encoder,
attributions and their mean over pictures put seven changes in their true order, and whether a
change's attribution in one picture is what undoing it does there.

The control orders the changes by how many pixels each changes, whoever looks.

    python -m benchmarks.photographs --seeds 0 1 2 3 4
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from scipy.stats import spearmanr
from torch import Tensor, nn

from attributions import Predictor, integrated_gradients
from attributions.methods.shapley import exact_shapley
from benchmarks.sizes import docs, new_parser, results_folder, sized, skip
from benchmarks.tables import interval, write
from trimvae import explain
from trimvae.data.imagenet import CLASSES, efficientnet_lite
from trimvae.data.photos import CHANGES, Rendering
from trimvae.models import fit_inverter, invert

SEEDS = [0, 1, 2, 3, 4]
SHOWN = sized(("cat", "rocket"), ("cat",))
SIZE = 96
# Decimal places of a factor below a picture.
PLACES = {"rotation": 0, "hue": 0, "zoom": 2, "blur": 3}
# Pictures that are explained: of seeds that no encoder was fitted with.
HELD_OUT = 1000
N_STEPS, N_REFINED, N_EXPLAINED, N_POINTS = sized((250, 100, 20, 32), (2, 2, 3, 2))
METHODS = {
    "exact Shapley": (exact_shapley, {}),
    "integrated gradients": (integrated_gradients, {"n_steps": N_POINTS}),
}


class Truth(NamedTuple):
    """What undoing a change does."""

    evidence: Tensor
    """`(n, 7)`, evidence of the picture minus that of the picture without the change."""
    pixels: Tensor
    """`(n, 7)`, mean absolute change of the pixels."""


def rendered_again(code: Rendering, changes: Tensor, asked: Predictor) -> Truth:
    """Set each change to 0, and ask the classifier again."""
    pictures = code.decode(changes)
    before = asked.select(asked.in_batches(pictures))[:, 0]
    evidence, pixels = [], []
    for column in range(code.latent_size):
        undone = changes.clone()
        undone[:, column] = 0
        others = code.decode(undone)
        evidence.append(before - asked.select(asked.in_batches(others))[:, 0])
        pixels.append((pictures - others).abs().flatten(1).mean(dim=1))
    return Truth(torch.stack(evidence, dim=1), torch.stack(pixels, dim=1))


def reader(photograph: str, decode: Callable[[Tensor], Tensor], seed: int) -> Callable:
    """An encoder fitted on the seed's renderings of half the size, refined by pixel error."""
    torch.manual_seed(seed)
    small = Rendering(photograph, size=SIZE // 2)
    network = fit_inverter(
        small,
        small.image_shape,
        small.latent_size,
        n_steps=N_STEPS,
        generator=torch.Generator().manual_seed(seed),
    )
    near = nn.Sequential(nn.AvgPool2d(2), network)

    def read(pictures: Tensor) -> Tensor:
        options = {"n_steps": N_REFINED, "learning_rate": 0.1, "warn_above": None}
        return invert(decode, pictures, near(pictures), **options).latents

    return read


def ranks_alike(one: Tensor, other: Tensor) -> float:
    """Spearman's correlation."""
    return float(spearmanr(one.flatten(), other.flatten())[0])


def figures(photograph: str, seed: int) -> dict[str, object]:
    """What one code's explanations have to do with the truth."""
    classifier = efficientnet_lite({photograph: CLASSES[photograph]}, size=SIZE)
    asked = Predictor(classifier, explained="centred_logit")
    code = Rendering(photograph, size=SIZE)
    code.encoder = reader(photograph, code.decode, seed)
    changes = code.draw(N_EXPLAINED, torch.Generator().manual_seed(HELD_OUT + seed))
    truth = rendered_again(code, changes, asked)
    used = truth.evidence.abs().mean(dim=0)
    found: dict[str, object] = {
        "true use": used.tolist(),
        "pixels": {"over changes": ranks_alike(truth.pixels.mean(dim=0), used)},
    }
    for name, (method, options) in METHODS.items():
        explanation = explain(
            code, asked, code.decode(changes), method=method, check_parts=False, **options
        )
        costs = explanation.attributions[:, 0]
        sizes = costs.abs().mean(dim=0)
        found[name] = {
            "over changes": ranks_alike(sizes, used),
            "over pictures": ranks_alike(costs, truth.evidence),
            "completeness error": explanation.metrics["completeness_error"],
            "sizes": sizes.tolist(),
        }
        found["agreement"] = explanation.metrics["agreement"]
        found["error of latents"] = (explanation.latents - changes).abs().mean().item()
    return found


def share(values: list[list[float]]) -> list[float]:
    """Of the sum over changes, mean of seeds."""
    rows = torch.tensor(values)
    return (rows / rows.sum(dim=1, keepdim=True)).mean(dim=0).tolist()


def strips(photograph: str, shown: tuple[str, ...] = ("rotation", "hue", "zoom", "blur")) -> Figure:
    """The photograph changed in one way after the other, and what the classifier says to it."""
    classifier = efficientnet_lite({photograph: CLASSES[photograph]}, size=SIZE)
    code = Rendering(photograph, size=SIZE)
    drawn = code.draw(2000, torch.Generator().manual_seed(0))
    figure, axes = plt.subplots(
        len(shown), 7, figsize=(8.6, 1.42 * len(shown)), layout="constrained"
    )
    for row, name in zip(axes, shown, strict=True):
        column = code.latent_names.index(name)
        latents = code.baseline(7)
        ends = drawn[:, column].min(), drawn[:, column].max()
        latents[:, column] = torch.linspace(*ends, 7)
        pictures, factors = code.decode(latents), code.factors_at(latents)[:, column]
        cat = classifier(pictures).detach().softmax(dim=1)[:, 0]
        for axis, picture, factor, share in zip(row, pictures, factors, cat, strict=True):
            axis.imshow(picture.movedim(0, -1))
            axis.set_xticks([])
            axis.set_yticks([])
            shown_factor = round(float(factor), PLACES[name]) + 0.0  # never -0
            axis.set_title(f"{shown_factor:.{PLACES[name]}f}: {share:.0%}", fontsize=9)
        row[0].set_ylabel(name)
    return figure


def main() -> None:
    parser = new_parser(__doc__, seeds=SEEDS)
    parser.add_argument("--out", type=Path, default=results_folder("photographs"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, list[dict]] = {}
    for photograph in SHOWN:
        for seed in arguments.seeds:
            kept = arguments.out / f"{photograph}_{seed}.json"
            if not kept.exists():
                try:
                    found = figures(photograph, seed)
                except ModuleNotFoundError as error:
                    skip(str(error))
                kept.write_text(json.dumps(found), encoding="utf-8")
            results.setdefault(photograph, []).append(json.loads(kept.read_text(encoding="utf-8")))
            print(photograph, seed, results[photograph][-1], flush=True)
    strips(SHOWN[0]).savefig(docs("images") / "photographs.png", dpi=72)
    rows, changes = {}, {}
    for photograph, each in results.items():
        for name in (*METHODS, "pixels"):
            said = [one[name] for one in each]
            rows[f"{photograph}: {name}"] = {
                column: interval([one[column] for one in said])
                for column in ("over changes", "over pictures", "completeness error")
                if column in said[0]
            }
        used = share([one["true use"] for one in each])
        sizes = share([one["exact Shapley"]["sizes"] for one in each])
        for name, true, explained in zip(CHANGES, used, sizes, strict=True):
            row = changes.setdefault(name, {})
            row[f"{photograph}: true use"] = f"{true:.2f}"
            row[f"{photograph}: exact Shapley"] = f"{explained:.2f}"
    heads = "; ".join(
        f"{photograph}: agreement {interval([one['agreement'] for one in each])}, mean error of a "
        f"latent {interval([one['error of latents'] for one in each])} deviations"
        for photograph, each in results.items()
    )
    write(
        "photographs",
        f"`python -m benchmarks.photographs`: {len(arguments.seeds)} seeds of encoder and "
        f"pictures, {N_EXPLAINED} pictures each; Spearman's correlation with what undoing a change "
        f"does, mean ± half the 95 % interval. {heads}.",
        rows,
        "ordered by",
    )
    write(
        "photographs_changes", "Shares of the sum over changes, mean of seeds.", changes, "change"
    )


if __name__ == "__main__":
    main()
