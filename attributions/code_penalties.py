r"""Penalties on the code itself: they ask decoder, encoder or predictor again.

Pure functions first; the small classes at the end name a penalty and its weight for
`trimvae.fit`. None of them looks at the predictor except `group_l1_over_l2` and `information`:
beside a prediction loss and `Sparsity` they shape *how* latents draw, not which are used.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.func import jvp

from attributions.gradients import path_contributions
from attributions.information import mutual_information
from attributions.measures import both_classes
from attributions.penalties import Monotonicity, Penalty, Sparsity, check_weight
from attributions.predictors import Function
from attributions.trim import Trim


def pointwise_independence(encode: Function, decode: Function, inputs: Tensor) -> Tensor:
    r"""Mean over examples of $\sum_{i \ne j} |\partial z'_i / \partial z_j|$.

    $$ z = E(x), \qquad z'(z) = E(D(z) + r), \qquad r = x - D(E(x)) \text{ held fixed} $$

    A latent that is moved and encoded again should not move the others. Reverse mode, once per
    latent: take few examples.

    References:
        Singh et al., local-vae, https://github.com/csinva/local-vae

    Args:
        encode: Inputs to posterior means `(batch, latents)`.
        decode: Latents to inputs.
        inputs: `(batch, *event)`.

    Returns:
        Scalar, 0 at best.
    """
    latents = encode(inputs)
    # The residual is fixed while latents move, yet the penalty's gradient is that of the whole.
    move = torch.zeros_like(latents).requires_grad_()
    again = encode(decode(latents + move) + (inputs - decode(latents)))
    size = latents.shape[1]
    rows = [
        torch.autograd.grad(again[:, row].sum(), move, create_graph=True)[0] for row in range(size)
    ]
    jacobian = torch.stack(rows, dim=1)
    others = ~torch.eye(size, dtype=torch.bool, device=latents.device)
    return (jacobian.abs() * others).sum(dim=(1, 2)).mean()


def jacobian_l1(decode: Function, latents: Tensor) -> Tensor:
    r"""Mean over examples of $\sum_{p, i} |\partial D_p / \partial z_i|$, a **size** penalty.

    Shrunk by stretching the latents, which only the KL term resists: `jacobian_l1_over_l2` is
    free of that. Forward mode, once per latent.

    References:
        Singh et al., local-vae, https://github.com/csinva/local-vae

    Args:
        decode: Latents `(batch, latents)` to inputs `(batch, *event)`.
        latents: `(batch, latents)`.

    Returns:
        Scalar.
    """
    return _decoder_columns(decode, latents).abs().sum(dim=(1, 2)).mean()


def jacobian_l1_over_l2(decode: Function, latents: Tensor) -> Tensor:
    r"""Mean over examples and latents of $\lVert J_i \rVert_1 / \lVert J_i \rVert_2$.

    $J_i = \partial D / \partial z_i$ is what the latent moves in the input: few pixels score
    low, however strongly they move. Between 1 and the square root of the number of pixels.

    Args:
        decode: Latents `(batch, latents)` to inputs `(batch, *event)`.
        latents: `(batch, latents)`.

    Returns:
        Scalar.
    """
    columns = _decoder_columns(decode, latents)
    length = (columns.pow(2).sum(dim=2) + 1e-12).sqrt()
    return (columns.abs().sum(dim=2) / length).mean()


def _decoder_columns(decode: Function, latents: Tensor) -> Tensor:
    """`(batch, latents, pixels)`."""
    columns = []
    for direction in torch.eye(latents.shape[1], device=latents.device, dtype=latents.dtype):
        tangent = direction.expand_as(latents).contiguous()
        columns.append(jvp(decode, (latents,), (tangent,))[1].flatten(1))
    return torch.stack(columns, dim=1)


def hessian(
    decode: Function,
    latents: Tensor,
    *,
    k: int = 2,
    epsilon: float = 0.1,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Hessian penalty: how much latents interact in what they draw.

    $$ \max_p \operatorname{Var}_v \frac{D_p(z + \epsilon v) - 2 D_p(z) + D_p(z - \epsilon v)}
    {\epsilon^2} $$

    over $k$ Rademacher directions $v$: the variance of the second difference is twice the sum of
    squared off-diagonal entries of each pixel's Hessian, 0 if latents do not interact.

    References:
        Peebles et al.: The Hessian Penalty, 2020, https://arxiv.org/abs/2008.10599

    Args:
        decode: Latents `(batch, latents)` to inputs `(batch, *event)`.
        latents: `(batch, latents)`.
        k: Directions, at least 2.
        epsilon: Length of the step along each latent.
        generator: Of the directions.

    Returns:
        Scalar, mean over the batch.

    Raises:
        ValueError: `k` is below 2.
    """
    if k < 2:
        raise ValueError(f"`k` must be at least 2. Got {k}. A variance needs two directions.")
    centre = decode(latents)
    second = []
    for _ in range(k):
        bits = torch.randint(2, latents.shape, generator=generator, device=latents.device)
        step = epsilon * (2 * bits - 1).to(latents)
        second.append((decode(latents + step) - 2 * centre + decode(latents - step)) / epsilon**2)
    return torch.stack(second).var(dim=0).flatten(1).amax(dim=1).mean()


