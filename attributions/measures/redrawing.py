"""Inputs are drawn and read again: what of them, of the latents and of the evidence is left?"""

import torch
from torch import Tensor

from attributions.measures.intervals import Estimate, estimate_of

# Where less of the logits' variance lies within classes, evidence is there or not, and has no
# strength to keep.
_LEAST_WITHIN = 0.03

# Outputs that differ by less, of their size, differ by rounding.
_ROUNDED = 16

# Fewer examples of a class are related by chance.
_LEAST_OF_CLASS = 20


def reread_share(
    latents: Tensor, reread: Tensor, *, generator: torch.Generator | None = None
) -> Estimate:
    r"""Does the encoder read what the decoder draws?

    $$ \min_i \Bigl( 1 -
       \frac{\sum_n (\hat z_{ni} - z_{ni})^2}{\sum_n (z_{ni} - \bar z_i)^2} \Bigr), \qquad
       \hat z = E(D(z)) $$

    the share of a latent's variance that decoding and encoding keep, of the latents given the
    lowest. A traversal shows what a latent draws; only where the encoder reads that again is it
    also what the latent says of an input. 1 at best, 0 where nothing of a latent is drawn.

    References:
        Cemgil, Ghaisas, Dvijotham, Gowal, Kohli: Autoencoding Variational Autoencoder, 2020,
        https://arxiv.org/abs/2012.03715 (encoders that do not read what their decoders draw).

    Args:
        latents: `(n, latents)`, those that are used.
        reread: `(n, latents)`, the same after decoding and encoding.
        generator: Of the resamples, on the CPU; default: torch's global one.

    Returns:
        The share with its interval; NaN where a latent does not vary at all.

    Raises:
        ValueError: Shapes differ, or there is no latent.

    Examples:
        >>> latents = torch.tensor([[-1.0, 2.0], [1.0, 0.0]])
        >>> reread_share(latents, latents * torch.tensor([1.0, 0.5])).value  # 1 - (1 + 0) / 2
        0.5
    """
    _check_pair("latents", latents, "reread", reread)
    before, after = latents.double(), reread.double()
    errors, spreads = (after - before).square(), (before - before.mean(dim=0)).square()
    count = latents.shape[1]

    def lowest(means: Tensor) -> Tensor:
        return (1 - means[..., :count] / means[..., count:]).amin(dim=-1)

    return estimate_of(torch.cat([errors, spreads], dim=1), lowest, generator=generator)


def drawn_variance(
    inputs: Tensor, reconstructions: Tensor, *, generator: torch.Generator | None = None
) -> Estimate:
    r"""How much of what differs between inputs is drawn at all?

    $$ 1 - \frac{\sum_n \lVert x_n - \hat x_n \rVert^2}{\sum_n \lVert x_n - \bar x \rVert^2} $$

    1 at best, 0 for a code that always draws the mean input, below 0 for one that draws something
    else. A predictor can be kept whole by little: by the mean of each class, or by a pattern that
    is no part of the input.

    Args:
        inputs: `(n, *event)`.
        reconstructions: Same shape.
        generator: Of the resamples, on the CPU; default: torch's global one.

    Returns:
        The share with its interval; NaN where all inputs are the same.

    Raises:
        ValueError: Shapes differ.

    Examples:
        >>> inputs = torch.tensor([[0.0, 0.0], [2.0, 2.0]])
        >>> drawn_variance(inputs, torch.ones(2, 2)).value, drawn_variance(inputs, inputs).value
        (0.0, 1.0)
    """
    _check_pair("inputs", inputs, "reconstructions", reconstructions)
    before, after = inputs.double().flatten(1), reconstructions.double().flatten(1)
    errors = (after - before).square().sum(dim=1)
    spreads = (before - before.mean(dim=0)).square().sum(dim=1)

    def kept(means: Tensor) -> Tensor:
        return 1 - means[..., 0] / means[..., 1]

    return estimate_of(torch.stack([errors, spreads], dim=1), kept, generator=generator)


def strength_correlation(
    outputs: Tensor,
    reencoded: Tensor,
    predicted: Tensor,
    *,
    generator: torch.Generator | None = None,
) -> Estimate:
    r"""Does the strength of the evidence survive re-encoding, and not the class alone?

    Correlation of the centred logits $u$ at inputs and $v$ at reconstructions, each less its mean
    over the inputs of the same predicted class:

    $$ \frac{\sum_{nc} \tilde u_{nc} \tilde v_{nc}}
       {\sqrt{\sum_{nc} \tilde u_{nc}^2 \sum_{nc} \tilde v_{nc}^2}}, \qquad
       \tilde u_{nc} = u_{nc} - \bar u_{c \mid \mathrm{class}(n)} $$

    A code that guesses the cue from what goes with it knows the class, and not how strong the cue
    is in this input: agreement is 1, and this is about 0. Where less than 3 % of the variance of
    $u$ lies within classes, as of a mark that is there or not, there is no strength to keep.

    Args:
        outputs: `(n, classes)`, at the inputs; one column is a binary logit or a quantity.
        reencoded: `(n, classes)`, at the reconstructions.
        predicted: `(n,)`, the predicted classes; all the same for a quantity.
        generator: Of the resamples, on the CPU; default: torch's global one.

    Returns:
        The correlation with its interval, in [-1, 1]; NaN where outputs of a class hardly differ,
        or by rounding alone, 0 where the re-encoded ones alone do not.

    Raises:
        ValueError: Shapes differ.

    Examples:
        >>> outputs = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
        >>> told = outputs.argmax(dim=1)
        >>> round(strength_correlation(outputs, 2 * outputs + 1, told).value, 6)
        1.0
        >>> weak_and_strong = outputs[[1, 0, 3, 2]]  # the right class, of the wrong strength
        >>> round(strength_correlation(outputs, weak_and_strong, told).value, 6)
        -1.0
    """
    rows, least, _ = _products(outputs, reencoded, predicted)
    if not rows[:, 1].mean() > least:
        return Estimate(torch.nan, None)
    return estimate_of(rows, _correlation, generator=generator)


