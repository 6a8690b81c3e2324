"""Figures that move latents, decode and ask the predictor again."""

from collections.abc import Sequence
from typing import Any

import captum.metrics
import torch
from torch import Tensor, nn

from attributions.measures.fidelity import agreement
from attributions.measures.information import Flow, information_flow, information_flows
from attributions.measures.intervals import N_RESAMPLES, bootstrap_interval, interval_of
from attributions.measures.interventions import (
    sufficiency,
    traversal_monotonicity,
)
from attributions.measures.orders import curve_area, curve_score, deletion_and_insertion
from attributions.measures.sanity import reinitialised, sanity_check
from attributions.methods.captum import Method, attribute
from attributions.methods.gradients import path_contributions
from attributions.methods.paths import integrated_gradients
from attributions.methods.quadrature import quadrature_of
from attributions.trim import Trim
from trimvae.evaluation.figure import Measured, measured_share
from trimvae.explanation.probing import Probing

# Latents live on a scale of 1: a perturbation that a reader would call small.
_RADIUS = 0.2

# Beyond this, figures that move latents one by one are for the strongest latents alone.
MOST_LATENTS = 32

# Examples that Captum's metrics are taken over.
_CAPTUM_EXAMPLES = 32

# Predictors that are drawn anew, and what is asked of each: a ranking needs few steps.
_DRAWS, _SANITY_EXAMPLES, _SANITY_STEPS = 20, 40, 4

# Path points of what is compared with itself, a little way off; and how many pass at once.
_SENSITIVITY_STEPS, _POINTS = 16, 256


