"""The four solvers compared from the shell: ``python -m sklearn_sgdopt [FILE.csv --target COLUMN]``."""

import argparse
import csv
import math
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

from sklearn_sgdopt._display import LossCurveDisplay
from sklearn_sgdopt._regressor import GradientDescentRegressor

SOLVERS: tuple[Literal["gd", "sgd", "momentum", "adam"], ...] = ("gd", "sgd", "momentum", "adam")
LEAST_ROWS = 10  # fewer leave no test part worth a score


class InputError(Exception):
    """Something in the input that one line can name."""


def read_csv(path: Path, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Read a file with one header line; return the features and the target column."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if line]
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file in UTF-8: {error}") from error
    if not lines:
        raise InputError(f"{path} is empty: expected a header line and rows of numbers")
    header, *rows = [[cell.strip() for cell in line] for line in lines]
    if target not in header:
        raise InputError(f"{path} has no column {target!r}; its columns are {', '.join(header)}")
    if len(header) < 2:
        raise InputError(f"{path} has no column besides the target {target!r}")
    if len(rows) < LEAST_ROWS:
        raise InputError(f"{path} has {len(rows)} rows of data; at least {LEAST_ROWS} are needed")
    values = np.array([_numbers(row, header, number) for number, row in enumerate(rows, start=2)])
    column = header.index(target)
    return np.delete(values, column, axis=1), values[:, column]


def _numbers(row: list[str], header: list[str], number: int) -> list[float]:
    if len(row) != len(header):
        raise InputError(f"line {number} has {len(row)} values, the header has {len(header)}")
    values = []
    for name, cell in zip(header, row, strict=True):
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(f"line {number}, column {name!r}: {cell!r} is not a finite number")
        values.append(value)
    return values


def compare(X: np.ndarray, y: np.ndarray) -> dict[str, GradientDescentRegressor]:
    """Train the solvers and least squares, print a line for each, and return the solvers."""
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0)
    GradientDescentRegressor(batch_size=1, epochs=1, tol=None).fit(
        X_train[:2], y_train[:2]
    )  # compiled before the clock runs
    GradientDescentRegressor("gd", epochs=1, tol=None).fit(X_train[:2], y_train[:2])
    print(f"{'solver':14}{'epochs':>8}{'seconds':>10}{'training loss':>16}{'test R2':>10}")
    models: dict[str, Any] = {solver: GradientDescentRegressor(solver, random_state=0) for solver in SOLVERS}
    for name, model in {**models, "least squares": LinearRegression()}.items():
        start = time.perf_counter()
        model.fit(X_train, y_train)
        seconds = time.perf_counter() - start
        loss = np.mean((model.predict(X_train) - y_train) ** 2)
        epochs = getattr(model, "n_iter_", "")
        print(f"{name:14}{epochs:>8}{seconds:>10.4f}{loss:>16.6g}{model.score(X_test, y_test):>10.4f}")
    return models


def save_picture(fitted: dict[str, GradientDescentRegressor], path: Path) -> None:
    """Save the loss curves of the solvers in one picture."""
    import matplotlib as mpl

    mpl.use("Agg")  # a picture is written, no window opened
    display = LossCurveDisplay.from_estimators(fitted, log_scale=True)
    display.ax_.set_xscale("log")
    display.ax_.set_title("Training loss of the four solvers")
    display.figure_.savefig(path, dpi=150, bbox_inches="tight")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_sgdopt",
        description="Train gd, sgd, momentum and adam on raw data with default settings; print a table and "
        "save a picture of their loss curves. Without FILE: scikit-learn's diabetes data.",
    )
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE.csv", help="one header line, then numbers"
    )
    parser.add_argument("--target", metavar="COLUMN", help="the column to predict")
    parser.add_argument("--output", type=Path, default=Path("loss_curves.png"), help="picture to write")
    options = parser.parse_args(arguments)
    if (options.file is None) != (options.target is None):
        parser.error("FILE.csv and --target COLUMN go together")
    try:
        if options.file is None:
            X, y = load_diabetes(return_X_y=True, scaled=False)
        else:
            X, y = read_csv(options.file, options.target)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            fitted = compare(X, y)
        save_picture(fitted, options.output)
    except (InputError, ImportError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        print(f"note: {message}")
    print(f"Loss curves: {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
