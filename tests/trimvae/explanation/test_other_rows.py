import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tests.trimvae.tables.mixed import mixed_frame, pipeline
from trimvae import VAE, fit
from trimvae.explanation.other_rows import find_other_rows


@pytest.fixture(scope="module")
def frame():
    return mixed_frame()


@pytest.fixture(scope="module")
def model(frame):
    return pipeline(frame)


@pytest.fixture(scope="module")
def vae(frame):
    torch.manual_seed(0)
    made = VAE.table(frame, latent_size=4, hidden=(32,))
    fit(made, None, frame, max_epochs=60, progress=False)
    return made


def test_most_decisions_flip_at_rows_that_the_estimator_itself_decides_otherwise(frame, model, vae):
    rows = frame[:30]
    found = find_other_rows(vae, model, rows)
    flipped = model.predict(found.frame) != model.predict(rows)
    np.testing.assert_array_equal(flipped, found.valid.numpy())
    assert found.metrics["validity"] > 0.6
    assert list(found.frame.index) == list(rows.index)
    assert found.frame.dtypes.equals(rows.dtypes)


def test_columns_that_did_not_change_are_equal_to_the_last_digit(frame, model, vae):
    rows = frame[:30]
    found = find_other_rows(vae, model, rows)
    for place, names in enumerate(found.changed):
        before, after = rows.iloc[place], found.frame.iloc[place]
        same = (before == after) | (before.isna() & after.isna())
        assert set(same.index[~same.to_numpy(dtype=bool)]) == set(names)


def test_fixed_columns_stay_and_numbers_keep_within_what_is_asked(frame, model, vae):
    rows = frame[:30]
    options = {"fixed": ["age", "town"], "within": {"income": (15_000, 30_000)}}
    found = find_other_rows(vae, model, rows, **options)
    pd.testing.assert_frame_equal(found.frame[["age", "town"]], rows[["age", "town"]])
    income, own = found.frame["income"], rows["income"]
    moved = income.ne(own) & own.notna()
    assert moved.any()
    lowest, highest = own.clip(upper=15_000), own.clip(lower=30_000)
    assert income[moved].between(lowest[moved] - 0.1, highest[moved] + 0.1).all()
    assert not {"age", "town"} & {name for names in found.changed for name in names}


def test_nothing_becomes_missing_and_what_is_missing_stays_so(frame, model, vae):
    rows = frame[frame["income"].isna() | frame["job"].isna()][:20]
    found = find_other_rows(vae, model, rows).frame
    pd.testing.assert_frame_equal(found[["income", "job"]].isna(), rows[["income", "job"]].isna())
    rows = frame.dropna()[:20]
    assert not find_other_rows(vae, model, rows).frame.isna().any(axis=None)


def test_a_column_that_the_decision_can_do_without_is_put_back(frame, vae):
    def rule(rows: torch.Tensor) -> torch.Tensor:
        return rows[:, :1] - 0.5  # age alone

    found = find_other_rows(vae, rule, frame[:20], task="classification")
    assert bool(found.valid.any())
    changed = [names for names, valid in zip(found.changed, found.valid, strict=True) if valid]
    assert set(changed) == {("age",)}


def test_the_distance_is_in_deviations_and_one_for_another_category(frame, model, vae):
    rows = frame[:30]
    found = find_other_rows(vae, model, rows)
    expected = np.zeros(len(rows))
    for name in ("age", "income"):
        move = (found.frame[name] - rows[name]).abs().fillna(0)
        expected += move / frame[name].std(ddof=0)
    for name in ("job", "owner", "town"):
        left, right = (table[name].astype(object).fillna("-") for table in (found.frame, rows))
        expected += (left != right).to_numpy()
    np.testing.assert_allclose(found.distance, expected, atol=1e-4)


def test_a_target_is_reached_where_it_is_valid(frame, vae):
    torch.manual_seed(1)
    network = nn.Linear(11, 3)
    found = find_other_rows(vae, network, frame[:20], target=2)
    assert bool(found.valid.any())
    assert set(found.outputs.argmax(dim=1)[found.valid].tolist()) == {2}


def test_nothing_of_the_callers_changes(frame, model, vae):
    before, rows = frame.copy(), frame[:5]
    weights = {name: tensor.clone() for name, tensor in vae.state_dict().items()}
    state = torch.get_rng_state()
    find_other_rows(vae, model, rows)
    pd.testing.assert_frame_equal(frame, before)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(tensor, weights[name]) for name, tensor in vae.state_dict().items())


def test_what_cannot_be_searched_is_refused(frame, model, vae):
    with pytest.raises(TypeError, match="`code` must be made for a table. Got VAE without columns"):
        find_other_rows(VAE.dense((11,), 2), model, frame)
    with pytest.raises(ValueError, match="`fixed` must name columns of the table.*Got 'sex'"):
        find_other_rows(vae, model, frame, fixed=["sex"])
    with pytest.raises(ValueError, match="`within` must name columns of the table.*Got 'sex'"):
        find_other_rows(vae, model, frame, within={"sex": (0, 1)})
    with pytest.raises(ValueError, match="`within` must name columns of numbers. Got 'job'"):
        find_other_rows(vae, model, frame, within={"job": (0, 1)})
    with pytest.raises(ValueError, match="overlap the range in training, 18 to 79. Got 90 to 99"):
        find_other_rows(vae, model, frame, within={"age": (90, 99)})
    with pytest.raises(ValueError, match="'classification' for other rows. Got a regression"):
        find_other_rows(vae, nn.Linear(11, 1), frame)
    with pytest.raises(ValueError, match="`target` must be a class from 0 to 1. Got 5"):
        find_other_rows(vae, model, frame, target=5)
