"""Planted rules: does the explanation name the factors that the classifier was made to use?

Each classifier is explained through plain beta-VAE, beta-TCVAE and FactorVAE, which know nothing
of it, and through the same trained by trimvae: prediction loss and group sparsity. Both go on from
the same weights, for as long. (Asked for few latents from the first step, a code packs a second
factor into the latent that decides, before it has told the factors apart. `Sparsity` asks that each
example uses few latents and lets every example use others: a code that puts the size of a sprite
into the radius of its position satisfies it.) Figures on 1,000 held-out images:

- hard share: of the attribution on latents whose best-matched factor (mutual information)
  belongs to the rule;
- soft share: each latent counts by the part of its information that is about the rule's factors;
- AUROC: do factors of the rule get more of the attribution than the others? A latent's attribution
  is shared among factors by its sensitivity to each (Sobol's total-effect indices, from rendering
  again);
- rank correlation of these shares with the factors' shares of the interventional effect on the
  classifier, both in tenths: the order of unused factors, or of equal ones, is noise.

Each VAE is also seen along the axes of every other arm of `arms.ARMS`, and compared with itself as
it was trained.

Results are kept in --out, so that an interrupted run goes on; --job I N does every N-th; --again
takes the figures anew from the VAEs that were kept.

    python -m benchmarks.planted_rules.run --seeds 0 1 2
    python -m benchmarks.planted_rules.run --rules other --seeds 20 21 22 23 24
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from torch import Tensor

from attributions import GroupSparsity
from attributions.codes import Code, encode
from attributions.heatmaps import PALETTE, new_figure
from benchmarks.planted_rules.arms import ARMS, AS_TRAINED, seen
from benchmarks.planted_rules.rules import (
    COLUMNS,
    DATA,
    FACTORS,
    RULES,
    SETS,
    Planted,
    interventional_effect,
    plant,
    sensitivity,
)
from benchmarks.sizes import SEEDS, docs, new_parser, results_folder, sized
from benchmarks.tables import interval, write
from trimvae import VAE, explain, fit
from trimvae.metrics import mig, mutual_information
from trimvae.objectives import BetaTCVAE, BetaVAE, FactorVAE, Objective

OBJECTIVES = ("beta-VAE (4)", "beta-TCVAE (6, gamma 4)", "FactorVAE (10)")
FIGURES = (
    "hard_share",
    "soft_share",
    "auroc",
    "rank_correlation",
    "effective_latents",
    "agreement",
    "mig",
)
LATENTS, BATCH = 8, 64
# A step of FactorVAE reads two batches.
EPOCHS = dict(zip(OBJECTIVES, sized((8, 8, 12), (1, 1, 1)), strict=True))
EPOCHS_ON = dict(zip(OBJECTIVES, sized((5, 5, 8), (1, 1, 1)), strict=True))
PREDICTION_WEIGHT, SPARSITY = 20.0, 50.0


def objective(name: str) -> Objective:
    return {
        "beta-VAE (4)": lambda: BetaVAE(4.0),
        "beta-TCVAE (6, gamma 4)": lambda: BetaTCVAE(6.0, gamma=4.0),
        "FactorVAE (10)": lambda: FactorVAE(10.0, width=128, depth=4, learning_rate=1e-3),
    }[name]()


def train(
    name: str, planted: Planted, seed: int, start: VAE | None = None, *, through: bool = False
) -> VAE:
    """Train a new VAE, or one further: as it was, or through the classifier."""
    torch.manual_seed(seed)
    vae = start or VAE.convolutional((1, 32, 32), LATENTS, channels=16, hidden=128)
    fit(
        vae,
        planted.classifier if through else None,
        planted.inputs,
        objective=objective(name),
        prediction_weight=PREDICTION_WEIGHT if through else 0.0,
        penalties=[GroupSparsity(weight=SPARSITY)] if through else [],
        max_epochs=(EPOCHS if start is None else EPOCHS_ON)[name],
        batch_size=BATCH,
        learning_rate=2e-3,
        seed=seed,
        progress=False,
    )
    return vae


def figures(
    code: Code, planted: Planted, rule: str, read: Callable[[Tensor], Tensor] | None = None
) -> dict:
    """Of an explanation through a code; `read` gives the latents of images that are explained.

    By default the code's own encoder reads.
    """
    read = read or (lambda images: encode(code, images).latents)
    explanation = explain(code, planted.classifier, planted.test_inputs, n_steps=sized(32, 4))
    predicted = planted.classifier(planted.test_inputs).argmax(dim=1)
    rows = explanation.attributions[torch.arange(len(predicted)), predicted].abs().numpy()
    # The whole grid, so that independent latents have next to no information by chance.
    factors = DATA.factors[:, COLUMNS].numpy()
    with torch.no_grad():
        parts = torch.arange(len(DATA)).split(512)
        codes = torch.cat([read(DATA.images_at(part)) for part in parts]).numpy()
    weights = rows.sum(axis=0)[: codes.shape[1]] / rows.sum()
    information = mutual_information(codes, factors).matrix
    relevant = np.array([factor in RULES[rule].relevant for factor in FACTORS])
    shares = information / information.sum(axis=1, keepdims=True).clip(1e-12)
    by_factor = weights @ sensitivity(read)
    effect = interventional_effect(planted.classifier, planted.test_factors[:500]).numpy()
    return {
        "hard_share": float(weights[relevant[information.argmax(axis=1)]].sum()),
        "soft_share": float((weights @ shares)[relevant].sum()),
        "auroc": float(roc_auc_score(relevant, by_factor)),
        "rank_correlation": rank_correlation(by_factor, effect),
        "mig": mig(codes, factors),
        "accuracy": planted.accuracy,
        **{name: explanation.metrics[name] for name in ("effective_latents", "agreement")},
        "reconstruction_error": explanation.metrics["reconstruction_error"],
        "weights": weights.tolist(),
        "information": information.tolist(),
        "by_factor": by_factor.tolist(),
        "effect": effect.tolist(),
    }


def rank_correlation(attributed: np.ndarray, effect: np.ndarray) -> float:
    shares = [part / part.sum() for part in (attributed, effect)]
    return float(spearmanr(*[np.where(part < 0.1, 0, part.round(1)) for part in shares]).statistic)


def key(*parts: object) -> str:
    return "_".join("".join(c for c in str(part) if c.isalnum()) for part in parts)


def trained(
    rule: str, name: str, seed: int, planted: Planted, out: Path, kind: str
) -> tuple[VAE, float]:
    """A VAE that was kept, or a new one, which is; and the seconds that its training took.

    The kinds: "first", which both others are trained on from, "plain" and "trimvae".
    """
    # Without the classifier, the same VAE serves wherever the data is the same.
    data = rule if kind == "trimvae" else RULES[rule].correlated is not None
    kept = out / f"{key(name, data, kind, seed)}.safetensors"
    if kept.exists():
        return VAE.load(kept), 0.0
    start = None if kind == "first" else trained(rule, name, seed, planted, out, "first")[0]
    started = time.perf_counter()
    vae = train(name, planted, seed, start, through=kind == "trimvae")
    vae.save(kept)
    return vae, time.perf_counter() - started


def run(
    rule: str, name: str, seed: int, *, through: bool, out: Path, arm: str = AS_TRAINED
) -> dict:
    planted = plant(rule, seed)
    kind = "trimvae" if through else "plain"
    vae, seconds = trained(rule, name, seed, planted, out, kind)
    code = seen(arm, vae, planted.classifier, planted.inputs)
    return {**figures(code, planted, rule), "seconds": seconds}


def result_path(
    out: Path, rule: str, name: str, through: bool, seed: int, arm: str = AS_TRAINED
) -> Path:
    """Where a result is kept."""
    axes = () if arm == AS_TRAINED else (arm,)
    return out / f"{key(rule, name, through, *axes, seed)}.json"


def main() -> None:
    parser = new_parser(__doc__, seeds=SEEDS)
    parser.add_argument("--out", type=Path, default=results_folder("planted_rules"))
    parser.add_argument("--rules", choices=SETS, default="first", help="which rules")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--table", action="store_true", help="only write the tables")
    parser.add_argument("--again", action="store_true", help="take the figures anew")
    parser.add_argument("--job", type=int, nargs=2, default=[0, 1], metavar=("I", "N"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    index, jobs = arguments.job
    # Plain VAEs that are shared between rules stay in one process: they are split by objective.
    plan = [
        (seed, name, through, rule, arm)
        for seed, name in itertools.product(arguments.seeds, OBJECTIVES)
        for through in (True, False)
        for rule in SETS[arguments.rules]
        for arm in arguments.arms
    ]
    groups = list(itertools.product(arguments.seeds, OBJECTIVES))
    for seed, name, through, rule, arm in [] if arguments.table else plan:
        if groups.index((seed, name)) % jobs != index:
            continue
        path = result_path(arguments.out, rule, name, through, seed, arm)
        if path.exists() and not arguments.again:
            continue
        result = run(rule, name, seed, through=through, out=arguments.out, arm=arm)
        path.write_text(json.dumps(result))
        shown = {figure: round(result[figure], 3) for figure in FIGURES}
        print(seed, name, through, rule, arm, shown, round(result["seconds"]), flush=True)
    if jobs == 1:
        tabulate(arguments)


def tabulate(arguments: argparse.Namespace) -> None:
    """Write the tables from the results in --out: all rules together, then each."""
    rules, seeds = SETS[arguments.rules], " ".join(map(str, arguments.seeds))
    name_of_table = "planted_rules" + ("" if arguments.rules == "first" else f"_{arguments.rules}")
    together: dict[str, dict[str, str]] = {}
    by_rule: dict[str, dict[str, str]] = {}
    for name in OBJECTIVES:
        kinds = {
            kind: {rule: kept(arguments, rule, name, kind == "trimvae") for rule in rules}
            for kind in ("plain", "trimvae")
        }
        for kind, found in kinds.items():
            means = over_rules(found, arguments.seeds)
            if not means[FIGURES[0]]:
                continue
            together[f"{name}, {kind}"] = {
                figure.replace("_", " "): interval(means[figure]) for figure in FIGURES
            } | {"seeds": str(len(means[FIGURES[0]]))}
            for rule, some in found.items():
                by_rule[f"{rule}; {name}, {kind}"] = {
                    figure.replace("_", " "): interval([one[figure] for one in some.values()])
                    for figure in FIGURES[:6]
                } | {"classifier": f"{statistics.mean(r['accuracy'] for r in some.values()):.3f}"}
        paired = [
            seed
            for seed in arguments.seeds
            if all(has_all(found, seed) for found in kinds.values())
        ]
        both = [over_rules(kinds[kind], paired) for kind in ("trimvae", "plain")]
        if len(paired) > 1:
            together[f"{name}, trimvae less plain"] = {
                figure.replace("_", " "): interval(
                    [
                        ours - theirs
                        for ours, theirs in zip(*(m[figure] for m in both), strict=True)
                    ],
                    sign=True,
                )
                for figure in FIGURES
            }
    note = (
        f"32x32 sprites of four factors, {LATENTS} latents, 8 epochs of 16,000 images (FactorVAE "
        f"12), then 5 (8) more as they were, or through the classifier: prediction weight "
        f"{PREDICTION_WEIGHT:g}, `GroupSparsity(weight={SPARSITY:g})`, seeds {seeds}. "
        f"`python -m benchmarks.planted_rules.run --rules {arguments.rules} --seeds {seeds}`"
    )
    draw(arguments, name_of_table)
    over = "Means over the rules, and half the 95 % interval over seeds"
    write(name_of_table, f"{over}. {note}", together, "code")
    write(
        f"{name_of_table}_each",
        f"Mean ± half the 95 % interval over seeds. {note}",
        by_rule,
        "rule; code",
    )
    if differences := compared(arguments):
        of_both = (
            "Less the same VAE as trained: mean and 95 % interval over seeds of means over rules"
        )
        write(f"{name_of_table}_axes", f"{of_both}. {note}", differences, "code; axes")


def kept(arguments: argparse.Namespace, rule: str, name: str, through: bool) -> dict[int, dict]:
    """Results in --out, by seed."""
    return {
        seed: json.loads(path.read_text())
        for seed in arguments.seeds
        if (path := result_path(arguments.out, rule, name, through, seed)).exists()
    }


def has_all(found: dict[str, dict[int, dict]], seed: int) -> bool:
    """Whether a seed has results of every rule."""
    return all(seed in some for some in found.values())


def over_rules(found: dict[str, dict[int, dict]], seeds: Sequence[int]) -> dict[str, list[float]]:
    """For each figure the means over rules, of the seeds that have them all."""
    seeds = [seed for seed in seeds if has_all(found, seed)]
    return {
        figure: [statistics.mean(some[seed][figure] for some in found.values()) for seed in seeds]
        for figure in FIGURES
    }


def compared(arguments: argparse.Namespace) -> dict[str, dict[str, str]]:
    """Every other arm less the same VAE as trained: a row for each kind of VAE and arm."""
    rows = {}
    others = [arm for arm in ARMS if arm != AS_TRAINED]
    for name, through, arm in itertools.product(OBJECTIVES, (False, True), others):
        pairs: dict[int, list[list[dict]]] = {}
        for seed, rule in itertools.product(arguments.seeds, SETS[arguments.rules]):
            paths = [
                result_path(arguments.out, rule, name, through, seed, one)
                for one in (arm, AS_TRAINED)
            ]
            if all(path.exists() for path in paths):
                pair = [json.loads(path.read_text()) for path in paths]
                pairs.setdefault(seed, []).append(pair)
        if not pairs:
            continue
        runs = [pair for of_seed in pairs.values() for pair in of_seed]
        worse = sum(ours["auroc"] < before["auroc"] for ours, before in runs)
        rows[f"{name}, {'trimvae' if through else 'plain'}; {arm}"] = {
            figure.replace("_", " "): interval(
                [
                    statistics.mean(ours[figure] - before[figure] for ours, before in of_seed)
                    for of_seed in pairs.values()
                ],
                sign=True,
            )
            for figure in FIGURES
        } | {"worse AUROC": f"{worse} of {len(runs)}"}
    return rows


def draw(arguments: argparse.Namespace, title: str) -> None:
    """What the classifier uses, and what explanations say: shares of the factors, rule by rule."""
    figure = new_figure(12, 3.4)
    places = np.arange(len(FACTORS))
    rules = SETS[arguments.rules]
    for axes, rule in zip(figure.subplots(1, len(rules), sharey=True), rules, strict=True):
        shares: dict[str, list[np.ndarray]] = {
            "used by the classifier": [],
            "plain": [],
            "trimvae": [],
        }
        for seed, name, through in itertools.product(arguments.seeds, OBJECTIVES, (False, True)):
            path = result_path(arguments.out, rule, name, through, seed)
            if path.exists():
                result = json.loads(path.read_text())
                shares["trimvae" if through else "plain"].append(np.array(result["by_factor"]))
                effect = np.array(result["effect"])
                shares["used by the classifier"].append(effect / effect.sum())
        for index, (label, rows) in enumerate(shares.items()):
            axes.bar(
                places + 0.27 * (index - 1),
                np.mean(rows, axis=0),
                0.25,
                yerr=_within_range(np.mean(rows, axis=0), np.std(rows, axis=0)),
                error_kw={"elinewidth": 0.8, "ecolor": "0.3"},
                color=("0.6", *PALETTE)[index],
                label=label,
            )
        axes.set_xticks(places, FACTORS)
        axes.set_title(rule)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("share")
    figure.axes[2].legend(frameon=False, fontsize=8, loc="upper left")
    figure.savefig(docs("images") / f"{title}.png", dpi=150)


def _within_range(share: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Error bars that end where a share does, at 0 and 1."""
    return np.stack([np.minimum(deviation, share), np.minimum(deviation, 1 - share)])


if __name__ == "__main__":
    main()
