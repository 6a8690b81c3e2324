"""p(row given latents): numbers, whether they are missing, and one of several categories."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal, constraints
from torch.nn import functional as F


class Layout(NamedTuple):
    """Where the columns of a tensor of rows are, by what they hold."""

    numbers: tuple[int, ...]
    indicators: tuple[tuple[int, int], ...]
    """A number that may be missing, and the place that says whether it is."""
    categories: tuple[tuple[int, int], ...]
    """Start and end of each category's places."""

    def soft(self, decoded: Tensor) -> Tensor:
        """What a decoder says, `(batch, width)`, as the rows that it expects.

        Categories and missing values are probabilities. A number that is missing is at the mean,
        as it is where it is encoded.
        """
        rows = list(decoded.unbind(dim=1))
        for number, place in self.indicators:
            rows[place] = decoded[:, place].sigmoid()
            rows[number] = decoded[:, number] * (1 - rows[place])
        for start, end in self.categories:
            rows[start:end] = decoded[:, start:end].softmax(dim=1).unbind(dim=1)
        return torch.stack(rows, dim=1)


class Rows(Distribution):
    r"""Independent columns: normal numbers, Bernoulli for missing, categorical for categories.

    $$ \log p(x | z) = \sum_{\text{numbers}} (1 - m_j) \log \mathcal{N}(x_j; \mu_j, \sigma)
    + \sum_{\text{indicators}} \log \mathrm{Bern}(m_j)
    + \sum_{\text{categories}} \sum_c x_{jc} \log \mathrm{softmax}(\mu_j)_c $$

    A number that is missing adds nothing of its own.

    References:
        Nazábal et al.: Handling Incomplete Heterogeneous Data using VAEs, 2020,
        https://arxiv.org/abs/1807.03653

    Args:
        decoded: `(batch, width)`, means of numbers, and logits.
        layout: Where the columns are.
        scale: Deviation of the numbers, in standard deviations of the training table.

    Examples:
        >>> layout = Layout(numbers=(0,), indicators=(), categories=((1, 3),))
        >>> rows = Rows(torch.zeros(1, 3), layout, scale=1.0)
        >>> expected = -0.5 * torch.log(torch.tensor(2 * torch.pi)) - torch.log(torch.tensor(2.0))
        >>> found = rows.log_prob(torch.tensor([[0.0, 0.0, 1.0]])).sum()
        >>> torch.isclose(found, expected).item()
        True
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}

    def __init__(self, decoded: Tensor, layout: Layout, scale: float) -> None:
        super().__init__(decoded.shape[:1], decoded.shape[1:], validate_args=False)
        self.decoded, self.layout, self.scale = decoded, layout, scale

    @property
    def mean(self) -> Tensor:
        """The rows that are expected, `(batch, width)`: probabilities of categories."""
        return self.layout.soft(self.decoded)

    def log_prob(self, rows: Tensor) -> Tensor:
        """Log-density of each column of rows `(batch, width)`: `(batch, width)`."""
        parts = list(torch.zeros_like(self.decoded).unbind(dim=1))
        numbers = Normal(self.decoded, self.scale, validate_args=False).log_prob(rows)
        for place in self.layout.numbers:
            parts[place] = numbers[:, place]
        for number, place in self.layout.indicators:
            missing, logit = rows[:, place], self.decoded[:, place]
            parts[number] = numbers[:, number] * (1 - missing)
            parts[place] = -F.binary_cross_entropy_with_logits(logit, missing, reduction="none")
        for start, end in self.layout.categories:
            logs = self.decoded[:, start:end].log_softmax(dim=1)
            parts[start:end] = (rows[:, start:end] * logs).unbind(dim=1)
        return torch.stack(parts, dim=1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw rows `(*sample_shape, batch, width)`: whole categories, missing or not."""
        expected = self.mean.detach().expand(*sample_shape, *self.decoded.shape)
        rows = torch.normal(self.decoded.detach().expand_as(expected), self.scale)
        for number, place in self.layout.indicators:
            rows[..., place] = torch.bernoulli(expected[..., place])
            rows[..., number] *= 1 - rows[..., place]
        for start, end in self.layout.categories:
            chances = expected[..., start:end]
            drawn = torch.multinomial(chances.flatten(0, -2), 1)[:, 0]
            rows[..., start:end] = F.one_hot(drawn, end - start).view(chances.shape).to(rows)
        return rows
