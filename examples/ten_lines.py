"""From a trained classifier to a report in ten lines: a table, a folder of pictures, torchvision.

    python -m examples.ten_lines

The classifiers are trained first, quickly, to have something to explain; take your own instead.
Writes three pages to runs/examples/.
"""

from pathlib import Path

import torch
from PIL import Image
from sklearn.datasets import load_iris
from torch import nn

from examples.quick import QUICK, quick
from trimvae.cli.demo_data import new_classifier, train_classifier
from trimvae.data import sprites

FOLDER = Path("runs/examples")


def explain_a_table(classifier, columns, labels) -> None:
    # --8<-- [start:table]
    from trimvae import VAE, explain, fit

    vae = VAE.dense(event_shape=(4,), latent_size=3, scale=0.3)
    fit(vae, classifier, columns, max_epochs=150, batch_size=64)
    names = ["sepal length", "sepal width", "petal length", "petal width"]
    explanation = explain(vae, classifier, columns, labels=labels, feature_names=names)
    print(explanation.summary())
    explanation.to_html("runs/examples/table.html")
    # --8<-- [end:table]
    assert QUICK or explanation.metrics["agreement"] > 0.85


def explain_a_folder(classifier) -> None:
    # --8<-- [start:folder]
    from trimvae import VAE, explain, fit
    from trimvae.data import image_folder

    data = image_folder("runs/examples/pictures", size=(64, 64))  # one subfolder per class
    vae = VAE.convolutional(image_shape=(3, 64, 64), latent_size=6)
    fit(vae, classifier, data.train_inputs, max_epochs=8, batch_size=32)
    explanation = explain(vae, classifier, data.test_inputs, class_names=data.class_names)
    print(explanation.summary())
    explanation.to_html("runs/examples/folder.html")
    # --8<-- [end:folder]
    assert explanation.attributions.shape[1:] == (2, 6)


def explain_torchvision(network, images) -> None:
    # --8<-- [start:torchvision]
    from torchvision.transforms.v2 import Compose, Normalize, Resize

    from trimvae import VAE, explain, fit

    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    preprocess = Compose([Resize(96), Normalize(mean, deviation)])
    vae = VAE.convolutional(image_shape=(3, 64, 64), latent_size=6)
    fit(vae, network, images, preprocess=preprocess, max_epochs=1, batch_size=32)
    explanation = explain(vae, network, images[:8], preprocess=preprocess, n_steps=8)
    explanation.to_html("runs/examples/torchvision.html", max_examples=2)
    # --8<-- [end:torchvision]
    assert explanation.attributions.shape == (8, 1, 6)


def main() -> None:
    torch.manual_seed(0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    table = load_iris()
    columns, labels = torch.from_numpy(table.data).float(), torch.from_numpy(table.target)
    columns = (columns - columns.mean(dim=0)) / columns.std(dim=0)
    classifier = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    train_classifier(classifier, columns, labels, epochs=80)
    kept = torch.randperm(len(columns))[: quick(None, 60)]
    explain_a_table(classifier, columns[kept], labels[kept])

    data = sprites(size=64, colours=6).only(orientation=[0])
    factors = data.draw(quick(400, 80), generator=torch.Generator().manual_seed(0))
    images = data.sample(factors)
    large = (factors[:, data.factor_names.index("scale")] > 2).long()
    for index, (image, label) in enumerate(zip(images, large, strict=True)):
        folder = FOLDER / "pictures" / ("small", "large")[label]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = (image.permute(1, 2, 0) * 255).byte().numpy()
        Image.fromarray(pixels).save(folder / f"{index}.png")
    # A folder's classes are in the order of their names: large, small.
    classifier = new_classifier(channels=3, size=64, classes=2)
    explain_a_folder(train_classifier(classifier, images, 1 - large, epochs=10, batch_size=32))

    from torchvision.models import resnet18

    # Untrained, since nothing is downloaded here; weights="DEFAULT" for the real one.
    explain_torchvision(resnet18(weights=None).eval(), images[: quick(64, 32)])


if __name__ == "__main__":
    main()
