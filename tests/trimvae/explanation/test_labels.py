import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn

from attributions import Contrast, explanatory_axes
from attributions.outputs import by_decision
from attributions.predictors import Predictor
from trimvae import VAE, explain, fit
from trimvae.evaluation.evaluating import evaluate
from trimvae.explanation.labels import explain_labels

NAMES = ["first", "second", "third"]


@pytest.fixture(scope="module")
def inputs():
    return torch.randn(400, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network():
    """Each label is one column's sign."""
    made = nn.Linear(6, 3, bias=False)
    with torch.no_grad():
        made.weight.copy_(4 * torch.eye(3, 6))
    return made


@pytest.fixture(scope="module")
def vae(network, inputs):
    torch.manual_seed(0)
    made = VAE.dense((6,), latent_size=6, hidden=(32,))
    fit(
        made, network, inputs, task="multilabel", prediction_weight=5.0, max_epochs=40,
        seed=0, progress=False,
    )  # fmt: skip
    return made


def test_a_label_is_explained_as_its_logit_alone_would_be(vae, network, inputs):
    found = explain_labels(vae, network, inputs[:30], label_names=NAMES)
    assert list(found) == NAMES
    assert found.attributions.shape == (30, 3, 6)
    for index, name in enumerate(NAMES):

        def alone(points, index=index):
            return network(points)[:, index : index + 1]

        one = explain(vae, alone, inputs[:30], task="classification")
        torch.testing.assert_close(found[name].attributions, one.attributions)
        assert found[name].metrics == pytest.approx(one.metrics, nan_ok=True)
        assert found[name].class_names == (f"not {name}", name)


def test_outputs_of_a_sigmoid_are_brought_back_to_logits(vae, network, inputs):
    squashed = nn.Sequential(network, nn.Sigmoid())
    with pytest.warns(UserWarning, match="ends in a sigmoid"):
        found = explain_labels(vae, squashed, inputs[:10])
    expected = explain_labels(vae, network, inputs[:10])
    torch.testing.assert_close(found.attributions, expected.attributions, rtol=1e-3, atol=1e-3)


def test_training_keeps_every_label_where_the_strongest_alone_would_not_do(vae, network, inputs):
    with torch.no_grad():
        before, after = network(inputs), network(vae.eval()(inputs))
    same = ((before > 0) == (after > 0)).double().mean(dim=0)
    assert same.min() > 0.8
    assert vae.trained_with["task"] == "multilabel"


def test_a_row_is_made_of_each_decision():
    outputs = torch.arange(6.0).view(2, 3)
    assert by_decision(outputs, "multilabel").flatten().tolist() == list(range(6))
    assert by_decision(outputs, "classification") is outputs


def test_truth_is_told_label_by_label(vae, network, inputs):
    truth = (inputs[:20, :3] > 0).long()
    found = explain_labels(vae, network, inputs[:20], label_names=NAMES, truth=truth)
    for index, one in enumerate(found.values()):
        assert torch.equal(one.labels, truth[:, index])
        assert torch.equal(one.predicted, truth[:, index])


def test_the_heatmap_has_a_row_for_each_label_of_those_that_have_it(vae, network, inputs):
    found = explain_labels(vae, network, inputs[:60], label_names=NAMES)
    figure = found.plot()
    shown = figure.axes[0].images[0].get_array()
    for row, one in zip(shown, found.values(), strict=True):
        wanted = one.attributions[one.outputs[:, 0] > 0, 0].mean(dim=0)
        assert row.tolist() == pytest.approx(wanted.tolist(), abs=1e-5)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == NAMES
    plt.close(figure)
    assert "first" in found.summary()
    assert found.summary().startswith("3 labels of 60 examples")


def test_a_single_label_may_be_evaluated(vae, network, inputs):
    alone = Predictor(network, task="multilabel").of_label(1)
    found = evaluate(vae, alone, inputs[:80], n_interventions=10, n_alpha=5, n_beta=3)
    assert found.metrics["agreement"] == pytest.approx(
        explain_labels(vae, network, inputs[:80])["1"].metrics["agreement"]
    )


def test_axes_of_a_predictor_of_labels_keep_its_outputs(vae, network, inputs):
    turned = explanatory_axes(vae, network, inputs, task="multilabel")
    with torch.no_grad():
        torch.testing.assert_close(turned.eval()(inputs[:5]), vae(inputs[:5]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("ask", [explain, evaluate])
def test_one_decision_of_several_labels_is_refused_and_what_helps_is_said(
    ask, vae, network, inputs
):
    with pytest.raises(ValueError, match="Got 'multilabel', whose labels .* explain_labels"):
        ask(vae, network, inputs[:20], task="multilabel")
    with pytest.raises(ValueError, match="Got 'multilabel'"):
        ask(vae, Predictor(network, task="multilabel"), inputs[:20])


def test_what_does_not_fit_the_labels_is_refused(vae, network, inputs):
    with pytest.raises(ValueError, match="`label_names` must"):
        explain_labels(vae, network, inputs[:5], label_names=["one"])
    with pytest.raises(ValueError, match="`truth` must be 0 or 1 .* Got shape"):
        explain_labels(vae, network, inputs[:5], truth=torch.zeros(5))
    with pytest.raises(ValueError, match="`truth` must be 0 or 1 .* to 2"):
        explain_labels(vae, network, inputs[:5], truth=torch.full((5, 3), 2))
    with pytest.raises(KeyError, match="`label` must be one of 0, 1, 2. Got 'cat'"):
        explain_labels(vae, network, inputs[:5])["cat"]
    with pytest.raises(ValueError, match="must not be a Contrast of labels"):
        fit(vae, network, inputs, task="multilabel", explained=Contrast(0, 1), max_epochs=1)


def test_labels_of_one_name_are_refused(vae, network, inputs):
    with pytest.raises(ValueError, match="`label_names` must tell all 3 apart. Got 'a' more than"):
        explain_labels(vae, network, inputs[:4], label_names=["a", "a", "b"])
