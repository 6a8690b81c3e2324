"""Any attribution method on latents, to every class: ours, and everything that Captum has."""

import copy
import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import captum.attr
import torch
from captum.attr import DeepLiftShap, GradientShap, InputXGradient, IntegratedGradients, Saliency
from captum.attr._utils.attribution import Attribution, PerturbationAttribution
from torch import Tensor

from attributions.checks import check_mode
from attributions.methods.jacobians import input_x_gradient, saliency
from attributions.methods.paths import expected_gradients, integrated_gradients
from attributions.methods.shapley import exact_shapley
from attributions.randomness import seed_of, undisturbed
from attributions.trim import Trim

Method: TypeAlias = Attribution | Callable[..., Any]
"""One of our functions; a Captum class or instance; or a function from the `Trim` to an instance,
such as `lambda trim: NoiseTunnel(IntegratedGradients(trim))`."""

_OURS: tuple[Callable[..., Any], ...] = (
    expected_gradients,
    exact_shapley,
    input_x_gradient,
    integrated_gradients,
    saliency,
)

# What ours gives in one pass, with the options that both know.
_SAME: dict[Any, tuple[Callable[..., Any], set[str]]] = {
    Saliency: (saliency, set()),
    InputXGradient: (input_x_gradient, set()),
    IntegratedGradients: (integrated_gradients, {"n_steps"}),
}


def attribute(
    method: Method,
    /,
    trim: Trim,
    latents: Tensor,
    baselines: Tensor | None = None,
    residual: Tensor | None = None,
    *,
    targets: Tensor | None = None,
    generator: torch.Generator | None = None,
    max_points: int = 256,
    **options: Any,
) -> Tensor:
    """Attributions of every class to latents by any method, `(batch, classes, latents)`.

    Ours and Captum's `Saliency`, `InputXGradient` and `IntegratedGradients` run for all classes
    in one pass; every other Captum method runs class by class. The caller's random generators
    and the predictor are handed back as they were.

    Args:
        method: One of our functions, such as `exact_shapley`; a Captum class or instance; or a
            function from the `Trim` to an instance, such as
            `lambda trim: NoiseTunnel(IntegratedGradients(trim))`.
        trim: What is explained.
        latents: `(batch, latents)`.
        baselines: `(1, latents)` or `(batch, latents)`; for methods that compare with a
            distribution (`expected_gradients`, `GradientShap`, `DeepLiftShap`) `(n, latents)`,
            its rows. Methods without baselines ignore it; default: 0.
        residual: `(batch, *event)`, held fixed; default: none.
        targets: `(batch, wanted)`, numbers of the classes wanted of each example; default: all.
        generator: Seeds methods that sample; default: one that is seeded with 0, so that the same
            call gives the same attributions.
        max_points: Most path points or coalitions decoded at once, for ours.
        **options: Of the method, such as `n_samples=200` for `KernelShap`.

    Returns:
        `(batch, classes, latents)`, detached; of the classes wanted, where `targets` says which.

    Raises:
        TypeError: `method` is none of these, does not know an option, or returns more than
            attributions.
        RuntimeError: torch.inference_mode is on.
        ValueError: The method's attributions do not have the latents' shape.

    Examples:
        >>> trim = Trim(torch.nn.Linear(4, 3), torch.nn.Linear(2, 4))
        >>> latents = torch.randn(5, 2)
        >>> ablation = attribute(captum.attr.FeatureAblation, trim, latents)
        >>> torch.allclose(ablation, attribute(exact_shapley, trim, latents), atol=1e-5)
        True
    """
    check_mode("trim")
    ours, known = _SAME.get(method, (method, set(options)))
    if ours not in _OURS or set(options) - known:
        ours = None
    latents = latents.detach()
    with undisturbed(seed_of(generator), latents.device), torch.enable_grad():
        if ours is None:
            return _captum(method, trim, latents, baselines, residual, targets, options)
        accepted = inspect.signature(ours).parameters
        unknown = sorted(set(options) - set(accepted))
        if unknown:
            raise TypeError(
                f"`options` must be known to {name_of(method)}. Got {unknown}. "
                f"It takes {[name for name in accepted if name not in ('function', 'latents')]}."
            )
        starts = {"baselines": baselines} if "baselines" in accepted else {}
        given = {"residual": residual, "targets": targets, "max_points": max_points}
        result = ours(trim, latents, **given, **starts, **options)
        scores: Tensor = getattr(result, "attributions", result)
        return scores


