"""Training a code through the frozen predictor: `fit`, on Lightning."""

import functools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
from torch import Tensor
from torch.utils.data import DataLoader

from attributions import Penalty
from attributions.code_penalties import CodePenalty
from attributions.predictors import Function, check_predictor
from attributions.trim import Explained
from trimvae.checkpoints import check_checkpoint
from trimvae.lightning_support import (
    History,
    ProgressBar,
    caller_undisturbed,
    defaults_for,
    every_epoch,
    quiet_lightning,
)
from trimvae.loading import Data, Repeatable, first_inputs, loader
from trimvae.objectives import FactorVAE, Objective
from trimvae.training_module import Schedule, Task, VAETraining
from trimvae.vae import VAE

_LOOPHOLE = (
    "`penalties` must be used with a prediction loss. Got prediction_weight=0: the cheapest way to "
    "simple attributions is then a decoder that hides the class from the predictor. "
    "Set prediction_weight, e.g. to 20."
)


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
        data: Tensor `(n, *event)`, Dataset or DataLoader of inputs (of a tuple the first; an
            `IVAE` takes its contexts from the second), or a `trimvae.data.FactorData`.
        validation: The same, held out; measured after every epoch.
        objective: What the VAE minimises; `BetaVAE()` without it.
        prediction_weight: Weight of the prediction loss.
        penalties: Such as `Sparsity()` and `Monotonicity()`, those of
            `attributions.code_penalties`, or their names for their defaults.
        max_epochs: Passes over the data.
        batch_size: Examples per step and process, where `data` is no DataLoader; `FactorVAE`
            reads as many again for its discriminator.
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
        >>> import torch
        >>> from torch import nn
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
        trainer = L.Trainer(
            max_epochs=max_epochs,
            callbacks=callbacks,
            enable_checkpointing=checkpoint_dir is not None,
            enable_progress_bar=progress,
            use_distributed_sampler=not repeatable,
            **defaults_for(vae, trainer_options),
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
