"""What an explanation asks code and predictor anew: other latents, other decisions, pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from attributions import Trim, attfind
from attributions.attfind import Attribute
from attributions.codes import Code, Decoder, held_in_eval_mode
from attributions.measures import both_classes, decisions
from attributions.pixels import pixel_attributions
from attributions.predictors import Function, log_probabilities, predict_in_batches
from trimvae.counterfactuals import Counterfactuals, counterfactuals
from trimvae.evidence import Evidence
from trimvae.traversals import Traversal, traverse


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
class Questions(Evidence):
    """Evidence with the code and the predictor that it is of, where they are at hand."""

    _context: tuple[Code, Function, Function | None] | None = field(default=None, repr=False)

    @property
    def can_be_asked(self) -> bool:
        """Whether code and predictor are at hand: made by `explain`, or loaded with them."""
        return self._context is not None

    @property
    def code(self) -> Code:
        """The code; see `trim` for what it raises."""
        return self._asked("code")[0]

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
