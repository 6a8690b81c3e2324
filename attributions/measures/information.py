"""Information flow: how much moving a latent tells about the predictor's decision, in nats."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attributions.measures.intervals import Interval, bootstrap_interval
from attributions.outputs import both_classes
from attributions.predictors import Function


class Flow(NamedTuple):
    """An estimate of information flow and what it would be by chance."""

    information: Tensor
    """Scalar, nats; at most ln(classes) and the entropy of the latents moved."""
    bias: Tensor
    """Scalar, nats: what the finite number of inner samples adds on average."""
    control: Tensor
    """Scalar, nats: the same estimate where outer samples and answers have nothing to do with each
    other: what it says by chance."""
    interval: Interval | None = None
    """95 %, of the information, by the bootstrap over outer samples."""


def mutual_information(probabilities: Tensor) -> Tensor:
    r"""$I(\alpha; \hat Y)$ from the predictor's probabilities at samples, in nats.

    $$ p_i = \tfrac{1}{M} \sum_j \hat y(\alpha_i, \beta_{ij}), \quad q = \tfrac{1}{N} \sum_i p_i,
    \quad I = \tfrac{1}{N} \sum_i \sum_y p_{iy} \log p_{iy} - \sum_y q_y \log q_y $$

    Differentiable. Biased upwards by about $\sum_y \mathrm{Var}(\hat y_y | \alpha) / (2 M q_y)$.

    References:
        O'Shaughnessy et al.: Generative causal explanations of black-box classifiers, 2020,
        https://arxiv.org/abs/2006.13913, appendix D.

    Args:
        probabilities: `(n_alpha, n_beta, classes)`.

    Returns:
        Scalar, at least 0 but for rounding.

    Examples:
        >>> certain = torch.eye(2).unsqueeze(1)  # alpha decides, one of two classes
        >>> torch.allclose(mutual_information(certain), torch.tensor(2.0).log())
        True
    """
    conditional = probabilities.mean(dim=1)
    marginal = conditional.mean(dim=0)
    return torch.xlogy(conditional, _kept(conditional)).sum(dim=1).mean() - (
        torch.xlogy(marginal, _kept(marginal)).sum()
    )


def information_flow(
    function: Function,
    latent_size: int,
    chosen: Sequence[int],
    *,
    n_alpha: int = 100,
    n_beta: int = 25,
    prior: Tensor | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
    max_points: int = 256,
) -> Flow:
    """Information that latents, moved by intervention, give about the decision.

    The chosen latents take `n_alpha` values; for each, the others take `n_beta`. All are
    independent, so this is causal flow: it counts what the latents do to the predictor and
    nothing that comes from their correlation in the data. Read `information - bias`, and beside
    it `control`, where the same answers are dealt out to the outer samples at random. For each
    latent alone, `information_flows` needs no more samples than this does for one.

    Every latent's samples are spread over its prior (a Latin hypercube): the estimate is that of
    several times as many independent ones, and the interval, which takes them for independent, is
    wider than it need be.

    References:
        Ay, Polani: Information Flows in Causal Networks, 2008; O'Shaughnessy et al., 2020,
        https://arxiv.org/abs/2006.13913; McKay, Beckman, Conover: A Comparison of Three Methods for
        Selecting Values of Input Variables, 1979, https://doi.org/10.2307/1268522

    Args:
        function: Latents `(batch, latents)` to logits `(batch, classes)`; a `Trim` without
            residual. One column is a binary logit.
        latent_size: Number of latents.
        chosen: Latents that are moved together.
        n_alpha: Outer samples.
        n_beta: Inner samples for each.
        prior: `(n, latents)`, rows of which every latent is drawn independently; default: the
            standard normal.
        device: Of the samples.
        dtype: Of the samples.
        generator: Source of randomness, on the device; default: torch's global one.
        max_points: Most points decoded at once.

    Returns:
        Information, its bias and the control, in nats, and the interval of the information.

    Raises:
        ValueError: `chosen` is empty or names no latent.
    """
    if not chosen or not all(0 <= index < latent_size for index in chosen):
        raise ValueError(
            f"`chosen` must name latents from 0 to {latent_size - 1}. Got {list(chosen)}. "
            "Choose one or more."
        )
    n = n_alpha * n_beta
    options = _placed(prior, generator=generator, device=device, dtype=dtype)
    samples = _hypercube(prior, (n, latent_size), **options)
    alpha = _hypercube(prior, (n_alpha, latent_size), **options)
    index = list(chosen)
    samples[:, index] = alpha[:, index].repeat_interleave(n_beta, dim=0)
    answers = _answers(function, samples, max_points)
    dealt = torch.rand(n, generator=generator, device=options["device"]).argsort()
    moved, control = (each.unflatten(0, (n_alpha, n_beta)) for each in (answers, answers[dealt]))
    return _flow(moved, mutual_information(control))


def information_flows(
    function: Function,
    latent_size: int,
    *,
    chosen: Sequence[int] | None = None,
    n_alpha: int = 100,
    n_beta: int = 25,
    prior: Tensor | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
    max_points: int = 256,
) -> list[Flow]:
    r"""The information flow of each latent alone, all from the same `n_alpha * n_beta` samples.

    Every latent takes the same number of values, `n_alpha`; `n_beta` times they are shuffled,
    each latent on its own (replicated Latin hypercubes). So each value of each latent is seen
    `n_beta` times, among values of the other latents that are independent of it: what
    `information_flow` asks for, at a cost that does not grow with the number of latents.

    References:
        McKay: Evaluating Prediction Uncertainty, 1995, NUREG/CR-6311; McKay, Beckman, Conover: A
        Comparison of Three Methods for Selecting Values of Input Variables, 1979,
        https://doi.org/10.2307/1268522

    Args:
        function: Latents `(batch, latents)` to logits `(batch, classes)`, as in
            `information_flow`.
        latent_size: Number of latents.
        chosen: Latents that are asked for; default: all.
        n_alpha: Values of each latent.
        n_beta: Samples at each value.
        prior: `(n, latents)`, rows of which every latent is drawn independently; default: the
            standard normal.
        device: Of the samples.
        dtype: Of the samples.
        generator: Source of randomness, on the device; default: torch's global one.
        max_points: Most points decoded at once.

    Returns:
        For each of these latents its information, with bias, control (one for all) and interval,
        in nats.

    Examples:
        >>> flows = information_flows(lambda z: 100 * z[:, :1], 3, n_beta=50)
        >>> bool(flows[0].information > 0.6) and bool(flows[1].information < 0.1)
        True
    """
    options = _placed(prior, generator=generator, device=device, dtype=dtype)
    values = _hypercube(prior, (n_alpha, latent_size), **options)
    # One column more than there are latents: of nothing, and so the control.
    noise = torch.rand(
        (n_beta, n_alpha, latent_size + 1), generator=generator, device=options["device"]
    )
    level = noise.argsort(dim=1)
    samples = values.expand(n_beta, -1, -1).gather(1, level[..., :latent_size])
    answers = _answers(function, samples.flatten(0, 1), max_points).unflatten(0, (n_beta, n_alpha))
    places = level.argsort(dim=1)

    def of(column: int) -> Tensor:
        """Answers by value: `(n_alpha, n_beta, classes)`."""
        place = places[..., column, None].expand(-1, -1, answers.shape[2])
        sorted_answers: Tensor = answers.gather(1, place).transpose(0, 1)
        return sorted_answers

    control = mutual_information(of(latent_size))
    asked = range(latent_size) if chosen is None else chosen
    return [_flow(of(latent), control) for latent in asked]


def _placed(prior: Tensor | None, **options: Any) -> dict[str, Any]:
    """Where samples are drawn, and in which dtype: those of a prior are its own."""
    if prior is not None:
        options |= {"device": prior.device, "dtype": prior.dtype}
    return options


def _answers(function: Function, samples: Tensor, max_points: int) -> Tensor:
    """Probabilities at samples, `(n, classes)`."""
    with torch.no_grad():
        outputs = torch.cat([function(points) for points in samples.split(int(max_points))])
        answers: Tensor = both_classes(outputs).softmax(dim=1)
    return answers


def _flow(moved: Tensor, control: Tensor) -> Flow:
    """Of answers `(n_alpha, n_beta, classes)`, beside what the same say in a random order."""
    n_beta = moved.shape[1]
    marginal = moved.mean(dim=(0, 1)).clamp_min(torch.finfo(moved.dtype).tiny)
    bias = moved.new_tensor(torch.nan)  # one inner sample says nothing of the spread
    if n_beta > 1:
        bias = (moved.var(dim=1).mean(dim=0) / (2 * n_beta * marginal)).sum()
    return Flow(mutual_information(moved), bias, control, _interval(moved))


def _interval(probabilities: Tensor) -> Interval | None:
    """Of `mutual_information`, which depends on means over the outer samples alone."""
    conditional = probabilities.double().mean(dim=1)
    certainty = torch.xlogy(conditional, _kept(conditional)).sum(dim=1, keepdim=True)

    def information(means: Tensor) -> Tensor:
        marginal = means[..., 1:]
        return means[..., 0] - torch.xlogy(marginal, _kept(marginal)).sum(dim=-1)

    rows = torch.cat([certainty, conditional], dim=1)
    # A generator of its own: it must not move that of the samples, which may be elsewhere.
    return bootstrap_interval(rows, information, generator=torch.Generator().manual_seed(0))


def _hypercube(prior: Tensor | None, shape: tuple[int, int], **options: Any) -> Tensor:
    """Samples `(n, latents)` that are spread: of n equal parts of a latent's prior each holds one.

    Latents are independent of each other.
    """
    dtype = options.pop("dtype") or torch.get_default_dtype()
    fine = torch.promote_types(dtype, torch.float32)
    order, within = torch.rand((2, *shape), dtype=fine, **options)
    place = (order.argsort(dim=0) + within) / shape[0]
    if prior is None:
        edge = torch.finfo(fine).eps
        normal: Tensor = torch.special.ndtri(place.clamp(edge, 1 - edge))
        return normal.to(dtype)
    rows = (place * len(prior)).long().clamp_max(len(prior) - 1)
    return prior.sort(dim=0).values.gather(0, rows)


def _kept(probability: Tensor) -> Tensor:
    # 0 log 0 = 0, with a finite gradient.
    return probability.clamp_min(torch.finfo(probability.dtype).tiny)
