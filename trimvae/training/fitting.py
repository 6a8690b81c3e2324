"""Training any code through the frozen predictor: `fit`, on Lightning."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from attributions.chaining import Chained
from attributions.checks import check_apart, check_counts, check_mode, checked_predictor
from attributions.outputs import Explained, Task
from attributions.penalties.protocol import Penalty
from attributions.predictors import Function, Predictor
from attributions.randomness import checked_seed
from trimvae.data.batches import Repeatable
from trimvae.data.loading import Data, first_inputs, loader
from trimvae.models.generative import GenerativeCode
from trimvae.models.recipe import Schedule
from trimvae.models.saved import TrainableCode
from trimvae.models.vae import VAE
from trimvae.objectives import Objective
from trimvae.tables.asking import columns_of
from trimvae.training.base import Training
from trimvae.training.chaining import unchained
from trimvae.training.checkpoints import check_checkpoint, checkpoint_path, fingerprint
from trimvae.training.games import GameTraining
from trimvae.training.imitating import agreement_of, imitated
from trimvae.training.lightning import (
    caller_undisturbed,
    given_loaders,
    make_trainer,
    quiet_lightning,
)
from trimvae.training.progress import History
from trimvae.training.reaching import Penalised
from trimvae.training.remembering import remembers
from trimvae.training.variational import VAETraining


def fit(
    code: TrainableCode | Chained,
    predictor: Predictor | Function | None,
    data: Data,
    *,
    validation: Data | None = None,
    objective: Objective | None = None,
    prediction_weight: float | None = None,
    penalties: Sequence[Penalty] = (),
    max_epochs: int = 10,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    schedule: Schedule | None = None,
    preprocess: Function | None = None,
    explained: Explained = "centred_logit",
    task: Task | None = None,
    penalty_examples: int | None = None,
    penalty_n_steps: int = 4,
    penalty_every: int | None = None,
    penalty_residual: bool = False,
    penalised: Penalised = "both",
    cache_outputs: bool | None = None,
    seed: int = 0,
    checkpoint_dir: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    **trainer_options: Any,
) -> list[dict[str, float]]:
    """Train a code through a frozen predictor, so that its latents explain the predictor.

    The code is trained in place: a `VAE` or `IVAE` for an objective, an `InfoGAN`, `ALAE`,
    `StyleGAN2` or `StylEx` by its game. The predictor is used through a frozen replica in eval
    mode: it is never changed, nor are random generators, also after an error or Ctrl-C. Gradients
    are switched on inside, also under `torch.no_grad()`.

    Args:
        code: To be trained; of a `Chained`, its inner code, on the outer latents of the data. A
            game comes back in eval mode, in which averaged weights draw.
        predictor: To be explained: a module or function, inputs `(batch, *event)` to outputs
            `(batch, classes)`, `(batch, 1)` or `(batch,)`, also a tuple, or a mapping or object
            with `logits`; or an `attributions.predictors.Predictor`, which says `preprocess`,
            `explained` and `task` itself; None for a plain training. A predictor without gradient
            (a `black_box`, an estimator of scikit-learn) is imitated by a network first, and
            `trained_with["imitation_agreement"]` says how well; explanations ask it itself.
        data: Tensor, NumPy array or pandas DataFrame `(n, *event)`, Dataset or DataLoader of inputs
            (of a tuple the first; an `IVAE` takes contexts from the second), a `FactorData`, or a
            `LightningDataModule`, which may bring the validation data as well.
        validation: The same, held out; measured after every epoch, at the posterior means. Of a
            game: squared error, prediction loss and agreement of images drawn again; where nothing
            infers latents (StyleGAN2), the losses of the game.
        objective: What a VAE minimises; default: `BetaVAE()`. A game has its own losses.
        prediction_weight: Of the prediction loss: a reconstruction must receive its input's
            prediction; default: 20 for a VAE, InfoGAN 1, ALAE 2, StylEx 5, StyleGAN2 0.
        penalties: Such as `Sparsity()` and `GroupSparsity()`, at the latents of the inputs, or,
            where nothing infers latents, at latents drawn from the prior. A game takes no
            `Independence` and `InformationFlow`, which are made for VAEs.
        max_epochs: Passes over the data.
        batch_size: Examples per step and process, where `data` is no DataLoader; default: 128 for a
            VAE, 64 for a game. `FactorVAE` reads as many again for its discriminator.
        learning_rate: Adam's, the largest of the schedule; default: 3e-3 for a VAE, for a game the
            rates of its updates, of which this would be the largest, the others in proportion.
        schedule: `"one_cycle"` over the whole run, or `"constant"`; default: one cycle for a VAE,
            constant for a game.
        preprocess: Between inputs and predictor: a resize, three channels, mean and deviation.
        explained: What of the predictor's output the penalties see: `"output"`, the
            `"centred_logit"` (the logit minus the mean logit), or a `Contrast` of two classes.
        task: default: `"regression"` for a single output, `"classification"` for several. Say
            `"classification"` for a binary logit, `"multilabel"` for labels of which any may hold.
        penalty_examples: Examples of a batch that penalties see; default: a quarter, at least 8.
        penalty_n_steps: Random points on each example's path.
        penalty_every: Penalties join every so many steps, with as many times the weight; default:
            every 4 for a VAE, every step for a game.
        penalty_residual: Whether penalties see the predictor at decoder plus residual, held fixed
            along each path; otherwise, as the prediction loss does, at the decoder alone.
        penalised: What the penalties' gradient reaches, of a VAE that is seen along axes: `"both"`
            VAE and axes, `"axes"` or `"code"` alone, or `"alternating"`, one after the other. The
            other is held for the penalties; objective and prediction loss train the VAE as ever.
        cache_outputs: Whether the predictor is asked once about every training input, before the
            first step, instead of in every epoch; default: where inputs cannot change (tensor,
            array, table, `FactorData`), in one process. Say True of a Dataset that draws nothing.
        seed: Of shuffling, sampling and path points.
        checkpoint_dir: Folder for `last.ckpt`, replaced whole after every epoch.
        resume: Go on from `last.ckpt`; the result is that of an uninterrupted run. What is asked
            must be what the run was started with, but for `max_epochs`: the position in a cycle
            is kept, its length is the new one.
        progress: Whether to show how far it is, on standard error: a bar, or lines without one.
        **trainer_options: For Lightning's `Trainer`: `accelerator`, `devices`, `strategy`,
            `precision`, `logger`, `callbacks` ...

    Returns:
        One mapping of term to mean per epoch; a lazy term that came in no step of an epoch keeps
        its last mean.

    Raises:
        TypeError: `code`, `data`, a penalty or the predictor's outputs are of a wrong kind.
        ValueError: An argument is out of range, the inputs do not fit the code or its
            likelihood, the predictor shares parameters with the code, or the checkpoint is
            truncated, foreign, of another architecture or of another training.
        RuntimeError: The predictor is not differentiable, or `torch.inference_mode()` is on.
        FileExistsError: `checkpoint_dir` holds a run and `resume` is not set.
        NotADirectoryError: `checkpoint_dir` is a file.
        FloatingPointError: The loss became NaN or infinite.

    Warns:
        UserWarning: Penalties without a prediction loss, or a predictor that ends in a softmax.

    Examples:
        >>> from torch import nn
        >>> vae = VAE.dense(event_shape=(6,), latent_size=2, hidden=(8,))
        >>> history = fit(vae, nn.Linear(6, 3), torch.randn(64, 6), max_epochs=2, progress=False)
        >>> sorted(history[-1])
        ['dimension_wise_kl', 'kl', 'loss', 'mutual_information', 'prediction', \
'reconstruction', 'total_correlation']
    """
    check_mode("fit")
    checkpoint = checkpoint_path(checkpoint_dir, resume=resume)
    given = (code, predictor, *given_loaders(data, validation), preprocess)
    code, predictor, data, validation, preprocess = unchained(*given)
    training = training_of(code)
    batch_size = code.recipe.batch_size if batch_size is None else batch_size
    check_counts(max_epochs=max_epochs, batch_size=batch_size)
    max_epochs, batch_size, seed = int(max_epochs), int(batch_size), checked_seed(seed)
    first = first_inputs(loader(data, batch_size, shuffle=False))
    code.check_inputs(data if isinstance(data, Tensor) else first)
    with torch.enable_grad():
        if predictor is not None:
            options: dict[str, Any] = {"explained": explained, "task": task}
            predictor = _checked(
                predictor, code, data, first[:8], preprocess=preprocess, seed=seed, **options
            )
        module = training(
            code,
            predictor,
            objective=objective,
            prediction_weight=prediction_weight,
            penalties=penalties,
            learning_rate=learning_rate,
            schedule=schedule,
            penalty_examples=penalty_examples,
            penalty_n_steps=penalty_n_steps,
            penalty_every=penalty_every,
            penalty_residual=penalty_residual,
            penalised=penalised,
            seed=seed,
        )
        remembers(data, cache_outputs, 1)
        shown = module.through.fingerprint(first[:1])
        module.asked = {"data": fingerprint(data), "predictor": shown}
        module.check_penalties(first)
        return _run(
            module,
            data,
            validation,
            max_epochs=max_epochs,
            batch_size=batch_size,
            checkpoint=checkpoint,
            cache_outputs=cache_outputs,
            progress=progress,
            options=trainer_options,
            columns=columns_of(given[2]),
        )


def training_of(code: TrainableCode) -> type[Training]:
    """Return which training a code takes, or raise a TypeError where nothing can be trained."""
    if isinstance(code, VAE):
        return VAETraining
    if isinstance(code, GenerativeCode):
        return GameTraining
    raise TypeError(
        "`code` must be a VAE, or a generator that learns by a game (InfoGAN, ALAE, StyleGAN2, "
        f"StylEx). Got {type(code).__name__}. Make one; transforms and adapters need no training."
    )


def _checked(
    predictor: Predictor | Function,
    code: TrainableCode,
    data: Tensor | Dataset[Any] | DataLoader[Any],
    inputs: Tensor,
    *,
    seed: int,
    **options: Any,
) -> Predictor:
    """The predictor, once it is known to be apart from the code and fit for explanation.

    One that has no gradient is imitated.
    """
    in_its_place = imitated(predictor, data, seed=seed, **options)
    if in_its_place is not None:
        return in_its_place
    inputs = inputs.to(next(code.parameters()).device)
    found = checked_predictor(predictor, inputs, stacklevel=3, labels=True, **options)
    check_apart(found, code)  # its preprocess as well
    return found


def _run(
    module: Training,
    data: Tensor | Dataset[Any] | DataLoader[Any],
    validation: Tensor | Dataset[Any] | DataLoader[Any] | None,
    *,
    max_epochs: int,
    batch_size: int,
    checkpoint: Path | None,
    cache_outputs: bool | None,
    progress: bool,
    options: dict[str, Any],
    columns: list[str] | None,
) -> list[dict[str, float]]:
    """Train under Lightning's `Trainer`, which never writes before a resumption is accepted."""
    code, seed, history = module.code, module.seed, History()
    repeatable = not isinstance(data, DataLoader)
    with caller_undisturbed(code, seed), quiet_lightning():
        trainer = make_trainer(
            code, history, checkpoint, max_epochs=max_epochs, progress=progress,
            use_distributed_sampler=not repeatable, **options,
        )  # fmt: skip
        world = trainer.world_size
        module.asked |= {
            **module.settings,
            **{f"code.{name}": value for name, value in (code.description or {}).items()},
            "batch_size": batch_size,
            "processes": world,
        }
        resumed = checkpoint is not None and checkpoint.exists()
        if checkpoint is not None and resumed:
            check_checkpoint(checkpoint, code, module.asked, max_epochs)
        shared = functools.partial(
            loader, batch_size=module.n_batches * batch_size, rank=trainer.global_rank, world=world
        )
        numbered = module.through.predictor is not None and remembers(data, cache_outputs, world)
        module.remember = data if numbered else None
        batches: Any = shared(data, seed=seed, numbered=numbered)
        if not repeatable and world == 1:
            batches = Repeatable(batches, seed)
        held_out: Any = None
        if validation is not None:
            held_out = shared(validation, shuffle=False, argument="validation")
        path = str(checkpoint) if resumed else None
        trainer.fit(module, batches, held_out, ckpt_path=path, weights_only=True)
    code.trained_with = {**module.settings, "batch_size": batch_size, "epochs": max_epochs}
    if columns is not None:
        code.trained_with["columns"] = columns
    agreed = agreement_of(module.through.predictor)
    if agreed is not None:
        code.trained_with["imitation_agreement"] = agreed
    if isinstance(code, GenerativeCode):
        code.eval()
    return history.epochs
