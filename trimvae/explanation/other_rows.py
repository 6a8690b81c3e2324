"""The smallest change of a row that changes what the predictor decides: rows of a table alone."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

import torch
from torch import Tensor

from attributions.checks import checked_predictor
from attributions.codes import Code, encode
from attributions.outputs import Task, decisions
from attributions.predictors import Function, Predictor
from trimvae.explanation.asking import as_frozen
from trimvae.explanation.counterfactuals import grid_between, wanted_classes
from trimvae.explanation.searching import Margins, sparse_moves
from trimvae.tables.asking import for_rows, schema_of
from trimvae.tables.schema import TableSchema

_AT_REST = 1e-6  # standard deviations


class OtherRows(NamedTuple):
    """For each row another that is decided otherwise, and how good it is."""

    frame: "pd.DataFrame"
    """The other rows, in their own units and categories, with the index of the given ones."""
    outputs: Tensor
    """`(batch, outputs)`, the predictor's logits there."""
    valid: Tensor
    """`(batch,)`, whether the decision is another, or the wanted one."""
    changed: tuple[tuple[str, ...], ...]
    """The columns that differ, of each row."""
    distance: Tensor
    """`(batch,)`, how far: numbers in standard deviations, 1 for another category, summed."""

    @property
    def metrics(self) -> dict[str, float]:
        """Validity of all rows; columns changed and distance of the valid ones (NaN of none)."""
        counts = torch.tensor([len(names) for names in self.changed]).double()
        valid = self.valid.cpu()
        return {
            "validity": valid.double().mean().item(),
            "changed_columns": counts[valid].mean().item(),
            "distance": self.distance.cpu()[valid].double().mean().item(),
        }


