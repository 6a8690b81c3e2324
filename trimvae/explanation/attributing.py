"""From latents and baselines to attributions, and to what is explained at both their ends."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from attributions.code_checks import check_decoded, check_latents
from attributions.codes import encode
from attributions.measures.fidelity import latent_share
from attributions.methods.captum import Method, attribute
from attributions.methods.paths import integrated_gradients
from attributions.outputs import decisions
from attributions.predictors import Predictor
from attributions.trim import Trim
from trimvae.explanation.arguments import check_finite
from trimvae.explanation.columns import Chosen, targets_of
from trimvae.explanation.probing import Context


class Seen(NamedTuple):
    """What code and predictor make of the inputs."""

    latents: Tensor
    deviations: Tensor
    reconstructions: Tensor
    outputs: Tensor
    reencoded_outputs: Tensor


def seen_at(context: Context, inputs: Tensor) -> Seen:
    """Encode, decode and predict.

    Raises:
        TypeError: What the code returns has another dtype than the inputs.
        ValueError: It has another shape, or what code or predictor return is not finite; the first
            such examples are named.
    """
    code, predictor = context
    with torch.no_grad():
        latents, deviations = encode(code, inputs)
        check_latents(latents, inputs)
        reconstructions = code.decode(latents)
        check_decoded(reconstructions, inputs)
    outputs = predictor.in_batches(inputs)
    check_finite(outputs)
    reencoded = predictor.in_batches(reconstructions)
    return Seen(latents, deviations, reconstructions, outputs, reencoded)


class Path(NamedTuple):
    """Where attributions end and start, and what is held fixed in between."""

    latents: Tensor
    baselines: Tensor
    residual: Tensor | None
    targets: Tensor | None = None
    """`(batch, wanted)`, the outputs that are attributed; None for all."""


def path_of(
    trim: Trim, inputs: Tensor, seen: Seen, starts: Tensor, *, residual: bool, chosen: Chosen
) -> Path:
    """The path from where attributions start to the latents of the inputs.

    Args:
        trim: The predictor behind the decoder.
        inputs: `(batch, *event)`.
        seen: What code and predictor make of them.
        starts: Where attributions start.
        residual: Whether what the decoder leaves out is added back.
        chosen: The classes that are attributed.
    """
    left_out = trim.residual(inputs, seen.latents) if residual else None
    return Path(seen.latents, starts, left_out, targets_of(chosen, seen.outputs))


class Attributed(NamedTuple):
    """Attributions; of path integrals also the total variation and how many points."""

    attributions: Tensor
    total_variation: Tensor | None = None
    path_points: Tensor | None = None
    predicted_attributions: Tensor | None = None
    """To the predicted classes, beside chosen ones; likewise."""
    predicted_variation: Tensor | None = None

    def apart(self) -> "Attributed":
        """The last class of several, which is the predicted one, apart from those before."""
        if self.attributions.shape[1] < 2:
            return self
        variation = self.total_variation
        return self._replace(
            attributions=self.attributions[:, :-1],
            total_variation=None if variation is None else variation[:, :-1],
            predicted_attributions=self.attributions[:, -1],
            predicted_variation=None if variation is None else variation[:, -1],
        )


def attributed(
    trim: Trim,
    path: Path,
    method: Method,
    method_options: Mapping[str, Any],
    *,
    n_steps: int | None,
    tolerance: float,
    max_points: int,
    seed: int,
) -> Attributed:
    """Attribute what is explained to the latents.

    Args:
        trim: The predictor behind the decoder.
        path: From where to where, with which residual, and of which outputs.
        method: Any attribution method.
        method_options: Of the method.
        n_steps: Path points, of methods that have a path; None for as many as `tolerance` needs
            (integrated gradients), or as the method takes by default.
        tolerance: Completeness error allowed there.
        max_points: Most path points decoded at once.
        seed: Of methods that sample.
    """
    if not isinstance(method_options, Mapping):
        raise TypeError(
            f"`method_options` must hold options by name. Got {method_options!r}. "
            'Write e.g. method_options={"n_samples": 200}.'
        )
    latents, baselines, residual, targets = path
    options: dict[str, Any] = {"targets": targets, "max_points": max_points}
    if method in (integrated_gradients, IntegratedGradients) and not method_options:
        options |= {"n_steps": n_steps, "tolerance": tolerance}
        found = Attributed(*integrated_gradients(trim, latents, baselines, residual, **options))
    else:
        options |= {"generator": generator_of(latents, seed), **method_options}
        if n_steps is not None:
            options.setdefault("n_steps", n_steps)
        found = Attributed(attribute(method, trim, latents, baselines, residual, **options))
    return found if targets is None else found.apart()


class Ends(NamedTuple):
    """What is explained where attributions end and start, and how much of it the latents carry."""

    explained_at: Tensor
    explained_at_baseline: Tensor
    baseline_outputs: Tensor
    latent_share: Tensor


def ends(trim: Trim, path: Path, seen: Seen, *, distribution: bool) -> Ends:
    """Ask what is explained at both ends of the path; of a distribution of baselines, the mean."""
    predictor = trim.predictor
    with torch.no_grad():
        decoded = trim.decode(path.baselines)
    outputs = predictor.in_batches(decoded)
    at_start = predictor.select(outputs)
    if path.residual is not None:
        at_start = _with_residual(trim, path.baselines, path.residual, distribution=distribution)
    elif distribution:
        at_start = at_start.mean(dim=0, keepdim=True)
    if distribution:
        outputs = outputs.mean(dim=0, keepdim=True)
    at_end = predictor.select(seen.outputs if path.residual is not None else seen.reencoded_outputs)
    return Ends(
        explained_at=at_end,
        explained_at_baseline=at_start.expand_as(at_end).clone(),
        baseline_outputs=outputs,
        latent_share=_latent_share(predictor, seen, outputs),
    )


def _with_residual(
    trim: Trim, baselines: Tensor, residual: Tensor, *, distribution: bool
) -> Tensor:
    """What is explained where attributions start, `(batch, classes)`; of a set, its mean."""
    batch = len(residual)
    rows = baselines if distribution else (baselines,)
    with torch.no_grad():
        at_start = [trim(row.expand(batch, -1), residual) for row in rows]
    return torch.stack(at_start).mean(dim=0)


def _latent_share(predictor: Predictor, seen: Seen, at_start: Tensor) -> Tensor:
    """Share of the latents in the evidence for the predicted class, `(batch,)`."""
    selected = predictor.select(seen.outputs)
    target = torch.zeros_like(decisions(seen.outputs))
    if selected.shape[1] > 1:
        target = decisions(seen.outputs)
    columns = [
        predictor.select(logits).expand_as(selected).gather(1, target.unsqueeze(1))[:, 0]
        for logits in (seen.outputs, seen.reencoded_outputs, at_start)
    ]
    return latent_share(*columns)


def generator_of(like: Tensor, seed: int) -> torch.Generator:
    """Return a generator where a tensor is."""
    return torch.Generator(device=like.device).manual_seed(seed)
