"""A network in the place of a predictor without gradient, to train a code through."""

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from attributions.black_boxes import as_function, is_black_box
from attributions.checks import check_counts, checked_predictor
from attributions.measures.fidelity import agreement
from attributions.outputs import Explained, Task, both_classes, by_decision
from attributions.predictors import Function, Predictor
from attributions.randomness import checked_seed, undisturbed
from trimvae.data.loading import Data, as_data, inputs_of, loader

_MOST_EXAMPLES = 20_000

_HELD_OUT = 0.2

LEAST_AGREEMENT = 0.9
"""Of an imitation, below which training through it is warned of."""


class Imitation(nn.Module):
    """A differentiable network in a predictor's place; made by `imitation`.

    Attributes:
        agreement: Share of held-out inputs on which it decides as the predictor does; of a
            regression, R squared. Training through it can be no more faithful than this.

    Args:
        network: Inputs `(batch, *event)` to logits `(batch, classes)`, or to `(batch, 1)`.
        agreement: On held-out inputs.
    """

    def __init__(self, network: nn.Module, agreement: float) -> None:
        super().__init__()
        self.network = network
        self.agreement = agreement

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs `(batch, *event)` to logits."""
        outputs: Tensor = self.network(inputs)
        return outputs


def imitation(
    predictor: Function,
    data: Data,
    *,
    network: nn.Module | None = None,
    preprocess: Function | None = None,
    task: Task | None = None,
    max_epochs: int = 60,
    batch_size: int = 128,
    learning_rate: float = 3e-3,
    seed: int = 0,
) -> Imitation:
    """Distil a predictor into a network that has a gradient.

    The network learns the predictor's own outputs, at the inputs and at mixtures of pairs of them
    with a little noise, since a code in training also asks between the data. A fifth of the inputs
    is held out to say how well it imitates. The predictor is only asked.

    References:
        Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network, 2015,
        https://arxiv.org/abs/1503.02531; Zhang et al.: mixup, 2018,
        https://arxiv.org/abs/1710.09412 (mixtures of pairs)

    Args:
        predictor: Module, function, `attributions.black_boxes.black_box` or estimator of
            scikit-learn.
        data: Inputs, as for `fit`; up to 20,000 are used. No labels are needed.
        network: To be trained in place; default: three layers of 256 units, with the inputs in
            standard deviations.
        preprocess: Between inputs and predictor; the imitation takes the inputs themselves.
        task: As for `fit`.
        max_epochs: Passes over inputs and mixtures.
        batch_size: Examples of a step.
        learning_rate: The largest of a cycle.
        seed: Of weights, mixtures and the order of steps.

    Returns:
        The network, in eval mode, with its agreement.

    Raises:
        TypeError: Data or outputs are of a wrong kind.
        ValueError: A count is below 1, or there are fewer than 10 inputs.

    Warns:
        UserWarning: It decides otherwise for more than a tenth of the held-out inputs.

    Examples:
        >>> rule = lambda rows: torch.stack([rows[:, 0], -rows[:, 0]], dim=1).detach()
        >>> imitation(rule, torch.randn(400, 3), max_epochs=20).agreement > 0.8
        True
    """
    check_counts(max_epochs=max_epochs, batch_size=batch_size)
    max_epochs, batch_size, seed = int(max_epochs), int(batch_size), checked_seed(seed)
    inputs = _inputs(as_data(data))
    options: dict[str, Any] = {"gradient": False, "labels": True, "stacklevel": 3}
    asked = checked_predictor(predictor, inputs[:8], preprocess=preprocess, task=task, **options)
    held_out = max(1, round(_HELD_OUT * len(inputs)))
    with undisturbed(seed, inputs.device), torch.enable_grad():
        shown = inputs[torch.randperm(len(inputs), device=inputs.device)]
        rest, kept = shown[:-held_out], shown[-held_out:]
        mixed = torch.cat([rest, _mixtures(rest)])
        targets = asked.in_batches(mixed)
        made = network or _dense(rest, targets.shape[1])
        _train(
            made.to(inputs), mixed, targets, asked,
            steps=(max_epochs, batch_size), learning_rate=learning_rate,
        )  # fmt: skip
    made.eval()
    agreed = _agreement(made, kept, asked)
    if agreed < LEAST_AGREEMENT:
        warnings.warn(
            f"The imitation of the predictor agrees with it in {agreed:.0%} only: a code trained "
            "through it keeps what the imitation uses. Pass a network of your own, or more data.",
            UserWarning,
            stacklevel=2,
        )
    return Imitation(made, agreed)


def imitated(
    predictor: Any,
    data: Data,
    *,
    preprocess: Function | None,
    explained: Explained,
    task: Task | None,
    seed: int,
) -> Predictor | None:
    """Return an imitation of a predictor without gradient; None where it has one, or is None.

    Args:
        predictor: As `fit` takes it.
        data: Of the training.
        preprocess: Between inputs and predictor.
        explained: What the penalties see.
        task: As for `fit`.
        seed: Of the imitation.
    """
    if isinstance(predictor, Predictor):
        if not predictor.is_black_box:
            return None
        explained, task = predictor.explained, predictor.task
        preprocess, predictor = predictor.original[1], predictor.original[0]
    elif not is_black_box(as_function(predictor)):
        return None
    found = imitation(predictor, data, preprocess=preprocess, task=task, seed=seed)
    with torch.no_grad():
        outputs = found(_inputs(as_data(data))[:2])
    kind: Task = "classification" if outputs.shape[1] > 1 else "regression"
    return Predictor(found, explained=explained, task=task or kind)


def agreement_of(predictor: Predictor | None) -> float | None:
    """How well an imitation agrees with the predictor in whose place it stands; None for others."""
    found = None if predictor is None else predictor.original[0]
    return found.agreement if isinstance(found, Imitation) else None


def _inputs(data: Tensor | Dataset[Any] | DataLoader[Any]) -> Tensor:
    """The first inputs of a data set, 20,000 at most."""
    found: list[Tensor] = []
    with undisturbed(0, torch.device("cpu")):  # a DataLoader draws from the global generator
        for batch in loader(data, 512, shuffle=False):
            found.append(inputs_of(batch))
            if sum(map(len, found)) >= _MOST_EXAMPLES:
                break
    inputs = torch.cat(found)[:_MOST_EXAMPLES]
    if len(inputs) < 10:
        raise ValueError(
            f"`data` must hold at least 10 inputs to imitate a predictor. Got {len(inputs)}. "
            "Bring more."
        )
    return inputs


def _mixtures(inputs: Tensor) -> Tensor:
    others = inputs[torch.randperm(len(inputs), device=inputs.device)]
    share = torch.rand(len(inputs), *[1] * (inputs.ndim - 1), device="cpu").to(inputs)
    noise = 0.1 * inputs.std(dim=0) * torch.randn(inputs.shape, device="cpu").to(inputs)
    return share * inputs + (1 - share) * others + noise


def _dense(inputs: Tensor, outputs: int) -> nn.Module:
    size = inputs[0].numel()
    return nn.Sequential(
        _Standardised(inputs.flatten(1)),
        nn.Linear(size, 256),
        nn.SiLU(),
        nn.Linear(256, 256),
        nn.SiLU(),
        nn.Linear(256, outputs),
    )


class _Standardised(nn.Module):
    """Inputs as rows, in standard deviations of those that it was made with."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", rows.mean(dim=0))
        self.register_buffer("deviation", rows.std(dim=0).clamp_min(1e-3))

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs.flatten(1) - self.mean) / self.deviation


def _train(
    network: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    asked: Predictor,
    *,
    steps: tuple[int, int],
    learning_rate: float,
) -> None:
    max_epochs, batch_size = steps
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate)
    total = max_epochs * -(-len(inputs) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=total)
    scale = targets.std(dim=0).clamp_min(1e-6)
    network.train()
    for _ in range(max_epochs):
        for batch in torch.randperm(len(inputs), device=inputs.device).split(batch_size):
            outputs, wanted = network(inputs[batch]), targets[batch]
            if asked.task == "regression":
                loss = F.mse_loss(outputs / scale, wanted / scale)
            else:
                sides = (by_decision(side, asked.task) for side in (outputs, wanted))
                left, right = (both_classes(side) for side in sides)
                loss = F.kl_div(
                    left.log_softmax(dim=1), right.softmax(dim=1), reduction="batchmean"
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def _agreement(network: nn.Module, inputs: Tensor, asked: Predictor) -> float:
    with torch.no_grad():
        ours = network(inputs)
    sides = (by_decision(side, asked.task) for side in (asked.in_batches(inputs), ours))
    return float(agreement(*sides, regression=asked.task == "regression"))