def weakest_strength(
    outputs: Tensor,
    reencoded: Tensor,
    predicted: Tensor,
    *,
    generator: torch.Generator | None = None,
) -> Estimate:
    r"""Does the strength of the evidence survive re-encoding in every class?

    The lowest `strength_correlation` of the classes that are predicted for 20 examples or more and
    whose evidence has a strength. A code that is right for three classes and draws one picture of
    the fourth has a high correlation over all, and 0 here.

    Args:
        outputs: `(n, classes)`, at the inputs; one column is a binary logit.
        reencoded: `(n, classes)`, at the reconstructions.
        predicted: `(n,)`, the predicted classes.
        generator: Of the resamples, on the CPU; default: torch's global one.

    Returns:
        The correlation with its interval, in [-1, 1]; NaN where there is no such class.

    Raises:
        ValueError: Shapes differ.

    Examples:
        >>> strength = torch.rand(100, generator=torch.Generator().manual_seed(0)) + 1
        >>> outputs = strength * torch.tensor([1.0, -1.0]).repeat(50)
        >>> again = torch.where(outputs > 0, outputs, -1).unsqueeze(1)  # one picture of a class
        >>> weakest_strength(outputs.unsqueeze(1), again, (outputs > 0).long()).value
        0.0
    """
    rows, least, classes = _products(outputs, reencoded, predicted)
    lowest = Estimate(torch.nan, None)
    for index in range(int(classes.max()) + 1):
        own = rows[classes == index]
        if len(own) >= _LEAST_OF_CLASS and own[:, 1].mean() > least:
            found = estimate_of(own, _correlation, generator=generator)
            lowest = lowest if lowest.value <= found.value else found
    return lowest


def _products(
    outputs: Tensor, reencoded: Tensor, predicted: Tensor
) -> tuple[Tensor, float, Tensor]:
    """What a correlation takes of each example `(n, 3)`, the least variance, and the classes."""
    _check_pair("outputs", outputs, "reencoded", reencoded)
    if predicted.shape != outputs.shape[:1]:
        raise ValueError(
            f"`predicted` must be one class for each of {len(outputs)} outputs. Got "
            f"{tuple(predicted.shape)}. Pass attributions.outputs.decisions of the outputs."
        )
    classes = predicted.unique(return_inverse=True)[1]
    u, v = (_within(_centred(side), classes) for side in (outputs, reencoded))
    rows = torch.stack([(u * v).sum(dim=1), u.square().sum(dim=1), v.square().sum(dim=1)], dim=1)
    whole = _within(_centred(outputs), torch.zeros_like(classes)).square().sum(dim=1).mean()
    # Before they are centred, as one large output makes the mean imprecise.
    differing = _within(outputs.double(), classes).square().mean(dim=0)
    rounded = _ROUNDED * torch.finfo(outputs.dtype).eps
    if not (differing > rounded**2 * outputs.double().square().mean(dim=0)).any():
        return rows, torch.inf, classes
    return rows, _LEAST_WITHIN * float(whole), classes


def _correlation(means: Tensor) -> Tensor:
    product, before, after = means.unbind(dim=-1)
    return torch.where(after > 0, product / (before * after).sqrt(), 0)


def _centred(outputs: Tensor) -> Tensor:
    """Logits centred over outputs, where there are several."""
    whole = outputs.double()
    return whole - whole.mean(dim=1, keepdim=True) if outputs.shape[1] > 1 else whole


def _within(outputs: Tensor, classes: Tensor) -> Tensor:
    """Outputs less the mean of each class."""
    sums = outputs.new_zeros(int(classes.max()) + 1, outputs.shape[1])
    means = sums.index_add(0, classes, outputs) / classes.bincount().unsqueeze(1)
    return outputs - means[classes]


def _check_pair(name: str, one: Tensor, other_name: str, other: Tensor) -> None:
    if one.shape != other.shape or one.ndim < 2 or not one.numel():
        raise ValueError(
            f"`{name}` and `{other_name}` must have one shape (n, ...) with an example or more. "
            f"Got {tuple(one.shape)} and {tuple(other.shape)}. Take both of the same inputs."
        )
