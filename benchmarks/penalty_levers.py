"""What cheaper penalties do to what is learned: fewer points, fewer examples, rarer steps.

The reference is the penalty at every step, on the whole batch. Beside it what `fit` does by
default and every lever of `benchmarks.training_step` that could change the outcome: first
`Sparsity()` with the prediction loss, on the demo's classifier and VAEs, then `SharedSparsity`
along explanatory axes. A lever may be a default where the paired differences from the reference
stay within 3 % of the effective latents, .003 of agreement and .01 of monotonicity. Held-out
examples; mean and 95 % interval over seeds of the VAEs, paired. Results are kept in --out, so that
an interrupted run goes on.

    python -m benchmarks.penalty_levers --data digits --seeds 10 11 12 13 14
"""

import json
from pathlib import Path
from typing import Any

import torch

from attributions import Penalty, Sparsity, explanatory_axes
from attributions.penalties import SharedSparsity
from benchmarks.axes.codes import PREDICTION_WEIGHT, SETTINGS, Trained, trained
from benchmarks.sizes import new_parser, results_folder, sized
from benchmarks.tables import interval, write
from trimvae import VAE, explain, fit
from trimvae.storage import replacing

BATCH = 128
FULL, NONE = "every step, whole batch, 4 points", "no penalty"
LEVERS: dict[str, dict[str, Any]] = {
    FULL: {"penalty_every": 1, "penalty_examples": BATCH},
    "every 4 steps, a quarter of the batch, 4 points (the default)": {},
    "the default, 2 points": {"penalty_n_steps": 2},
    "the default, an eighth of the batch": {"penalty_examples": BATCH // 8},
    "the default, every 8 steps": {"penalty_every": 8},
    "the default, every 8 steps, 2 points": {"penalty_every": 8, "penalty_n_steps": 2},
    NONE: {},
}
N_TRAIN, N_HELD_OUT = sized((12_000, 500), (64, 20))
FIGURES = (
    "agreement",
    "effective_latents",
    "monotonicity",
    "class_dependence",
    "reconstruction_error",
)
SHARED: dict[str, Any] = {
    "prediction_weight": PREDICTION_WEIGHT,
    "batch_size": BATCH,
    "progress": False,
}
PLAIN = str.maketrans({" ": "_", ",": None, "(": None, ")": None})


def new_code(classifier: Trained, along: bool, seed: int) -> VAE:
    """Return an untrained VAE; along axes, one that was trained without penalty, seen along them.

    The latter is kept, so that every lever goes on from the same one.
    """
    code = classifier.new_vae(seed)
    if not along:
        return code
    path = classifier.folder / f"along_axes_{seed}.safetensors"
    if not path.exists():
        inputs, predictor = classifier.data.train_inputs[:N_TRAIN], classifier.predictor
        fit(code, predictor, inputs, seed=seed, max_epochs=classifier.setting.epochs, **SHARED)
        explanatory_axes(code, predictor, inputs[:2_000]).save(path)
    return VAE.load(path)


def figures(classifier: Trained, lever: str, along: bool, seed: int) -> dict[str, float]:
    """Train a VAE with a lever, and return its figures on held-out examples."""
    setting, options = classifier.setting, dict(LEVERS[lever])
    penalties: list[Penalty] = [SharedSparsity(weight=6.0) if along else Sparsity()]
    if along:
        options |= {"penalised": "code", "learning_rate": 1.5e-3}
    code = new_code(classifier, along, seed)
    fit(
        code,
        classifier.predictor,
        classifier.data.train_inputs[:N_TRAIN],
        penalties=[] if lever == NONE else penalties,
        max_epochs=setting.epochs_on if along else setting.epochs,
        seed=seed + 100 * along,
        **SHARED,
        **options,
    )
    held_out = classifier.data.test_inputs[:N_HELD_OUT]
    explanation = explain(code, classifier.predictor, held_out, n_steps=16, check_parts=False)
    found = explanation.metrics
    return {name: found[name] for name in FIGURES}


def kept(path: Path, *arguments: Any) -> dict[str, float]:
    """Return figures computed now or found."""
    if not path.exists():
        with replacing(path) as writing:
            writing.write_text(json.dumps(figures(*arguments)))
    found: dict[str, float] = json.loads(path.read_text())
    return found


def row(mine: list[dict[str, float]], full: list[dict[str, float]]) -> dict[str, str]:
    """Figures of the reference, or paired differences from it; of effective latents in percent."""
    if mine is full:
        return {name.replace("_", " "): interval([one[name] for one in mine]) for name in FIGURES}
    cells = {}
    for name in FIGURES:
        pairs = [(one[name], other[name]) for one, other in zip(mine, full, strict=True)]
        if name == "effective_latents":
            percents = [100 * (one / other - 1) for one, other in pairs]
            cells[name] = interval(percents, 1, sign=True) + " %"
        else:
            cells[name] = interval([one - other for one, other in pairs], sign=True)
    return {name.replace("_", " "): cell for name, cell in cells.items()}


def main() -> None:
    parser = new_parser(__doc__, seeds=[10, 11, 12, 13, 14])
    parser.add_argument("--data", choices=("digits", "fashion"), default="digits")
    parser.add_argument("--classifier", type=int, default=10)
    parser.add_argument(
        "--rows", choices=("weights", "axes"), nargs="+", default=["weights", "axes"]
    )
    parser.add_argument("--out", type=Path, default=results_folder("penalty_levers"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    classifier = trained(options.data, options.classifier, options.out)
    rows: dict[str, dict[str, str]] = {}
    for kind in options.rows:
        found: dict[str, list[dict[str, float]]] = {lever: [] for lever in LEVERS}
        for seed in options.seeds:
            for lever, mine in found.items():
                name = f"{kind}_{lever.translate(PLAIN)}_{seed}.json"
                path = classifier.folder / name
                mine.append(kept(path, classifier, lever, kind == "axes", seed))
                print(name, mine[-1], flush=True)
        what = "SharedSparsity(6) along axes" if kind == "axes" else "Sparsity()"
        rows |= {f"{what}: {lever}": row(mine, found[FULL]) for lever, mine in found.items()}
    setting = SETTINGS[options.data]
    count = min(N_TRAIN, len(classifier.data.train_inputs))
    note = (
        f"{options.data}, {count:,} training inputs, {setting.epochs} epochs (along axes "
        f"{setting.epochs_on} more), VAE seeds {options.seeds}, {N_HELD_OUT} held-out examples. "
        "The rows of every step: mean and 95 % interval; other rows: paired differences from them. "
        f"`python -m benchmarks.penalty_levers --data {options.data}`"
    )
    write(f"penalty_levers_{options.data}", note, rows, "penalty")


if __name__ == "__main__":
    main()
