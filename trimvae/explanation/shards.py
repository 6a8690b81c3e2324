"""Shards: an explanation of more examples than fit in memory, opened a part at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import torch
from torch import Tensor

from attributions.checks import check_counts
from attributions.codes import Code
from attributions.heatmaps import plot_heatmap
from attributions.predictors import Function
from attributions.randomness import checked_seed
from trimvae.explanation.explanation import Explanation
from trimvae.explanation.probing import Context
from trimvae.explanation.reading import OF_BASELINES, count_in, rows_in
from trimvae.explanation.selecting import indices_of
from trimvae.explanation.summing import Summed, summed
from trimvae.figures.classes import how_to_read, row_names, row_slopes
from trimvae.figures.drawing import short
from trimvae.storage import read_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RUN, END = "run.json", "end.json"


def shard_path(folder: Path, number: int | str) -> Path:
    """The file of a shard; of `"*"`, the pattern of all."""
    shown = number if isinstance(number, str) else f"{number:06d}"
    return folder / f"shard-{shown}.safetensors"


def is_whole(path: Path) -> bool:
    """Whether a shard is there. A truncated one is a ValueError, which says what to do."""
    return path.exists() and count_in(path) > 0


class Shards(Sequence[Explanation]):
    """What `explain_into` wrote to a folder: an `Explanation` for each shard, read when asked for.

    `shards[0]` is the first, `len(shards)` how many there are, and a loop reads one after the
    other. `sample` and `select` put examples of all shards together to an ordinary `Explanation`,
    which is drawn and reported as any other; `sums` runs through all of them.

    Args:
        folder: Where they are.
        context: Code and predictor, to ask anew; default: nothing can be asked.
    """

    def __init__(self, folder: str | Path, context: Context | None = None) -> None:
        self.folder, self._context = Path(folder), context
        self.paths = sorted(self.folder.glob(shard_path(self.folder, "*").name))

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        code: Code | None = None,
        predictor: Function | None = None,
        preprocess: Function | None = None,
        partial: bool = False,
    ) -> Self:
        """Open a folder that `explain_into` wrote; no code of its files is executed.

        Args:
            folder: The folder.
            code: The code that it was made with, to ask anew; default: nothing can be asked.
            predictor: The predictor that it was made with, likewise; an `attributions.Predictor`
                is used as it is.
            preprocess: Between decoder and predictor; default: none.
            partial: Whether what an interrupted run has written is good enough.

        Raises:
            FileNotFoundError: There is no such folder, or no shard in it.
            ValueError: The run was interrupted and `partial` is not set, the first file is
                truncated, changed or not ours, or code or predictor are not those of the run.
        """
        shards = cls(folder)
        if not shards.paths:
            raise FileNotFoundError(
                f"`folder` must hold shards. Got {folder}, which holds none. Name the folder that "
                "explain_into wrote to."
            )
        if not (partial or shards.complete):
            raise ValueError(
                f"`folder` must hold a whole run. Got {folder} with {len(shards)} shards of "
                f"{shards.wanted or 'an unknown number'}. Call explain_into as before, which goes "
                "on, or open what is there with partial=True."
            )
        first = Explanation.load(
            shards.paths[0], code=code, predictor=predictor, preprocess=preprocess
        )
        shards._context = first._context
        return shards

    @cached_property
    def wanted(self) -> int | None:
        """How many shards the whole run has; None where the end of the data was not reached."""
        run, end = self.folder / RUN, self.folder / END
        if not (run.exists() and end.exists()):
            return None
        return int(-(-read_json(end)["examples"] // read_json(run)["shard_size"]))

    @property
    def complete(self) -> bool:
        """Whether every shard is there."""
        return self.wanted == len(self)

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Examples of each shard."""
        return tuple(map(count_in, self.paths))

    @property
    def examples(self) -> int:
        """Examples of all shards."""
        return sum(self.counts)

    def __len__(self) -> int:
        """How many shards there are."""
        return len(self.paths)

    def __getitem__(self, number: Any) -> Any:
        """Read a shard, whose content is compared with its checksum; of a slice, a list of them."""
        paths = self.paths[number]
        if isinstance(paths, list):
            return [self._asked(Explanation.load(path)) for path in paths]
        return self._asked(Explanation.load(paths))

    def __iter__(self) -> Iterator[Explanation]:
        """Read one shard after the other."""
        return (self[number] for number in range(len(self)))

    def select(self, examples: Sequence[int] | Tensor) -> Explanation:
        """Return some examples as one explanation, in the order that is asked for.

        Their rows alone are read, which is fast and does not compare the files with their
        checksums. What real inputs said (`bundles`, `cues`, `redrawn`) is said of the first shard.

        Args:
            examples: A mask, or numbers of examples, counted over all shards that are there.

        Raises:
            TypeError: It is a single number, a slice, or holds numbers that are not whole.
            ValueError: There are none, a number is out of range, or a mask is of another length.
        """
        total = self.examples
        numbers = indices_of(examples, total).tolist()
        wrong = [number for number in numbers if not 0 <= number < total]
        if wrong or not numbers:
            raise ValueError(
                f"`examples` must be numbers from 0 to {total - 1}. Got {wrong[:3] or 'none'}. "
                "Choose existing ones."
            )
        order = sorted(set(numbers))
        parts, start = list[dict[str, Any]](), 0
        for path, count in zip(self.paths, self.counts, strict=True):
            rows = [number - start for number in order if start <= number < start + count]
            start += count
            if rows:
                parts.append(rows_in(path, rows))
                self._check_alike(path, parts)
        joined = self._asked(Explanation(**_joined(parts, rows_in(self.paths[0], [0])["settings"])))
        place = {number: index for index, number in enumerate(order)}
        return joined.select([place[number] for number in numbers])

    def sample(self, count: int, seed: int = 0) -> Explanation:
        """Return examples that are drawn at random, without repetition, in their order.

        Args:
            count: How many; all, where there are fewer.
            seed: Of the draw.

        Raises:
            ValueError: `count` is below 1.
        """
        check_counts(count=count)
        generator = torch.Generator().manual_seed(checked_seed(seed))
        order = torch.randperm(self.examples, generator=generator, device="cpu")
        return self.select(order[:count].sort().values)

    @cached_property
    def sums(self) -> Summed:
        """Sums, means, shares and trust figures with intervals over all examples.

        Every shard is read once, one at a time.
        """
        return summed(self)

    def summary(self) -> str:
        """Trust figures with intervals and the latents that are used most, as text."""
        sums = self.sums
        names = self[0].latent_names
        lines = [f"{sums.examples} examples, {len(names)} latents, {len(self)} shards"]
        if not self.complete:
            lines[0] += " (the run is not finished)"
        width = max(map(len, sums.figures)) + 2
        for name, (value, ends) in sums.figures.items():
            between = "" if ends is None else f"  ({ends[0]:.4g} to {ends[1]:.4g})"
            lines.append(f"  {name:<{width}}{value:.4g}{between}")
        most = sums.shares.argsort(descending=True)[:3].tolist()
        used = ", ".join(f"{names[latent]} ({sums.shares[latent]:.0%})" for latent in most)
        return "\n".join([*lines, f"most used latents: {used}"])

    def plot(self, **options: Any) -> "Figure":
        """Draw classes x latents over all examples, as `Explanation.plot` does over its own.

        Args:
            **options: Of `attributions.plot_heatmap`, such as `title`, `limit`, `max_classes` and
                `ax`.

        Returns:
            The figure.
        """
        sums, first = self.sums, self[0]
        whole = torch.cat([sums.change, sums.means.flatten()]).nan_to_num().abs().max()
        defaults = {
            "class_names": row_names(first),
            "latent_names": first.latent_names,
            "effective_latents": sums.effective_latents,
            "agreement": sums.agreement if first.by_class else None,
            "slopes": row_slopes(sums.slopes, len(sums.means)),
            "title": f"What each class is recognised by ({sums.examples:,} examples, agreement "
            f"{sums.figures['agreement'].value:.2f})",
            "label": f"mean attribution ({short(first.settings['explained_name'], 40)})",
            "note": how_to_read(first),
            "limit": float(whole),
        }
        return cast("Figure", plot_heatmap(sums.means, **{**defaults, **options}).figure)

    def _check_alike(self, path: Path, parts: list[dict[str, Any]]) -> None:
        first, last = (
            {name: value.shape[1:] for name, value in part.items() if isinstance(value, Tensor)}
            for part in (parts[0], parts[-1])
        )
        if first != last:
            raise ValueError(
                f"`folder` must hold shards of one code and predictor. Got {path}, whose tensors "
                "have other shapes than those before. Remove it, and call explain_into as before."
            )

    def _asked(self, explanation: Explanation) -> Explanation:
        """The same with code and predictor."""
        return replace(explanation, _context=self._context)


def _joined(parts: Sequence[dict[str, Any]], settings: dict[str, Any]) -> dict[str, Any]:
    """Rows of several shards as the fields of one explanation."""
    found = dict(parts[0])
    shared = all(
        len(part["baselines"]) == len(found["baselines"])
        and torch.equal(part["baselines"], found["baselines"])
        and not part["settings"]["baselines_per_example"]
        for part in parts
    )
    for name, values in parts[0].items():
        if isinstance(values, Tensor) and not (shared and name in OF_BASELINES):
            found[name] = torch.cat([part[name] for part in parts])
    points = found.get("path_points")
    steps = settings["n_steps"] if points is None else round(points.double().mean().item())
    own = {"baselines_per_example": not shared, "n_steps": steps}
    return {**found, "settings": {**settings, **own}}
