"""VAEs of networks of ours: Burgess' convolutions, residual blocks, dense layers."""

from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from torch import nn

from attributions.axes import axes_of
from attributions.checks import check_counts
from trimvae.models.networks import (
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    DenseDecoder,
    DenseEncoder,
)
from trimvae.models.residual import ResidualDecoder, ResidualEncoder
from trimvae.models.seen import SeenAlongAxes
from trimvae.tables.schema import TableSchema

if TYPE_CHECKING:
    import pandas as pd

Likelihood = Literal["bernoulli", "gaussian", "laplace"]


class ReadyMade(SeenAlongAxes):
    """What a `VAE` has of its networks: makers by name, which a file can describe."""

    conditional: ClassVar[bool] = False
    """Whether the prior needs a context for each example, as an iVAE's does."""
    architecture: dict[str, Any] | None
    """What a maker was given; None for modules of your own."""
    schema: TableSchema | None = None
    """Columns of the table that `VAE.table` was made for: `encode` rows, and `to_frame` back."""

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
    ) -> Self:
        """Burgess' convolutional network, for images of 28 to 128 pixels and any channels.

        Args:
            image_shape: `(channels, height, width)`; sizes that do not halve evenly are padded
                inside and cropped again.
            latent_size: Number of latents.
            channels: Width of the convolutions.
            hidden: Width of the dense layers.
            likelihood: p(x given z): `"bernoulli"` for images in [0, 1], `"gaussian"` or
                `"laplace"`.
            scale: Deviation of the Gaussian, or scale of the Laplace, in units of the inputs.

        Raises:
            ValueError: `image_shape` is not `(channels, 28..128, 28..128)`.

        Examples:
            >>> from trimvae import VAE
            >>> vae = VAE.convolutional(image_shape=(1, 28, 28), latent_size=10)
            >>> vae.decode(vae.prior.sample((5,))).shape == (5, 1, 28, 28)
            True
        """
        sizes = {"channels": channels, "hidden": hidden}
        networks = _image_networks("convolutional", image_shape, (28, 128), latent_size, sizes)
        made: Self = _made(cls, networks, likelihood, scale)
        return made

    @classmethod
    def residual(
        cls,
        image_shape: tuple[int, int, int],
        latent_size: int,
        *,
        channels: int = 8,
        hidden: int = 256,
        likelihood: Likelihood = "bernoulli",
        scale: float = 1.0,
    ) -> Self:
        """Network of residual blocks, for photographs and grids of 16 to 256 pixels.

        Group normalisation and SiLU; pictures grow by repeated pixels and a convolution, without
        the checkerboard of transposed convolutions. Large grids have few channels, and blocks stand
        on the two smallest, so that a step takes fewer operations than one of
        `convolutional`.

        Args:
            image_shape: `(channels, height, width)`; sizes that do not halve evenly are padded
                inside and cropped again.
            latent_size: Number of latents.
            channels: Width after the first halving of the picture; it doubles with each, to sixteen
                times as much.
            hidden: Width of the dense layers.
            likelihood: p(x given z): `"bernoulli"` for images in [0, 1], `"gaussian"` or
                `"laplace"`.
            scale: Deviation of the Gaussian, or scale of the Laplace, in units of the inputs.

        Raises:
            TypeError: Of an `IVAE`.
            ValueError: `image_shape` is not `(channels, 16..256, 16..256)`.

        Examples:
            >>> from trimvae import VAE
            >>> vae = VAE.residual(image_shape=(3, 40, 24), latent_size=10)
            >>> vae.decode(vae.prior.sample((5,))).shape == (5, 3, 40, 24)
            True
        """
        if cls.conditional:
            raise TypeError(
                f"`residual` must be asked of VAE. Got {cls.__name__}, whose prior needs contexts. "
                f"Make VAE.residual(...) and pass its encoder and decoder to {cls.__name__}."
            )
        sizes = {"channels": channels, "hidden": hidden}
        networks = _image_networks("residual", image_shape, (16, 256), latent_size, sizes)
        made: Self = _made(cls, networks, likelihood, scale)
        return made

    @classmethod
    def dense(
        cls,
        event_shape: Sequence[int],
        latent_size: int,
        *,
        hidden: Sequence[int] = (256, 256),
        likelihood: Likelihood = "gaussian",
        scale: float = 1.0,
    ) -> Self:
        """Fully connected network, for tables `(features,)` and small images.

        Args:
            event_shape: Shape of one example.
            latent_size: Number of latents.
            hidden: Widths of the encoder's hidden layers; mirrored in the decoder.
            likelihood: p(x given z): `"gaussian"` for standardised columns, `"laplace"`, or
                `"bernoulli"` for values in [0, 1].
            scale: Deviation of the Gaussian, or scale of the Laplace, in units of the inputs.

        Examples:
            >>> import torch
            >>> from trimvae import VAE
            >>> vae = VAE.dense(event_shape=(30,), latent_size=4)
            >>> vae.encode(torch.randn(5, 30)).mean.shape == (5, 4)
            True
        """
        check_counts(latent_size=latent_size)
        shape = _checked_shape("event_shape", event_shape, "(30,)")
        described = {
            "kind": "dense",
            "event_shape": list(shape),
            "latent_size": latent_size,
            "hidden": list(hidden),
        }
        networks = _Networks(
            DenseEncoder(shape, latent_size, hidden),
            DenseDecoder(shape, latent_size, hidden),
            shape,
            described,
        )
        made: Self = _made(cls, networks, likelihood, scale)
        return made

    @classmethod
    def table(
        cls,
        frame: "pd.DataFrame | TableSchema",
        latent_size: int,
        *,
        hidden: Sequence[int] = (128, 128),
        scale: float = 0.5,
        categories: Sequence[str] = (),
    ) -> Self:
        """Fully connected network for rows of a DataFrame: numbers, categories, missing values.

        It takes and gives tensors: `code.schema.encode(frame)` makes one, and
        `code.schema.to_frame(code.decode(latents))` gives rows in their own units and categories.
        `fit`, `explain` and `evaluate` take the DataFrame itself. Numbers have a Gaussian
        likelihood, categories a categorical one, decoded as probabilities.

        Args:
            frame: The training table, without labels; or the schema of one.
            latent_size: Number of latents.
            hidden: Widths of the encoder's hidden layers; mirrored in the decoder.
            scale: Deviation of numbers, in standard deviations of their column.
            categories: Columns of numbers that stand for categories; default: none.

        Raises:
            TypeError: `frame` is no DataFrame, a column holds dates or other objects, or this is
                an `IVAE`.
            ValueError: A column is all missing, an identifier, infinite or has another's name.

        Examples:
            >>> import pandas as pd
            >>> from trimvae import VAE
            >>> frame = pd.DataFrame({"age": [20, 30, 70], "job": ["nurse", "clerk", "nurse"]})
            >>> vae = VAE.table(frame, latent_size=2)
            >>> rows = vae.schema.to_frame(vae.decode(vae.prior.sample((5,))))
            >>> set(rows["job"]) <= {"nurse", "clerk"}
            True
        """
        if cls.conditional:
            raise TypeError(f"`table` must be asked of VAE. Got {cls.__name__}. Use VAE.table.")
        known = isinstance(frame, TableSchema)
        schema = frame if known else TableSchema.of(frame, categories=categories)
        made = cls.dense((schema.width,), latent_size, hidden=hidden, scale=scale)
        made.schema = schema
        made.architecture = {
            "kind": "table",
            "frame": schema.description,
            "latent_size": latent_size,
            "hidden": list(hidden),
            "scale": scale,
        }
        return made

    @classmethod
    def _of(cls, description: dict[str, Any]) -> Self:
        rest = {**description}
        kind, axes = rest.pop("kind"), rest.pop("axes", None)
        makers: dict[str, Callable[..., Self]]
        makers = {
            "convolutional": cls.convolutional,
            "residual": cls.residual,
            "dense": cls.dense,
            "table": cls.table,
        }
        if kind == "table":
            rest["frame"] = TableSchema.of_description(rest["frame"])
        made = makers[kind](**rest)
        made.axes = None if axes is None else axes_of(axes)
        return made


