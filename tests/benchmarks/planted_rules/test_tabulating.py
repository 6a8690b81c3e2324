import argparse
import json

import pytest

from benchmarks.planted_rules import run
from benchmarks.planted_rules.arms import ARMS
from benchmarks.planted_rules.rules import RULES
from benchmarks.planted_rules.settings import FIGURES, OBJECTIVES, result_path
from benchmarks.planted_rules.tabulating import compared


@pytest.fixture
def other(monkeypatch):
    monkeypatch.setitem(ARMS, "turned", lambda code, predictor, inputs: code)
    return "turned"


def keep(out, rule, seed, value, *arm):
    path = result_path(out, rule, OBJECTIVES[0], False, seed, *arm)
    path.write_text(json.dumps(dict.fromkeys(FIGURES, value)))


def test_results_as_trained_are_kept_where_they_were(tmp_path):
    path = result_path(tmp_path, "one factor", "beta-VAE (4)", True, 2)
    assert path == tmp_path / "onefactor_betaVAE4_True_2.json"
    assert result_path(tmp_path, "one factor", "beta-VAE (4)", True, 2, "turned") != path


def test_an_arm_is_compared_with_the_same_code_as_trained(tmp_path, other):
    for seed, gain in ((0, 0.1), (1, 0.3)):
        for index, rule in enumerate(RULES):
            keep(tmp_path, rule, seed, 0.5 + index / 10)
            # One of the four rules loses as much as one gains beside the others.
            change = gain + (0.4 if index == 0 else -0.4 if index == 1 else 0)
            keep(tmp_path, rule, seed, 0.5 + index / 10 + change, other)
    rows = compared(argparse.Namespace(out=tmp_path, rules="first", seeds=[0, 1]))
    assert list(rows) == [f"{OBJECTIVES[0]}, plain; turned"]
    row = rows[f"{OBJECTIVES[0]}, plain; turned"]
    # t(.975, 1) = 12.706, deviation .1414, two seeds
    assert row["auroc"] == row["hard share"] == "+0.200 ± 1.271"
    assert row["worse AUROC"] == "2 of 8"


def test_a_result_without_its_pair_is_not_compared(tmp_path, other):
    keep(tmp_path, "one factor", 0, 0.5, other)
    assert compared(argparse.Namespace(out=tmp_path, rules="first", seeds=[0])) == {}


def test_the_arm_sees_the_kept_code_and_the_rules_own_classifier(tmp_path, monkeypatch):
    class Planted:
        classifier, inputs = "classifier", [0, 1, 2]

    monkeypatch.setattr(run, "plant", lambda rule, seed: Planted)
    monkeypatch.setattr(run, "trained", lambda *arguments: ("vae", 1.0))
    monkeypatch.setattr(run, "figures", lambda code, planted, rule: {"code": code})
    monkeypatch.setitem(ARMS, "asked", lambda *given: given)
    result = run.run("one factor", OBJECTIVES[0], 0, through=False, out=tmp_path, arm="asked")
    assert result == {"code": ("vae", "classifier", [0, 1, 2]), "seconds": 1.0}
