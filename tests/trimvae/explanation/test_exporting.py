import numpy as np
import pytest
import torch
from torch import nn

from tests.trimvae.explanation.made import Identity, linear
from trimvae import explain


@pytest.fixture(scope="module")
def explanation():
    inputs = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    predictor = linear([1.0, -2.0], [0.5, 1.0], [0.0, 3.0])
    return explain(Identity(), predictor, inputs, explained="output")


def test_xarray_has_every_attribution_under_its_names(explanation):
    pytest.importorskip("xarray")
    found = explanation.to_xarray()
    assert found.attributions.dims == ("example", "explained", "latent")
    assert np.allclose(found.attributions, explanation.attributions)
    at = found.attributions.sel(explained=explanation.class_names[2], latent="z1")
    assert np.allclose(at, 3 * explanation.inputs[:, 1], atol=1e-5)
    assert np.allclose(found.outputs.sel(output=explanation.class_names[0]), found.outputs[:, 0])
    assert found.attrs["agreement"] == 1.0
    changes = found.explained_at - found.explained_at_baseline
    assert np.allclose(found.attributions.sum("latent"), changes, atol=1e-5)


def test_shap_is_given_values_that_add_up_from_its_base_values(explanation):
    pytest.importorskip("shap")
    found = explanation.to_shap()
    assert found.shape == (5, 2, 3)
    total = found.base_values + found.values.sum(axis=1)
    assert np.allclose(total, explanation.outputs, atol=1e-5)
    assert found.feature_names == ["z0", "z1"]
    assert np.allclose(found.data, explanation.latents)
    one = found[0, :, explanation.class_names[1]]
    assert np.allclose(one.values, explanation.attributions[0, 1])


def test_a_single_output_has_no_axis_of_classes_in_shap():
    pytest.importorskip("shap")
    predictor = linear([1.0, -2.0])
    found = explain(Identity(), predictor, torch.randn(4, 2), task="regression").to_shap()
    assert found.values.shape == (4, 2)
    assert np.shape(found.base_values) == (4,)


def test_shaps_plots_take_it(explanation):
    shap = pytest.importorskip("shap")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    shap.plots.bar(explanation.to_shap()[:, :, explanation.class_names[0]], show=False)
    shap.plots.waterfall(explanation.to_shap()[0, :, explanation.class_names[0]], show=False)
    pyplot.close("all")


def test_half_precision_is_handed_over_as_well():
    pytest.importorskip("xarray")
    predictor = nn.Linear(2, 3).to(torch.bfloat16)
    inputs = torch.randn(4, 2).to(torch.bfloat16)
    found = explain(Identity(), predictor, inputs, n_steps=8).to_xarray()
    assert found.attributions.dtype == np.float32
