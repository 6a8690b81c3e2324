"""Shapley values of latents: `exact_shapley` beside SHAP's explainers of the same function.

A random convolutional code of eight latents, 28x28 pixels, and a random predictor of ten classes
behind it: the function of latents is given to SHAP as it is. Error: mean size of the difference
from the exact values, over the mean size of these. CPU seconds an example, all classes, one
thread. SHAP's kernel explainer asks each of the 254 coalitions once, its permutation explainer
draws orders; one baseline, the prior's mean.

    OMP_NUM_THREADS=1 python -m benchmarks.shapley
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from attributions import Trim, integrated_gradients
from attributions.codes import Decoder
from attributions.methods.shapley import exact_shapley
from benchmarks.sizes import new_parser, sized, skip
from benchmarks.tables import interval, write
from trimvae import VAE

N_LATENTS, N_EXAMPLES = sized((8, 20), (3, 2))
SEEDS = [10, 11, 12, 13, 14]


def setting(seed: int) -> tuple[Trim, Tensor]:
    """A function of latents, and latents."""
    torch.manual_seed(seed)
    predictor = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.SiLU(), nn.Linear(64, 10))
    vae = VAE.convolutional((1, 28, 28), N_LATENTS).eval()
    return Trim(predictor, Decoder(vae), explained="centred_logit"), torch.randn(
        N_EXAMPLES, N_LATENTS
    )


def arms() -> dict[str, Callable[[Trim, Tensor], Tensor]]:
    """Every way, as a function from trim and latents to `(examples, classes, latents)`."""
    try:
        import shap
    except ModuleNotFoundError:
        skip("shap is not installed: pip install 'trimvae[shap]'")

    def of_numbers(trim: Trim) -> Callable[[np.ndarray], np.ndarray]:
        def function(rows: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return trim(torch.as_tensor(rows, dtype=torch.float32)).numpy()

        return function

    def kernel(trim: Trim, latents: Tensor) -> Tensor:
        explainer = shap.KernelExplainer(of_numbers(trim), np.zeros((1, N_LATENTS)))
        found = explainer.shap_values(latents.numpy(), silent=True)
        return torch.as_tensor(np.asarray(found)).transpose(1, 2)

    def permutation(trim: Trim, latents: Tensor) -> Tensor:
        masker = shap.maskers.Independent(np.zeros((1, N_LATENTS)))
        explainer = shap.PermutationExplainer(of_numbers(trim), masker, seed=0)
        found = explainer(latents.numpy(), silent=True).values
        return torch.as_tensor(found).transpose(1, 2)

    return {
        "`exact_shapley`": exact_shapley,
        "SHAP, `KernelExplainer`": kernel,
        "SHAP, `PermutationExplainer`": permutation,
        "`integrated_gradients`, other values": lambda trim, latents: (
            integrated_gradients(trim, latents, n_steps=None).attributions
        ),
    }


def main() -> None:
    arguments = new_parser(__doc__, seeds=SEEDS).parse_args()
    torch.set_num_threads(1)
    ways = arms()
    errors: dict[str, list[float]] = {name: [] for name in ways}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for seed in arguments.seeds:
        trim, latents = setting(seed)
        exact = exact_shapley(trim, latents)
        for name, way in ways.items():
            started = time.process_time()
            found = way(trim, latents)
            seconds[name].append((time.process_time() - started) / len(latents))
            difference = (found.to(exact) - exact).abs().mean() / exact.abs().mean()
            errors[name].append(float(difference))
    rows = {
        name: {
            "error": interval(errors[name], 4),
            "CPU seconds an example": interval(seconds[name]),
        }
        for name in ways
    }
    note = (
        f"{N_LATENTS} latents, ten classes, {N_EXAMPLES} examples, {len(arguments.seeds)} seeds of "
        "code and predictor; mean ± half the 95 % interval. `python -m benchmarks.shapley`"
    )
    write("shapley", note, rows, "all classes")


if __name__ == "__main__":
    main()