class Interventions:
    """The examples whose latents are moved, and the predictor to ask.

    Args:
        kept: Explanations of consecutive batches, made alike.
        count: Most examples.
        method: What attributions are made by.
        seed: Of all that samples.
    """

    def __init__(self, kept: Sequence[Probing], count: int, *, method: Method, seed: int) -> None:
        first = kept[0]
        self.trim, self.method = first.trim, method
        self.latents = torch.cat([part.latents for part in kept])[:count]
        self.target = torch.cat([part.target for part in kept])[:count]
        self.attributions = torch.cat([part.target_attributions for part in kept])[:count]
        self.start = first.baselines.mean(dim=0, keepdim=True)
        if first.settings["baselines_per_example"]:
            self.start = torch.cat([part.baselines for part in kept])[:count]
        # No quantile in half precision.
        ends = torch.tensor([0.01, 0.99], device=self.latents.device, dtype=torch.float64)
        self.low, self.high = self.latents.double().quantile(ends, dim=0).to(self.latents)
        self.decides, self.has_prior = first.by_class, bool(first.deviations.any())
        self.one_output = len(first.output_names) == 1
        self.latent_names = first.latent_names
        self.generator = torch.Generator(device=self.latents.device).manual_seed(seed)

    def metrics(self, k: int, n_alpha: int, n_beta: int) -> dict[str, float]:
        """Return the values of `figures` alone."""
        return {name: found.value for name, found in self.figures(k, n_alpha, n_beta).items()}

    def figures(self, k: int, n_alpha: int, n_beta: int) -> dict[str, Measured]:
        """Every figure over all examples, after `by_latent`: both draw from one generator."""
        found: dict[str, Measured] = {}
        if self.latents.shape[1] <= MOST_LATENTS:
            found |= self._orders()
            if self.decides:
                found |= self._flips(min(k, self.latents.shape[1]))
                found |= self._flow_of_best(n_alpha, n_beta)
        return found | self._by_captum() | self._sanity()

    def by_latent(self, n_alpha: int, n_beta: int) -> dict[str, dict[str, float]]:
        """For each latent (the 32 strongest, of many) its size, and what moving it alone does."""
        strength = self.attributions.abs().mean(dim=0)
        with torch.no_grad():
            outputs = self.trim(self.latents)
        order = torch.randperm(
            len(self.latents), generator=self.generator, device=self.latents.device
        )
        chosen = sorted(strength.argsort(descending=True)[:MOST_LATENTS].tolist())
        monotone = traversal_monotonicity(
            self.trim, self.latents, self.target, self.low, self.high, chosen=chosen
        )
        flows: dict[int, Flow] = {}
        if self.decides:
            found = information_flows(chosen=chosen, **self._asked(n_alpha, n_beta))
            flows = dict(zip(chosen, found, strict=True))
        rows: dict[str, dict[str, float]] = {}
        for latent, monotone_ in zip(chosen, monotone, strict=True):
            row = {
                "attribution_size": strength[latent].item(),
                "traversal_monotonicity": monotone_.item(),
            }
            if self.decides:
                replaced = self.latents.clone()
                replaced[:, latent] = self.latents[order, latent]
                with torch.no_grad():
                    kept = agreement(outputs, self.trim(replaced))
                row["agreement_when_replaced"] = kept.item()
                row["information_flow"] = flows[latent].information.item()
                row["information_flow_control"] = flows[latent].control.item()
            rows[self.latent_names[latent]] = row
        return rows

    def _orders(self) -> dict[str, Measured]:
        """Deletion and insertion of the latents in the order of their attributions."""
        found = {}
        both = deletion_and_insertion(
            self.trim,
            self.latents,
            self.attributions,
            self.target,
            self.start,
            generator=self.generator,
        )
        for name, curves in zip(("deletion", "insertion"), both, strict=True):
            areas = torch.stack([curve_area(curve) for curve in curves], dim=1)
            found[f"{name}_score"] = Measured(
                curve_score(curves).item(),
                bootstrap_interval(areas, _between, generator=self._resampling()),
            )
        return found

    def _flips(self, k: int) -> dict[str, Measured]:
        """Decisions that the best latents flip, beside those that random ones flip."""
        noise = torch.rand(self.latents.shape, generator=self.generator, device=self.latents.device)
        best, random = (
            sufficiency(self.trim, self.latents, scores, self.low, self.high, k=k)
            for scores in (self.attributions, noise)
        )
        found = {}
        for index in range(k):
            found[f"flip_at_{index + 1}"] = measured_share(best.flipped[:, index])
            found[f"flip_at_{index + 1}_random"] = measured_share(random.flipped[:, index])
        return found | {"flip_distance": self._median(best.distance)}

    def _flow_of_best(self, n_alpha: int, n_beta: int) -> dict[str, Measured]:
        """The joint information flow of the two strongest latents."""
        strongest = self.attributions.abs().mean(dim=0).argsort(descending=True)[:2].tolist()
        flow = information_flow(chosen=strongest, **self._asked(n_alpha, n_beta))
        return {
            "information_flow_of_best_2": Measured(flow.information.item(), flow.interval),
            "information_flow_control": Measured(flow.control.item()),
        }

    def _by_captum(self) -> dict[str, Measured]:
        """Sensitivity-max and infidelity of the target's attributions (Yeh et al., 2019)."""
        count = min(_CAPTUM_EXAMPLES, len(self.latents))
        latents, target = self.latents[:count], self.target[:count]
        start = self.start[:count] if len(self.start) > 1 else self.start

        def explanation(points: Tensor, **_: Any) -> tuple[Tensor]:
            # Captum's noise is in single precision, and so is what it is added to.
            points = (points[0] if isinstance(points, tuple) else points).to(latents)
            times = len(points) // count
            starts = start.repeat_interleave(times, dim=0) if len(start) > 1 else start
            targets = target.repeat_interleave(times)
            return (
                self._attributed(self.trim, points, targets, starts, _SENSITIVITY_STEPS).float(),
            )

        def perturbed(points: Tensor) -> tuple[Tensor, Tensor]:
            points = points[0] if isinstance(points, tuple) else points
            noise = _RADIUS * torch.randn_like(points)
            return noise, points - noise

        sensitivity = captum.metrics.sensitivity_max(
            explanation, latents, perturb_radius=_RADIUS, n_perturb_samples=5
        )
        # Infidelity asks for a change of output per unit of movement, as gradients are; latents
        # that hardly left the baseline have none.
        movement = latents - start
        slopes = self.attributions[:count] / movement.masked_fill(movement.abs() < 0.01, torch.inf)
        infidelity = captum.metrics.infidelity(
            self.trim,
            perturbed,
            latents,
            slopes,
            target=0 if self.one_output else target,
            n_perturb_samples=10,
        )
        return {
            "sensitivity": Measured(
                sensitivity.mean().item(),
                bootstrap_interval(sensitivity, generator=self._resampling()),
            ),
            "infidelity": self._median(infidelity),
        }

    def _sanity(self) -> dict[str, Measured]:
        """Rank correlation with the attributions of predictors whose weights are drawn anew."""
        function = self.trim.predictor.function
        learned = isinstance(function, nn.Module) and any(True for _ in function.parameters())
        if not (learned and _can_be_reinitialised(function)):
            return {}
        generator, count = self._resampling(), min(_SANITY_EXAMPLES, len(self.latents))
        latents, target = self.latents[:count], self.target[:count]
        start = self.start[:count] if len(self.start) > 1 else self.start
        draws = []
        for _ in range(_DRAWS):
            twin = reinitialised(function, generator=generator)
            trim = Trim(self.trim.predictor.like(twin), self.trim.decoder)
            draws.append(self._attributed(trim, latents, target, start, _SANITY_STEPS))
        # With signs: sizes of anything that multiplies by the latents are alike by chance.
        found = sanity_check(self.attributions[:count], torch.stack(draws), generator=generator)
        figures = {
            "rank_correlation": Measured(found.correlation, found.interval),
            "deviation": Measured(found.deviation or 0.0),
            "matching": Measured(found.matching, found.matching_interval),
        }
        return {
            f"randomised_predictor_{name}": figure
            for name, figure in figures.items()
            if figure.value == figure.value
        }

    def _median(self, values: Tensor) -> Measured:
        """Median of the examples, and where it lies in resamples of them."""
        median = values.median().item()
        drawn = torch.randint(
            len(values),
            (N_RESAMPLES, len(values)),
            generator=self._resampling(),
            device="cpu",
        ).to(values.device)
        if len(values) < 2 or not abs(median) < torch.inf:
            return Measured(median)
        return Measured(median, interval_of(values[drawn].median(dim=1).values, median))

    def _resampling(self) -> torch.Generator:
        """Return a generator apart from that of the figures themselves."""
        return torch.Generator().manual_seed(self.generator.initial_seed())

    def _attributed(
        self, trim: Trim, latents: Tensor, target: Tensor, start: Tensor, n_steps: int
    ) -> Tensor:
        """Attributions to the target."""
        if self.method is integrated_gradients:
            return _integrated_to_target(trim, latents, target, start, n_steps)
        scores = attribute(self.method, trim, latents, start)
        return scores[torch.arange(len(latents), device=latents.device), target]

    def _asked(self, n_alpha: int, n_beta: int) -> dict[str, Any]:
        """What information flows are asked of."""
        return {
            "function": self.trim,
            "latent_size": self.latents.shape[1],
            "n_alpha": n_alpha,
            "n_beta": n_beta,
            "prior": None if self.has_prior else self.latents,
            "device": self.latents.device,
            "dtype": self.latents.dtype,
            "generator": self.generator,
        }


def _integrated_to_target(
    trim: Trim, latents: Tensor, target: Tensor, start: Tensor, n_steps: int
) -> Tensor:
    """Integrated gradients of one class of each example, where all classes would cost as many."""
    alphas, weights = quadrature_of(n_steps, latents)
    several = max(1, _POINTS // n_steps)
    parts = zip(
        latents.split(several),
        target.split(several),
        start.expand_as(latents).split(several),
        strict=True,
    )
    with torch.no_grad():
        found = [
            path_contributions(trim, some, begin, classes, alphas=alphas.unsqueeze(0))
            for some, classes, begin in parts
        ]
    return (torch.cat(found) * weights.view(1, -1, 1)).sum(dim=1)


def _between(areas: Tensor) -> Tensor:
    """Where our area lies from that of random orders (0) to the oracle's (1): `curve_score`."""
    ours, random, oracle = areas.unbind(dim=-1)
    return (random - ours) / (random - oracle)


def _can_be_reinitialised(module: nn.Module) -> bool:
    """Whether all parameters belong to modules that know how to draw them anew."""
    if callable(getattr(module, "reset_parameters", None)):
        return True
    own = any(True for _ in module.parameters(recurse=False))
    return not own and all(map(_can_be_reinitialised, module.children()))
