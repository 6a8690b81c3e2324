"""Disentanglement metrics against other implementations on the same codes: scores and seconds.

MIG, SAP, DCI and the FactorVAE metric against the package disent (`pip install --no-deps disent`),
modularity, explicitness and Higgins' metric against the standard protocol written plainly below.
Codes are noisy linear mixtures of the factors of dSprites: 10,000 to fit on and 5,000 to test, as
the protocol has it. DCI by boosted trees takes minutes; the rank correlation of its two models is
taken on smaller factors.

    python -m benchmarks.disentanglement.metrics
"""

import importlib.util
import time
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from benchmarks.sizes import new_parser, sized, skip
from benchmarks.tables import write
from trimvae import metrics
from trimvae.data import sprites

SIZES = np.array(sprites().factor_sizes)
TRAIN, TEST = sized((10_000, 5_000), (200, 100))
N_RANKED, N_CODES = sized(3000, 90), sized(13, 3)


def mixed(factors: np.ndarray, entangled: float, seed: int, latents: int = 10) -> np.ndarray:
    """Codes of factors: one latent each, mixed with the others, and noise."""
    generator = np.random.default_rng(seed)
    scaled = 2 * factors / (SIZES[: factors.shape[1]] - 1) - 1
    weights = np.eye(factors.shape[1], latents) + entangled * generator.normal(
        size=(factors.shape[1], latents)
    )
    return scaled @ weights + 0.1 * generator.normal(size=(len(factors), latents))


def plain_modularity(codes: np.ndarray, factors: np.ndarray) -> float:
    matrix = np.zeros((codes.shape[1], factors.shape[1]))
    for j in range(codes.shape[1]):
        digits = np.digitize(codes[:, j], np.histogram(codes[:, j], 20)[1][:-1])
        for k in range(factors.shape[1]):
            matrix[j, k] = mutual_info_score(factors[:, k], digits)
    squared = matrix**2
    best = squared.max(axis=1)
    return (1 - (squared.sum(axis=1) - best) / (best * (factors.shape[1] - 1))).mean()


def plain_explicitness(codes: np.ndarray, factors: np.ndarray) -> float:
    order = np.random.default_rng(0).permutation(len(codes))
    test, train = order[:TEST], order[TEST:]
    scaled = StandardScaler().fit(codes[train]).transform(codes)
    areas = []
    for levels in factors.T:
        model = LogisticRegression(max_iter=1000).fit(scaled[train], levels[train])
        chances = model.predict_proba(scaled[test])
        of_factor = []
        for position, level in enumerate(model.classes_):
            of_factor.append(roc_auc_score(levels[test] == level, chances[:, position]))
        areas.append(np.mean(of_factor))
    return 2 * np.mean(areas) - 1


def plain_higgins(encode: Callable, n_factors: int) -> float:
    """One point at a time, as in the protocol."""
    generator = np.random.default_rng(0)
    points, chosen = [], []
    for _ in range(TRAIN + TEST):
        k = generator.integers(n_factors)
        left, right = (generator.integers(SIZES[:n_factors], size=(64, n_factors)) for _ in "lr")
        right[:, k] = left[:, k]
        points.append(np.abs(encode(left) - encode(right)).mean(axis=0))
        chosen.append(k)
    model = LogisticRegression(max_iter=1000).fit(points[:TRAIN], chosen[:TRAIN])
    return model.score(points[TRAIN:], chosen[TRAIN:])


def disent_factor_vae(encode: Callable, n_factors: int) -> float:
    from disent.metrics import _factor_vae

    np.random.seed(0)  # noqa: NPY002 (its own way)
    draw = lambda n: np.random.randint(SIZES[:n_factors], size=(n, n_factors))  # noqa: E731, NPY002
    data = SimpleNamespace(
        gt_data=SimpleNamespace(num_factors=n_factors, sample_factors=draw),
        dataset_sample_batch=lambda n, mode: torch.from_numpy(draw(n)),
        dataset_batch_from_factors=lambda factors, mode: torch.from_numpy(factors),
    )
    represent = lambda rows: torch.from_numpy(encode(rows.numpy()))  # noqa: E731
    score = _factor_vae.metric_factor_vae.unwrap(data, represent, num_train=TRAIN, num_eval=TEST)
    return score["factor_vae.eval_accuracy"]


def timed(function: Callable[[], float], times: int = 1) -> tuple[float, float]:
    """Score, and the fewest CPU seconds of so many times."""
    seconds = []
    for _ in range(times):
        started = time.process_time()
        score = function()
        seconds.append(time.process_time() - started)
    return score, min(seconds)


