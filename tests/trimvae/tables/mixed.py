"""A table of every kind of column, and a rule that reads three of them."""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def mixed_frame(count: int = 300, seed: int = 0) -> pd.DataFrame:
    """Numbers, whole numbers, missing values, truth values, text and categories."""
    draw = np.random.default_rng(seed)
    age = draw.integers(18, 80, count)
    income = np.exp(draw.normal(10, 0.4, count))
    income[draw.random(count) < 0.1] = np.nan
    job = draw.choice(["clerk", "nurse", "teacher"], count).astype(object)
    job[draw.random(count) < 0.1] = None
    return pd.DataFrame(
        {
            "age": age,
            "income": income,
            "job": job,
            "owner": draw.random(count) < 0.5,
            "town": pd.Categorical(draw.choice(["south", "north"], count), ["south", "north"]),
        }
    )


def labels_of(frame: pd.DataFrame) -> np.ndarray:
    return ((frame["income"].fillna(2e4) > 22_000) ^ (frame["age"] > 60)).to_numpy().astype(int)


def pipeline(frame: pd.DataFrame) -> Pipeline:
    """A logistic regression on the DataFrame itself."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer(
        (numbers, ["age", "income"]), (OneHotEncoder(), ["job", "owner", "town"])
    )
    return make_pipeline(columns, LogisticRegression()).fit(frame, labels_of(frame))
