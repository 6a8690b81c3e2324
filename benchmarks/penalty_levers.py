"""What cheaper penalties do to what is learned: fewer points, fewer examples, rarer steps.

The default penalty, `Sparsity()` with the prediction loss, on the demo's classifiers and VAEs, with
every lever of `benchmarks.training_step` that could change the outcome; and `SharedSparsity` along
explanatory axes with the same levers. A lever may become a default where the paired differences
from full cost stay within 3 % of the effective latents, .003 of agreement and .01 of monotonicity.
Held-out examples; mean and 95 % interval over seeds of the VAEs, paired. Results are kept in
--out, so that an interrupted run goes on.

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
from trimvae import explain, fit
from trimvae.storage import replacing

FULL = "every 4 steps, a quarter of the batch, 4 points (the default)"
LEVERS: dict[str, dict[str, Any]] = {
    FULL: {},
    "2 points": {"penalty_n_steps": 2},
    "half the examples": {"penalty_examples": 16},
    "every 8 steps": {"penalty_every": 8},
    "every 8 steps, 2 points": {"penalty_every": 8, "penalty_n_steps": 2},
    "no penalty": {},
}
N_TRAIN, N_HELD_OUT = sized((12_000, 500), (64, 20))
FIGURES = ("agreement", "effective_latents", "monotonicity", "class_dependence", "error")


def figures(classifier: Trained, lever: str, along: bool, seed: int) -> dict[str, float]:
    """Train a VAE with a lever, and return its figures on held-out examples."""
    setting, options = classifier.setting, dict(LEVERS[lever])
    inputs = classifier.data.train_inputs[:N_TRAIN]
    shared: dict[str, Any] = {"prediction_weight": PREDICTION_WEIGHT, "progress": False}
    penalties: list[Penalty] = [SharedSparsity(weight=6.0) if along else Sparsity()]
    if lever == "no penalty":
        penalties = []
    code = classifier.new_vae(seed)
    epochs = setting.epochs
    if along:
        fit(code, classifier.predictor, inputs, seed=seed, max_epochs=epochs, **shared)
        code = explanatory_axes(code, classifier.predictor, inputs[:2_000])
        epochs = setting.epochs_on
        options |= {"penalised": "code", "learning_rate": 1.5e-3}
        options.setdefault("penalty_examples", 64 if lever != "half the examples" else 32)
    fit(
        code, classifier.predictor, inputs, penalties=penalties, max_epochs=epochs,
        seed=seed + 100 * along, **shared, **options,
    )  # fmt: skip
    held_out = classifier.data.test_inputs[:N_HELD_OUT]
    explanation = explain(code, classifier.predictor, held_out)
    found = explanation.metrics
    with torch.no_grad():
        missed = code.eval()(held_out) - held_out
    found["error"] = missed.square().flatten(1).sum(dim=1).mean().item()
    return {name: found[name] for name in FIGURES}


def kept(path: Path, *arguments: Any) -> dict[str, float]:
    """Return figures computed now or found."""
    if not path.exists():
        with replacing(path) as writing:
            writing.write_text(json.dumps(figures(*arguments)))
    found: dict[str, float] = json.loads(path.read_text())
    return found


def main() -> None:
    parser = new_parser(__doc__, seeds=[10, 11, 12, 13, 14])
    parser.add_argument("--data", choices=("digits", "fashion"), default="digits")
    parser.add_argument("--classifier", type=int, default=10)
    parser.add_argument("--out", type=Path, default=results_folder("penalty_levers"))
    options = parser.parse_args()
    classifier = trained(options.data, options.classifier, options.out)
    rows = {}
    for along in (False, True):
        found: dict[str, list[dict[str, float]]] = {}
        for number, lever in enumerate(LEVERS):
            name = f"{'axes' if along else 'weights'}_{number}"
            found[lever] = [
                kept(classifier.folder / f"{name}_{seed}.json", classifier, lever, along, seed)
                for seed in options.seeds
            ]
            print(name, lever, found[lever], flush=True)
        for lever, mine in found.items():
            title = f"{'SharedSparsity(6) along axes' if along else 'Sparsity()'}: {lever}"
            base = found[FULL]
            rows[title] = {
                figure.replace("_", " "): interval([one[figure] for one in mine])
                if lever == FULL
                else interval(
                    [one[figure] - full[figure] for one, full in zip(mine, base, strict=True)],
                    sign=True,
                )
                for figure in FIGURES
            }
    setting = SETTINGS[options.data]
    note = (
        f"{options.data}, up to {N_TRAIN} training inputs, {setting.epochs} epochs (along axes "
        f"{setting.epochs_on} more), VAE seeds {options.seeds}, {N_HELD_OUT} held-out examples. "
        "First rows: mean and 95 % interval; other rows: paired differences from them. "
        f"`python -m benchmarks.penalty_levers --data {options.data}`"
    )
    write(f"penalty_levers_{options.data}", note, rows, "penalty")


if __name__ == "__main__":
    main()
