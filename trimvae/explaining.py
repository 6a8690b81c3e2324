"""explain(): from predictor, code and inputs to an Explanation."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn

from attributions import Contrast, Trim, attribute, integrated_gradients, latent_share
from attributions.codes import (
    Code,
    Decoder,
    blocks_of,
    encode,
    held_in_eval_mode,
    with_noise_of,
)
from attributions.measures import decisions
from attributions.methods import Method, name_of, takes_distribution
from attributions.paths import PathAttributions
from attributions.predictors import (
    Function,
    as_logits,
    check_predictor,
    predict_in_batches,
)
from attributions.trim import Explained
from trimvae.baselines import NamedBaseline, baselines_named
from trimvae.explanation import Explanation, check_names
from trimvae.training_module import Task
from trimvae.vae import VAE


def explain(
    code: Code,
    predictor: Function,
    inputs: Tensor,
    *,
    preprocess: Function | None = None,
    explained: Explained = "centred_logit",
    residual: bool = False,
    explain_noise: bool = False,
    method: Method = integrated_gradients,
    method_options: Mapping[str, Any] | None = None,
    baselines: Tensor | NamedBaseline = "prior_mean",
    background: Tensor | None = None,
    n_steps: int | None = None,
    tolerance: float = 0.01,
    max_points: int = 256,
    seed: int = 0,
    task: Task | None = None,
    labels: Tensor | None = None,
    class_names: Sequence[str] | None = None,
    latent_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
) -> Explanation:
    """Explain a predictor's outputs at some inputs through the latents of a code.

    By default, integrated gradients from the prior mean to the posterior mean, to every class
    at once, with as many path points as completeness to 1 % needs. Neither code, predictor,
    inputs nor random generators are changed.

    Args:
        code: A trained VAE for these inputs, or anything else with `encode` and `decode`, such
            as a transform of `attributions.transforms`.
        predictor: See `attributions.Trim`.
        inputs: `(batch, *event)`, on the device and in the dtype of code and predictor.
        preprocess: Between decoder and predictor.
        explained: See `attributions.Trim`; the centred logit by default.
        residual: Whether what the decoder leaves out is added back, held fixed. Then the
            attributions end at the predictor's output at the inputs themselves.
        explain_noise: Whether blocks of noise (an InfoGAN's) are explained, too. By default they
            keep each example's own value along the path, and are attributed 0.
        method: Any attribution method: ours, a Captum class or instance, or a function from the
            `Trim` to an instance, see `attributions.methods.attribute`.
        method_options: Of the method, such as `{"n_samples": 200}` for `KernelShap`.
        baselines: `(1, latents)` or `(batch, latents)`, or a name, see
            `trimvae.baselines.baselines_named`.
        background: `(n, *event)`, inputs that named baselines are computed from.
        n_steps: Path points; as many as `tolerance` needs without it.
        tolerance: Completeness error allowed where `n_steps` is None.
        max_points: Most path points decoded at once; bounds the memory.
        seed: Of methods and baselines that sample.
        task: Without it, `"regression"` for a single output, else `"classification"`. Say
            `"classification"` for a single binary logit.
        labels: `(batch,)`, the true classes, to tell right from wrong; nothing else uses them.
        class_names: One per output (two for a binary logit: negative, positive).
        latent_names: One per latent; the code's own, or `z0`, `z1` ..., without it.
        feature_names: Columns of a table, for its figures.

    Returns:
        The explanation.

    Raises:
        TypeError: Inputs or outputs are not floating-point tensors, or `method` is none.
        ValueError: Inputs do not fit the code, the predictor is unfit to be explained (see
            `attributions.predictors.check_predictor`), or another argument is out of range.
        RuntimeError: The predictor is not differentiable.

    Examples:
        >>> vae, predictor = VAE.dense((6,), latent_size=2), torch.nn.Linear(6, 3)
        >>> explanation = explain(vae, predictor, torch.randn(4, 6))
        >>> explanation.attributions.shape == (4, 3, 2)
        True
    """
    _check_inputs(code, inputs)
    inputs = inputs.detach()
    first, are_probabilities = check_predictor(predictor, inputs[:8], preprocess)
    task = task or ("classification" if first.shape[1] > 1 else "regression")
    trim = Trim(
        predictor,
        Decoder(code),
        preprocess=preprocess,
        explained=explained,
        probabilities=are_probabilities,
    )
    with held_in_eval_mode(code):
        with torch.no_grad():
            latents, deviations = encode(code, inputs)
            reconstructions = code.decode(latents)
        left_out = trim.residual(inputs, latents) if residual else None
        outputs, reencoded = (
            predict_in_batches(predictor, points, preprocess)
            for points in (inputs, reconstructions)
        )
        _check_finite(outputs)
        distribution = takes_distribution(method)
        if not isinstance(baselines, Tensor):
            baselines = baselines_named(
                baselines,
                code,
                latents,
                decisions(outputs),
                predictor=predictor,
                background=background,
                preprocess=preprocess,
                distribution=distribution,
                generator=torch.Generator(device=inputs.device).manual_seed(seed),
            )
        _check_baselines(baselines, latents, distribution)
        if not explain_noise and not distribution:
            baselines = with_noise_of(code, baselines, latents)
        if method in (integrated_gradients, IntegratedGradients) and not method_options:
            paths: PathAttributions | _Scores = integrated_gradients(
                trim,
                latents,
                baselines,
                left_out,
                n_steps=n_steps,
                tolerance=tolerance,
                max_points=max_points,
            )
        else:
            scores = attribute(
                method,
                trim,
                latents,
                baselines,
                left_out,
                seed=seed,
                max_points=max_points,
                **(method_options or {}),
            )
            paths = _Scores(scores)
        with torch.no_grad():
            decoded_start = code.decode(baselines)
        plain_start = predict_in_batches(predictor, decoded_start, preprocess)
        at_baseline = trim.select(plain_start)
        if left_out is not None:
            at_baseline = _with_residual(trim, baselines, left_out, distribution)
        elif distribution:
            at_baseline = at_baseline.mean(dim=0, keepdim=True)
        if distribution:
            plain_start = plain_start.mean(dim=0, keepdim=True)
    explained_at = trim.select(outputs if residual else reencoded)
    return Explanation(
        inputs=inputs,
        reconstructions=reconstructions,
        latents=latents,
        deviations=deviations,
        baselines=baselines,
        attributions=paths.attributions,
        total_variation=paths.total_variation,
        outputs=as_logits(outputs, are_probabilities),
        reencoded_outputs=as_logits(reencoded, are_probabilities),
        baseline_outputs=as_logits(plain_start, are_probabilities),
        explained_at=explained_at,
        explained_at_baseline=at_baseline.expand_as(explained_at).clone(),
        latent_share=_latent_share(trim, outputs, reencoded, plain_start),
        labels=_labels(labels, inputs),
        class_names=_class_names(class_names, outputs.shape[1], task),
        latent_names=_latent_names(
            latent_names or getattr(code, "latent_names", None), latents.shape[1]
        ),
        settings={
            "task": task,
            "explained_name": _explained_name(explained, task, outputs.shape[1], class_names),
            "explained": None if isinstance(explained, Contrast) else explained,
            "contrast": list(explained) if isinstance(explained, Contrast) else None,
            "residual": residual,
            "baselines_per_example": not distribution and len(baselines) == len(inputs) > 1,
            "blocks": [list(block) for block in blocks_of(code, latents.shape[1])],
            "method": name_of(method),
            "n_steps": _mean(paths.n_points),
            "seed": seed,
            "probabilities": are_probabilities,
            "feature_names": None if feature_names is None else list(feature_names),
            "training": getattr(code, "trained_with", None),
            "versions": versions(),
        },
        _context=(code, predictor, preprocess),
    )


def _mean(counts: Tensor | None) -> int | None:
    return None if counts is None else round(counts.double().mean().item())


class _Scores(NamedTuple):
    """Attributions of a method that knows nothing of paths."""

    attributions: Tensor
    total_variation: None = None
    n_points: None = None


def _with_residual(trim: Trim, baselines: Tensor, left_out: Tensor, distribution: bool) -> Tensor:
    """What is explained where attributions start, `(batch, classes)`; of a set, its mean."""
    batch = len(left_out)
    with torch.no_grad():
        if not distribution:
            return trim(baselines.expand(batch, -1), left_out)
        rows = [trim(row.expand(batch, -1), left_out) for row in baselines]
        return torch.stack(rows).mean(dim=0)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the figures."""
    names = ("trimvae", "torch", "captum", "numpy", "lightning")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in names
    }


