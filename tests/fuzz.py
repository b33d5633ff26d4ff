"""Random models, data and calls against a few laws: ``python -m tests.fuzz --minutes 5 [--seed 0]``.

Each case is drawn from its number alone: ``python -m tests.fuzz --case 17`` runs that one again.
"""

import argparse
import contextlib
import copy
import faulthandler
import io
import os
import pickle
import sys
import time
import warnings
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sklearn_sgdopt import GradientDescentRegressor

SOLVERS = ("gd", "sgd", "momentum", "adam")
EPS = float(np.finfo(np.float64).eps)
INTERRUPTED = "interrupted"
CHOICES = {
    "loss": ["squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive", "quantile"],
    "delta": ["auto", 0.5, 1e-3, 100.0, 1e200],
    "quantile": [0.5, 0.05, 0.9, 0.999],
    "penalty": [None, "l2", "l1", "elasticnet"],
    "alpha": [1e-4, 0.0, 0.1, 10.0, 1e6, 1e30],
    "l1_ratio": [0.15, 0.0, 1.0, 0.7],
    "batch_size": [32, 1, 7, 100, 10**6, 2**31 - 1],
    "learning_rate": ["auto", 1e-4, 0.01, 0.3, 3.0, 1e30, 1e-300],
    "schedule": ["constant", "invscaling", "cosine", "adaptive"],
    "power_t": [0.25, 0.0, 1.0, 50.0],
    "momentum": [0.9, 0.0, 0.5, 0.99, 0.99999],
    "nesterov": [False, True],
    "beta_1": [0.9, 0.0, 0.99],
    "beta_2": [0.999, 0.0, 0.9, 0.9999999],
    "epsilon": [1e-8, 1.0, 1e-300, 1e100],
    "standardize": [True, False],
    "whiten": ["auto", False, True],
    "fit_intercept": [True, False],
    "average": ["auto", True, False],
    "shuffle": [True, False],
    "tol": [1e-6, None, 0.0, 0.1],
    "n_iter_no_change": [5, 1, 100, 2**31 - 1],
    "early_stopping": [False, True],
    "validation_fraction": [0.1, 0.5, 0.999],
    "warm_start": [False, True],
    "n_jobs": [None, 2],
}


class Defect(AssertionError):
    """A law that does not hold."""


def pick(rng, values):
    return values[rng.integers(len(values))]


def make_parameters(rng):
    """Draw a third of the cases near the defaults, the rest anywhere."""
    share = pick(rng, [0.0, 0.1, 0.35])
    chosen = {name: pick(rng, values) for name, values in CHOICES.items() if rng.random() < share}
    if rng.random() < 0.6 or chosen.get("tol", 0) is None or chosen.get("schedule") == "adaptive":
        chosen["epochs"] = pick(rng, [1, 2, 3, 10, 40])
    return {"solver": pick(rng, SOLVERS), "random_state": int(rng.integers(1000)), **chosen}


def scales(rng, size):
    spread = pick(rng, [0.0, 0.0, 1.0, 3.0, 10.0])
    exponents = spread * rng.normal(size=size)
    if rng.random() < 0.15:
        exponents[rng.integers(size)] = pick(rng, [-300, -160, -45, -20, 20, 37, 75, 150])
    return 10.0**exponents


def make_data(rng):
    """Draw samples: scales, offsets, ties, tails, collinear and constant columns, weights with zeros."""
    n, d = pick(rng, [1, 2, 3, 10, 33, 64, 97, 200]), pick(rng, [1, 1, 2, 3, 5, 12, 40])
    if rng.random() < 0.02:
        d = 300
    outputs = pick(rng, [0, 0, 0, 1, 2, 3])
    X = rng.normal(size=(n, d))
    for j in range(d):
        kind = rng.random()
        if kind < 0.07:
            X[:, j] = rng.standard_t(1.1, size=n)
        elif kind < 0.14:
            X[:, j] = rng.random(n) < 0.1
        elif kind < 0.19:
            X[:, j] = pick(rng, [0.0, 1.0, 0.1])
        elif kind < 0.24:
            X[:, j] = X[:, 0]
        elif kind < 0.29:
            X[:, j] = X[:, : j + 1] @ rng.normal(size=j + 1) + 1e-9 * rng.normal(size=n)
    if rng.random() < 0.3:
        X += pick(rng, [1.0, 10.0, 1e3, 1e6, 1e9]) * rng.normal(size=d)
    X *= scales(rng, d)
    if rng.random() < 0.15:
        X[rng.random(X.shape) < 0.7] = 0.0
    signal = X / (np.abs(X).max(axis=0) + 1e-320) @ rng.normal(size=(d, max(outputs, 1)))
    y = signal + pick(rng, [0.0, 0.1, 3.0]) * rng.standard_t(pick(rng, [1.2, 30]), size=signal.shape)
    if rng.random() < 0.05:
        y[:] = y[0]
    y = (y + pick(rng, [0.0, 0.0, 10.0, 1e6])) * scales(rng, 1)
    y = y[:, 0] if outputs == 0 else y
    weight = None
    if rng.random() < 0.25:
        weight = rng.gamma(1.0, size=n) * (rng.random(n) < pick(rng, [1.0, 0.7, 0.2])) * scales(rng, 1)
    with np.errstate(over="ignore"):
        if rng.random() < 0.25:
            X = X.astype(np.float32)
    if rng.random() < 0.25:
        X = pick(rng, [sparse.csr_array, sparse.csr_matrix, sparse.csc_array])(X)
    return {"X": X, "y": y, "sample_weight": weight}


