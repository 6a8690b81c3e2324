"""iVAE on nonstationary sources: does it find the true ones, where a VAE and FastICA do not?

Data A: 5 sources in 40 segments of 1,000, standard deviations U(.1, 3) per segment, two orthogonal
mixing layers with a leaky ReLU (.2) between, noise of variance .01. Data B: 20 observed
dimensions and three random layers. The control permutes u. MCC on held-out examples at posterior
means. Each result is kept in --out.

    python -m benchmarks.latent_models.ivae --seeds 1 2 3
"""

import itertools
import json
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from attributions.transforms import IndependentComponents
from benchmarks.sizes import new_parser, results_folder, sized
from benchmarks.tables import spread, write
from trimvae import VAE, fit
from trimvae.metrics import mcc
from trimvae.models import IVAE

SOURCES, SEGMENTS, LENGTH = 5, 40, sized(1000, 32)
STEPS = sized({"A": 8_000, "B": 12_000}, {"A": 5, "B": 5})
N_TEST = sized(4000, 400)
CODES = ("FastICA", "VAE", "iVAE", "iVAE, u permuted")


def sources_and_inputs(data: str, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """True sources, what is observed of them, and the segment of each example."""
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator}
    deviations = 0.1 + 2.9 * torch.rand(SEGMENTS, SOURCES, **draw)
    segments = torch.arange(SEGMENTS).repeat_interleave(LENGTH)
    sources = deviations[segments] * torch.randn(len(segments), SOURCES, **draw)
    mixed = sources
    widths = [SOURCES, SOURCES, SOURCES] if data == "A" else [SOURCES, 20, 20, 20]
    for layer, (width, following) in enumerate(itertools.pairwise(widths)):
        weight = torch.randn(width, following, **draw)
        weight = torch.linalg.qr(weight).Q if data == "A" else weight / width**0.5
        if layer:
            mixed = F.leaky_relu(mixed, 0.2)
        mixed = mixed @ weight
    return sources, mixed + 0.1 * torch.randn(mixed.shape, **draw), segments


def score(code: str, data: str, seed: int) -> float:
    sources, inputs, segments = sources_and_inputs(data, seed)
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))
    test, train = order[:N_TEST], order[N_TEST:]
    if code == "FastICA":
        ica = IndependentComponents(inputs[train], SOURCES)
        return mcc(ica.encode(inputs[test]), sources[test])
    if code == "iVAE, u permuted":
        shuffle = torch.randperm(len(segments), generator=torch.Generator().manual_seed(seed))
        segments = segments[shuffle]
    torch.manual_seed(seed)
    sizes = {"event_shape": inputs.shape[1:], "latent_size": SOURCES, "hidden": (64, 64, 64)}
    vae = (
        VAE.dense(**sizes, scale=0.1)
        if code == "VAE"
        else IVAE.dense(**sizes, scale=0.1, n_contexts=SEGMENTS)
    )
    batches = len(train) // 256
    fit(
        vae,
        None,
        TensorDataset(inputs[train], segments[train]),
        prediction_weight=0.0,
        max_epochs=max(1, round(STEPS[data] / batches)),
        batch_size=256,
        learning_rate=5e-3,
        seed=seed,
        progress=False,
    )
    with torch.no_grad():
        return mcc(vae.encode(inputs[test]).mean, sources[test])


def main() -> None:
    parser = new_parser(__doc__, seeds=[1, 2, 3])
    parser.add_argument("--out", type=Path, default=results_folder("ivae"))
    parser.add_argument("--data", nargs="+", choices=list(STEPS), default=list(STEPS))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    rows: dict[str, dict[str, str]] = {code: {} for code in CODES}
    for data in arguments.data:
        for code in CODES:
            scores = []
            for seed in arguments.seeds:
                path = arguments.out / f"{data}_{code.replace(' ', '_').replace(',', '')}_{seed}"
                if not path.exists():
                    path.write_text(json.dumps(score(code, data, seed)))
                scores.append(json.loads(path.read_text()))
                print(data, code, seed, round(scores[-1], 3), flush=True)
            each = ", ".join(f"{value:.3f}" for value in scores)
            rows[code][f"data {data}"] = f"{spread(scores)} ({each})"
    seeds = " ".join(map(str, arguments.seeds))
    note = (
        f"MCC with the true sources on {N_TEST:,} held-out examples, data seeds {seeds}. "
        f"`python -m benchmarks.latent_models.ivae --seeds {seeds}`"
    )
    write("ivae", note, rows, "code")


if __name__ == "__main__":
    main()
