"""Work on several cores: the results are those of one, and of batches that are not summed in parts."""

import pickle
import subprocess
import sys
import textwrap
from typing import Any

import joblib
import numpy as np
import pytest
from reference import Descent, assert_close
from scipy import sparse

from sklearn_sgdopt import GradientDescentRegressor, _kernels, _regressor
from sklearn_sgdopt._coordinates import Coordinates
from sklearn_sgdopt._samples import make_samples
from sklearn_sgdopt._threads import ordered_map

PARTS = 16
ROWS, FEATURES = 60_013, 20  # 1.2 million products, more than 2 ** 20, and not a multiple of the parts
CASES: dict[str, dict[str, Any]] = {
    "gd huber": {"solver": "gd", "loss": "huber"},
    "gd quantile": {"solver": "gd", "loss": "quantile", "fit_intercept": False, "penalty": "l2"},
    "gd l1": {"solver": "gd", "loss": "squared_epsilon_insensitive", "penalty": "l1", "alpha": 0.1},
    "sgd": {"solver": "sgd", "batch_size": 55_000},
    "sgd, two outputs": {"solver": "sgd", "batch_size": 29_000, "outputs": 2},
    "momentum": {"solver": "momentum", "batch_size": 55_000, "learning_rate": 1e-3, "shuffle": False},
    "adam, three outputs": {"solver": "adam", "batch_size": 19_000, "loss": "huber", "outputs": 3},
}


def long_csr(X):
    X = sparse.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


FORMS = {"dense": np.asarray, "dense32": np.float32, "csr": sparse.csr_array, "long": long_csr}


def problem(outputs=1, rows=ROWS):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, FEATURES)) * np.geomspace(0.1, 10.0, FEATURES) + 1.0
    y = X @ rng.standard_normal((FEATURES, outputs)) + rng.standard_normal((rows, outputs))
    return X, y[:, 0] if outputs == 1 else y, rng.integers(0, 3, rows).astype(float)


def learned(model):
    return [model.coef_, model.intercept_, model.loss_curve_, model.t_, model._state.buffers]


