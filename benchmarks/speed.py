"""Every ratio of speed and memory that the project promises, beside its goal."""

import subprocess
import sys
import warnings
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.linear_model import Ridge, SGDRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._measure import Fit, Table, epochs, medians, peak_bytes, seconds
from benchmarks.defaults import least_squares
from sklearn_sgdopt import GradientDescentRegressor

EPOCHS = 4


def problem(rows: int, features: int, dtype: Any = np.float64) -> tuple[np.ndarray, np.ndarray]:
    """Rows in standard units, a linear target and noise."""
    generator = np.random.default_rng(0)
    X = generator.standard_normal((rows, features)).astype(dtype)
    return X, X @ np.ones(features) + generator.standard_normal(rows)


def ours(X: Any, y: Any, solver: str = "sgd", **options: Any) -> Fit:
    """Fits of some epochs with the default settings."""
    return lambda epochs: GradientDescentRegressor(
        solver, epochs=epochs, tol=None, random_state=0, **options
    ).fit(X, y)


def theirs(X: Any, y: Any) -> Fit:
    """Fits of as many epochs of SGDRegressor."""
    return lambda epochs: SGDRegressor(
        max_iter=epochs, tol=None, learning_rate="constant", eta0=1e-4, random_state=0
    ).fit(X, y)


PLAIN: dict[str, Any] = {"standardize": False, "average": False, "learning_rate": 1e-4}


def epochs_of_dense_samples(table: Table) -> None:
    """Epochs of the plain setting against SGDRegressor, in memory and in cache."""
    goals = {
        (1_000_000, 8): (12, 10),
        (1_000_000, 20): (8.5, 7.5),
        (200_000, 100): (4.2, 3.5),
        (20_000, 1000): (2.8, 2.6),
        (10_000, 20): (4.5, 3.6),
    }
    for (rows, features), pair in goals.items():
        X, y = problem(rows, features)
        for batch_size, goal in zip((32, 1), pair, strict=True):
            mine, other = epochs(ours(X, y, batch_size=batch_size, **PLAIN), theirs(X, y), per_fit=EPOCHS)
            what = f"epoch {rows:,} x {features}, batch {batch_size}"
            table.faster(what, "SGDRegressor", mine, other, goal)


def epochs_against_ourselves(table: Table) -> None:
    """Whitening, float32, Adam, reading X once, and the neural network."""
    for rows, features, goal in ((1_000_000, 20, 1.4), (200_000, 100, 2.5)):
        X, y = problem(rows, features)
        mine, other = epochs(ours(X, y), ours(X, y, whiten=False), per_fit=EPOCHS)
        table.at_most(f"epoch {rows:,} x {features}, whitening", "without", mine, other, goal)
    for rows, goal in ((1_000_000, 1.25), (10_000, 1.4)):
        X, y = problem(rows, 20)
        X32 = X.astype(np.float32)
        per_fit = EPOCHS * 1_000_000 // rows
        mine, other = epochs(ours(X32, y, **PLAIN), ours(X, y, **PLAIN), per_fit=per_fit)
        table.faster(f"epoch {rows:,} x 20, float32", "float64", mine, other, goal)
    X, y = problem(1_000_000, 20)
    for batch_size, goal in ((32, 1.15), (1, 2)):
        options: dict[str, Any] = {"batch_size": batch_size, **PLAIN}
        mine, other = epochs(ours(X, y, "adam", **options), ours(X, y, **options), per_fit=EPOCHS)
        table.at_most(f"adam, epoch 1,000,000 x 20, batch {batch_size}", "sgd", mine, other, goal)
    for shuffle, goal in ((True, 3.3), (False, 1.8)):
        mine, _ = epochs(ours(X, y, **PLAIN, shuffle=shuffle), lambda _: None, per_fit=EPOCHS)
        read, _ = medians(X.sum, lambda: None)
        what = f"epoch 1,000,000 x 20, {'shuffled' if shuffle else 'in order'}"
        table.at_most(what, "reading X once", mine, read, goal)
    X, y = X[:200_000], y[:200_000]
    network = MLPRegressor(
        hidden_layer_sizes=(),
        activation="identity",
        solver="sgd",
        batch_size=32,
        max_iter=1,
        tol=0.0,
        learning_rate_init=1e-4,
    )
    mine, other = medians(lambda: ours(X, y)(EPOCHS), lambda: network.fit(X, y), repeats=3)
    table.faster("epoch 200,000 x 20, batch 32", "MLPRegressor", mine / EPOCHS, other, 60)


def sparse_samples(table: Table) -> None:
    """CSR rows of 80 values."""
    rows, features, filled = 100_000, 50_000, 80
    X = sparse.random_array((rows, features), density=filled / features, format="csr", rng=1)
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    y = X @ np.random.default_rng(0).standard_normal(features)
    plain: dict[str, Any] = {"standardize": False, "learning_rate": 1e-4, "penalty": "l2", "average": False}
    what = "epoch CSR 100,000 x 50,000, 80 a row, batch 32"
    mine, other = epochs(ours(X, y, **plain), theirs(X, y), per_fit=EPOCHS)
    table.faster(what, "SGDRegressor", mine, other, 2.2)
    mine, other = epochs(ours(X, y, penalty="l2"), theirs(X, y), per_fit=EPOCHS)
    table.faster("the same, averaged and scaled", "SGDRegressor", mine, other, 1.8)
    size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    peak = peak_bytes(lambda: ours(X, y, penalty="l2")(EPOCHS))
    table.at_most("the same, peak extra memory of a fit", "size of X", peak, size, 0.05)


