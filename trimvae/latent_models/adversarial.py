"""Generators that learn by a game: what they share, and their training on Lightning."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from attributions import Penalty, Trim, prediction_kl
from attributions.code_penalties import (
    CodePenalty,
    Independence,
    InformationFlow,
    Step,
    as_penalties,
    weighted_sum,
)
from attributions.codes import Block, held_in_eval_mode, with_noise_of
from attributions.gradients import stratified
from attributions.predictors import Function, check_predictor
from attributions.trim import Explained
from trimvae.files import read_tensors, write_tensors
from trimvae.lightning_support import (
    History,
    ProgressBar,
    TermLog,
    caller_undisturbed,
    check_finite,
    defaults_for,
    every_epoch,
    quiet_lightning,
)
from trimvae.loading import Data, Repeatable, inputs_of, loader, mix

Terms = dict[str, Tensor]


class Update(NamedTuple):
    """One optimiser's step on a batch."""

    name: str
    modules: tuple[nn.Module, ...]
    """Whose parameters move."""
    loss: Callable[[Tensor, torch.Generator], tuple[Tensor, Terms]]
    """Real inputs and a source of randomness to a scalar and what to log."""
    learning_rate: float
    betas: tuple[float, float] = (0.5, 0.99)
    every: int = 1
    """Batches between two steps: lazy regularisers."""
    explains: bool = False
    """Whether prediction loss and penalties are added: a step of the generator, and of the encoder
    where there is one."""
    shares: str | None = None
    """An earlier update whose Adam this one uses, too: a lazy regulariser of the same weights."""


