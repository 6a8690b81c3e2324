import numpy as np
import pytest
import torch

from trimvae.cli.preparing import check_accelerator, check_task, of_seed, prepared, resolved
from trimvae.cli.settings import Settings
from trimvae.cli.starting import Start
from trimvae.objectives import BetaVAE

ASKED = Settings(
    classifier="my_model.py:load",
    preprocess=None,
    data="table.npz",
    grey=False,
    model="vae",
    latent_size=2,
    epochs=1,
    batch_size=32,
    learning_rate=None,
    objective=None,
    weight=None,
    warm_up=None,
    perceptual=[],
    perceptual_weight=100.0,
    likelihood="auto",
    prediction_weight=None,
    sparsity=None,
    monotonicity=0.0,
    penalty=[],
    task=None,
    seed=0,
    codes=1,
    axes=False,
)


@pytest.mark.parametrize(
    ("model", "weight", "sparsity", "objective"),
    [("vae", 20, 6, "vae"), ("ivae", 20, 6, "vae"), ("alae", 2, 0.3, None)],
)
def test_what_is_left_open_becomes_what_suits_the_model(model, weight, sparsity, objective):
    made = resolved(ASKED._replace(model=model))
    assert (made.prediction_weight, made.sparsity, made.objective) == (weight, sparsity, objective)


def test_what_is_asked_stays_as_it_is_also_0():
    asked = ASKED._replace(prediction_weight=0.0, sparsity=0.0, learning_rate=0.5)
    made = resolved(asked)
    assert (made.prediction_weight, made.sparsity, made.learning_rate) == (0, 0, 0.5)


def test_files_are_found_from_any_folder_afterwards(folder):
    made = resolved(ASKED)
    assert made.classifier == f"{folder / 'my_model.py'}:load"
    assert made.data == str(folder / "table.npz")


def test_preparing_writes_nothing(folder):
    run = prepared(ASKED, Start("run"))
    assert not (folder / "run").exists()
    assert run.code.latent_size == 2
    assert run.objective == BetaVAE()
    assert [(penalty.name, penalty.weight) for penalty in run.penalties] == [("sparsity", 6.0)]


def test_the_seed_decides_where_a_code_starts(folder):
    made = [prepared(ASKED._replace(seed=seed), Start("run")).code for seed in (0, 0, 1)]
    weights = [next(code.parameters()) for code in made]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("option", "value"), [("weight", 2.0), ("warm_up", 5), ("perceptual", ["0"])]
)
def test_what_weighs_an_objective_is_refused_for_a_game(folder, option, value):
    asked = ASKED._replace(model="alae", **{option: value})
    with pytest.raises(ValueError, match=f"`--{option.replace('_', '-')}` must be left out for al"):
        prepared(asked, Start("run"))


def test_tasks_and_accelerators_that_are_not_there_are_named():
    check_task("regression")
    check_accelerator("cpu")
    with pytest.raises(ValueError, match="`--task` must be one of classification, regression"):
        check_task("ranking")
    with pytest.raises(ValueError, match="`--accelerator` must be one that is here: auto, cpu"):
        check_accelerator("abacus")


def test_the_same_run_of_another_seed_starts_as_that_seed_does_on_the_same_data(folder):
    asked = ASKED._replace(objective="factorvae", codes=2)
    run = prepared(asked, Start("run"))
    run.objective.build(2)  # as training does
    other = of_seed(run, 3)
    alone = prepared(asked._replace(seed=3), Start("run"))
    for left, right in zip(other.code.parameters(), alone.code.parameters(), strict=True):
        assert torch.equal(left, right)
    assert other.parts is run.parts
    assert other.configuration is run.configuration
    assert other.settings.seed == 3
    assert other.objective.discriminator is None


@pytest.mark.parametrize("model", ["infogan", "alae", "stylegan2"])
def test_several_codes_of_a_kind_without_axes_are_refused(folder, model):
    asked = ASKED._replace(model=model, latent_size=None, codes=2)
    message = f"`--codes` must be 1 for {model}, which is not seen along axes. Got 2. Use --model"
    with pytest.raises(ValueError, match=message):
        prepared(asked, Start("run"))


def test_several_codes_are_refused_where_too_little_is_held_out(folder):
    np.savez("table.npz", inputs=np.zeros((9, 6)) + np.arange(9)[:, None])
    message = "`--codes` must be 1 for data with fewer than 3 held-out examples. Got 3 codes and"
    with pytest.raises(ValueError, match=message):
        prepared(ASKED._replace(codes=3), Start("run"))
    assert prepared(ASKED, Start("run")).code.latent_size == 2
