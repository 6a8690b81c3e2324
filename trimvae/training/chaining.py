"""Training the inner code of a chain: on the outer latents, through decoder and predictor."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from attributions.black_boxes import black_box, is_black_box
from attributions.chaining import Chained
from attributions.predictors import Function, Predictor
from attributions.replicas import frozen
from trimvae.data.loading import Data, as_data, contexts_of, inputs_of, loader
from trimvae.models.saved import TrainableCode
from trimvae.tables.asking import check_columns, columns_of, encoded_by, for_rows

_AT_ONCE = 32


class Unchained(NamedTuple):
    """What is trained on what: of a chain its inner code on outer latents, else what was given."""

    code: TrainableCode
    predictor: Predictor | Function | None
    data: Tensor | Dataset[Any] | DataLoader[Any]
    validation: Tensor | Dataset[Any] | DataLoader[Any] | None
    preprocess: Function | None


def unchained(
    code: TrainableCode | Chained,
    predictor: Predictor | Function | None,
    data: Data,
    validation: Data | None,
    preprocess: Function | None,
) -> Unchained:
    """Put the outer autoencoder of a chain before the data and behind the predictor.

    Inputs are encoded once, before the first step. So the inner code learns to keep what the
    predictor says of the outer reconstruction; what the outer autoencoder itself loses is not its
    to learn. Any other code is returned with what was given; for one that was made for a table,
    rows of a DataFrame become the tensors that it takes, also before an estimator of rows.

    Args:
        code: A `Chained`, or any other code.
        predictor: Of inputs.
        data: Inputs; a Dataset or DataLoader is read once, so what it draws is drawn once.
        validation: The same.
        preprocess: Between inputs and predictor.

    Raises:
        TypeError: `data` or `validation` is of a wrong kind.
    """
    given = as_data(encoded_by(code, data, training=True))
    held_out = None
    if validation is not None:
        check_columns(columns_of(data), validation)
        held_out = as_data(encoded_by(code, validation, training=True), "validation")
    if not isinstance(code, Chained):
        return Unchained(code, for_rows(code, predictor), given, held_out, preprocess)
    chain = frozen(code)
    latents = _encoded(chain, given)
    code.outer.latent_shape = chain.outer.latent_shape  # the replica alone has encoded
    return Unchained(
        code.inner,
        None if predictor is None else _behind(chain.outer, predictor, preprocess),
        latents,
        None if held_out is None else _encoded(chain, held_out),
        None,
    )


class _Behind(nn.Module):
    """The predictor behind the outer decoder: outer latents to what it returns."""

    def __init__(self, outer: Any, predictor: Function, preprocess: Function | None) -> None:
        super().__init__()
        self.outer, self.predictor, self.preprocess = outer, predictor, preprocess

    def forward(self, latents: Tensor) -> Any:
        inputs = self.outer.decode(self.outer.flat(latents))
        return self.predictor(inputs if self.preprocess is None else self.preprocess(inputs))


def _behind(
    outer: Any, predictor: Predictor | Function, preprocess: Function | None
) -> Predictor | Function:
    if isinstance(predictor, Predictor):
        function, before = predictor.original
        made: Function = _behind(outer, function, before)
        return Predictor(
            made,
            explained=predictor.explained,
            probabilities=predictor.probabilities,
            task=predictor.task,
            label=predictor.label,
        )
    behind = _Behind(outer, predictor, preprocess)
    if not is_black_box(predictor):
        return behind
    parameter = next(outer.parameters(), None)
    placed = {} if parameter is None else {"device": parameter.device, "dtype": parameter.dtype}
    return black_box(lambda rows: behind(torch.as_tensor(rows, **placed)).detach().cpu().numpy())


def _encoded(chain: Chained, data: Tensor | Dataset[Any] | DataLoader[Any]) -> Any:
    """Outer latents `(n, *latent shape)`, with the contexts of a code that needs them."""
    parameter = next(chain.outer.parameters(), None)
    latents, contexts = [], []
    state = torch.get_rng_state()
    with torch.no_grad():
        for batch in loader(data, _AT_ONCE, shuffle=False):
            inputs = inputs_of(batch)
            placed = inputs if parameter is None else inputs.to(parameter.device)
            latents.append(chain.outer_latents(placed).to(inputs.device))
            if getattr(chain.inner, "conditional", False):
                contexts.append(contexts_of(batch))
    torch.set_rng_state(state)
    if contexts:
        return TensorDataset(torch.cat(latents), torch.cat(contexts))
    return torch.cat(latents)