def find_other_rows(
    code: Code,
    predictor: Function | Any,
    frame: "pd.DataFrame",
    *,
    target: int | Sequence[int] | None = None,
    fixed: Sequence[str] = (),
    within: Mapping[str, tuple[float, float]] | None = None,
    preprocess: Function | None = None,
    task: Task | None = None,
    n_latents: int = 3,
    n_steps: int = 11,
) -> OtherRows:
    r"""Find for each row the smallest change that flips its decision, and is a row again.

    Latents move as in `find_counterfactuals`; what the decoder leaves out of the row is added
    back, so that a latent at rest changes nothing:

    $$ x' = \Pi\big(x + D(z') - D(z)\big) $$

    $\Pi$ gives the nearest row that the table can hold: of a category the likeliest value, whole
    numbers where there were whole ones, numbers within the range in training or the one that is
    asked for, and the fixed columns as they were. What is missing stays missing, and nothing
    becomes so. The predictor is asked about such rows alone.
    Then every column that the decision can do without is put back, the smallest changes first.

    References:
        Mothilal, Sharma, Tan: Explaining Machine Learning Classifiers through Diverse
        Counterfactual Explanations, 2020, https://arxiv.org/abs/1905.07697 (columns put back)
        Joshi et al.: Towards Realistic Individual Recourse and Actionable Explanations in
        Black-Box Decision Making Systems, 2019, https://arxiv.org/abs/1907.09615

    Args:
        code: A trained VAE of `VAE.table`.
        predictor: A classifier: an estimator or pipeline of scikit-learn on the DataFrame, a
            module or function on the code's tensors, or an `attributions.Predictor`.
        frame: The rows, with the columns of the training table.
        target: The class to reach, for all or for each row; default: any other than its own.
        fixed: Columns that stay as they are, such as age; default: none.
        within: Lowest and highest value of columns of numbers, by name; default: the range in
            training, which no row leaves in any case.
        preprocess: Between tensors and predictor; default: none.
        task: `"classification"` for a single binary logit; default: classification of several.
        n_latents: Most latents that may move.
        n_steps: Values tried for each latent, from -2.5 to 2.5.

    Returns:
        The other rows, with validity, changed columns and distances; where the search found
        nothing, the row as close to another decision as it came.

    Raises:
        TypeError: `code` was not made by `VAE.table`.
        ValueError: `fixed` or `within` names no column, or one of no numbers; a range is empty;
            the table does not fit the code; there is no such class; or this is a regression.

    Examples:
        >>> import pandas as pd
        >>> from trimvae import VAE
        >>> frame = pd.DataFrame({"age": [20, 30, 70], "job": ["nurse", "clerk", "nurse"]})
        >>> vae, rule = VAE.table(frame, latent_size=2), lambda rows: rows[:, :1]
        >>> found = find_other_rows(vae, rule, frame, fixed=["age"], task="classification")
        >>> found.frame["age"].equals(frame["age"])
        True
    """
    frozen_code = as_frozen(code)
    schema = schema_of(frozen_code.original)
    if schema is None:
        raise TypeError(
            f"`code` must be made for a table. Got {type(code).__name__} without columns. Use "
            "VAE.table, or find_counterfactuals for other inputs."
        )
    low, high, free = _limits(schema, fixed, within or {})
    rows = schema.encode(frame).to(next(frozen_code.parameters()))
    asked: Predictor = checked_predictor(
        for_rows(frozen_code.original, predictor),
        rows[:8],
        preprocess=preprocess,
        task=task,
        gradient=False,
    )
    if asked.task == "regression":
        raise ValueError(
            "`task` must be 'classification' for other rows. Got a regression, which has no "
            "decision to flip. Say task='classification' of a single binary logit."
        )
    before = asked.in_batches(rows)
    wanted = wanted_classes(target, before)
    with torch.no_grad():
        latents, _ = encode(frozen_code, rows)
        limits = _Limits(schema, low.to(rows), high.to(rows), free.to(rows.device))
        margins = Margins(frozen_code, asked, wanted, decisions(before))
        near = _Near(margins, limits, rows, frozen_code.decode(latents))
        ends = torch.full_like(latents[0], 2.5)
        moved = sparse_moves(near, latents, grid_between(-ends, ends, n_steps), n_latents)
        found = _put_back(near, near.rows_at(moved, slice(None)), schema)
        return _described(schema, near, found, frame)


class _Limits(NamedTuple):
    """The rows that are allowed: between two, and nothing but free columns changed."""

    schema: TableSchema
    low: Tensor
    high: Tensor
    free: Tensor

    def nearest(self, rows: Tensor, own: Tensor) -> Tensor:
        """The nearest rows that are allowed, from own ones."""
        rows = rows.clone()
        for place in self.schema.missing_categories:
            rows[:, place] = torch.where(own[:, place] > 0, 2.0, -1.0)
        held = torch.where(self.free, self.schema.hard(rows, within_range=False), own)
        # A number that was beyond already may stay, and come nearer.
        held = held.clamp(torch.minimum(self.low, own), torch.maximum(self.high, own))
        for number, place in self.schema.layout.indicators:
            held[:, number] *= 1 - held[:, place]
        return held


class _Near(NamedTuple):
    """Margins at rows that differ from an example's own by what moved latents draw."""

    margins: Margins
    limits: _Limits
    rows: Tensor
    drawn: Tensor

    def rows_at(self, latents: Tensor, examples: Tensor | slice) -> Tensor:
        """Rows at latents `(rows, latents)` that belong to `examples`."""
        own, drawn = self.rows[examples], self.drawn[examples]
        decoded = self.margins.code.decode(latents)
        return self.limits.nearest(own + decoded - drawn, own.expand_as(decoded))

    def at(self, points: Tensor, examples: Tensor | slice) -> Tensor:
        """Margins `(rows,)` there."""
        return self.of_rows(self.rows_at(points, examples), examples)

    def of_rows(self, rows: Tensor, examples: Tensor | slice) -> Tensor:
        """Margins `(rows,)` at rows."""
        return self.margins.of(self.margins.predictor.in_batches(rows, 4096), examples)


