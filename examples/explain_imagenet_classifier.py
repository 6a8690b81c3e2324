"""Why does an ImageNet classifier say "cat"? A photograph, seen in every way, and a report.

    python -m examples.explain_imagenet_classifier

EfficientNet-Lite0, as it was trained on ImageNet, looks at a photograph of a cat that is shifted,
zoomed, turned, recoloured, dimmed and blurred. A code of these pictures, which never saw how they
were made, says what the classifier uses. Then the photograph is rendered again, to see whether that
is so. Needs pip install 'trimvae[photographs]'. The code is kept in runs/examples/ and read from
there the next time.
"""

from pathlib import Path

import torch

from examples.quick import QUICK, quick
from trimvae import VAE, explain, fit
from trimvae.data import photographs
from trimvae.data.imagenet import CLASSES, efficientnet_lite
from trimvae.data.photos import PHOTOGRAPHS
from trimvae.metrics.variance import variance_shares


def names_of(shares: torch.Tensor, factors: tuple[str, ...]) -> list[str]:
    """What each latent draws: the factor that explains most of its variance, if that is much."""
    best = shares.max(dim=1)
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [
        f"{factors[k]} (z{j})" if share > 0.3 else f"mixed (z{j})"
        for j, (k, share) in enumerate(pairs)
    ]


def main() -> None:
    folder = Path("runs/examples")
    folder.mkdir(parents=True, exist_ok=True)
    # --8<-- [start:data]
    classifier = efficientnet_lite({"cat": CLASSES["cat"]}, size=quick(96, 64))
    data = photographs(size=64)
    cats = {"photograph": PHOTOGRAPHS.index("cat")}
    levels = data.draw(quick(5000, 64), fixed=cats, generator=torch.Generator().manual_seed(0))
    images = data.sample(levels)
    # --8<-- [end:data]
    kept = folder / "cats.safetensors"
    if kept.exists() and not QUICK:
        vae = VAE.load(kept)
    else:
        torch.manual_seed(0)
        # --8<-- [start:train]
        vae = VAE.convolutional(image_shape=(3, 64, 64), latent_size=10)
        fit(vae, None, images, max_epochs=quick(8, 1), batch_size=64)  # pictures first: fast
        fit(vae, classifier, images[:1000], max_epochs=quick(2, 1), prediction_weight=100.0)
        # --8<-- [end:train]
        if not QUICK:
            vae.save(kept)

    # --8<-- [start:explain]
    n = quick(100, 12)
    held_out = data.draw(n, fixed=cats, generator=torch.Generator().manual_seed(1))
    shown = data.sample(held_out)
    drawn = variance_shares(vae.encode(shown).mean.detach(), held_out[:, 1:])
    explanation = explain(
        vae,
        classifier,
        shown,
        n_steps=8,
        class_names=classifier.class_names,
        latent_names=names_of(drawn, data.factor_names[1:]),
    )
    explanation.to_html(folder / "cat.html", title="Why it says cat")
    # --8<-- [end:explain]
    print(explanation.summary())

    # --8<-- [start:again]
    turned = torch.tensor([[0, 3, 3, 1, level, 0, 2, 0] for level in range(9)])
    probability = classifier(data.sample(turned)).detach().softmax(dim=1)[:, 0]
    for degrees, value in zip(data.factor_values["rotation"], probability.tolist(), strict=True):
        print(f"turned by {degrees:+.0f} degrees it says cat with {value:.0%}")
    # --8<-- [end:again]

    # What is explained is the classifier's own evidence, whole.
    change = explanation.explained_at - explanation.explained_at_baseline
    assert change.shape == (n, 2)
    torch.testing.assert_close(explanation.outputs[:2], classifier(shown[:2]).detach())


if __name__ == "__main__":
    main()
