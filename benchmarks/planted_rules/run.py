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

    python -m benchmarks.planted_rules.run --seeds 20 21 22 23 24
    python -m benchmarks.planted_rules.run --rules other --seeds 20 21 22 23 24
"""

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from torch import Tensor

from attributions import GroupSparsity
from attributions.codes import Code, encode
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
from benchmarks.planted_rules.settings import (
    BATCH,
    EPOCHS,
    EPOCHS_ON,
    FIGURES,
    LATENTS,
    OBJECTIVES,
    PREDICTION_WEIGHT,
    SPARSITY,
    key,
    result_path,
)
from benchmarks.planted_rules.tabulating import tabulate
from benchmarks.sizes import SEEDS, new_parser, results_folder, sized
from trimvae import VAE, explain, fit
from trimvae.metrics import mig, mutual_information
from trimvae.objectives import BetaTCVAE, BetaVAE, FactorVAE, Objective


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


if __name__ == "__main__":
    main()
