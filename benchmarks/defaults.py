"""The table that the defaults were chosen from: accuracy and time on raw data, all defaults but the solver.

``python -m benchmarks.defaults [FOLDER]`` takes every ``*.csv`` of a folder (one header line, the target in
the last column); without one, data sets that come with scikit-learn. A made one follows, whose columns are
nearly collinear. Options change a default: ``--tol 1e-5``, ``--epochs 50``.
"""

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes, load_linnerud, make_friedman1
from sklearn.linear_model import SGDRegressor
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgdopt import GradientDescentRegressor

SPLITS = 10
CHUNK = 256


def data_sets(folder: Path | None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return X and y of each set, in raw units."""
    if folder is not None:
        tables = {
            path.stem: np.loadtxt(path, delimiter=",", skiprows=1) for path in sorted(folder.glob("*.csv"))
        }
        return {name: (table[:, :-1], table[:, -1]) for name, table in tables.items()}
    X, y = load_linnerud(return_X_y=True)
    friedman, target = make_friedman1(5000, noise=1.0, random_state=0)
    return {
        "diabetes": load_diabetes(return_X_y=True, scaled=False),
        "linnerud": (X, y[:, 0]),
        "friedman": (friedman * 10.0 ** np.arange(-5, 5) + 100.0, target),
    }


def engine(rows: int = 11_900) -> tuple[np.ndarray, np.ndarray]:
    """Return readings of an engine at nine loads, and its wear: their condition number is above 1e9.

    Each reading is a smooth function of the load and of two wears, which hardly show beside the load; it is
    rounded, and one is taken twice.
    """
    rng = np.random.default_rng(1)
    wear, other, load = rng.uniform(0.0, 0.05, rows), rng.uniform(0.0, 0.025, rows), rng.integers(1, 10, rows)
    readings = [3.0 * load]
    for _ in range(13):
        power, c = rng.uniform(0.3, 3.0), rng.normal(size=5)
        worn = c[0] * wear + c[1] * other + 4.0 * (c[2] * wear**2 + c[3] * other**2 + c[4] * wear * other)
        reading = (3.0 * load) ** power * (1.0 + worn)
        digit = 10.0 ** np.floor(np.log10(reading.std()) - 2.3)
        readings.append(np.round(reading / digit) * digit)
    return np.column_stack([*readings, readings[5]]), 1.0 - wear


def least_squares(X: np.ndarray, y: np.ndarray, X_test: np.ndarray) -> np.ndarray:
    """Predictions of least squares, solved in standardised columns."""
    mean, scale = X.mean(axis=0), X.std(axis=0)
    scale[scale == 0.0] = 1.0
    slopes = np.linalg.lstsq((X - mean) / scale, y - y.mean(), rcond=None)[0]
    return y.mean() + (X_test - mean) / scale @ slopes


def row(X: np.ndarray, y: np.ndarray, solver: str, batch_size: int, passes: int, options: Any) -> str:
    """One line: mean and worst ratio, epochs, time relative to StandardScaler and SGDRegressor."""
    ratios, times, peer_times, epochs = [], [], [], []
    for seed in range(SPLITS):
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.1, random_state=seed)
        model = GradientDescentRegressor(solver, batch_size=batch_size, random_state=seed, **options)
        start = time.perf_counter()
        if passes:
            for begin in list(range(0, len(X_train), CHUNK)) * passes:
                model.partial_fit(X_train[begin : begin + CHUNK], y_train[begin : begin + CHUNK])
        else:
            model.fit(X_train, y_train)
        times.append(time.perf_counter() - start)
        start = time.perf_counter()
        make_pipeline(StandardScaler(), SGDRegressor(random_state=seed)).fit(X_train, y_train)
        peer_times.append(time.perf_counter() - start)
        best = np.sqrt(np.mean((least_squares(X_train, y_train, X_test) - y_test) ** 2))
        ratios.append(np.sqrt(np.mean((model.predict(X_test) - y_test) ** 2)) / best)
        epochs.append(model.n_iter_)
    speed = "" if passes else f"{np.median(times) / np.median(peer_times):.2f}"
    made = "" if passes else f"{np.median(epochs):.0f}"
    return f"{np.mean(ratios):.4f},{np.max(ratios):.4f},{made},{speed}"


def main() -> None:
    """Print the table as CSV."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--tol", type=float)
    parser.add_argument("--epochs", type=int)
    arguments = vars(parser.parse_args())
    options = {name: arguments[name] for name in ("tol", "epochs") if arguments[name] is not None}
    warnings.simplefilter("ignore")
    print("data,solver,batch size,mean ratio,worst ratio,epochs,time ratio")
    for name, (X, y) in {**data_sets(arguments["folder"]), "engine": engine()}.items():
        GradientDescentRegressor(batch_size=1, tol=None, epochs=1).fit(X, y)
        for solver in ("gd", "sgd", "momentum", "adam"):
            for batch_size in (32,) if solver == "gd" else (1, 32, 256):
                size = "all" if solver == "gd" else batch_size
                print(f"{name},{solver},{size},{row(X, y, solver, batch_size, 0, options)}", flush=True)
            for passes in (1, 10):
                result = row(X, y, solver, 32, passes, options)
                size = "chunk" if solver == "gd" else 32
                print(f"{name} ({passes} x chunks of {CHUNK}),{solver},{size},{result}", flush=True)


if __name__ == "__main__":
    main()
