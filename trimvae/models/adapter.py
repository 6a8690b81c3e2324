"""Your own generator as a code: bound by its attributes' names, never loaded by us."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from attributions.codes import Block
from trimvae.models.inversion import invert

Space = Literal["w", "w+"]

# What a StyleGAN of NVlabs' kind offers, and we use.
_WANTED = ("mapping", "synthesis", "num_ws", "z_dim", "w_dim")


class GeneratorAdapter(nn.Module):
    """A generator that you already have, with the two verbs of a code.

    `GeneratorAdapter.of(network)` binds an object of NVlabs' kind by the names of its attributes.
    Their pickles execute code when they are loaded: load them yourself, if you trust them, and
    pass the object.

    References:
        Karras et al.: Analyzing and Improving the Image Quality of StyleGAN, 2020,
        https://arxiv.org/abs/1912.04958

    Args:
        synthesis: Latents `(batch, num_ws, w_dim)` to images, or `(batch, w_dim)` where `num_ws`
            is None.
        w_dim: Length of one latent vector.
        num_ws: How many of them the generator takes, one per layer; None for a plain generator.
        mapping: Noise `(batch, z_dim)` to latents of the same form; default: none, and the latents
            themselves are normal.
        z_dim: Length of the noise; default: `w_dim`.
        w_avg: `(w_dim,)`, where attributions and inversions start; default: the mean of 1,024
            draws.
        space: `"w"`, one vector for all layers, or `"w+"`, a block for each layer: which scale
            the classifier uses.
        inverter: Images to latents `(batch, latents)`; default: optimisation.
        inversion_steps: Steps of that optimisation.
        output_range: Lowest and highest value that the generator draws; images are brought to
            [0, 1].

    Raises:
        ValueError: A size is below 1, or `space` needs `num_ws`.
        RuntimeError: The generator is not differentiable, or draws at random.

    Warns:
        UserWarning: A generator that clamps its images, where gradients die.

    Examples:
        >>> network = nn.Sequential(nn.Linear(4, 12), nn.Unflatten(1, (3, 2, 2)))
        >>> code = GeneratorAdapter(network, w_dim=4)
        >>> code.decode(code.draw(2)).shape == (2, 3, 2, 2)
        True
    """

    def __init__(
        self,
        synthesis: Callable[..., Tensor],
        *,
        w_dim: int,
        num_ws: int | None = None,
        mapping: Callable[..., Tensor] | None = None,
        z_dim: int | None = None,
        w_avg: Tensor | None = None,
        space: Space = "w",
        inverter: Callable[[Tensor], Tensor] | None = None,
        inversion_steps: int = 300,
        output_range: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        super().__init__()
        if space not in ("w", "w+") or (space == "w+" and num_ws is None):
            raise ValueError(
                "`space` must be 'w', or 'w+' of a generator with `num_ws` layers. Got "
                f"{space!r} with num_ws={num_ws}. Use 'w'."
            )
        if w_dim < 1 or (num_ws is not None and num_ws < 1):
            raise ValueError(
                f"`w_dim` and `num_ws` must be at least 1. Got {w_dim} and {num_ws}. Pass the "
                "generator's own."
            )
        self.synthesis, self.mapping, self.inverter = synthesis, mapping, inverter
        self.w_dim, self.num_ws, self.z_dim, self.space = w_dim, num_ws, z_dim or w_dim, space
        self.inversion_steps, self.output_range = inversion_steps, output_range
        layers = num_ws or 1
        self.latent_size = w_dim * (layers if space == "w+" else 1)
        self.blocks: tuple[Block, ...] = (Block("w", 0, w_dim),)
        if space == "w+":
            self.blocks = tuple(
                # Two layers for each resolution, from 4 pixels up; the last one only colours.
                Block(f"layer {i}", i * w_dim, (i + 1) * w_dim, level=4 * 2 ** ((i + 1) // 2))
                for i in range(layers)
            )
        # NVlabs' networks compute in half precision on a GPU and draw noise unless told otherwise.
        self._options = _accepted(synthesis, {"noise_mode": "const", "force_fp32": True})
        start = self._average() if w_avg is None else w_avg.detach().flatten()
        self.register_buffer("w_avg", start)
        self._check()

    @classmethod
    def of(cls, network: Any, **options: Any) -> "GeneratorAdapter":
        """Bind an object with `mapping`, `synthesis`, `num_ws`, `z_dim` and `w_dim`.

        Args:
            network: Such as NVlabs' `G_ema`; `mapping.w_avg` is used where it is there.
            **options: `space`, `inverter`, `inversion_steps` and `output_range`, as the class takes
                them.

        Raises:
            TypeError: An attribute is missing.
        """
        missing = [name for name in _WANTED if not hasattr(network, name)]
        if missing:
            raise TypeError(
                f"`network` must have the attributes {', '.join(_WANTED)}. Got "
                f"{type(network).__name__} without {', '.join(missing)}. Pass its parts to "
                "GeneratorAdapter(synthesis, ...) yourself."
            )
        return cls(
            network.synthesis,
            mapping=network.mapping,
            num_ws=int(network.num_ws),
            z_dim=int(network.z_dim),
            w_dim=int(network.w_dim),
            w_avg=getattr(network.mapping, "w_avg", None),
            **options,
        )

    def decode(self, latents: Tensor) -> Tensor:
        """Latents `(batch, latent_size)` to images, [0, 1] where the generator keeps its range."""
        points = latents
        if self.num_ws is not None:
            layers = self.num_ws if self.space == "w" else 1
            points = latents.view(len(latents), -1, self.w_dim).repeat(1, layers, 1)
        images = self.synthesis(points, **self._options)
        low, high = self.output_range
        return (images - low) / (high - low)

    def encode(self, inputs: Tensor) -> Tensor:
        """Images to latents: by the inverter, else by optimisation from the average."""
        if self.inverter is not None:
            return self.inverter(inputs)
        start = self.baseline(1).to(inputs)
        return invert(self.decode, inputs, start, n_steps=self.inversion_steps).latents

    def draw(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents `(n, latent_size)` as the mapping makes them of normal noise."""
        device = _device_of(self.synthesis)
        noise = torch.randn((n, self.z_dim), generator=generator, device=device)
        if self.mapping is None:
            drawn = noise
        else:
            arguments = (noise, None) if "c" in _parameters(self.mapping) else (noise,)
            drawn = self.mapping(*arguments)
        if drawn.ndim == 2:
            return drawn.repeat(1, self.latent_size // self.w_dim)
        return drawn.flatten(1) if self.space == "w+" else drawn[:, 0]

    def baseline(self, n: int = 1) -> Tensor:
        """The average latent, `(n, latent_size)`."""
        average: Tensor = self.w_avg  # type: ignore[assignment]
        return average.repeat(n, self.latent_size // self.w_dim)

    def _average(self) -> Tensor:
        device = _device_of(self.synthesis)
        generator = torch.Generator(device=device).manual_seed(0)
        with torch.no_grad():
            return self.draw(1024, generator).view(1024, -1, self.w_dim)[:, 0].mean(dim=0)

    def _check(self) -> None:
        generator = torch.Generator(device=_device_of(self.synthesis)).manual_seed(0)
        with torch.enable_grad():
            latents = self.draw(4, generator).detach().requires_grad_()
            images, again = self.decode(latents), self.decode(latents)
            if not images.requires_grad:
                raise RuntimeError(
                    "`synthesis` must be differentiable in the latents. Got images without a "
                    "graph. Remove no_grad and detach from it, or pass the module behind it."
                )
            if not torch.equal(images, again):
                raise RuntimeError(
                    "`synthesis` must draw the same image twice. Got two for one latent. Fix its "
                    "noise, such as noise_mode='const', and use eval mode."
                )
            edges = (images == images.amin()) | (images == images.amax())
            (gradient,) = torch.autograd.grad(images[edges].sum(), latents)
        share = edges.double().mean().item()
        if share > 0.01 and not bool(gradient.any()):
            warnings.warn(
                f"`synthesis` must not clamp its images. Got {share:.0%} of the pixels at the end "
                "of the range, where gradients are 0. Pass the part before the clamp: attributions "
                "miss what such pixels do.",
                UserWarning,
                stacklevel=4,
            )


def _parameters(function: Callable[..., Any]) -> set[str]:
    forward = function.forward if isinstance(function, nn.Module) else function
    try:
        return set(inspect.signature(forward).parameters)
    except (TypeError, ValueError):
        return set()


def _accepted(function: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """Those options that a function takes; all, where it takes any."""
    names = _parameters(function)
    whatever = bool({"kwargs", "block_kwargs", "synthesis_kwargs"} & names)
    return {name: value for name, value in options.items() if whatever or name in names}


def _device_of(function: Any) -> torch.device:
    parameter = next(function.parameters(), None) if isinstance(function, nn.Module) else None
    return torch.device("cpu") if parameter is None else parameter.device
