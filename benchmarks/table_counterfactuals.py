"""Rows that are decided otherwise: through latents, and by DiCE, of the same predictor.

Five seeds of data, predictor, code and search. Some columns are fixed. Each arm is asked for one
other row for each held-out row, and all are judged alike: valid, columns changed, distance from the
row, distance from the nearest training row, seconds. DiCE's arms need `pip install dice-ml`.

    python -m benchmarks.table_counterfactuals --seeds 0 1 2 3 4
"""

import contextlib
import importlib.util
import io
import statistics
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.sizes import new_parser, sized
from benchmarks.tables import interval, write
from trimvae import VAE, fit
from trimvae.explanation.other_rows import find_other_rows

ROWS = sized(30, 2)
EPOCHS = sized(100, 2)
TREES = sized(100, 10)
_CHANGED = 0.01  # standard deviations: DiCE rounds what it returns
METHODS = sized(("random", "genetic", "kdtree"), ("random",))


class Task(NamedTuple):
    """A table, its labels, and the columns that stay as they are."""

    frame: pd.DataFrame
    labels: np.ndarray
    fixed: list[str]
    latents: int


def people(seed: int) -> Task:
    """Who is given a loan: numbers, whole numbers and categories that go together."""
    draw = np.random.default_rng(seed)
    count = 1500
    age = draw.integers(20, 70, count)
    job = draw.choice(["clerk", "driver", "nurse", "teacher"], count)
    work = np.clip(np.round(age - 20 - draw.exponential(4, count)), 0, None).astype(int)
    pay = {"clerk": 0.0, "driver": -0.2, "nurse": 0.1, "teacher": 0.3}
    level = np.array([pay[each] for each in job]) + 0.012 * work
    income = np.exp(10 + level + draw.normal(0, 0.25, count)).round(-1)
    rent = (0.3 * income / 12 * np.exp(draw.normal(0, 0.3, count))).round()
    town = draw.choice(["north", "south", "west"], count, p=[0.5, 0.3, 0.2])
    sex = draw.choice(["f", "m"], count)
    frame = pd.DataFrame(
        {"age": age, "sex": sex, "job": job, "years at work": work, "income": income,
         "rent": rent, "town": town}
    )  # fmt: skip
    score = (income - 12 * rent) / 15000 + 0.04 * work + 0.6 * (town == "south")
    labels = (score + draw.normal(0, 0.2, count) > np.median(score)).astype(int)
    return Task(frame, labels, ["age", "sex"], 6)


def biopsies(seed: int) -> Task:
    """Breast-cancer biopsies: thirty columns of numbers; texture stays."""
    table = load_breast_cancer(as_frame=True)
    order = np.random.default_rng(seed).permutation(len(table.data))
    frame = table.data.iloc[order].reset_index(drop=True)
    fixed = [name for name in frame.columns if "texture" in name]
    return Task(frame, table.target.to_numpy()[order], fixed, 8)


def forest(task: Task, train: int, seed: int) -> Pipeline:
    """A random forest on the DataFrame."""
    text = task.frame.select_dtypes(exclude="number").columns.tolist()
    numbers = [name for name in task.frame.columns if name not in text]
    columns = make_column_transformer((StandardScaler(), numbers), (OneHotEncoder(), text))
    model = make_pipeline(columns, RandomForestClassifier(TREES, random_state=seed))
    return model.fit(task.frame[:train], task.labels[:train])


def judged(
    task: Task, model: Pipeline, train: pd.DataFrame, rows: pd.DataFrame, others: pd.DataFrame
) -> dict[str, float]:
    """What one arm's rows are worth; a row that is missing is not valid."""
    found = others.notna().all(axis=1).to_numpy()
    flipped = np.zeros(len(rows), dtype=bool)
    if found.any():
        flipped[found] = model.predict(others[found]) != model.predict(rows[found])
    if not flipped.any():
        return {"valid": 0.0}
    rows, others = rows[flipped], others[flipped]
    moves = apart(train, rows.to_numpy(object), others.to_numpy(object))
    kept = [task.frame.columns.get_loc(name) for name in task.fixed]
    nearest = [
        apart(train, np.repeat(other[None], len(train), 0), train.to_numpy(object)).sum(1).min()
        for other in others.to_numpy(object)
    ]
    return {
        "valid": float(flipped.mean()),
        "columns changed": float((moves > _CHANGED).sum(axis=1).mean()),
        "distance": float(moves.sum(axis=1).mean()),
        "to the nearest training row": float(np.mean(nearest)),
        "fixed columns kept": float((moves[:, kept] <= _CHANGED).all(axis=1).mean()),
    }


