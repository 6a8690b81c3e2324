"""What an explanation holds: attributions, what they were taken at, and choosing among examples."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from attributions.codes import Block
from attributions.measures.intervals import Estimate
from attributions.outputs import Contrast, Explained, Task, decisions, select
from trimvae.explanation.bundles import Bundle
from trimvae.explanation.cues import Cue, cues_in
from trimvae.explanation.marks import Recurrence
from trimvae.explanation.redrawn import redrawn_in


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Attributions of some examples, and what they were taken at.

    Every tensor is detached and where the inputs were. `classes` counts the explained outputs: one
    for a `Contrast` or a single output.
    """

    inputs: Tensor
    """`(batch, *event)`, a copy of what was explained."""
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
    path_points: Tensor | None = None
    """`(batch,)`, how many points of its path each example took; likewise."""
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
        task: Task = self.settings["task"]
        return task

    @property
    def explained(self) -> Explained:
        """What of the predictor's outputs is explained."""
        contrast = self.settings["contrast"]
        explained: Explained = Contrast(*contrast) if contrast else self.settings["explained"]
        return explained

    @property
    def explained_names(self) -> tuple[str, ...]:
        """Names of the explained outputs: the classes, or what a single one is."""
        if self.attributions.shape[1] == len(self.class_names):
            return self.class_names
        return (self.settings["explained_name"],)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Named slices of the latents; one, where the code names none."""
        return tuple(Block(*block) for block in self.settings["blocks"])

    @property
    def recurrence(self) -> Recurrence | None:
        """In how many codes each latent is found; None where no consensus was asked."""
        found = self.settings.get("recurrence")
        return found and Recurrence(tuple(found["found_in"]), found["codes"])

    @property
    def bundles(self) -> tuple[Bundle, ...]:
        """What the strongest latents of pictures draw, in parts, and which of them are used.

        Of all the examples that were explained, also after `select`.
        """
        found = self.settings.get("bundles") or ()
        return tuple(Bundle(one[0], *map(tuple, one[1:])) for one in found)

    @property
    def cues(self) -> tuple[Cue, ...]:
        """What re-encoded decisions do where real inputs are mixed; none where it was not asked."""
        return cues_in(self.settings.get("cues") or ())

    @property
    def redrawn(self) -> dict[str, Estimate]:
        """What is left of inputs that are drawn and read again; likewise, also after `select`."""
        return redrawn_in(self.settings.get("redrawn") or {})

    @property
    def by_class(self) -> bool:
        """Whether all classes are explained, rather than a quantity or a `Contrast`."""
        return self.task == "classification" and self.settings["contrast"] is None

    @cached_property
    def predicted(self) -> Tensor:
        """`(batch,)`, the predicted class; 0 for a regression."""
        if self.task == "regression":
            return torch.zeros(len(self.outputs), dtype=torch.long, device=self.outputs.device)
        return decisions(self.outputs)

    @cached_property
    def target(self) -> Tensor:
        """`(batch,)`, which of the explained outputs is that of the predicted class."""
        if self.attributions.shape[1] == 1:
            return torch.zeros_like(self.predicted)
        return self.predicted

    @cached_property
    def target_attributions(self) -> Tensor:
        """`(batch, latents)`, attributions to the predicted class."""
        return self.of_target(self.attributions)

    @cached_property
    def disagrees(self) -> Tensor:
        """`(batch,)`, whether the reconstruction is predicted as another class."""
        if self.task == "regression":
            return torch.zeros_like(self.predicted, dtype=torch.bool)
        return decisions(self.reencoded_outputs) != decisions(self.outputs)

    @cached_property
    def explained_at_inputs(self) -> Tensor:
        """`(batch, classes)`, what is explained, at the inputs themselves."""
        return select(self.outputs, self.explained)

    @cached_property
    def starts(self) -> Tensor:
        """`(batch, latents)`, each example's baseline; the mean of a distribution."""
        if len(self.baselines) == 1 or self.settings["baselines_per_example"]:
            return self.baselines.expand_as(self.latents)
        return self.baselines.mean(dim=0, keepdim=True).expand_as(self.latents)

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

    def of_target(self, tensor: Tensor) -> Tensor:
        """Rows `(batch, latents)` of the predicted class in `(batch, classes, latents)`."""
        return tensor[torch.arange(len(tensor), device=tensor.device), self.target]

    def class_index(self, target: int | str) -> int:
        """Return the number of a class, given by name or number.

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

    def check_latents(self, *latents: int, argument: str = "latent") -> None:
        """Raise a ValueError unless there are such latents."""
        size = len(self.latent_names)
        wrong = [latent for latent in latents if not 0 <= latent < size]
        if wrong:
            raise ValueError(
                f"`{argument}` must be from 0 to {size - 1}. Got {wrong[0]}. "
                "Choose an existing one."
            )

    def select(self, examples: Tensor | Sequence[int]) -> Self:
        """Return the explanation of some examples only.

        Args:
            examples: A mask `(batch,)`, or indices.

        Raises:
            TypeError: It is a single number or a slice.
            ValueError: No example is left, or an index is out of range.
        """
        batch, device = len(self.inputs), self.inputs.device
        if isinstance(examples, slice) or not torch.as_tensor(examples, device=device).ndim:
            raise TypeError(
                f"`examples` must be a mask or a sequence of indices. Got {examples}. "
                "Pass a list, e.g. [0] or range(8)."
            )
        chosen = torch.as_tensor(examples, device=device)
        if chosen.dtype == torch.bool and chosen.shape == (batch,):
            chosen = chosen.nonzero()[:, 0]
        if (
            chosen.dtype == torch.bool
            or not len(chosen)
            or bool(((chosen < -batch) | (chosen >= batch)).any())
        ):
            raise ValueError(
                f"`examples` must leave at least one of the {batch} examples. Got {examples}. "
                "Choose others, or explain more."
            )
        chosen = chosen.long()
        shared = set() if self.settings["baselines_per_example"] else _OF_BASELINES
        own: dict[str, Any] = {
            name: tensor[chosen] for name, tensor in self.tensors().items() if name not in shared
        }
        return replace(self, **own)

    def for_class(self, target: int | str) -> Self:
        """Return the examples predicted as a class.

        Args:
            target: Its name or number.

        Raises:
            ValueError: There is no such class, no such prediction, or this is a regression.
        """
        mask = self.predicted == self.class_index(target)
        return self._chosen(mask, f"are predicted as {target!r}")

    def correct(self) -> Self:
        """Return the examples whose prediction is the label.

        Raises:
            ValueError: There are no such examples, or no labels.
        """
        return self._chosen(self.predicted == self._labelled(), "are predicted right")

    def wrong(self) -> Self:
        """Return the examples whose prediction is not the label.

        Raises:
            ValueError: There are no such examples, or no labels.
        """
        return self._chosen(self.predicted != self._labelled(), "are predicted wrong")

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor that it holds, by name."""
        held = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in held.items() if isinstance(value, Tensor)}

    def _labelled(self) -> Tensor:
        if self.labels is None:
            raise ValueError(
                "`labels` must be known to tell right from wrong. Got an explanation without. "
                "Pass labels to explain."
            )
        return self.labels

    def _chosen(self, mask: Tensor, what: str) -> Self:
        if not bool(mask.any()):
            raise ValueError(
                f"`examples` must leave at least one. Got {len(mask)} examples, of which none "
                f"{what}. Explain more."
            )
        return self.select(mask)


_OF_BASELINES = {"baselines", "baseline_outputs"}
