"""The training of a VAE through a frozen predictor, as a Lightning module."""

import copy
from collections.abc import Sequence
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F

from attributions import Penalty, Trim, agreement, prediction_kl
from attributions.code_penalties import CodePenalty, Step, as_penalties, weighted_sum
from attributions.gradients import stratified
from attributions.predictors import Function
from attributions.trim import Contrast, Explained
from trimvae.lightning_support import RecentPosteriors, TermLog, check_finite
from trimvae.loading import contexts_of, inputs_of, mix, size_of
from trimvae.objectives import BetaVAE, FactorVAE, Objective, Pass, kl, permuted, reconstruction
from trimvae.vae import VAE

Task = Literal["classification", "regression"]
Schedule = Literal["one_cycle", "constant"]


class VAETraining(L.LightningModule):
    r"""The training of a VAE through a frozen predictor, for your own Lightning `Trainer`.

    $$ \text{objective} + w\, L(f(x), f(D(z))) + \sum_p w_p\, p(\text{contributions}) $$

    The prediction loss $L$ asks that the reconstruction gets the predictor's own output: the KL
    of the two distributions for a classifier, squared error for a regression. Labels are never
    used. The penalties see contributions along the path from the prior mean to the sampled
    latents, of the predicted class, without residual unless asked. They are lazily applied: on
    every `penalty_every`-th step, with as many times the weight, on the first
    `penalty_examples` of the batch and `penalty_points` random points per path.

    All randomness is drawn from seed and step, so that a resumed run repeats an uninterrupted
    one and several processes together repeat a single one.

    References:
        Singh et al.: Transformation Importance, 2020, https://arxiv.org/abs/2003.01926 (training
        with attributions and prediction loss); Karras et al.: StyleGAN2, 2020,
        https://arxiv.org/abs/1912.04958 (lazy regularisation).

    Args: See `fit`.
    """

    def __init__(
        self,
        vae: VAE,
        predictor: Function | None,
        *,
        objective: Objective | None = None,
        prediction_weight: float = 20.0,
        penalties: Sequence[Penalty | CodePenalty | str] = (),
        preprocess: Function | None = None,
        explained: Explained = "centred_logit",
        probabilities: bool = False,
        task: Task = "classification",
        learning_rate: float = 3e-3,
        schedule: Schedule = "one_cycle",
        penalty_examples: int | None = None,
        penalty_points: int = 4,
        penalty_every: int = 4,
        penalty_residual: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.penalties = as_penalties(penalties)
        _check_options(predictor, prediction_weight, self.penalties, penalty_points, penalty_every)
        self.vae = vae
        self.objective = objective if objective is not None else BetaVAE()
        # Registered, so that its discriminator is trained, moved and saved with the VAE.
        self.adversary = adversary_of(self.objective)
        if self.adversary is not None:
            self.adversary.build(vae.latent_size)
        self.prediction_weight = prediction_weight
        self.task = task
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.penalty_examples = penalty_examples
        self.penalty_points = penalty_points
        self.penalty_every = penalty_every
        self.penalty_residual = penalty_residual
        self.seed = seed
        self.explained = explained
        self.probabilities = probabilities
        # In tuple and list, so that Lightning neither trains, moves, counts nor saves them.
        self._functions = (predictor, preprocess)
        self._trim: list[Trim] = []
        self._recent = RecentPosteriors()
        self._log = TermLog()

    @property
    def trim(self) -> Trim:
        """The predictor (where training runs) after this VAE's decoder."""
        if not self._trim:
            predictor, preprocess = self._functions
            parameter = next(self.vae.parameters())
            self._trim.append(
                Trim(
                    _placed(predictor, parameter),
                    self.vae.decode,
                    preprocess=_placed(preprocess, parameter),
                    explained=self.explained,
                    probabilities=self.probabilities,
                )
            )
        return self._trim[0]

    def on_fit_start(self) -> None:
        """Forget a predictor placed on another device."""
        self._trim.clear()

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        """One step: objective, prediction loss and, now and then, the penalties."""
        inputs = inputs_of(batch)
        self.vae.check_inputs(inputs)
        contexts = contexts_of(batch) if self.vae.conditional else None
        second = None
        if self.adversary is not None:
            inputs, contexts, second = self._second_batch(inputs, contexts)
        posterior = self.vae.posterior_given(inputs, contexts)
        prior = self.vae.prior_given(contexts)
        latents = self._sampled(posterior)
        observation = self.vae.observe(latents)
        total, terms = self.objective(
            Pass(
                inputs,
                posterior,
                prior,
                latents,
                observation,
                size_of(self._trainer),
                self.global_step,
                second,
            )
        )
        terms = dict(terms)
        penalised = bool(self.penalties) and self.global_step % self.penalty_every == 0
        if self.prediction_weight or penalised:
            with torch.no_grad():
                outputs = self.trim.logits(inputs)
        if self.prediction_weight:
            terms["prediction"] = self._prediction_loss(outputs, observation.mean)
            total = total + self.prediction_weight * terms["prediction"]
        if penalised:
            step = self._penalty_step(inputs, latents, outputs)
            total = total + weighted_sum(self.penalties, step, terms, self.penalty_every)
        remedy = f"at step {self.global_step}. Lower `learning_rate` or the weights."
        check_finite(total, terms, "fit", remedy)
        self._log.add(self, {"loss": total, **terms}, len(inputs))
        self._log_decomposition(posterior, prior)
        return total

    def validation_step(self, batch: Any, batch_index: int) -> None:
        """Reconstruction, KL, prediction loss and agreement at the posterior means."""
        inputs = inputs_of(batch)
        self.vae.check_inputs(inputs)
        contexts = contexts_of(batch) if self.vae.conditional else None
        posterior = self.vae.posterior_given(inputs, contexts)
        observation = self.vae.observe(posterior.mean)
        terms = {
            "reconstruction": reconstruction(inputs, observation),
            "kl": kl(posterior, self.vae.prior_given(contexts)),
        }
        if self._functions[0] is not None:
            outputs, reencoded = self.trim.logits(inputs), self.trim.logits(observation.mean)
            terms["prediction"] = self._prediction_loss(outputs, observation.mean)
            terms["agreement"] = agreement(outputs, reencoded, regression=self.task == "regression")
        self.log_dict(
            {f"validation_{name}": value for name, value in terms.items()},
            prog_bar=True,
            sync_dist=True,
            batch_size=len(inputs),
        )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam, by default under one cosine cycle over the whole run.

        A discriminator has a group of its own, with its own learning rate and momentum.
        """
        groups: list[dict[str, Any]] = [
            {"params": list(self.vae.parameters()), "lr": self.learning_rate}
        ]
        momenta = [(0.85, 0.95)]  # PyTorch's own for one cycle
        if self.adversary is not None:
            parameters = list(self.adversary.parameters())
            rate, betas = self.adversary.learning_rate, self.adversary.betas
            groups.append({"params": parameters, "lr": rate, "betas": betas})
            momenta.append((betas[0], betas[0]))
        optimizer = torch.optim.Adam(groups)
        if self.schedule == "constant":
            return optimizer
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            [group["lr"] for group in groups],
            total_steps=int(self.trainer.estimated_stepping_batches) + 1,
            base_momentum=[low for low, _ in momenta],
            max_momentum=[high for _, high in momenta],
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Mark the checkpoint as ours."""
        checkpoint["trimvae"] = {"latent_size": self.vae.latent_size}

    def _prediction_loss(self, outputs: Tensor, reconstructions: Tensor) -> Tensor:
        reencoded = self.trim.logits(reconstructions)
        if self.task == "regression":
            return F.mse_loss(reencoded, outputs)
        return prediction_kl(outputs, reencoded)

    def _sampled(self, posterior: Normal, use: int = 0) -> Tensor:
        return posterior.mean + posterior.stddev * self._noise(posterior.mean, use)

    def _second_batch(
        self, inputs: Tensor, contexts: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Half of the examples, and codes of the other half, each latent shuffled on its own."""
        if len(inputs) < 2:
            raise ValueError(
                "`data` must give FactorVAE 2 examples a step or more. Got 1. "
                "Use a larger batch_size, or drop an incomplete last batch."
            )
        inputs, others = inputs.chunk(2)
        context, other = (None, None) if contexts is None else contexts.chunk(2)
        with torch.no_grad():
            latents = self._sampled(self.vae.posterior_given(others, other), 3)
        generator = self._generator(latents.device, 4 + self._world()[1])
        return inputs, context, permuted(latents, generator)

    def _log_decomposition(self, posterior: Normal, prior: Normal) -> None:
        """Mutual information, total correlation and dimension-wise KL, once an epoch."""
        self._recent.add(posterior, prior)
        if self._trainer is None or not self.trainer.is_last_batch:
            return
        generator = self._generator(posterior.mean.device, 1000 + self._world()[1])
        parts = self._recent.decomposition(size_of(self._trainer), generator)
        if parts is not None:
            self.log_dict(parts._asdict(), on_step=False, on_epoch=True, batch_size=1)

    def _noise(self, like: Tensor, use: int = 0) -> Tensor:
        """Reparametrisation noise: this process' share of what a single one would draw."""
        world, rank = self._world()
        generator = self._generator(like.device, use)
        noise = torch.randn(
            (world * len(like), *like.shape[1:]), generator=generator, device=like.device
        )
        return noise[rank::world].to(like.dtype)

    def _penalty_step(self, inputs: Tensor, latents: Tensor, outputs: Tensor) -> Step:
        world, rank = self._world()
        examples = self.penalty_examples or max(8, len(latents) * world // 4)
        examples = min(len(latents), -(-examples // world))
        points = self.penalty_points
        generator = self._generator(latents.device, 1)
        noise = torch.rand((world * examples, points), generator=generator, device=latents.device)[
            rank::world
        ]
        single = isinstance(self.explained, Contrast) or outputs.shape[1] == 1
        target = 0 if single else outputs[:examples].argmax(dim=1)
        return Step(
            trim=self.trim,
            encode=lambda some: self.vae.encode(some).mean,
            inputs=inputs[:examples],
            latents=latents[:examples],
            target=target,
            alphas=stratified(noise).to(latents.dtype),
            generator=self._generator(latents.device, 2 + rank),
            residual=self.trim.residual(inputs[:examples], latents[:examples])
            if self.penalty_residual
            else None,
        )

    def _world(self) -> tuple[int, int]:
        trainer = self._trainer
        return (1, 0) if trainer is None else (trainer.world_size, trainer.global_rank)

    def _generator(self, device: torch.device, use: int) -> torch.Generator:
        seed = mix(self.seed, self.global_step, use)
        return torch.Generator(device=device).manual_seed(seed)


def adversary_of(objective: Objective) -> FactorVAE | None:
    """Return the objective with a discriminator, itself or inside another."""
    inner = getattr(objective, "objective", objective)
    return inner if isinstance(inner, FactorVAE) else None


def _check_options(
    predictor: Function | None,
    prediction_weight: float,
    penalties: Sequence[Penalty | CodePenalty],
    penalty_points: int,
    penalty_every: int,
) -> None:
    if not prediction_weight >= 0:
        raise ValueError(
            f"`prediction_weight` must be at least 0. Got {prediction_weight}. Use 20."
        )
    if predictor is None and (prediction_weight or penalties):
        raise ValueError(
            "`predictor` must be given for a prediction loss or penalties. Got None. "
            "Pass the classifier, or prediction_weight=0 and no penalties for a plain VAE."
        )
    for name, value in {
        "penalty_points": penalty_points,
        "penalty_every": penalty_every,
    }.items():
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1. Got {value}. Use the default, 4.")


def _placed(function: Function | None, parameter: Tensor) -> Any:
    """Return the function itself, or a copy of a module where device or dtype is another."""
    if not isinstance(function, nn.Module):
        return function
    tensors = [*function.parameters(), *function.buffers()]
    if all(
        tensor.device == parameter.device
        and (not tensor.is_floating_point() or tensor.dtype == parameter.dtype)
        for tensor in tensors
    ):
        return function
    return copy.deepcopy(function).to(device=parameter.device, dtype=parameter.dtype)
