"""Networks that imitate forests and rules, and codes that are trained through them."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from torch import nn

from attributions import Contrast, Sparsity, exact_shapley
from attributions.black_boxes import black_box
from attributions.predictors import Predictor
from trimvae import VAE, explain, fit
from trimvae.training.imitating import imitated, imitation

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(400, 4)).astype(np.float32)
INPUTS = torch.from_numpy(ROWS)
LABELS = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 1] > 0.5)
ASKED = {"preprocess": None, "explained": "centred_logit", "task": None, "seed": 0}


@pytest.fixture(scope="module")
def forest():
    return RandomForestClassifier(20, random_state=0).fit(ROWS, LABELS)


def test_a_forest_is_imitated_as_well_as_it_says(forest):
    found = imitation(forest, INPUTS)
    fresh = np.random.default_rng(1).normal(size=(500, 4)).astype(np.float32)
    with torch.no_grad():
        same = found(torch.from_numpy(fresh)).argmax(dim=1).numpy() == forest.predict(fresh)
    assert found.agreement > 0.85  # .91 at the least on ten seeds
    assert same.mean() == pytest.approx(found.agreement, abs=0.1)
    assert not found.network.training


def test_a_regression_is_imitated_by_its_value():
    model = RandomForestRegressor(10, random_state=0).fit(ROWS, 100 * ROWS[:, 0])
    found = imitation(model, ROWS)
    assert found.agreement > 0.8  # R squared, .93 at the least on ten seeds
    assert found(INPUTS[:5]).shape == (5, 1)


def test_what_cannot_be_imitated_is_said():
    with pytest.warns(UserWarning, match="imitation of the predictor agrees with it in .* only"):
        imitation(black_box(lambda rows: np.sin(1e4 * rows[:, :2])), INPUTS, max_epochs=2)


@pytest.mark.filterwarnings("ignore:The imitation")
def test_the_same_seed_gives_the_same_network_and_disturbs_nobody():
    rule, state = black_box(lambda rows: rows[:, :2]), torch.get_rng_state()
    one, other = (imitation(rule, INPUTS, max_epochs=2, seed=4) for _ in range(2))
    assert torch.equal(state, torch.get_rng_state())
    for left, right in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(left, right)


def test_a_network_of_one_s_own_is_trained_in_place():
    network = nn.Linear(4, 2)
    before = network.weight.detach().clone()
    found = imitation(
        black_box(lambda rows: rows[:, :2]), INPUTS, network=network, max_epochs=60,
        learning_rate=0.05,
    )  # fmt: skip
    assert found.network is network
    assert not torch.equal(network.weight, before)
    assert found.agreement > 0.9  # the rule is linear


@pytest.mark.filterwarnings("ignore:The imitation")
def test_a_code_is_trained_through_the_imitation_and_explained_by_the_forest_itself(forest):
    torch.manual_seed(0)
    vae = VAE.dense((4,), 3, hidden=(16,))
    history = fit(
        vae, forest, INPUTS, penalties=[Sparsity()], penalty_every=1, max_epochs=3, progress=False
    )
    assert {"prediction", "sparsity"} <= set(history[-1])
    assert 0.8 < vae.trained_with["imitation_agreement"] <= 1
    explanation = explain(vae, forest, INPUTS[:20], method=exact_shapley)
    asked = forest.predict_proba(ROWS[:20])
    np.testing.assert_allclose(explanation.outputs, np.log(np.maximum(asked, 1e-3)), atol=1e-5)
    assert explanation.settings["training"]["imitation_agreement"] > 0.8


def test_only_what_has_no_gradient_is_imitated():
    assert imitated(None, INPUTS, **ASKED) is None
    assert imitated(nn.Linear(4, 2), INPUTS, **ASKED) is None


@pytest.mark.filterwarnings("ignore:The imitation")
def test_what_a_predictor_says_of_itself_is_kept():
    predictor = Predictor(
        black_box(lambda rows: rows[:, :3]), explained=Contrast(0, 1), task="classification"
    )
    found = imitated(predictor, INPUTS, **ASKED)
    assert (found.explained, found.task) == (Contrast(0, 1), "classification")
    single = imitated(black_box(lambda rows: rows[:, 0]), INPUTS, **ASKED)
    assert single.task == "regression"


def test_too_few_inputs_are_refused():
    with pytest.raises(ValueError, match="`data` must hold at least 10 inputs to imitate"):
        imitation(black_box(lambda rows: rows), INPUTS[:5])


def test_whole_numbers_of_numpy_are_taken(forest):
    one, many, three = map(np.int64, (1, 256, 3))
    with pytest.warns(UserWarning, match="imitation"):
        imitation(forest, INPUTS, max_epochs=one, batch_size=many, seed=three)
