"""Explain an ImageNet classifier by concepts of its own features: photographs of 224 pixels.

    python -m examples.explain_layer_concepts

EfficientNet-Lite0 and scikit-image's photographs come with packages, which
`examples/photographs.py` names; where they are missing, a small random network on noise takes their
place. No generator is trained. Writes three pictures to runs/examples/.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights

from attributions.transforms import Features, NonNegativeParts
from examples.photographs import Lite0, available, crops
from examples.quick import quick
from trimvae.explanation.concepts import concept_maps, explain_concepts
from trimvae.figures import plot_concept_maps, plot_concepts


class Small(nn.Module):
    """A random network with a layer of the same name."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 5, 4), nn.ReLU(), nn.Conv2d(16, 24, 3, 2))
        self.last, self.head = nn.ReLU(), nn.Linear(24, 10)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures to logits."""
        return self.head(self.last(self.body(pictures)).mean(dim=(2, 3)))


def main() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    if available():
        network, pictures = Lite0(), crops(quick(30, 10), generator)
    else:
        network, pictures = Small(), torch.rand(10, 3, 64, 64, generator=generator)
    with torch.no_grad():
        outputs = network(pictures[:5])
    # Torchvision's weights name the classes of ImageNet, in their order; none are downloaded.
    names = ResNet18_Weights.DEFAULT.meta["categories"][: outputs.shape[1]]

    # --8<-- [start:explain]
    features = Features(network, "last", NonNegativeParts, pictures, latent_size=8)
    explanation = explain_concepts(features, pictures[:5], explained="output", class_names=names)
    print(explanation.to_frame().sort_values("attribution").tail())

    maps = concept_maps(features, pictures[:5])
    looks = plot_concepts(features, pictures)
    predicted = names[int(outputs[2].argmax())]
    places = plot_concept_maps(features, pictures[2], maps[2], name=predicted)
    # --8<-- [end:explain]
    folder = Path("runs/examples")
    folder.mkdir(parents=True, exist_ok=True)
    looks.savefig(folder / "concepts.png", dpi=110)
    places.savefig(folder / "concept_maps.png", dpi=110)
    explanation.plot(max_classes=5).savefig(folder / "concept_heatmap.png", dpi=110)

    # What all concepts together add up to: the network's own output, from what no concept draws.
    # Of a thousand classes, to each picture's predicted one.
    starts = explanation.of_target(explanation.explained_at_baseline.unsqueeze(2))[:, 0]
    ends = starts + explanation.target_attributions.sum(dim=1)
    assert torch.allclose(ends, outputs.amax(dim=1), rtol=1e-3, atol=1e-3)
    assert torch.allclose(
        maps.flatten(2).sum(dim=2), explanation.target_attributions, rtol=1e-2, atol=1e-3
    )


if __name__ == "__main__":
    main()