class _Networks(NamedTuple):
    """An encoder and its decoder, of inputs of which shape, and what makes them again."""

    encoder: nn.Module
    decoder: nn.Module
    event_shape: tuple[int, ...]
    described: dict[str, Any]


_IMAGE_NETWORKS: dict[str, tuple[type[nn.Module], type[nn.Module]]] = {
    "convolutional": (ConvolutionalEncoder, ConvolutionalDecoder),
    "residual": (ResidualEncoder, ResidualDecoder),
}


def _checked_shape(argument: str, shape: Iterable[int], example: str) -> tuple[int, ...]:
    """Whole numbers of Python's own."""
    if not isinstance(shape, Iterable) or not all(isinstance(size, Integral) for size in shape):
        raise TypeError(
            f"`{argument}` must be a shape without the batch. Got {shape!r}. "
            f"Pass whole numbers, e.g. {example}."
        )
    return tuple(map(int, shape))


def _image_networks(
    kind: str,
    image_shape: tuple[int, int, int],
    sides: tuple[int, int],
    latent_size: int,
    sizes: dict[str, int],
) -> _Networks:
    """Encoder and decoder of images whose sides are within bounds."""
    shape, (least, most) = _checked_shape("image_shape", image_shape, "(1, 32, 32)"), sides
    if len(shape) != 3 or shape[0] < 1 or not all(least <= size <= most for size in shape[1:]):
        raise ValueError(
            f"`image_shape` must be (channels, height, width) with sizes from {least} to {most}. "
            f"Got {shape}. Resize the images, or bring your own encoder and decoder."
        )
    check_counts(latent_size=latent_size)
    encoder, decoder = _IMAGE_NETWORKS[kind]
    rest = {"image_shape": list(shape), "latent_size": latent_size, **sizes}
    return _Networks(
        encoder(shape, latent_size, **sizes),
        decoder(shape, latent_size, **sizes),
        shape,
        {"kind": kind, **rest},
    )


def _made(kind: Any, networks: _Networks, likelihood: Likelihood, scale: float) -> Any:
    """A VAE of this class around the networks."""
    made = kind(
        networks.encoder,
        networks.decoder,
        networks.described["latent_size"],
        likelihood=likelihood,
        scale=scale,
        event_shape=networks.event_shape,
    )
    made.architecture = {**networks.described, "likelihood": likelihood, "scale": scale}
    return made
