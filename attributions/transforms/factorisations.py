"""PCA, ICA and NMF: fitted by scikit-learn, applied in torch."""

import numpy as np
import torch
from torch import Tensor

from attributions.randomness import seed_of
from attributions.transforms.base import Transform


class _Factorisation(Transform):
    """A transform whose arrays scikit-learn has fitted.

    Args:
        inputs: What they were fitted on.
        prefix: Of the latents' names.
        latent_size: How many there are.
        exact: Whether decoding gives back every input.
        **arrays: By the names of buffers.
    """

    def __init__(
        self, inputs: Tensor, prefix: str, latent_size: int, *, exact: bool, **arrays: np.ndarray
    ) -> None:
        names = [f"{prefix}{index}" for index in range(latent_size)]
        super().__init__(inputs.shape[1:], names, torch.arange(latent_size), names, exact=exact)
        for name, values in arrays.items():
            self.register_buffer(name, torch.as_tensor(values).to(inputs))


class PrincipalComponents(_Factorisation):
    """PCA: fitted by scikit-learn, applied in torch. Lossy unless all components are kept.

    Latents are whitened (unit variance on the fitted data), so that the origin and one unit mean
    the same for each, as under a VAE's prior.

    Args:
        inputs: `(n, *event)`, to fit on.
        latent_size: Components.

    Raises:
        ValueError: There are fewer examples or features than components.
    """

    mean: Tensor
    components: Tensor
    scale: Tensor

    def __init__(self, inputs: Tensor, latent_size: int) -> None:
        from sklearn.decomposition import PCA

        flat = _fit_matrix(inputs, latent_size)
        fitted = PCA(latent_size, svd_solver="full").fit(flat.double().cpu().numpy())
        super().__init__(
            inputs,
            "pc",
            latent_size,
            exact=latent_size == flat.shape[1],
            mean=fitted.mean_,
            components=fitted.components_,
            scale=fitted.explained_variance_.clip(1e-12) ** 0.5,
        )

    def encode(self, inputs: Tensor) -> Tensor:
        """Whitened scores."""
        self._check(inputs)
        return (inputs.flatten(1) - self.mean) @ self.components.T / self.scale

    def decode(self, latents: Tensor) -> Tensor:
        """Mean plus components."""
        flat = self.mean + (latents * self.scale) @ self.components
        inputs: Tensor = flat.unflatten(1, self.event_shape)
        return inputs


class IndependentComponents(_Factorisation):
    """Linear ICA: fitted by scikit-learn's FastICA, applied in torch. Exact if all are kept.

    Latents have unit variance on the fitted data and are as independent as a linear map can make
    them; their order and signs are arbitrary.

    References:
        Hyvärinen, Oja: Independent component analysis: algorithms and applications, 2000.

    Args:
        inputs: `(n, *event)`, to fit on.
        latent_size: Components.
        max_iter: Most iterations of FastICA, which warns if it needs more.
        generator: Seeds the fit; default: one that is seeded with 0.

    Raises:
        ValueError: There are fewer examples or features than components.

    Examples:
        >>> sources = torch.rand(500, 3) - 0.5
        >>> ica = IndependentComponents(sources @ torch.randn(3, 3), 3)
        >>> inputs = ica.decode(torch.randn(4, 3))
        >>> torch.allclose(ica.decode(ica.encode(inputs)), inputs, atol=1e-4)
        True
    """

    mean: Tensor
    unmixing: Tensor
    mixing: Tensor

    def __init__(
        self,
        inputs: Tensor,
        latent_size: int,
        *,
        max_iter: int = 1000,
        generator: torch.Generator | None = None,
    ) -> None:
        from sklearn.decomposition import FastICA

        flat = _fit_matrix(inputs, latent_size)
        fitted = FastICA(
            latent_size, whiten="unit-variance", max_iter=max_iter, random_state=seed_of(generator)
        ).fit(flat.double().cpu().numpy())
        super().__init__(
            inputs,
            "ic",
            latent_size,
            exact=latent_size == flat.shape[1],
            mean=fitted.mean_,
            unmixing=fitted.components_,
            mixing=fitted.mixing_,
        )

    def encode(self, inputs: Tensor) -> Tensor:
        """Sources of the centred inputs."""
        self._check(inputs)
        return (inputs.flatten(1) - self.mean) @ self.unmixing.T

    def decode(self, latents: Tensor) -> Tensor:
        """Mean plus mixed sources."""
        flat = self.mean + latents @ self.mixing.T
        inputs: Tensor = flat.unflatten(1, self.event_shape)
        return inputs


class NonNegativeParts(_Factorisation):
    """NMF: inputs as sums of parts; fitted by scikit-learn, applied in torch. Lossy.

    Encoding solves the non-negative least-squares problem of the fixed parts, for the whole batch
    at once, by accelerated projected gradient.

    References:
        Lee, Seung: Learning the parts of objects by non-negative matrix factorization, 1999;
        Beck, Teboulle: A Fast Iterative Shrinkage-Thresholding Algorithm, 2009.

    Args:
        inputs: `(n, *event)`, not negative, to fit on.
        latent_size: Parts.
        generator: Seeds the fit; default: one that is seeded with 0.

    Raises:
        ValueError: Inputs are negative, or fewer than parts.
    """

    components: Tensor

    def __init__(
        self, inputs: Tensor, latent_size: int, *, generator: torch.Generator | None = None
    ) -> None:
        from sklearn.decomposition import NMF

        flat = _fit_matrix(inputs, latent_size)
        if (flat < 0).any():
            raise ValueError(
                f"`inputs` must not be negative for NMF. Got a minimum of {flat.min():.3g}. "
                "Shift them, or use PrincipalComponents."
            )
        fitted = NMF(
            latent_size, init="nndsvda", max_iter=1000, random_state=seed_of(generator), tol=1e-4
        )
        fitted.fit(flat.double().cpu().numpy())
        super().__init__(inputs, "part", latent_size, exact=False, components=fitted.components_)

    def encode(self, inputs: Tensor, *, n_iterations: int = 500) -> Tensor:
        """Non-negative least squares on the parts."""
        self._check(inputs)
        gram = self.components @ self.components.T
        target = inputs.flatten(1) @ self.components.T
        rate = 1 / torch.linalg.matrix_norm(gram, 2)
        latents = torch.zeros_like(target)
        ahead, momentum = latents, 1.0
        for _ in range(n_iterations):
            following = torch.relu(ahead - rate * (ahead @ gram - target))
            next_momentum = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead = following + (momentum - 1) / next_momentum * (following - latents)
            latents, momentum = following, next_momentum
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Sum of the parts."""
        inputs: Tensor = (latents @ self.components).unflatten(1, self.event_shape)
        return inputs


def _fit_matrix(inputs: Tensor, latent_size: int) -> Tensor:
    flat = inputs.flatten(1)
    if not 1 <= latent_size <= min(flat.shape):
        raise ValueError(
            f"`latent_size` must be from 1 to {min(flat.shape)}, the smaller of examples and "
            f"features. Got {latent_size}. Fit on more inputs, or take fewer components."
        )
    return flat
