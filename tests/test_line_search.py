"""The rate that an update on all rows finds along its gradient: hand-written loops, and its laws."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_data import buildings, chunks, houses, weather
from reference import assert_close
from scipy import sparse
from sklearn.datasets import load_diabetes

from sklearn_sgdopt import GradientDescentRegressor
from sklearn_sgdopt._path import record_path

FORMS = {"dense": np.asarray, "csr": sparse.csr_array}
# The loss of a residual, its slope.
SMOOTH = {
    "squared_error": lambda r: (r**2, 2.0 * r),
    "huber": lambda r: (np.where(abs(r) < 1.5, r**2, 3.0 * abs(r) - 2.25), 2.0 * np.clip(r, -1.5, 1.5)),
    "squared_epsilon_insensitive": lambda r: (
        np.maximum(abs(r) - 1.5, 0.0) ** 2,
        2.0 * np.sign(r) * np.maximum(abs(r) - 1.5, 0.0),
    ),
}

RAW = {
    "diabetes": lambda: load_diabetes(return_X_y=True, scaled=False),
    "buildings": buildings,
    "houses": houses,
    "weather": weather,
}


def problem(outputs=2):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 4)) @ rng.normal(size=(4, 4)) * [1.0, 20.0, 0.1, 3.0]
    y = X @ rng.normal(size=(4, outputs)) / X.std(axis=0).sum() * 5 + rng.normal(size=(150, outputs))
    return X, y, rng.choice([0.0, 0.5, 1.0, 2.0], 150, p=[0.1, 0.3, 0.3, 0.3])


def descent(Z, y, weight, theta, loss, alpha, rate_of):
    """One step of descent in the coordinates Z, the last of which is the intercept's: loss, theta, rates."""
    s = weight[:, None] / weight.sum()
    values, slopes = SMOOTH[loss](Z @ theta.T - y)
    penalised = np.ones(Z.shape[1])
    penalised[-1] = 0.0
    gradient = (s * slopes).T @ Z + alpha * penalised * theta
    hessian = 2.0 * (Z * s).T @ Z + alpha * np.eye(Z.shape[1])
    rates = np.array([rate_of(g @ hessian @ g / (g @ g)) if g.any() else 0.0 for g in gradient])
    return np.sum(s * values) / y.shape[1], theta - rates[:, None] * gradient, rates


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("loss", SMOOTH)
@pytest.mark.parametrize("solver", ["gd", "sgd"])
def test_a_fit_is_the_formula(solver, loss, form, fit_intercept, alpha, weighted):
    """Nine tenths of the step to the least loss, rounded down to a power of the root of 2 over 1.02 L."""
    X, y, weight = problem()
    options = {"loss": loss, "delta": 1.5, "penalty": "l2", "alpha": alpha, "fit_intercept": fit_intercept}
    options |= {"standardize": False, "average": False, "batch_size": 150, "epochs": 15, "tol": None}
    model = GradientDescentRegressor(solver, **options)
    model.fit(FORMS[form](X), y, sample_weight=weight if weighted else None)
    steepest = 1.02 * (model._state.curvature.mean + alpha)

    def rounded(curvature):
        power = np.floor(2.0 * np.log2(0.9 * steepest / curvature))
        return 2.0 ** (power / 2.0) / steepest

    Z, theta = np.column_stack([X, np.full(150, float(fit_intercept))]), np.zeros((2, 5))
    losses = []
    for _ in range(15):
        value, theta, rates = descent(Z, y, weight if weighted else np.ones(150), theta, loss, alpha, rounded)
        losses.append(value)
    assert_close(model.loss_curve_, losses, 1e-9)
    assert_close(model.coef_, theta[:, :-1], 1e-8)
    assert_close(np.append(model.intercept_, 1.0), np.append(theta[:, -1], 1.0), 1e-8)
    assert_close(model.learning_rate_, rates, 1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("loss", SMOOTH)
@pytest.mark.parametrize("solver", ["gd", "sgd"])
def test_a_stream_is_the_formula(solver, loss, form, weighted):
    """1.4 times the step to the least loss of the chunk, with the curvature of single rows added."""
    X, y, weight = problem()
    options = {"loss": loss, "delta": 1.5, "standardize": False, "average": False, "batch_size": 50}
    model = GradientDescentRegressor(solver, **options)
    Z, theta = np.column_stack([X, np.ones(150)]), np.zeros((2, 5))
    parts = chunks(150, 50) if solver == "sgd" else [*chunks(150, 40), slice(1, 2)]
    for part in parts * 3:
        s = weight[part] if weighted else np.ones(len(y[part]))
        model.partial_fit(FORMS[form](X[part]), y[part], sample_weight=s if weighted else None)
        noise = model._state.curvature.largest / len(s)

        def with_noise(curvature, noise=noise):
            return 1.0 / (curvature / 1.4 + noise)

        value, theta, rates = descent(Z[part], y[part], s, theta, loss, 0.0, with_noise)
        assert_close(model.loss_curve_[-1], value, 1e-9)
        assert_close(model.coef_, theta[:, :-1], 1e-8)
        assert_close(model.learning_rate_ * (rates > 0.0), rates, 1e-10)


def test_a_chunk_shorter_than_a_batch_counts_less():
    """For "sgd", at a rate that does not hang on it."""
    X, y, _ = problem(outputs=1)
    X, y = np.vstack([X[:40], X[:40]]), np.concatenate([y[:40], y[:40]])
    steps = []
    for batch_size in (80, 81, 160):
        model = GradientDescentRegressor("sgd", batch_size=batch_size, standardize=False, average=False)
        steps.append(model.partial_fit(X, y).coef_ / model.learning_rate_)
    assert_close(steps[1], steps[0] * 80 / 81, 1e-12)
    assert_close(steps[2], steps[0] / 2, 1e-12)


@given(
    seed=st.integers(0, 2**32 - 1),
    loss=st.sampled_from(sorted(SMOOTH)),
    form=st.sampled_from(sorted(FORMS)),
    alpha=st.sampled_from([0.0, 0.1]),
    spread=st.floats(0.0, 6.0),
)
def test_the_objective_of_a_fit_never_rises(seed, loss, form, alpha, spread):
    rng = np.random.default_rng(seed)
    rows, features = rng.integers(2, 60), rng.integers(1, 12)
    X = rng.normal(size=(rows, features)) @ (rng.normal(size=(features, features)) + 0.3)
    X *= 10.0 ** rng.uniform(-spread, spread, features)
    y = rng.normal(size=rows) + rng.normal(size=features) @ X.T
    model = GradientDescentRegressor("gd", loss=loss, epochs=60, tol=None, penalty="l2", alpha=alpha)
    fitted, coef, _ = record_path(model, FORMS[form](X), y, max_updates=60)
    inverse = fitted._state.coordinates.inverse_scale[:-1]
    scaled = np.divide(coef[:-1, 0], inverse, out=np.zeros_like(coef[:-1, 0]), where=inverse > 0.0)
    objective = fitted.loss_curve_ + alpha / 2 * np.sum(scaled**2, axis=1)
    assert np.all(np.diff(objective) <= 1e-12 * objective[0])


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(1, 12), min_size=2, max_size=30),
    solver=st.sampled_from(["gd", "sgd"]),
    spread=st.floats(0.0, 3.0),
)
def test_no_stream_leads_away_from_what_fits_it(seed, sizes, solver, spread):
    """However unlike the chunks are: the distance to coefficients that fit all of them never grows."""
    rng = np.random.default_rng(seed)
    coef = rng.normal(size=5)
    model = GradientDescentRegressor(solver, standardize=False, fit_intercept=False, average=False)
    distance = np.linalg.norm(coef)
    for size in sizes:
        X = rng.normal(size=(size, 5)) * 10.0 ** rng.uniform(-spread, spread, 5) * (rng.random(5) < 0.5)
        model.partial_fit(X, X @ coef)
        now = np.linalg.norm(model.coef_ - coef)
        assert now <= distance * (1.0 + 1e-9)
        distance = now


