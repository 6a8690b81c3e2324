"""Explanation: everything one would want to know, in one object."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from attributions import (
    Contrast,
    Trim,
    agreement,
    completeness_error,
    latents_for_share,
    monotonicity,
    participation_ratio,
    plot_heatmap,
    prediction_kl,
)
from attributions.codes import Code, Decoder, held_in_eval_mode
from attributions.measures import decisions
from attributions.predictors import Function
from trimvae.files import read_tensors, write_tensors
from trimvae.training_module import Task
from trimvae.traversals import Traversal, plot_traversals, traverse

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


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
            raise RuntimeError(
                "`trim` must have code and predictor. Got an explanation loaded without them. "
                "Use Explanation.load(path, code=..., predictor=...)."
            )
        code, predictor, preprocess = self._context
        contrast = self.settings["contrast"]
        return Trim(
            predictor,
            Decoder(code),
            preprocess=preprocess,
            explained=Contrast(*contrast) if contrast else self.settings["explained"],
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
        regression = self.task == "regression"
        fidelity = (
            (self.reencoded_outputs - self.outputs).pow(2).mean()
            if regression
            else prediction_kl(self.outputs, self.reencoded_outputs)
        )
        change = self.explained_at - self.explained_at_baseline
        error = (self.reconstructions - self.inputs).pow(2).flatten(1).sum(dim=1).mean()
        latents_needed = latents_for_share(self.target_attributions).double().mean()
        figures = {
            "agreement": agreement(self.outputs, self.reencoded_outputs, regression=regression),
            "prediction_kl": fidelity,
            "reconstruction_error": error,
            "completeness_error": completeness_error(self.attributions, change),
            "effective_latents": self.effective_latents.nanmean(),
            "latents_for_90_percent": latents_needed,
            "latent_share": self.latent_share.mean(),
        }
        if self.total_variation is not None:
            figures["monotonicity"] = monotonicity(
                self.target_attributions, self.of_target(self.total_variation)
            )
        return {name: float(value) for name, value in figures.items()}

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before believing the figures, in plain language."""
        found = []
        figures = self.metrics
        if not bool(self.target_attributions.any(dim=1).all()):
            found.append(
                "Some examples have no attribution at all: the predictor does not respond to "
                "any latent there, so sparsity means nothing."
            )
        if figures["agreement"] < 0.9:
            found.append(
                f"The re-encoded prediction disagrees for {1 - figures['agreement']:.0%} of the "
                "examples: the code loses what the predictor looks at. Train with a larger "
                "prediction_weight or more latents."
                if self.task == "classification"
                else f"Only {figures['agreement']:.0%} of the variance of the outputs survives "
                "encoding and decoding. Train with a larger prediction_weight or more latents."
            )
        if figures["latent_share"] < 0.5:
            found.append(
                f"{1 - figures['latent_share']:.0%} of the evidence is in the residual, which "
                "the latents do not explain."
            )
        if not self.settings["residual"] and not bool(self.deviations.any()):
            spread = (self.inputs - self.inputs.mean(dim=0)).pow(2).flatten(1).sum(dim=1).mean()
            left = figures["reconstruction_error"] / max(float(spread), 1e-12)
            if left > 1e-3 and len(self.inputs) > 1:
                found.append(
                    f"The transform leaves out {left:.1%} of the inputs' variance: explain with "
                    "residual=True, which adds it back."
                )
        if not figures["completeness_error"] <= 0.0101:
            remedy = (
                "raise n_steps."
                if self.settings["method"] in ("integrated_gradients", "IntegratedGradients")
                else f"{self.settings['method']} ranks latents here, its sizes are no shares."
            )
            found.append(
                "Attributions miss the change of output by "
                f"{figures['completeness_error']:.1%}: {remedy}"
            )
        return tuple(found)

    def summary(self) -> str:
        """Trust figures, warnings and the latents that matter most, as text."""
        strength = self.target_attributions.abs().mean(dim=0)
        order = strength.argsort(descending=True)[:3].tolist()
        share = strength / strength.sum()
        lines = [f"{len(self.inputs)} examples, {len(self.latent_names)} latents"]
        lines += [f"  {name:<24}{value:.4g}" for name, value in self.metrics.items()]
        lines.append(
            "most used latents: "
            + ", ".join(f"{self.latent_names[i]} ({share[i]:.0%})" for i in order)
        )
        lines += [f"warning: {text}" for text in self.warnings]
        return "\n".join(lines)

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
        names = self._explained_names
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
            "title": "What each class is recognised by "
            f"(agreement {self.metrics['agreement']:.2f})",
            "label": f"mean attribution ({self.settings['explained_name']})",
        }
        axes = plot_heatmap(attributions, **{**defaults, **options})
        return cast("Figure", axes.figure)

    def plot_traversals(self, example: int = 0, *, n_latents: int = 5, steps: int = 9) -> "Figure":
        """Strips of the latents that matter most for one example, with what the predictor says.

        Args:
            example: Index into the batch.
            n_latents: Rows: the latents of largest absolute attribution to the predicted class.
            steps: Frames from -2.5 to 2.5.

        Returns:
            The figure.

        Raises:
            ValueError: `example` is out of range.
            RuntimeError: The explanation was loaded without code and predictor.
        """
        if not 0 <= example < len(self.inputs):
            raise ValueError(
                f"`example` must be from 0 to {len(self.inputs) - 1}. Got {example}. "
                "Choose one of the explained examples."
            )
        scores = self.target_attributions[example]
        chosen = scores.abs().argsort(descending=True)[:n_latents].tolist()
        traversals = [self.traverse(example, latent, steps=steps) for latent in chosen]
        target = int(self.predicted[example]) if self.outputs.shape[1] > 1 else 0
        predicted = self.class_names[int(self.predicted[example])]
        return plot_traversals(
            traversals,
            target=target,
            class_names=self.class_names if self.outputs.shape[1] > 1 else (self.class_names[-1],),
            row_names=[f"{self.latent_names[i]} ({scores[i]:+.1f})" for i in chosen],
            original=self.latents[example, chosen],
            caption=f"Example {example}, predicted {predicted}. In brackets: attribution. "
            + ("Blue frame: nearest to" if self.inputs.ndim == 4 else "Dashed line: where")
            + " the example"
            + ("." if self.inputs.ndim == 4 else " is."),
            as_probability=self.task == "classification",
            feature_names=self.settings.get("feature_names"),
        )

    def traverse(self, example: int, latent: int, *, steps: int = 9) -> Traversal:
        """Move one latent of one example; see `trimvae.traversals.traverse`.

        A VAE's latents move from -2.5 to 2.5 (99 % of the prior), another code's within the
        explained examples' 1st to 99th percentile.
        """
        if self._context is None:
            raise RuntimeError(
                "`traverse` must have code and predictor. Got an explanation loaded without them. "
                "Use Explanation.load(path, code=..., predictor=...)."
            )
        code, predictor, preprocess = self._context
        ends = (-2.5, 2.5)
        if not bool(self.deviations.any()):  # a code without posterior has no prior either
            low, high = (
                self.latents[:, latent]
                .double()
                .quantile(
                    torch.tensor([0.01, 0.99], device=self.latents.device, dtype=torch.float64)
                )
            )
            ends = (low.item(), high.item())
        values = torch.linspace(*ends, steps)
        with held_in_eval_mode(code):
            return traverse(
                code, predictor, self.latents[example], latent, values=values, preprocess=preprocess
            )

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
    def _explained_names(self) -> tuple[str, ...]:
        if self.attributions.shape[1] == len(self.class_names):
            return self.class_names
        return (self.settings["explained_name"],)

    def of_target(self, tensor: Tensor) -> Tensor:
        """Rows `(batch, latents)` of the predicted class in `(batch, classes, latents)`."""
        return tensor[torch.arange(len(tensor), device=tensor.device), self.target]


def check_names(argument: str, names: Sequence[str], count: int) -> None:
    """Raise a ValueError unless there is one name for each of `count` things."""
    if len(names) != count:
        raise ValueError(
            f"`{argument}` must have {count} entries. Got {len(names)}. Name each once."
        )
