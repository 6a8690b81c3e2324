"""Several processes that explain a part each, and all know the whole."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from torch import Tensor, distributed

from trimvae.explanation.explanation import Explanation
from trimvae.explanation.probing import Context
from trimvae.explanation.recognising import told

T = TypeVar("T")

# What every process has itself.
_NOT_SENT = {"inputs", "_context"}


def check_processes(*, divide: bool) -> None:
    """Raise a RuntimeError where work is to be divided among processes that there are not."""
    if divide and not (distributed.is_available() and distributed.is_initialized()):
        raise RuntimeError(
            "`divide` must have processes that know each other. Got a single one. Call "
            "torch.distributed.init_process_group first, or leave it out."
        )


def explained_together(
    batches: Iterable[Tensor], explained: Callable[[Tensor, int], Explanation], context: Context
) -> Iterator[Explanation]:
    """Explain every so-manieth batch in each process, and hand all to all, in their order.

    Every process runs through all batches. In a round there is one for each process; explanations
    are exchanged without the inputs, and what an exchange has brought is given up for the next one.

    Args:
        batches: The same in every process.
        explained: From a batch and its number to its explanation.
        context: Code and predictor, to put explanations of others together.

    Raises:
        ValueError: The batches of another process are others.
        Exception: What another process has raised.
    """
    rank, world = distributed.get_rank(), distributed.get_world_size()
    coming, number = iter(batches), 0
    while True:
        some = list(islice(coming, world))
        mine: Any = None
        if rank < len(some):
            mine = _tried(partial(explained, some[rank], number + rank))
        sent = _parts_of(mine) if isinstance(mine, Explanation) else mine
        everyone: list[Any] = [None] * world
        distributed.all_gather_object(everyone, ([told(batch) for batch in some], sent))
        _check_same([seen for seen, _ in everyone])
        if not some:
            return
        for place, inputs in enumerate(some):
            found = mine if place == rank else everyone[place][1]
            if isinstance(found, Exception):
                raise found
            yield found if place == rank else _whole(found, inputs, context)
        number += len(some)


def once(work: Callable[[], T]) -> T:
    """Work in the first process, and return in every process what it found.

    Raises:
        Exception: What it has raised.
    """
    found: list[Any] = [_tried(work) if distributed.get_rank() == 0 else None]
    distributed.broadcast_object_list(found, src=0)
    if isinstance(found[0], Exception):
        raise found[0]
    result: T = found[0]
    return result


def _tried(work: Callable[[], T]) -> T | Exception:
    """What work returns; or raises, so that nobody waits for a process that is gone."""
    try:
        return work()
    except Exception as error:
        return error


def _parts_of(explanation: Explanation) -> dict[str, Any]:
    """What is sent of it, tensors on the CPU."""
    held = {item.name: getattr(explanation, item.name) for item in fields(explanation)}
    return {
        name: value.cpu() if isinstance(value, Tensor) else value
        for name, value in held.items()
        if name not in _NOT_SENT
    }


def _whole(parts: dict[str, Any], inputs: Tensor, context: Context) -> Explanation:
    """The explanation of which parts were received."""
    held: dict[str, Any] = {
        name: value.to(inputs.device) if isinstance(value, Tensor) else value
        for name, value in parts.items()
    }
    return Explanation(inputs=inputs, **held, _context=context)


def _check_same(everyone: list[list[Any]]) -> None:
    wrong = [rank for rank, seen in enumerate(everyone) if seen != everyone[0]]
    if wrong:
        raise ValueError(
            f"`data` must be the same in every process. Got others in process {wrong[0]} than in "
            "process 0. Pass all the data to each, in the same order; they are divided here."
        )
