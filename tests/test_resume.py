"""State that goes on: partial_fit, warm_start and pickles continue what fit began."""

import copy
import io
import pickle
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from cases import RULES
from reference import PLAIN, Descent, assert_close, make_problem
from scipy import sparse
from sklearn.base import clone

from sklearn_sgdopt import GradientDescentRegressor
from sklearn_sgdopt._training import FORGETTING

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": PLAIN | {"shuffle": True, "learning_rate": 0.01},
    "averaged": PLAIN | {"shuffle": True, "learning_rate": 0.01, "average": True},
    "invscaling": PLAIN | {"shuffle": True, "learning_rate": 0.05, "schedule": "invscaling"},
    "origin": PLAIN | {"shuffle": True, "learning_rate": 0.01, "fit_intercept": False},
    "penalised": PLAIN | {"shuffle": True, "learning_rate": 0.01, "penalty": "elasticnet", "alpha": 0.1},
    "default": {"tol": None, "average": True},
    "default-iterates": {"tol": None, "average": False},
    "default-huber": {"tol": None, "average": True, "loss": "huber"},
    "adaptive": {"tol": None, "average": False, "schedule": "adaptive", "n_iter_no_change": 2},
}


def through_pickle(model):
    return pickle.loads(pickle.dumps(model))


def through_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def make(rule, setting, **options):
    """Return an estimator whose settings mean the same to a stream and to a fit."""
    options = RULES[rule] | SETTINGS[setting] | {"random_state": 0} | options
    if rule == "gd":  # whose automatic rate depends on whether all rows are at hand
        options.setdefault("learning_rate", 0.1)
    return GradientDescentRegressor(**options)


BETWEEN = {
    "nothing": lambda model: model,
    "pickle": through_pickle,
    "joblib": through_joblib,
    "copy": copy.deepcopy,
}


