"""Explain a scikit-learn pipeline on a mixed DataFrame: who is given a loan?

    python -m examples.explain_table

Numbers, categories and missing values go in and come out as they are in the table. Writes
traversals and a report to runs/examples/, and prints what would have to change.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from attributions import exact_shapley
from examples.quick import QUICK, quick
from trimvae import VAE, explain, fit
from trimvae.explanation.other_rows import find_other_rows


def people(count: int, seed: int = 0) -> tuple[pd.DataFrame, "np.ndarray"]:
    """Rows of a table, some of whose incomes are missing, and who was given a loan."""
    draw = np.random.default_rng(seed)
    age, job = draw.integers(20, 70, count), draw.choice(["clerk", "nurse", "teacher"], count)
    income = np.exp(10 + 0.01 * age + 0.3 * (job == "teacher") + draw.normal(0, 0.3, count))
    rent = 0.03 * income * np.exp(draw.normal(0, 0.3, count))
    sex = draw.choice(["f", "m"], count)
    loan = (income - 10 * rent + draw.normal(0, 2000, count) > 24_000).astype(int)
    income[draw.random(count) < 0.05] = np.nan
    return pd.DataFrame(
        {"age": age, "sex": sex, "job": job, "income": income.round(-1), "rent": rent.round()}
    ), loan


def main() -> None:
    torch.manual_seed(0)
    frame, loan = people(quick(1500, 300))
    train, held_out = frame[:-100], frame[-100:]
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer(
        (numbers, ["age", "income", "rent"]), (OneHotEncoder(), ["sex", "job"])
    )
    pipeline = make_pipeline(columns, LogisticRegression()).fit(train, loan[:-100])
    print(f"accuracy on held-out people: {pipeline.score(held_out, loan[-100:]):.3f}")

    # --8<-- [start:explain]
    vae = VAE.table(train, latent_size=4)
    fit(vae, pipeline, train, max_epochs=quick(80, 2))
    explanation = explain(
        vae, pipeline, held_out, method=exact_shapley, class_names=["refused", "given"]
    )
    others = find_other_rows(vae, pipeline, held_out, fixed=["age", "sex"])

    print(explanation.summary())
    # --8<-- [end:explain]
    flipped = np.flatnonzero(others.valid.numpy())
    for place in flipped[:3]:
        print(f"person {held_out.index[place]} would be decided otherwise with:")
        for name in others.changed[place]:
            print(f"  {name}: {held_out.iloc[place][name]} -> {others.frame.iloc[place][name]}")
    print({name: round(value, 2) for name, value in others.metrics.items()})
    folder = Path("runs/examples")
    folder.mkdir(parents=True, exist_ok=True)
    explanation.plot_traversals(0, n_latents=3).savefig(folder / "people_traversals.png", dpi=110)
    explanation.to_html(folder / "people_report.html", title="Who is given a loan?")
    assert others.frame[["age", "sex"]].equals(held_out[["age", "sex"]])
    assert explanation.metrics["completeness_error"] < 1e-4
    assert QUICK or explanation.metrics["agreement"] > 0.9
    assert QUICK or others.metrics["validity"] > 0.8


if __name__ == "__main__":
    main()
