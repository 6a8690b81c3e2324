"""dSprites with Burgess' network and the published weights, against the field's logged losses.

The mean reconstruction error and KL of every epoch beside disvae's own training logs (Dubois et al.
2019, https://github.com/YannDubs/disentangling-vae, folder results): same data geometry, network,
batches of 64, learning rates and warm-up of 10,000 steps. 30 epochs (60 for FactorVAE) are a
matter of hours on a GPU and of a day on two cores; --epochs says how far to go.

    python -m benchmarks.disentanglement.dsprites --epochs 1 --precision bf16-mixed
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import lightning as L
import torch

from benchmarks.sizes import SMOKE, new_parser, results_folder, sized
from benchmarks.tables import write
from trimvae import VAE, fit
from trimvae.data import sprites
from trimvae.objectives import BetaTCVAE, BetaVAE, CapacityVAE, FactorVAE, Objective, Ramp

WARM_UP = 10_000


class Published(NamedTuple):
    """How disvae trained, and (reconstruction, KL) that it logged, by epoch."""

    title: str
    objective: Callable[[], Objective]
    learning_rate: float
    epochs: int
    logged: dict[int, tuple[float, float]]


RUNS = {
    "vae": Published(
        "VAE",
        lambda: BetaVAE(Ramp(1.0, WARM_UP)),
        5e-4,
        30,
        {0: (71.0, 33.7), 1: (38.6, 26.6), 2: (34.5, 26.5), 29: (18.0, 25.4)},
    ),
    "betavae": Published(
        "beta-VAE (4)",
        lambda: BetaVAE(Ramp(4.0, WARM_UP)),
        5e-4,
        30,
        {0: (87.9, 20.7), 1: (64.4, 15.0), 2: (60.1, 14.9), 29: (35.6, 15.4)},
    ),
    "capacity": Published("capacity (25)", lambda: CapacityVAE(), 1e-3, 30, {29: (81.1, 25.0)}),
    "factorvae": Published(
        "FactorVAE (6.4)",
        lambda: FactorVAE(Ramp(6.4, WARM_UP), learning_rate=5e-5),
        1e-4,
        60,
        {0: (156.2, 19.7), 1: (74.6, 19.6), 2: (68.1, 20.3), 59: (36.6, 21.7)},
    ),
    "btcvae": Published(
        "beta-TCVAE (6.4)",
        lambda: BetaTCVAE(6.4, gamma=Ramp(1.0, WARM_UP)),
        5e-4,
        30,
        {0: (114.5, 17.7), 1: (78.5, 12.2), 2: (74.5, 11.8), 29: (42.2, 13.6)},
    ),
}


class Keep(L.Callback):
    """Write every epoch's terms as soon as it has ended."""

    def __init__(self, path: Path) -> None:
        self.path, self.epochs = path, []

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Append the means."""
        terms = {name: value.item() for name, value in trainer.callback_metrics.items()}
        self.epochs.append(terms)
        self.path.write_text(json.dumps(self.epochs))
        print(self.path.stem, trainer.current_epoch, terms, flush=True)


def run(name: str, epochs: int | None, precision: str, out: Path) -> None:
    published = RUNS[name]
    torch.manual_seed(0)
    vae = VAE.convolutional((1, 64, 64), latent_size=10).to(memory_format=torch.channels_last)
    if torch.cuda.is_available():
        vae.cuda()
    fit(
        vae,
        None,
        sprites().only(orientation=[0], x=range(3), y=range(3)) if SMOKE else sprites(),
        objective=published.objective(),
        prediction_weight=0.0,
        max_epochs=epochs or published.epochs,
        batch_size=64,
        learning_rate=published.learning_rate,
        schedule="constant",
        precision=precision,
        progress=False,
        callbacks=[Keep(out / f"{name}.json")],
    )
    vae.save(out / f"{name}.safetensors")


def tabulate(out: Path) -> None:
    rows = {}
    for name, published in RUNS.items():
        path = out / f"{name}.json"
        for epoch, terms in enumerate(json.loads(path.read_text()) if path.exists() else []):
            if epoch not in published.logged:
                continue
            error, kl = published.logged[epoch]
            mine = terms.get("reconstruction_epoch", terms.get("reconstruction"))
            mine_kl = terms.get("kl_epoch", terms.get("kl"))
            rows[f"{published.title}, epoch {epoch + 1}"] = {
                "reconstruction": f"{mine:.1f}",
                "disvae's": f"{error:.1f}",
                "KL": f"{mine_kl:.1f}",
                "disvae's KL": f"{kl:.1f}",
                "total correlation": f"{terms['total_correlation']:.2f}",
            }
    note = (
        "Means over an epoch of 737,280 images, in nats. `python -m "
        "benchmarks.disentanglement.dsprites`"
    )
    write("dsprites", note, rows, "objective")


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--out", type=Path, default=results_folder("dsprites"))
    parser.add_argument(
        "--epochs", type=int, default=sized(None, 1), help="default: the published number"
    )
    parser.add_argument("--precision", default="32-true", help="Lightning's, e.g. bf16-mixed")
    parser.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--table", action="store_true", help="only write the table")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in [] if arguments.table else arguments.only:
        run(name, arguments.epochs, arguments.precision, arguments.out)
    tabulate(arguments.out)


if __name__ == "__main__":
    main()
