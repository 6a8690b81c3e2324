"""Tiny models: linear ones with closed forms, convolutional ones with every layer that matters."""

import torch
from torch import Tensor, nn

from attributions import Trim


class LinearCase:
    """A linear predictor after a linear decoder: every attribution has a closed form."""

    def __init__(self, batch: int = 5, features: int = 6, latents: int = 3, classes: int = 4):
        self.predictor = nn.Linear(features, classes).double()
        self.decoder = nn.Linear(latents, features).double()
        self.inputs = torch.randn(batch, features, dtype=torch.float64)
        self.latents = torch.randn(batch, latents, dtype=torch.float64)

    @property
    def jacobian(self) -> Tensor:
        return (self.predictor.weight @ self.decoder.weight).detach()


def smooth_decoder(latents: int = 3, features: int = 6) -> nn.Module:
    return nn.Sequential(nn.Linear(latents, 8), nn.Softplus(), nn.Linear(8, features)).double()


def smooth_predictor(features: int = 6, classes: int = 4) -> nn.Module:
    return nn.Sequential(nn.Linear(features, 8), nn.Tanh(), nn.Linear(8, classes)).double()


def relu_case() -> tuple[Trim, Tensor, Tensor, Tensor]:
    """A piecewise linear `Trim`, latents, residual, and the change from the baseline 0."""
    decoder = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8)).double()
    predictor = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)).double()
    trim = Trim(predictor, decoder)
    latents, inputs = torch.randn(5, 4).double(), torch.randn(5, 8).double()
    residual = trim.residual(inputs, latents)
    with torch.no_grad():
        change = trim(latents, residual) - trim(torch.zeros_like(latents), residual)
    return trim, latents, residual, change


def convolutional_predictor(classes: int = 10, size: int = 28, channels: int = 1) -> nn.Module:
    """Batch norm, dropout, ReLU and max pooling: what real classifiers have."""
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(8 * (size // 2) ** 2, classes),
    )


def convolutional_decoder(latents: int) -> nn.Module:
    """Latents to images of 28 x 28 pixels."""
    return nn.Sequential(
        nn.Linear(latents, 8 * 7 * 7),
        nn.Unflatten(1, (8, 7, 7)),
        nn.SiLU(),
        nn.ConvTranspose2d(8, 4, 4, 2, 1),
        nn.SiLU(),
        nn.ConvTranspose2d(4, 1, 4, 2, 1),
        nn.Sigmoid(),
    )


class Logits(dict):
    """What a Hugging Face model returns: a mapping whose keys are attributes, too."""

    __getattr__ = dict.__getitem__


class HuggingFaceStyle(nn.Module):
    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, pixel_values: Tensor) -> Logits:
        return Logits(loss=None, logits=self.inner(pixel_values))


class FunctionModule(nn.Module):
    """Any function of `(batch, features)` as a module with a parameter."""

    def __init__(self, function, features: int = 6, classes: int = 4):
        super().__init__()
        self.linear = nn.Linear(features, classes)
        self.function = function

    def forward(self, inputs: Tensor):
        return self.function(self.linear(inputs.flatten(1)))


class ReverseOnly(torch.autograd.Function):
    """An operator without forward mode, as many of users' own are."""

    @staticmethod
    def forward(ctx, inputs):
        ctx.save_for_backward(inputs)
        return inputs.pow(2)

    @staticmethod
    def backward(ctx, gradient):
        return 2 * ctx.saved_tensors[0] * gradient


def snapshot(module: nn.Module) -> dict:
    """Everything about a module that must come back as it was."""
    return {
        "state": {name: value.clone() for name, value in module.state_dict().items()},
        "flags": [parameter.requires_grad for parameter in module.parameters()],
        "modes": [submodule.training for submodule in module.modules()],
        "identities": [id(parameter) for parameter in module.parameters()],
        "gradients": [
            None if parameter.grad is None else parameter.grad.clone()
            for parameter in module.parameters()
        ],
        "hooks": [len(submodule._forward_hooks) for submodule in module.modules()],
    }


def assert_same_snapshot(left: dict, right: dict) -> None:
    assert left["state"].keys() == right["state"].keys()
    for name, value in left["state"].items():
        assert torch.equal(value, right["state"][name]), name
    for key in ("flags", "modes", "identities", "hooks"):
        assert left[key] == right[key], key
    for before, after in zip(left["gradients"], right["gradients"], strict=True):
        assert (before is None) == (after is None)
        assert before is None or torch.equal(before, after)
