"""explain(): from predictor, code and inputs to an Explanation."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from torch import Tensor

from attributions.checks import check_mode, checked_predictor
from attributions.code_checks import check_code
from attributions.codes import Code, Decoder, at_once, with_noise_of
from attributions.methods.captum import Method, name_of, needs_gradient, takes_distribution
from attributions.methods.paths import integrated_gradients
from attributions.outputs import Explained, Task, decisions
from attributions.predictors import Function
from attributions.randomness import checked_seed
from attributions.trim import Trim
from trimvae.data.loading import Array, as_tensor
from trimvae.explanation.arguments import (
    LatentNames,
    as_inputs,
    as_labels,
    check_baselines,
    check_inputs,
    class_names_of,
    feature_names_of,
    latent_names_of,
)
from trimvae.explanation.asking import FrozenCode, as_frozen
from trimvae.explanation.attributing import (
    Seen,
    attributed,
    ends,
    generator_of,
    path_of,
    seen_at,
)
from trimvae.explanation.baselines import NamedBaseline, baselines_named
from trimvae.explanation.columns import Classes, chosen_classes
from trimvae.explanation.cues import mixed_cues
from trimvae.explanation.explanation import Explanation
from trimvae.explanation.probing import Context
from trimvae.explanation.recording import path_settings, settings_of
from trimvae.explanation.redrawn import redrawn_figures
from trimvae.explanation.within_latents import bundles_of
from trimvae.tables.asking import for_rows


def explain(
    code: Code,
    predictor: Function,
    inputs: Array,
    *,
    preprocess: Function | None = None,
    explained: Explained = "centred_logit",
    classes: Classes | None = None,
    residual: bool = False,
    explain_noise: bool = False,
    method: Method = integrated_gradients,
    method_options: Mapping[str, Any] | None = None,
    baselines: Array | NamedBaseline = "prior_mean",
    background: Array | None = None,
    n_steps: int | None = None,
    tolerance: float = 0.01,
    max_points: int | None = None,
    seed: int = 0,
    task: Task | None = None,
    labels: Array | None = None,
    class_names: Sequence[str] | None = None,
    latent_names: LatentNames | None = None,
    feature_names: Sequence[str] | None = None,
    check_parts: bool = True,
) -> Explanation:
    """Explain a predictor's outputs at some inputs through the latents of a code.

    By default, integrated gradients from the prior mean to the posterior mean, to every class
    at once (of more than 100 classes to the predicted one), with as many path points as
    completeness to 1 % needs. Neither code, predictor, inputs nor random generators are changed,
    not even while another thread looks: both are asked through frozen replicas, which are given
    copies.

    Args:
        code: A trained VAE for these inputs, or anything else with `encode` and `decode`, such
            as a transform of `attributions.transforms`.
        predictor: The classifier or regressor that is explained: a module or function, inputs
            `(batch, *event)` to outputs `(batch, classes)`, `(batch, 1)` or `(batch,)`; also a
            tuple, or a mapping or object with `logits`. An `attributions.Predictor` is used as it
            is: `preprocess`, `explained` and `task` are then its own.
        inputs: `(batch, *event)`, a tensor on the device and in the dtype of code and predictor,
            a NumPy array or a DataFrame.
        preprocess: Between decoder and predictor: a resize, three channels, mean and deviation;
            default: none.
        explained: `"centred_logit"`, the logit minus the mean logit of the example; `"output"`,
            the predictor's own output; or a `Contrast` of two classes.
        classes: To which classes: one by number or name, or several, in this order; `"predicted"`,
            of each example its own, in one column; or `"all"`. Centred logits are those of all
            classes, whichever are chosen, and figures and drawings are of the predicted class, as
            ever. Default: all, or of more than 100 classes the predicted one.
        residual: Whether what the decoder leaves out is added back, held fixed. Then the
            attributions end at the predictor's output at the inputs themselves.
        explain_noise: Whether blocks of noise (an InfoGAN's) are explained as well. By default
            they keep each example's own value along the path, and are attributed 0.
        method: Any attribution method: one of ours (`integrated_gradients`, `expected_gradients`,
            `exact_shapley`, `saliency`, `input_x_gradient`), a Captum class or instance, or a
            function from the `Trim` to an instance.
        method_options: Of the method, such as `{"n_samples": 200}` for `KernelShap`; default:
            none.
        baselines: Where attributions start: `(1, latents)` or `(batch, latents)`, or a name.
            `"prior_mean"` is what the prior expects; `"dataset_mean"` the mean code of the
            background; `"class_mean"` the mean code of the background examples that are predicted
            as the example itself is; `"posterior"` a draw from the posterior of a random
            background example. Methods that compare with a distribution take `(n, latents)`.
        background: `(n, *event)`, inputs that named baselines are computed from; all but
            `"prior_mean"` need it.
        n_steps: Path points, of methods that have a path; default: as many as `tolerance` needs
            for integrated gradients, as many as another method takes by default.
        tolerance: Completeness error allowed where `n_steps` is None, relative to the change of
            the output.
        max_points: Most path points decoded at once, which bounds the memory; default: 256, of
            large inputs fewer: 8 of colour pictures of 256 pixels.
        seed: Of methods and baselines that sample.
        task: `"classification"` or `"regression"`; default: `"regression"` for a single output,
            else `"classification"`. Say `"classification"` for a single binary logit.
        labels: `(batch,)`, numbers of the true classes, to tell right from wrong; nothing else
            uses them.
        class_names: One per output (two for a binary logit: negative, positive); default: those of
            an estimator of scikit-learn, or their numbers.
        latent_names: One per latent; or new names by old ones, as a mapping or as the path of the
            JSON file that a report saves; default: the code's own, or `z0`, `z1` ...
        feature_names: Columns of a table, for its figures; default: those of a DataFrame.
        check_parts: Whether it is asked, of pictures, which part of what each of the strongest
            latents draws the predictor responds to (a few hundred pictures more; of tables, which
            column), of two inputs that are mixed, whether the re-encoded decision follows the
            predictor's (of codes that encode at once), and, of inputs that are drawn and read
            again, what is left. Warnings say where it is too little.

    Returns:
        The explanation.

    Raises:
        TypeError: Inputs or outputs are not floating-point numbers, or `method` is none or does
            not know an option.
        ValueError: Inputs do not fit the code; there is no such class; the predictor's device,
            dtype or batch size is another; what code or predictor return is not finite, or changes
            from call to call in eval mode or with the rest of the batch; or another argument is
            out of range.
        RuntimeError: The predictor is not differentiable, or gradients are switched off by
            `torch.inference_mode` (`torch.no_grad` does no harm).

    Warns:
        UserWarning: The predictor ends in a softmax, or in a sigmoid that decides; centring its
            logits loses them; or some examples miss `tolerance`.

    Examples:
        >>> import torch
        >>> from trimvae import VAE
        >>> vae, predictor = VAE.dense((6,), latent_size=2), torch.nn.Linear(6, 3)
        >>> explanation = explain(vae, predictor, torch.randn(4, 6))
        >>> explanation.attributions.shape == (4, 3, 2)
        True
    """
    check_mode("explain")
    frozen_code, seed = as_frozen(code), checked_seed(seed)
    own = frozen_code.original
    points = _points(frozen_code, inputs, known=frozen_code is code)
    asked: dict[str, Any] = {"preprocess": preprocess, "explained": explained, "task": task}
    asked["gradient"] = needs_gradient(method)
    frozen_predictor = checked_predictor(for_rows(own, predictor), points[:8], apart=True, **asked)
    context, distribution = Context(frozen_code, frozen_predictor), takes_distribution(method)
    seen = seen_at(context, points)
    shown_classes = class_names_of(frozen_predictor, seen.outputs.shape[1], class_names)
    chosen = chosen_classes(classes, frozen_predictor, seen.outputs, shown_classes)
    shown_latents = latent_names_of(frozen_code, seen.latents.shape[1], latent_names)
    known_labels = as_labels(labels, points, frozen_predictor.task, shown_classes)
    starts = starts_of(context, seen, baselines, background, distribution=distribution, seed=seed)
    if not explain_noise and not distribution:
        starts = with_noise_of(frozen_code, starts, seen.latents)
    trim = Trim(frozen_predictor, Decoder(frozen_code))
    path = path_of(trim, points, seen, starts, residual=residual, chosen=chosen)
    found = attributed(
        trim,
        path,
        method,
        method_options or {},
        n_steps=n_steps,
        tolerance=tolerance,
        max_points=at_once(points) if max_points is None else max_points,
        seed=seed,
    )
    explanation = Explanation(
        inputs=points,
        **seen._asdict(),
        **ends(trim, path, seen, distribution=distribution)._asdict(),
        baselines=starts,
        **found._asdict(),
        labels=known_labels,
        class_names=shown_classes,
        latent_names=shown_latents,
        settings={
            **settings_of(context, seen, shown_classes, chosen),
            "residual": residual,
            "baselines_per_example": not distribution and len(starts) == len(points) > 1,
            "method": name_of(method),
            **path_settings(found, n_steps),
            "seed": seed,
            "feature_names": feature_names_of(inputs, feature_names, own),
        },
        _context=context,
    )
    return _checked(explanation, context) if check_parts else explanation


def _points(code: FrozenCode, inputs: Array, *, known: bool) -> Tensor:
    """The inputs as a tensor, once they are known to fit the code, and the code to answer them.

    A code that is `known`, since it was frozen before, has been asked by whoever froze it.
    """
    points = as_inputs(inputs, code.original)
    check_inputs(code.original, points)
    if not known:
        check_code(code, points)
    return points


def _checked(explanation: Explanation, context: Context) -> Explanation:
    """The same, with what real inputs say: parts of what is drawn, mixed inputs, redrawn ones."""
    found = [
        [bundle.latent, *map(list, bundle[1:])]
        for bundle in bundles_of(explanation, explanation.trim)
    ]
    seen = (explanation.inputs, explanation.reconstructions, explanation.outputs)
    mixed = [[cue.kind, cue.mixed, *cue.found] for cue in mixed_cues(*context, *seen)]
    redrawn = redrawn_figures(
        context.code,
        explanation.trim,
        explanation.inputs,
        explanation.latents,
        explanation.reconstructions,
        explanation.outputs,
        explanation.shares,
    )
    checked = {
        "bundles": found,
        "cues": mixed,
        "redrawn": {
            name: [figure.value, figure.interval and list(figure.interval)]
            for name, figure in redrawn.items()
        },
    }
    return replace(explanation, settings={**explanation.settings, **checked})


def starts_of(
    context: Context,
    seen: Seen,
    baselines: Array | NamedBaseline,
    background: Array | None,
    *,
    distribution: bool,
    seed: int,
) -> Tensor:
    """Where attributions start: `(1, latents)`, `(batch, latents)` or the rows of a set."""
    if isinstance(baselines, str):
        starts = baselines_named(
            cast("NamedBaseline", baselines),
            context.code,
            seen.latents,
            decisions(seen.outputs),
            predictor=context.predictor,
            background=None
            if background is None
            else as_inputs(background, context.code.original, "background"),
            distribution=distribution,
            generator=generator_of(seen.latents, seed),
        )
    else:
        starts = as_tensor(baselines, "baselines").detach().to(seen.latents, copy=True)
    check_baselines(starts, seen.latents, distribution=distribution)
    return starts