@pytest.fixture
def counted(monkeypatch):
    """Count the maps of parts."""
    calls = []

    class Counted:
        def __init__(self, n_jobs, _):
            self.inner = ordered_map(n_jobs, np.inf)

        def __enter__(self):
            each = self.inner.__enter__()

            def counted(call, parts):
                calls.append(len(parts))
                return each(call, parts)

            return counted

        def __exit__(self, *told):
            return self.inner.__exit__(*told)

    monkeypatch.setattr(_regressor, "ordered_map", Counted)
    return calls


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_results_do_not_depend_on_the_number_of_threads(case, form, counted):
    options = {"epochs": 2, "tol": None, "random_state": 0} | CASES[case]
    outputs = options.pop("outputs", 1)
    X, y, weight = problem(outputs, ROWS // outputs)
    X = FORMS[form](X)
    found = []
    for n_jobs in (None, 2, 3):
        model = GradientDescentRegressor(**options, n_jobs=n_jobs).fit(X, y, weight)
        found.append(learned(model.partial_fit(X, y)))
    # Plain descent on sparse samples costs what a batch holds, and is not summed in parts.
    lazy = sparse.issparse(X) and options["solver"] in {"gd", "sgd"}
    assert (not counted) if lazy else set(counted) == {PARTS}
    for values in found[1:]:
        for value, alone in zip(values, found[0], strict=True):
            np.testing.assert_array_equal(value, alone)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("form", ["dense", "csr"])
@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum", "adam"])
def test_parts_add_up_to_the_whole(solver, form, n_jobs):
    X, y, weight = problem(2)
    X = X / X.std(axis=0)
    options = {"loss": "huber", "delta": 1.0, "batch_size": 50_000, "learning_rate": 0.01}
    model = GradientDescentRegressor(
        solver, **options, standardize=False, shuffle=False, average=False, tol=None, epochs=2, n_jobs=n_jobs
    )
    model.fit(FORMS[form](X), y, weight)
    loop = Descent(solver, 2, FEATURES, rate=0.01, batch_size=50_000, loss="huber", delta=1.0)
    for _ in range(2):
        loop.epoch(X, y, weight)
    assert_close(model.coef_, loop.a, 1e-10)
    assert_close(model.loss_curve_, loop.losses, 1e-10)


def test_small_batches_are_not_summed_in_parts(counted):
    X, y, _ = problem()
    for X_part, batch_size in ((X[:50_000], 50_000), (X, 50_000 - 1)):  # a million products, and no more
        model = GradientDescentRegressor("sgd", batch_size=batch_size, epochs=1, tol=None, random_state=0)
        model.fit(X_part, y[: len(X_part)])
    # Sixteen gradients of 100,000 would take longer than what the batch holds.
    wide = sparse.csr_array((np.ones(2**20), (np.arange(2**20) % 2**11, np.arange(2**20) % 100_000)))
    GradientDescentRegressor("adam", batch_size=2**11, epochs=1, tol=None).fit(wide, np.arange(2.0**11))
    assert not counted


# ------------------------------------------------------------------------------------------- interruption


class Stop(Exception):
    pass


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_is_raised_among_the_parts_leaves_a_model_as_it_was(method, fitted, error, n_jobs, monkeypatch):
    X, y, _ = problem()
    options = {"batch_size": 55_000, "epochs": 3, "random_state": 0, "tol": None, "n_jobs": n_jobs}
    model = GradientDescentRegressor("adam", **options)
    if fitted:
        model.fit(X[:100], y[:100])
    done: list[Any] = []
    before = pickle.dumps(model)

    class Raising:
        def __init__(self, n_jobs, _):
            self.inner = ordered_map(n_jobs, np.inf)

        def __enter__(self):
            each = self.inner.__enter__()

            def calls(call, parts):
                for part, answer in enumerate(each(call, parts)):
                    if len(done) >= 1 and part == 5:
                        raise error
                    yield answer
                done.append(1)

            return calls

        def __exit__(self, *told):
            return self.inner.__exit__(*told)

    monkeypatch.setattr(_regressor, "ordered_map", Raising)
    with pytest.raises(error):
        getattr(model, method)(X, y)
    assert done
    assert pickle.dumps(model) == before
    monkeypatch.undo()
    other = pickle.loads(before)
    for again in (model, other):
        getattr(again, method)(X, y)
    assert np.array_equal(model.coef_, other.coef_)


def engine(mapper):
    X, y, _ = problem()
    buffers = np.zeros((4, 1, FEATURES + 1))
    plan = _kernels.Plan(
        ROWS, nominal_batch=0, averaged_since=0.0, fit_intercept=True, averaging=False, shuffle=False,
        forgetting=0.0, loss_limit=1e300,
    )  # fmt: skip
    return _kernels.SampleEngine(
        make_samples(X, y[:, None].copy(), None),
        Coordinates.plain(FEATURES).record(),
        _kernels.Objective(0, np.ones(1), 0.5, 0.0, 0.0),
        _kernels.Rule(0, 0.01),
        plan, buffers, np.zeros(1), np.zeros(1, np.uint64), 0, 0.0, None, mapper,
    )  # fmt: skip


LATE = """
    import sys
    sys.path[:0] = sys.argv[1:]
    import numpy as np
    from test_threads import engine

    kept = []

    def interrupted(call, parts):
        kept.append(call)
        raise KeyboardInterrupt

    one = engine(interrupted)
    try:
        one.run()
    except KeyboardInterrupt:
        del one
    engine(map).run()  # over the memory of the first
    for part in range(16):
        kept[0](part)
    print("nothing came of it")
"""


@pytest.mark.slow
def test_a_part_that_is_called_too_late_does_nothing(request):
    """A thread may begin a part after Ctrl-C has ended the batch: its memory is gone by then."""
    command = [sys.executable, "-c", textwrap.dedent(LATE), str(request.path.parent)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stdout == "nothing came of it\n", ended.stderr


def test_what_a_map_raises_is_raised_and_an_engine_can_go_on():
    calls = []

    def once(call, parts):
        calls.append(call)
        if len(calls) == 2:
            raise Stop
        return map(call, parts)

    running = engine(once)
    first = running.run()
    with pytest.raises(Stop):
        running.run()
    assert running.t == 1
    assert engine(map).run() == first


# ------------------------------------------------------------------------------------------------ n_jobs


def workers(each: Any) -> int:
    """Threads of the pool whose map this is."""
    return int(each.__self__._max_workers)


def test_n_jobs_means_what_it_means_in_scikit_learn():
    with ordered_map(None, np.inf) as each:
        assert each is map
    with joblib.parallel_backend("threading", n_jobs=3), ordered_map(None, np.inf) as each:
        assert workers(each) == 3
        assert list(each(lambda i: i * i, range(7))) == [0, 1, 4, 9, 16, 25, 36]
    with ordered_map(-1, np.inf) as each:
        assert each is map or workers(each) == joblib.cpu_count()
