"""Explanation: everything one would want to know, in one object."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor

from attributions import Contrast, Trim, attfind, participation_ratio, plot_heatmap
from attributions.attfind import Attribute
from attributions.codes import Block, Code, Decoder, held_in_eval_mode
from attributions.measures import both_classes, decisions
from attributions.pixels import pixel_attributions
from attributions.predictors import Function, log_probabilities, predict_in_batches
from attributions.trim import Explained, select
from trimvae import figures
from trimvae.comparison import Comparison, compare
from trimvae.counterfactuals import Counterfactuals, counterfactuals
from trimvae.files import read_tensors, write_tensors
from trimvae.notebooks import notebook_card
from trimvae.training_module import Task
from trimvae.traversals import Traversal, traverse
from trimvae.trust import trust_figures, trust_warnings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from trimvae.evaluation import Evaluation


class LatentUse(NamedTuple):
    """How a predictor uses one latent."""

    latent: int
    name: str
    share: float
    """Of the absolute attribution to predicted classes."""
    speaks_for: tuple[str, float]
    """The explained output that high values raise most, by how much per unit."""
    speaks_against: tuple[str, float]
    """That which they lower most (raise least)."""


class AttributePairs(NamedTuple):
    """Examples without and with an attribute."""

    before: Tensor
    """`(count, *event)`, decoded."""
    after: Tensor
    """`(count, *event)`, with one latent at the end of its range."""
    outputs_before: Tensor
    """`(count, outputs)`."""
    outputs_after: Tensor
    """`(count, outputs)`."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What a predictor uses of each example, in latents, and how far to trust it.

    Made by `explain`; every tensor is detached and where the inputs were. `classes` counts the
    explained outputs: one for a `Contrast` or a single output.
    """

    inputs: Tensor
    """`(batch, *event)`."""
    reconstructions: Tensor
    """`(batch, *event)`, decoded posterior means."""
    latents: Tensor
    """`(batch, latents)`, posterior means."""
    deviations: Tensor
    """`(batch, latents)`, posterior standard deviations."""
    baselines: Tensor
    """`(1 or batch, latents)`, where attributions start; the prior mean by default. For methods
    that compare with a distribution, its rows."""
    attributions: Tensor
    """`(batch, classes, latents)`, in units of the explained output (logits)."""
    total_variation: Tensor | None = None
    """`(batch, classes, latents)`, the same path integral of absolute contributions; None for
    methods other than integrated gradients."""
    outputs: Tensor
    """`(batch, outputs)`, the predictor's logits at the inputs."""
    reencoded_outputs: Tensor
    """`(batch, outputs)`, at the reconstructions: never with residual."""
    baseline_outputs: Tensor
    """`(1 or batch, outputs)`, at the decoded baselines, without residual."""
    explained_at: Tensor
    """`(batch, classes)`, what is explained, where the attributions end."""
    explained_at_baseline: Tensor
    """`(batch, classes)`, what is explained, where the attributions start."""
    latent_share: Tensor
    """`(batch,)`, share of the evidence that the latents carry (the rest is the residual's)."""
    labels: Tensor | None = None
    """`(batch,)`, true classes, where they are known."""
    class_names: tuple[str, ...]
    latent_names: tuple[str, ...]
    settings: dict[str, Any]
    """How it was made: task, what is explained, steps, residual, versions."""
    _context: tuple[Code, Function, Function | None] | None = field(default=None, repr=False)

    @property
    def task(self) -> Task:
        """`"classification"` or `"regression"`."""
        return self.settings["task"]

    @property
    def trim(self) -> Trim:
        """The predictor behind the code's decoder, as it was explained.

        Raises:
            RuntimeError: The explanation was loaded without code and predictor.
        """
        if self._context is None:
            self._asked("trim")
        code, predictor, preprocess = cast("tuple[Code, Function, Function | None]", self._context)
        return Trim(
            predictor,
            Decoder(code),
            preprocess=preprocess,
            explained=self._explained,
            probabilities=self.settings["probabilities"],
        )

    @cached_property
    def predicted(self) -> Tensor:
        """`(batch,)`, the predicted class; 0 for a regression."""
        if self.task == "regression":
            return torch.zeros(len(self.outputs), dtype=torch.long, device=self.outputs.device)
        return decisions(self.outputs)

    @cached_property
    def target(self) -> Tensor:
        """`(batch,)`, which of the explained outputs is the predicted class'."""
        if self.attributions.shape[1] == 1:
            return torch.zeros_like(self.predicted)
        return self.predicted

    @cached_property
    def target_attributions(self) -> Tensor:
        """`(batch, latents)`, attributions to the predicted class."""
        return self.of_target(self.attributions)

    @cached_property
    def effective_latents(self) -> Tensor:
        """`(batch,)`, participation ratio of the attributions to the predicted class."""
        return participation_ratio(self.target_attributions)

    @cached_property
    def by_predicted_class(self) -> tuple[Tensor, Tensor]:
        """Means over the examples predicted as each class (NaN where there is none).

        Returns:
            Attributions to that class `(rows, latents)` and effective latents `(rows,)`. A single
            binary logit has two rows, negative and positive; a regression or contrast one.
        """
        whole = self.task == "regression" or self.settings["contrast"] is not None
        group = torch.zeros_like(self.predicted) if whole else self.predicted
        masks = [group == index for index in range(1 if whole else len(self.class_names))]
        attributions = [self.target_attributions[mask].mean(dim=0) for mask in masks]
        effective = [self.effective_latents[mask].nanmean() for mask in masks]
        return torch.stack(attributions), torch.stack(effective)

    @cached_property
    def disagrees(self) -> Tensor:
        """`(batch,)`, whether the reconstruction is predicted as another class."""
        if self.task == "regression":
            return torch.zeros_like(self.predicted, dtype=torch.bool)
        return decisions(self.reencoded_outputs) != decisions(self.outputs)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Trust figures over all examples; fidelity and completeness first.

        `agreement` and `prediction_kl` (nats; mean squared error for a regression) compare the
        predictor at reconstructions and inputs, `reconstruction_error` is the squared error per
        example, `effective_latents`, `latents_for_90_percent`, `latent_share` and
        `monotonicity` describe the attributions to the predicted class.
        """
        return trust_figures(self)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before believing the figures, in plain language."""
        return trust_warnings(self)

    @cached_property
    def shares(self) -> Tensor:
        """`(latents,)`, each latent's share of the absolute attribution to predicted classes."""
        return _shares(self.target_attributions)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Named slices of the latents; one, where the code names none."""
        return tuple(Block(*block) for block in self.settings["blocks"])

    @cached_property
    def by_block(self) -> Tensor:
        """`(batch, classes, blocks)`, attributions added up over each block."""
        parts = [self.attributions[..., b.start : b.stop].sum(dim=2) for b in self.blocks]
        return torch.stack(parts, dim=2)

    @cached_property
    def block_shares(self) -> Tensor:
        """`(blocks,)`, each block's share of the absolute attribution to predicted classes."""
        return _shares(self.of_target(self.by_block))

    @cached_property
    def slopes(self) -> Tensor:
        """`(classes, latents)`, attribution per unit that a latent is above its baseline.

        The least-squares slope over the examples: positive where high values speak for the class.
        """
        moved = (self.latents - self._starts).unsqueeze(1)
        return (self.attributions * moved).sum(dim=0) / moved.pow(2).sum(dim=0).clamp_min(1e-12)

    def top(self, k: int = 5) -> list[LatentUse]:
        """Return the `k` most used latents, and the classes that high values speak for and against.

        Raises:
            ValueError: `k` is below 1.
        """
        if k < 1:
            raise ValueError(f"`k` must be at least 1. Got {k}. Use 5.")
        found = []
        for latent in self.shares.argsort(descending=True)[:k].tolist():
            slopes, names = self.slopes[:, latent], self.explained_names
            most, least = int(slopes.argmax()), int(slopes.argmin())
            found.append(
                LatentUse(
                    latent,
                    self.latent_names[latent],
                    float(self.shares[latent]),
                    (names[most], float(slopes[most])),
                    (names[least], float(slopes[least])),
                )
            )
        return found

    def strongest(self, example: int, count: int) -> list[int]:
        """Latents of largest absolute attribution to an example's predicted class."""
        scores = self.target_attributions[example].abs()
        return scores.argsort(descending=True)[:count].tolist()

    def select(self, examples: Tensor | Sequence[int]) -> "Explanation":
        """Return the explanation of some examples only.

        Args:
            examples: A mask `(batch,)`, or indices.

        Raises:
            ValueError: No example is left, or an index is out of range.
        """
        batch, device = len(self.inputs), self.inputs.device
        chosen = torch.as_tensor(examples, device=device)
        if chosen.dtype == torch.bool:
            chosen = chosen.nonzero()[:, 0]
        if not len(chosen) or bool(((chosen < -batch) | (chosen >= batch)).any()):
            raise ValueError(
                f"`examples` must leave at least one of the {batch} examples. Got {examples}. "
                "Choose others, or explain more."
            )
        chosen = chosen.long()
        per_example = {
            item.name for item in fields(self) if isinstance(getattr(self, item.name), Tensor)
        } - {"baselines", "baseline_outputs"}
        if self.settings["baselines_per_example"]:
            per_example |= {"baselines", "baseline_outputs"}
        return replace(self, **{name: getattr(self, name)[chosen] for name in per_example})

    def for_class(self, target: int | str) -> "Explanation":
        """Return the examples predicted as a class, given by name or number.

        Raises:
            ValueError: There is no such class, no such prediction, or this is a regression.
        """
        return self._chosen(
            self.predicted == self.class_index(target), f"are predicted as {target!r}"
        )

    def correct(self) -> "Explanation":
        """Return the examples whose prediction is the label.

        Raises:
            ValueError: There are no such examples, or no labels.
        """
        return self._chosen(self._right, "are predicted right")

    def wrong(self) -> "Explanation":
        """Return the examples whose prediction is not the label.

        Raises:
            ValueError: There are no such examples, or no labels.
        """
        return self._chosen(~self._right, "are predicted wrong")

    def compare(self, other: "Explanation") -> Comparison:
        """Compare with another explanation of the same inputs.

        Latents are matched by |correlation| over the examples (Hungarian), so that two predictors
        and one code, two codes, or one code before and after training can be compared.

        Args:
            other: Of the same inputs.

        Returns:
            Trust figures side by side, matched latents and whether both are used alike.

        Raises:
            ValueError: The inputs are not the same, or fewer than two.
        """
        return compare(self, other)

    def summary(self) -> str:
        """Trust figures, warnings and the latents that matter most, as text."""
        lines = [f"{len(self.inputs)} examples, {len(self.latent_names)} latents"]
        lines += [f"  {name:<24}{value:.4g}" for name, value in self.metrics.items()]
        used = [f"{use.name} ({use.share:.0%})" for use in self.top(3)]
        lines.append("most used latents: " + ", ".join(used))
        lines += [f"warning: {text}" for text in self.warnings]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Summary and heatmap, for notebooks."""
        return notebook_card(self)

    def to_dict(self) -> dict[str, Any]:
        """Metrics, warnings, names and settings: plain values, ready for JSON."""
        return {
            "metrics": self.metrics,
            "warnings": list(self.warnings),
            "class_names": list(self.class_names),
            "latent_names": list(self.latent_names),
            "settings": self.settings,
        }

    def to_frame(self, *, all_classes: bool = False) -> "pd.DataFrame":
        """One row per example and latent (and class): its value and attribution.

        Args:
            all_classes: All explained outputs instead of the predicted class alone.
        """
        import pandas as pd

        examples, classes, latents = self.attributions.shape
        if all_classes:
            example, column, latent = (
                index.flatten()
                for index in torch.meshgrid(
                    *map(torch.arange, (examples, classes, latents)), indexing="ij"
                )
            )
        else:
            example, latent = (
                index.flatten()
                for index in torch.meshgrid(*map(torch.arange, (examples, latents)), indexing="ij")
            )
            column = self.target.cpu()[example]
        names = self.explained_names
        predicted = self.predicted.cpu()[example].tolist()
        return pd.DataFrame(
            {
                "example": example.numpy(),
                "predicted": [self.class_names[index] for index in predicted]
                if self.task == "classification"
                else [self.class_names[0]] * len(predicted),
                "explained": [names[index] for index in column.tolist()],
                "latent": [self.latent_names[index] for index in latent.tolist()],
                "value": self.latents.cpu()[example, latent].numpy(),
                "attribution": self.attributions.cpu()[example, column, latent].numpy(),
            }
        )

    def plot(self, **options: Any) -> "Figure":
        """Heatmap classes x latents: mean attribution over the examples predicted as each class.

        Beside each row the effective latents and, as the reference to read it by, the agreement of
        the class' re-encoded examples.

        Args:
            **options: For `attributions.plot_heatmap`.

        Returns:
            The figure.
        """
        attributions, effective = self.by_predicted_class
        names = self.class_names
        if self.settings["contrast"] is not None or self.task == "regression":
            names = (self.settings["explained_name"],)
        elif self.attributions.shape[1] == 1:
            names = tuple(f"predicted {name}" for name in names)
        defaults = {
            "class_names": names,
            "latent_names": self.latent_names,
            "effective_latents": effective,
            "agreement": self.agreement_by_class,
            "title": "What each class is recognised by "
            f"(agreement {self.metrics['agreement']:.2f})",
            "label": f"mean attribution ({self.settings['explained_name']})",
        }
        axes = plot_heatmap(attributions, **{**defaults, **options})
        return cast("Figure", axes.figure)

    def plot_blocks(self, **options: Any) -> "Figure":
        """Heatmap classes x blocks: mean attribution of each block to each predicted class.

        Args:
            **options: For `attributions.plot_heatmap`.

        Returns:
            The figure.
        """
        of_target = self.of_target(self.by_block)
        whole = self.task == "regression" or self.settings["contrast"] is not None
        names = self.explained_names[:1] if whole else self.class_names
        group = torch.zeros_like(self.predicted) if whole else self.predicted
        rows = torch.stack([of_target[group == index].mean(dim=0) for index in range(len(names))])
        defaults = {
            "class_names": names,
            "latent_names": [block.name for block in self.blocks],
            "title": "Which blocks of the code each class is recognised by",
            "label": f"mean attribution ({self.settings['explained_name']})",
        }
        return cast("Figure", plot_heatmap(rows, **{**defaults, **options}).figure)

    def plot_waterfall(self, example: int = 0, **options: Any) -> "Axes":
        """Draw one output from baseline to input; see `trimvae.figures.plot_waterfall`."""
        return figures.plot_waterfall(self, example, **options)

    def plot_traversals(self, example: int = 0, **options: Any) -> "Figure":
        """Draw the strongest latents moved; see `trimvae.figures.plot_traversals`."""
        return figures.plot_traversals(self, example, **options)

    def plot_pixels(self, example: int = 0, **options: Any) -> "Figure":
        """Draw where in the input latents act; see `trimvae.figures.plot_pixels`."""
        return figures.plot_pixels(self, example, **options)

    def plot_counterfactual(self, example: int = 0, **options: Any) -> "Figure":
        """Draw the smallest move that flips; see `trimvae.figures.plot_counterfactual`."""
        return figures.plot_counterfactual(self, example, **options)

    def plot_attributes(self, target: int | str, **options: Any) -> "Figure":
        """Draw what turns inputs into a class; see `trimvae.figures.plot_attributes`."""
        return figures.plot_attributes(self, self.class_index(target), **options)

    def plot_trust(self, evaluation: "Evaluation | None" = None, **options: Any) -> "Figure":
        """Draw how far this can be trusted; see `trimvae.figures.plot_trust`."""
        return figures.plot_trust(self, evaluation, **options)

    def animate(self, path: str | Path, example: int = 0, **options: Any) -> Path:
        """Write a traversal as GIF or MP4; see `trimvae.figures.animate`."""
        return figures.animate(self, path, example, **options)

    def to_html(self, path: str | Path, **options: Any) -> Path:
        """Write one self-contained page; see `trimvae.report.write_report`."""
        from trimvae.report import write_report  # draws explanations, so it imports this module

        return write_report(self, path, **options)

    def traverse(
        self, example: int, latent: int, *, steps: int = 9, values: Tensor | None = None
    ) -> Traversal:
        """Move one latent of one example; see `trimvae.traversals.traverse`.

        Args:
            example: Index into the batch.
            latent: Which one.
            steps: How many values, from end to end of `ranges`.
            values: `(steps,)`, the values themselves instead.

        Raises:
            ValueError: `latent` is out of range.
            RuntimeError: The explanation was loaded without code and predictor.
        """
        code, predictor, preprocess = self._asked("traverse")
        if values is None:
            low, high = self.ranges
            values = torch.linspace(0, 1, steps, device=low.device, dtype=low.dtype)
            values = low[latent] + values * (high - low)[latent]
        with held_in_eval_mode(code):
            return traverse(
                code, predictor, self.latents[example], latent, values=values, preprocess=preprocess
            )

    def counterfactuals(
        self, examples: Sequence[int] | None = None, *, target: int | None = None, **options: Any
    ) -> Counterfactuals:
        """Find the smallest latent change that flips each decision, within `ranges`.

        Args:
            examples: Which; all without it.
            target: The class to reach; any other without it.
            **options: See `trimvae.counterfactuals.counterfactuals`.

        Raises:
            ValueError: This is a regression, or an argument is out of range.
            RuntimeError: The explanation was loaded without code and predictor.
        """
        if self.task == "regression":
            raise ValueError(
                "`task` must be 'classification' for counterfactuals. Got a regression, which has "
                "no decision to flip. Use plot_traversals."
            )
        code, predictor, preprocess = self._asked("counterfactuals")
        low, high = self.ranges
        latents = self.latents if examples is None else self.latents[list(examples)]
        defaults = {"low": low, "high": high, "preprocess": preprocess}
        return counterfactuals(code, predictor, latents, target=target, **{**defaults, **options})

    def attributes(self, target: int, *, k: int = 5) -> list[Attribute]:
        """Few latents, each with a direction, that turn examples into a class: StylEx's AttFind.

        See `attributions.attfind`; latents move to the ends of `ranges`.

        Raises:
            ValueError: There is no such class, or this is a regression or a contrast.
            RuntimeError: The explanation was loaded without code and predictor.
        """
        if self.task == "regression" or self.settings["contrast"] is not None:
            raise ValueError(
                "`task` must be 'classification' of all classes for attributes. Got a regression "
                "or a contrast. Use plot_traversals."
            )
        self._asked("attributes")
        with held_in_eval_mode(self.code):
            return attfind(self.trim, self.latents, *self.ranges, target, k=k)

    def attribute_pairs(self, attribute: Attribute, target: int, count: int = 4) -> AttributePairs:
        """Decoded examples of other classes without and with an attribute, most moved first."""
        code, predictor, preprocess = self._asked("attribute_pairs")
        others = self.latents[decisions(self.reencoded_outputs) != target]
        moved = others.clone()
        moved[:, attribute.latent] = self.ranges[attribute.direction][attribute.latent]
        with held_in_eval_mode(code), torch.no_grad():
            inputs = [code.decode(latents) for latents in (others, moved)]
        outputs = [predict_in_batches(predictor, part, preprocess) for part in inputs]
        chances = [both_classes(part).softmax(dim=1)[:, target] for part in outputs]
        order = (chances[1] - chances[0]).argsort(descending=True)[:count]
        return AttributePairs(
            inputs[0][order], inputs[1][order], outputs[0][order], outputs[1][order]
        )

    def pixels(
        self, example: int, latents: Sequence[int] | None = None, *, n_steps: int = 32
    ) -> Tensor:
        """Split attributions of one example among pixels (or columns): `(latents, *event)`.

        Each latent's map adds up to its integrated gradients; see
        `attributions.pixel_attributions`.

        Raises:
            ValueError: `example` or a latent is out of range.
            RuntimeError: The explanation was loaded without code and predictor.
        """
        self.check_example(example)
        code, _, _ = self._asked("pixels")
        rows = slice(example, example + 1)
        chosen = range(len(self.latent_names)) if latents is None else latents
        residual = None
        if self.settings["residual"]:
            residual = (self.inputs - self.reconstructions)[rows]
        with held_in_eval_mode(code):
            return pixel_attributions(
                self.trim,
                self.latents[rows],
                self._starts[rows],
                self.target[rows],
                list(chosen),
                residual=residual,
                n_steps=n_steps,
            )[0]

    def rename(
        self, *, classes: Sequence[str] | None = None, latents: Sequence[str] | None = None
    ) -> "Explanation":
        """Return the same explanation with other names of classes or latents."""
        class_names = self.class_names if classes is None else tuple(classes)
        latent_names = self.latent_names if latents is None else tuple(latents)
        check_names("classes", class_names, len(self.class_names))
        check_names("latents", latent_names, len(self.latent_names))
        return replace(self, class_names=class_names, latent_names=latent_names)

    def save(self, path: str | Path) -> None:
        """Write tensors, names and settings to one safetensors file, whole or not at all."""
        tensors = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if isinstance(getattr(self, item.name), Tensor)
        }
        texts = {
            "class_names": self.class_names,
            "latent_names": self.latent_names,
            "settings": self.settings,
        }
        write_tensors(path, tensors, "Explanation", texts)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        code: Code | None = None,
        predictor: Function | None = None,
        preprocess: Function | None = None,
    ) -> "Explanation":
        """Read an explanation that `save` wrote; no code of the file is executed.

        Args:
            path: The file.
            code: For traversals, together with the predictor.
            predictor: See `code`.
            preprocess: See `explain`.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is truncated or not ours.
        """
        tensors, texts = read_tensors(path, "Explanation")
        context = None if code is None or predictor is None else (code, predictor, preprocess)
        return cls(
            **tensors,
            class_names=tuple(texts["class_names"]),
            latent_names=tuple(texts["latent_names"]),
            settings=texts["settings"],
            _context=context,
        )

    @property
    def explained_names(self) -> tuple[str, ...]:
        """Names of the explained outputs: the classes, or what a single one is."""
        if self.attributions.shape[1] == len(self.class_names):
            return self.class_names
        return (self.settings["explained_name"],)

    @cached_property
    def explained_at_inputs(self) -> Tensor:
        """`(batch, classes)`, what is explained, at the inputs themselves."""
        return select(self.outputs, self._explained)

    @cached_property
    def agreement_by_class(self) -> Tensor | None:
        """`(rows,)` of the heatmap: how many of the examples keep their decision re-encoded."""
        if self.task == "regression" or self.settings["contrast"] is not None:
            return None
        kept = (~self.disagrees).double()
        return torch.stack(
            [kept[self.predicted == index].mean() for index in range(len(self.class_names))]
        )

    @cached_property
    def ranges(self) -> tuple[Tensor, Tensor]:
        """Lowest and highest value that each latent is moved to, `(latents,)` each.

        -2.5 and 2.5 for a VAE (99 % of the prior); the 1st and 99th percentile of the explained
        examples for a code without posterior, which has no prior either.
        """
        if bool(self.deviations.any()):
            ends = torch.full_like(self.latents[0], 2.5)
            return -ends, ends
        quantiles = torch.tensor([0.01, 0.99], device=self.latents.device, dtype=torch.float64)
        low, high = self.latents.double().quantile(quantiles, dim=0).to(self.latents)
        return low, high

    def class_index(self, target: int | str) -> int:
        """Return a class' number, given by name or number.

        Raises:
            ValueError: There is no such class.
        """
        names = self.class_names
        if isinstance(target, str):
            index = names.index(target) if target in names else -1
        else:
            index = int(target)
        if not 0 <= index < len(names):
            shown = ", ".join(names[:10]) + (" ..." if len(names) > 10 else "")
            raise ValueError(
                f"`target` must be a class: {shown}, or its number. Got {target!r}. "
                "Choose one that the predictor has."
            )
        return index

    def check_example(self, example: int) -> None:
        """Raise a ValueError unless there is such an example."""
        if not 0 <= example < len(self.inputs):
            raise ValueError(
                f"`example` must be from 0 to {len(self.inputs) - 1}. Got {example}. "
                "Choose one of the explained examples."
            )

    @property
    def can_be_asked(self) -> bool:
        """Whether code and predictor are at hand: made by `explain`, or loaded with them."""
        return self._context is not None

    @property
    def code(self) -> Code:
        """The code; see `trim` for what it raises."""
        return self._asked("code")[0]

    def _asked(self, verb: str) -> tuple[Code, Function, Function | None]:
        """Code, predictor (that returns logits) and preprocess, to ask anew."""
        if self._context is None:
            raise RuntimeError(
                f"`{verb}` must have code and predictor. Got an explanation loaded without them. "
                "Use Explanation.load(path, code=..., predictor=...)."
            )
        code, predictor, preprocess = self._context
        if self.settings["probabilities"]:
            return code, partial(log_probabilities, predictor), preprocess
        return code, predictor, preprocess

    @property
    def _explained(self) -> Explained:
        contrast = self.settings["contrast"]
        return Contrast(*contrast) if contrast else self.settings["explained"]

    @cached_property
    def _starts(self) -> Tensor:
        """`(batch, latents)`, each example's baseline; the mean of a distribution."""
        if len(self.baselines) == 1 or self.settings["baselines_per_example"]:
            return self.baselines.expand_as(self.latents)
        return self.baselines.mean(dim=0, keepdim=True).expand_as(self.latents)

    @property
    def _right(self) -> Tensor:
        if self.labels is None:
            raise ValueError(
                "`labels` must be known to tell right from wrong. Got an explanation without. "
                "Pass labels to explain."
            )
        return self.predicted == self.labels

    def _chosen(self, mask: Tensor, what: str) -> "Explanation":
        if not bool(mask.any()):
            raise ValueError(
                f"`examples` must leave at least one. Got {len(mask)} examples, of which none "
                f"{what}. Explain more."
            )
        return self.select(mask)

    def of_target(self, tensor: Tensor) -> Tensor:
        """Rows `(batch, latents)` of the predicted class in `(batch, classes, latents)`."""
        return tensor[torch.arange(len(tensor), device=tensor.device), self.target]


def _shares(attributions: Tensor) -> Tensor:
    """Each column's share of the absolute attributions `(batch, columns)`."""
    strength = attributions.abs().mean(dim=0)
    return strength / strength.sum().clamp_min(torch.finfo(strength.dtype).tiny)


def check_names(argument: str, names: Sequence[str], count: int) -> None:
    """Raise a ValueError unless there is one name for each of `count` things."""
    if len(names) != count:
        raise ValueError(
            f"`{argument}` must have {count} entries. Got {len(names)}. Name each once."
        )