@pytest.mark.compiled
@pytest.mark.parametrize("name", RAW)
def test_what_is_equal_on_paper_stays_equal(name):
    """Rows in another order round otherwise: steps that hang on every bit would part ways."""
    X, y = RAW[name]()
    order = np.random.default_rng(0).permutation(len(y))
    one, other = (GradientDescentRegressor("gd").fit(X[rows], y[rows]) for rows in (slice(None), order))
    assert one.n_iter_ == other.n_iter_
    assert_close(one.predict(X), other.predict(X), 1e-9)


@pytest.mark.compiled
def test_flat_directions_are_crossed_in_a_few_epochs():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    L = 2.0 * np.linalg.eigvalsh(np.corrcoef(X.T))[-1]
    searched = GradientDescentRegressor("gd").fit(X, y)
    fixed = GradientDescentRegressor("gd", learning_rate=1.5 / L).fit(X, y)
    assert searched.loss_curve_[-1] == pytest.approx(fixed.loss_curve_[-1], rel=1e-4)
    assert searched.n_iter_ < fixed.n_iter_ / 8


def nearly_collinear(part=1e-4):
    rng = np.random.default_rng(0)
    shared, own = rng.normal(size=(200, 3)), rng.normal(size=(200, 5))
    X = np.column_stack([shared, shared @ rng.normal(size=(3, 5)) + part * own])
    return X, shared.sum(axis=1) + own.sum(axis=1)


