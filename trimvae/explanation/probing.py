"""What an explanation asks code and predictor anew: other latents, other decisions, pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from attributions.checks import check_counts, check_mode
from attributions.codes import Code, Decoder
from attributions.measures.attfind import Attribute, find_attributes
from attributions.methods.pixels import pixel_attributions
from attributions.predictors import Predictor
from attributions.transforms.base import Transform
from attributions.trim import Trim
from trimvae.data.loading import Array
from trimvae.explanation.asking import FrozenCode
from trimvae.explanation.counterfactuals import (
    Counterfactuals,
    SearchMethod,
    find_counterfactuals,
)
from trimvae.explanation.pairs import AttributePairs, pairs_with
from trimvae.explanation.traversals import Traversal, traverse
from trimvae.explanation.trust import Weighed
from trimvae.explanation.within_latents import NamedTransform, Within, split_within


class Context(NamedTuple):
    """What an explanation asks: both frozen, so that nothing of the caller's changes."""

    code: FrozenCode
    predictor: Predictor


@dataclass(frozen=True, kw_only=True)
class Probing(Weighed):
    """Weighed evidence with the code and the predictor that it is of, where they are at hand."""

    _context: Context | None = field(default=None, repr=False)

    @property
    def can_be_asked(self) -> bool:
        """Whether code and predictor are at hand: made by `explain`, or loaded with them."""
        return self._context is not None

    @property
    def code(self) -> Code:
        """The caller's own code.

        Raises:
            RuntimeError: The explanation was loaded without code and predictor.
        """
        return self._at_hand("code").code.original

    @property
    def trim(self) -> Trim:
        """The predictor behind the code's decoder, as it was explained.

        Raises:
            RuntimeError: The explanation was loaded without code and predictor.
        """
        context = self._at_hand("trim")
        return Trim(context.predictor, Decoder(context.code))

    def traverse(
        self, example: int, latent: int, *, values: Array | None = None, n_steps: int = 9
    ) -> Traversal:
        """Move one latent of one example and ask the predictor at every step.

        Args:
            example: Index into the batch.
            latent: Index of the latent that moves.
            values: `(n,)`, the values that it takes; default: `n_steps` from end to end of
                `ranges`.
            n_steps: How many values, where none are given.

        Returns:
            Values, decoded inputs and outputs.

        Raises:
            ValueError: `example` or `latent` is out of range, or `n_steps` is below 1.
            RuntimeError: The explanation was loaded without code and predictor.
        """
        code, predictor = self._asked("traverse")
        self.check_example(example)
        self.check_latents(latent)
        check_counts(n_steps=n_steps)
        if values is None:
            low, high = (end[latent] for end in self.ranges)
            fractions = torch.linspace(0, 1, n_steps, device=low.device, dtype=low.dtype)
            values = low + fractions * (high - low)
        return traverse(code, predictor, self.latents[example], latent, values=values)

    def counterfactuals(
        self,
        examples: Sequence[int] | None = None,
        *,
        target: int | str | Tensor | None = None,
        method: SearchMethod = "sparse",
        low: Tensor | None = None,
        high: Tensor | None = None,
        n_latents: int = 3,
        n_steps: int = 11,
        on_grid: Tensor | None = None,
    ) -> Counterfactuals:
        """Find the smallest latent change that flips each decision, without residual.

        Args:
            examples: Indices into the batch; default: all.
            target: The class to reach, by name or number, or a number for each of the examples;
                default: any other than the one predicted at the decoded latents.
            method: `"sparse"` moves as few latents as possible; `"gradient"` shifts all along the
                gradient of the margin between the classes.
            low: `(latents,)`, least value of each latent; default: the lower end of `ranges`.
            high: `(latents,)`, largest value; default: the upper end of `ranges`.
            n_latents: Most latents that a sparse search may move.
            n_steps: Values tried between `low` and `high` for each latent.
            on_grid: `(examples, latents, n_steps, outputs)`, the predictor's outputs where one
                latent alone takes each of these values, where they are known; default: asked for.

        Returns:
            Moved latents with validity, distances and plausibility.

        Raises:
            ValueError: This is a regression, or an argument is out of range.
            RuntimeError: The explanation was loaded without code and predictor.
        """
        if self.task == "regression":
            raise ValueError(
                "`task` must be 'classification' for counterfactuals. Got a regression, which has "
                "no decision to flip. Use plot_traversals."
            )
        code, predictor = self._asked("counterfactuals")
        for example in () if examples is None else examples:
            self.check_example(example)
        return find_counterfactuals(
            code,
            predictor,
            self.latents if examples is None else self.latents[list(examples)],
            target=self.class_index(target) if isinstance(target, str) else target,
            method=method,
            low=self.ranges[0] if low is None else low,
            high=self.ranges[1] if high is None else high,
            n_latents=n_latents,
            n_steps=n_steps,
            on_grid=on_grid,
        )

    def attributes(self, target: int | str, *, k: int = 5) -> list[Attribute]:
        """Find few latents, each with a direction, that turn examples into a class (AttFind).

        Over the examples not predicted as the class, the latent that raises its output most when
        it moves to an end of `ranges`; then the same for the examples that this does not explain.

        References:
            Lang et al.: Explaining in Style (StylEx), 2021, https://arxiv.org/abs/2104.13369,
            algorithm 1.

        Args:
            target: The class, by name or number.
            k: Most attributes to find.

        Returns:
            Attributes, the strongest first; none if every example is predicted as the class.

        Raises:
            ValueError: There is no such class, or this is a regression or a contrast.
            RuntimeError: The explanation was loaded without code and predictor.
        """
        if not self.by_class:
            raise ValueError(
                "`task` must be 'classification' of all classes for attributes. Got a regression "
                "or a contrast. Use plot_traversals."
            )
        self._asked("attributes")
        index = self.class_index(target)
        return find_attributes(self.trim, self.latents, *self.ranges, index, k=k)

    def attribute_pairs(
        self,
        attribute: Attribute,
        target: int | str,
        count: int = 4,
        *,
        effects: Tensor | None = None,
    ) -> AttributePairs:
        """Decode examples of other classes without and with an attribute, most moved first.

        Args:
            attribute: One that `attributes` found.
            target: The class that it speaks for, by name or number.
            count: Most pairs.
            effects: `(batch, 2, latents, outputs)`, what `attribute_effects` returns for these
                examples, so that those that are not shown need not be decoded; default: they are.

        Returns:
            Both decoded inputs and what the predictor says of them.

        Raises:
            ValueError: There is no such class, or `effects` are not those of these examples.
            RuntimeError: The explanation was loaded without code and predictor.
        """
        code, predictor = self._asked("attribute_pairs")
        index = self.class_index(target)
        return pairs_with(self, code, predictor, attribute, index, count, effects)

    def pixels(
        self, example: int, latents: Sequence[int] | None = None, *, n_steps: int = 32
    ) -> Tensor:
        """Split the attributions of one example to its predicted class among pixels (or columns).

        Each latent's map adds up to its integrated gradients: what the latent moves in the
        picture, weighted by how the predictor answers there.

        Args:
            example: Index into the batch.
            latents: Which latents to map; default: all.
            n_steps: Points of the quadrature.

        Returns:
            `(latents, *event)`, one map each.

        Raises:
            ValueError: `example` or a latent is out of range, or `n_steps` is below 1.
            RuntimeError: The explanation was loaded without code and predictor.
        """
        self._asked("pixels")
        self.check_example(example)
        chosen = list(range(len(self.latent_names)) if latents is None else latents)
        self.check_latents(*chosen, argument="latents")
        rows = slice(example, example + 1)
        residual = None
        if self.settings["residual"]:
            residual = self.inputs[rows] - self.reconstructions[rows]
        return pixel_attributions(
            self.trim,
            self.latents[rows],
            self.starts[rows],
            self.target[rows],
            chosen,
            residual=residual,
            n_steps=n_steps,
        )[0]

    def within(
        self, latent: int, transform: Transform | NamedTransform | Mapping[str, Tensor] = "bands"
    ) -> Within:
        """Split one latent's attributions over parts of what it draws: which of them is used?

        Along the same path and by the same rule, so that the parts add up to the attributions.

        Args:
            latent: Index of the latent.
            transform: `"bands"` of spatial frequency, `"channels"` or `"pixels"` of pictures;
                `"columns"` of a table; masks by name; or a linear and exactly invertible one of
                `attributions.transforms`.

        Returns:
            The parts' attributions, what the latent draws in each, and how far each is used.

        Raises:
            TypeError: `transform` is none of these.
            ValueError: There is no such latent, the transform does not fit the inputs, is not
                linear or loses something, or the method was not integrated gradients.
            RuntimeError: The explanation was loaded without code and predictor.
        """
        self._asked("within")
        return split_within(self, self.trim, latent, transform)

    def _asked(self, verb: str) -> Context:
        """Code and predictor, for a question that may need gradients."""
        check_mode(verb)
        return self._at_hand(verb)

    def _at_hand(self, verb: str) -> Context:
        if self._context is None:
            raise RuntimeError(
                f"`{verb}` must have code and predictor. Got an explanation loaded without them. "
                "Use Explanation.load(path, code=..., predictor=...)."
            )
        return self._context
