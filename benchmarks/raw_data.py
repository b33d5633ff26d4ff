"""Raw data, default settings: this package and its peers, the table in README.md.

``python -m benchmarks.raw_data`` prints it for scikit-learn's diabetes data in their raw units.
"""

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgdopt import GradientDescentRegressor


def default(solver: Any, seed: int) -> GradientDescentRegressor:
    """Return a solver with default settings."""
    return GradientDescentRegressor(solver, random_state=seed)


MODELS: dict[str, Callable[[int], Any]] = {
    **{
        f'GradientDescentRegressor("{solver}")': partial(default, solver)
        for solver in ("gd", "sgd", "momentum", "adam")
    },
    "SGDRegressor()": lambda seed: SGDRegressor(random_state=seed),
    'MLPRegressor(hidden_layer_sizes=(), activation="identity")': lambda seed: MLPRegressor(
        hidden_layer_sizes=(), activation="identity", random_state=seed
    ),
    "StandardScaler + SGDRegressor": lambda seed: make_pipeline(
        StandardScaler(), SGDRegressor(random_state=seed)
    ),
}


def main(splits: int = 10) -> None:
    """Print a Markdown table: error relative to least squares, and time."""
    warnings.simplefilter("ignore")
    X, y = load_diabetes(return_X_y=True, scaled=False)
    for make in MODELS.values():
        make(0).fit(X, y)  # compiled, imported
    ratios: dict[str, list[float]] = {name: [] for name in MODELS}
    seconds: dict[str, list[float]] = {name: [] for name in MODELS}
    for seed in range(splits):
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.1, random_state=seed)
        best = np.sqrt(np.mean((LinearRegression().fit(X_train, y_train).predict(X_test) - y_test) ** 2))
        for name, make in MODELS.items():
            start = time.perf_counter()
            model = make(seed).fit(X_train, y_train)
            seconds[name].append(time.perf_counter() - start)
            ratios[name].append(np.sqrt(np.mean((model.predict(X_test) - y_test) ** 2)) / best)
    print("| model, default settings | test RMSE / least squares | milliseconds |\n| --- | ---: | ---: |")
    for name in MODELS:
        mean = np.mean(ratios[name])
        error = f"{mean:.3f}" if mean < 100 else f"{mean:.0e}"
        print(f"| `{name}` | {error} | {1e3 * np.median(seconds[name]):.1f} |")


if __name__ == "__main__":
    main()