@pytest.mark.compiled
def test_what_two_thousand_updates_have_not_learned_gets_rates_of_all_lengths():
    X, y = nearly_collinear()
    steps = []
    for epochs in range(1997, 2005):
        model = GradientDescentRegressor("gd", epochs=epochs, tol=None).fit(X, y)
        steps.append(2.0 * np.log2(model.learning_rate_ * 1.02 * model._state.curvature.mean))
    off = np.abs(np.array(steps) - np.round(steps))
    assert np.all(off[:4] < 1e-9)
    assert np.all(off[4:] > 1e-9)


@pytest.mark.compiled
@pytest.mark.parametrize("part", [1.0, 1e-4], ids=["learned to rounding", "never learned"])
def test_a_search_goes_on_where_it_ended(part):
    X, y = nearly_collinear(part)
    straight = GradientDescentRegressor("gd", epochs=2500, tol=None).fit(X, y)
    model = GradientDescentRegressor("gd", tol=None, warm_start=True)
    for epochs in (700, 1500, 300):
        model = pickle.loads(pickle.dumps(model.set_params(epochs=epochs).fit(X, y)))
    assert model.loss_curve_ == straight.loss_curve_
    assert model.learning_rate_ == straight.learning_rate_
    np.testing.assert_array_equal(model.coef_, straight.coef_)


def test_along_a_gradient_that_is_rounding_the_rate_is_the_safe_one():
    X, y, _ = problem(outputs=1)
    model = GradientDescentRegressor("gd", epochs=2000, tol=None).fit(X, y)
    assert model.learning_rate_ == pytest.approx(1.0 / (1.02 * model._state.curvature.mean), rel=1e-12)


@pytest.mark.parametrize("options", [
    {"learning_rate": 1e-3}, {"schedule": "invscaling"}, {"schedule": "adaptive"}, {"schedule": "cosine"},
    {"loss": "quantile"}, {"penalty": "l1"}, {"penalty": "elasticnet"},
    {"solver": "sgd", "batch_size": 149, "shuffle": False}, {"solver": "momentum", "batch_size": 150},
], ids=str)  # fmt: skip
def test_who_else_keeps_the_rate_it_began_with(options):
    X, y, _ = problem(outputs=1)
    rates = [
        GradientDescentRegressor(**{"solver": "gd"} | options, epochs=epochs, tol=None)
        .fit(X, y)
        .learning_rate_
        for epochs in (1, 4)
    ]
    assert rates[0] == rates[1]
