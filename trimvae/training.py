"""Training a code through the frozen predictor: the Lightning module and `fit`."""

import copy
import functools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F
from torch.utils.data import DataLoader

from attributions import Penalty, Trim, agreement, prediction_kl
from attributions.code_penalties import CodePenalty, Step, penalty_named
from attributions.predictors import Function, check_predictor, predict
from attributions.trim import Contrast, Explained
from trimvae.checkpoints import check_checkpoint
from trimvae.lightning_support import (
    History,
    ProgressBar,
    RecentPosteriors,
    caller_undisturbed,
    every_epoch,
    quiet_lightning,
)
from trimvae.loading import (
    Data,
    Repeatable,
    contexts_of,
    first_inputs,
    inputs_of,
    loader,
    mix,
    size_of,
)
from trimvae.objectives import BetaVAE, FactorVAE, Objective, Pass, kl, permuted, reconstruction
from trimvae.vae import VAE

Task = Literal["classification", "regression"]
Schedule = Literal["one_cycle", "constant"]

_LOOPHOLE = (
    "`penalties` must be used with a prediction loss. Got prediction_weight=0: the cheapest way to "
    "simple attributions is then a decoder that hides the class from the predictor. "
    "Set prediction_weight, e.g. to 20."
)


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
        self.penalties: tuple[Penalty | CodePenalty, ...] = tuple(
            penalty_named(item) if isinstance(item, str) else item for item in penalties
        )
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
                outputs = self._logits(inputs)
        if self.prediction_weight:
            terms["prediction"] = self._prediction_loss(outputs, observation.mean)
            total = total + self.prediction_weight * terms["prediction"]
        if penalised:
            step = self._penalty_step(inputs, latents, outputs)
            for penalty in self.penalties:
                seen = step if isinstance(penalty, CodePenalty) else step.contributions
                terms[penalty.name] = penalty(seen)  # type: ignore[arg-type]
                total = total + self.penalty_every * penalty.weight * terms[penalty.name]
        if not torch.isfinite(total):
            raise FloatingPointError(
                "`fit` must reach finite losses. Got "
                + ", ".join(f"{name} {value.item():.4g}" for name, value in terms.items())
                + f" at step {self.global_step}. Lower `learning_rate` or the weights."
            )
        logged = {"loss": total, **terms}
        self.log_dict(
            {name: value.detach() for name, value in logged.items()},
            prog_bar=True,
            on_step=True,
            on_epoch=True,
            batch_size=len(inputs),
        )
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
            outputs, reencoded = self._logits(inputs), self._logits(observation.mean)
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

    def _logits(self, inputs: Tensor) -> Tensor:
        outputs = predict(self.trim.predictor, inputs, self.trim.preprocess)
        if self.trim.probabilities:
            return outputs.clamp_min(torch.finfo(outputs.dtype).tiny).log()
        return outputs

    def _prediction_loss(self, outputs: Tensor, reconstructions: Tensor) -> Tensor:
        reencoded = self._logits(reconstructions)
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
        alphas = (torch.arange(points, device=latents.device) + noise) / points
        single = isinstance(self.explained, Contrast) or outputs.shape[1] == 1
        target = 0 if single else outputs[:examples].argmax(dim=1)
        return Step(
            trim=self.trim,
            encode=lambda some: self.vae.encode(some).mean,
            inputs=inputs[:examples],
            latents=latents[:examples],
            target=target,
            alphas=alphas.to(latents.dtype),
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


def fit(
    vae: VAE,
    predictor: Function | None,
    data: Data,
    *,
    validation: Data | None = None,
    objective: Objective | None = None,
    prediction_weight: float = 20.0,
    penalties: Sequence[Penalty | CodePenalty | str] = (),
    max_epochs: int = 10,
    batch_size: int = 128,
    learning_rate: float = 3e-3,
    schedule: Schedule = "one_cycle",
    preprocess: Function | None = None,
    explained: Explained = "centred_logit",
    task: Task | None = None,
    penalty_examples: int | None = None,
    penalty_points: int = 4,
    penalty_every: int = 4,
    penalty_residual: bool = False,
    seed: int = 0,
    checkpoint_dir: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    **trainer_options: Any,
) -> list[dict[str, float]]:
    """Train a VAE through a frozen predictor, so that its latents explain the predictor.

    The VAE is trained in place. The predictor is used frozen and in eval mode and comes back as
    it was, as do random generators, also after an error or Ctrl-C.

    Args:
        vae: To be trained.
        predictor: To be explained, see `attributions.Trim`; None for a plain VAE (then with
            `prediction_weight=0`).
        data: Tensor `(n, *event)`, Dataset or DataLoader of inputs (of a tuple the first).
        validation: The same, held out; measured after every epoch.
        objective: What the VAE minimises; `BetaVAE()` without it.
        prediction_weight: Weight of the prediction loss.
        penalties: Such as `Sparsity()` and `Monotonicity()`, those of
            `attributions.code_penalties`, or their names for their defaults.
        max_epochs: Passes over the data.
        batch_size: Examples per step and process, where `data` is no DataLoader.
        learning_rate: Adam's, at the peak of the schedule.
        schedule: `"one_cycle"` over the whole run, or `"constant"`, as in the papers.
        preprocess: Between decoder and predictor.
        explained: What of the predictor's output the penalties see.
        task: Without it, `"regression"` for a single output and `"classification"` for several.
            Say `"classification"` for a single binary logit.
        penalty_examples: Examples of a batch that penalties see; a quarter without it.
        penalty_points: Random points on each example's path.
        penalty_every: Penalties join every so many steps, with as many times the weight.
        penalty_residual: Whether penalties see the predictor at decoder plus residual, held fixed
            along each path; without, which the prediction loss fits, at the decoder alone.
        seed: Of shuffling, sampling and path points.
        checkpoint_dir: Folder for `last.ckpt`, written whole after every epoch.
        resume: Go on from `last.ckpt`; the result is that of an uninterrupted run.
        progress: Whether to show a progress bar with every term.
        **trainer_options: For Lightning's `Trainer`: `accelerator`, `devices`, `strategy`,
            `precision`, `logger`, `callbacks` ...

    Returns:
        One mapping of term to mean per epoch.

    Raises:
        TypeError: `data` or the predictor's outputs are of a wrong kind.
        ValueError: An argument is out of range, the inputs do not fit the VAE or its
            likelihood, or the checkpoint is truncated, foreign or of another architecture.
        RuntimeError: The predictor is not differentiable.
        FileExistsError: `checkpoint_dir` holds a run and `resume` is not set.
        FloatingPointError: The loss became NaN or infinite.

    Examples:
        >>> vae = VAE.dense(event_shape=(6,), latent_size=2, hidden=(8,))
        >>> history = fit(vae, nn.Linear(6, 3), torch.randn(64, 6), max_epochs=2, progress=False)
        >>> sorted(history[-1])
        ['dimension_wise_kl', 'kl', 'loss', 'mutual_information', 'prediction', \
'reconstruction', 'total_correlation']
    """
    checkpoint = _checkpoint_path(checkpoint_dir, resume)
    if checkpoint is not None:
        check_checkpoint(checkpoint, vae)
    if max_epochs < 1:
        raise ValueError(f"`max_epochs` must be at least 1. Got {max_epochs}. Use 10.")
    first = first_inputs(loader(data, batch_size, shuffle=False))
    vae.check_inputs(data if isinstance(data, Tensor) else first)
    probabilities = False
    if predictor is not None:
        first = first[:8].to(next(vae.parameters()).device)
        outputs, probabilities = check_predictor(predictor, first, preprocess)
        task = task or ("classification" if outputs.shape[1] > 1 else "regression")
    if penalties and not prediction_weight:
        warnings.warn(_LOOPHOLE, UserWarning, stacklevel=2)
    module = VAETraining(
        vae,
        predictor,
        objective=objective,
        prediction_weight=prediction_weight,
        penalties=penalties,
        preprocess=preprocess,
        explained=explained,
        probabilities=probabilities,
        task=task or "classification",
        learning_rate=learning_rate,
        schedule=schedule,
        penalty_examples=penalty_examples,
        penalty_points=penalty_points,
        penalty_every=penalty_every,
        penalty_residual=penalty_residual,
        seed=seed,
    )
    per_step = batch_size * (1 if module.adversary is None else FactorVAE.n_batches)
    history = History()
    callbacks = [history, *trainer_options.pop("callbacks", [])]
    if progress:
        callbacks.append(ProgressBar(refresh_rate=5))
    if checkpoint_dir is not None:
        callbacks.append(every_epoch(checkpoint_dir))
    repeatable = not isinstance(data, DataLoader)
    with caller_undisturbed(vae, seed), quiet_lightning():
        options = {
            "accelerator": _accelerator_of(vae),
            "devices": 1,
            "logger": False,
            "enable_model_summary": False,
            "num_sanity_val_steps": 0,
            "log_every_n_steps": 1,
            **trainer_options,
        }
        trainer = L.Trainer(
            max_epochs=max_epochs,
            callbacks=callbacks,
            enable_checkpointing=checkpoint_dir is not None,
            enable_progress_bar=progress,
            use_distributed_sampler=not repeatable,
            **options,
        )
        shared = functools.partial(
            loader, batch_size=per_step, rank=trainer.global_rank, world=trainer.world_size
        )
        batches: Any = shared(data, seed=seed)
        if not repeatable and trainer.world_size == 1:
            batches = Repeatable(batches, seed)
        trainer.fit(
            module,
            batches,
            None
            if validation is None
            else shared(validation, shuffle=False, argument="validation"),
            ckpt_path=None if checkpoint is None else str(checkpoint),
            weights_only=True,
        )
    vae.trained_with = {
        "seed": seed,
        "epochs": max_epochs,
        "learning_rate": learning_rate,
        "objective": repr(module.objective),
        "prediction_weight": prediction_weight,
        "penalties": [repr(penalty) for penalty in module.penalties],
    }
    return history.epochs


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


def _checkpoint_path(checkpoint_dir: str | Path | None, resume: bool) -> Path | None:
    """Where to resume from, or None for a fresh run."""
    if checkpoint_dir is None:
        if resume:
            raise ValueError(
                "`checkpoint_dir` must be given to resume. Got None. Pass the run's folder."
            )
        return None
    path = Path(checkpoint_dir) / "last.ckpt"
    if resume:
        # Killed before the first epoch ended, a run starts again from its beginning.
        return path if path.exists() else None
    if path.exists():
        raise FileExistsError(
            f"`checkpoint_dir` must not hold another run. Got {checkpoint_dir}, with a "
            "last.ckpt. Pass resume=True to go on, or choose another folder."
        )
    return None


def _accelerator_of(vae: VAE) -> str:
    device = next(vae.parameters()).device.type
    return {"cuda": "gpu"}.get(device, device)
