"""The training of a generator that learns by a game, as a Lightning module."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from attributions.codes import with_noise_of
from attributions.penalties.independence import Independence
from attributions.penalties.information import InformationFlow
from attributions.replicas import frozen
from trimvae.data.loading import inputs_of
from trimvae.models.generative import GenerativeCode, Update, can_infer
from trimvae.objectives import Objective
from trimvae.training.base import Training
from trimvae.training.lightning import check_finite
from trimvae.training.remembering import split_numbers
from trimvae.training.through_classifier import Terms, statistics_fixed

_VALIDATION = -1  # in place of a step, in the seed of what validation draws


class GameTraining(Training):
    """A generative code and its game; prediction loss and penalties join one of its updates.

    They see the latents that the code infers from real images (each image drawn again must
    receive the same prediction), or, where nothing infers latents, latents drawn from the prior.
    Paths start at the code's own baseline; noise does not move along them.

    Each process draws for itself and sees its share of the data. Gradients are averaged over the
    processes, so that all of them keep the same weights.

    Args:
        code: The game's, trained in place.
        predictor: To be explained: an `attributions.predictors.Predictor`, which says what of it
            is explained, or a module or function, whose centred logits are; default: none, for a
            plain training.
        objective: None: a game has losses of its own.
        prediction_weight: Weight of the prediction loss; default: the recipe's with a predictor.
        penalties: Such as `Sparsity()`.
        learning_rate: The largest of the updates' rates, the others in proportion; default:
            their own.
        schedule: `"one_cycle"` over the whole training, or `"constant"`; default: constant.
        penalty_examples: Examples of a batch that penalties see; default: a quarter, at least 8.
        penalty_n_steps: Random points on each example's path.
        penalty_every: Penalties join every so many steps, with as many times the weight; default:
            every step.
        penalty_residual: Whether penalties see the predictor at decoder plus residual, held fixed
            along each path; otherwise at the decoder alone.
        seed: Of all that is drawn.
    """

    code: GenerativeCode

    def take(self, objective: Objective | None) -> None:
        """Refuse an objective, and whatever else is made for a VAE."""
        self.automatic_optimization = False
        self._updates = list(self.code.updates())
        kind = type(self.code).__name__
        if objective is not None:
            raise ValueError(
                f"`objective` must be left out for {_article(kind)}, whose losses are those of its "
                f"game. Got {objective!r}. Leave it out, or train a VAE."
            )
        for penalty in self.through.penalties:
            if isinstance(penalty, Independence | InformationFlow):
                raise ValueError(
                    "`penalties` must be of attributions or of the decoder: encoder and prior of "
                    f"{_article(kind)} are not a VAE's. Got {penalty!r}. Use Sparsity or "
                    "GroupSparsity."
                )
        if can_infer(self.code):
            return
        for name, none, value in (
            ("prediction_weight", 0, self.through.prediction_weight),
            ("penalty_residual", False, self.through.residual),
        ):
            if value:
                raise ValueError(
                    f"`{name}` must be {none} for {_article(kind)}, which has no encoder to draw "
                    f"real images again in training. Got {value}. Use penalties."
                )

    @property
    def hides_the_class(self) -> bool:
        """Whether penalties go without the prediction loss that this code could have."""
        return super().hides_the_class and can_infer(self.code)

    def configure_optimizers(self) -> Any:
        """One Adam for each update, but those that share an earlier one's."""
        owners = [update for update in self._updates if update.shares is None]
        largest = max(update.learning_rate for update in owners)
        scale = 1.0 if self.learning_rate is None else self.learning_rate / largest
        optimizers = [
            torch.optim.Adam(
                parameters_of(update), lr=scale * update.learning_rate, betas=update.betas
            )
            for update in owners
        ]
        if self.schedule == "constant":
            return optimizers
        steps = self.one_cycle_steps()
        schedulers = [
            torch.optim.lr_scheduler.OneCycleLR(
                optimizer,
                scale * update.learning_rate,
                total_steps=steps,
                cycle_momentum=False,  # a game's momenta are part of its balance
            )
            for optimizer, update in zip(optimizers, owners, strict=True)
        ]
        return optimizers, schedulers

    def training_step(self, batch: Any, batch_index: int) -> None:
        """All updates of one batch."""
        batch, numbers = split_numbers(batch)
        inputs, step = inputs_of(batch), int(self.code.batches)
        looks = self.looks(batch_index)
        if looks:
            self.code.check_inputs(inputs)
        _check_enough(self.code, inputs)
        logged: Terms = {}
        optimizers = self._optimizers()
        for index, update in enumerate(self._updates):
            if step % update.every:
                continue
            generator = self._drawing(inputs.device, step, index)
            total, terms = update.loss(inputs, generator)
            if update.explains:
                total = total + self._explained(inputs, generator, step, terms, numbers)
            if looks:
                remedy = f"at batch {step}. Lower `learning_rate` or the weights."
                check_finite(total, terms, "fit", remedy)
            self._descend(optimizers[update.shares or update.name], total, parameters_of(update))
            logged |= terms
        self.code.batches += 1
        self.code.after_batch()
        if self.schedule != "constant":
            for scheduler in _as_list(self.lr_schedulers()):
                scheduler.step()
        self._log.add(self, logged, len(inputs))

    def validation_step(self, batch: Any, batch_index: int) -> None:
        """How well held-out images are drawn again, or the game's losses where nothing infers."""
        inputs = inputs_of(batch)
        self.code.check_inputs(inputs)
        generator = self._drawing(inputs.device, _VALIDATION, batch_index)
        # A replica: what it averages over batches is not the code's own.
        code = frozen(self.code)
        if can_infer(code):
            reconstructions = code.decode(code.inferred(inputs, generator))
            missed = (reconstructions - inputs).pow(2).flatten(1).sum(dim=1).mean()
            terms = {"squared_error": missed, **self.through.kept(inputs, reconstructions)}
        else:
            terms = {}
            for update in code.updates():
                if update.every == 1:
                    with torch.enable_grad():  # a game may need gradients for its loss alone
                        terms |= update.loss(inputs, generator)[1]
        self.log_validation(terms, len(inputs))

    def _explained(
        self,
        inputs: Tensor,
        generator: torch.Generator,
        step: int,
        terms: Terms,
        numbers: "np.ndarray[Any, Any] | None" = None,
    ) -> Tensor:
        """Weighted prediction loss and penalties; their values go to `terms`."""
        through, total = self.through, inputs.new_zeros(())
        penalised = through.penalises(step)
        if not (through.prediction_weight or penalised):
            return total
        with statistics_fixed(self.code):
            count = through.examples(len(inputs), self.world()[0])
            if can_infer(self.code):
                latents = self.code.inferred(inputs, generator)
            else:
                latents = self.code.draw(count, generator)
            if through.prediction_weight:
                outputs, drawn = self.outputs_at(inputs, numbers), self.code.decode(latents)
                total = total + through.weighted_prediction(outputs, drawn, terms)
            if penalised:
                inputs, latents = inputs[:count], latents[:count]
                total = total + self._penalty(inputs, latents, generator, terms)
        return total

    def _penalty(
        self, inputs: Tensor, latents: Tensor, generator: torch.Generator, terms: Terms
    ) -> Tensor:
        """Penalties on paths from the code's baseline, of the class that the latents draw."""
        with torch.no_grad():
            outputs = self.through.outputs(self.code.decode(latents))
        shape = (len(latents), self.through.n_steps)
        starts = self.code.baseline(1).expand_as(latents)
        step = self.through.step(
            inputs,
            latents,
            outputs,
            noise=torch.rand(shape, generator=generator, device=latents.device),
            generator=generator,
            encode=lambda some: self.code.inferred(some, generator),
            baselines=with_noise_of(self.code, starts, latents),
        )
        return self.through.penalty(step, terms)

    def _descend(self, optimizer: Any, total: Tensor, own: Sequence[nn.Parameter]) -> None:
        """One step of an optimiser on its own weights; gradients reach nothing else.

        Several partial backward passes a batch are not what DistributedDataParallel is made for, so
        that gradients are averaged here.
        """
        scaled = self.trainer.precision_plugin.pre_backward(total, self)
        gradients = torch.autograd.grad(scaled, own, allow_unused=True)
        world, _ = self.world()
        for parameter, gradient in zip(own, gradients, strict=True):
            parameter.grad = gradient
            if gradient is not None and world > 1:
                parameter.grad = gradient.clone(memory_format=torch.contiguous_format) / world
                torch.distributed.all_reduce(parameter.grad)
        optimizer.step()

    def _optimizers(self) -> dict[str, Any]:
        """Each by the name of the update that owns it."""
        owners = [update.name for update in self._updates if update.shares is None]
        return dict(zip(owners, _as_list(self.optimizers()), strict=True))

    def _drawing(self, device: torch.device, step: int, index: int) -> torch.Generator:
        """Randomness of a batch and one of its updates, another one in each process."""
        _, rank = self.world()
        return self.generator(device, step, index, *([rank] if rank else []))


def parameters_of(update: Update) -> list[nn.Parameter]:
    """What an update moves."""
    return [
        parameter
        for module in update.modules
        for parameter in module.parameters()
        if parameter.requires_grad
    ]


def _check_enough(code: GenerativeCode, inputs: Tensor) -> None:
    """Refuse a single example where batch normalisation needs several."""
    if len(inputs) < 2 and any(isinstance(layer, _BatchNorm) for layer in code.modules()):
        raise ValueError(
            f"`data` must give {_article(type(code).__name__)} 2 examples a step or more. Got 1. "
            "Use a larger batch_size, or drop an incomplete last batch."
        )


def _as_list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'AEIO' else 'a'} {kind}"