def _latent_share(trim: Trim, outputs: Tensor, reencoded: Tensor, at_start: Tensor) -> Tensor:
    """Share of the latents in the evidence for the predicted class, `(batch,)`."""
    selected = trim.select(outputs)
    target = decisions(outputs) if selected.shape[1] > 1 else torch.zeros_like(decisions(outputs))
    columns = [
        trim.select(values).expand_as(selected).gather(1, target.unsqueeze(1))[:, 0]
        for values in (outputs, reencoded, at_start)
    ]
    return latent_share(*columns)


def _explained_name(
    explained: Explained, task: Task, outputs: int, class_names: Sequence[str] | None
) -> str:
    if isinstance(explained, Contrast):
        names = [class_names[i] if class_names else str(i) for i in explained]
        return f"{names[0]} rather than {names[1]}"
    if task == "regression":
        return "output"
    if outputs == 1:
        return "logit"
    return "centred logit" if explained == "centred_logit" else "output"


def _class_names(names: Sequence[str] | None, outputs: int, task: Task) -> tuple[str, ...]:
    wanted = 2 if outputs == 1 and task == "classification" else outputs
    if names is None:
        return ("output",) if wanted == 1 else tuple(str(index) for index in range(wanted))
    check_names("class_names", names, wanted)
    return tuple(map(str, names))