class GenerativeCode(nn.Module, ABC):
    """A code that learns by a game: `encode` and `decode` like any other, and how it is trained.

    Args:
        image_shape: `(channels, height, width)`.
        latent_size: Length of the flat latents.
    """

    blocks: tuple[Block, ...]
    configuration: dict[str, Any]
    """What the constructor was given, for `save`."""
    kind: ClassVar[str]
    batches: Tensor
    """Batches seen: lazy updates and resumed runs go on where they were."""

    def __init__(self, image_shape: Sequence[int], latent_size: int) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.latent_size = latent_size
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))

    @abstractmethod
    def encode(self, inputs: Tensor) -> Tensor:
        """Inputs `(batch, *image_shape)` to latents `(batch, latent_size)`."""

    @abstractmethod
    def decode(self, latents: Tensor) -> Tensor:
        """Latents `(batch, latent_size)` to images `(batch, *image_shape)`, without randomness."""

    @abstractmethod
    def draw(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents `(n, latent_size)` as the prior has them, with the graph of what makes them."""

    @abstractmethod
    def baseline(self, n: int = 1) -> Tensor:
        """Latents `(n, latent_size)` where attributions start."""

    @abstractmethod
    def updates(self) -> Sequence[Update]:
        """The optimisers' steps on a batch, in order."""

    def inferred(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Latents of inputs, with a graph, for prediction loss and penalties."""
        raise NotImplementedError

    def after_batch(self) -> None:
        """Keep averages, where a model has some."""

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Images `(n, *image_shape)` of latents drawn from the prior."""
        with torch.no_grad(), held_in_eval_mode(self):
            return self.decode(self.draw(n, generator))

    @property
    def device_of(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def save(self, path: str | Path) -> None:
        """Write weights and configuration to one safetensors file, whole or not at all."""
        write_tensors(path, self.state_dict(), self.kind, {"configuration": self.configuration})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model that `save` wrote; no code of the file is executed.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is truncated, or of another model.
        """
        tensors, texts = read_tensors(path, cls.kind)
        model = cls(**texts["configuration"])
        model.load_state_dict(tensors)
        return model.eval()


class AdversarialTraining(L.LightningModule):
    """A generative code and its game, with prediction loss and penalties on one of its steps.

    Args:
        model: Trained.
        predictor: See `fit_generator`.
        prediction_weight: See `fit_generator`.
        penalties: See `fit_generator`.
        preprocess: See `fit_generator`.
        explained: See `fit_generator`.
        probabilities: Whether the predictor ends in a softmax.
        penalty_examples: Latents that the penalties see in each step.
        penalty_points: Path points per example.
        seed: Of all that is drawn.
    """

    def __init__(
        self,
        model: GenerativeCode,
        predictor: Function | None = None,
        *,
        prediction_weight: float = 0.0,
        penalties: Sequence[Penalty | CodePenalty] = (),
        preprocess: Function | None = None,
        explained: Explained = "centred_logit",
        probabilities: bool = False,
        penalty_examples: int = 16,
        penalty_points: int = 4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.prediction_weight, self.penalties = prediction_weight, list(penalties)
        self.penalty_examples, self.penalty_points = penalty_examples, penalty_points
        self.seed = seed
        self._updates = list(model.updates())
        self._log = TermLog()
        # In a tuple, so that the predictor is no submodule: it is neither saved nor trained.
        self._trim = (
            None
            if predictor is None
            else Trim(
                predictor,
                model.decode,
                preprocess=preprocess,
                explained=explained,
                probabilities=probabilities,
            ),
        )

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One Adam for each update, but those that share an earlier one's."""
        return [
            torch.optim.Adam(
                [parameter for module in update.modules for parameter in module.parameters()],
                lr=update.learning_rate,
                betas=update.betas,
            )
            for update in self._updates
            if update.shares is None
        ]

    def training_step(self, batch: Any, batch_index: int) -> None:
        """All updates of one batch."""
        inputs, step = inputs_of(batch), int(self.model.batches)
        logged: Terms = {}
        optimizers = self._optimizers()
        for index, update in enumerate(self._updates):
            if step % update.every:
                continue
            optimizer = optimizers[update.shares or update.name]
            seed = mix(self.seed, step, index)
            generator = torch.Generator(device=inputs.device).manual_seed(seed)
            total, terms = update.loss(inputs, generator)
            if update.explains:
                with statistics_fixed(self.model):
                    total = total + self._explained(inputs, generator, terms)
            remedy = f"at batch {step}. Lower the learning rates or the weights."
            check_finite(total, terms, "fit_generator", remedy)
            optimizer.zero_grad()
            own = [parameter for module in update.modules for parameter in module.parameters()]
            self.manual_backward(total, inputs=own)
            optimizer.step()
            logged |= terms
        self.model.batches += 1
        self.model.after_batch()
        self._log.add(self, logged, len(inputs))

    def _optimizers(self) -> dict[str, Any]:
        """Each by the name of the update that owns it."""
        found: Any = self.optimizers()
        owners = [update.name for update in self._updates if update.shares is None]
        return dict(zip(owners, found if isinstance(found, list) else [found], strict=True))

    def _explained(self, inputs: Tensor, generator: torch.Generator, terms: Terms) -> Tensor:
        """Weighted prediction loss and penalties; their values go to `terms`."""
        (trim,) = self._trim
        total = inputs.new_zeros(())
        if trim is None or not (self.prediction_weight or self.penalties):
            return total
        if can_infer(self.model):
            latents = self.model.inferred(inputs, generator)
        else:
            latents = self.model.draw(self.penalty_examples, generator)
        if self.prediction_weight:
            with torch.no_grad():
                outputs = trim.logits(inputs)
            terms["prediction"] = prediction_kl(outputs, trim.logits(self.model.decode(latents)))
            total = total + self.prediction_weight * terms["prediction"]
        if self.penalties:
            step = self._penalty_step(trim, inputs, latents, generator)
            total = total + weighted_sum(self.penalties, step, terms)
        return total

    def _penalty_step(
        self, trim: Trim, inputs: Tensor, latents: Tensor, generator: torch.Generator
    ) -> Step:
        """Contributions of the predicted class, along the path from the baseline, noise held."""
        examples, points = self.penalty_examples, self.penalty_points
        latents = latents[:examples]
        with torch.no_grad():
            outputs = trim(latents)
        noise = torch.rand((len(latents), points), generator=generator, device=latents.device)
        starts = self.model.baseline(1).expand_as(latents)
        return Step(
            trim=trim,
            encode=lambda some: self.model.inferred(some, generator),
            inputs=inputs[:examples],
            latents=latents,
            target=outputs.argmax(dim=1) if outputs.shape[1] > 1 else 0,
            alphas=stratified(noise),
            generator=generator,
            baselines=with_noise_of(self.model, starts, latents),
        )


def can_infer(model: GenerativeCode) -> bool:
    """Whether a model has latents of inputs in training, not only by a search."""
    return type(model).inferred is not GenerativeCode.inferred


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


def fit_generator(
    model: GenerativeCode,
    predictor: Function | None,
    data: Data,
    *,
    prediction_weight: float = 0.0,
    penalties: Sequence[Penalty | CodePenalty | str] = (),
    preprocess: Function | None = None,
    explained: Explained = "centred_logit",
    max_epochs: int = 10,
    batch_size: int = 64,
    penalty_examples: int = 16,
    penalty_points: int = 4,
    seed: int = 0,
    checkpoint_dir: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    **trainer_options: Any,
) -> list[dict[str, float]]:
    """Train an InfoGAN, ALAE or StyleGAN2, alone or through a frozen predictor.

    Args:
        model: Trained in place.
        predictor: A classifier of the model's images, for prediction loss and penalties; None for
            a plain game.
        data: Images `(n, *image_shape)` in [0, 1]: tensor, Dataset or DataLoader.
        prediction_weight: Weight of the prediction loss: images drawn again from the latents of
            real ones must get the predictor's own output.
        penalties: Such as `Sparsity()` and `GroupSparsity()`, or their names, at the latents of
            real images where the model has an encoder, else at latents drawn from the prior.
            Not `Independence` and `InformationFlow`, which are made for VAEs.
        preprocess: Between images and predictor.
        explained: What attributions explain, see `attributions.Trim`.
        max_epochs: Passes over the data.
        batch_size: Images per batch.
        penalty_examples: Latents that the penalties see in each step.
        penalty_points: Path points per example.
        seed: Of batches and all that is drawn.
        checkpoint_dir: Keeps `last.ckpt` there after every epoch: model, all optimisers, counters.
        resume: Go on from that checkpoint; the end is that of an uninterrupted run.
        progress: Whether to show a bar.
        **trainer_options: For `lightning.Trainer`.

    Returns:
        One mapping of logged means per epoch.

    Raises:
        ValueError: A predictor is missing, the model cannot draw real images again, images have
            another shape, or a penalty is made for VAEs.
        FloatingPointError: A loss is not finite.
    """
    chosen = as_penalties(penalties)
    _check(model, predictor, prediction_weight, chosen, max_epochs)
    batches: Any = loader(data, batch_size=batch_size, seed=seed)
    if isinstance(data, DataLoader):
        batches = Repeatable(batches, seed)
    with torch.random.fork_rng():  # a DataLoader draws from the global generator, too
        first = inputs_of(next(iter(loader(data, batch_size=min(batch_size, 8), shuffle=False))))
    if tuple(first.shape[1:]) != model.image_shape:
        raise ValueError(
            f"`data` must hold images of shape {model.image_shape}. Got {tuple(first.shape[1:])}. "
            "Resize them, or make a model of their shape."
        )
    probabilities = False
    if predictor is not None:
        _, probabilities = check_predictor(predictor, first.to(model.device_of), preprocess)
    module = AdversarialTraining(
        model,
        predictor,
        prediction_weight=prediction_weight,
        penalties=chosen,
        preprocess=preprocess,
        explained=explained,
        probabilities=probabilities,
        penalty_examples=penalty_examples,
        penalty_points=penalty_points,
        seed=seed,
    )
    history = History()
    callbacks: list[L.Callback] = [history, *trainer_options.pop("callbacks", [])]
    if progress:
        callbacks.append(ProgressBar(refresh_rate=5))
    checkpoint = None
    if checkpoint_dir is not None:
        callbacks.append(every_epoch(checkpoint_dir))
        last = Path(checkpoint_dir) / "last.ckpt"
        checkpoint = str(last) if resume and last.exists() else None
    with caller_undisturbed(model, seed), quiet_lightning():
        trainer = L.Trainer(
            max_epochs=max_epochs,
            callbacks=callbacks,
            enable_checkpointing=checkpoint_dir is not None,
            enable_progress_bar=progress,
            **defaults_for(model, trainer_options),
        )
        trainer.fit(module, batches, ckpt_path=checkpoint, weights_only=True)
    model.eval()
    return history.epochs


def _check(
    model: GenerativeCode,
    predictor: Function | None,
    prediction_weight: float,
    penalties: Sequence[Penalty | CodePenalty],
    max_epochs: int,
) -> None:
    if predictor is None and (prediction_weight or penalties):
        raise ValueError(
            "`predictor` must be given for a prediction loss or penalties. Got None. Pass the "
            "classifier, or leave them out."
        )
    if max_epochs < 1:
        raise ValueError(f"`max_epochs` must be at least 1. Got {max_epochs}. Use 10.")
    if prediction_weight and not can_infer(model):
        raise ValueError(
            f"`prediction_weight` must be 0 for a {type(model).__name__}, which has no encoder to "
            f"draw real images again in training. Got {prediction_weight}. Use penalties."
        )
    for penalty in penalties:
        if isinstance(penalty, Independence | InformationFlow):
            raise ValueError(
                "`penalties` must be of attributions or of the decoder: encoder and prior of a "
                f"{type(model).__name__} are not a VAE's. Got {penalty!r}. Use Sparsity or "
                "GroupSparsity."
            )


def nonsaturating(real: Tensor | None, fake: Tensor) -> Tensor:
    r"""Mean of $\mathrm{softplus}(-D(\text{real})) + \mathrm{softplus}(D(\text{fake}))$.

    Without real scores the generator's side, $\mathrm{softplus}(-D(\text{fake}))$.

    References:
        Goodfellow et al.: Generative Adversarial Nets, 2014, https://arxiv.org/abs/1406.2661
    """
    if real is None:
        return nn.functional.softplus(-fake).mean()
    return nn.functional.softplus(-real).mean() + nn.functional.softplus(fake).mean()


def gradient_penalty(scores: Tensor, inputs: Tensor) -> Tensor:
    r"""R1: $\tfrac12 E \lVert \nabla_x D(x) \rVert^2$ at real inputs, with a graph.

    References:
        Mescheder, Geiger, Nowozin: Which Training Methods for GANs do actually Converge?, 2018,
        https://arxiv.org/abs/1801.04406
    """
    (gradient,) = torch.autograd.grad(scores.sum(), inputs, create_graph=True)
    return 0.5 * gradient.pow(2).flatten(1).sum(dim=1).mean()
