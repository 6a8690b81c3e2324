"""Explain a classifier of a table: breast-cancer biopsies, 30 columns.

    python -m examples.explain_a_table

The classifier has one logit (malignant or not), as binary classifiers often do. Writes a heatmap
and traversals to runs/examples/.
"""

from pathlib import Path

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.nn import functional as F

from attributions import Sparsity
from examples.quick import QUICK, quick
from trimvae import VAE, explain, fit
from trimvae.data import split


def main() -> None:
    torch.manual_seed(0)
    table = load_breast_cancer()
    columns = torch.from_numpy(table.data).float()
    columns = (columns - columns.mean(dim=0)) / columns.std(dim=0)
    malignant = torch.from_numpy(1 - table.target).long()
    data = split(columns, malignant)
    rows = data.train_inputs[: quick(None, 64)]

    classifier = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(classifier.parameters(), 1e-2, weight_decay=1e-3)
    for _ in range(200):
        logits = classifier(data.train_inputs)[:, 0]
        loss = F.binary_cross_entropy_with_logits(logits, data.train_labels.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    accuracy = ((classifier(data.test_inputs)[:, 0] > 0) == data.test_labels).float().mean()
    print(f"accuracy on held-out biopsies: {accuracy:.3f}")

    # --8<-- [start:explain]
    vae = VAE.dense(event_shape=(30,), latent_size=5, hidden=(64, 64), scale=0.5)
    fit(
        vae,
        classifier,
        rows,
        task="classification",
        penalties=[Sparsity(weight=2.0)],
        max_epochs=150,
        batch_size=64,
    )
    explanation = explain(
        vae,
        classifier,
        data.test_inputs,
        task="classification",
        class_names=["benign", "malignant"],
        feature_names=list(table.feature_names),
    )

    print(explanation.summary())
    # --8<-- [end:explain]
    folder = Path("runs/examples")
    folder.mkdir(parents=True, exist_ok=True)
    explanation.plot().savefig(folder / "table_heatmap.png", dpi=150)
    explanation.plot_traversals(0, n_latents=3).savefig(folder / "table_traversals.png", dpi=110)
    explanation.to_html(folder / "table_report.html", title="What the classifier of biopsies uses")
    assert QUICK or explanation.metrics["agreement"] > 0.9
    assert explanation.metrics["completeness_error"] < 0.01


if __name__ == "__main__":
    main()
