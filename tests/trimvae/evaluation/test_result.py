"""An evaluation as plain values and as tables."""

import json

from trimvae import Evaluation

EVALUATION = Evaluation(
    metrics={"agreement": 0.98765, "flip_at_1": 1.0},
    by_class={"a|b": {"examples": 3, "agreement": 0.5}, "c": {"examples": 1}},
    by_latent={"z0": {"information_flow": 0.69314}},
    settings={"examples": 4},
)


def test_it_is_plain_json():
    assert json.loads(json.dumps(EVALUATION.to_dict())) == {
        "metrics": {"agreement": 0.98765, "flip_at_1": 1.0},
        "by_class": {"a|b": {"examples": 3, "agreement": 0.5}, "c": {"examples": 1}},
        "by_latent": {"z0": {"information_flow": 0.69314}},
        "settings": {"examples": 4},
    }


def test_three_tables_hold_every_figure_once():
    assert EVALUATION.to_markdown().split("\n\n") == [
        "| figure | value |\n|---|---|\n| agreement | 0.9877 |\n| flip_at_1 | 1 |",
        "| predicted class | examples | agreement |\n|---|---|---|\n"
        "| a\\|b | 3 | 0.5 |\n| c | 1 |  |",
        "| latent | information_flow |\n|---|---|\n| z0 | 0.6931 |\n",
    ]
