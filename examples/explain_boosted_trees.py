"""Explain LightGBM: boosted trees have no gradient, and need none.

    pip install 'trimvae[tables]'
    python -m examples.explain_boosted_trees

Training goes through a network that imitates the trees; the explanation asks the trees themselves.
"""

import importlib.util

import torch
from sklearn.datasets import load_breast_cancer

from attributions import exact_shapley
from examples.quick import QUICK, quick
from trimvae import VAE, explain, fit
from trimvae.explanation.other_rows import find_other_rows


def main() -> None:
    if importlib.util.find_spec("lightgbm") is None:
        print("skipped: pip install 'trimvae[tables]' brings LightGBM")
        return
    from lightgbm import LGBMClassifier

    torch.manual_seed(0)
    table = load_breast_cancer(as_frame=True)
    frame = table.data.rename(columns=lambda name: name.replace(" ", "_"))
    trees = LGBMClassifier(n_estimators=quick(100, 10), n_jobs=1, verbose=-1)
    trees.fit(frame[:450], table.target[:450])
    print(f"accuracy on held-out biopsies: {trees.score(frame[450:], table.target[450:]):.3f}")

    # --8<-- [start:explain]
    vae = VAE.table(frame[:450], latent_size=5)
    fit(vae, trees, frame[:450], max_epochs=quick(100, 2), batch_size=64)
    explanation = explain(
        vae, trees, frame[450:], method=exact_shapley, class_names=["malignant", "benign"]
    )
    others = find_other_rows(vae, trees, frame[450:480], fixed=["mean_texture"])

    print(explanation.summary())
    print(vae.trained_with["imitation_agreement"], others.metrics)
    # --8<-- [end:explain]
    assert others.frame["mean_texture"].equals(frame["mean_texture"][450:480])
    assert QUICK or explanation.metrics["agreement"] > 0.85


if __name__ == "__main__":
    main()
