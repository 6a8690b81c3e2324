"""Two explanations of one classifier look alike; the trust figures tell which to believe.

    python -m examples.choose_an_explanation

Both codes have few effective latents. One was trained with plain L1 and no prediction loss, which
is simple because it no longer shows what the classifier looks at; the other with the default.
"""

import warnings

import torch
from sklearn.datasets import load_digits
from torch import nn

from attributions import Sparsity
from examples.quick import QUICK, quick
from trimvae import VAE, evaluate, fit
from trimvae.cli.demo_data import train_classifier

ASKED = (
    "effective_latents",
    "agreement",
    "prediction_kl",
    "latent_share",
    "completeness_error",
    "deletion_score",
    "flip_at_2",
    "flip_at_2_random",
    "information_flow_of_best_2",
    "information_flow_control",
    "randomised_predictor_rank_correlation",
)


def main() -> None:
    torch.manual_seed(0)
    data = load_digits()
    inputs = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(data.target)
    order = torch.randperm(len(inputs))
    train, held_out = order[: quick(1500, 256)], order[quick(1500, 1700) :]
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    train_classifier(classifier, inputs[train], labels[train], epochs=30, batch_size=64)

    candidates = {
        "A: L1, no prediction loss": {
            "prediction_weight": 0.0,
            "penalties": [Sparsity(weight=1.0, form="l1")],
        },
        "B: the default": {"prediction_weight": 20.0, "penalties": [Sparsity(weight=2.0)]},
    }
    evaluations = {}
    for name, options in candidates.items():
        torch.manual_seed(0)
        vae = VAE.dense((1, 8, 8), latent_size=8, likelihood="bernoulli")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # fit warns of the loophole
            fit(
                vae,
                classifier,
                inputs[train],
                max_epochs=quick(40, 4),
                batch_size=64,
                progress=False,
                **options,
            )
        evaluations[name] = evaluate(
            vae, classifier, inputs[held_out], n_interventions=quick(128, 16)
        )

    print(f"{'':40}" + "".join(f"{name:>28}" for name in evaluations))
    for figure in ASKED:
        values = [evaluation.metrics[figure] for evaluation in evaluations.values()]
        print(f"{figure:40}" + "".join(f"{value:28.3f}" for value in values))

    bad, good = (evaluation.metrics for evaluation in evaluations.values())
    # Fidelity first: an explanation of another decision is none, however simple it looks.
    assert QUICK or good["agreement"] > 0.85 > bad["agreement"]
    assert QUICK or good["prediction_kl"] < bad["prediction_kl"]
    # Then: do the latents that it names really decide?
    assert QUICK or good["information_flow_of_best_2"] > bad["information_flow_of_best_2"]
    print("Believe B: what it shows is what the classifier decides by.")


if __name__ == "__main__":
    main()
