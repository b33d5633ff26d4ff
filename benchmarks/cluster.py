"""On a Dask cluster: what a round costs, two workers against one, and raw data beside dask-ml.

``python -m benchmarks.cluster [rounds|workers|peers ...]`` starts local clusters of one thread a worker. The
peers need dask-ml. Figures are of this machine: a loaded one shows more of a round and less of two workers.
"""

import contextlib
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

import dask
import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster, wait
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgdopt import _cluster
from sklearn_sgdopt.dask import DaskGradientDescentRegressor

FEATURES, SOLVERS = 20, ("gd", "sgd", "momentum", "adam")
GOAL_ROUND, GOAL_SHARD, GOAL_WORKERS = 20.0, 5.0, 1.6


def cluster(workers: int) -> LocalCluster:
    """Start workers of one thread each."""
    return LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0")


def block(number: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a partition: correlated features in raw units, a target that is not quite linear."""
    rng = np.random.default_rng(number)
    X = rng.standard_normal((rows, FEATURES))
    X[:, 1:] += 0.7 * X[:, :-1]
    y = X @ np.linspace(-1.0, 1.0, FEATURES) + 0.2 * X[:, 0] ** 2 + rng.standard_normal(rows)
    return X * np.logspace(-2, 4, FEATURES) + np.linspace(0.0, 100.0, FEATURES), y


def delayed_blocks(total: int, parts: int) -> list[Any]:
    """Return partitions that the workers make."""
    return [dask.delayed(block)(i, total // parts) for i in range(parts)]


@contextlib.contextmanager
def timed_rounds() -> Iterator[list[float]]:
    """Give a list that takes the seconds of each round."""
    times: list[float] = []
    original = _cluster.Rounds.epoch

    def epoch(self: Any) -> Any:
        start = time.perf_counter()
        result = original(self)
        times.append(time.perf_counter() - start)
        return result

    with mock.patch.object(_cluster.Rounds, "epoch", epoch):
        yield times


def rounds() -> None:
    """Time rounds of shards so small that nothing is left but the overhead."""
    with cluster(2) as local, Client(local):
        parts = delayed_blocks(3200, 16)
        for shards in (1, 2, 4, 8, 16):
            options = {"epochs": 100, "tol": None, "random_state": 0}
            with timed_rounds() as times:
                DaskGradientDescentRegressor("sgd", shards=shards, **options).fit(parts)
            low, middle, high = 1000.0 * np.percentile(times, (10, 50, 90))
            print(
                f"a round of {shards:2} shards: median {middle:5.1f} ms, 10 % below {low:5.1f}, 10 % above "
                f"{high:5.1f} (goal {GOAL_ROUND + GOAL_SHARD * shards:.0f})",
                flush=True,
            )


def workers(total: int = 5_000_000) -> None:
    """Time the rounds of the same fit, of two shards, on two workers and on one, in turn."""
    with cluster(1) as one, cluster(2) as two, Client(one) as alone, Client(two) as pair:
        data = {}
        for client in (alone, pair):
            with client.as_current():
                data[client] = dask.persist(*delayed_blocks(total, 20))
                wait(data[client])
        for solver in ("sgd", "momentum", "adam"):
            found, least = [], []
            for client in (alone, pair) * 4:
                with timed_rounds() as times:
                    DaskGradientDescentRegressor(
                        solver, shards=2, epochs=6, tol=None, random_state=0, client=client
                    ).fit(data[client])
                found.append(np.median(times[1:]))
                least.append(min(times))
            ratio = np.median(np.divide(found[::2], found[1::2]))
            one_least, two_least = min(least[::2]), min(least[1::2])
            print(
                f"{total:,} x {FEATURES}, {solver}: an epoch of {np.median(found[::2]):.2f} s on one worker, "
                f"{np.median(found[1::2]):.2f} s on two: {ratio:.2f} x; the fastest of all {one_least:.2f} s "
                f"and {two_least:.2f} s: {one_least / two_least:.2f} x (goal {GOAL_WORKERS})",
                flush=True,
            )


def peers(total: int = 1_000_000) -> None:
    """Print seconds and error on raw samples, and on scaled ones, beside dask-ml."""
    try:
        from dask_ml.linear_model import LinearRegression as DaskLinearRegression
        from dask_ml.preprocessing import StandardScaler as DaskScaler
        from dask_ml.wrappers import Incremental
    except ImportError:
        print("dask-ml is not installed")
        DaskLinearRegression = None
    warnings.simplefilter("ignore")
    X_test, y_test = block(-1 % 2**32, 50_000)
    exact = make_pipeline(StandardScaler(), LinearRegression()).fit(*block(0, 200_000))
    least = root_mean_squared_error(y_test, exact.predict(X_test))
    with cluster(2) as local, Client(local) as client:
        blocks = client.compute(delayed_blocks(total, 20))
        wait(blocks)
        each = total // 20
        X = da.concatenate(
            [da.from_delayed(dask.delayed(b)[0], (each, FEATURES), np.float64) for b in blocks]
        ).persist()
        y = da.concatenate(
            [da.from_delayed(dask.delayed(b)[1], (each,), np.float64) for b in blocks]
        ).persist()
        wait([X, y])

        def line(name: str, task: Callable[[], Callable[[np.ndarray], np.ndarray]]) -> None:
            start = time.perf_counter()
            predict = task()
            spent = time.perf_counter() - start
            error = root_mean_squared_error(y_test, np.asarray(predict(X_test))) / least
            print(f"{name:60}{spent:8.2f} s  test RMSE / least squares {error:.4g}", flush=True)

        def fitted(model: Any) -> Callable[[np.ndarray], np.ndarray]:
            predict: Callable[[np.ndarray], np.ndarray] = model.fit(X, y).predict
            return predict

        for solver in SOLVERS:
            model = DaskGradientDescentRegressor(solver, shards=2, epochs=5, tol=None, random_state=0)
            line(f"{solver}, 2 shards, 5 epochs", partial(fitted, model))
            model = DaskGradientDescentRegressor(solver, random_state=0)
            line(f"{solver}, default settings", partial(fitted, model))
        if DaskLinearRegression is None:
            return

        def incremental() -> Callable[[np.ndarray], np.ndarray]:
            model = Incremental(SGDRegressor(random_state=0), shuffle_blocks=True, random_state=0)
            for _ in range(5):
                model.partial_fit(X, y)
            return model.estimator_.predict

        def scaled() -> Callable[[np.ndarray], np.ndarray]:
            scaler = DaskScaler().fit(X)
            Z = scaler.transform(X).persist()
            model = Incremental(SGDRegressor(random_state=0), shuffle_blocks=True, random_state=0)
            for _ in range(5):
                model.partial_fit(Z, y)
            return lambda values: model.estimator_.predict(scaler.transform(values))

        line("dask-ml Incremental(SGDRegressor), 5 passes", incremental)
        line("dask-ml StandardScaler, then the same", scaled)

        line("dask-ml LinearRegression (admm)", partial(fitted, DaskLinearRegression()))


PARTS = {"rounds": rounds, "workers": workers, "peers": peers}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
