"""A call changes the model at its end, or not at all."""

import pickle
import subprocess
import sys
import textwrap
import threading
from typing import Any

import numpy as np
import pytest
from cases import SOLVERS
from scipy import sparse

from sklearn_sgdopt import GradientDescentRegressor

pytestmark = pytest.mark.filterwarnings("ignore:The loss was still falling")  # a few epochs are enough here


def problem(n=60, d=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X @ np.arange(1.0, d + 1) + 0.1 * rng.normal(size=n)


X, Y = problem()


def make(solver="adam", **options):
    return GradientDescentRegressor(solver, **{"random_state": 0, **options})


def assert_goes_on_alike(model, other, *, chunks=3):
    """Whether two models are the same: by what they are, and by training on."""
    for _ in range(chunks):
        for name in ("coef_", "intercept_", "loss_curve_", "t_", "learning_rate_"):
            np.testing.assert_array_equal(getattr(model, name), getattr(other, name), err_msg=name)
        model.partial_fit(X[:31], Y[:31])
        other.partial_fit(X[:31], Y[:31])


# --------------------------------------------------------------------------------------------- 3: Ctrl-C

INTERRUPTED = """
    import _thread, pickle, threading, warnings
    import numpy as np
    from scipy import sparse
    from sklearn_sgdopt import GradientDescentRegressor

    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 20))
    y = X @ rng.normal(size=20) + rng.normal(size=20_000)
    held_out = {"X_val": X[:50], "y_val": y[:50]}
    for options, rows, more in [
        ({"solver": "gd"}, X, {}),
        ({"solver": "gd"}, X, held_out),
        ({"solver": "gd", "loss": "huber"}, X, {}),
        ({"solver": "gd", "loss": "huber", "n_jobs": 2}, X, {}),
        ({"solver": "adam"}, sparse.csr_array(X), {}),
        ({"solver": "adam", "penalty": "l1"}, X, held_out),
        ({"solver": "sgd", "batch_size": 1}, X, {}),
        ({"solver": "momentum", "loss": "quantile"}, X, {}),
    ]:
        options = {"tol": None, "random_state": 0, "warm_start": True, **options}
        models = [GradientDescentRegressor(epochs=2, **options).fit(rows, y) for _ in range(2)]
        model = models[0].set_params(epochs=10_000_000)
        ended = threading.Event()

        def press():
            wait = 0.2
            while not ended.wait(wait):
                _thread.interrupt_main()
                wait = 10.0  # Python drops one that comes while it cleans up

        threading.Thread(target=press).start()
        try:
            model.fit(rows, y, **more)
        except KeyboardInterrupt:
            ended.set()
            model.set_params(epochs=2)
            states = [pickle.dumps(each) for each in models]
            trained = [each.partial_fit(rows[:500], y[:500]).coef_.tobytes() for each in models]
            print(model.n_iter_, states[0] == states[1], trained[0] == trained[1])
"""


@pytest.mark.slow
def test_an_interrupted_fit_changes_nothing():
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(INTERRUPTED)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.stdout.split("\n") == [*["3 True True"] * 8, ""], run.stderr


# ------------------------------------------------------------------------------ 4: exceptions in callbacks


class Broken:
    """A callback that fails at one of its hooks, in the task of an epoch or of the fit."""

    def __init__(self, hook, number):
        self.hook, self.left = hook, number

    def _meet(self, hook):
        if hook == self.hook:
            self.left -= 1
            if self.left == 0:
                raise RuntimeError("broken on purpose")

    def setup(self, estimator, context):
        self._meet("setup")

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self._meet("begin")

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self._meet("end")


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("hook", "number"), [("setup", 1), ("begin", 1), ("begin", 2), ("end", 1), ("end", 2)]
)
def test_an_exception_in_a_callback_changes_nothing(solver, method, hook, number):
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
    models = [make(solver, epochs=3, tol=None, warm_start=True).partial_fit(X, Y) for _ in range(2)]
    model, other = models
    with pytest.raises(RuntimeError, match="on purpose"):
        getattr(model.set_callbacks(Broken(hook, number)), method)(X[:40], Y[:40])
    model.set_callbacks()
    for each in models:
        getattr(each, method)(X[:40], Y[:40])  # a retry counts the chunk once
    assert_goes_on_alike(model, other)


# ---------------------------------------------------------------------------- 5: predict beside partial_fit


