"""What an explanation holds: attributions, and what they were taken at."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from attributions.codes import Block
from attributions.measures.intervals import Estimate
from attributions.outputs import Contrast, Explained, Task, decisions, select
from trimvae.explanation.arguments import check_index
from trimvae.explanation.bundles import Bundle
from trimvae.explanation.columns import Chosen
from trimvae.explanation.cues import Cue, cues_in
from trimvae.explanation.marks import Recurrence
from trimvae.explanation.redrawn import redrawn_in


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Attributions of some examples, and what they were taken at.

    Every tensor is detached and where the inputs were. `explained` counts what is explained: the
    outputs, or one for a `Contrast`. `classes` counts those that are attributed: all of these,
    unless `explain` was asked for some.
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
    predicted_attributions: Tensor | None = None
    """`(batch, latents)`, to each example's predicted class, beside classes that were chosen; None
    where they are among `attributions`."""
    total_variation: Tensor | None = None
    """`(batch, classes, latents)`, the same path integral of absolute contributions; None for
    methods other than integrated gradients."""
    predicted_variation: Tensor | None = None
    """`(batch, latents)`, likewise of `predicted_attributions`."""
    path_points: Tensor | None = None
    """`(batch,)`, how many points of its path each example took; likewise."""
    outputs: Tensor
    """`(batch, outputs)`, the predictor's logits at the inputs."""
    reencoded_outputs: Tensor
    """`(batch, outputs)`, at the reconstructions: never with residual."""
    baseline_outputs: Tensor
    """`(1 or batch, outputs)`, at the decoded baselines, without residual."""
    explained_at: Tensor
    """`(batch, explained)`, what is explained, where the attributions end."""
    explained_at_baseline: Tensor
    """`(batch, explained)`, what is explained, where the attributions start."""
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
    def chosen_classes(self) -> Chosen:
        """Numbers of the classes that are attributed, or `"predicted"`; None for all."""
        chosen: Chosen = self.settings.get("classes")
        return chosen

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the explained outputs: the classes, or what a single one is."""
        columns, classes = self.attributions.shape[1], len(self.class_names)
        if self.chosen_classes is not None or columns == classes:
            return self.class_names
        return (self.settings["explained_name"],)

    @property
    def explained_names(self) -> tuple[str, ...]:
        """Names of the classes that are attributed, one for each column of `attributions`."""
        chosen = self.chosen_classes
        if chosen is None:
            return self.output_names
        if chosen == "predicted":
            return ("predicted class",)
        return tuple(self.class_names[number] for number in chosen)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Named slices of the latents; one, where the code names none."""
        return tuple(Block(*block) for block in self.settings["blocks"])

    @property
    def fixed_code(self) -> bool:
        """Whether the code is a basis that is known beforehand, such as Fourier's."""
        return bool(self.settings.get("fixed_code"))

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
        if len(self.output_names) == 1:
            return torch.zeros_like(self.predicted)
        return self.predicted

    @cached_property
    def target_attributions(self) -> Tensor:
        """`(batch, latents)`, attributions to the predicted class."""
        return self._of_target(self.attributions, self.predicted_attributions)

    @cached_property
    def target_variation(self) -> Tensor | None:
        """`(batch, latents)`, likewise of `total_variation`."""
        if self.total_variation is None:
            return None
        return self._of_target(self.total_variation, self.predicted_variation)

    @cached_property
    def change(self) -> Tensor:
        """`(batch, classes)`, what attributions to each class should add up to."""
        return self.of_columns(self.explained_at - self.explained_at_baseline)

    @cached_property
    def target_change(self) -> Tensor:
        """`(batch,)`, change of what is explained of the predicted class, from start to end."""
        change = self.explained_at - self.explained_at_baseline
        return change.gather(1, self.target.unsqueeze(1))[:, 0]

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
        """Rows `(batch, latents)` of the predicted class in `(batch, explained, latents)`."""
        return tensor[torch.arange(len(tensor), device=tensor.device), self.target]

    def of_columns(self, values: Tensor) -> Tensor:
        """Of `(batch, explained)` the classes that are attributed: `(batch, classes)`."""
        chosen = self.chosen_classes
        if chosen is None:
            return values
        if chosen == "predicted":
            return values.gather(1, self.target.unsqueeze(1))
        return values[:, chosen]

    def class_index(self, target: int | str) -> int:
        """Return the number of a class, given by name or number.

        Raises:
            ValueError: There is no such class.
        """
        names = self.class_names
        if isinstance(target, str):
            index = names.index(target) if target in names else -1
        else:
            number = hasattr(target, "__index__") or isinstance(target, float)
            index = int(target) if number and target % 1 == 0 else -1
        if not 0 <= index < len(names):
            shown = ", ".join(names[:10]) + (" ..." if len(names) > 10 else "")
            raise ValueError(
                f"`target` must be a class: {shown}, or its number. Got {target!r}. "
                "Choose one that the predictor has."
            )
        return index

    def check_example(self, example: int) -> None:
        """Raise an error unless there is such an example."""
        remedy = "Choose one of the explained examples."
        check_index("example", example, len(self.inputs), remedy)

    def check_latents(self, *latents: int, argument: str = "latent") -> None:
        """Raise an error unless there are such latents."""
        for latent in latents:
            check_index(argument, latent, len(self.latent_names), "Choose an existing one.")

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor that it holds, by name."""
        held = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in held.items() if isinstance(value, Tensor)}

    def _of_target(self, columns: Tensor, apart: Tensor | None) -> Tensor:
        """Rows of the predicted class: among all classes, the only ones, or kept apart."""
        if apart is not None:
            return apart
        return columns[:, 0] if self.chosen_classes == "predicted" else self.of_target(columns)
