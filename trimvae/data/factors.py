"""Data whose factors of variation are known: every image is a function of a row of levels."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

Render = Callable[[Tensor], Tensor]


class FactorData(Dataset[Tensor]):
    """Images made from factors: a data set, and new images for any factors one asks for.

    A factor has levels 0, 1, ... and a value for each. The full data set is the grid of all
    levels, in the order of nested loops with the last factor fastest. `only` and `without`
    restrict it; `draw` draws rows of levels, and `sample` renders any of them, so that one factor
    can be changed while the others stay: an intervention.

    Args:
        render: Levels `(n, n_factors)`, whole numbers, to images `(n, *event)` in [0, 1].
        factor_values: For each factor by name the value of every level.
        indices: Positions in the grid that the data set holds; default: the whole grid.

    Raises:
        ValueError: There is no factor, or one without levels.

    Examples:
        >>> data = FactorData(lambda levels: levels.float(), {"a": range(2), "b": range(3)})
        >>> len(data), data.factors[4].tolist(), data[4].tolist()
        (6, [1, 1], [1.0, 1.0])
    """

    def __init__(
        self,
        render: Render,
        factor_values: Mapping[str, Sequence[float]],
        *,
        indices: Tensor | None = None,
    ) -> None:
        if not factor_values or not all(len(values) for values in factor_values.values()):
            raise ValueError(
                "`factor_values` must give at least one factor and one value for each. Got "
                f"{ {name: len(values) for name, values in factor_values.items()} }. "
                "Leave out factors without levels."
            )
        self.render = render
        self.factor_values = {name: tuple(values) for name, values in factor_values.items()}
        self.indices = indices

    @property
    def factor_names(self) -> tuple[str, ...]:
        """Names of the factors, in the order of columns."""
        return tuple(self.factor_values)

    @property
    def factor_sizes(self) -> tuple[int, ...]:
        """How many levels each factor has."""
        return tuple(map(len, self.factor_values.values()))

    @property
    def factors(self) -> Tensor:
        """Levels of every example, `(n, n_factors)`, whole numbers."""
        return self.levels_at(torch.arange(len(self)))

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return tuple(self[0].shape)

    def __len__(self) -> int:
        """Return the number of examples."""
        if self.indices is not None:
            return len(self.indices)
        return int(torch.tensor(self.factor_sizes).prod())

    def __getitem__(self, index: int) -> Tensor:
        """Return one example `(*event)`."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"`index` must be below {len(self)}. Got {index}.")
        return self.images_at(torch.tensor([index % len(self)]))[0]

    def images_at(self, positions: Tensor | Sequence[int]) -> Tensor:
        """Examples at positions `(n,)` of the data set, rendered together: `(n, *event)`."""
        return self.render(self.levels_at(torch.as_tensor(positions)))

    def levels_at(self, positions: Tensor) -> Tensor:
        """Levels `(n, n_factors)` of the examples at positions `(n,)` of the data set."""
        if self.indices is not None:
            positions = self.indices[positions]
        columns = []
        for size in reversed(self.factor_sizes):
            columns.append(positions % size)
            positions = positions // size
        return torch.stack(columns[::-1], dim=1)

    def sample(self, factors: Tensor) -> Tensor:
        """Render rows of levels, of the data set or not.

        Args:
            factors: `(n, n_factors)` levels, whole numbers.

        Returns:
            Images `(n, *event)`.

        Raises:
            ValueError: A column is missing, or a level does not exist.
        """
        sizes = torch.tensor(self.factor_sizes)
        if factors.ndim != 2 or factors.shape[1] != len(sizes):
            raise ValueError(
                f"`factors` must have shape (n, {len(sizes)}), one column for each of "
                f"{self.factor_names}. Got {tuple(factors.shape)}. Use data.draw(n)."
            )
        factors = factors.long()
        if len(factors) and bool(((factors < 0) | (factors >= sizes)).any()):
            raise ValueError(
                f"`factors` must be levels from 0 to {[size - 1 for size in self.factor_sizes]}. "
                f"Got up to {factors.amax(dim=0).tolist()} and down to "
                f"{factors.amin(dim=0).tolist()}. Use levels, not values."
            )
        return self.render(factors)

    def draw(
        self,
        n: int,
        *,
        fixed: Mapping[str, int] | None = None,
        correlated: Mapping[tuple[str, str], float] | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        r"""Draw rows of levels from the data set, with replacement.

        Correlated factors $a, b$, scaled to [0, 1], are drawn with probability proportional to
        $\exp(-(a - b)^2 / 2 s^2)$: the smaller $s$, the stronger; at .1 nearly one line, at 1
        nearly independent.

        References:
            Träuble et al.: On Disentangled Representations Learned from Correlated Data, 2021,
            https://arxiv.org/abs/2006.07886

        Args:
            n: How many.
            fixed: Level of some factors, by name, the same in every row; default: none is fixed.
            correlated: For pairs of names, $s$; default: factors are independent.
            generator: Source of randomness; default: torch's global generator.

        Returns:
            `(n, n_factors)` levels.

        Raises:
            ValueError: A name is unknown, a level does not occur, or $s$ is not positive.
        """
        if n < 1:
            raise ValueError(f"`n` must be at least 1. Got {n}. Ask for one row or more.")
        fixed, correlated = dict(fixed or {}), dict(correlated or {})
        if self.indices is None and not correlated:
            levels = torch.stack(
                [torch.randint(size, (n,), generator=generator) for size in self.factor_sizes], 1
            )
            for name, level in fixed.items():
                levels[:, self._column(name)] = self._level(name, level)
            return levels
        candidates = self.factors
        for name, level in fixed.items():
            column = self._column(name)
            candidates = candidates[candidates[:, column] == self._level(name, level)]
        if len(candidates) == 0:
            raise ValueError(
                f"`fixed` must occur in the data set. Got {fixed}, which was left out of it. "
                "Use levels that it has."
            )
        logits = torch.zeros(len(candidates), dtype=torch.float64)
        for pair, spread in correlated.items():
            if not spread > 0:
                raise ValueError(f"`correlated` must be above 0. Got {spread}. Use 0.2.")
            first, second = (
                candidates[:, self._column(name)] / max(len(self.factor_values[name]) - 1, 1)
                for name in pair
            )
            logits -= (first - second).square() / (2 * spread**2)
        cumulative = logits.exp().cumsum(0)
        uniform = torch.rand(n, dtype=torch.float64, generator=generator) * cumulative[-1]
        chosen = torch.searchsorted(cumulative, uniform, right=True)
        return candidates[chosen.clamp_max(len(candidates) - 1)]

    def only(self, **levels: Iterable[int]) -> "FactorData":
        """Keep the examples whose named factors all have one of the levels.

        Args:
            **levels: For each factor by name the levels to keep.

        Returns:
            A smaller data set that renders in the same way.

        Raises:
            ValueError: A name or level is unknown, or no example would be left.

        Examples:
            >>> data = FactorData(lambda levels: levels.float(), {"a": range(2), "b": range(3)})
            >>> data.only(b=[0, 2]).factors.tolist()
            [[0, 0], [0, 2], [1, 0], [1, 2]]
        """
        return self._kept(self._matches(levels))

    def without(self, **levels: Iterable[int]) -> "FactorData":
        """Leave out the examples whose named factors all have one of the levels.

        What is left out is a combination: `without(shape=[2], x=range(16))` holds hearts out of
        one half only, to test a code on hearts there.

        Args:
            **levels: For each factor by name the levels whose combinations are left out.

        Returns:
            A smaller data set that renders in the same way.

        Raises:
            ValueError: A name or level is unknown, or no example would be left.

        Examples:
            >>> data = FactorData(lambda levels: levels.float(), {"a": range(2), "b": range(2)})
            >>> data.without(a=[0], b=[1]).factors.tolist()
            [[0, 0], [1, 0], [1, 1]]
        """
        return self._kept(~self._matches(levels))

    def _matches(self, levels: Mapping[str, Iterable[int]]) -> Tensor:
        factors = self.factors
        matches = torch.ones(len(factors), dtype=torch.bool)
        for name, wanted in levels.items():
            column = factors[:, self._column(name)]
            matches &= torch.isin(column, torch.tensor([self._level(name, i) for i in wanted]))
        return matches

    def _kept(self, mask: Tensor) -> "FactorData":
        if not mask.any():
            raise ValueError("`levels` must leave an example. Got none. Keep more levels.")
        kept = mask.nonzero()[:, 0]
        if self.indices is not None:
            kept = self.indices[kept]
        return FactorData(self.render, self.factor_values, indices=kept)

    def _column(self, name: str) -> int:
        if name not in self.factor_values:
            raise ValueError(
                f"`name` must be a factor of the data set. Got {name!r}. Use one of "
                f"{self.factor_names}."
            )
        return self.factor_names.index(name)

    def _level(self, name: str, level: int) -> int:
        size = self.factor_sizes[self._column(name)]
        if not 0 <= level < size:
            raise ValueError(
                f"`{name}` must be a level from 0 to {size - 1}. Got {level}. Use levels, not "
                "values."
            )
        return int(level)