@pytest.fixture
def nimble():
    """Let threads take turns as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("nimble")
def test_predict_beside_partial_fit_never_mixes_two_models():
    model = make("sgd", learning_rate=0.3).partial_fit(X, Y)
    sample = X[:1]
    published, predicted, done = [(model.coef_, model.intercept_)], [], threading.Event()

    def read():
        while not done.is_set():
            predicted.append(float(model.predict(sample)[0]))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for shift in range(400):
            model.partial_fit(X[:4], Y[:4] + 100.0 * shift)
            published.append((model.coef_, model.intercept_))
    finally:
        done.set()
        reader.join()
    expected = {float((sample @ coef.T + intercept)[0]) for coef, intercept in published}
    assert predicted
    assert set(predicted) <= expected


# ---------------------------------------------------------------------- 7: refused calls that change nothing

OVERFLOWING = np.vstack([1e200 * X[:2], X])
REFUSED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "another alpha and X that overflows": (
        "partial_fit",
        {"alpha": 0.5},
        {"X": OVERFLOWING, "y": np.ones(62)},
    ),
    "another rate and X that overflows": (
        "fit",
        {"learning_rate": 0.5},
        {"X": OVERFLOWING, "y": np.ones(62)},
    ),
    "huge epochs": ("fit", {"epochs": 2**62}, {"X": X, "y": Y}),
    "huge patience": ("partial_fit", {"n_iter_no_change": 10**30}, {"X": X, "y": Y}),
    "huge batches": ("partial_fit", {"batch_size": 10**30}, {"X": X, "y": Y}),
    "huge alpha": ("partial_fit", {"alpha": 10**400}, {"X": X, "y": Y}),
    "whitening of sparse samples": ("partial_fit", {"whiten": True}, {"X": sparse.csr_array(X), "y": Y}),
    "a start that overflows": ("fit", {"warm_start": True}, {"X": X, "y": Y, "coef_init": np.full(3, 1e200)}),
    "held-out samples that overflow": ("fit", {}, {"X": X, "y": Y, "X_val": 1e200 * X, "y_val": Y}),
}


@pytest.mark.parametrize("seed", [int, np.random.RandomState])
@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_refused_call_changes_nothing(solver, case, seed):
    options = {"schedule": "adaptive", "n_iter_no_change": 1, "tol": 0.01}
    models = [make(solver, random_state=seed(0), **options) for _ in range(2)]
    for model in models:
        for _ in range(4):
            model.partial_fit(X, Y)
    method, changes, data = REFUSED[case]
    kept = models[0].get_params()
    with pytest.raises(ValueError, match=r"\w"):
        getattr(models[0].set_params(**changes), method)(**data)
    models[0].set_params(**kept)
    assert_goes_on_alike(*models)
    for model in models:
        model.set_params(epochs=2).fit(X, Y)
    assert_goes_on_alike(*models, chunks=1)


# ------------------------------------------------------------------------------------ 12: plain data


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("solver", SOLVERS)
def test_skops_trusts_one_public_type_at_most(solver, outputs):
    io = pytest.importorskip("skops.io")
    rows = np.column_stack([Y] * outputs) if outputs > 1 else Y
    model = make(solver, loss="huber", schedule="adaptive").partial_fit(X, rows, X_val=X, y_val=rows)
    data = io.dumps(model)
    types = io.get_untrusted_types(data=data)
    assert len(types) <= 1
    assert all(
        not part.startswith("_") or part.startswith("__") for name in types for part in name.split(".")[:1]
    )
    loaded = io.loads(data, trusted=types)
    for each in (model, loaded):
        each.partial_fit(X[:20], rows[:20])
    np.testing.assert_array_equal(model.coef_, loaded.coef_)


def plain(value):
    """Whether a value is made of numbers, text, arrays and containers of them."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(each) for key, each in value.items())
    if isinstance(value, list | tuple):
        return all(map(plain, value))
    return (
        value is None or isinstance(value, bool | int | float | str | np.generic) or type(value) is np.ndarray
    )


def test_the_state_is_plain_data():
    model = make(loss="huber", schedule="adaptive").fit(X, Y, X_val=X, y_val=Y)
    assert plain(model.__getstate__())


@pytest.mark.parametrize(("version", "named"), [(99, "99"), (None, "None"), ("0.1", "0.1")])
def test_a_state_of_another_version_is_named(version, named):
    model = make().fit(X, Y)
    state = model.__getstate__()
    state["_state"] = {**state["_state"], "version": version}
    with pytest.raises(ValueError, match=rf"version {named}\b.*version 1\b.*fit it anew"):
        make().__setstate__(state)
    broken = model.__getstate__()
    del broken["_state"]["moments"]
    with pytest.raises(ValueError, match=r"moments.*fit it anew"):
        make().__setstate__(broken)


# ------------------------------------------------------------------- processes and threads with own models

PROGRAM = """
    import hashlib, os, threading
    import numpy as np
    from sklearn_sgdopt import GradientDescentRegressor

    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 8)); y = X @ np.arange(8.0) + rng.normal(size=2000)

    def result(solver="adam"):
        model = GradientDescentRegressor(solver, epochs=5, random_state=0).fit(X, y).partial_fit(X, y)
        return hashlib.sha256(model.coef_.tobytes()).hexdigest()
"""
FORKED = """
    first = result()
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, result().encode())
        os._exit(0)
    os.wait()
    print(first, os.read(reading, 64).decode(), result())
"""


def run_program(more):
    code = textwrap.dedent(PROGRAM) + textwrap.dedent(more)
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_processes_at_once_and_a_fork_agree_to_the_last_bit():
    processes = [run_program(FORKED if i == 0 else "print(result())") for i in range(8)]
    answers = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [len(answer) for answer in answers] == [3, *[1] * 7]
    assert len({text for answer in answers for text in answer}) == 1


def test_threads_with_their_own_models_agree_to_the_last_bit():
    rows, y = problem(2000, 8)

    def result(number, results):
        model = make(SOLVERS[number % 4], epochs=5).fit(rows, y).partial_fit(rows, y)
        results[number] = pickle.dumps(model)

    alone: dict[Any, Any] = {}
    together: dict[Any, Any] = {}
    for number in range(8):
        result(number, alone)
    threads = [threading.Thread(target=result, args=(number, together)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert alone == together
