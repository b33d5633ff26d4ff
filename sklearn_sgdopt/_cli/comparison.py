"""The solvers beside least squares on the same samples: trained, timed and printed."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

from sklearn_sgdopt import GradientDescentRegressor
from sklearn_sgdopt._cli.messages import WorkError, one_line, say, shortened
from sklearn_sgdopt._cli.table import Samples, refuse_constant

SOLVERS: tuple[Literal["gd", "sgd", "momentum", "adam"], ...] = ("gd", "sgd", "momentum", "adam")
SHOWN = 20  # coefficients printed at most


@dataclass(frozen=True)
class Comparison:
    """The fitted solvers, and the one with the largest test R2."""

    solvers: dict[str, GradientDescentRegressor]
    best: str
    spread: np.ndarray  # standard deviation of each feature in the training samples
    warnings: list[str]


def compare(samples: Samples) -> Comparison:
    """Train the solvers and least squares on three quarters of the samples; print a line for each."""
    X_train, X_test, y_train, y_test = train_test_split(samples.X, samples.y, test_size=0.25, random_state=0)
    refuse_constant(y_train, samples.target, "training samples")
    warm_up()
    say(f"{'solver':14}{'epochs':>8}{'seconds':>10}{'training loss':>16}{'test R2':>10}")
    solvers: dict[str, Any] = {solver: GradientDescentRegressor(solver, random_state=0) for solver in SOLVERS}
    scores = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name, model in {**solvers, "least squares": LinearRegression()}.items():
            start = time.perf_counter()
            fit(name, model, X_train, y_train)
            seconds = time.perf_counter() - start
            loss = np.mean((model.predict(X_train) - y_train) ** 2)
            scores[name] = model.score(X_test, y_test)
            epochs = getattr(model, "n_iter_", "")
            say(f"{name:14}{epochs:>8}{seconds:>10.4f}{loss:>16.6g}{scores[name]:>10.4f}")
    best = max(SOLVERS, key=lambda solver: np.nan_to_num(scores[solver], nan=-np.inf))
    return Comparison(solvers, best, X_train.std(axis=0), [one_line(warning.message) for warning in caught])


def warm_up() -> None:
    """Train once on next to nothing: what is loaded at the first call is loaded before the clock runs."""
    X, y = np.array([[0.0], [1.0], [3.0]]), np.array([0.0, 1.0, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        GradientDescentRegressor("gd", epochs=1, tol=None).fit(X, y)


def fit(name: str, model: Any, X: np.ndarray, y: np.ndarray) -> None:
    """Fit a model; say which one failed if it does."""
    try:
        model.fit(X, y)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        raise WorkError(f"{name} cannot be trained on these samples: {one_line(error)}") from error


def print_coefficients(comparison: Comparison, names: Sequence[str]) -> None:
    """Print the coefficients of the best solver; of many, those that move the prediction most."""
    model = comparison.solvers[comparison.best]
    coefficients = np.ravel(model.coef_)
    shown = list(range(len(names)))
    if len(names) > SHOWN:
        effect = np.nan_to_num(np.abs(coefficients) * comparison.spread)
        shown = np.argsort(-effect, kind="stable")[:SHOWN].tolist()
    most = "" if len(names) <= SHOWN else f", the {SHOWN} of {len(names)} with the largest effect"
    labels = [*(shortened(names[column]) for column in shown), "(intercept)"]
    values = [*coefficients[shown], float(np.ravel(model.intercept_)[0])]
    width = max(map(len, labels))
    say(f"Coefficients of {comparison.best}, the best on the test samples{most}:")
    for label, value in zip(labels, values, strict=True):
        say(f"  {label:{width}}{value:>14.6g}")
