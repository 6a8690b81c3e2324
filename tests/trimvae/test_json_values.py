"""What JSON cannot say becomes null."""

import json
import math

import numpy as np

from trimvae.json_values import without_nan


def test_what_is_finite_stays_as_it_is():
    content = {"a": [1, 2.5, "nan", None, True], "b": {"c": -1e308, "d": 10**400}}
    assert without_nan(content) == content


def test_nan_and_infinity_become_null_wherever_they_are():
    content = {
        "a": (math.nan, 1.0),
        "b": {"c": [math.inf, {"d": -math.inf}]},
        "e": np.float64("nan"),
    }
    found = json.dumps(without_nan(content), allow_nan=False)
    assert json.loads(found) == {"a": [None, 1.0], "b": {"c": [None, {"d": None}]}, "e": None}
