"""The training of a VAE through a frozen predictor, as a Lightning module."""

from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.distributions import Normal
from torch.nn.modules.loss import _Loss

from trimvae.data.loading import contexts_of, inputs_of, size_of
from trimvae.models.vae import VAE
from trimvae.objectives import BetaVAE, FactorVAE, Objective, Pass, kl, permuted, reconstruction
from trimvae.training.base import Training
from trimvae.training.lightning import check_finite
from trimvae.training.posteriors import RecentPosteriors
from trimvae.training.reaching import idle, only_reaching, reached_now
from trimvae.training.remembering import split_numbers
from trimvae.training.through_classifier import Terms

# What randomness is for: each use draws from a generator of its own.
_NOISE, _PATHS, _PENALTIES, _SECOND_BATCH, _SHUFFLE, _DECOMPOSITION = 0, 1, 2, 3, 4, 1000


class VAETraining(Training):
    r"""The training of a VAE through a frozen predictor, for your own Lightning `Trainer`.

    $$ \text{objective} + w\, L(f(x), f(D(z))) + \sum_p w_p\, p(\text{contributions}) $$

    The prediction loss $L$ asks that the reconstruction receives the same prediction as the input:
    the KL of the two distributions for a classifier, squared error for a regression. Labels are
    never used. The penalties see contributions along the path from the prior mean to the sampled
    latents, of the predicted class, without residual unless asked. Of a VAE that is seen along axes
    they see contributions of the axes; all else is that of its own latents. They are lazily
    applied: on every `penalty_every`-th step, with as many times the weight, on the first
    `penalty_examples` of the batch and `penalty_n_steps` random points per path.

    All randomness is drawn from seed and step, so that a resumed run repeats an uninterrupted
    one and several processes together repeat a single one.

    References:
        Singh et al.: Transformation Importance, 2020, https://arxiv.org/abs/2003.01926 (training
        with attributions and prediction loss); Karras et al.: StyleGAN2, 2020,
        https://arxiv.org/abs/1912.04958 (lazy regularisation).

    Args:
        code: The VAE, trained in place.
        predictor: To be explained: an `attributions.predictors.Predictor`, which says what of it
            is explained, or a module or function, whose centred logits are; default: none, for a
            plain training.
        objective: What the VAE minimises; default: `BetaVAE()`.
        prediction_weight: Weight of the prediction loss; default: 20 with a predictor.
        penalties: Such as `Sparsity()` and `Monotonicity()`.
        learning_rate: Adam's, at the peak of the schedule; default: 3e-3.
        schedule: `"one_cycle"` over the whole training, or `"constant"`; default: one cycle.
        penalty_examples: Examples of a batch that penalties see; default: a quarter, at least 8.
        penalty_n_steps: Random points on each example's path.
        penalty_every: Penalties join every so many steps, with as many times the weight; default:
            every 4.
        penalty_residual: Whether penalties see the predictor at decoder plus residual, held fixed
            along each path; otherwise, as the prediction loss does, at the decoder alone.
        penalised: What the penalties' gradient reaches, of a VAE that is seen along axes: `"both"`
            VAE and axes, `"axes"` or `"code"` alone, or `"alternating"`, one after the other. The
            other is held for the penalties; objective and prediction loss train the VAE as ever.
        seed: Of noise and path points.
    """

    code: VAE

    def take(self, objective: Objective | None) -> None:
        """Minimise this objective; one with a discriminator has that trained beside the VAE."""
        wrong = isinstance(objective, type | _Loss)  # torch's losses compare two tensors
        if wrong or not (objective is None or callable(objective)):
            raise TypeError(
                f"`objective` must be an objective such as BetaVAE(beta=4). Got {objective!r}. "
                "Make one, or leave it out."
            )
        self.objective: Objective = BetaVAE() if objective is None else objective
        # Registered, so that its discriminator is trained, moved and saved with the VAE.
        self.adversary = adversary_of(self.objective)
        if self.adversary is not None:
            with torch.random.fork_rng(devices=()):
                self.adversary.build(self.code.latent_size)
            self.n_batches = self.adversary.n_batches
        self._recent = RecentPosteriors()

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        """One step: objective, prediction loss and, now and then, the penalties."""
        batch, numbers = split_numbers(batch)
        looks = self.looks(batch_index)
        inputs, contexts = self._inputs_of(batch, looks=looks)
        second = None
        if self.adversary is not None:
            inputs, contexts, second = self._second_batch(inputs, contexts)
            numbers = None if numbers is None else numbers[: len(inputs)]
        code = self.code.unturned
        posterior, prior = code.posterior_given(inputs, contexts), code.prior_given(contexts)
        latents = self._sampled(posterior)
        observation = code.observe(latents)
        size, step = size_of(self._trainer), self.global_step
        total, terms = self.objective(
            Pass(inputs, posterior, prior, latents, observation, size, step, second)
        )
        terms = dict(terms)
        total = total + self._explained(inputs, latents, observation.mean, terms, numbers)
        total = total + idle(self.code.axes)
        if looks:
            remedy = f"at step {step}. Lower `learning_rate` or the weights."
            check_finite(total, terms, "fit", remedy)
        self._log.add(self, {"loss": total, **terms}, len(inputs))
        self._log_decomposition(posterior, prior)
        return total

    def backward(self, loss: Tensor, *_: Any, **options: Any) -> None:
        """Let gradients land on what is trained, and on nothing that a function brought along."""
        own = [parameter for parameter in self.parameters() if parameter.requires_grad]
        torch.autograd.backward(loss, inputs=own, **options)

    def validation_step(self, batch: Any, batch_index: int) -> None:
        """Reconstruction, KL, prediction loss and agreement at the posterior means."""
        inputs, contexts = self._inputs_of(batch)
        code = self.code.unturned
        posterior = code.posterior_given(inputs, contexts)
        observation = code.observe(posterior.mean)
        terms = {
            "reconstruction": reconstruction(inputs, observation),
            "kl": kl(posterior, code.prior_given(contexts)),
            **self.through.kept(inputs, observation.mean),
        }
        self.log_validation(terms, len(inputs))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam, by default under one cosine cycle over the whole run.

        A discriminator has a group of its own, with its own learning rate and momentum.
        """
        groups: list[dict[str, Any]] = [
            {"params": list(self.code.parameters()), "lr": self.learning_rate}
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
            total_steps=self.one_cycle_steps(),
            base_momentum=[low for low, _ in momenta],
            max_momentum=[high for _, high in momenta],
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _inputs_of(self, batch: Any, *, looks: bool = True) -> tuple[Tensor, Tensor | None]:
        inputs = inputs_of(batch)
        if looks:
            self.code.check_inputs(inputs)
        return inputs, contexts_of(batch) if self.code.conditional else None

    def _explained(
        self,
        inputs: Tensor,
        latents: Tensor,
        reconstructions: Tensor,
        terms: Terms,
        numbers: "np.ndarray[Any, Any] | None" = None,
    ) -> Tensor:
        """Weighted prediction loss and penalties at the VAE's own latents; values go to `terms`."""
        through, total = self.through, latents.new_zeros(())
        penalised = through.penalises(self.global_step)
        if not (through.prediction_weight or penalised):
            return total
        outputs = self.outputs_at(inputs, numbers)
        if through.prediction_weight:
            total = total + through.weighted_prediction(outputs, reconstructions, terms)
        if penalised:
            count = min(len(latents), through.examples(len(latents), self.world()[0]))
            total = total + self._penalty(inputs[:count], latents[:count], outputs[:count], terms)
        return total

    def _penalty(self, inputs: Tensor, latents: Tensor, outputs: Tensor, terms: Terms) -> Tensor:
        """Weighted penalties, along the axes if there are any; their values go to `terms`."""
        through, axes = self.through, self.code.axes
        reached = reached_now(self.penalised, self.global_step // through.every)
        with only_reaching(self.code, reached):
            starts = None
            if axes is not None:
                latents = axes(latents.detach() if reached == "axes" else latents)
                starts = self.code.baseline(len(latents))
            step = through.step(
                inputs,
                latents,
                outputs,
                noise=self._uniform(len(latents), latents.device),
                generator=self._drawing(latents.device, _PENALTIES + self.world()[1]),
                encode=lambda some: self.code.encode(some).mean,
                baselines=starts,
            )
            return through.penalty(step, terms)

    def _sampled(self, posterior: Normal, use: int = _NOISE) -> Tensor:
        return posterior.mean + posterior.stddev * self._normal(posterior.mean, use)

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
            posterior = self.code.unturned.posterior_given(others, other)
            latents = self._sampled(posterior, _SECOND_BATCH)
        generator = self._drawing(latents.device, _SHUFFLE + self.world()[1])
        return inputs, context, permuted(latents, generator)

    def _log_decomposition(self, posterior: Normal, prior: Normal) -> None:
        """Mutual information, total correlation and dimension-wise KL, once an epoch."""
        self._recent.add(posterior, prior)
        if self._trainer is None or not self.trainer.is_last_batch:
            return
        generator = self._drawing(posterior.mean.device, _DECOMPOSITION + self.world()[1])
        parts = self._recent.decomposition(size_of(self._trainer), generator)
        if parts is not None:
            self.log_dict(parts._asdict(), on_step=False, on_epoch=True, batch_size=1)

    def _normal(self, like: Tensor, use: int) -> Tensor:
        """Reparametrisation noise: this process' share of what a single one would draw."""
        world, rank = self.world()
        shape = (world * len(like), *like.shape[1:])
        generator = self._drawing(like.device, use)
        noise = torch.randn(shape, generator=generator, device=like.device)
        return noise[rank::world].to(like.dtype)

    def _uniform(self, count: int, device: torch.device) -> Tensor:
        """Where on the paths the penalties look: this process' share as well."""
        world, rank = self.world()
        shape = (world * count, self.through.n_steps)
        generator = self._drawing(device, _PATHS)
        return torch.rand(shape, generator=generator, device=device)[rank::world]

    def _drawing(self, device: torch.device, use: int) -> torch.Generator:
        return self.generator(device, self.global_step, use)


def adversary_of(objective: Objective) -> FactorVAE | None:
    """Return the objective with a discriminator, itself or inside another."""
    inner = getattr(objective, "objective", objective)
    return inner if isinstance(inner, FactorVAE) else None