def two_threads(table: Table) -> None:
    """Full batches of a loss that has no second moments, by two threads."""
    X, y = problem(100_000, 100)
    options = {"solver": "gd", "loss": "huber"}
    mine, other = epochs(
        ours(X, y, n_jobs=2, **options), ours(X, y, n_jobs=1, **options), per_fit=10 * EPOCHS
    )
    table.faster("gd, huber, epoch 100,000 x 100, two threads", "one thread", mine, other, 1)


def full_batches(table: Table) -> None:
    """A whole fit of gd, on second moments, against a direct solver."""
    X, y = problem(1_000_000, 20)
    model = GradientDescentRegressor("gd", tol=None)
    ridge = Ridge(solver="cholesky")
    mine, other = medians(lambda: model.fit(X, y), lambda: ridge.fit(X, y))
    table.at_most("gd, 1,000,000 x 20, whole fit", "Ridge(cholesky)", mine, other, 0.9)


def small_chunks(table: Table) -> None:
    """One partial_fit of 32 rows."""
    X, y = problem(32, 20)
    for solver in ("gd", "sgd", "momentum", "adam"):
        model = GradientDescentRegressor(solver, random_state=0)
        other_model = SGDRegressor(random_state=0)
        mine, other = medians(
            lambda: model.partial_fit(X, y),  # noqa: B023
            lambda: other_model.partial_fit(X, y),  # noqa: B023
            repeats=500,
        )
        table.at_most(f"partial_fit, 32 x 20, {solver}", "SGDRegressor", mine, other, 0.4)


def time_to_accuracy(table: Table) -> None:
    """A default fit to within 0.5 % of least squares, on raw data."""
    generator = np.random.default_rng(0)
    X, y = problem(200_000, 20)
    X = X * 10.0 ** generator.uniform(-3, 3, 20) + 10.0 ** generator.uniform(-3, 3, 20)
    best = np.sqrt(np.mean((least_squares(X, y, X) - y) ** 2))
    for solver in ("gd", "sgd", "momentum", "adam"):
        model = GradientDescentRegressor(solver, random_state=0)
        peer = make_pipeline(StandardScaler(), SGDRegressor(random_state=0))
        mine, other = medians(lambda: model.fit(X, y), lambda: peer.fit(X, y))  # noqa: B023
        reached = np.sqrt(np.mean((model.predict(X) - y) ** 2)) / best
        what = f"default fit, {solver}, raw 200,000 x 20 (loss {reached:.4f})"
        table.faster(what, "StandardScaler + SGDRegressor", mine, other, 1)


def start_up(table: Table) -> None:
    """Imports, and the first fit of a process."""

    def run(code: str) -> float:
        output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return float(output.stdout)

    clock = "import time; start = time.perf_counter()\n"
    stop = "\nprint(time.perf_counter() - start)"
    pairs = [
        (run(f"{clock}import sklearn_sgdopt{stop}"), run(f"{clock}import sklearn.linear_model{stop}"))
        for _ in range(7)
    ]
    mine, other = np.median(pairs, axis=0)
    table.at_most("import of the package", "sklearn.linear_model", mine, other, 1.05)
    fit = (
        "import numpy as np, sklearn_sgdopt as s; X = np.random.default_rng(0).normal(size=(100, 3))\n"
        f"{clock}s.GradientDescentRegressor().fit(X, X[:, 0]){stop}"
    )
    times = [run(fit) for _ in range(6)]
    table.at_most("first fit of a process", "50 milliseconds", float(np.median(times)), 0.05, 1)


def memory(table: Table) -> None:
    """Peak extra memory of a fit."""
    X, y = problem(1_000_000, 20)
    for solver in ("gd", "sgd", "momentum", "adam"):
        peak = peak_bytes(lambda: ours(X, y, solver)(EPOCHS))  # noqa: B023
        what = f"peak extra memory of a fit, 1,000,000 x 20, {solver}"
        table.at_most(what, "size of X", peak, X.nbytes, 0.05)
    peak = peak_bytes(lambda: ours(X, y, loss="huber", early_stopping=True)(EPOCHS))
    table.at_most("the same, huber and held-out samples", "size of X", peak, X.nbytes, 1.2)


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    table = Table()
    start_up(table)
    small_chunks(table)
    epochs_of_dense_samples(table)
    epochs_against_ourselves(table)
    sparse_samples(table)
    two_threads(table)
    full_batches(table)
    time_to_accuracy(table)
    memory(table)
    missed = sum(not row[-1] for row in table.rows)
    print(f"{len(table.rows) - missed} of {len(table.rows)} goals met")


if __name__ == "__main__":
    print(f"took {seconds(main):.0f} s")
