"""What an explanation holds, and what follows from it without asking the predictor again."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attributions import Contrast, participation_ratio
from attributions.codes import Block
from attributions.measures import decisions
from attributions.trim import Explained, select
from trimvae.training_module import Task
from trimvae.trust import trust_figures, trust_warnings


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


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Attributions of some examples, what they were taken at, and the figures beside them.

    Every tensor is detached and where the inputs were. `classes` counts the explained outputs: one
    for a `Contrast` or a single output.
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

    @property
    def task(self) -> Task:
        """`"classification"` or `"regression"`."""
        return self.settings["task"]

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

    def of_target(self, tensor: Tensor) -> Tensor:
        """Rows `(batch, latents)` of the predicted class in `(batch, classes, latents)`."""
        return tensor[torch.arange(len(tensor), device=tensor.device), self.target]

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


def _shares(attributions: Tensor) -> Tensor:
    """Each column's share of the absolute attributions `(batch, columns)`."""
    strength = attributions.abs().mean(dim=0)
    return strength / strength.sum().clamp_min(torch.finfo(strength.dtype).tiny)
