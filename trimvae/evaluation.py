"""evaluate(): every trust figure over a data set of any length, in constant memory."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import captum.metrics
import torch
from torch import Tensor, nn

from attributions import (
    Trim,
    agreement,
    attribute,
    curve_score,
    deletion,
    information_flow,
    integrated_gradients,
    rank_correlation,
    reinitialised,
    sufficiency,
    traversal_monotonicity,
)
from attributions.codes import Code, held_in_eval_mode
from attributions.measures import latents_for_share
from attributions.methods import Method, name_of, undisturbed
from attributions.predictors import Function
from attributions.trim import Explained
from trimvae.baselines import NamedBaseline
from trimvae.explaining import explain
from trimvae.explanation import Explanation
from trimvae.loading import Data, inputs_of, loader
from trimvae.training_module import Task

# Latents live on a scale of 1: a perturbation that a reader would call small.
_RADIUS = 0.2
# Beyond this, figures that move latents one by one are for the strongest latents alone.
_MOST_LATENTS = 32


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Trust figures of a code and a predictor; made by `evaluate`."""

    metrics: dict[str, float]
    """Over all examples, or the first few for those that need many decodings."""
    by_class: dict[str, dict[str, float]]
    """For each predicted class."""
    by_latent: dict[str, dict[str, float]]
    """For each latent."""
    settings: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "metrics": self.metrics,
            "by_class": self.by_class,
            "by_latent": self.by_latent,
            "settings": self.settings,
        }

    def to_markdown(self) -> str:
        """Three tables: all examples, by predicted class, by latent."""
        lines = ["| figure | value |", "|---|---|"]
        lines += [f"| {name} | {value:.4g} |" for name, value in self.metrics.items()]
        for title, rows in (("predicted class", self.by_class), ("latent", self.by_latent)):
            columns = list(dict.fromkeys(name for row in rows.values() for name in row))
            lines += [
                "",
                "| " + " | ".join([title, *columns]) + " |",
                "|---" * (len(columns) + 1) + "|",
            ]
            for row_name, row in rows.items():
                cells = [f"{row[column]:.4g}" if column in row else "" for column in columns]
                lines.append("| " + " | ".join([row_name.replace("|", "\\|"), *cells]) + " |")
        return "\n".join(lines) + "\n"


def evaluate(
    code: Code,
    predictor: Function,
    data: Data,
    *,
    preprocess: Function | None = None,
    explained: Explained = "centred_logit",
    method: Method = integrated_gradients,
    baselines: NamedBaseline = "prior_mean",
    background: Tensor | None = None,
    task: Task | None = None,
    class_names: Sequence[str] | None = None,
    latent_names: Sequence[str] | None = None,
    batch_size: int = 256,
    n_interventions: int = 256,
    k: int = 3,
    n_alpha: int = 200,
    n_beta: int = 50,
    seed: int = 0,
) -> Evaluation:
    """Measure how far explanations through a code can be trusted.

    Fidelity, completeness, sparsity and monotonicity over all examples, batch by batch. On the
    first `n_interventions` also what has to decode many times: deletion and insertion between
    random order (0) and greedy oracle (1); flip@k beside that of random latents; information
    flow in nats with its control; agreement after one latent is replaced by another example's;
    Captum's sensitivity and infidelity at radius 0.2; and the rank correlation with the (signed)
    attributions of a re-initialised predictor, a sanity check: 0 is chance.

    Args:
        code: See `explain`.
        predictor: See `explain`.
        data: Tensor `(n, *event)`, Dataset or DataLoader of inputs (of a tuple the first).
        preprocess: See `explain`.
        explained: See `explain`.
        method: See `explain`.
        baselines: See `explain`.
        background: See `explain`.
        task: See `explain`.
        class_names: See `explain`.
        latent_names: See `explain`.
        batch_size: Examples explained at once, where `data` is no DataLoader.
        n_interventions: Examples for the costly figures.
        k: Latents that may move for flip@k.
        n_alpha: See `attributions.information_flow`.
        n_beta: See `attributions.information_flow`.
        seed: Of all that samples.

    Returns:
        The figures; those that do not apply (flips of a regression) are left out.

    Raises:
        ValueError: `data` is empty, or another argument is out of range, see `explain`.
    """
    totals = _Totals()
    kept: list[Explanation] = []
    weights = list(code.parameters()) if isinstance(code, nn.Module) else []
    device = weights[0].device if weights else None
    # A DataLoader draws from the global generator, too.
    with undisturbed(seed, torch.device("cpu")):
        for batch in loader(data, batch_size, shuffle=False):
            explanation = explain(
                code,
                predictor,
                inputs_of(batch).to(device),
                preprocess=preprocess,
                explained=explained,
                method=method,
                baselines=baselines,
                background=background,
                seed=seed,
                task=task,
                class_names=class_names,
                latent_names=latent_names,
            )
            totals.add(explanation)
            if sum(len(earlier.inputs) for earlier in kept) < n_interventions:
                kept.append(explanation)
    if not totals.count:
        raise ValueError("`data` must hold at least one example. Got none. Pass more.")
    figures, by_class = totals.means()
    with held_in_eval_mode(code), undisturbed(seed, kept[0].inputs.device):
        asked = _Asked(kept, n_interventions, seed)
        by_latent = asked.by_latent(n_alpha, n_beta)
        if asked.latents.shape[1] <= _MOST_LATENTS:
            figures |= asked.figures(k, n_alpha, n_beta)
        figures |= asked.by_captum(method)
        figures |= asked.sanity(method)
    settings = {
        **kept[0].settings,
        "method": name_of(method),
        "examples": totals.count,
        "intervention_examples": len(asked.latents),
        "flow_samples": [n_alpha, n_beta],
    }
    return Evaluation(metrics=figures, by_class=by_class, by_latent=by_latent, settings=settings)


