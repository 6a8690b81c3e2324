"""What the trainings of VAEs and of games share, as a Lightning module."""

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import lightning as L
import numpy as np
import torch
from torch import Tensor

from attributions.penalties.protocol import Penalty
from attributions.predictors import Function, Predictor
from attributions.twice import check_twice_differentiable
from trimvae.data.batches import mix
from trimvae.data.loading import inputs_of
from trimvae.models.recipe import Schedule
from trimvae.models.saved import TrainableCode
from trimvae.objectives import Objective
from trimvae.training.lightning import TermLog
from trimvae.training.reaching import Penalised, check_penalised
from trimvae.training.remembering import Remembered, split_numbers
from trimvae.training.through_classifier import ThroughClassifier

# Steps from one look at values to the next, where looking waits for a GPU.
_LOOK_EVERY = 50

_LOOPHOLE = (
    "`penalties` must be used with a prediction loss. Got prediction_weight=0: the cheapest way to "
    "simple attributions is then a decoder that hides the class from the predictor. "
    "Set prediction_weight, e.g. to 20."
)


class Training(L.LightningModule):
    """A code and all that `fit` was asked of its training; subclasses say what a step is.

    Args:
        code: Trained in place.
        predictor: To be explained: an `attributions.predictors.Predictor`, which says what of it
            is explained, or a module or function, whose centred logits are; default: none, for a
            plain training.
        objective: What a VAE minimises; a game refuses one.
        prediction_weight: Weight of the prediction loss; default: the recipe's with a predictor.
        penalties: Such as `Sparsity()`.
        learning_rate: Adam's largest; default: the recipe's.
        schedule: `"one_cycle"` over the whole training, or `"constant"`; default: the recipe's.
        penalty_examples: Examples of a batch that penalties see; default: a quarter, at least 8.
        penalty_n_steps: Random points on each example's path.
        penalty_every: Penalties join every so many steps, with as many times the weight; default:
            the recipe's.
        penalty_residual: Whether penalties see the predictor at decoder plus residual, held fixed
            along each path; otherwise at the decoder alone.
        penalised: What the penalties' gradient reaches, of a VAE that is seen along axes: `"both"`
            VAE and axes, `"axes"` or `"code"` alone, or `"alternating"`, one after the other. The
            other is held for the penalties; objective and prediction loss train the VAE as ever.
        seed: Of all that is drawn.
    """

    n_batches = 1
    """How many batches a step reads."""

    def __init__(
        self,
        code: TrainableCode,
        predictor: Predictor | Function | None = None,
        *,
        objective: Objective | None = None,
        prediction_weight: float | None = None,
        penalties: Sequence[Penalty] = (),
        learning_rate: float | None = None,
        schedule: Schedule | None = None,
        penalty_examples: int | None = None,
        penalty_n_steps: int = 4,
        penalty_every: int | None = None,
        penalty_residual: bool = False,
        penalised: Penalised = "both",
        seed: int = 0,
    ) -> None:
        super().__init__()
        recipe = code.recipe
        if prediction_weight is None:
            prediction_weight = 0.0 if predictor is None else recipe.prediction_weight
        if predictor is not None and not isinstance(predictor, Predictor):
            predictor = Predictor(predictor, explained="centred_logit")
        check_penalised(penalised, code)
        if not any(parameter.requires_grad for parameter in code.parameters()):
            raise ValueError(
                "`code` must have parameters to train. Got none that require a gradient. Call "
                "code.requires_grad_()."
            )
        self.code = code
        self.penalised: Penalised = penalised
        self.seed = seed
        self.schedule = _checked_schedule(schedule or recipe.schedule)
        self.learning_rate = recipe.learning_rate if learning_rate is None else learning_rate
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise ValueError(
                f"`learning_rate` must be above 0. Got {self.learning_rate}. Leave it out."
            )
        self.through = ThroughClassifier(
            code,
            predictor,
            prediction_weight=prediction_weight,
            penalties=penalties,
            examples=penalty_examples,
            n_steps=penalty_n_steps,
            every=recipe.penalty_every if penalty_every is None else penalty_every,
            residual=penalty_residual,
        )
        self.take(objective)
        self.asked: dict[str, Any] = {}
        """What a checkpoint records of this training; a resumed one must be asked for the same."""
        self.remember: Any = None
        """Data whose outputs are asked for once, when training starts; None to ask at each step."""
        self._remembered: Remembered | None = None
        self._log = TermLog()
        self._resumed = False

    def take(self, objective: Objective | None) -> None:
        """Prepare for an objective, or refuse it."""
        raise NotImplementedError

    @property
    def hides_the_class(self) -> bool:
        """Whether penalties meet no prediction loss that could keep the decoder honest."""
        return bool(self.through.penalties) and not self.through.prediction_weight

    def check_penalties(self, inputs: Tensor) -> None:
        """Refuse a predictor without second derivative, and warn of penalties alone."""
        if self.through.penalties and self.through.predictor is not None:
            few = inputs[:2].to(next(self.code.parameters()).device)
            check_twice_differentiable(self.through.trim.predictor, few)
        if self.hides_the_class:
            warnings.warn(_LOOPHOLE, UserWarning, stacklevel=3)

    @property
    def settings(self) -> dict[str, Any]:
        """What this training was asked for, in plain words and numbers."""
        through, predictor = self.through, self.through.predictor
        rate = self.learning_rate
        return {
            "objective": described(getattr(self, "objective", None)),
            "prediction_weight": float(through.prediction_weight),
            "penalties": [described(penalty) for penalty in through.penalties],
            "learning_rate": None if rate is None else float(rate),
            "schedule": self.schedule,
            "explained": None if predictor is None else described(predictor.explained),
            "task": None if predictor is None else predictor.task,
            "penalty_examples": through.wanted,
            "penalty_n_steps": through.n_steps,
            "penalty_every": through.every,
            "penalty_residual": through.residual,
            "penalised": self.penalised,
            "seed": self.seed,
        }

    def world(self) -> tuple[int, int]:
        """How many processes train, and which of them this is."""
        trainer = self._trainer
        return (1, 0) if trainer is None else (trainer.world_size, trainer.global_rank)

    def generator(self, device: torch.device, *numbers: int) -> torch.Generator:
        """Randomness of the seed and some numbers alone, such as step and use."""
        return torch.Generator(device=device).manual_seed(mix(self.seed, *numbers))

    def one_cycle_steps(self) -> int:
        """Length of a schedule over the whole training.

        Raises:
            ValueError: Nobody knows how long an epoch is.
        """
        steps = self.trainer.estimated_stepping_batches
        if not 0 < steps < float("inf"):
            raise ValueError(
                "`schedule` must be 'constant' for data of unknown length. Got 'one_cycle' and "
                "data without a length. Pass schedule='constant'."
            )
        return int(steps) + 1

    def log_validation(self, terms: Mapping[str, Tensor], examples: int) -> None:
        """Log held-out terms, averaged over batches and processes."""
        named = {f"validation_{name}": value.detach() for name, value in terms.items()}
        self.log_dict(named, prog_bar=True, sync_dist=True, batch_size=examples)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Mark the checkpoint as ours, with what was asked."""
        checkpoint["trimvae"] = {"asked": self.asked}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the position in the schedule, whose length is that of the training asked now."""
        self._resumed = True
        for state in checkpoint.get("lr_schedulers", ()):
            for name in ("total_steps", "_schedule_phases"):
                state.pop(name, None)
            state["last_epoch"] -= 1  # `on_train_start` takes the step again

    def looks(self, batch_index: int) -> bool:
        """Whether values are looked at in this step, to say what is wrong with them.

        A look waits for a GPU, so that there only the first, every fiftieth and an epoch's last
        step are looked at: NaN stays in the weights, and no checkpoint is written before.
        """
        last = self._trainer is not None and self.trainer.is_last_batch
        return self.device.type == "cpu" or batch_index % _LOOK_EVERY == 0 or last

    def outputs_at(self, inputs: Tensor, numbers: "np.ndarray[Any, Any] | None") -> Tensor:
        """The predictor's logits at inputs of a training step, remembered where they can be."""
        if self._remembered is None or numbers is None:
            return self.through.outputs(inputs)
        return self._remembered.at(numbers)

    def _ask(self, inputs: Tensor) -> Tensor:
        """The predictor's logits, in the precision in which batches arrive."""
        return self.through.outputs(self.trainer.precision_plugin.convert_input(inputs))

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """At the start of an epoch, see whether the predictor still says what is remembered."""
        rows, numbers = split_numbers(batch)
        if batch_idx == 0 and self._remembered is not None and numbers is not None:
            self._remembered.check(inputs_of(rows), numbers)

    def on_train_start(self) -> None:
        """Ask for the outputs to be remembered.

        After a resumption, take the learning rate from the schedule anew.
        """
        through = self.through
        if self.remember is not None and (through.prediction_weight or through.penalties):
            self._remembered = Remembered(self.remember, self._ask, self.device)
        found: Any = self.lr_schedulers() if self._resumed else None
        for scheduler in found if isinstance(found, list) else [found]:
            if scheduler is not None:
                scheduler.step()

    def on_train_epoch_end(self) -> None:
        """Let every process end with the statistics of the first."""
        if self.world()[0] > 1:
            for buffer in self.code.buffers():
                torch.distributed.broadcast(buffer, 0)


def described(thing: Any) -> str | None:
    """A thing as its `repr` has it, without addresses, which differ from run to run."""
    return None if thing is None else re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))


def _checked_schedule(schedule: Schedule) -> Schedule:
    if schedule not in get_args(Schedule):
        raise ValueError(
            f"`schedule` must be one of {get_args(Schedule)}. Got {schedule!r}. Leave it out."
        )
    return schedule