def part(data, rows):
    X = data["X"] if isinstance(data["X"], np.ndarray) else data["X"].tocsr()
    weight = data["sample_weight"]
    return {"X": X[rows], "y": data["y"][rows], "sample_weight": None if weight is None else weight[rows]}


def with_held_out(data, rng):
    half = part(data, slice(0, max(1, len(data["y"]) // 3)))
    return {**data, "X_val": half["X"], "y_val": half["y"]} if rng.random() < 0.2 else data


def spoiled(rng, data):
    """Return a call that must be refused: method, parameters, data, and what is wrong."""
    X, y = data["X"], data["y"]
    dense = X if isinstance(X, np.ndarray) else X.toarray()
    wide, sparse_rows = dense.astype(np.float64), sparse.csr_array(np.ones(dense.shape))
    sparse_rows.indices[-1] = dense.shape[1]
    overflowing, missing = np.vstack([wide, wide]), wide.copy()
    overflowing[: len(wide), 0], overflowing[len(wide) :, 0], missing[0, -1] = 1e200, -1e200, np.nan
    good = {"X": X, "y": y}
    return pick(rng, [
        (pick(rng, ["partial_fit", "fit"]), {}, {"X": missing, "y": y}, "NaN"),
        (
            "fit",
            {"standardize": True, "early_stopping": False},
            {"X": overflowing, "y": np.concatenate([y, y])},
            "squares that overflow",
        ),
        ("partial_fit", {"alpha": -1.0}, good, "alpha"),
        ("fit", {"n_iter_no_change": 10**30}, good, "n_iter_no_change"),
        ("partial_fit", {}, {"X": X, "y": y[:-1]}, "too few y"),
        (pick(rng, ["partial_fit", "fit"]), {}, {"X": sparse_rows, "y": y}, "malformed CSR"),
        ("partial_fit", {}, {"X": X, "y": np.full_like(y, np.inf)}, "infinite y"),
        ("fit", {}, {**good, "coef_init": np.ones(dense.shape[1] + 1)}, "coef_init"),
    ])  # fmt: skip


def make_calls(rng, data, parameters):
    """Draw a sequence of calls."""
    calls = []
    for _ in range(rng.integers(1, 6)):
        n = len(data["y"])
        start = rng.integers(n)
        chunk = part(data, slice(start, start + int(rng.integers(1, 40))))
        kind = rng.random()
        if kind < 0.3:
            calls.append(("fit", with_held_out(data, rng)))
        elif kind < 0.75:
            calls.append(("partial_fit", with_held_out(chunk, rng)))
        elif kind < 0.9:
            name = pick(rng, list(CHOICES))
            calls.append(("set_params", {name: pick(rng, CHOICES[name])}))
            if "epochs" not in parameters:
                calls.append(("set_params", {"epochs": 10}))
        elif kind < 0.95:
            calls.append(("clone", {}))
        else:
            calls.append(("warm", data))
    return [*calls, ("partial_fit", data)] if rng.random() < 0.5 else calls


class Raising(io.StringIO):
    """Output that is interrupted after so many lines, at which Ctrl-C might have been pressed."""

    def __init__(self, lines):
        super().__init__()
        self.lines = lines

    def write(self, text):
        self.lines -= 1
        if self.lines < 0:
            raise KeyboardInterrupt
        return len(text)


def call(model, method, arguments, told):
    """Make a call; note in ``told`` how it was refused, and of what it warned."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            getattr(model, method)(**arguments)
        except (ValueError, TypeError) as error:
            if len(str(error)) < 10:
                raise Defect(f"{method}: an error without a text: {error!r}") from error
            told.append(f"{type(error).__name__}: {error}")
        except Exception as error:
            raise Defect(f"{method} raised {type(error).__name__}: {error}") from error
    for warning in caught:
        if not issubclass(warning.category, ConvergenceWarning):
            raise Defect(f"{method} warned {warning.category.__name__}: {warning.message}")
        if model.learning_rate == "auto" and "diverged" in str(warning.message):
            raise Defect(f"{method} diverged at an automatic rate: {warning.message}")
    check_finite(model, method)


def check_finite(model, method):
    for name in (
        "coef_",
        "intercept_",
        "loss_curve_",
        "validation_curve_",
        "learning_rate_",
        "t_",
        "n_iter_",
    ):
        value = np.asarray(getattr(model, name, 0.0), dtype=np.float64)
        if not np.isfinite(value).all():
            raise Defect(f"after {method} {name} is not finite: {value.ravel()[:5]}")


def perform(parameters, calls, between=None):
    """Make calls on a new model, with ``between`` what must not matter; return the model and what it said."""
    told: list[Any] = []
    model = GradientDescentRegressor(**parameters)
    for number, (method, arguments) in enumerate(calls):
        if between is not None:
            model = between(model, number)
        if method == "clone":
            model = clone(model)
        elif method == "set_params":
            model.set_params(**arguments)
        elif method == "warm":
            before = model.warm_start
            call(model.set_params(warm_start=True), "fit", arguments, told)
            model.set_params(warm_start=before)
        else:
            call(model, method, arguments, told)
        if method == "fit" and hasattr(model, "coef_"):
            call(model, "predict", {"X": arguments["X"]}, told)
    return model, told


def assert_same(one, two, what, told):
    if told[0] != told[1]:
        raise Defect(f"{what}: refused differently: {told[0]} / {told[1]}")
    for name in (
        "coef_",
        "intercept_",
        "loss_curve_",
        "validation_curve_",
        "t_",
        "n_iter_",
        "learning_rate_",
    ):
        a, b = (np.asarray(getattr(model, name, np.nan)) for model in (one, two))
        if a.shape != b.shape or not np.array_equal(a, b, equal_nan=True):
            raise Defect(f"{what}: {name} is another: {a.ravel()[-3:]} / {b.ravel()[-3:]}")


# ------------------------------------------------------------------------------------------------- laws


def default_is_better_than_twice_the_constant(rng, data, parameters):
    parameters = {name: parameters[name] for name in ("solver", "random_state")}
    model, told = perform(parameters, [("fit", data)])
    if told or not hasattr(model, "coef_"):
        return
    X, y, weight = data["X"], np.asarray(data["y"]).reshape(len(data["y"]), -1), data["sample_weight"]
    weight = np.ones(len(y)) if weight is None else weight / weight.max()
    with np.errstate(all="ignore"):
        size = abs(X.astype(np.float64)).max(axis=0)
        size = size.toarray().ravel() if sparse.issparse(size) else np.asarray(size).ravel()
        coef = np.atleast_2d(model.coef_).astype(np.float64)
        predicted = X.astype(np.float64) @ coef.T + np.asarray(model.intercept_, dtype=np.float64)
        least = np.average((y - np.average(y, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
        loss = np.average((predicted.reshape(y.shape) - y) ** 2, axis=0, weights=weight)
        eps = np.finfo(model.coef_.dtype).eps
        rounding = (16 * eps * (np.abs(y).max(axis=0) + np.abs(coef) @ size)) ** 2 + 1e-290
        bad = ~(loss <= 2.0 * least + rounding)
    if bad.any():
        raise Defect(f"the default is worse than twice the constant: {loss} / {least} (rounding {rounding})")


def the_same_twice(rng, data, parameters):
    calls = make_calls(rng, data, parameters)
    runs = [perform(parameters, calls) for _ in range(2)]
    assert_same(runs[0][0], runs[1][0], "the same calls twice", (runs[0][1], runs[1][1]))


def a_pickle_changes_nothing(rng, data, parameters):
    calls = make_calls(rng, data, parameters)
    way = pick(rng, [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
    runs = [perform(parameters, calls), perform(parameters, calls, lambda model, _: way(model))]
    assert_same(runs[0][0], runs[1][0], "copies in between", (runs[0][1], runs[1][1]))


def a_refused_call_changes_nothing(rng, data, parameters):
    calls = make_calls(rng, data, parameters)
    refused = [spoiled(rng, data) for _ in calls]

    def between(model, number):
        method, changes, arguments, what = refused[number]
        told: list[Any] = []
        kept = model.get_params()
        call(model.set_params(**changes), method, arguments, told)
        if not told:
            raise Defect(f"{method} took what must be refused: {what}")
        return model.set_params(**kept)

    runs = [perform(parameters, calls), perform(parameters, calls, between)]
    assert_same(runs[0][0], runs[1][0], "refused calls in between", (runs[0][1], runs[1][1]))


def an_interrupted_call_changes_nothing(rng, data, parameters):
    calls, lines = make_calls(rng, data, parameters), int(rng.integers(3))
    method = pick(rng, ["fit", "partial_fit"])

    def between(model, number):
        model.set_params(verbose=1)
        with contextlib.suppress(KeyboardInterrupt), contextlib.redirect_stdout(Raising(lines)):
            fresh = copy.deepcopy(model)
            call(fresh, method, data, [])
            return model.set_params(verbose=0)  # it ended before
        with contextlib.suppress(KeyboardInterrupt), contextlib.redirect_stdout(Raising(lines)):
            call(model, method, data, [])
        return model.set_params(verbose=0)

    runs = [perform(parameters, calls), perform(parameters, calls, between)]
    assert_same(runs[0][0], runs[1][0], "interrupted calls in between", (runs[0][1], runs[1][1]))


def dense_is_sparse(rng, data, parameters):
    """In the same coordinates, at a given rate; too few epochs for rounding to grow."""
    parameters = {**parameters, "epochs": 3, "learning_rate": 0.01, "early_stopping": False}
    parameters["whiten"] = "auto"
    if parameters.get("loss") in {"quantile", "epsilon_insensitive"}:
        parameters["loss"] = "huber"  # near a kink rounding decides
    X = data["X"].toarray() if sparse.issparse(data["X"]) else data["X"]
    X = X.astype(np.float64)
    if rng.random() < 0.5:
        parameters["standardize"] = False
        with np.errstate(all="ignore"):
            X = np.nan_to_num(X / np.abs(X).max(axis=0), posinf=0.0, neginf=0.0)
    else:
        parameters |= {"whiten": False, "standardize": True}
        with np.errstate(all="ignore"):
            X = X / np.abs(X).max(axis=0)
            X = np.nan_to_num(
                X - np.average(X, axis=0, weights=data["sample_weight"])
                if data["sample_weight"] is None or data["sample_weight"].any()
                else X,
                posinf=0.0,
                neginf=0.0,
            )
        X[:, X.std(axis=0) < 1e-6] = 0.0
    runs = [perform(parameters, [("fit", {**data, "X": form(X)})]) for form in (np.asarray, sparse.csr_array)]
    if runs[0][1] != runs[1][1]:
        raise Defect(f"dense and sparse are refused differently: {runs[0][1]} / {runs[1][1]}")
    if runs[0][1]:
        return
    one, other = (np.array(model.loss_curve_) for model, _ in runs)
    if any(curve[-1] > 2.0 * curve[0] for curve in (one, other)):
        return  # what diverges has rounding grow with it
    if len(one) == len(other) < 3:  # the last one diverged, and dense ones are seen later
        one, other = one[:-1], other[:-1]
    rounding = EPS * np.abs(data["y"]).max()
    if len(one) != len(other) or not np.allclose(one, other, rtol=1e-5, atol=rounding):
        raise Defect(f"dense and sparse differ: {one}, {other}")


LAWS = (
    default_is_better_than_twice_the_constant,
    the_same_twice,
    a_pickle_changes_nothing,
    a_refused_call_changes_nothing,
    an_interrupted_call_changes_nothing,
    dense_is_sparse,
)


def check(number):
    """Run the case of this number; raise a `Defect` where a law does not hold."""
    rng = np.random.default_rng(number)
    law, data, parameters = pick(rng, LAWS), make_data(rng), make_parameters(rng)
    try:
        law(rng, data, parameters)
    except Defect as defect:
        X = data["X"]
        raise Defect(
            f"case {number}, {law.__name__}: {defect}\n  {parameters}, X {type(X).__name__} {X.shape} "
            f"{X.dtype}, y {data['y'].shape}, weights {data['sample_weight'] is not None}"
        ) from defect


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument(
        "--seed", type=int, default=0, help="number of the first case, in thousands of millions"
    )
    parser.add_argument("--case", type=int, help="run this case alone")
    parser.add_argument("--most", type=int, default=10**9, help="cases at most")
    options = parser.parse_args()
    if options.case is not None:
        return check(options.case)
    defects, end, first = 0, time.monotonic() + 60.0 * options.minutes, options.seed * 10**9
    number = first
    while time.monotonic() < end and number < first + options.most:
        faulthandler.dump_traceback_later(120, exit=False)
        started = time.monotonic()
        try:
            check(number)
        except Exception as defect:
            defects += 1
            print(f"{type(defect).__name__}: {defect}", flush=True)
        if time.monotonic() - started > 10.0:
            print(f"case {number} took {time.monotonic() - started:.0f} s", flush=True)
        number += 1
    print(f"{number - first} cases, {defects} defects", flush=True)
    sys.exit(defects > 0)


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
