"""What a report costs, by the number of cards, and the search for moves to another answer.

Ten latents of a code that is trained for a few epochs, since a search depends on what is learned;
256 held-out pictures, explained. CPU seconds of one thread, the fastest of --rounds, after a first
report, in which the template is read: the page with one card, the page with 24, and what each
further card adds. Then what the search among many latents adds to the memory that the process has
taken at most.

    OMP_NUM_THREADS=1 python -m benchmarks.report
"""

import resource
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attributions.transforms import Fourier
from benchmarks.sizes import new_parser, sized
from benchmarks.tables import write
from trimvae import VAE, Explanation, explain, find_counterfactuals, fit
from trimvae.cli.demo_data import new_classifier, train_classifier
from trimvae.data import digits, sprites

CARDS, SIDE = sized((24, 33), (3, 6))
TRAINED, EXPLAINED, EPOCHS = sized((3_000, 256, 6), (64, 8, 1))


class Case(NamedTuple):
    """Pictures of a size, a classifier and a code."""

    inputs: Tensor
    labels: Tensor
    classes: int


def of_digits() -> Case:
    """Handwritten digits of 28 pixels."""
    data = digits()
    assert data.train_labels is not None  # digits have labels
    return Case(data.train_inputs, data.train_labels, 10)


def of_sprites() -> Case:
    """Sprites of 64 pixels: small or large, left or right."""
    data = sprites(size=64).only(orientation=[0])
    factors = data.draw(TRAINED + EXPLAINED, generator=torch.Generator().manual_seed(0))
    scale, x = (factors[:, data.factor_names.index(name)] for name in ("scale", "x"))
    return Case(data.sample(factors), 2 * (scale > 2).long() + (x > x.median()).long(), 4)


def explained(case: Case) -> Explanation:
    """Train a classifier and a code, and explain what neither has seen."""
    torch.manual_seed(0)
    size = case.inputs.shape[-1]
    inputs, held_out = case.inputs[:TRAINED], case.inputs[TRAINED : TRAINED + EXPLAINED]
    classifier = new_classifier(size=size, classes=case.classes)
    train_classifier(classifier, inputs, case.labels[:TRAINED], epochs=EPOCHS)
    code = VAE.convolutional((1, size, size), latent_size=10)
    fit(code, classifier, inputs, prediction_weight=10.0, max_epochs=EPOCHS, progress=False)
    return explain(code, classifier, held_out, n_steps=8, check_parts=False)


def seconds(explanation: Explanation, cards: int, search: bool, path: Path) -> float:
    """CPU seconds of a page."""
    before = time.process_time()
    explanation.to_html(path, max_examples=cards, counterfactuals=search)
    return time.process_time() - before


def row(explanation: Explanation, search: bool, rounds: int, path: Path) -> dict[str, str]:
    """What a page takes with one card and with many."""
    one, many = (
        min(seconds(explanation, cards, search, path) for _ in range(rounds))
        for cards in (1, CARDS)
    )
    return {
        "one card, s": f"{one:.2f}",
        f"{CARDS} cards, s": f"{many:.2f}",
        f"of {CARDS}, s a card": f"{many / CARDS:.3f}",
        "each further card, s": f"{(many - one) / (CARDS - 1):.3f}",
        "kB a card": f"{path.stat().st_size / CARDS / 1000:.0f}",
    }


def memory_of_a_search() -> str:
    """What a search among the frequencies of pictures adds to the process' peak of memory."""
    code = Fourier((1, SIDE, SIDE))
    predictor = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 5))
    latents = code.encode(torch.rand(CARDS, 1, SIDE, SIDE))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    find_counterfactuals(code, predictor, latents)
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    searched = f"A search among {latents.shape[1]:,} latents for {CARDS} cards"
    return f"{searched} added {added:.0f} MB to the process' peak."


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=sized(3, 1))
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    memory, rows = memory_of_a_search(), {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        for title, case in (("digits, 28x28", of_digits), ("sprites, 64x64", of_sprites)):
            explanation = explained(case())
            seconds(explanation, 1, False, path)
            for search, said in ((False, "without"), (True, "with")):
                rows[f"{title}, {said} the search"] = row(explanation, search, rounds, path)
    note = (
        f"Ten latents, ten or four classes, CPU seconds of one thread, the fastest of {rounds} "
        f"rounds. {memory} `OMP_NUM_THREADS=1 python -m benchmarks.report`"
    )
    write("report", note, rows, "pictures")


if __name__ == "__main__":
    main()
