"""Explain a classifier you already have, through a VAE of your data.

    python examples/explain_a_classifier.py

An ordinary classifier of handwritten digits is trained first; take your own instead. Writes
heatmap, traversals and report to runs/examples/.
"""

from pathlib import Path

import torch

from trimvae import VAE, explain, fit
from trimvae.data import digits
from trimvae.demo import new_classifier, train_classifier


def main() -> None:
    torch.manual_seed(0)
    data = digits()
    classifier = train_classifier(new_classifier(), data.train_inputs, data.train_labels, epochs=8)

    # --8<-- [start:train]
    vae = VAE.convolutional(image_shape=(1, 28, 28), latent_size=10)
    fit(vae, classifier, data.train_inputs, max_epochs=10, prediction_weight=20.0)
    # --8<-- [end:train]
    # --8<-- [start:explain]
    explanation = explain(
        vae,
        classifier,
        data.test_inputs[:200],
        n_steps=32,
        labels=data.test_labels[:200],  # only to tell right from wrong
        class_names=data.class_names,
    )
    print(explanation.summary())
    # --8<-- [end:explain]
    folder = Path("runs/examples")
    folder.mkdir(parents=True, exist_ok=True)
    # --8<-- [start:look]
    explanation.plot().savefig(folder / "digits_heatmap.png", dpi=150)
    explanation.plot_traversals(0).savefig(folder / "digits_traversals.png", dpi=110)
    explanation.wrong().to_html(folder / "digits_wrong.html", title="Digits taken for others")
    explanation.to_html(folder / "digits.html", title="What the digit classifier uses")
    # --8<-- [end:look]

    # Completeness: the attributions add up to what the latents change.
    change = explanation.explained_at - explanation.explained_at_baseline
    missing = (explanation.attributions.sum(dim=2) - change).abs().mean()
    assert missing < 0.02 * change.abs().mean()
    assert explanation.metrics["agreement"] > 0.7


if __name__ == "__main__":
    main()
