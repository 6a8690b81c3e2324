"""Explanation: everything one would want to know, in one object."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from attributions import plot_heatmap
from attributions.codes import Code
from attributions.predictors import Function
from trimvae import figures
from trimvae.comparison import Comparison, compare
from trimvae.files import read_tensors, write_tensors
from trimvae.notebooks import notebook_card
from trimvae.questions import Questions

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from trimvae.evaluation import Evaluation


@dataclass(frozen=True, kw_only=True)
class Explanation(Questions):
    """What a predictor uses of each example, in latents, and how far to trust it.

    Made by `explain`. What it holds is `trimvae.evidence.Evidence`; what it can be asked about
    further is `trimvae.questions.Questions`; here it is chosen from, compared, drawn and kept.
    """

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


def check_names(argument: str, names: Sequence[str], count: int) -> None:
    """Raise a ValueError unless there is one name for each of `count` things."""
    if len(names) != count:
        raise ValueError(
            f"`{argument}` must have {count} entries. Got {len(names)}. Name each once."
        )