class _Totals:
    """Sums over examples, from which means follow whatever the batches were."""

    def __init__(self) -> None:
        self.count = 0
        self._sums: dict[str, float] = defaultdict(float)
        self._classes: dict[str, dict[str, float]] = {}
        self._squares: list[Tensor] = []

    def add(self, explanation: Explanation) -> None:
        self.count += len(explanation.inputs)
        figures = explanation.metrics
        change = explanation.explained_at - explanation.explained_at_baseline
        missed = explanation.attributions.sum(dim=2) - change
        error = (explanation.reconstructions - explanation.inputs).pow(2).flatten(1).sum(dim=1)
        target = explanation.target_attributions
        rows = {
            "agreement": (~explanation.disagrees).double(),
            "reconstruction_error": error,
            "effective_latents": explanation.effective_latents,
            "latents_for_90_percent": latents_for_share(target).double(),
            "latent_share": explanation.latent_share,
            "attribution_size": target.abs().sum(dim=1),
            "missed": missed.abs().mean(dim=1),
            "change": change.abs().mean(dim=1),
        }
        if explanation.total_variation is not None:
            rows["movement"] = explanation.of_target(explanation.total_variation).sum(dim=1)
        for name, values in rows.items():
            self._sums[name] += values.double().nansum().item()
        self._sums["prediction_kl"] += figures["prediction_kl"] * len(explanation.inputs)
        if explanation.task == "regression":
            self._add_outputs(explanation.outputs, explanation.reencoded_outputs)
            return
        for index, name in enumerate(explanation.class_names):
            members = explanation.predicted == index
            sums = self._classes.setdefault(name, defaultdict(float))
            sums["examples"] += int(members.sum())
            for figure in ("agreement", "effective_latents", "latent_share", "attribution_size"):
                of_class = rows[figure][members].double()
                sums[figure] += of_class.nansum().item()

    def _add_outputs(self, outputs: Tensor, reencoded: Tensor) -> None:
        """What R squared is made of: sums of outputs, of their squares and of squared errors."""
        outputs, reencoded = outputs.double(), reencoded.double()
        error = (outputs - reencoded).pow(2).sum(dim=0)
        parts = torch.stack([outputs.sum(dim=0), outputs.pow(2).sum(dim=0), error])
        self._squares = [parts + self._squares[0]] if self._squares else [parts]

    def means(self) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
        sums = dict(self._sums)
        missed, change = sums.pop("missed"), sums.pop("change")
        movement = sums.pop("movement", None)
        figures = {name: value / self.count for name, value in sums.items()}
        figures["completeness_error"] = missed / change if missed else 0.0
        if movement is not None:
            figures["monotonicity"] = sums["attribution_size"] / movement if movement else torch.nan
        if self._squares:
            total, squares, error = self._squares[0]
            variance = squares - total.pow(2) / self.count
            figures["agreement"] = float(1 - error.sum() / variance.sum())
        by_class = {
            name: {
                figure: value if figure == "examples" else value / row["examples"]
                for figure, value in row.items()
            }
            for name, row in self._classes.items()
            if row["examples"]
        }
        return figures, by_class