def compare(skip_dci: bool) -> None:
    from disent.metrics import _dci, _mig, _sap

    generator = np.random.default_rng(0)
    factors = generator.integers(SIZES, size=(TRAIN + TEST, len(SIZES)))
    codes = mixed(factors, 0.3, seed=0)
    order = np.random.default_rng(0).permutation(len(codes))
    test, train = order[:TEST], order[TEST:]
    parts = (codes[train].T, factors[train].T, codes[test].T, factors[test].T)

    def encode(rows: np.ndarray) -> np.ndarray:
        return mixed(rows, 0.3, seed=0)

    contests = {
        "MIG": (
            lambda: metrics.mig(codes, factors),
            lambda: _mig._compute_mig(codes.T, factors.T)["mig.discrete_score"],
        ),
        "modularity": (
            lambda: metrics.modularity(codes, factors),
            lambda: plain_modularity(codes, factors),
        ),
        "SAP": (
            lambda: metrics.sap(codes, factors),
            lambda: _sap._compute_sap(*parts, False)["sap.score"],
        ),
        "explicitness": (
            lambda: metrics.explicitness(codes, factors),
            lambda: plain_explicitness(codes, factors),
        ),
        "Higgins": (
            lambda: metrics.higgins_metric(codes, factors),
            lambda: plain_higgins(encode, len(SIZES)),
        ),
        "FactorVAE": (
            lambda: metrics.factor_vae_metric(codes, factors),
            lambda: disent_factor_vae(encode, len(SIZES)),
        ),
        "DCI, disentanglement": (
            lambda: metrics.dci(codes, factors).disentanglement,
            lambda: _dci._compute_dci(*parts)["dci.disentanglement"],
        ),
    }
    rows = {}
    for name, (ours, theirs) in contests.items():
        if name.startswith("DCI") and skip_dci:
            continue
        times = 1 if name.startswith("DCI") else 5
        (mine, seconds), (other, theirs_seconds) = timed(ours, times), timed(theirs, times)
        rows[name] = {
            "ours": f"{mine:.6f}",
            "reference": f"{other:.6f}",
            "CPU s, ours": f"{seconds:.2f}",
            "CPU s, reference": f"{theirs_seconds:.2f}",
            "times faster": f"{theirs_seconds / seconds:.1f}",
        }
        print(name, rows[name], flush=True)
    note = (
        f"{TRAIN + TEST:,} codes of 10 latents, the factors of dSprites. "
        "`python -m benchmarks.disentanglement.metrics`"
    )
    write("metrics_speed", note, rows, "metric")


def rank_models() -> None:
    """DCI by forests against boosted trees over codes of every entanglement, small factors."""
    generator = np.random.default_rng(1)
    factors = generator.integers(SIZES[:2], size=(N_RANKED, 2))
    factors = np.hstack([factors, generator.integers(6, size=(N_RANKED, 1))])
    sizes = np.array([3, 6, 6])
    scores: dict[str, list[tuple[float, float]]] = {"forest": [], "boosting": []}
    for index, entangled in enumerate(np.linspace(0, 1.2, N_CODES)):
        draw = np.random.default_rng(index)
        weights = np.eye(3, 6) + entangled * draw.normal(size=(3, 6))
        codes = (2 * factors / (sizes - 1) - 1) @ weights + 0.1 * draw.normal(size=(N_RANKED, 6))
        forest = metrics.dci(codes, factors)
        boosting = metrics.dci(codes, factors, trees="gradient_boosting")
        scores["forest"].append(forest[:2])
        scores["boosting"].append(boosting[:2])
    for position, name in enumerate(("disentanglement", "completeness")):
        both = [[score[position] for score in column] for column in scores.values()]
        rho, gap = spearmanr(*both).statistic, np.abs(np.subtract(*both)).mean()
        print(f"DCI {name}: rank correlation {rho:.3f}, mean difference {gap:.3f}", flush=True)


def exact() -> None:
    """MIG and AAM of posterior samples over every one of the 737,280 sprites."""
    factors = sprites().factors.numpy()
    codes = mixed(factors, 0.3, seed=0)
    deviations = np.full_like(codes, 0.1)
    for name, metric in (("MIG", metrics.mig), ("AAM", metrics.aam)):
        started = time.perf_counter()
        score = metric(codes, factors, deviations=deviations)
        print(f"exact {name} of 737,280 sprites {score:.4f}: {time.perf_counter() - started:.0f} s")


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--skip-dci", action="store_true", help="without the minutes of boosting")
    parser.add_argument("--exact", action="store_true", help="only MIG and AAM of all sprites")
    arguments = parser.parse_args()
    if arguments.exact:
        exact()
        return
    if importlib.util.find_spec("disent") is None:
        skip("no package disent. Install it: pip install --no-deps disent.")
    torch.set_num_threads(1)
    rank_models()
    # Nobody pays for what is loaded on first use.
    metrics.sap(np.random.default_rng(0).normal(size=(50, 2)), np.arange(100).reshape(50, 2) % 3)
    compare(arguments.skip_dci)


if __name__ == "__main__":
    main()
