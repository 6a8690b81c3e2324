"""What costs an ImageNet classifier the word "cat"? A photograph, changed in seven known ways.

    python -m examples.explain_imagenet_classifier

EfficientNet-Lite0, as it was trained on ImageNet, looks at a photograph of a cat that is shifted,
zoomed, turned, recoloured, dimmed and blurred. The code's decoder is the renderer itself, so its
latents have names, and 0 is the photograph as it is: an attribution says what a change costs. Then
each change is undone, to see whether that is so. Needs pip install 'trimvae[photographs]'.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from attributions.methods.shapley import exact_shapley
from examples.quick import QUICK, quick
from trimvae import explain
from trimvae.data.imagenet import CLASSES, efficientnet_lite
from trimvae.data.photos import Rendering
from trimvae.models import fit_inverter, invert


def main() -> None:
    folder = Path("runs/examples")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # --8<-- [start:data]
        classifier = efficientnet_lite({"cat": CLASSES["cat"]}, size=96)
        code = Rendering("cat", size=96)
        small = Rendering("cat", size=48)  # the same latents, faster to learn from
        # --8<-- [end:data]
    except ModuleNotFoundError as error:
        print(f"skipped: {error}")
        return

    torch.manual_seed(0)
    # --8<-- [start:train]
    network = fit_inverter(small, small.image_shape, small.latent_size, n_steps=quick(300, 2))
    near = nn.Sequential(nn.AvgPool2d(2), network)

    def read(pictures: Tensor) -> Tensor:
        """A network's guess, then pixel error through the renderer."""
        start, steps = near(pictures), quick(100, 2)
        return invert(
            code.decode, pictures, start, n_steps=steps, learning_rate=0.1, warn_above=None
        ).latents

    code.encoder = read
    # --8<-- [end:train]

    # --8<-- [start:explain]
    changes = code.draw(quick(30, 4), torch.Generator().manual_seed(1))
    pictures = code.decode(changes)
    explanation = explain(
        code, classifier, pictures, method=exact_shapley, class_names=classifier.class_names
    )
    explanation.to_html(folder / "cat.html", title="What costs the cat")
    # --8<-- [end:explain]
    print(explanation.summary())

    cat = explanation.outputs.softmax(dim=1)[:, 0]
    hardest = int(cat.argmin())
    costs = explanation.attributions[hardest, 0]
    reasons = ", ".join(f"{code.latent_names[j]} ({costs[j]:+.1f})" for j in costs.argsort()[:3])
    print(f"Picture {hardest}: it says cat with {cat[hardest]:.0%}, because of {reasons}.")

    # --8<-- [start:again]
    def says(latents: Tensor) -> list[str]:
        shares = classifier(code.decode(latents)).detach().softmax(dim=1)[:, 0]
        return [f"cat {share:.0%}" for share in shares.tolist()]

    undone = changes[hardest].repeat(code.latent_size, 1).fill_diagonal_(0)
    for name, said in zip(code.latent_names, says(undone), strict=True):
        print(f"with its {name} undone it says {said}")
    for name, factor in (("rotation", 60.0), ("blur", 0.05)):
        alone = code.factors_at(code.baseline())
        alone[:, code.latent_names.index(name)] = factor
        print(f"the photograph with {name} {factor:g} alone: {says(code.latents_at(alone))[0]}")
    # --8<-- [end:again]

    # Complete: all costs together are the whole change of the evidence.
    change = explanation.explained_at - explanation.explained_at_baseline
    torch.testing.assert_close(explanation.attributions.sum(dim=2), change, rtol=1e-3, atol=1e-3)
    if not QUICK:
        assert explanation.metrics["agreement"] > 0.9
        assert (explanation.latents - changes).abs().mean() < 0.1


if __name__ == "__main__":
    main()