class _Asked:
    """The examples whose latents are moved, and the predictor to ask."""

    def __init__(self, kept: list[Explanation], count: int, seed: int) -> None:
        self.trim, self.first = kept[0].trim, kept[0]

        def rows(name: str) -> Tensor:
            return torch.cat([getattr(explanation, name) for explanation in kept])[:count]

        self.latents, self.target = rows("latents"), rows("target")
        self.attributions = rows("target_attributions")
        self.start = kept[0].baselines.mean(dim=0, keepdim=True)
        if len(kept[0].baselines) == len(kept[0].inputs) > 1:
            self.start = rows("baselines")
        ends = torch.tensor([0.01, 0.99], device=self.latents.device, dtype=self.latents.dtype)
        self.low, self.high = self.latents.quantile(ends, dim=0)
        self.decides = kept[0].task == "classification" and kept[0].settings["contrast"] is None
        self.generator = torch.Generator(device=self.latents.device).manual_seed(seed)

    def figures(self, k: int, n_alpha: int, n_beta: int) -> dict[str, float]:
        """Deletion, insertion, flips and the joint information flow of the strongest two."""
        found = {}
        for name in ("deletion", "insertion"):
            curves = deletion(
                self.trim,
                self.latents,
                self.attributions,
                self.target,
                self.start,
                insertion=name == "insertion",
                generator=self.generator,
            )
            found[f"{name}_score"] = curve_score(curves).item()
        if not self.decides:
            return found
        k = min(k, self.latents.shape[1])
        noise = torch.rand(self.latents.shape, generator=self.generator, device=self.latents.device)
        flips = sufficiency(self.trim, self.latents, self.attributions, self.low, self.high, k=k)
        random = sufficiency(self.trim, self.latents, noise, self.low, self.high, k=k)
        for index in range(k):
            found[f"flip_at_{index + 1}"] = flips.rate[index].item()
            found[f"flip_at_{index + 1}_random"] = random.rate[index].item()
        found["flip_distance"] = flips.distance.median().item()
        strongest = self.attributions.abs().mean(dim=0).argsort(descending=True)[:2].tolist()
        flow = self._flow(strongest, n_alpha, n_beta)
        found["information_flow_of_best_2"] = flow.information.item()
        found["information_flow_control"] = flow.control.item()
        return found

    def by_latent(self, n_alpha: int, n_beta: int) -> dict[str, dict[str, float]]:
        strength = self.attributions.abs().mean(dim=0)
        with torch.no_grad():
            outputs = self.trim(self.latents)
        order = torch.randperm(
            len(self.latents), generator=self.generator, device=self.latents.device
        )
        chosen = sorted(strength.argsort(descending=True)[:_MOST_LATENTS].tolist())
        monotone = traversal_monotonicity(
            self.trim, self.latents, self.target, self.low, self.high, chosen=chosen
        )
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
                flow = self._flow([latent], n_alpha, n_beta)
                row["information_flow"] = flow.information.item()
                row["information_flow_control"] = flow.control.item()
            rows[self.first.latent_names[latent]] = row
        return rows

    def by_captum(self, method: Method) -> dict[str, float]:
        """Sensitivity-max and infidelity of the target's attributions (Yeh et al., 2019)."""
        count = min(32, len(self.latents))
        latents, target = self.latents[:count], self.target[:count]
        start = self.start[:count] if len(self.start) > 1 else self.start

        def explanation(points: Tensor, **_: Any) -> tuple[Tensor]:
            points = points[0] if isinstance(points, tuple) else points
            times = len(points) // count
            starts = start.repeat_interleave(times, dim=0) if len(start) > 1 else start
            return (
                self._attributions(
                    self.trim, method, points, target.repeat_interleave(times), starts
                ),
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
            target=target if self.first.attributions.shape[1] > 1 else 0,
            n_perturb_samples=10,
        )
        return {
            "sensitivity": sensitivity.mean().item(),
            "infidelity": infidelity.median().item(),
        }

    def sanity(self, method: Method) -> dict[str, float]:
        """Rank correlation with the attributions of a re-initialised predictor."""
        predictor = self.trim.predictor
        if not isinstance(predictor, nn.Module):
            return {}
        try:
            twin = reinitialised(predictor, seed=self.generator.initial_seed())
        except ValueError:  # the user's own modules: nothing to draw anew
            return {}
        trim = self.trim.of(twin)
        other = self._attributions(trim, method, self.latents, self.target, self.start)
        # With signs: sizes of anything that multiplies by the latents are alike by chance.
        correlation = rank_correlation(self.attributions, other)
        return {"randomised_predictor_rank_correlation": correlation.nanmean().item()}

    def _attributions(
        self, trim: Trim, method: Method, latents: Tensor, target: Tensor, start: Tensor
    ) -> Tensor:
        options = {"n_steps": 32} if method is integrated_gradients else {}
        scores = attribute(method, trim, latents, start, **options)  # type: ignore[arg-type]
        return scores[torch.arange(len(latents), device=latents.device), target]

    def _flow(self, chosen: list[int], n_alpha: int, n_beta: int) -> Any:
        has_prior = bool(self.first.deviations.any())
        return information_flow(
            self.trim,
            self.latents.shape[1],
            chosen,
            n_alpha=n_alpha,
            n_beta=n_beta,
            prior=None if has_prior else self.latents,
            device=self.latents.device,
            dtype=self.latents.dtype,
            generator=self.generator,
        )
