"""A trainable code that can be seen along axes, and stays what it is."""

import copy
from abc import abstractmethod
from typing import Any, Self

from torch import Tensor
from torch.distributions import Normal

from attributions.axes import Axes, Chain
from attributions.turned import TurnedNormal, axis_names, check_axes
from trimvae.models.saved import TrainableCode


class SeenAlongAxes(TrainableCode):
    """What a VAE has of its axes: between its own latents and those that everybody sees."""

    axes: Axes | None
    """A layer of `attributions.axes`, trained and saved with the code; None for none."""
    _names: tuple[str, ...] | None = None

    @abstractmethod
    def encode(self, inputs: Tensor, /) -> Normal:
        """Inputs `(batch, *event)` to a `Normal` over `(batch, latents)`."""

    @property
    @abstractmethod
    def prior(self) -> Normal:
        """What latents are expected to be, over `(latents,)`."""

    def with_axes(self, axes: Axes | None) -> Self:
        """Return a copy that is seen along axes; this code stays as it is.

        Its latents, posterior and prior are those along the axes, and `decode` goes back. It draws
        the same, its KL and its samples are the same, and it is trained, saved and read as before.

        Args:
            axes: A layer of `attributions.axes`, which is copied as well; of a code that is seen
                along axes already, further ones. None takes all axes off.

        Raises:
            TypeError: `axes` is no layer.
            ValueError: The axes are of another size than the code, or mix latents of two of its
                blocks, noise or categories.
            RuntimeError: The code does not know its size yet.
        """
        if axes is not None:
            check_axes(axes, self)
        twin = copy.deepcopy(self)
        if axes is None:
            twin.axes = None
            return twin
        own = copy.deepcopy(axes).to(next(self.parameters()).device)
        twin.axes = own if twin.axes is None else Chain(twin.axes, own)
        return twin

    @property
    def unturned(self) -> Self:
        """The code along its own latents, with the same weights: they are shared, not copied."""
        if self.axes is None:
            return self
        twin = copy.copy(self)
        twin._modules = {**self._modules, "axes": None}
        return twin

    @property
    def latent_names(self) -> tuple[str, ...] | None:
        """What the latents are called; along axes `axis0`, `axis1` ..., where they are mixed."""
        return self._names if self.axes is None else axis_names(self.axes, self._names)

    @latent_names.setter
    def latent_names(self, names: tuple[str, ...] | None) -> None:
        self._names = names

    def baseline(self, n: int = 1) -> Tensor:
        """Where attributions start: the prior's mean along the axes, `(n, latents)`."""
        return self.prior.mean.expand(n, -1)

    def _seen(self, normal: Normal) -> Normal:
        """What is known of the latents, along the axes."""
        return normal if self.axes is None else TurnedNormal(normal, self.axes)

    def _own(self, latents: Tensor) -> Tensor:
        """Latents along the axes as the code's own."""
        return latents if self.axes is None else self.axes.inverse(latents)

    def _with_axes_described(self, description: dict[str, Any] | None) -> dict[str, Any] | None:
        """A description with that of the axes, where there are some."""
        if description is None or self.axes is None:
            return description
        return {**description, "axes": self.axes.description}
