"""What many classes and many latents cost `explain`: all classes, some, or the predicted one.

A small convolutional classifier and code of 64x64 pictures, neither trained: the time of a step
does not depend on weights. Integrated gradients of 32 points, and all that `explain` asks of real
inputs beside them; CPU seconds of one thread, the fastest of --rounds, in turns. The size is that
of the attributions and their total variation as a file holds them.

    OMP_NUM_THREADS=1 python -m benchmarks.many_classes
"""

import time
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.sizes import new_parser, sized
from benchmarks.tables import write
from trimvae import VAE, explain
from trimvae.explanation.columns import Classes

STEPS, EXAMPLES = sized((32, 16), (4, 4))
FEW, MANY = sized(((10, 10), (1_000, 512)), ((4, 3), (12, 8)))


class Row(NamedTuple):
    """What is asked, and of how many examples."""

    title: str
    size: tuple[int, int]
    """Classes and latents."""
    classes: Classes | None
    examples: int = EXAMPLES


ROWS = (
    Row("all", FEW, "all"),
    Row("predicted", FEW, "predicted"),
    Row("all", MANY, "all", 2),  # each takes seconds
    Row("predicted (of a thousand classes the default)", MANY, "predicted"),
    Row("3 chosen", MANY, [0, 1, 2]),
    Row("10 chosen", MANY, list(range(10))),
)


def case(classes: int, latents: int) -> tuple[VAE, nn.Module, Tensor]:
    """Return a code, a classifier and pictures."""
    torch.manual_seed(0)
    classifier = nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4096, classes),
    )
    code = VAE.convolutional((1, 64, 64), latents)
    return code.eval(), classifier.eval(), torch.rand(EXAMPLES, 1, 64, 64)


def measured(row: Row) -> tuple[float, float]:
    """Return CPU seconds and kilobytes for each example."""
    code, classifier, pictures = case(*row.size)
    before = time.process_time()
    found = explain(code, classifier, pictures[: row.examples], classes=row.classes, n_steps=STEPS)
    seconds = time.process_time() - before
    kept = [
        tensor.nbytes
        for name, tensor in found.tensors().items()
        if name.endswith(("attributions", "variation"))
    ]
    return seconds / row.examples, sum(kept) / row.examples / 1000


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=sized(2, 1))
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    results: list[list[tuple[float, float]]] = [[] for _ in ROWS]
    for _ in range(rounds):
        for row, found in zip(ROWS, results, strict=True):
            found.append(measured(row))
            print(row, found[-1], flush=True)
    base, rows = min(results[0])[0], {}
    for row, found in zip(ROWS, results, strict=True):
        seconds, size = min(found)
        classes, latents = row.size
        rows[f"{classes:,} x {latents}: {row.title}"] = {
            "CPU seconds an example": f"{seconds:.3f}",
            "over the first row": f"{seconds / base:.2f}",
            "kB an example": f"{size:,.1f}",
        }
    note = (
        f"64x64 pictures, {STEPS} path points, one thread, the faster of {rounds} rounds. "
        "`python -m benchmarks.many_classes`"
    )
    write("many_classes", note, rows, "classes x latents: attributed")


if __name__ == "__main__":
    main()
