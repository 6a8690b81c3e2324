"""The VAE: encode -> torch.distributions.Normal, decode -> inputs."""

from collections.abc import Sequence
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Laplace, Normal

from attributions.axes import Axes
from attributions.checks import check_counts
from trimvae.models.checks import check_event_shape, check_finite_floats
from trimvae.models.ready_made import Likelihood, ReadyMade
from trimvae.models.recipe import Recipe
from trimvae.tables.observing import Rows


class VAE(ReadyMade):
    r"""A variational autoencoder, as two verbs: `encode` to a Normal, `decode` to inputs.

    References:
        Kingma, Welling: Auto-Encoding Variational Bayes, 2014, https://arxiv.org/abs/1312.6114

    Args:
        encoder: Module, inputs `(batch, *event)` to a `Normal` over `(batch, latent_size)`, or to
            a tensor `(batch, 2 * latent_size)` of means and log-variances.
        decoder: Module, latents `(batch, latent_size)` to `(batch, *event)`: logits for the
            Bernoulli likelihood, else means. Smooth activations (SiLU, softplus): a penalty on
            attributions needs second derivatives, which ReLU does not have.
        latent_size: Number of latents; default: taken from the first encoded batch.
        likelihood: p(x given z): `"bernoulli"` for inputs in [0, 1], `"gaussian"` or `"laplace"`.
        scale: Deviation of the Gaussian, or scale of the Laplace, in units of the inputs.
        event_shape: Shape of one example, to check inputs against; default: unchecked.

    Raises:
        ValueError: `likelihood` is unknown, or `latent_size` or `scale` is not positive.
    """

    recipe: ClassVar[Recipe] = Recipe(20.0, 128, 3e-3, "one_cycle", 4)
    described_as: ClassVar[str] = "architecture"

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
        for name, network in (("encoder", encoder), ("decoder", decoder)):
            if not callable(network):
                raise TypeError(
                    f"`{name}` must be a module. Got {network!r}. Pass a network, or use e.g. "
                    "VAE.dense."
                )
        if latent_size is not None:
            check_counts(latent_size=latent_size)
        if not scale > 0:
            raise ValueError(f"`scale` must be above 0. Got {scale}. Use a typical error's size.")
        self.encoder = encoder
        self.decoder = decoder
        self.axes: Axes | None = None
        self._latent_size = latent_size
        self.likelihood = likelihood
        self.scale = scale
        self.event_shape = None if event_shape is None else tuple(event_shape)
        self.architecture: dict[str, Any] | None = None

    @property
    def latent_size(self) -> int:
        """Number of latents.

        Raises:
            RuntimeError: It was not given and nothing has been encoded yet.
        """
        if self._latent_size is None:
            raise RuntimeError(
                "`latent_size` must be known first. Got a VAE that was not told and has encoded "
                "nothing. Pass VAE(encoder, decoder, latent_size=...), or encode a batch."
            )
        return self._latent_size

    @property
    def prior(self) -> Normal:
        """p(z), a standard normal over `(latent_size,)`, seen along the axes, if there are any."""
        parameter = next(self.parameters())
        zeros = torch.zeros(self.latent_size, device=parameter.device, dtype=parameter.dtype)
        return self._seen(Normal(zeros, torch.ones_like(zeros), validate_args=False))

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
            return self._seen(Normal(mean, deviation, validate_args=False))
        if encoded.shape != (len(inputs), 2 * self.latent_size):
            raise ValueError(
                "`encoder` must return a Normal or (batch, 2 * latent_size) means and "
                f"log-variances. Got shape {tuple(encoded.shape)} for latent_size "
                f"{self.latent_size}. Change its last layer."
            )
        mean, log_variance = self._in_full(encoded).chunk(2, dim=1)
        return self._seen(Normal(mean, (0.5 * log_variance).exp(), validate_args=False))

    def prior_given(self, contexts: Tensor | None) -> Normal:
        """Return p(z) for training; `contexts` only matter to a conditional VAE."""
        return self.prior

    def posterior_given(self, inputs: Tensor, contexts: Tensor | None) -> Normal:
        """Return q(z given x) for training; `contexts` only matter to a conditional VAE."""
        return self.encode(inputs)

    def observe(self, latents: Tensor) -> Distribution:
        """Return p(x given z) of latents `(batch, latent_size)`, over `(batch, *event)`."""
        decoded = self._in_full(self.decoder(self._own(latents)))
        if self.schema is not None:
            return Rows(decoded, self.schema.layout, self.scale)
        if self.likelihood == "bernoulli":
            # Not validated: grey values between 0 and 1 count as probabilities.
            return Bernoulli(logits=decoded, validate_args=False)
        family = Normal if self.likelihood == "gaussian" else Laplace
        return family(decoded, torch.full_like(decoded, self.scale), validate_args=False)

    def decode(self, latents: Tensor) -> Tensor:
        """Reconstructions `(batch, *event)`: the mean of p(x given z)."""
        decoded = self._in_full(self.decoder(self._own(latents)))
        if self.schema is not None:
            return self.schema.layout.soft(decoded)
        return decoded.sigmoid() if self.likelihood == "bernoulli" else decoded

    def forward(self, inputs: Tensor) -> Tensor:
        """Reconstructions of inputs `(batch, *event)` at the posterior means."""
        return self.decode(self.encode(inputs).mean)

    def _in_full(self, outputs: Tensor) -> Tensor:
        """Outputs in the parameters' precision: mixed precision is for layers, not for nats."""
        return outputs.to(next(self.parameters()).dtype)

    def check_shape(self, inputs: Tensor) -> None:
        """Raise a ValueError unless every example has the event shape."""
        if self.event_shape is not None:
            check_event_shape(inputs, self.event_shape)

    def check_inputs(self, inputs: Tensor) -> None:
        """Raise an error unless inputs are floating-point, of the event shape, finite, in range.

        Raises:
            TypeError: Not floating-point.
            ValueError: Another shape, NaN or infinity, or values that a Bernoulli cannot take.
        """
        if inputs.is_floating_point():
            self.check_shape(inputs)
        low, high = check_finite_floats(inputs)
        if self.likelihood == "bernoulli" and (low < 0 or high > 1):
            raise ValueError(
                "`inputs` must lie in [0, 1] for likelihood='bernoulli'. "
                f"Got values from {low:.4g} to {high:.4g}. Rescale them (images / 255), or use "
                "likelihood='gaussian'."
            )

    @property
    def description(self) -> dict[str, Any] | None:
        """What `VAE.convolutional` or another maker was given, and the axes; else None."""
        return self._with_axes_described(self.architecture)
