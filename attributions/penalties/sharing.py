r"""Few latents explain each prediction, and classes share them: sparsity without the tautology.

The sparsest explanation of "class c" is a latent that *is* "class c". What tells a factor from a
class is the mutual information of the two: evidence that is spread over latents by the class alone
says nothing of the example. The functions take attributions $a$ `(batch, latents)` to the predicted
class $c$ of each example $n$, and read the squared attributions as a distribution over latents,

$$ p(i \mid n) = a_{ni}^2 \Big/ \sum_j a_{nj}^2 $$

whose mean over examples is $p(i)$, and over the examples of a class $p(i \mid c)$.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import Tensor
from torch.nn.functional import one_hot

from attributions.penalties.monotonicity import turning_back
from attributions.penalties.protocol import Penalty, Step, tiny


class Entropies(NamedTuple):
    """Entropies of the evidence over latents, in nats; see `evidence_entropies`."""

    of_example: Tensor
    r"""$H(i \mid n)$, mean over examples: the logarithm of how many latents explain one."""
    of_class: Tensor
    r"""$H(i \mid c)$, mean over classes by their examples: how many latents explain a class."""
    of_data: Tensor
    r"""$H(i)$, how many latents explain the data."""

    @property
    def class_information(self) -> Tensor:
        r"""$I(i; c) = H(i) - H(i \mid c)$: what the class alone says of the latents used."""
        return self.of_data - self.of_class


def evidence_entropies(attributions: Tensor, target: Tensor) -> Entropies:
    r"""How far evidence is spread over latents: in an example, in a class, in the data.

    They are ordered, $H(i \mid n) \le H(i \mid c) \le H(i)$, and free of scale. An example without
    any attribution counts as one that uses no latent, with entropy 0.

    References:
        Cover, Thomas: Elements of Information Theory, 2nd edition, 2006, chapter 2.

    Args:
        attributions: `(..., batch, latents)`, to the predicted class of each example.
        target: `(batch,)`, the predicted classes.

    Returns:
        Three tensors of the shape before `batch`, differentiable in the attributions.

    Examples:
        >>> import torch
        >>> attributions = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
        >>> entropies = evidence_entropies(attributions, torch.tensor([0, 1]))
        >>> [round(value.item(), 4) for value in entropies]  # each class has its own latent
        [0.0, 0.0, 0.6931]
    """
    size = attributions.pow(2)
    share = size / size.sum(dim=-1, keepdim=True).clamp_min(tiny(size))
    members = one_hot(target.unique(return_inverse=True)[1]).to(share)
    counts = members.sum(dim=0)
    of_class = _entropy((members / counts).T @ share)
    return Entropies(
        _entropy(share).mean(dim=-1),
        of_class @ (counts / len(members)),
        _entropy(share.mean(dim=-2)),
    )


def shared_sparsity(attributions: Tensor, target: Tensor, class_price: float = 1.0) -> Tensor:
    r"""$H(i \mid n) + \lambda\, I(i; c)$: few latents for an example, and not by its class.

    At price $\lambda = 0$ only sparsity counts, and an axis for each class is the best there is.
    At 1 it is $H(i) - I(i; n \mid c)$: few latents over the data, that tell the examples *within*
    a class apart. Eight classes that are the corners of three factors show the choice: an axis for
    each class costs $\lambda \log 8$, an axis for each factor $\log 3$, and is cheaper from
    $\lambda = 0.53$.

    A figure of the whole batch: classes need several examples each.

    Args:
        attributions: `(..., batch, latents)`, to the predicted class of each example.
        target: `(batch,)`, the predicted classes.
        class_price: $\lambda$.

    Returns:
        Tensor of the shape before `batch`, at least 0.

    Examples:
        >>> import torch
        >>> classes = torch.arange(8)
        >>> own, bits = torch.eye(8), torch.ones(8, 3)
        >>> bool(shared_sparsity(own, classes, 0.0) < shared_sparsity(bits, classes, 0.0))
        True
        >>> bool(shared_sparsity(own, classes, 1.0) > shared_sparsity(bits, classes, 1.0))
        True
    """
    entropies = evidence_entropies(attributions, target)
    return entropies.of_example + class_price * entropies.class_information


def _entropy(share: Tensor) -> Tensor:
    # The logarithm is kept finite where a share is 0: its gradient would be NaN.
    return -(share * (share + tiny(share)).log()).sum(dim=-1)


@dataclass(frozen=True, kw_only=True)
class SharedSparsity(Penalty):
    """Few latents explain each prediction, and classes share them; see `shared_sparsity`.

    The penalty against tautology: `Sparsity` is satisfied by a latent for each class. To it is
    added how far latents turn back along the path (`turning_back`), so that they are monotone as
    well. It compares examples of a class with each other: give it `penalty_examples` of four a
    class or more.

    Args:
        weight: Factor in the loss.
        class_price: What the mutual information of latent and class costs, in entropies of an
            example's evidence.

    Raises:
        ValueError: A number is negative or NaN.
    """

    weight: float = 6.0
    class_price: float = 1.0
    name: ClassVar[str] = "shared_sparsity"

    def __post_init__(self) -> None:
        """Check the arguments."""
        super().__post_init__()
        if not self.class_price >= 0:
            raise ValueError(
                f"`class_price` must be at least 0. Got {self.class_price}. Start with 1; 0 asks "
                "for sparsity alone."
            )

    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty of a training step, a scalar."""
        attributions = step.contributions.mean(dim=1)
        sparsity = shared_sparsity(attributions, step.classes, self.class_price)
        return sparsity + turning_back(step.contributions)