def nearest_neighbour(
    decode: Function,
    latents: Tensor,
    inputs: Tensor,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Mean squared distance from a moved latent's picture to the nearest input of the batch.

    In each example one random latent is replaced by a prior draw: what traversals show should
    stay close to data. Sum over the event, minimum over the batch, mean over examples.

    References:
        After Singh et al., local-vae, https://github.com/csinva/local-vae

    Args:
        decode: Latents `(batch, latents)` to inputs `(batch, *event)`.
        latents: `(batch, latents)`.
        inputs: `(n, *event)`, the data to stay close to.
        generator: Of which latent moves and where to.

    Returns:
        Scalar.
    """
    batch, size = latents.shape
    options: dict[str, Any] = {"generator": generator, "device": latents.device}
    chosen = torch.randint(size, (batch, 1), **options)
    value = torch.randn((batch, 1), dtype=latents.dtype, **options)
    moved = decode(latents.scatter(1, chosen, value)).flatten(1)
    data = inputs.flatten(1)
    # Differences of the nearest pair alone stay in the graph.
    with torch.no_grad():
        nearest = torch.cdist(moved, data).argmin(dim=1)
    return (moved - data[nearest]).pow(2).sum(dim=1).mean()


def group_l1_over_l2(attributions: Tensor, target: Tensor) -> Tensor:
    r"""Class-wise group sparsity: this class uses these latents.

    $$ g_{ci} = \sqrt{\operatorname{mean}_{n \in c} a_{ni}^2}, \qquad
    \operatorname{mean}_c \lVert g_c \rVert_1 / \lVert g_c \rVert_2 $$

    The L2 norm inside a class makes its examples share their latents (a group lasso), the ratio
    is free of scale. A figure of the whole batch.

    References:
        Yuan, Lin: Model selection and estimation in regression with grouped variables, 2006.

    Args:
        attributions: `(batch, latents)`.
        target: `(batch,)`, the class of each.

    Returns:
        Scalar, between 1 and the square root of the number of latents.
    """
    ratios = []
    for index in target.unique():
        group = attributions[target == index].pow(2).mean(dim=0)
        length = (group.sum() + 1e-12).sqrt()
        ratios.append((group + 1e-12).sqrt().sum() / length)
    return torch.stack(ratios).mean()


def information(
    function: Function,
    latent_size: int,
    chosen: tuple[int, ...],
    *,
    n_alpha: int = 25,
    n_beta: int = 25,
    like: Tensor,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Minus the information flow from some latents to the decision, $-I(\alpha; \hat Y)$, nats.

    The objective of GCE: the chosen latents become the causal ones. Prior samples.

    References:
        O'Shaughnessy et al.: Generative causal explanations of black-box classifiers, 2020,
        https://arxiv.org/abs/2006.13913

    Args:
        function: Latents to logits `(batch, classes)`; a `Trim`.
        latent_size: Number of latents.
        chosen: The causal latents.
        n_alpha: Outer samples.
        n_beta: Inner samples for each.
        like: A tensor whose device and dtype samples take.
        generator: Of the samples.

    Returns:
        Scalar.
    """
    options: dict[str, Any] = {"generator": generator, "device": like.device, "dtype": like.dtype}
    samples = torch.randn((n_alpha * n_beta, latent_size), **options)
    alpha = torch.randn((n_alpha, len(chosen)), **options)
    samples[:, list(chosen)] = alpha.repeat_interleave(n_beta, dim=0)
    probabilities = both_classes(function(samples)).softmax(dim=1)
    return -mutual_information(probabilities.unflatten(0, (n_alpha, n_beta)))


@dataclass(frozen=True)
class Step:
    """What a training step hands to a `CodePenalty`."""

    trim: Trim
    encode: Callable[[Tensor], Tensor]
    """Inputs to posterior means."""
    inputs: Tensor
    """`(examples, *event)`."""
    latents: Tensor
    """`(examples, latents)`, samples of the posterior."""
    target: Tensor | int
    """`(examples,)`, the predicted classes; 0 for a single output."""
    alphas: Tensor
    """`(examples, points)`, where on the path contributions are taken."""
    generator: torch.Generator
    residual: Tensor | None = None
    """`(examples, *event)`, held fixed along paths; none without it."""
    baselines: Tensor | None = None
    """`(examples, latents)`, where paths start; at 0, a normal prior's mean, without it."""

    @cached_property
    def contributions(self) -> Tensor:
        """`(examples, points, latents)`, see `attributions.path_contributions`."""
        return path_contributions(
            self.trim,
            self.latents,
            self.baselines,
            target=self.target,
            additional_forward_args=self.residual,
            alphas=self.alphas,
        )


@dataclass(frozen=True)
class CodePenalty(ABC):
    """A penalty that needs more than contributions; subclass it for your own.

    Args:
        weight: Factor in the loss.
    """

    weight: float = 1.0
    name: ClassVar[str]

    def __post_init__(self) -> None:
        """Check the weight."""
        check_weight(self.weight)

    @abstractmethod
    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty, a scalar."""


@dataclass(frozen=True)
class Independence(CodePenalty):
    """Moving one latent moves no other when encoded again; see `pointwise_independence`.

    Args:
        weight: Factor in the loss.
        examples: How many of the step's examples to look at.
    """

    examples: int = 8
    name: ClassVar[str] = "independence"

    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty."""
        return pointwise_independence(step.encode, step.trim.decoder, step.inputs[: self.examples])


@dataclass(frozen=True)
class JacobianSparsity(CodePenalty):
    """Each latent moves few pixels; see `jacobian_l1_over_l2`.

    Args:
        weight: Factor in the loss.
        form: `"l1_over_l2"` or the literature's `"l1"`.
        examples: How many of the step's examples to look at.

    Raises:
        ValueError: The weight is negative or the form unknown.
    """

    form: str = "l1_over_l2"
    examples: int = 8
    name: ClassVar[str] = "jacobian_sparsity"
    forms: ClassVar = {"l1_over_l2": jacobian_l1_over_l2, "l1": jacobian_l1}

    def __post_init__(self) -> None:
        """Check the arguments."""
        super().__post_init__()
        if self.form not in self.forms:
            raise ValueError(
                f"`form` must be one of {list(self.forms)}. Got {self.form!r}. "
                "Start with the default."
            )

    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty."""
        return self.forms[self.form](step.trim.decoder, step.latents[: self.examples])


@dataclass(frozen=True)
class Hessian(CodePenalty):
    """Latents do not interact in what they draw; see `hessian`.

    Args:
        weight: Factor in the loss.
        k: Random directions.
        epsilon: Step along each latent.
    """

    k: int = 2
    epsilon: float = 0.1
    name: ClassVar[str] = "hessian"

    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty."""
        return hessian(
            step.trim.decoder,
            step.latents,
            k=self.k,
            epsilon=self.epsilon,
            generator=step.generator,
        )


@dataclass(frozen=True)
class NearestNeighbour(CodePenalty):
    """What a moved latent draws stays close to data; see `nearest_neighbour`.

    Args:
        weight: Factor in the loss.
    """

    name: ClassVar[str] = "nearest_neighbour"

    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty."""
        return nearest_neighbour(
            step.trim.decoder, step.latents, step.inputs, generator=step.generator
        )


@dataclass(frozen=True)
class GroupSparsity(CodePenalty):
    """Each class uses few latents, the same for all its examples; see `group_l1_over_l2`.

    Args:
        weight: Factor in the loss.
    """

    weight: float = 6.0
    name: ClassVar[str] = "group_sparsity"

    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty."""
        target = step.target
        if not isinstance(target, Tensor):
            target = torch.zeros(len(step.latents), dtype=torch.long, device=step.latents.device)
        return group_l1_over_l2(step.contributions.mean(dim=1), target)


@dataclass(frozen=True)
class InformationFlow(CodePenalty):
    """Chosen latents carry the decision: GCE's objective; see `information`.

    The only penalty that is a reward: its value is minus the information, in nats.

    Args:
        weight: Factor in the loss.
        chosen: The causal latents.
        n_alpha: Outer samples.
        n_beta: Inner samples for each.
    """

    weight: float = 20.0
    chosen: tuple[int, ...] = (0, 1)
    n_alpha: int = 25
    n_beta: int = 25
    name: ClassVar[str] = "information_flow"

    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty."""
        return information(
            step.trim,
            step.latents.shape[1],
            self.chosen,
            n_alpha=self.n_alpha,
            n_beta=self.n_beta,
            like=step.latents,
            generator=step.generator,
        )


def as_penalties(
    items: "Sequence[Penalty | CodePenalty | str]",
) -> "tuple[Penalty | CodePenalty, ...]":
    """Penalties as they are, and those that are named with their default weights.

    Raises:
        ValueError: No penalty has a name; see `penalty_named`.
    """
    return tuple(penalty_named(item) if isinstance(item, str) else item for item in items)


def weighted_sum(
    penalties: "Sequence[Penalty | CodePenalty]",
    step: Step,
    terms: dict[str, Tensor],
    factor: float = 1.0,
) -> Tensor:
    """All penalties at a training step, each with its weight and a common factor: a scalar.

    Args:
        penalties: Any number of them.
        step: What they see.
        terms: Receives each one's unweighted value by its name.
        factor: Common to all.
    """
    total = step.latents.new_zeros(())
    for penalty in penalties:
        seen = step if isinstance(penalty, CodePenalty) else step.contributions
        terms[penalty.name] = penalty(seen)  # type: ignore[arg-type]
        total = total + factor * penalty.weight * terms[penalty.name]
    return total


def penalty_named(name: str, weight: float | None = None) -> "Penalty | CodePenalty":
    """Make a penalty, with its default weight or another; your own subclasses are found, too.

    Raises:
        ValueError: No penalty has this name.

    Examples:
        >>> penalty_named("hessian", 0.5)
        Hessian(weight=0.5, k=2, epsilon=0.1)
    """
    kinds: list[Any] = [Sparsity, Monotonicity, *CodePenalty.__subclasses__()]
    known = {kind.name: kind for kind in kinds}
    if name not in known:
        raise ValueError(
            f"`penalties` must be named among {sorted(known)}. Got {name!r}. Start with 'sparsity'."
        )
    return known[name]() if weight is None else known[name](weight)
