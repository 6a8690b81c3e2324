"""Explain a classifier you already have, through a VAE of your data.

    python -m examples.explain_a_classifier

An ordinary classifier of handwritten digits is trained first; take your own instead. Writes
heatmap, traversals and report to runs/examples/.
"""

from pathlib import Path

import torch

from examples.quick import QUICK, quick
from trimvae import VAE, explain, fit
from trimvae.cli.demo_data import new_classifier, train_classifier
from trimvae.data import digits


def main() -> None:
    torch.manual_seed(0)
    data = digits()
    n = quick(None, 256)
    images, labels = data.train_inputs[:n], data.train_labels[:n]
    classifier = train_classifier(new_classifier(), images, labels, epochs=8)

    held_out = data.test_inputs[: quick(200, 48)]

    # --8<-- [start:train]
    vae = VAE.convolutional(image_shape=(1, 28, 28), latent_size=10)
    fit(vae, classifier, images, max_epochs=10, prediction_weight=20.0)
    # --8<-- [end:train]
    # --8<-- [start:explain]
    explanation = explain(
        vae,
        classifier,
        held_out,
        n_steps=32,
        labels=data.test_labels[: len(held_out)],  # only to tell right from wrong
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
    assert QUICK or explanation.metrics["agreement"] > 0.7


if __name__ == "__main__":
    main()
