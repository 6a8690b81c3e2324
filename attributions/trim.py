"""TRIM: look at a predictor through a decoder. The idea of the whole library, on one screen."""

from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from attributions.predictors import Function, as_logits, predict


class Contrast(NamedTuple):
    """Explain "why `target` rather than `against`": the difference of two outputs."""

    target: int
    against: int


Explained: TypeAlias = Literal["output", "centred_logit"] | Contrast


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

    While a `Trim` runs, the predictor is in eval mode and its parameters are outside the graph;
    it is handed back as it was.

    References:
        Singh, Ha, Lanusse, Boehm, Liu, Yu: Transformation Importance with Applications to
        Cosmology, 2020, https://arxiv.org/abs/2003.01926

    Args:
        predictor: Trained module or function, inputs `(batch, *event)` to outputs
            `(batch, classes)`, `(batch, 1)` or `(batch,)`; also a tuple, or a mapping or object
            with `logits`.
        decoder: Latents `(batch, latent_size)` to inputs `(batch, *event)`; module or function.
        preprocess: Between decoder and predictor: a resize, three channels, mean and deviation.
        explained: `"output"`, the predictor's own output; `"centred_logit"`, the logit minus the
            mean logit of the example (a constant added to all logits changes no prediction, and
            here no explanation); or a `Contrast` of two classes, which gives `(batch, 1)`.
        probabilities: Whether the predictor ends in a softmax. Then logarithms are explained;
            centred, they equal the centred logits exactly.

    Raises:
        ValueError: `explained` is none of these, or a class of the `Contrast` does not exist.

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
        if not (isinstance(explained, Contrast) or explained in ("output", "centred_logit")):
            raise ValueError(
                "`explained` must be 'output', 'centred_logit' or a Contrast. "
                f"Got {explained!r}. Choose what to explain, e.g. Contrast(target=3, against=8)."
            )
        self.predictor = predictor
        self.decoder = decoder
        self.preprocess = preprocess
        self.explained = explained
        self.probabilities = probabilities

    def of(self, predictor: Function) -> "Trim":
        """Look at another predictor in the same way."""
        return Trim(
            predictor,
            self.decoder,
            preprocess=self.preprocess,
            explained=self.explained,
            probabilities=self.probabilities,
        )

    def forward(self, latents: Tensor, residual: Tensor | None = None) -> Tensor:
        """What is explained, at `decoder(latents) + residual`.

        Args:
            latents: `(batch, latent_size)`.
            residual: `(batch, *event)` from `residual`, held fixed; nothing without it.

        Returns:
            `(batch, classes)`; one column for a single output or a `Contrast`.
        """
        inputs = self.decoder(latents)
        if residual is not None:
            inputs = inputs + residual
        return self.of_inputs(inputs)

    def of_inputs(self, inputs: Tensor) -> Tensor:
        """What is explained, at inputs `(batch, *event)`: `(batch, classes)`."""
        return self.select(predict(self.predictor, inputs, self.preprocess))

    def residual(self, inputs: Tensor, latents: Tensor) -> Tensor:
        """What the decoder leaves out, `inputs - decoder(latents)`, detached: `(batch, *event)`.

        Raises:
            ValueError: The decoder's output does not have the shape of the inputs.
        """
        with torch.no_grad():
            reconstructions = self.decoder(latents)
        if reconstructions.shape != inputs.shape:
            raise ValueError(
                "`decoder` must return the shape of the inputs. Got "
                f"{tuple(reconstructions.shape)} for inputs {tuple(inputs.shape)}. "
                "Fit the decoder's output, or bring the inputs to its size."
            )
        return (inputs - reconstructions).detach()

    def select(self, outputs: Tensor) -> Tensor:
        """What is explained of the predictor's `outputs` `(batch, classes)`."""
        return select(as_logits(outputs, self.probabilities), self.explained)

    def logits(self, inputs: Tensor) -> Tensor:
        """The predictor's logits at inputs `(batch, *event)`, all of them: `(batch, classes)`."""
        return as_logits(predict(self.predictor, inputs, self.preprocess), self.probabilities)


def select(outputs: Tensor, explained: Explained) -> Tensor:
    """What is explained of logits `(batch, classes)`: all, centred, or the difference of two.

    Raises:
        ValueError: A class of the `Contrast` does not exist.
    """
    if isinstance(explained, Contrast):
        classes = outputs.shape[1]
        if not all(-classes <= index < classes for index in explained):
            raise ValueError(
                f"`explained` must name classes below {classes}. Got {explained}. "
                "Choose classes that the predictor has."
            )
        target, against = explained
        return (outputs[:, target] - outputs[:, against]).unsqueeze(1)
    if explained == "centred_logit" and outputs.shape[1] > 1:
        return outputs - outputs.mean(dim=1, keepdim=True)
    return outputs
