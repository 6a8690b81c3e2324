"""What a predictor adds to any training: the prediction loss and the penalties."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from attributions.checks import check_counts
from attributions.measures.fidelity import agreement, prediction_kl
from attributions.methods.gradients import stratified
from attributions.outputs import Contrast, by_decision
from attributions.penalties.protocol import Penalty, Step, check_penalties, weighted_sum
from attributions.predictors import Predictor
from attributions.replicas import frozen
from attributions.trim import Trim
from attributions.twice import twice_differentiable
from trimvae.models.saved import TrainableCode

Terms = dict[str, Tensor]


class ThroughClassifier:
    r"""A frozen predictor behind the decoder of a code in training.

    $$ w\, L(f(x), f(D(z))) + \sum_p w_p\, p(\text{contributions}) $$

    It is no module: the predictor's replica is neither trained, moved, counted nor saved with the
    code. The replica goes where the code is, by itself.

    Args:
        code: In training.
        predictor: None for a plain training.
        prediction_weight: $w$; 0 for no prediction loss.
        penalties: Any number.
        examples: Of a batch that the penalties see; default: a quarter, at least 8.
        n_steps: Random points on each example's path.
        every: Penalties join every so many steps, with as many times the weight.
        residual: Whether they see the predictor at decoder plus residual.

    Raises:
        TypeError: `penalties` holds something else.
        ValueError: A number is out of range, or the predictor is missing.
    """

    def __init__(
        self,
        code: TrainableCode,
        predictor: Predictor | None,
        *,
        prediction_weight: float,
        penalties: Sequence[Penalty] = (),
        examples: int | None = None,
        n_steps: int = 4,
        every: int = 1,
        residual: bool = False,
    ) -> None:
        if not prediction_weight >= 0:
            raise ValueError(
                f"`prediction_weight` must be at least 0. Got {prediction_weight}. Use 20."
            )
        self.penalties = check_penalties(penalties)
        if predictor is None and (prediction_weight or penalties):
            raise ValueError(
                "`predictor` must be given for a prediction loss or penalties. Got None. "
                "Pass the classifier, or leave prediction_weight and penalties out."
            )
        check_counts(penalty_n_steps=n_steps, penalty_every=every)
        if examples is not None:
            check_counts(penalty_examples=examples)
        self.code = code
        self.predictor = predictor
        self.prediction_weight = prediction_weight
        self.wanted, self.n_steps, self.every, self.residual = examples, n_steps, every, residual
        self._trims: dict[tuple[torch.device, torch.dtype], Trim] = {}

    @property
    def trim(self) -> Trim:
        """The predictor's replica, where training runs, after the code's decoder.

        Raises:
            RuntimeError: There is no predictor.
        """
        if self.predictor is None:
            raise RuntimeError("`predictor` must be given to look through it. Got None. Pass one.")
        parameter = next(self.code.parameters())
        place = parameter.device, parameter.dtype
        if place not in self._trims:
            # Another replica: a caller's own `Predictor` stays where it is.
            replica = _placed(frozen(self.predictor), parameter)
            self._trims = {place: Trim(replica, self.code.decode)}
        return self._trims[place]

    def outputs(self, inputs: Tensor) -> Tensor:
        """The predictor's logits at inputs, which are targets: without a graph."""
        with torch.no_grad():
            logits: Tensor = self.trim.predictor(inputs)
            return logits

    def fingerprint(self, example: Tensor) -> list[float] | None:
        """By what a predictor is known again: its logits at a curve from 0 to 1 of that shape.

        At a constant input, such as all 0.5, what stands before a predictor could make it 0, where
        nothing but biases are seen.
        """
        if self.predictor is None:
            return None
        line = torch.linspace(0, 1, example.numel(), device=example.device)
        curve = line.square().reshape(example.shape)
        device = next(self.code.parameters()).device
        logits = self.outputs(curve.to(device=device, dtype=example.dtype))
        return [float(logit) for logit in logits.flatten()]

    def penalises(self, step: int) -> bool:
        """Whether the penalties join this step."""
        return bool(self.penalties) and step % self.every == 0

    def prediction(self, outputs: Tensor, reconstructions: Tensor) -> Tensor:
        """Prediction loss, unweighted: the reconstruction must receive the input's own output.

        The KL of the two distributions for a classifier, summed over labels where there are
        several; squared error for a regression.
        """
        return self._distance(outputs, self.trim.predictor(reconstructions))

    def weighted_prediction(self, outputs: Tensor, reconstructions: Tensor, terms: Terms) -> Tensor:
        """Prediction loss with its weight; its value goes to `terms`."""
        terms["prediction"] = self.prediction(outputs, reconstructions)
        return self.prediction_weight * terms["prediction"]

    def kept(self, inputs: Tensor, reconstructions: Tensor) -> Terms:
        """Prediction loss and agreement of held-out inputs, by name; empty without a predictor."""
        if self.predictor is None:
            return {}
        outputs, reencoded = self.outputs(inputs), self.outputs(reconstructions)
        return {
            "prediction": self._distance(outputs, reencoded),
            "agreement": agreement(
                *self._by_decision(outputs, reencoded), regression=self._of_quantities
            ),
        }

    @property
    def _of_quantities(self) -> bool:
        return self.trim.predictor.task == "regression"

    def _by_decision(self, *outputs: Tensor) -> list[Tensor]:
        return [by_decision(each, self.trim.predictor.task) for each in outputs]

    def _distance(self, outputs: Tensor, reencoded: Tensor) -> Tensor:
        if self._of_quantities:
            return F.mse_loss(reencoded, outputs)
        decided, again = self._by_decision(outputs, reencoded)
        return prediction_kl(decided, again) * (len(decided) / len(outputs))

    def examples(self, batch: int, processes: int = 1) -> int:
        """How many examples of this process' batch the penalties see."""
        wanted = self.wanted or max(8, batch * processes // 4)
        return -(-wanted // processes)

    def step(
        self,
        inputs: Tensor,
        latents: Tensor,
        outputs: Tensor,
        *,
        noise: Tensor,
        generator: torch.Generator,
        encode: Callable[[Tensor], Tensor],
        baselines: Tensor | None = None,
    ) -> Step:
        """What the penalties see of a training step.

        Args:
            inputs: `(examples, *event)`.
            latents: `(examples, latents)`.
            outputs: `(examples, classes)`, logits whose largest is the class explained.
            noise: `(examples, n_steps)`, uniform in [0, 1], which places the points on the paths.
            generator: Of whatever a penalty draws.
            encode: Inputs to latents.
            baselines: `(examples, latents)`, where paths start; default: 0.
        """
        single = isinstance(self.trim.predictor.explained, Contrast) or outputs.shape[1] == 1
        return Step(
            trim=self.trim,
            encode=encode,
            inputs=inputs,
            latents=latents,
            target=0 if single else outputs.argmax(dim=1),
            alphas=stratified(noise).to(latents.dtype),
            generator=generator,
            residual=self.trim.residual(inputs, latents) if self.residual else None,
            baselines=baselines,
        )

    def penalty(self, step: Step, terms: Terms) -> Tensor:
        """All penalties of a step, weighted; their values go to `terms`.

        Batch normalisation holds its statistics meanwhile: attributions of an example must not
        depend on the others of its batch.
        """
        with statistics_fixed(self.code), twice_differentiable():
            return weighted_sum(self.penalties, step, terms, self.every)


@contextmanager
def statistics_fixed(module: nn.Module) -> Iterator[None]:
    """Let batch normalisation use, and leave, its running statistics for the length of a block.

    Otherwise each example's attributions would depend on the others of its batch, and images along
    a path would count in the statistics.
    """
    layers = [
        layer for layer in module.modules() if isinstance(layer, _BatchNorm) and layer.training
    ]
    for layer in layers:
        layer.training = False
    try:
        yield
    finally:
        for layer in layers:
            layer.training = True


def _placed(predictor: Predictor, parameter: Tensor) -> Predictor:
    """Move a replica to a parameter's device, and into its precision if it has another."""
    precisions = {own.dtype for own in predictor.parameters() if own.is_floating_point()}
    predictor.to(parameter.device)
    return predictor if precisions <= {parameter.dtype} else predictor.to(parameter.dtype)
