"""What does `evaluate` cost? CPU seconds of 64 pictures of 64 pixels, and pictures decoded.

An untrained convolutional code of ten latents and a linear predictor of ten classes, so that
nearly all of it is the code's own time. One thread; the faster of --rounds.

    OMP_NUM_THREADS=1 python -m benchmarks.evaluating
"""

import time
from typing import ClassVar

import torch
from torch import Tensor, nn

from benchmarks.sizes import new_parser, sized
from benchmarks.tables import write
from trimvae import VAE
from trimvae.evaluation.evaluating import evaluate

N_EXAMPLES, SIZE = sized((64, 64), (20, 28))
OPTIONS = sized({}, {"n_interventions": 8, "n_alpha": 4, "n_beta": 3})


class Counted(nn.Module):
    """A code that counts what it decodes, also in the replicas that are asked."""

    decoded: ClassVar[list[int]] = []

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.vae = vae

    def encode(self, inputs: Tensor) -> torch.distributions.Normal:
        """As the VAE does."""
        return self.vae.encode(inputs)

    def decode(self, latents: Tensor) -> Tensor:
        """As the VAE does."""
        self.decoded.append(len(latents))
        return self.vae.decode(latents)


def cost(seed: int) -> tuple[float, int]:
    """CPU seconds of an evaluation, and how many pictures it decoded."""
    torch.manual_seed(seed)
    predictor = nn.Sequential(nn.Flatten(), nn.Linear(SIZE**2, 10))
    code = Counted(VAE.convolutional((1, SIZE, SIZE), 10))
    code.decoded.clear()
    pictures = torch.rand(N_EXAMPLES, 1, SIZE, SIZE)
    started = time.process_time()
    evaluate(code, predictor, pictures, **OPTIONS)
    return time.process_time() - started, sum(code.decoded)


def main() -> None:
    parser = new_parser(__doc__, seeds=[0])
    parser.add_argument("--rounds", type=int, default=sized(2, 1))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seconds, decoded = min(cost(arguments.seeds[0]) for _ in range(arguments.rounds))
    rows = {
        "`evaluate`": {
            "CPU seconds": f"{seconds:.1f}",
            "pictures decoded": f"{decoded:,}",
            "ms a picture": f"{1000 * seconds / decoded:.2f}",
        }
    }
    note = f"{N_EXAMPLES} pictures of {SIZE} pixels, ten latents, ten classes; one thread."
    write("evaluating", f"{note} `python -m benchmarks.evaluating`", rows, "")


if __name__ == "__main__":
    main()