def apart(train: pd.DataFrame, some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Numbers in standard deviations, 1 for another category: `(rows, columns)`."""
    columns = []
    for place, name in enumerate(train.columns):
        left, right = some[:, place], others[:, place]
        if train[name].dtype.kind in "if":
            columns.append(np.abs(left.astype(float) - right.astype(float)) / train[name].std())
        else:
            columns.append((left != right).astype(float))
    return np.stack(columns, axis=1)


def through_latents(
    task: Task, model: Pipeline, train: pd.DataFrame, rows: pd.DataFrame, seed: int
) -> tuple[pd.DataFrame, float, float]:
    """Other rows by `find_other_rows`, with seconds of training and of the search."""
    torch.manual_seed(seed)
    started = time.process_time()
    vae = VAE.table(train, latent_size=task.latents)
    fit(vae, model, train, max_epochs=EPOCHS, seed=seed, progress=False)
    trained = time.process_time()
    found = find_other_rows(vae, model, rows, fixed=task.fixed)
    return found.frame, trained - started, time.process_time() - trained


def by_dice(
    task: Task, model: Pipeline, train: pd.DataFrame, rows: pd.DataFrame, method: str, seed: int
) -> tuple[pd.DataFrame, float, float]:
    """Other rows by DiCE, a row at a time, with seconds of preparation and of the search."""
    import dice_ml
    from raiutils.exceptions import UserConfigValidationException

    started = time.process_time()
    numbers = train.select_dtypes("number").columns.tolist()
    labelled = train.assign(label=task.labels[: len(train)])
    data = dice_ml.Data(dataframe=labelled, continuous_features=numbers, outcome_name="label")
    search = dice_ml.Dice(data, dice_ml.Model(model=model, backend="sklearn"), method=method)
    varied = [name for name in train.columns if name not in task.fixed]
    options: dict[str, object] = {"random_seed": seed} if method == "random" else {}
    if method == "kdtree":  # whose linear search for fewer columns takes minutes for some rows
        options["posthoc_sparsity_algorithm"] = "binary"
    prepared = time.process_time()
    others = []
    for place in range(len(rows)):
        row, found = rows.iloc[place : place + 1], None
        with contextlib.suppress(UserConfigValidationException, ValueError, TimeoutError):
            found = search.generate_counterfactuals(
                row, total_CFs=1, desired_class="opposite", features_to_vary=varied, **options
            ).cf_examples_list[0].final_cfs_df  # fmt: skip
        if found is None or not len(found):
            others.append(dict.fromkeys(train.columns))
        else:
            others.append(found.iloc[0][train.columns].to_dict())
    ended = time.process_time()
    frame = pd.DataFrame(others, columns=train.columns, index=rows.index)
    return frame, prepared - started, ended - prepared


def measured(make: Callable[[int], Task], seed: int) -> dict[str, dict[str, float]]:
    """Every arm's figures for one seed."""
    task = make(seed)
    count = int(0.8 * len(task.frame))
    model, train = forest(task, count, seed), task.frame[:count]
    rows = task.frame[count : count + ROWS]
    arms: dict[str, Callable[[], tuple[pd.DataFrame, float, float]]] = {
        "trimvae, through latents": lambda: through_latents(task, model, train, rows, seed)
    }
    if importlib.util.find_spec("dice_ml"):
        for method in METHODS:
            arms[f"DiCE, {method}"] = lambda method=method: by_dice(
                task, model, train, rows, method, seed
            )
    figures = {}
    for name, arm in arms.items():
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            others, before, seconds = arm()
        figures[name] = judged(task, model, train, rows, others)
        figures[name] |= {"seconds a row": seconds / len(rows), "seconds before": before}
        print(seed, name, {key: round(value, 3) for key, value in figures[name].items()})
    return figures


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=sized([0, 1, 2, 3, 4], [0]))
    seeds = parser.parse_args().seeds
    for name, make in (("people", people), ("biopsies", biopsies)):
        found = [measured(make, seed) for seed in seeds]
        rows = {
            arm: {
                figure: interval([each[arm][figure] for each in found if figure in each[arm]], 2)
                for figure in {key: None for each in found for key in each[arm]}
            }
            for arm in found[0]
        }
        valid = statistics.mean(each["trimvae, through latents"]["valid"] for each in found)
        print(f"{name}: {valid:.0%} valid through latents")
        note = (
            f"{name}: one other row for each of {ROWS} held-out rows, of a random forest. Mean and "
            f"95 % interval over {len(seeds)} seeds; figures after the first are of valid rows. "
            "Changed: by more than .01 standard deviations. Distances: numbers in standard "
            "deviations, 1 for another category, summed. CPU "
            "seconds, of one thread; before: training the code, or preparing DiCE."
        )
        write(f"table_counterfactuals_{name}", note, rows, "arm")


if __name__ == "__main__":
    main()