def _put_back(near: _Near, found: Tensor, schema: TableSchema) -> Tensor:
    """Rows in which every column is as it was that the decision can do without."""
    every = slice(None)
    valid = near.of_rows(found, every) > 0
    sizes = _changes(schema, near.rows, found)
    places = list(schema.slices.values())
    order = torch.where(sizes > 0, sizes, torch.inf).argsort(dim=1)
    index = torch.arange(len(found), device=found.device)
    for turn in range(len(places)):
        trial = found.clone()
        for column, place in enumerate(places):
            chosen = index[order[:, turn] == column]
            trial[chosen, place] = near.rows[chosen, place]
        kept = (near.of_rows(trial, every) > 0) & valid
        found = torch.where(kept.unsqueeze(1), trial, found)
    return found


def _changes(schema: TableSchema, rows: Tensor, others: Tensor) -> Tensor:
    """How far each column of the table moved, `(batch, columns)`."""
    parts = []
    for column, place in zip(schema.columns, schema.slices.values(), strict=True):
        move = (others[:, place] - rows[:, place]).abs()
        if column.kind == "category":
            parts.append(move.sum(dim=1) / 2)
        else:
            parts.append(move.amax(dim=1))
    sizes = torch.stack(parts, dim=1)
    return torch.where(sizes > _AT_REST, sizes, 0)


def _described(schema: TableSchema, near: _Near, found: Tensor, frame: "pd.DataFrame") -> OtherRows:
    sizes = _changes(schema, near.rows, found)
    others = schema.to_frame(found, frame.index, within_range=False)
    for name, moved in zip(schema.names, sizes.cpu().numpy().T > 0, strict=True):
        others[name] = others[name].where(moved, frame[name])  # to the last digit
    changed = [
        tuple(name for name, size in zip(schema.names, row, strict=True) if size)
        for row in sizes.tolist()
    ]
    return OtherRows(
        others,
        near.margins.predictor.in_batches(found),
        near.of_rows(found, slice(None)) > 0,
        tuple(changed),
        sizes.sum(dim=1),
    )


def _limits(
    schema: TableSchema, fixed: Sequence[str], within: Mapping[str, tuple[float, float]]
) -> tuple[Tensor, Tensor, Tensor]:
    """Lowest and highest value of each column of a tensor, and whether it may change."""
    if isinstance(fixed, str):
        fixed = [fixed]
    for argument, names in (("fixed", fixed), ("within", within)):
        if unknown := [name for name in names if name not in schema.names]:
            raise ValueError(
                f"`{argument}` must name columns of the table: {', '.join(schema.names[:8])}. Got "
                f"{unknown[0]!r}. Check the spelling."
            )
    low, high = torch.zeros(schema.width), torch.ones(schema.width)
    free = torch.ones(schema.width, dtype=torch.bool)
    for column, place in zip(schema.columns, schema.slices.values(), strict=True):
        free[place] = column.name not in fixed
        least, most = within.get(column.name, (column.low, column.high))
        if column.kind == "category":
            if column.name in within:
                raise ValueError(
                    f"`within` must name columns of numbers. Got {column.name!r}, which holds "
                    "categories. Name it in `fixed`, or leave it out."
                )
            continue
        if not max(least, column.low) <= min(most, column.high):
            raise ValueError(
                f"`within` must overlap the range in training, {column.low:.4g} to "
                f"{column.high:.4g}. Got {least:.4g} to {most:.4g} for {column.name!r}. Widen it."
            )
        least, most = max(least, column.low), min(most, column.high)
        if column.kind == "integer":
            least, most = math.ceil(least), math.floor(most)
        low[place.start] = (least - column.mean) / column.scale
        high[place.start] = (most - column.mean) / column.scale
        free[place.start + 1 : place.stop] = False
    return low, high, free
