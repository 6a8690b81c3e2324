"""Every code that is explained can be explained along axes: what is said stays what it was."""

import pytest
import torch
from torch import nn

from attributions.axes import Flow, Linear, Rotation, groups_of
from attributions.codes import encode
from attributions.transforms import PrincipalComponents
from attributions.turned import AlongAxes
from tests.attributions.axes.made import moved, within
from tests.trimvae.models.cases import SHAPE, alae, infogan, predictor, stylegan
from trimvae import IVAE, VAE, Explanation, evaluate, explain, find_counterfactuals
from trimvae.explanation.baselines import baselines_named

# The inversion of an untrained generator comes nowhere near.
pytestmark = pytest.mark.filterwarnings("ignore:`n_steps` must suffice:UserWarning")


def table_vae(kind=VAE, **options):
    torch.manual_seed(0)
    return kind.dense((6,), 3, hidden=(16,), **options)


def table_predictor() -> nn.Module:
    torch.manual_seed(2)
    network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    with torch.no_grad():
        network[-1].weight.mul_(5)
    return network


def inputs_of(kind: str, count: int = 16):
    generator = torch.Generator().manual_seed(3)
    if kind in GAMES:
        return torch.rand(count, *SHAPE, generator=generator)
    return torch.randn(count, 6, generator=generator)


GAMES = {"alae": alae, "infogan": infogan, "stylegan": stylegan}
CODES = {
    "vae": table_vae,
    "ivae": lambda: table_vae(IVAE, n_contexts=4),
    "pca": lambda: PrincipalComponents(inputs_of("pca", 50), 3),
    **GAMES,
}


def pair_of(kind: str):
    """A code, the same along a rotation within its real blocks, a predictor and inputs."""
    code, inputs = CODES[kind](), inputs_of(kind)
    code.eval()
    size = encode(code, inputs).latents.shape[1]
    groups = groups_of(code, size)
    axes = Rotation(size, groups, within(groups, size, seed=1))
    seen = code.with_axes(axes) if isinstance(code, VAE) else AlongAxes(code, axes)
    return code, seen, predictor() if kind in GAMES else table_predictor(), inputs


@pytest.mark.parametrize("kind", CODES)
def test_what_is_explained_and_how_well_does_not_depend_on_the_axes(kind):
    code, seen, asked, inputs = pair_of(kind)
    before, after = (explain(each, asked, inputs, seed=0) for each in (code, seen))
    torch.testing.assert_close(
        after.attributions.sum(dim=2), before.attributions.sum(dim=2), rtol=1e-3, atol=1e-3
    )
    torch.testing.assert_close(after.reconstructions, before.reconstructions, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(after.outputs, before.outputs)
    torch.testing.assert_close(
        after.reencoded_outputs, before.reencoded_outputs, rtol=1e-3, atol=1e-3
    )
    torch.testing.assert_close(
        after.explained_at_baseline, before.explained_at_baseline, rtol=1e-3, atol=1e-3
    )
    for name in ("agreement", "prediction_kl"):
        assert after.metrics[name] == pytest.approx(before.metrics[name], rel=1e-2, abs=1e-4)
    moved_latents = {index for group in seen.axes.groups for index in group}
    for index, name in enumerate(after.latent_names):
        kept = before.latent_names[index]
        assert name == (f"axis{index}" if index in moved_latents else kept)
    assert after.blocks == before.blocks
    assert after.settings["training"] == before.settings["training"]


@pytest.mark.parametrize("kind", CODES)
def test_reports_counterfactuals_and_evaluations_of_codes_along_axes(kind, tmp_path):
    _, seen, asked, inputs = pair_of(kind)
    explanation = explain(seen, asked, inputs, n_steps=4)
    explanation.to_html(tmp_path / "report.html")
    assert "axis" in (tmp_path / "report.html").read_text()
    assert "axis" in explanation.summary()
    found = find_counterfactuals(seen, asked, explanation.latents, n_steps=3)
    torch.testing.assert_close(found.inputs, seen.decode(found.latents), rtol=1e-3, atol=1e-4)
    measured = evaluate(seen, asked, inputs, n_interventions=4, n_alpha=4, n_beta=2, batch_size=16)
    for name in ("agreement", "prediction_kl"):
        assert measured.metrics[name] == pytest.approx(
            explanation.metrics[name], rel=0.05, abs=0.02
        )
    explanation.save(tmp_path / "explanation")
    again = Explanation.load(tmp_path / "explanation")
    assert again.latent_names == explanation.latent_names


def test_along_linear_and_curved_axes_explanations_are_complete_and_start_at_the_priors_mean():
    code, asked, inputs = table_vae(), table_predictor(), inputs_of("vae")
    latents = encode(code, inputs).latents.detach()
    before = explain(code, asked, inputs)
    for axes in (Linear.fitted(latents), moved(Flow(3), 0.1)):
        explanation = explain(code.with_axes(axes), asked, inputs)
        assert explanation.metrics["completeness_error"] < 0.01
        torch.testing.assert_close(explanation.baselines, axes(torch.zeros(1, 3)).detach())
        torch.testing.assert_close(
            explanation.attributions.sum(dim=2), before.attributions.sum(dim=2), rtol=0, atol=2e-2
        )


def test_plausibility_of_a_counterfactual_is_that_of_the_latents_behind_the_axes():
    code, asked, inputs = table_vae(), table_predictor(), inputs_of("vae")
    latents = encode(code, inputs).latents.detach()
    axes = Linear.fitted(3 * latents + 1)
    coordinates = axes(latents).detach()
    found = find_counterfactuals(code.with_axes(axes), asked, coordinates, method="gradient")
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(latents).sum(dim=1)
    torch.testing.assert_close(found.log_prior_before, expected)
    behind = axes.inverse(found.latents).detach()
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(behind).sum(dim=1)
    torch.testing.assert_close(found.figures.log_prior, expected)


def test_draws_of_posteriors_are_those_of_the_latents_mapped():
    code, asked, inputs = table_vae(), table_predictor(), inputs_of("vae")
    axes = Rotation(3, matrix=within([(0, 1, 2)], 3))
    drawn = []
    for each in (code, code.with_axes(axes), AlongAxes(code, axes)):
        drawn.append(
            baselines_named(
                "posterior",
                each,
                encode(each, inputs).latents,
                torch.zeros(16, dtype=torch.long),
                predictor=asked,
                background=inputs,
                generator=torch.Generator().manual_seed(0),
            )
        )
    torch.testing.assert_close(drawn[1], axes(drawn[0]).detach())
    torch.testing.assert_close(drawn[2], drawn[1])
