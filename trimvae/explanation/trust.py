"""The figures and warnings that stand beside every explanation."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from attributions.measures.intervals import share_interval
from trimvae.explanation.bundles import of_bundles
from trimvae.explanation.copies import of_copies
from trimvae.explanation.cues import of_cues
from trimvae.explanation.fidelity import fidelity_figures
from trimvae.explanation.imitated import imitation_agreement, of_imitation
from trimvae.explanation.mixtures import of_mixtures, unmixed
from trimvae.explanation.redrawn import of_redrawn
from trimvae.explanation.tautology import ClassTotals
from trimvae.explanation.usage import LatentUse, Usage

# Bounds below which a reader is warned.
LEAST_AGREEMENT = 0.9

LEAST_LATENT_SHARE = 0.5

MOST_COMPLETENESS_ERROR = 0.0101  # a tolerance of 1 %, reached

LEAST_MONOTONICITY = 0.8

MOST_CLASS_DEPENDENCE = 0.65  # axes along the directions of ten digits have .77

LEAST_RECURRING = 0.5  # share of the evidence in latents that other codes find again

# Below these, class dependence is not judged: chance makes the class tell the strongest latent of
# few examples, and two classes are told by any latent.
_LEAST_CLASSES, _LEAST_EXAMPLES, _LEAST_PER_CLASS = 3, 50, 20

_LEAST_USED = 1.5  # effective latents over the data: where one serves all, none stands for a class

_MOST_LEFT_OUT = 1e-3  # share of the inputs' variance that a transform may leave out


@dataclass(frozen=True, kw_only=True)
class Weighed(Usage):
    """Evidence with the figures that say how far to trust it."""

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Trust figures over all examples; fidelity and completeness first.

        `agreement` and `prediction_kl` (nats; mean squared error for a regression) compare the
        predictor at reconstructions and inputs, `reconstruction_error` is the squared error per
        example, `worst_completeness_error` the completeness error of the class where it is
        largest; `effective_latents` (a mean over examples), `effective_latents_over_data` (of all
        examples together), `latents_for_90_percent`, `latent_share` and `monotonicity` describe
        the attributions to the predicted class.

        Where several classes are predicted, the rest says whether there is more to it than the
        class: `class_dependence`, of the strongest latent, and `class_told` by it; beside them
        `class_dependence_of_class_directions`, what it would be if the code were turned to the
        trivial axes, those nearest to the mean gradients of the classes (for integrated gradients
        of three classes or more, and a single block of at most 128 real latents);
        `within_class_share`, of the attributions' variance; and `classes_per_latent`, in how many
        predicted classes a latent takes part, the mean weighted by its share of the evidence.

        Where real inputs were asked (by `explain` with `check_parts`, of 20 examples or more; not
        taken anew by `select`), `drawn_variance` is the share of the inputs' variance that is
        drawn, `strength_correlation` that of the evidence before and after re-encoding within
        classes, `weakest_strength` the same in the class where it is lowest, `direction` 1 where
        latents push the outputs one way in all examples, and `reread` the share of a used latent's
        variance that the encoder reads again from what is drawn.
        """
        totals = ClassTotals()
        totals.add(self)
        asked = {name: figure.value for name, figure in self.redrawn.items()}
        agreed = imitation_agreement(self.settings)
        imitated = {} if agreed is None else {"imitation_agreement": agreed}
        return fidelity_figures(self) | imitated | totals.figures() | asked

    @cached_property
    def judges_classes(self) -> bool:
        """Whether there is enough to say that axes stand for classes, or do not.

        At least three predicted classes, 50 examples and 20 for each of the classes, and more than
        1.5 effective latents over the data.
        """
        classes = self.classes_predicted
        return (
            classes >= _LEAST_CLASSES
            and len(self.inputs) >= max(_LEAST_EXAMPLES, _LEAST_PER_CLASS * classes)
            and self.metrics["effective_latents_over_data"] > _LEAST_USED
        )

    @cached_property
    def doubt(self) -> str:
        """Why this is not an explanation, in a few words; empty where fidelity is within bounds.

        Agreement must be below its bound by more than chance, as in `doubtful_classes`.
        """
        agreed, share = self.metrics["agreement"], self.metrics["latent_share"]
        if self.nothing_changes:
            return "nothing changes what the predictor says"
        regression = self.task == "regression"
        best = agreed if regression else share_interval(agreed, len(self.inputs)).high
        if best < LEAST_AGREEMENT:
            kept = "of the output's variance" if regression else "of the decisions"
            return f"{max(agreed, 0):.0%} {kept} survive re-encoding"
        if share < LEAST_LATENT_SHARE:
            return f"{1 - share:.0%} of the evidence is in no latent"
        return ""

    @cached_property
    def doubtful_classes(self) -> Tensor | None:
        """`(rows,)`, predicted classes whose agreement is below the bound by more than chance.

        The upper end of Wilson's 95 % interval is: a class of ten examples is not doubted for two.
        None for a regression or a contrast.

        References:
            Wilson: Probable Inference, the Law of Succession, and Statistical Inference, 1927,
            https://doi.org/10.1080/01621459.1927.10502953
        """
        agreed = self.agreement_by_class
        if agreed is None:
            return None
        counts = [int(mask.sum()) for mask in self._members()]
        doubtful = [
            count > 0 and share_interval(share, count).high < LEAST_AGREEMENT
            for share, count in zip(agreed.tolist(), counts, strict=True)
        ]
        return torch.tensor(doubtful, device=agreed.device)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before believing the figures, in plain language."""
        found = (
            _of_nothing(self),
            _of_agreement(self),
            of_imitation(self.settings),
            _of_residual(self),
            _of_variance(self),
            _of_completeness(self),
            _of_classes(self),
            _of_recurrence(self),
            *of_bundles(self.bundles, self.latent_names),
            of_cues(self.cues),
            *self._of_latents(),
            *of_redrawn(self.redrawn, residual=self.settings["residual"]),
        )
        return tuple(text for text in found if text)

    def _of_latents(self) -> tuple[str, ...]:
        """Of learned latents that are copies, or mixtures."""
        if self.fixed_code:
            return ()
        apart = unmixed(self.latents, self.deviations, self.blocks)
        return (
            of_copies(self.latents, self.deviations, self.shares, self.latent_names),
            of_mixtures(apart, self.shares, self.latent_names),
        )

    def summary(self) -> str:
        """Trust figures, warnings and the latents that matter most, as text."""
        lines = [f"{len(self.inputs)} examples, {len(self.latent_names)} latents"]
        width = max(map(len, self.metrics)) + 2
        lines += [f"  {name:<{width}}{value:.4g}" for name, value in self.metrics.items()]
        used = [f"{use.name} ({_use_in_words(self, use)})" for use in self.top(3)]
        lines.append("most used latents: " + ", ".join(used))
        lines += [f"warning: {text}" for text in self.warnings]
        return "\n".join(lines)


def _use_in_words(weighed: Weighed, use: LatentUse) -> str:
    """Such as "42%, in 4 of 10 classes, found again in 2 of 3 codes"."""
    parts = [f"{use.share:.0%}"]
    if use.classes is not None:
        parts.append(f"in {use.classes} of {weighed.classes_predicted} classes")
    if use.recurrence is not None:
        parts.append(use.recurrence)
    return ", ".join(parts)


def _of_nothing(weighed: Weighed) -> str:
    if weighed.nothing_changes:
        return (
            "The predictor says the same of every input and of what is drawn of it, whatever the "
            "latents are: there is nothing to explain. Check its weights and what it is given."
        )
    if bool(weighed.target_attributions.any(dim=1).all()):
        return ""
    return (
        "Some examples have no attribution at all: the predictor does not respond to any latent "
        "there, so sparsity means nothing."
    )


def _of_agreement(weighed: Weighed) -> str:
    agreed = weighed.metrics["agreement"]
    if not agreed < LEAST_AGREEMENT:
        return ""
    if weighed.task == "regression":
        return (
            f"Only {max(agreed, 0):.0%} of the variance of the outputs survives re-encoding. "
            "Train with a larger prediction_weight or more latents."
        )
    return (
        f"The re-encoded prediction disagrees for {1 - agreed:.0%} of the examples: the code "
        "loses what the predictor looks at. Train with a larger prediction_weight or more latents."
    )


def _of_residual(weighed: Weighed) -> str:
    share = weighed.metrics["latent_share"]
    if weighed.nothing_changes or not share < LEAST_LATENT_SHARE:
        return ""
    return (
        f"{1 - share:.0%} of the evidence is in the residual, which the latents do not explain. "
        "A code that draws more carries more: train longer, with more latents or a larger "
        "prediction_weight."
    )


def _of_variance(weighed: Weighed) -> str:
    """Of a code without posterior (a transform) that leaves something out."""
    inputs = weighed.inputs
    if weighed.settings["residual"] or bool(weighed.deviations.any()) or len(inputs) < 2:
        return ""
    spread = (inputs - inputs.mean(dim=0)).pow(2).flatten(1).sum(dim=1).mean()
    left = weighed.metrics["reconstruction_error"] / max(float(spread), 1e-12)
    if not left > _MOST_LEFT_OUT:
        return ""
    return (
        f"The code leaves out {left:.1%} of the inputs' variance: explain with residual=True, "
        "which adds it back."
    )


def _of_completeness(weighed: Weighed) -> str:
    errors = (weighed.metrics[name] for name in ("completeness_error", "worst_completeness_error"))
    error, method = max(errors), weighed.settings["method"]
    if error <= MOST_COMPLETENESS_ERROR:
        return ""
    if error == float("inf"):
        return (
            "Something is attributed where the output does not change: raise n_steps, or, beside "
            "a class with a logit such as -1e9, explain the output itself (explained='output')."
        )
    remedy = (
        "raise n_steps."
        if method in ("integrated_gradients", "IntegratedGradients")
        else f"{method} ranks latents here, its sizes are no shares."
    )
    return f"Attributions miss the change of output by {error:.1%}: {remedy}"


def _of_classes(weighed: Weighed) -> str:
    both = (weighed.metrics.get(name, 0.0) for name in ("class_dependence", "class_told"))
    if not weighed.judges_classes or not min(both) > MOST_CLASS_DEPENDENCE:
        return ""
    dependence = weighed.metrics["class_dependence"]
    return (
        f"The class all but tells the strongest latent (class dependence {dependence:.2f}): each "
        "class has an axis of its own, so that the explanation says little more than the class. "
        "Look along axes that classes share (explanatory_axes), or weaken the penalty."
    )


def _of_recurrence(weighed: Weighed) -> str:
    found = weighed.recurrence
    if found is None or not bool(weighed.shares.any()):
        return ""
    share = float(weighed.shares[list(found.recurring)].sum())
    if not share < LEAST_RECURRING:
        return ""
    return (
        f"The codes disagree: the latents that recur in at least {found.least} of {found.codes} "
        f"codes carry {share:.0%} of the evidence, so that another training would explain "
        "otherwise. Train with more epochs or data, or ask for fewer latents."
    )
