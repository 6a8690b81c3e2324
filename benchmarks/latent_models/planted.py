"""Planted rules through every code: does the explanation name the factors that decide?

Sprites, rules, classifiers and figures of benchmarks/planted_rules, here for every kind of code: as
it is, and trained through the classifier ("trimvae"). A game that knows no classifier serves all
rules. InfoGAN is read by its own recogniser. StyleGAN2, where every image is searched for, is left
out.

Results are kept in --out, so that an interrupted run goes on; --only chooses codes.

    python -m benchmarks.latent_models.planted
"""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from attributions import GroupSparsity
from attributions.transforms import IndependentComponents
from benchmarks.planted_rules.rules import RULES, Planted, plant
from benchmarks.planted_rules.run import figures
from benchmarks.planted_rules.settings import FIGURES, key
from benchmarks.sizes import new_parser, results_folder, sized
from benchmarks.tables import spread, write
from trimvae import VAE, fit
from trimvae.models import ALAE, IVAE, InfoGAN
from trimvae.objectives import BetaTCVAE

SHAPE, LATENTS = (1, 32, 32), 8
EPOCHS, GAME_EPOCHS = sized((13, 6), (1, 1))


class Weights(NamedTuple):
    """What stands beside a game that is played through the classifier."""

    prediction: float
    sparsity: float


THROUGH = {"InfoGAN": Weights(1.0, 0.1), "ALAE": Weights(2.0, 0.3)}
KINDS: dict[str, Any] = {
    "ICA": IndependentComponents,
    "VAE": VAE,
    "iVAE": IVAE,
    "InfoGAN": InfoGAN,
    "ALAE": ALAE,
}


def autoencoder(kind: str, planted: Planted, through: bool) -> VAE:
    options: dict[str, Any] = {"channels": 16, "hidden": 128}
    data: Any = planted.inputs
    if kind == "iVAE":
        code: VAE = IVAE.convolutional(SHAPE, LATENTS, n_contexts=2, **options)
        with torch.no_grad():  # u is what the classifier says
            data = TensorDataset(data, planted.classifier(data).argmax(dim=1))
    else:
        code = VAE.convolutional(SHAPE, LATENTS, **options)
    fit(
        code,
        planted.classifier if through else None,
        data,
        objective=None if kind == "iVAE" else BetaTCVAE(6.0, gamma=4.0),
        prediction_weight=20.0 if through else 0.0,
        penalties=[GroupSparsity(weight=50.0)] if through else [],
        max_epochs=EPOCHS,
        batch_size=64,
        learning_rate=2e-3,
        progress=False,
    )
    return code


def game(kind: str, planted: Planted, through: bool) -> Any:
    if kind == "InfoGAN":
        model: Any = InfoGAN(SHAPE, n_categories=3, n_continuous=3, noise_size=16)
    else:
        model = ALAE(SHAPE, LATENTS)
    weights = THROUGH[kind]
    fit(
        model,
        planted.classifier if through else None,
        planted.inputs,
        prediction_weight=weights.prediction if through else 0.0,
        penalties=[GroupSparsity(weight=weights.sparsity)] if through else [],
        max_epochs=GAME_EPOCHS,
        batch_size=64,
        progress=False,
    )
    return model


def read_by(code: Any) -> Callable[[Tensor], Tensor] | None:
    """How the explained latents of an image are read, where that is not the code's encoder."""
    return code.recognise if isinstance(code, InfoGAN) else None


def made(kind: str, through: bool, rule: str, seed: int, out: Path) -> Any:
    """A code that was kept, or a new one, which is."""
    planted = plant(rule, seed)
    torch.manual_seed(seed)
    if kind == "ICA":
        return IndependentComponents(planted.inputs[:4000], LATENTS)
    of_rule = through or kind == "iVAE"
    data = rule if of_rule else RULES[rule].correlated is not None
    path = out / f"{key(kind, data, through, seed)}.safetensors"
    if not path.exists():
        make = autoencoder if kind in ("VAE", "iVAE") else game
        make(kind, planted, through).save(path)
    return KINDS[kind].load(path)


def main() -> None:
    parser = new_parser(__doc__, seeds=[0])
    parser.add_argument("--out", type=Path, default=results_folder("planted_codes"))
    parser.add_argument(
        "--rules", nargs="+", choices=list(RULES), default=["one factor", "two, additive"]
    )
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--table", action="store_true", help="only write the table")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for seed, kind, through, rule in itertools.product(
        arguments.seeds, arguments.only, (False, True), arguments.rules
    ):
        path = arguments.out / f"{key(kind, through, rule, seed)}.json"
        if arguments.table or path.exists() or (through and kind == "ICA"):
            continue
        code = made(kind, through, rule, seed, arguments.out)
        result = figures(code, plant(rule, seed), rule, read_by(code))
        path.write_text(json.dumps(result))
        shown = {figure: round(result[figure], 3) for figure in FIGURES[:6]}
        print(seed, kind, through, rule, shown, flush=True)
    tabulate(arguments.out)


def kept(out: Path, kind: str, through: bool) -> list[dict[str, float]]:
    """All results in a folder of one kind of code."""
    name = key(kind, through)
    return [json.loads(path.read_text()) for path in sorted(out.glob(f"{name}_*.json"))]


def scores(out: Path, code: str) -> dict[str, str]:
    """Means of the scores of a code, such as "VAE, trimvae", for a table."""
    kind, _, trained = code.partition(", ")
    results = kept(out, kind, trained == "trimvae")
    columns = {
        "hard_share": "rule: share",
        "auroc": "rule: AUROC",
        "rank_correlation": "rule: rank",
    }
    return {
        column: spread([result[figure] for result in results], digits=2)
        for figure, column in columns.items()
        if results
    }


def tabulate(out: Path) -> None:
    """Write the table from all results in a folder."""
    rows = {}
    for kind, through in itertools.product(KINDS, (False, True)):
        if results := kept(out, kind, through):
            rows[f"{kind}, trimvae" if through else kind] = {
                figure.replace("_", " "): spread([result[figure] for result in results])
                for figure in FIGURES[:6]
            } | {"runs": str(len(results))}
    note = (
        "Mean ± deviation over planted rules and seeds. "
        "`python -m benchmarks.latent_models.planted`"
    )
    write("planted_codes", note, rows, "code")


if __name__ == "__main__":
    main()
