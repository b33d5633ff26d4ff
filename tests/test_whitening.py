"""White coordinates: the iterates of descent on whitened data, units, and streams."""

import pickle
from typing import Any

import numpy as np
import pytest
from cases import SOLVERS, rules_at
from reference import LOSSES, PLAIN, assert_close
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from sklearn_sgdopt import GradientDescentRegressor
from sklearn_sgdopt._coordinates import Coordinates
from sklearn_sgdopt._samples import make_samples
from sklearn_sgdopt._state import AVERAGE, FIRST, SECOND, SLOPE, State
from sklearn_sgdopt._statistics import Moments

RULES = rules_at(0.003, gd=0.2, sgd=0.02, adam=0.05)
RULES["adam"]["epsilon"] = 1e-4
ROWS = 96


def make(rule, **options):
    return GradientDescentRegressor(**RULES[rule] | {"epochs": 5, "tol": None, "random_state": 0} | options)


def raw(rows=ROWS, features=4, outputs=1, seed=0):
    """Correlated columns off centre and of unlike size, targets with mean zero, weights."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, features)) @ rng.standard_normal((features, features))
    X = X * np.geomspace(1e-3, 1e3, features) + np.linspace(-3.0, 8.0, features)
    weight = rng.uniform(0.2, 2.0, rows)
    y = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.standard_normal((features, outputs)) + 1.0
    y += 0.5 * rng.standard_normal((rows, outputs))
    return X, y[:, 0] if outputs == 1 else y, weight


def whitener(X, weight, *, intercept, rotated=False):
    """Return the center and W = S^-1 V L^-1/2 V', or without the last V'."""
    center = np.average(X, axis=0, weights=weight) * intercept
    spread = np.sqrt(np.average((X - center) ** 2, axis=0, weights=weight))
    Z = (X - center) / spread
    w = np.ones(len(X)) if weight is None else weight
    values, vectors = np.linalg.eigh((Z.T * w) @ Z / w.sum())
    root = vectors / np.sqrt(values)
    return center, (root if rotated else root @ vectors.T) / spread[:, None]


def assert_same(model, plain, X, white, relative=1e-8):
    assert (model.t_, model.n_iter_) == (plain.t_, plain.n_iter_)
    assert_close(model.predict(X), plain.predict(white), relative)
    assert_close(model.loss_curve_, plain.loss_curve_, relative)


# ---------------------------------------------------------------------------------------------- parity


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("batch_size", [1, 7, 32, ROWS])
@pytest.mark.parametrize("rule", ["gd", "sgd", "momentum", "nesterov"])
def test_descent_on_principal_components(rule, batch_size, average):
    """Which are those of another rotation: these rules do not see it."""
    X, y, _ = raw()
    y = y - y.mean()  # with standardize the intercept starts at the mean
    white = PCA(whiten=True).fit_transform(X) * np.sqrt(ROWS / (ROWS - 1.0))
    options = {"batch_size": batch_size, "average": average}
    model = make(rule, whiten=True, **options).fit(X, y)
    assert_same(model, make(rule, standardize=False, **options).fit(white, y), X, white)


CASES: dict[str, dict[str, Any]] = {
    "": {},
    "averages": {"average": True},
    "weights": {"weighted": True},
    "two outputs, weights": {"outputs": 2, "weighted": True, "average": True},
    "origin": {"fit_intercept": False},
    "origin, weights": {"fit_intercept": False, "weighted": True, "outputs": 2},
    "in order": {"shuffle": False, "weighted": True},
    "invscaling": {"schedule": "invscaling"},
    "cosine": {"schedule": "cosine", "average": False},
    **{loss: {"loss": loss, **LOSSES[loss]} for loss in LOSSES if loss != "squared_error"},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("batch_size", [1, 7, 32, ROWS])
@pytest.mark.parametrize("rule", RULES)
def test_descent_on_whitened_samples(rule, batch_size, case):
    options = {"average": False, "batch_size": batch_size} | CASES[case]
    X, y, weight = raw(outputs=options.pop("outputs", 1))
    weight = weight if options.pop("weighted", False) else None
    intercept = options.get("fit_intercept", True)
    center, W = whitener(X, weight, intercept=intercept, rotated=rule != "adam")
    white = (X - center) @ W
    start = {"coef_init": np.zeros((*y.shape[1:], 4)), "intercept_init": np.zeros(y.shape[1:] or 1)}
    model = make(rule, whiten=True, **options).fit(X, y, weight, **start)
    plain = make(rule, standardize=False, **options).fit(white, y, weight, **start)
    assert_same(model, plain, X, white)
    scale = X.std(axis=0)
    assert_close(model.coef_ * scale, plain.coef_ @ W.T * scale, 1e-8)


@pytest.mark.parametrize("batch_size", [1, 7, 32, ROWS])
@pytest.mark.parametrize("rule", RULES)
def test_descent_in_single_precision(rule, batch_size):
    X, y, _ = raw()
    y = y - y.mean()
    narrow = X.astype(np.float32)
    center, W = whitener(narrow.astype(np.float64), None, intercept=True)
    white = (narrow - center) @ W
    options = {"batch_size": batch_size, "average": True}
    model = make(rule, whiten=True, **options).fit(narrow, y)
    assert model.coef_.dtype == np.float32
    plain = make(rule, standardize=False, **options).fit(white, y)
    assert_same(model, plain, narrow, white, 1e-4)


@pytest.mark.parametrize("batch_size", [1, 7, ROWS])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_without_whitening_columns_are_scaled(rule, weighted, batch_size):
    X, y, weight = raw()
    weight = weight if weighted else None
    y = y - np.average(y, weights=weight)
    scaler = StandardScaler().fit(X, sample_weight=weight)
    options = {"batch_size": batch_size, "average": True}
    model = make(rule, whiten=False, **options).fit(X, y, weight)
    plain = make(rule, standardize=False, **options).fit(scaler.transform(X), y, weight)
    assert_same(model, plain, X, scaler.transform(X), 1e-10)
    assert_close(model.coef_ * scaler.scale_, plain.coef_, 1e-10)


# ------------------------------------------------------------------------------------- when, and when not


@pytest.mark.parametrize(("options", "form", "message"), [
    ({"whiten": True, "standardize": False}, np.asarray, "whiten=True needs standardize=True"),
    ({"whiten": True}, sparse.csr_array, "whiten=True needs dense X"),
    ({"whiten": True, "penalty": "l1"}, np.asarray, "whiten=True does not go with an l1 penalty"),
    ({"whiten": True, "penalty": "elasticnet"}, np.asarray, "whiten=True does not go with an l1 penalty"),
    ({"whiten": "yes"}, np.asarray, "'whiten'.*got 'yes'"),
    ({"whiten": 2}, np.asarray, "'whiten'.*got 2"),
    ({"whiten": None}, np.asarray, "'whiten'.*got None"),
])  # fmt: skip
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_whitening_is_refused(method, options, form, message):
    X, y, _ = raw()
    model = GradientDescentRegressor(**options)
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(model, method)(form(X), y)
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize(("form", "features", "options", "is_white"), [
    (np.asarray, 4, {}, True),
    (np.asarray, 256, {}, True),
    (np.asarray, 257, {}, False),
    (np.asarray, 4, {"penalty": "l2"}, True),
    (np.asarray, 4, {"penalty": "l1"}, False),
    (np.asarray, 4, {"penalty": "elasticnet"}, False),
    (sparse.csr_array, 4, {}, False),
    (np.asarray, 4, {"standardize": False}, False),
])  # fmt: skip
@pytest.mark.parametrize("solver", SOLVERS)
def test_what_auto_does(solver, form, features, options, is_white):
    X, y, _ = raw(features=features)
    X = form(X)
    rate = 1e-3 if options.get("standardize", True) and form is np.asarray else 1e-12
    options = options | {"epochs": 2, "tol": None, "random_state": 0, "learning_rate": rate}
    model = GradientDescentRegressor(solver, **options).fit(X, y)
    same, other = (
        GradientDescentRegressor(solver, whiten=white, **options) for white in (is_white, not is_white)
    )
    assert np.array_equal(model.coef_, same.fit(X, y).coef_)
    if is_white or (features == 257):
        assert not np.allclose(model.coef_, other.fit(X, y).coef_, rtol=1e-3, atol=0.0)


# ---------------------------------------------------------------------------------- what is learned


@pytest.mark.parametrize("solver", SOLVERS)
def test_constant_duplicate_and_collinear_columns(solver):
    X, y, _ = raw(300)
    Z = np.column_stack([X, X[:, 1], np.full(300, 7.0), X[:, 0] / X[:, 0].std() + X[:, 3] / X[:, 3].std()])
    with_all = GradientDescentRegressor(solver, random_state=0, batch_size=16).fit(Z, y)
    alone = GradientDescentRegressor(solver, random_state=0, batch_size=16).fit(X, y)
    assert with_all.coef_[5] == 0.0
    assert with_all.coef_[4] == pytest.approx(with_all.coef_[1], rel=1e-6)
    standard = np.column_stack([(X - X.mean(axis=0)) / X.std(axis=0), np.ones(300)])
    best = standard @ np.linalg.lstsq(standard, y, rcond=None)[0]
    for predicted in (with_all.predict(Z), alone.predict(X)):
        assert np.mean((predicted - best) ** 2) < (1e-20 if solver == "gd" else 1e-3) * y.var()


def collinear(rows=2000):
    """Two columns whose correlation has a condition number of 1e10; the targets are in their difference."""
    rng = np.random.default_rng(0)
    first, second, third = rng.standard_normal((3, rows))
    X = np.column_stack([first, first + 2e-5 * second, third])
    return X, second + third + 0.3 * rng.standard_normal(rows)


@pytest.mark.parametrize("batch_size", [1, 32, 256])
@pytest.mark.parametrize("solver", SOLVERS)
def test_collinear_columns_are_told_apart(solver, batch_size):
    X, y = collinear()
    Z = np.column_stack([X[:, 0], (X[:, 1] - X[:, 0]) * 5e4, X[:, 2], np.ones(len(y))])
    assert 1e9 < np.linalg.cond(np.corrcoef(X[:, :2].T)) < 1e11
    least = np.mean((y - Z @ np.linalg.lstsq(Z, y, rcond=None)[0]) ** 2)
    model = GradientDescentRegressor(solver, batch_size=batch_size, random_state=0).fit(X, y)
    assert np.mean((model.predict(X) - y) ** 2) <= 1.005 * least


@pytest.mark.parametrize("alpha", [1e-4, 1e-2, 1.0, 10.0])
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_optimum_under_an_l2_penalty_is_that_of_ridge(solver, alpha):
    X, y, _ = raw(500)
    scaler = StandardScaler().fit(X)
    ridge = Ridge(0.5 * len(y) * alpha, tol=1e-12).fit(scaler.transform(X), y)

    def objective(coef, intercept):
        r = scaler.transform(X) @ coef + intercept - y
        return np.mean(r**2) + 0.5 * alpha * coef @ coef

    # Until averages have left the noise behind.
    lasting = {} if solver == "gd" else {"epochs": 400, "tol": None}
    model = GradientDescentRegressor(solver, penalty="l2", alpha=alpha, random_state=0, **lasting).fit(X, y)
    if solver == "gd":
        assert_close(model.coef_ * scaler.scale_, ridge.coef_, 1e-4)
        assert_close(model.predict(X), ridge.predict(scaler.transform(X)), 1e-4)
    reached = objective(model.coef_ * scaler.scale_, model.intercept_ + model.coef_ @ scaler.mean_)
    assert reached <= (1.0 + 1e-4) * objective(ridge.coef_, ridge.intercept_)


UNITS = {
    "factors": lambda X, y: (X * np.array([1e6, 1e-6, 1e-6, 1e6]), y),
    "offsets": lambda X, y: (X + 1e6 * X.std(axis=0) * [1.0, -1.0, 1.0, -1.0], y),
    "small y": lambda X, y: (X, y * 1e-6),
    "large y": lambda X, y: (X, y * 1e6),
}


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_units_change_nothing(solver, loss, units):
    X, y, _ = raw(200)
    X = X / X.std(axis=0)
    told, target = UNITS[units](X, y)
    options = {"loss": loss, "random_state": 0}
    plain = GradientDescentRegressor(solver, **options).fit(X, y)
    model = GradientDescentRegressor(solver, **options).fit(told, target)
    assert model.n_iter_ == plain.n_iter_
    moved = model.predict(told) * (y.std() / target.std()) - plain.predict(X)
    assert np.max(np.abs(moved)) < 1e-6 * y.std()


# --------------------------------------------------------------------------------------------- streams


STREAMS: dict[str, dict[str, Any]] = {
    "": {},
    "origin": {"fit_intercept": False},
    "l2": {"penalty": "l2", "alpha": 0.1},
    "iterates": {"average": False},
    "huber": {"loss": "huber"},
    "scaled": {"whiten": False},
}


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_size", [1, 7, 32])
@pytest.mark.parametrize("case", STREAMS)
@pytest.mark.parametrize("solver", ["sgd", "momentum", "adam"])
def test_epochs_of_fit_are_calls_of_partial_fit(solver, case, batch_size, weighted, pickled):
    X, y, weight = raw(outputs=2)
    weight = weight if weighted else None
    options = STREAMS[case] | {"batch_size": batch_size, "tol": None, "random_state": 0}
    fitted = GradientDescentRegressor(solver, epochs=5, **options).fit(X, y, weight)
    stream = GradientDescentRegressor(solver, **options)
    for _ in range(5):
        stream.partial_fit(X, y, weight)
        if pickled:
            stream = pickle.loads(pickle.dumps(stream))
    for name in ("coef_", "intercept_", "loss_curve_", "learning_rate_", "t_", "n_iter_"):
        assert np.array_equal(getattr(stream, name), getattr(fitted, name)), name


@pytest.mark.parametrize("solver", ["sgd", "momentum", "adam"])
def test_a_chunk_of_other_samples_changes_coordinates_and_not_the_function(solver):
    X, y, _ = raw(300)
    options = {"random_state": 0, "learning_rate": 1e-3, "average": False}
    model = GradientDescentRegressor(solver, **options).partial_fit(X, y)
    before, old = model.predict(X), model._state.coordinates
    model.set_params(learning_rate=1e-300)
    spread = X.std(axis=0)
    other = X[::-1] + np.random.default_rng(1).standard_normal(X.shape) * spread + 0.5 * spread
    model.partial_fit(other, y)
    assert not np.allclose(model._state.coordinates.whitening, old.whitening, rtol=0.1)
    assert not np.allclose(model._state.coordinates.center, old.center, rtol=1e-3)
    assert_close(model.predict(X), before, 1e-12)


def coordinates(seed, *, white):
    """Coordinates of random samples whose last column but one is constant."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((30, 5)) @ rng.standard_normal((5, 5)) * rng.uniform(0.1, 10.0, 5)
    X[:, 3] = 2.0 * (seed % 2) * np.ones(30)
    moments = Moments.of(make_samples(X, X[:, :1].copy(), None), full=True)
    at = Coordinates.standard(moments, 5, intercept=True)
    if white:
        at = at.whitened(moments, intercept=True, l2=0.1 * (seed % 2), least=0.0)
    return at._replace(center=moments.mean[:5].copy())


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("new_white", [False, True])
@pytest.mark.parametrize("old_white", [False, True])
def test_new_coordinates_leave_functions_as_they_were(old_white, new_white, solver):
    rng = np.random.default_rng(0)
    old, new = coordinates(0, white=old_white), coordinates(1, white=new_white)
    state = State.start(2, 5, 0)
    state.coordinates, state.t = old, 3
    state.buffers[...] = rng.standard_normal(state.buffers.shape)
    gradient = rng.standard_normal((2, 5))  # in the data's units
    gradient[:, 3] = 0.0  # of a constant column

    def in_coordinates(at, g):
        scaled = g * at.scale[:-1]
        return scaled if at.whitening is None else scaled @ at.whitening

    if solver == "adam":
        state.buffers[FIRST, :, :-1] = in_coordinates(old, gradient)
        state.buffers[SECOND] **= 2
    before, X = state.buffers.copy(), rng.standard_normal((7, 5))

    def functions():
        rows = (SLOPE, AVERAGE, *([FIRST] if solver == "momentum" else []))
        at = state.coordinates.center
        return [(X - at) @ state.buffers[row, :, :-1].T + state.buffers[row, :, -1] for row in rows]

    expected = functions()
    state.move_to(new, solver=solver)
    assert state.coordinates is new
    assert_close(functions(), expected, 1e-13)  # momentum's velocity is a change of the function
    if solver != "adam":
        assert np.array_equal(state.buffers[:, :, :-1], before[:, :, :-1])
        return
    assert_close(state.buffers[FIRST, :, :-1], in_coordinates(new, gradient), 1e-10)
    assert np.array_equal(state.buffers[[FIRST, SECOND], :, -1], before[[FIRST, SECOND], :, -1])
    change = new.gradients_from(old)
    change = np.diag(change) if change.ndim == 1 else change
    # Squares of sums of gradients that are taken to be independent.
    assert_close(state.buffers[SECOND, :, :-1], before[SECOND, :, :-1] @ (change**2).T, 1e-12)
    assert np.all(state.buffers[SECOND] >= 0.0)
    assert_close(in_coordinates(old, gradient) @ change.T, in_coordinates(new, gradient), 1e-10)


def test_the_plain_setting_knows_no_coordinates():
    X, y, _ = raw()
    for whiten in ("auto", False):
        options = PLAIN | {"whiten": whiten, "learning_rate": 1e-8, "epochs": 2}
        model = GradientDescentRegressor("sgd", **options).fit(X, y)
        assert np.array_equal(model._state.coordinates.scale, np.ones(5))
        assert np.array_equal(model._state.coordinates.center, np.zeros(4))
