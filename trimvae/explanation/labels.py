"""explain_labels(): a predictor of several labels, of which each may hold or not."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from attributions.checks import check_mode, checked_predictor
from attributions.codes import Code
from attributions.heatmaps import plot_heatmap
from attributions.methods.captum import Method, needs_gradient
from attributions.methods.paths import integrated_gradients
from attributions.predictors import Function
from trimvae.data.loading import Array, as_tensor
from trimvae.explanation.arguments import as_inputs, check_inputs, check_names
from trimvae.explanation.asking import as_frozen
from trimvae.explanation.explaining import explain
from trimvae.explanation.explanation import Explanation
from trimvae.tables.asking import for_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_YES = 1
"""Row of the examples that have the label, in whatever is told by its two decisions."""


class LabelExplanations(Mapping[str, Explanation]):
    """What each label is recognised by: an `Explanation` of yes or no for each, by its name.

    Args:
        explanations: Of the same inputs, in the order of the predictor's outputs.
    """

    def __init__(self, explanations: Mapping[str, Explanation]) -> None:
        self._explanations = dict(explanations)

    def __getitem__(self, label: str) -> Explanation:
        """Explanation of a label.

        Raises:
            KeyError: There is no such label.
        """
        if label not in self._explanations:
            raise KeyError(
                f"`label` must be one of {', '.join(self)}. Got {label!r}. Choose another."
            )
        return self._explanations[label]

    def __iter__(self) -> Iterator[str]:
        """Names of the labels, in the order of the predictor's outputs."""
        return iter(self._explanations)

    def __len__(self) -> int:
        """How many labels there are."""
        return len(self._explanations)

    @property
    def attributions(self) -> Tensor:
        """`(batch, labels, latents)`, in logits of each label."""
        return torch.cat([one.attributions for one in self.values()], dim=1)

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Trust figures of each label."""
        return {label: one.metrics for label, one in self.items()}

    @property
    def warnings(self) -> dict[str, tuple[str, ...]]:
        """What a reader must know, of the labels of which there is something."""
        return {label: one.warnings for label, one in self.items() if one.warnings}

    def summary(self) -> str:
        """Of each label how many have it, agreement, and the latents used most; then warnings."""
        width = max(map(len, self)) + 2
        lines = [f"{len(self)} labels of {len(next(iter(self.values())).inputs)} examples"]
        for label, one in self.items():
            most = ", ".join(f"{use.name} ({use.share:.0%})" for use in one.top(3))
            lines.append(
                f"  {label:<{width}}predicted {int(one.predicted.sum())}, agreement "
                f"{one.metrics['agreement']:.2f}, most used: {most}"
            )
        lines += [
            f"warning, {label}: {text}" for label, said in self.warnings.items() for text in said
        ]
        return "\n".join(lines)

    def plot(self, **options: Any) -> "Figure":
        """Draw labels x latents: mean attribution over the examples predicted to have each label.

        Labels whose re-encoded decisions often differ are grey, as is one that no example has.

        Args:
            **options: Of `attributions.plot_heatmap`, such as `title`, `limit`, `max_classes` and
                `ax`.

        Returns:
            The figure.
        """
        found = list(self.values())
        rows = [one.by_predicted_class for one in found]
        doubtful = [cast("Tensor", one.doubtful_classes)[_YES] for one in found]
        agreed = [cast("Tensor", one.agreement_by_class)[_YES] for one in found]
        defaults = {
            "class_names": tuple(self),
            "latent_names": found[0].latent_names,
            "effective_latents": torch.stack([effective[_YES] for _, effective in rows]),
            "agreement": torch.stack(agreed),
            "slopes": torch.cat([one.slopes for one in found]),
            "doubtful": torch.stack(doubtful),
            "title": "What each label is recognised by",
            "label": "mean attribution (logit of the label)",
            "note": "Red speaks for the label, blue against. ▲: more of the latent does, ▼: less "
            "of it does. Mean over the examples predicted to have the label.",
        }
        means = torch.stack([attributions[_YES] for attributions, _ in rows])
        return cast("Figure", plot_heatmap(means, **{**defaults, **options}).figure)


def explain_labels(
    code: Code,
    predictor: Function,
    inputs: Array,
    *,
    label_names: Sequence[str] | None = None,
    truth: Array | None = None,
    preprocess: Function | None = None,
    method: Method = integrated_gradients,
    **options: Any,
) -> LabelExplanations:
    """Explain a predictor of several labels, of which each may hold or not.

    Labels do not compete, so that each is a question of its own, yes or no: its logit is explained
    as that of a binary classifier, with trust figures of its own. Outputs of a sigmoid are brought
    back to logits. `fit(..., task="multilabel")` trains a code through all labels.

    An ordinal predictor that returns a logit for "above the first grade", "above the second" and
    so on is one of several labels.

    Args:
        code: As for `explain`.
        predictor: Inputs `(batch, *event)` to logits of labels `(batch, labels)`; an
            `attributions.Predictor` must have `task="multilabel"`.
        inputs: `(batch, *event)`.
        label_names: One for each output; default: their numbers.
        truth: `(batch, labels)` of 0 and 1, which labels hold; default: not known.
        preprocess: Between decoder and predictor; default: none.
        method: As for `explain`.
        **options: Others of `explain`, but `task`, `labels`, `class_names` and `explained`.

    Returns:
        The explanations, by the names of the labels.

    Raises:
        TypeError: An option is unknown, or as `explain`.
        ValueError: There are more or fewer names than labels, or two alike; `truth` does not fit;
            or as `explain`.

    Warns:
        UserWarning: The predictor ends in a sigmoid, or as `explain`.

    Examples:
        >>> from trimvae import VAE
        >>> vae, predictor = VAE.dense((6,), latent_size=2), torch.nn.Linear(6, 3)
        >>> found = explain_labels(vae, predictor, torch.randn(4, 6), label_names=["a", "b", "c"])
        >>> found.attributions.shape == (4, 3, 2) and found["b"].attributions.shape == (4, 1, 2)
        True
    """
    check_mode("explain_labels")
    own = as_frozen(code).original
    points = as_inputs(inputs, own)
    check_inputs(own, points)
    asked = checked_predictor(
        for_rows(own, predictor),
        points[:8],
        preprocess=preprocess,
        task="multilabel",
        gradient=needs_gradient(method),
        labels=True,
    )
    count = asked.in_batches(points[:1]).shape[1]
    names = tuple(map(str, range(count) if label_names is None else label_names))
    check_names("label_names", names, count)
    known = None if truth is None else _checked_truth(truth, (len(points), count))
    return LabelExplanations(
        {
            name: explain(
                code,
                asked.of_label(index),
                inputs,
                method=method,
                labels=None if known is None else known[:, index],
                class_names=(f"not {name}", name),
                **options,
            )
            for index, name in enumerate(names)
        }
    )


def _checked_truth(truth: Array, shape: tuple[int, int]) -> Tensor:
    known = as_tensor(truth, "truth")
    if known.shape != shape or not bool(((known == 0) | (known == 1)).all()):
        raise ValueError(
            f"`truth` must be 0 or 1 for each example and label, {shape}. Got shape "
            f"{tuple(known.shape)} with values from {float(known.min()):g} to "
            f"{float(known.max()):g}. Pass a column for each label."
        )
    return known.long()