def assert_identical(actual, expected):
    """Assert equality to the last bit, of what is reported and of what goes on."""
    for name in ("coef_", "intercept_", "loss_curve_", "learning_rate_", "t_", "n_iter_", "n_features_in_"):
        np.testing.assert_array_equal(
            getattr(actual, name), getattr(expected, name), err_msg=name, strict=True
        )


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("rule", RULES)
def test_epochs_of_fit_are_calls_of_partial_fit(rule, setting, between):
    X, y, weight = make_problem(100, outputs=2, seed=1)
    model = make(rule, setting, batch_size=16, epochs=6)
    fitted = clone(model).fit(X, y, sample_weight=weight)
    for _ in range(6):
        model = BETWEEN[between](model.partial_fit(X, y, sample_weight=weight))
    assert_identical(model, fitted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch_size", [1, 32, 100])
@pytest.mark.parametrize("rule", RULES)
def test_resumption_whatever_the_batch(rule, batch_size, dtype):
    X, y, _ = make_problem(100, seed=2)
    X = X.astype(dtype)
    model = GradientDescentRegressor(
        **RULES[rule],
        **SETTINGS["plain"],
        batch_size=batch_size,
        epochs=4,
        random_state=np.random.RandomState(0),
    )
    fitted = copy.deepcopy(model).fit(X, y)
    for _ in range(4):
        model = through_pickle(model.partial_fit(X, y))
    assert_identical(model, fitted)


@pytest.mark.parametrize(
    ("first", "second"), [("fit", "partial_fit"), ("partial_fit", "fit"), ("fit", "fit")]
)
@pytest.mark.parametrize("setting", ["plain", "default-iterates"])
@pytest.mark.parametrize("rule", RULES)
def test_warm_start_goes_on(rule, setting, first, second):
    X, y, _ = make_problem(100, seed=3)
    model = make(rule, setting, warm_start=True)
    straight = clone(model).set_params(epochs=7).fit(X, y)
    for method, epochs in ((first, 4), (second, 3)):
        if method == "fit":
            model.set_params(epochs=epochs).fit(X, y)
        else:
            for _ in range(epochs):
                model.partial_fit(X, y)
    assert_identical(model, straight)


@pytest.mark.parametrize("rule", RULES)
def test_fit_without_warm_start_begins_anew(rule):
    X, y, _ = make_problem(100, seed=4)
    model = GradientDescentRegressor(**RULES[rule], tol=None, epochs=3, random_state=0)
    once = clone(model).fit(X, y)
    twice = clone(model).fit(-2.0 * X[:, :2], y[::-1]).partial_fit(X[:, :2], y).fit(X, y)
    assert_identical(twice, once)


def test_names_of_an_earlier_frame_are_forgotten():
    X, y, _ = make_problem(100, seed=4)
    model = GradientDescentRegressor(tol=None, epochs=1).fit(pd.DataFrame(X, columns=[*"abcd"]), y)
    assert model.feature_names_in_.tolist() == [*"abcd"]
    assert not hasattr(model.fit(X[:, :3], y), "feature_names_in_")
    assert model.predict(X[:, :3]).shape == (100,)


@pytest.mark.parametrize("rule", RULES)
def test_a_clone_is_clean(rule):
    X, y, _ = make_problem(100, seed=5)
    model = GradientDescentRegressor(**RULES[rule], tol=None, epochs=3, random_state=0, warm_start=True).fit(
        X, y
    )
    cloned = clone(model)
    assert cloned.get_params() == model.get_params()
    assert set(vars(cloned)) == set(cloned.get_params())
    assert_identical(cloned.fit(X, y), GradientDescentRegressor(**model.get_params()).fit(X, y))


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_a_new_learning_rate_keeps_the_moments(rule, average):
    X, y, weight = make_problem(96, seed=6)
    options = PLAIN | {"average": average, "batch_size": 8}
    rates = [0.01, 0.004, 0.02]
    model = GradientDescentRegressor(**RULES[rule], **options)
    settings = {"nesterov": rule == "nesterov", "batch_size": 8}
    settings["forgetting"] = FORGETTING
    loop = Descent(RULES[rule]["solver"], 1, 4, rate=0.0, **settings)
    for rate in rates:
        model.set_params(learning_rate=rate)
        loop.rate = rate
        for _ in range(8):
            model.partial_fit(X, y, sample_weight=weight)
            loop.epoch(X, y, weight)
        assert model.learning_rate_ == rate
    coef, intercept = loop.average if average else (loop.a, loop.b)
    assert_close(model.coef_, coef[0])
    assert_close(model.intercept_, intercept[0])
    assert_close(model.loss_curve_, loop.losses)


@pytest.mark.parametrize("rule", RULES)
def test_chunks_go_on_with_moments_and_count(rule):
    X, y, _ = make_problem(96, outputs=2, seed=7)
    model = GradientDescentRegressor(**RULES[rule], **PLAIN, learning_rate=0.01, batch_size=10)
    loop = Descent(RULES[rule]["solver"], 2, 4, rate=0.01, batch_size=10, nesterov=rule == "nesterov")
    for _ in range(3):
        for rows in (slice(0, 32), slice(32, 33), slice(33, 96)):
            model.partial_fit(X[rows], y[rows])
            loop.epoch(X[rows], y[rows])
    assert (model.t_, model.n_iter_) == (loop.t, 9)
    assert_close(model.coef_, loop.a)
    assert_close(model.intercept_, loop.b)
    assert_close(model.loss_curve_, loop.losses)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_a_chunk_of_zero_weights_changes_nothing(rule, standardize):
    X, y, _ = make_problem(60, seed=8)
    model = GradientDescentRegressor(**RULES[rule], tol=None, standardize=standardize, random_state=0)
    model.partial_fit(X, y)
    before = joblib.hash(vars(model))
    assert model.partial_fit(X * 100.0, y - 50.0, sample_weight=np.zeros(60)) is model
    assert joblib.hash(vars(model)) == before
    # As the very first chunk it leaves the estimator unfitted.
    fresh = clone(model).partial_fit(X, y, sample_weight=np.zeros(60))
    assert not hasattr(fresh, "coef_")
    assert joblib.hash(vars(fresh.partial_fit(X, y))) == before


@pytest.mark.parametrize("rule", RULES)
def test_shuffling_follows_the_seed(rule):
    X, y, _ = make_problem(100, seed=9)

    def fit(seed):
        options = PLAIN | {"shuffle": True, "learning_rate": 0.01, "epochs": 2, "batch_size": 8}
        return GradientDescentRegressor(**RULES[rule], **options, random_state=seed).fit(X, y)

    assert_identical(fit(0), fit(0))
    assert np.array_equal(fit(0).coef_, fit(1).coef_) == (rule == "gd")
    kept = pickle.dumps(np.random.get_state())  # noqa: NPY002 - the global generator must stay untouched
    fit(2)
    assert pickle.dumps(np.random.get_state()) == kept  # noqa: NPY002


@pytest.mark.parametrize("rule", RULES)
def test_moving_statistics_do_not_move_the_function(rule):
    """New means and scales re-express the model; only the update itself changes its predictions."""
    X, y, _ = make_problem(64, seed=10)
    model = GradientDescentRegressor(**RULES[rule], learning_rate=1e-12, average=False, random_state=0)
    model.partial_fit(X, y).set_params(learning_rate=0.01)
    for _ in range(20):
        model.partial_fit(X, y)
    before = model.predict(X)
    model.set_params(learning_rate=1e-14).partial_fit(X * [10.0, 0.1, 1.0, 3.0] + 5.0, y)
    assert_close(model.predict(X), before, 1e-9)


@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum", "adam"])
def test_chunks_of_any_byte_order_are_the_same_numbers(solver):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 9, (40, 3)).astype(float)
    y = X @ [1.0, 2.0, 3.0]
    models = [GradientDescentRegressor(solver, random_state=0) for _ in range(2)]
    for _ in range(3):
        for model, order in zip(models, "<>", strict=True):
            model.partial_fit(X.astype(f"{order}f8"), y.astype(f"{order}f8"))
    np.testing.assert_array_equal(models[1].coef_, models[0].coef_)


def test_a_memory_mapped_model_goes_on(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    model = GradientDescentRegressor(random_state=0).partial_fit(X, y)
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r").partial_fit(X, y)
    np.testing.assert_array_equal(mapped.coef_, model.partial_fit(X, y).coef_)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize(("solver", "features"), [("sgd", 9), ("momentum", 9), ("gd", 200)])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["dense", "csr"])
def test_wide_and_sparse_rows_resume_to_the_last_bit(form, solver, features, standardize):
    rng = np.random.default_rng(0)
    X = form((rng.random((300, features)) < 0.4) * rng.standard_normal((300, features)))
    y = X @ rng.standard_normal(features)
    options = {"average": False, "random_state": 0, "learning_rate": 0.01, "standardize": standardize}
    whole = GradientDescentRegressor(solver, epochs=5, tol=None, **options).fit(X, y)
    parts = GradientDescentRegressor(solver, **options)
    for _ in range(5):
        parts.partial_fit(X, y)
    np.testing.assert_array_equal(parts.coef_, whole.coef_)
    np.testing.assert_array_equal(parts.loss_curve_, whole.loss_curve_)
