"""TRIM: look at a predictor through a decoder. The idea of the whole library, on one screen."""

import torch
from torch import Tensor, nn

from attributions.outputs import Explained
from attributions.predictors import Function, Predictor


class Trim(nn.Module):
    r"""The predictor after the decoder plus a fixed residual.

    $$ r = x - D(z), \qquad f'(z) = f(D(z) + r) $$

    with latents $z$, decoder $D$, predictor $f$ and inputs $x$. At the latents of $x$ this is
    exactly $f(x)$, so an attribution of $f'$ to $z$ explains the predictor's own output. The
    residual is computed **once** and held fixed: recomputed on every call (as the authors'
    implementation does) it would cancel the decoder, $f'$ would be constant along any path, and
    integrated gradients would miss completeness by the whole attribution.

    A `Trim` is a valid `forward_func` for every Captum method; the residual travels as
    `additional_forward_args`. Without residual it is the predictor at the reconstruction, which
    shows what the latents alone carry: report fidelity there, never with the residual.

    The predictor is explained through a frozen replica (`attributions.replicas.frozen`): the
    caller's own module is never changed.

    References:
        Singh, Ha, Lanusse, Boehm, Liu, Yu: Transformation Importance with Applications to
        Cosmology, 2020, https://arxiv.org/abs/2003.01926

    Args:
        predictor: Trained module or function, inputs `(batch, *event)` to outputs
            `(batch, classes)`, `(batch, 1)` or `(batch,)`; also a tuple, or a mapping or object
            with `logits`. An `attributions.predictors.Predictor` is used as it is, and the
            options below are then its own.
        decoder: Latents `(batch, latent_size)` to inputs `(batch, *event)`; module or function.
        preprocess: Between decoder and predictor: a resize, three channels, mean and deviation.
        explained: `"output"`, the predictor's own output; `"centred_logit"`, the logit minus the
            mean logit of the example (a constant added to all logits changes no prediction, and
            here no explanation); or a `Contrast` of two classes, which gives `(batch, 1)`.
        probabilities: Whether the predictor ends in a softmax. Then logarithms are explained;
            centred, they equal the centred logits exactly.

    Raises:
        ValueError: `explained` is not one of these, or a class of the `Contrast` does not exist.

    Examples:
        >>> predictor, decoder = nn.Linear(6, 3), nn.Linear(2, 6)
        >>> inputs, latents = torch.randn(5, 6), torch.randn(5, 2)
        >>> trim = Trim(predictor, decoder)
        >>> residual = trim.residual(inputs, latents)
        >>> torch.allclose(trim(latents, residual), predictor(inputs), atol=1e-6)
        True
    """

    def __init__(
        self,
        predictor: Function,
        decoder: Function,
        *,
        preprocess: Function | None = None,
        explained: Explained = "output",
        probabilities: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(predictor, Predictor):
            predictor = Predictor(
                predictor,
                preprocess=preprocess,
                explained=explained,
                probabilities=probabilities,
            )
        self.predictor = predictor
        self.decoder = decoder

    def forward(self, latents: Tensor, residual: Tensor | None = None) -> Tensor:
        """What is explained, at `decoder(latents) + residual`.

        Args:
            latents: `(batch, latent_size)`.
            residual: `(batch, *event)` from `residual`, held fixed; default: none.

        Returns:
            `(batch, classes)`; one column for a single output or a `Contrast`.
        """
        inputs = self.decode(latents)
        if residual is not None:
            inputs = inputs + residual
        return self.of_inputs(inputs)

    def decode(self, latents: Tensor) -> Tensor:
        """Inputs of latents `(batch, latent_size)`: `(batch, *event)`.

        The decoder gets a copy: one that works in place changes nobody's latents.
        """
        decoded: Tensor = self.decoder(latents.clone())
        return decoded

    def of_inputs(self, inputs: Tensor) -> Tensor:
        """What is explained, at inputs `(batch, *event)`: `(batch, classes)`."""
        return self.predictor.select(self.predictor(inputs))

    def residual(self, inputs: Tensor, latents: Tensor) -> Tensor:
        """What the decoder leaves out, `inputs - decoder(latents)`, detached: `(batch, *event)`.

        Raises:
            ValueError: The decoder's output does not have the shape of the inputs.
        """
        with torch.no_grad():
            reconstructions = self.decode(latents)
        if reconstructions.shape != inputs.shape:
            raise ValueError(
                "`decoder` must return the shape of the inputs. Got "
                f"{tuple(reconstructions.shape)} for inputs {tuple(inputs.shape)}. "
                "Fit the decoder's output, or bring the inputs to its size."
            )
        return (inputs - reconstructions).detach()
