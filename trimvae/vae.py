"""The VAE: encode -> torch.distributions.Normal, decode -> inputs."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Laplace, Normal

from trimvae.files import read_tensors, write_tensors
from trimvae.networks import (
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    DenseDecoder,
    DenseEncoder,
)

Likelihood = Literal["bernoulli", "gaussian", "laplace"]


class VAE(nn.Module):
    r"""A variational autoencoder, as two verbs: `encode` to a Normal, `decode` to inputs.

    References:
        Kingma, Welling: Auto-Encoding Variational Bayes, 2014, https://arxiv.org/abs/1312.6114

    Args:
        encoder: Module, inputs `(batch, *event)` to a `Normal` over `(batch, latent_size)`, or to
            a tensor `(batch, 2 * latent_size)` of means and log-variances.
        decoder: Module, latents `(batch, latent_size)` to `(batch, *event)`: logits for the
            Bernoulli likelihood, else means. Smooth activations (SiLU, softplus): a penalty on
            attributions needs second derivatives, which ReLU does not have.
        latent_size: Number of latents; taken from the first encoded batch without it.
        likelihood: p(x given z): `"bernoulli"` for inputs in [0, 1], `"gaussian"` or `"laplace"`.
        scale: Deviation of the Gaussian, or scale of the Laplace, in units of the inputs.
        event_shape: Shape of one example, to check inputs against; unchecked without it.

    Raises:
        ValueError: `likelihood` is unknown, or `latent_size` or `scale` is not positive.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_size: int | None = None,
        *,
        likelihood: Likelihood = "bernoulli",
        scale: float = 1.0,
        event_shape: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if likelihood not in get_args(Likelihood):
            raise ValueError(
                f"`likelihood` must be one of {get_args(Likelihood)}. Got {likelihood!r}. "
                "Use 'bernoulli' for inputs in [0, 1], 'gaussian' for any."
            )
        if latent_size is not None and latent_size < 1:
            raise ValueError(f"`latent_size` must be at least 1. Got {latent_size}. Use 10.")
        if not scale > 0:
            raise ValueError(f"`scale` must be above 0. Got {scale}. Use a typical error's size.")
        self.encoder = encoder
        self.decoder = decoder
        self._latent_size = latent_size
        self.likelihood = likelihood
        self.scale = scale
        self.event_shape = None if event_shape is None else tuple(event_shape)
        self.architecture: dict[str, Any] | None = None
        self.trained_with: dict[str, Any] | None = None

    @classmethod
    def convolutional(
        cls,
        image_shape: tuple[int, int, int],
        latent_size: int,
        *,
        channels: int = 32,
        hidden: int = 256,
        likelihood: Likelihood = "bernoulli",
        scale: float = 1.0,
    ) -> "VAE":
        """Burgess' convolutional network, for images of 28 to 128 pixels and any channels.

        Args:
            image_shape: `(channels, height, width)`; sizes that do not halve evenly are padded
                inside and cropped again.
            latent_size: Number of latents.
            channels: Width of the convolutions.
            hidden: Width of the dense layers.
            likelihood: See `VAE`.
            scale: See `VAE`.

        Raises:
            ValueError: `image_shape` is not `(channels, 28..128, 28..128)`.

        Examples:
            >>> vae = VAE.convolutional(image_shape=(1, 28, 28), latent_size=10)
            >>> vae.decode(vae.prior.sample((5,))).shape == (5, 1, 28, 28)
            True
        """
        shape = tuple(image_shape)
        if len(shape) != 3 or shape[0] < 1 or not all(28 <= size <= 128 for size in shape[1:]):
            raise ValueError(
                "`image_shape` must be (channels, height, width) with sizes from 28 to 128. "
                f"Got {shape}. Resize the images, or bring your own encoder and decoder."
            )
        architecture = {
            "kind": "convolutional",
            "image_shape": list(shape),
            "latent_size": latent_size,
            "channels": channels,
            "hidden": hidden,
            "likelihood": likelihood,
            "scale": scale,
        }
        sizes = (image_shape, latent_size, channels, hidden)
        vae = cls(
            ConvolutionalEncoder(*sizes),
            ConvolutionalDecoder(*sizes),
            latent_size,
            likelihood=likelihood,
            scale=scale,
            event_shape=shape,
        )
        vae.architecture = architecture
        return vae

    @classmethod
    def dense(
        cls,
        event_shape: Sequence[int],
        latent_size: int,
        *,
        hidden: Sequence[int] = (256, 256),
        likelihood: Likelihood = "gaussian",
        scale: float = 1.0,
    ) -> "VAE":
        """Fully connected network, for tables `(features,)` and small images.

        Args:
            event_shape: Shape of one example.
            latent_size: Number of latents.
            hidden: Widths of the encoder's hidden layers; mirrored in the decoder.
            likelihood: See `VAE`; Gaussian by default, for standardised columns.
            scale: See `VAE`.

        Examples:
            >>> vae = VAE.dense(event_shape=(30,), latent_size=4)
            >>> vae.encode(torch.randn(5, 30)).mean.shape == (5, 4)
            True
        """
        shape = tuple(event_shape)
        architecture = {
            "kind": "dense",
            "event_shape": list(shape),
            "latent_size": latent_size,
            "hidden": list(hidden),
            "likelihood": likelihood,
            "scale": scale,
        }
        vae = cls(
            DenseEncoder(shape, latent_size, hidden),
            DenseDecoder(shape, latent_size, hidden),
            latent_size,
            likelihood=likelihood,
            scale=scale,
            event_shape=shape,
        )
        vae.architecture = architecture
        return vae

    @property
    def latent_size(self) -> int:
        """Number of latents.

        Raises:
            RuntimeError: It was not given and nothing has been encoded yet.
        """
        if self._latent_size is None:
            raise RuntimeError(
                "`latent_size` must be known first. Got a VAE made without it that has encoded "
                "nothing. Pass VAE(encoder, decoder, latent_size=...), or encode a batch."
            )
        return self._latent_size

    @property
    def prior(self) -> Normal:
        """p(z), a standard normal over `(latent_size,)`, where the parameters are."""
        parameter = next(self.parameters())
        zeros = torch.zeros(self.latent_size, device=parameter.device, dtype=parameter.dtype)
        return Normal(zeros, torch.ones_like(zeros), validate_args=False)

    def encode(self, inputs: Tensor) -> Normal:
        """Return q(z given x) of inputs `(batch, *event)`, over `(batch, latent_size)`.

        Raises:
            ValueError: The inputs do not have the event shape, or the encoder's tensor is not
                `(batch, 2 * latent_size)`.
        """
        self.check_shape(inputs)
        encoded = self.encoder(inputs)
        if self._latent_size is None:
            is_normal = isinstance(encoded, Normal)
            self._latent_size = encoded.mean.shape[1] if is_normal else encoded.shape[1] // 2
        if isinstance(encoded, Normal):
            mean, deviation = self._in_full(encoded.mean), self._in_full(encoded.stddev)
            return Normal(mean, deviation, validate_args=False)
        if encoded.shape != (len(inputs), 2 * self.latent_size):
            raise ValueError(
                "`encoder` must return a Normal or (batch, 2 * latent_size) means and "
                f"log-variances. Got shape {tuple(encoded.shape)} for latent_size "
                f"{self.latent_size}. Change its last layer."
            )
        mean, log_variance = self._in_full(encoded).chunk(2, dim=1)
        return Normal(mean, (0.5 * log_variance).exp(), validate_args=False)

    conditional = False
    """Whether the prior needs a context for each example, as an iVAE's does."""

    def prior_given(self, contexts: Tensor | None) -> Normal:
        """Return p(z) for training; `contexts` only matter to a conditional VAE."""
        return self.prior

    def posterior_given(self, inputs: Tensor, contexts: Tensor | None) -> Normal:
        """Return q(z given x) for training; `contexts` only matter to a conditional VAE."""
        return self.encode(inputs)

    def observe(self, latents: Tensor) -> Distribution:
        """Return p(x given z) of latents `(batch, latent_size)`, over `(batch, *event)`."""
        decoded = self._in_full(self.decoder(latents))
        if self.likelihood == "bernoulli":
            # Not validated: grey values between 0 and 1 count as probabilities.
            return Bernoulli(logits=decoded, validate_args=False)
        family = Normal if self.likelihood == "gaussian" else Laplace
        return family(decoded, torch.full_like(decoded, self.scale), validate_args=False)

    def decode(self, latents: Tensor) -> Tensor:
        """Reconstructions `(batch, *event)`: the mean of p(x given z)."""
        decoded = self._in_full(self.decoder(latents))
        return decoded.sigmoid() if self.likelihood == "bernoulli" else decoded

    def forward(self, inputs: Tensor) -> Tensor:
        """Reconstructions of inputs `(batch, *event)` at the posterior means."""
        return self.decode(self.encode(inputs).mean)

    def _in_full(self, outputs: Tensor) -> Tensor:
        """Outputs in the parameters' precision: mixed precision is for layers, not for nats."""
        return outputs.to(next(self.parameters()).dtype)

    def check_shape(self, inputs: Tensor) -> None:
        """Raise a ValueError unless every example has the event shape."""
        if self.event_shape is not None and tuple(inputs.shape[1:]) != self.event_shape:
            channels_last = (*inputs.shape[3:], *inputs.shape[1:3]) == self.event_shape
            remedy = (
                "These are channels last: pass inputs.permute(0, 3, 1, 2)."
                if inputs.ndim == 4 and channels_last
                else "Resize or rearrange them (channels first), or make a VAE of their shape."
            )
            raise ValueError(
                f"`inputs` must have shape (batch, {', '.join(map(str, self.event_shape))}). "
                f"Got {tuple(inputs.shape)}. {remedy}"
            )

    def check_inputs(self, inputs: Tensor) -> None:
        """Raise an error unless inputs are floating-point, of the event shape, finite, in range.

        Raises:
            TypeError: Not floating-point.
            ValueError: Another shape, NaN or infinity, or values that a Bernoulli cannot take.
        """
        if not inputs.is_floating_point():
            raise TypeError(
                f"`inputs` must be floating-point. Got {inputs.dtype}. "
                "Convert them, e.g. images.float() / 255."
            )
        self.check_shape(inputs)
        low, high = (value.item() for value in inputs.aminmax())  # NaN where one is NaN
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(
                "`inputs` must be finite. Got NaN or infinity. Remove or impute such examples."
            )
        if self.likelihood == "bernoulli" and (low < 0 or high > 1):
            raise ValueError(
                "`inputs` must lie in [0, 1] for likelihood='bernoulli'. "
                f"Got values from {low:.4g} to {high:.4g}. Rescale them (images / 255), or use "
                "likelihood='gaussian'."
            )

    def save(self, path: str | Path) -> None:
        """Write weights and architecture to one safetensors file, whole or not at all."""
        texts = {"architecture": self.architecture, "trained_with": self.trained_with}
        write_tensors(path, self.state_dict(), type(self).__name__, texts)

    @classmethod
    def load(cls, path: str | Path) -> "VAE":
        """Read a VAE that `save` wrote; no code of the file is executed.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is truncated or not ours, or the VAE has an encoder and decoder
                of your own (then rebuild it and use `load_weights`).
        """
        tensors, texts = read_tensors(path, cls.__name__)
        architecture = texts["architecture"]
        if architecture is None:
            raise ValueError(
                f"`path` must hold a ready-made VAE. Got {path}, with an encoder and decoder of "
                "your own. Build the VAE again and call vae.load_weights(path)."
            )
        kind = architecture.pop("kind")
        vae = (
            cls.convolutional(**architecture)
            if kind == "convolutional"
            else cls.dense(**architecture)
        )
        vae.load_state_dict(tensors)
        vae.trained_with = texts["trained_with"]
        return vae

    def load_weights(self, path: str | Path) -> "VAE":
        """Read the weights that `save` wrote into this VAE, and return it.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is truncated, not ours, or of another architecture.
        """
        tensors, texts = read_tensors(path, type(self).__name__)
        own = {name: tuple(tensor.shape) for name, tensor in self.state_dict().items()}
        check_same_shapes(own, {name: tuple(t.shape) for name, t in tensors.items()}, path)
        self.load_state_dict(tensors)
        self.trained_with = texts["trained_with"]
        return self


def check_same_shapes(
    own: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]], path: str | Path
) -> None:
    """Raise a ValueError that names the first tensors in which two state dicts differ."""
    if own == found:
        return
    names = sorted(name for name in own.keys() | found.keys() if own.get(name) != found.get(name))
    shown = "; ".join(
        f"{name}: {found.get(name, 'missing')} in the file, {own.get(name, 'missing')} here"
        for name in names[:3]
    )
    raise ValueError(
        f"`path` must hold a VAE of the same architecture. Got {path} ({shown}"
        f"{', ...' if len(names) > 3 else ''}). Use the sizes it was trained with."
    )
