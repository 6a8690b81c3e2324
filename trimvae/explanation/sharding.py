"""explain_into(): explanations of as many examples as there are, written as they are made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attributions.checks import check_counts, check_mode, checked_predictor
from attributions.code_checks import check_code
from attributions.codes import Code
from attributions.methods.captum import Method, name_of, needs_gradient, takes_distribution
from attributions.methods.paths import integrated_gradients
from attributions.outputs import Explained, Task
from attributions.predictors import Function
from attributions.randomness import checked_seed, undisturbed
from trimvae.data.batches import mix
from trimvae.data.loading import Array, as_tensor, check_order
from trimvae.data.streaming import source_of
from trimvae.explanation.arguments import as_inputs, check_inputs, class_names_of, feature_names_of
from trimvae.explanation.asking import FrozenCode, as_frozen
from trimvae.explanation.attributing import Seen, seen_at
from trimvae.explanation.baselines import NamedBaseline
from trimvae.explanation.columns import chosen_classes
from trimvae.explanation.explaining import explain, starts_of
from trimvae.explanation.explanation import Explanation
from trimvae.explanation.probing import Context
from trimvae.explanation.recognising import check_same_run, keep_run, told, weights_of
from trimvae.explanation.recording import versions
from trimvae.explanation.shards import END, RUN, Shards, is_whole, shard_path
from trimvae.storage import read_json, write_json
from trimvae.tables.asking import encoded_by, for_rows

# Numbers in a shard's largest tensor by default: 64 MB of single precision, or 4,096 examples.
_NUMBERS, _EXAMPLES = 2**24, 4096


def explain_into(
    folder: str | Path,
    code: Code,
    predictor: Function,
    data: Any,
    *,
    preprocess: Function | None = None,
    explained: Explained = "centred_logit",
    task: Task | None = None,
    method: Method = integrated_gradients,
    baselines: Tensor | NamedBaseline = "prior_mean",
    background: Array | None = None,
    seed: int = 0,
    labels: Array | None = None,
    shard_size: int | None = None,
    batched: bool | None = None,
    part: tuple[int, int] | None = None,
    **options: Any,
) -> Shards:
    """Explain more examples than fit in memory: each shard is written as soon as it is explained.

    A shard is what `explain` returns for `shard_size` consecutive examples, in the file that
    `Explanation.save` writes, whole or not at all. The same call goes on where an earlier one was
    interrupted, and ends with the same shards. A folder of another run is refused: of other
    weights, options, versions or data (known by the first examples and, where they have one, the
    length).

    Several processes share the work: process `rank` of `world` explains every `world`-th shard.
    What a shard holds does not depend on them, so that a run may go on with more or fewer. They
    exchange nothing but files: give `part` and start them as you like, or initialise
    `torch.distributed`, and they wait for each other at the end.

    Args:
        folder: Where the shards are written; made where there is none.
        code: A trained VAE for these inputs, or anything else with `encode` and `decode`.
        predictor: The classifier or regressor that is explained: a module or function, inputs
            `(batch, *event)` to outputs `(batch, classes)`, `(batch, 1)` or `(batch,)`. An
            `attributions.Predictor` is used as it is: `preprocess`, `explained` and `task` are
            then its own.
        data: Inputs `(n, *event)` as a tensor, NumPy array (also memory-mapped) or DataFrame;
            anything with a length that is indexed by number, such as a `Dataset`; or an iterable: a
            `DataLoader`, an `IterableDataset`, a generator. Of a tuple the inputs come first, of a
            mapping they are `"inputs"`, `"pixel_values"`, `"image"` or `"x"`. Iterables are run
            through whole by every process, in the same order at every run.
        preprocess: Between decoder and predictor: a resize, three channels, mean and deviation;
            default: none.
        explained: `"centred_logit"`, the logit minus the mean logit of the example; `"output"`,
            the predictor's own output; or a `Contrast` of two classes.
        task: `"classification"` or `"regression"`; default: `"regression"` for a single output,
            else `"classification"`.
        method: Any attribution method: one of ours, a Captum class or instance, or a function
            from the `Trim` to an instance.
        baselines: Where attributions start: `(1, latents)`, or `"prior_mean"`, `"dataset_mean"`,
            `"class_mean"` or `"posterior"`. Methods that compare with a distribution take
            `(n, latents)`.
        background: `(n, *event)`, inputs that named baselines are computed from; all but
            `"prior_mean"` need it.
        seed: Of methods and baselines that sample; every shard draws for itself.
        labels: `(n,)`, the true classes in the order of the data; default: not known.
        shard_size: Examples of a shard; default: 4,096, or fewer where inputs or
            attributions are large, so that no tensor of a shard takes more than 64 MB.
        batched: Whether an iterable gives batches, rather than examples; default: all but an
            `IterableDataset` do.
        part: `(rank, world)`, which process this is, of how many; default: as `torch.distributed`
            says where it is initialised, else `(0, 1)`.
        **options: Others of `explain`: `classes`, `residual`, `explain_noise`, `method_options`,
            `n_steps`, `tolerance`, `max_points`, `class_names`, `latent_names`, `feature_names`,
            and `check_parts`, which here asks about the first shard.

    Returns:
        The shards that the folder holds. With `part`, others may still be written.

    Raises:
        TypeError: An option is unknown, `data` gives no examples, or anything that `explain`
            refuses.
        ValueError: The folder holds another run or a truncated shard; `data` is empty or of another
            length than before; an argument is out of range, or anything that `explain` refuses.
        NotADirectoryError: `folder` is a file.
        RuntimeError: The predictor is not differentiable, or gradients are switched off by
            `torch.inference_mode`.

    Examples:
        >>> import tempfile
        >>> from trimvae import VAE
        >>> vae, predictor = VAE.dense((6,), latent_size=2), torch.nn.Linear(6, 3)
        >>> inputs = torch.randn(10, 6)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     shards = explain_into(folder, vae, predictor, inputs, shard_size=4)
        ...     joined = torch.cat([shard.attributions for shard in shards])
        >>> whole = explain(vae, predictor, inputs).attributions
        >>> torch.allclose(joined, whole, atol=1e-5)
        True
    """
    check_mode("explain_into")
    (rank, world), seed = _part(part), checked_seed(seed)
    folder, frozen_code = _made(folder), as_frozen(code)
    check_order(data, labels=labels)
    labels = None if labels is None else as_tensor(labels, "labels")
    options.setdefault("feature_names", feature_names_of(data, None, frozen_code.original))
    with undisturbed(seed, torch.device("cpu")):  # data sets may draw from its generator
        source = source_of(encoded_by(frozen_code.original, data), batched=batched)
        first = _as_explained(frozen_code, source.first(), known=False)
        frozen = checked_predictor(
            for_rows(frozen_code.original, predictor),
            first,
            preprocess=preprocess,
            explained=explained,
            task=task,
            gradient=needs_gradient(method),
            apart=True,
        )
        context = Context(frozen_code, frozen)
        seen = seen_at(context, first)
        size = _size_for(context, first, seen, options) if shard_size is None else shard_size
        check_counts(shard_size=size)
        given = {
            **{"shard_size": int(size), "examples": source.length, "seed": seed},
            **{"method": name_of(method), "baselines": baselines, "labels": labels},
            **{"background": encoded_by(frozen_code.original, background), **options},
        }
        identity = _identity_of(context, seen, given)
        check_same_run(folder / RUN, identity)
        options |= {"method": method, "background": background}
        options["baselines"] = _shared(context, seen, baselines, background, method, seed)
        check_parts, examples = options.pop("check_parts", True), 0

        def wanted(number: int) -> bool:
            return number % world == rank and not is_whole(shard_path(folder, number))

        for piece in source.pieces(int(size), wanted):
            examples = piece.stop
            if piece.rows is None:
                continue
            options["check_parts"] = check_parts and piece.number == 0
            options["labels"] = None if labels is None else labels[piece.start : piece.stop]
            inputs = _as_explained(frozen_code, piece.rows)
            # No name for what is explained: it would be kept while the next one is made.
            drawn = mix(seed, piece.number)
            _write(folder, identity, piece.number, explain(*context, inputs, seed=drawn, **options))
    _end(folder, examples)
    if part is None and world > 1:
        torch.distributed.barrier()
    return Shards(folder, context)


def _part(part: tuple[int, int] | None) -> tuple[int, int]:
    """Which process this is, of how many."""
    if part is None:
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        if not distributed:
            return 0, 1
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    rank, world = part
    if not 0 <= rank < world:
        raise ValueError(
            f"`part` must be (rank, world) with a rank from 0 to world - 1. Got {part}. Count the "
            "processes from 0."
        )
    return rank, world


def _made(folder: str | Path) -> Path:
    """The folder, absolute, once it is there."""
    path = Path(folder).resolve()
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(
            f"`folder` must be a folder. Got {folder}, a file. Choose another name."
        )
    path.mkdir(parents=True, exist_ok=True)
    if not (path / RUN).exists() and next(path.glob(shard_path(path, "*").name), None):
        raise ValueError(
            f"`folder` must be new or hold a whole run. Got {folder}, with shards and without "
            f"{RUN}. Choose another folder, or remove the shards."
        )
    return path


def _as_explained(code: FrozenCode, rows: Any, *, known: bool = True) -> Tensor:
    """Inputs where the code is; those of arrays in its precision."""
    own = code.original
    inputs = as_inputs(rows, own)
    parameter = next(code.parameters(), None)
    if parameter is not None:
        inputs = inputs.to(parameter.device)
    check_inputs(own, inputs)
    if not known:
        check_code(code, inputs)
    return inputs


def _size_for(context: Context, first: Tensor, seen: Seen, options: Mapping[str, Any]) -> int:
    """Examples of a shard whose largest tensor takes 64 MB."""
    outputs = seen.outputs.shape[1]
    names = class_names_of(context.predictor, outputs, options.get("class_names"))
    chosen = chosen_classes(options.get("classes"), context.predictor, seen.outputs, names)
    columns = len(chosen) if isinstance(chosen, list) else outputs if chosen is None else 1
    attributions = columns * seen.latents.shape[1]
    return max(1, min(_EXAMPLES, _NUMBERS // max(first[0].numel(), attributions)))


def _identity_of(context: Context, seen: Seen, given: Mapping[str, Any]) -> dict[str, Any]:
    """By what a run is known again: what it was given, and code and predictor."""
    code, predictor = context
    found = versions()
    return {
        "code": weights_of(code.original),
        "predictor": [weights_of(each) for each in predictor.original],
        "explained": told(predictor.explained),
        "task": predictor.task,
        "versions": {name: found[name] for name in ("trimvae", "torch")},
        "first_latents": seen.latents[0].tolist(),
        "first_outputs": seen.outputs[0].tolist(),
        **{name: told(value) for name, value in given.items()},
    }


def _shared(
    context: Context,
    seen: Seen,
    baselines: Tensor | NamedBaseline,
    background: Array | None,
    method: Method,
    seed: int,
) -> Tensor | NamedBaseline:
    """Baselines as every shard takes them: a distribution is drawn once, for all."""
    distribution = takes_distribution(method)
    if not isinstance(baselines, str):
        if not distribution and baselines.shape[:1] != (1,):
            raise ValueError(
                "`baselines` must be a name or one row for all examples. Got shape "
                f"{tuple(baselines.shape)}. Pass (1, latents)."
            )
        return baselines
    if not distribution:
        return baselines
    return starts_of(context, seen, baselines, background, distribution=True, seed=seed)


def _write(folder: Path, identity: Mapping[str, Any], number: int, shard: Explanation) -> None:
    """Write a shard, and clear what a killed process left of it."""
    keep_run(folder / RUN, identity)
    path = shard_path(folder, number)
    for left in folder.glob(f".{path.name}.*"):
        left.unlink(missing_ok=True)
    shard.save(path)


def _end(folder: Path, examples: int) -> None:
    """Write how many examples there were, or compare with what is written."""
    if examples == 0:
        raise ValueError("`data` must hold at least one example. Got none. Pass more.")
    path = folder / END
    if not path.exists():
        write_json(path, {"examples": examples})
        return
    before = read_json(path)["examples"]
    if before != examples:
        raise ValueError(
            f"`data` must give as many examples as before. Got {examples}, and {before} in "
            f"{folder}. Give the same data, or choose another folder."
        )
