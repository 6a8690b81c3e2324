"""explain(): from predictor, code and inputs to an Explanation."""

import importlib.metadata
import platform
from collections.abc import Sequence

import torch
from torch import Tensor

from attributions import Contrast, Trim, integrated_gradients, latent_share
from attributions.measures import decisions
from attributions.predictors import Function, check_predictor, evaluating, predict_in_batches
from attributions.trim import Explained
from trimvae.explanation import Explanation, check_names
from trimvae.training import Task
from trimvae.vae import VAE


def explain(
    vae: VAE,
    predictor: Function,
    inputs: Tensor,
    *,
    preprocess: Function | None = None,
    explained: Explained = "centred_logit",
    residual: bool = False,
    baselines: Tensor | None = None,
    n_steps: int = 50,
    max_points: int = 256,
    task: Task | None = None,
    class_names: Sequence[str] | None = None,
    latent_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
) -> Explanation:
    """Explain a predictor's outputs at some inputs through the latents of a VAE.

    Integrated gradients from the baseline to the posterior mean, to every class at once. Neither
    VAE, predictor, inputs nor random generators are changed.

    Args:
        vae: Trained, for these inputs.
        predictor: See `attributions.Trim`.
        inputs: `(batch, *event)`, on the device and in the dtype of VAE and predictor.
        preprocess: Between decoder and predictor.
        explained: See `attributions.Trim`; the centred logit by default.
        residual: Whether what the decoder leaves out is added back, held fixed. Then the
            attributions end at the predictor's output at the inputs themselves.
        baselines: `(1, latents)` or `(batch, latents)`; the prior mean without it.
        n_steps: Path points.
        max_points: Most path points decoded at once; bounds the memory.
        task: Without it, `"regression"` for a single output, else `"classification"`. Say
            `"classification"` for a single binary logit.
        class_names: One per output (two for a binary logit: negative, positive).
        latent_names: One per latent; `z0`, `z1` ... without it.
        feature_names: Columns of a table, for its figures.

    Returns:
        The explanation.

    Raises:
        TypeError: Inputs or outputs are not floating-point tensors.
        ValueError: Inputs do not fit the VAE, the predictor is unfit to be explained (see
            `attributions.predictors.check_predictor`), or another argument is out of range.
        RuntimeError: The predictor is not differentiable.

    Examples:
        >>> vae, predictor = VAE.dense((6,), latent_size=2), torch.nn.Linear(6, 3)
        >>> explanation = explain(vae, predictor, torch.randn(4, 6))
        >>> explanation.attributions.shape == (4, 3, 2)
        True
    """
    if len(inputs) == 0:
        raise ValueError("`inputs` must hold at least one example. Got none. Pass a batch.")
    vae.check_inputs(inputs)
    _check_device(vae, inputs)
    inputs = inputs.detach()
    first, are_probabilities = check_predictor(predictor, inputs[:8], preprocess)
    task = task or ("classification" if first.shape[1] > 1 else "regression")
    trim = Trim(
        predictor,
        vae.decode,
        preprocess=preprocess,
        explained=explained,
        probabilities=are_probabilities,
    )
    with evaluating(vae):
        with torch.no_grad():
            posterior = vae.encode(inputs)
            latents = posterior.mean
            start = torch.zeros_like(latents[:1]) if baselines is None else baselines
            _check_baselines(start, latents)
            reconstructions, decoded_start = vae.decode(latents), vae.decode(start)
        left_out = inputs - reconstructions if residual else None
        outputs, reencoded, plain_start = (
            predict_in_batches(predictor, points, preprocess)
            for points in (inputs, reconstructions, decoded_start)
        )
        _check_finite(outputs)
        paths = integrated_gradients(
            trim, latents, start, left_out, n_steps=n_steps, max_points=max_points
        )
    at_start = plain_start
    if left_out is not None:
        at_start = predict_in_batches(predictor, decoded_start + left_out, preprocess)
    explained_at = trim.select(outputs if residual else reencoded)
    return Explanation(
        inputs=inputs,
        reconstructions=reconstructions,
        latents=latents,
        deviations=posterior.stddev,
        baselines=start,
        attributions=paths.attributions,
        total_variation=paths.total_variation,
        outputs=_logits(outputs, are_probabilities),
        reencoded_outputs=_logits(reencoded, are_probabilities),
        baseline_outputs=_logits(plain_start, are_probabilities),
        explained_at=explained_at,
        explained_at_baseline=trim.select(at_start).expand_as(explained_at).clone(),
        latent_share=_latent_share(trim, outputs, reencoded, plain_start),
        class_names=_class_names(class_names, outputs.shape[1], task),
        latent_names=_latent_names(latent_names, latents.shape[1]),
        settings={
            "task": task,
            "explained_name": _explained_name(explained, task, outputs.shape[1], class_names),
            "contrast": list(explained) if isinstance(explained, Contrast) else None,
            "residual": residual,
            "method": "IntegratedGradients",
            "n_steps": n_steps,
            "probabilities": are_probabilities,
            "feature_names": None if feature_names is None else list(feature_names),
            "training": vae.trained_with,
            "versions": versions(),
        },
        _context=(vae, predictor, preprocess),
    )


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the figures."""
    names = ("trimvae", "torch", "captum", "numpy", "lightning")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in names
    }


def _logits(outputs: Tensor, are_probabilities: bool) -> Tensor:
    tiny = torch.finfo(outputs.dtype).tiny
    return outputs.clamp_min(tiny).log() if are_probabilities else outputs


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


def _check_device(vae: VAE, inputs: Tensor) -> None:
    parameter = next(vae.parameters(), inputs)
    if (parameter.device, parameter.dtype) != (inputs.device, inputs.dtype):
        raise ValueError(
            "`inputs` must be on the device and in the dtype of the VAE. Got inputs in "
            f"{inputs.dtype} on {inputs.device} and a VAE in {parameter.dtype} on "
            f"{parameter.device}. Move one of the two with .to(...)."
        )


def _check_baselines(baselines: Tensor, latents: Tensor) -> None:
    if baselines.shape not in ((1, latents.shape[1]), latents.shape):
        raise ValueError(
            f"`baselines` must have shape (1, {latents.shape[1]}) or {tuple(latents.shape)}. "
            f"Got {tuple(baselines.shape)}. Pass one row, or one per example."
        )


def _check_finite(outputs: Tensor) -> None:
    if not torch.isfinite(outputs).all():
        rows = (~torch.isfinite(outputs)).any(dim=1).nonzero()[:3, 0].tolist()
        raise ValueError(
            "`predictor` must return finite outputs. Got NaN or infinity for the examples "
            f"{rows}. Check its weights and the range of its inputs."
        )
