import argparse

import pytest
import torch

from attributions.axes import Rotation
from attributions.turned import AlongAxes
from benchmarks.planted_rules import class_rules, classes, rules
from benchmarks.planted_rules.arms import ARMS, AS_TRAINED
from benchmarks.planted_rules.class_rules import plant, training_data
from benchmarks.planted_rules.classes import EPOCHS, OF_TWO, Bench, Case, tabulate

NAME = "beta-TCVAE (6, gamma 4)"
ARGUMENTS = {"rules": ["three bits"], "objectives": [NAME], "classifiers": 1, "seeds": [0, 1]}


def reordered(code, predictor, inputs):
    """The same axes in another order, and with other signs."""
    eye = torch.eye(8) * torch.tensor([1.0, -1.0] * 4)
    return AlongAxes(code, Rotation(8, matrix=eye[torch.randperm(8)]))


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Codes and classifiers that have learned next to nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(class_rules, "N_TRAIN", 128)
        patch.setattr(rules, "EPOCHS", 1)
        patch.setattr(classes, "N_EXPLAINED", 12)
        patch.setattr(classes, "N_STEPS", 2)
        patch.setitem(EPOCHS, NAME, 1)
        patch.setitem(ARMS, "reordered", reordered)
        training_data.cache_clear()
        yield Bench(tmp_path_factory.mktemp("planted_classes"))
    training_data.cache_clear()
    plant.cache_clear()


def test_the_order_and_the_signs_of_axes_change_no_figure(bench):
    plain, turned = (
        bench.of_one(Case("three bits", 0, NAME, arm, 0)) for arm in (AS_TRAINED, "reordered")
    )
    assert turned == pytest.approx(plain, rel=1e-3, abs=1e-3)
    assert [name for name in plain if name.startswith("correlation")] == [
        f"correlation: {name}" for name in ("scale", "x", "y")
    ]


def test_a_rerun_trains_nothing_and_finds_the_same(bench, monkeypatch):
    case = Case("three bits", 0, NAME, AS_TRAINED, 0)
    before = bench.of_one(case)

    def refuse(*arguments, **options):
        raise AssertionError("trained again")

    monkeypatch.setattr(classes, "fit", refuse)
    monkeypatch.setattr(class_rules, "learned", refuse)
    plant.cache_clear()
    assert Bench(bench.out, again=True).of_one(case) == pytest.approx(before)


def test_the_explanation_of_a_code_agrees_with_itself_and_not_with_that_of_another_seed(bench):
    plain, turned, other = (
        Case("three bits", 0, NAME, arm, seed)
        for arm, seed in ((AS_TRAINED, 0), ("reordered", 0), (AS_TRAINED, 1))
    )
    same = bench.of_two(plain, turned)
    assert same == pytest.approx(dict.fromkeys(OF_TWO.values(), 1.0), abs=1e-3)
    assert bench.of_two(plain, other)["attribution cosine"] < 0.99


def test_tables_hold_every_arm_and_what_it_changes(bench, monkeypatch):
    tables = {}
    monkeypatch.setattr(
        classes, "write", lambda name, note, rows, first: tables.update({name: rows})
    )
    tabulate(bench, argparse.Namespace(**ARGUMENTS, arms=[AS_TRAINED, "reordered"]))
    figures, changes = tables.values()
    assert list(tables) == ["planted_classes_three_bits", "planted_classes_three_bits_paired"]
    assert list(figures) == [f"{NAME}; {AS_TRAINED}", f"{NAME}; reordered"]
    assert list(changes) == [f"{NAME}; reordered"]
    assert changes[f"{NAME}; reordered"]["correlation: x"].lstrip("+-") == "0.000 ± 0.000"
