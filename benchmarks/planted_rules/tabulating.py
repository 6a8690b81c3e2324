"""Tables and a figure from the results of planted rules that were kept."""

import argparse
import itertools
import json
import statistics
from collections.abc import Sequence

import numpy as np

from attributions.heatmaps import PALETTE, new_figure
from benchmarks.planted_rules.arms import ARMS, AS_TRAINED
from benchmarks.planted_rules.rules import FACTORS, SETS
from benchmarks.planted_rules.settings import (
    FIGURES,
    LATENTS,
    OBJECTIVES,
    PREDICTION_WEIGHT,
    SPARSITY,
    result_path,
)
from benchmarks.sizes import docs
from benchmarks.tables import interval, write


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
