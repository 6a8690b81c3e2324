"""An evaluation as plain values and as tables."""

import json
import math
from dataclasses import replace

from trimvae import Evaluation
from trimvae.evaluation.meanings import MEANINGS

EVALUATION = Evaluation(
    metrics={"agreement": 0.98765, "flip_at_1": 1.0},
    intervals={"agreement": [0.93211, 1.0]},
    by_class={"a|b": {"examples": 3, "agreement": 0.5}, "c": {"examples": 1}},
    by_latent={"z0": {"information_flow": 0.69314}},
    by_change={"blur": {"asked": 9, "changed": 3, "following": 0.5}, "noise": {"asked": 9}},
    warnings=["Few."],
    settings={"examples": 4},
)


def test_it_is_plain_json():
    assert json.loads(json.dumps(EVALUATION.to_dict())) == {
        "metrics": {"agreement": 0.98765, "flip_at_1": 1.0},
        "intervals": {"agreement": [0.93211, 1.0]},
        "by_class": {"a|b": {"examples": 3, "agreement": 0.5}, "c": {"examples": 1}},
        "by_latent": {"z0": {"information_flow": 0.69314}},
        "by_change": {"blur": {"asked": 9, "changed": 3, "following": 0.5}, "noise": {"asked": 9}},
        "warnings": ["Few."],
        "settings": {"examples": 4},
    }


def test_what_is_not_finite_is_null_in_json_and_nan_again():
    one = replace(EVALUATION, metrics={"a": math.nan, "b": math.inf, "c": 1.0})
    written = json.dumps(one.to_dict(), allow_nan=False)
    again = Evaluation.from_dict(json.loads(written))
    assert [math.isnan(value) for value in again.metrics.values()] == [True, True, False]
    assert Evaluation.from_dict(EVALUATION.to_dict()) == EVALUATION


def test_a_figure_that_is_not_defined_is_called_so():
    one = replace(EVALUATION, metrics={"a": math.nan}, by_latent={"z0": {"flow": math.nan}})
    assert one.rows()[0][:2] == ("a", "not defined")
    assert "| z0 | not defined |" in one.to_markdown()


def test_warnings_come_first_and_four_tables_hold_every_figure_once():
    agreement, flips = MEANINGS["agreement"], MEANINGS["flip_at"]
    assert EVALUATION.to_markdown().split("\n\n") == [
        "- **Warning.** Few.",
        "| figure | value | 95 % interval | meaning |\n|---|---|---|---|\n"
        f"| agreement | 0.9877 | 0.932 to 1 | {agreement} |\n"
        f"| flip_at_1 | 1 |  | {flips} |",
        "| predicted class | examples | agreement |\n|---|---|---|\n"
        "| a\\|b | 3 | 0.5 |\n| c | 1 |  |",
        "| latent | information_flow |\n|---|---|\n| z0 | 0.6931 |",
        "| change of real inputs | asked | changed | following |\n|---|---|---|---|\n"
        "| blur | 9 | 3 | 0.5 |\n| noise | 9 | no decision changed | no decision changed |\n",
    ]


def test_an_evaluation_without_what_is_new_has_none_of_it():
    plain = Evaluation(metrics={}, by_class={}, by_latent={}, settings={})
    assert (plain.intervals, plain.by_change, plain.warnings) == ({}, {}, [])
    assert "change of real inputs" not in plain.to_markdown()