def _latent_names(names: Sequence[str] | None, latents: int) -> tuple[str, ...]:
    if names is None:
        return tuple(f"z{index}" for index in range(latents))
    check_names("latent_names", names, latents)
    return tuple(map(str, names))


def _labels(labels: Tensor | None, inputs: Tensor) -> Tensor | None:
    if labels is None:
        return None
    labels = torch.as_tensor(labels, device=inputs.device)
    if labels.shape != (len(inputs),) or labels.is_floating_point():
        raise ValueError(
            f"`labels` must be {len(inputs)} whole numbers, one per input. Got {labels.dtype} of "
            f"shape {tuple(labels.shape)}. Pass class numbers."
        )
    return labels.detach().long()


def _check_inputs(code: Code, inputs: Tensor) -> None:
    if len(inputs) == 0:
        raise ValueError("`inputs` must hold at least one example. Got none. Pass a batch.")
    if isinstance(code, VAE):
        code.check_inputs(inputs)
    elif not inputs.is_floating_point() or not torch.isfinite(inputs).all():
        raise ValueError(
            f"`inputs` must be finite floating-point numbers. Got {inputs.dtype} with values that "
            "are not. Convert or clean them."
        )
    parameter = next(code.parameters(), inputs) if isinstance(code, nn.Module) else inputs
    if (parameter.device, parameter.dtype) != (inputs.device, inputs.dtype):
        raise ValueError(
            "`inputs` must be on the device and in the dtype of the code. Got inputs in "
            f"{inputs.dtype} on {inputs.device} and a code in {parameter.dtype} on "
            f"{parameter.device}. Move one of the two with .to(...)."
        )


def _check_baselines(baselines: Tensor, latents: Tensor, distribution: bool) -> None:
    size = latents.shape[1]
    if distribution and baselines.ndim == 2 and baselines.shape[1] == size and len(baselines):
        return
    if baselines.shape not in ((1, size), latents.shape):
        raise ValueError(
            f"`baselines` must have shape (1, {size}) or {tuple(latents.shape)}. "
            f"Got {tuple(baselines.shape)}. Pass one row, or one per example."
        )


def _check_finite(outputs: Tensor) -> None:
    if not torch.isfinite(outputs).all():
        rows = (~torch.isfinite(outputs)).any(dim=1).nonzero()[:3, 0].tolist()
        raise ValueError(
            "`predictor` must return finite outputs. Got NaN or infinity for the examples "
            f"{rows}. Check its weights and the range of its inputs."
        )