def needs_gradient(method: Method) -> bool:
    """Whether a method differentiates what it explains; of a function from the `Trim`, True.

    Args:
        method: One of our functions, a Captum class or instance, or a function from the `Trim`.

    Examples:
        >>> needs_gradient(captum.attr.KernelShap), needs_gradient(captum.attr.Saliency)
        (False, True)
    """
    if method is exact_shapley or isinstance(method, PerturbationAttribution):
        return False
    return not (isinstance(method, type) and issubclass(method, PerturbationAttribution))


def method_named(name: str) -> Method:
    """Find one of our functions or a Captum class by its name, for command lines.

    Raises:
        ValueError: There is none.

    Examples:
        >>> method_named("KernelShap") is captum.attr.KernelShap
        True
    """
    ours = {function.__name__: function for function in _OURS}
    found = ours.get(name) or getattr(captum.attr, name, None)
    if found is None or (name not in ours and not _is_captum_class(found)):
        raise ValueError(
            f"`method` must be one of {sorted(ours)} or a class of captum.attr. Got {name!r}. "
            "Start with integrated_gradients."
        )
    return found


def name_of(method: Method) -> str:
    """What to call a method in settings and messages."""
    return getattr(method, "__name__", type(method).__name__)


def takes_distribution(method: Method) -> bool:
    """Whether the method compares with a set of baselines rather than one per example."""
    kinds = (GradientShap, DeepLiftShap)
    return method is expected_gradients or isinstance(method, kinds) or method in kinds


def _is_captum_class(found: Any) -> bool:
    return inspect.isclass(found) and issubclass(found, Attribution)


def _captum(
    method: Method,
    trim: Trim,
    latents: Tensor,
    baselines: Tensor | None,
    residual: Tensor | None,
    targets: Tensor | None,
    options: dict[str, Any],
) -> Tensor:
    instance = _instance(method, trim)
    if residual is not None:
        options = {"additional_forward_args": (residual,), **options}
    if baselines is None:
        baselines = torch.zeros_like(latents[:1])
    if _accepts_baselines(instance):
        options["baselines"] = baselines
        if not takes_distribution(instance):
            options["baselines"] = baselines.expand_as(latents)
        elif isinstance(instance, DeepLiftShap) and len(baselines) == 1:
            options["baselines"] = baselines.expand(2, -1)  # it refuses a single row
    columns = []
    for target in _targets(trim, latents, residual) if targets is None else targets.unbind(1):
        with warnings.catch_warnings():
            # Captum's advice on speed and hooks, for callers of Captum.
            warnings.simplefilter("ignore", UserWarning)
            column = instance.attribute(latents.clone(), target=target, **options)
        if not isinstance(column, Tensor):
            raise TypeError(
                "`method` must return a tensor of attributions. Got "
                f"{type(column).__name__} from {name_of(method)}. "
                "Leave out options that return more, such as return_convergence_delta."
            )
        columns.append(column.detach())
        if column.shape != latents.shape:
            raise ValueError(
                f"`method` must return one attribution per latent, {tuple(latents.shape)}. Got "
                f"{tuple(column.shape)} from {name_of(method)}. Leave out options that sum up."
            )
    return torch.stack(columns, dim=1).to(latents.dtype)


def _targets(trim: Trim, latents: Tensor, residual: Tensor | None) -> range:
    """Numbers of all classes."""
    args = () if residual is None else (residual[:1],)
    with torch.no_grad():
        return range(trim(latents[:1], *args).shape[1])


def _instance(method: Method, trim: Trim) -> Attribution:
    if isinstance(method, Attribution):
        return _rebound(method, trim)
    made = None
    if callable(method):
        try:
            made = method(trim)
        except (TypeError, AttributeError) as error:
            raise TypeError(
                "`method` must be made from the Trim alone. Got "
                f"{name_of(method)}, which said: {error}. Pass a function such as "
                "lambda trim: NoiseTunnel(IntegratedGradients(trim))."
            ) from error
    if not isinstance(made, Attribution):
        raise TypeError(
            "`method` must be one of our functions, a Captum class or instance, or a function "
            f"that makes one. Got {method!r}. Pass for example captum.attr.IntegratedGradients."
        )
    return made


def _rebound(method: Attribution, trim: Trim) -> Attribution:
    """A copy of the instance that looks at `trim`, whatever it was made for."""
    twin = copy.copy(method)
    for attribute_name in ("forward_func", "model"):
        if hasattr(twin, attribute_name):
            setattr(twin, attribute_name, trim)
    inner = getattr(twin, "attribution_method", None)
    if inner is not None:
        twin.attribution_method = _rebound(inner, trim)
    return twin


def _accepts_baselines(instance: Attribution) -> bool:
    inner = getattr(instance, "attribution_method", instance)
    return "baselines" in inspect.signature(inner.attribute).parameters
