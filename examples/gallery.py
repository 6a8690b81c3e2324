"""Draw every figure once, on handwritten digits and on a table.

    python -m examples.gallery [FOLDER]

Writes to runs/examples/gallery, or to the folder given; the gallery page of the documentation shows
these files.
"""

import sys
from pathlib import Path

import torch
from sklearn.datasets import load_wine
from torch import nn

from attributions import Sparsity
from attributions.spectra import plot_bands, plot_basis
from attributions.transforms import Fourier, NonNegativeParts
from examples.quick import QUICK, quick
from trimvae import VAE, evaluate, explain, fit
from trimvae.cli.demo_data import new_classifier, train_classifier
from trimvae.data import digits
from trimvae.figures import plot_history, plot_trade_off


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/examples/gallery")
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    data = digits()
    n, few = quick(None, 256), quick(200, 40)
    images, labels = data.train_inputs[:n], data.train_labels[:n]
    classifier = train_classifier(new_classifier(), images, labels, epochs=8)
    points, histories = {}, []
    for weight in (0.0, 4.0):
        torch.manual_seed(0)
        vae = VAE.convolutional(image_shape=(1, 28, 28), latent_size=10)
        penalties = [Sparsity(weight=weight)] if weight else []
        history = fit(
            vae,
            classifier,
            images,
            validation=data.test_inputs[: quick(500, 64)],
            penalties=penalties,
            max_epochs=quick(8, 2),
        )
        histories.append(history)
        explanation = explain(
            vae,
            classifier,
            data.test_inputs[:few],
            n_steps=quick(32, 8),
            labels=data.test_labels[:few],
            class_names=data.class_names,
        )
        points[f"weight {weight:g}"] = explanation.metrics
    asked = data.test_inputs[: quick(64, 24)]
    evaluation = evaluate(
        vae,
        classifier,
        asked,
        n_interventions=len(asked),
        n_alpha=quick(200, 8),
        n_beta=quick(50, 4),
    )

    # --8<-- [start:figures]
    pictures = {
        "heatmap": explanation.plot(),
        "waterfall": explanation.plot_waterfall(3).figure,
        "traversals": explanation.plot_traversals(3, n_latents=3),
        "pixels": explanation.plot_pixels(3),
        "counterfactual": explanation.plot_counterfactual(3),
        "gradient_shift": explanation.plot_counterfactual(3, method="gradient"),
        "attributes": explanation.plot_attributes("3", k=3),
        "trust": explanation.plot_trust(evaluation),
        "history": plot_history(histories[-1]),
        "trade_off": plot_trade_off(points).figure,
    }
    explanation.animate(folder / "traversal.gif", example=3, frames=13)
    # --8<-- [end:figures]

    pictures |= pictures_of_transforms(classifier, data)
    table = explain_wine()
    pictures |= {
        "table_heatmap": table.plot(),
        "table_traversals": table.plot_traversals(0, n_latents=2),
        "table_columns": table.plot_pixels(0, n_latents=2),
        "table_counterfactual": table.plot_counterfactual(0),
        "table_attributes": table.plot_attributes(0, k=2),
    }
    for name, figure in pictures.items():
        figure.savefig(folder / f"{name}.png", dpi=90)
    assert len(list(folder.glob("*.png"))) >= len(pictures)
    assert QUICK or explanation.metrics["agreement"] > 0.85


def pictures_of_transforms(classifier, data):
    """Codes that need no training: frequency bands, and parts."""
    images, many = data.test_inputs[: quick(40, 12)], data.train_inputs[: quick(2000, 200)]
    # --8<-- [start:transforms]
    bands = Fourier((1, 28, 28), dims=2)
    by_frequency = explain(bands, classifier, images, n_steps=16)
    means = bands.by_group(by_frequency.target_attributions).mean(dim=0, keepdim=True)
    curves = plot_bands(means, class_names=["all digits"], label="mean attribution").figure

    parts = NonNegativeParts(many, 12)
    by_part = explain(parts, classifier, images, n_steps=16, residual=True)
    strongest = by_part.top(5)
    basis = torch.stack([parts.basis(use.latent) for use in strongest])
    drawn = plot_basis(basis, names=[f"{use.name} ({use.share:.0%})" for use in strongest])
    # --8<-- [end:transforms]
    return {"bands": curves, "basis": drawn}


def explain_wine():
    """A classifier of wines by 13 measurements, explained."""
    table = load_wine()
    columns = torch.from_numpy(table.data).float()
    columns = (columns - columns.mean(dim=0)) / columns.std(dim=0)
    classifier = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 3))
    train_classifier(classifier, columns, torch.from_numpy(table.target), epochs=60)
    vae = VAE.dense((13,), latent_size=4, hidden=(64, 64), scale=0.5)
    fit(
        vae,
        classifier,
        columns,
        penalties=[Sparsity(weight=2.0)],
        max_epochs=quick(120, 10),
        batch_size=64,
    )
    return explain(
        vae,
        classifier,
        columns,
        labels=torch.from_numpy(table.target),
        class_names=["wine A", "wine B", "wine C"],
        feature_names=table.feature_names,
    )


if __name__ == "__main__":
    main()
