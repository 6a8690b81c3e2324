"""iVAE: a VAE whose prior knows something about each example, which makes its latents unique."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from trimvae.models.networks import DenseEncoder
from trimvae.models.ready_made import Likelihood
from trimvae.models.vae import VAE


class IVAE(VAE):
    r"""Identifiable VAE: $-\log p(x|z) + \mathrm{KL}(q(z|x) \,\|\, p(z|u))$.

    The prior's variance (and mean, if asked) depends on an auxiliary variable $u$: a segment of
    time, the class, a sensor. If that changes the latents' variances enough, latents are unique up
    to order and monotonic maps; without $u$ they are not. By default the posterior sees only the
    inputs, so that explaining needs no $u$.

    Train it with `fit` and data that gives pairs of inputs and contexts, for example
    `TensorDataset(inputs, contexts)`. `prior` stays the standard normal: the reference point of
    explanations.

    References:
        Khemakhem et al.: Variational Autoencoders and Nonlinear ICA, 2020,
        https://arxiv.org/abs/1907.04809

    Args:
        encoder: Module, inputs `(batch, *event)` to a `Normal` over `(batch, latent_size)`, or to
            a tensor `(batch, 2 * latent_size)` of means and log-variances; with
            `conditional_posterior` it takes inputs and contexts and returns a `Normal`.
        decoder: Module, latents `(batch, latent_size)` to `(batch, *event)`: logits for the
            Bernoulli likelihood, else means.
        latent_size: Number of latents.
        n_contexts: Number of categories of $u$, whole numbers `(batch,)`.
        context_size: Or the length of $u$, vectors `(batch, context_size)`.
        prior_mean: Whether the prior's mean depends on $u$ as well.
        conditional_posterior: Whether the encoder is given $u$.
        likelihood: p(x given z): `"bernoulli"` for inputs in [0, 1], `"gaussian"` or `"laplace"`.
        scale: Deviation of the Gaussian, or scale of the Laplace, in units of the inputs.
        event_shape: Shape of one example, to check inputs against; default: unchecked.

    Raises:
        ValueError: Neither or both of `n_contexts` and `context_size` are given, or one is not
            positive, `likelihood` is unknown, or `latent_size` or `scale` is not positive.

    Examples:
        >>> ivae = IVAE.dense(event_shape=(5,), latent_size=2, n_contexts=4)
        >>> ivae.prior_given(torch.tensor([0, 3])).stddev.shape == (2, 2)
        True
    """

    conditional = True

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_size: int,
        *,
        n_contexts: int | None = None,
        context_size: int | None = None,
        prior_mean: bool = False,
        conditional_posterior: bool = False,
        likelihood: Likelihood = "gaussian",
        scale: float = 1.0,
        event_shape: Sequence[int] | None = None,
    ) -> None:
        super().__init__(
            encoder,
            decoder,
            latent_size,
            likelihood=likelihood,
            scale=scale,
            event_shape=event_shape,
        )
        if (n_contexts is None) == (context_size is None) or (n_contexts or context_size or 0) < 1:
            raise ValueError(
                "`n_contexts` or `context_size` must be given, one of them, at least 1. Got "
                f"{n_contexts} and {context_size}. Pass the number of categories of u, or the "
                "length of its vectors."
            )
        self.n_contexts, self.context_size = n_contexts, context_size
        self.prior_mean, self.conditional_posterior = prior_mean, conditional_posterior
        self.prior_network: nn.Module
        if n_contexts is not None:
            self.prior_network = nn.Embedding(n_contexts, 2 * latent_size)
            nn.init.zeros_(self.prior_network.weight)
        else:
            assert context_size is not None  # checked above
            self.prior_network = nn.Sequential(
                nn.Linear(context_size, 64), nn.SiLU(), nn.Linear(64, 2 * latent_size)
            )

    @classmethod
    def dense(
        cls,
        event_shape: Sequence[int],
        latent_size: int,
        *,
        n_contexts: int | None = None,
        context_size: int | None = None,
        prior_mean: bool = False,
        conditional_posterior: bool = False,
        hidden: Sequence[int] = (256, 256),
        likelihood: Likelihood = "gaussian",
        scale: float = 1.0,
    ) -> "IVAE":
        """Fully connected network, for tables `(features,)` and small images.

        Args:
            event_shape: Shape of one example.
            latent_size: Number of latents.
            n_contexts: Number of categories of $u$, whole numbers `(batch,)`.
            context_size: Or the length of $u$, vectors `(batch, context_size)`.
            prior_mean: Whether the prior's mean depends on $u$ as well.
            conditional_posterior: Whether the encoder is given $u$.
            hidden: Widths of the encoder's hidden layers; mirrored in the decoder.
            likelihood: p(x given z): `"gaussian"` for standardised columns, `"laplace"`, or
                `"bernoulli"` for values in [0, 1].
            scale: Deviation of the Gaussian, or scale of the Laplace, in units of the inputs.

        Raises:
            ValueError: Neither or both of `n_contexts` and `context_size` are given, or a size is
                not positive.
        """
        plain = VAE.dense(
            event_shape, latent_size, hidden=hidden, likelihood=likelihood, scale=scale
        )
        encoder = plain.encoder
        if conditional_posterior:
            encoder = _EncoderWithContext(
                event_shape, latent_size, n_contexts, context_size, hidden
            )
        return cls._around(
            plain,
            encoder,
            n_contexts=n_contexts,
            context_size=context_size,
            prior_mean=prior_mean,
            conditional_posterior=conditional_posterior,
        )

    @classmethod
    def convolutional(
        cls,
        image_shape: tuple[int, int, int],
        latent_size: int,
        *,
        n_contexts: int | None = None,
        context_size: int | None = None,
        prior_mean: bool = False,
        channels: int = 32,
        hidden: int = 256,
        likelihood: Likelihood = "bernoulli",
        scale: float = 1.0,
    ) -> "IVAE":
        """Burgess' network, whose posterior sees only the image.

        Args:
            image_shape: `(channels, height, width)`, of 28 to 128 pixels.
            latent_size: Number of latents.
            n_contexts: Number of categories of $u$, whole numbers `(batch,)`.
            context_size: Or the length of $u$, vectors `(batch, context_size)`.
            prior_mean: Whether the prior's mean depends on $u$ as well.
            channels: Width of the convolutions.
            hidden: Width of the dense layers.
            likelihood: p(x given z): `"bernoulli"` for images in [0, 1], `"gaussian"` or
                `"laplace"`.
            scale: Deviation of the Gaussian, or scale of the Laplace, in units of the inputs.

        Raises:
            ValueError: Neither or both of `n_contexts` and `context_size` are given, or a size is
                out of range.
        """
        plain = VAE.convolutional(
            image_shape,
            latent_size,
            channels=channels,
            hidden=hidden,
            likelihood=likelihood,
            scale=scale,
        )
        return cls._around(
            plain,
            plain.encoder,
            n_contexts=n_contexts,
            context_size=context_size,
            prior_mean=prior_mean,
        )

    @classmethod
    def _around(cls, plain: VAE, encoder: nn.Module, **contexts: Any) -> "IVAE":
        ivae = cls(
            encoder,
            plain.decoder,
            plain.latent_size,
            likelihood=plain.likelihood,
            scale=plain.scale,
            event_shape=plain.event_shape,
            **contexts,
        )
        assert plain.architecture is not None  # a ready-made VAE has one
        ivae.architecture = {**plain.architecture, **contexts}
        return ivae

    def prior_given(self, contexts: Tensor | None) -> Normal:
        """Return p(z given u) of contexts, over `(batch, latent_size)`.

        Raises:
            ValueError: There are none, they have a wrong shape, or a category is unknown.
        """
        mean, log_variance = self.prior_network(self._checked(contexts)).chunk(2, dim=1)
        if not self.prior_mean:
            mean = torch.zeros_like(mean)
        return self._seen(Normal(mean, (0.5 * log_variance).exp(), validate_args=False))

    def encode(self, inputs: Tensor, contexts: Tensor | None = None) -> Normal:
        """Return q(z given x), or q(z given x and u), over `(batch, latent_size)`.

        Raises:
            ValueError: The encoder needs contexts and there are none, the inputs do not have the
                event shape, or the encoder's tensor has another size.
        """
        if not self.conditional_posterior:
            return super().encode(inputs)
        self.check_shape(inputs)
        return self._seen(self.encoder(inputs, self._checked(contexts)))

    def posterior_given(self, inputs: Tensor, contexts: Tensor | None) -> Normal:
        """`encode` with contexts, for training."""
        return self.encode(inputs, contexts)

    def _checked(self, contexts: Tensor | None) -> Tensor:
        wanted = "whole numbers (batch,)" if self.n_contexts else f"(batch, {self.context_size})"
        if contexts is None:
            raise ValueError(
                f"`contexts` must be given to this iVAE, {wanted}. Got None. Pass u beside the "
                "inputs, e.g. TensorDataset(inputs, contexts); or make an iVAE with "
                "conditional_posterior=False, which explains without u."
            )
        if self.n_contexts is None:
            if contexts.ndim != 2 or contexts.shape[1] != self.context_size:
                raise ValueError(
                    f"`contexts` must have shape {wanted}. Got {tuple(contexts.shape)}. "
                    "Use vectors of that length."
                )
            return contexts.to(next(self.parameters()).dtype)
        if contexts.ndim != 1 or contexts.is_floating_point():
            raise ValueError(
                f"`contexts` must be {wanted}. Got {contexts.dtype} of shape "
                f"{tuple(contexts.shape)}. Number the categories from 0."
            )
        if len(contexts) and not 0 <= int(contexts.min()) <= int(contexts.max()) < self.n_contexts:
            raise ValueError(
                f"`contexts` must be categories from 0 to {self.n_contexts - 1}. Got "
                f"{int(contexts.min())} to {int(contexts.max())}. The iVAE knows no other; make "
                "one with more n_contexts."
            )
        return contexts


class _EncoderWithContext(nn.Module):
    """Dense encoder of inputs and contexts side by side."""

    def __init__(
        self,
        event_shape: Sequence[int],
        latent_size: int,
        n_contexts: int | None,
        context_size: int | None,
        hidden: Sequence[int],
    ) -> None:
        super().__init__()
        self.n_contexts = n_contexts
        size = math.prod(event_shape) + (n_contexts or context_size or 0)
        self.encoder = DenseEncoder((size,), latent_size, hidden)

    def forward(self, inputs: Tensor, contexts: Tensor) -> Normal:
        if self.n_contexts is not None:
            contexts = nn.functional.one_hot(contexts, self.n_contexts).to(inputs.dtype)
        posterior: Normal = self.encoder(torch.cat([inputs.flatten(1), contexts], dim=1))
        return posterior
