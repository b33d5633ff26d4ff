"""Where training ends: the optima that other solvers find, for each loss, penalty and schedule."""

import functools

import numpy as np
import pytest
from reference import assert_close, loss_and_slope, make_problem
from scipy.optimize import linprog, minimize
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import (
    ElasticNet,
    HuberRegressor,
    Lasso,
    LinearRegression,
    QuantileRegressor,
    Ridge,
)
from sklearn.svm import LinearSVR

from sklearn_sgdopt import GradientDescentRegressor

WHOLE = 1_000_000  # more rows than there are: every batch holds all
EXACT = {
    "gd": {"solver": "gd", "epochs": 20_000},
    "sgd": {"solver": "sgd", "batch_size": WHOLE, "epochs": 20_000},
    "momentum": {"solver": "momentum", "batch_size": WHOLE, "epochs": 5000},
    "nesterov": {"solver": "momentum", "nesterov": True, "batch_size": WHOLE, "epochs": 5000},
    "adam": {"solver": "adam", "batch_size": WHOLE, "epochs": 5000},
}
NOISY = {
    f"{solver}-batches": {"solver": solver, "epochs": 1000, "schedule": "cosine"}
    for solver in ("sgd", "momentum", "adam")
}
ALL = EXACT | NOISY


@functools.cache
def data(name):
    """Raw features, their standardised form, and targets."""
    if name == "diabetes":
        X, y = load_diabetes(return_X_y=True, scaled=False)
    else:
        rng = np.random.default_rng(0)
        X = (
            rng.normal(size=(300, 8))
            @ (np.eye(8) + 0.2 * rng.normal(size=(8, 8)))
            * np.geomspace(0.01, 1e3, 8)
            + 7.0
        )
        Z = (X - X.mean(axis=0)) / X.std(axis=0)
        y = Z @ [4.0, -3.0, 2.0, 0.0, 0.0, 1.0, 0.5, 0.0] + rng.standard_t(3, 300) + 20.0
    return X, (X - X.mean(axis=0)) / X.std(axis=0), y


def train(X, y, settings, **options):
    return GradientDescentRegressor(
        **{"tol": None, "average": False, "random_state": 0} | settings | options
    ).fit(X, y)


def objective(slopes, predicted, y, *, loss="squared_error", delta=1.0, quantile=0.5, l1=0.0, l2=0.0):
    """Return the documented objective; ``slopes`` are those of standardised features."""
    value, _ = loss_and_slope(loss, predicted - y, delta, quantile)
    return value.mean() + l1 * np.abs(slopes).sum() + l2 / 2 * slopes @ slopes


def assert_optimal(model, reference, X, y, **terms):
    """Assert that coefficients agree to 1e-3, or the objectives to 1e-5.

    ``reference`` are slopes of standardised features and the predictions that they make.
    """
    spread = X.std(axis=0) if model.standardize else 1.0
    best, predicted = reference
    slopes = model.coef_ * spread
    reached = objective(slopes, model.predict(X), y, **terms)
    least = objective(best, predicted, y, **terms)
    assert reached >= least * (1 - 1e-6)  # or the reference is no optimum
    close = np.max(np.abs(slopes - best)) <= 1e-3 * np.max(np.abs(best))
    assert close or reached <= least * (1 + 1e-5)


# Mean squared error is twice the loss of Lasso and ElasticNet, and 1 / n of Ridge's.
PENALTIES = {
    "none": ({}, 0.0, 0.0, lambda n: LinearRegression()),
    "l2": ({"penalty": "l2", "alpha": 0.8}, 0.0, 0.8, lambda n: Ridge(alpha=0.4 * n, tol=1e-12)),
    "l1": ({"penalty": "l1", "alpha": 0.9}, 0.9, 0.0, lambda n: Lasso(alpha=0.45, tol=1e-12, max_iter=10**5)),
    "elasticnet": (
        {"penalty": "elasticnet", "alpha": 1.5, "l1_ratio": 0.4}, 0.6, 0.9,
        lambda n: ElasticNet(alpha=0.75, l1_ratio=0.4, tol=1e-12, max_iter=100_000),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ["diabetes", "synthetic"])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("setting", ALL)
def test_penalised_least_squares(setting, penalty, name):
    X, Z, y = data(name)
    options, l1, l2, make = PENALTIES[penalty]
    reference = make(len(y)).fit(Z, y)
    model = train(X, y, ALL[setting], **options)
    assert_optimal(model, (reference.coef_, reference.predict(Z)), X, y, l1=l1, l2=l2)
    if setting in EXACT:
        assert_close(model.coef_ * X.std(axis=0), reference.coef_, 1e-3)
        assert np.array_equal(model.coef_ == 0.0, reference.coef_ == 0.0)
        if penalty == "l1":
            assert 0 < np.sum(model.coef_ == 0.0) < X.shape[1]


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize("setting", ["gd", "momentum", "adam"])
def test_penalties_without_standardisation_or_intercept(setting, penalty):
    X, y, _ = make_problem(200, seed=3)
    options, l1, l2, make = PENALTIES[penalty]
    reference = make(200).set_params(fit_intercept=False).fit(X, y)
    model = train(X, y, EXACT[setting], **options, standardize=False, fit_intercept=False)
    assert model.intercept_ == 0.0
    assert_optimal(model, (reference.coef_, reference.predict(X)), X, y, l1=l1, l2=l2)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
@pytest.mark.parametrize("batch_size", [1, 32])
@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum", "adam"])
def test_default_fits_have_the_zeros_of_lasso(solver, batch_size, alpha):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 50)) * rng.uniform(0.1, 10.0, 50) + 3.0
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    y = Z[:, :10] @ np.geomspace(3.0, 0.1, 10) + 5.0 * rng.normal(size=2000)
    lasso = Lasso(alpha=alpha / 2).fit(Z, y)
    model = GradientDescentRegressor(solver, penalty="l1", alpha=alpha, batch_size=batch_size, random_state=0)
    coef = model.fit(X, y).coef_ * X.std(axis=0)
    assert np.abs(coef - lasso.coef_).max() <= 0.01
    assert np.sum((coef == 0.0) != (lasso.coef_ == 0.0)) <= 1
    assert np.sum(lasso.coef_ == 0.0) > 25


@pytest.mark.parametrize("setting", EXACT)
def test_a_strong_l1_penalty_leaves_the_mean(setting):
    X, _, y = data("diabetes")
    model = train(X, y, EXACT[setting], penalty="l1", alpha=1e4, epochs=500)
    assert np.array_equal(model.coef_, np.zeros(10))
    assert model.intercept_ == pytest.approx(y.mean(), rel=1e-9)


# ------------------------------------------------------------------------------------------ other losses


def smooth_optimum(Z, y, loss, delta):
    """Minimise a smooth loss by a quasi-Newton method."""

    def value_and_gradient(p):
        value, slope = loss_and_slope(loss, Z @ p[:-1] + p[-1] - y, delta, 0.5)
        return value.mean(), np.append(slope @ Z, slope.sum()) / len(y)

    start = np.append(np.zeros(Z.shape[1]), np.median(y))
    p = minimize(value_and_gradient, start, jac=True, method="BFGS", options={"gtol": 1e-7}).x
    return p[:-1], Z @ p[:-1] + p[-1]


def insensitive_optimum(Z, y, delta):
    """Minimise the epsilon-insensitive loss as a linear programme in slopes, intercept and excesses."""
    n, width = len(y), Z.shape[1] + 1
    ones = np.column_stack([Z, np.ones(n)])
    bounds = [(None, None)] * width + [(0, None)] * n
    A = np.block([[ones, -np.eye(n)], [-ones, -np.eye(n)]])
    cost = np.append(np.zeros(width), np.full(n, 1 / n))
    p = linprog(cost, A_ub=A, b_ub=np.concatenate([y + delta, delta - y]), bounds=bounds).x[:width]
    return p[:-1], ones @ p


def quantile_optimum(Z, y, quantile, alpha=0.0):
    reference = QuantileRegressor(quantile=quantile, alpha=alpha, solver="highs").fit(Z, y)
    return reference.coef_, reference.predict(Z)


def optimum(terms, Z, y):
    if terms["loss"] == "quantile":
        return quantile_optimum(Z, y, terms["quantile"])
    if terms["loss"] == "epsilon_insensitive":
        return insensitive_optimum(Z, y, terms["delta"])
    return smooth_optimum(Z, y, terms["loss"], terms["delta"])


SMOOTH = [{"loss": "huber", "delta": 0.5}, {"loss": "squared_epsilon_insensitive", "delta": 0.3}]
# No curvature: only a rate that falls to zero ends at the optimum.
KINKED = [
    {"loss": "epsilon_insensitive", "delta": 0.3}, {"loss": "quantile", "quantile": 0.5},
    {"loss": "quantile", "quantile": 0.85},
]  # fmt: skip


def in_units_of(y, terms):
    scale = np.median(np.abs(y - np.median(y)))
    return terms | ({"delta": terms["delta"] * scale} if "delta" in terms else {})


@pytest.mark.parametrize("name", ["diabetes", "synthetic"])
@pytest.mark.parametrize("terms", SMOOTH, ids=lambda terms: terms["loss"])
@pytest.mark.parametrize("setting", ALL)
def test_smooth_losses(setting, terms, name):
    X, Z, y = data(name)
    terms = in_units_of(y, terms)
    assert_optimal(train(X, y, ALL[setting], **terms), optimum(terms, Z, y), X, y, **terms)


@pytest.mark.parametrize("name", ["diabetes", "synthetic"])
@pytest.mark.parametrize("terms", KINKED, ids=lambda terms: "-".join(str(term) for term in terms.values()))
@pytest.mark.parametrize("setting", EXACT)
def test_losses_with_kinks(setting, terms, name):
    X, Z, y = data(name)
    terms = in_units_of(y, terms)
    rate = {} if setting != "adam" else {"learning_rate": 0.02 * y.std()}
    model = train(X, y, EXACT[setting], **terms, **rate, schedule="cosine", epochs=20_000)
    assert_optimal(model, optimum(terms, Z, y), X, y, **terms)


@pytest.mark.parametrize("setting", ["gd", "momentum", "adam"])
def test_huber_regressor_at_its_scale(setting):
    """HuberRegressor finds a scale as well; at that scale its coefficients are those of plain huber."""
    X, Z, y = data("synthetic")
    reference = HuberRegressor(epsilon=1.5, alpha=0.0, tol=1e-9, max_iter=10_000).fit(Z, y)
    model = train(X, y, EXACT[setting], loss="huber", delta=1.5 * reference.scale_)
    assert_close(model.coef_ * X.std(axis=0), reference.coef_, 1e-3)
    assert model.predict(X) == pytest.approx(reference.predict(Z), rel=1e-3)


@pytest.mark.parametrize("setting", ["gd", "momentum", "nesterov", "adam"])
@pytest.mark.parametrize("loss", ["epsilon_insensitive", "squared_epsilon_insensitive"])
def test_linear_svr(loss, setting):
    """Minimises |a|^2 / 2 + C times the sum of losses; liblinear would penalise an intercept."""
    _, Z, y = data("synthetic")
    y = y - y.mean()
    reference = LinearSVR(
        loss=loss, epsilon=0.3, C=1 / (0.5 * 300), fit_intercept=False, dual=True, tol=1e-9, max_iter=10**6,
        random_state=0,
    ).fit(Z, y)  # fmt: skip
    rate = {"learning_rate": 0.02, "schedule": "cosine"} if setting == "adam" else {"schedule": "cosine"}
    options = {"loss": loss, "delta": 0.3, "penalty": "l2", "alpha": 0.5, "epochs": 20_000}
    model = train(Z, y, EXACT[setting], **options, **rate, standardize=False, fit_intercept=False)
    assert_optimal(model, (reference.coef_, reference.predict(Z)), Z, y, loss=loss, delta=0.3, l2=0.5)


@pytest.mark.parametrize("setting", ["gd", "momentum"])
def test_penalised_quantile_regression(setting):
    X, Z, y = data("synthetic")
    options = {"loss": "quantile", "quantile": 0.7}
    model = train(X, y, EXACT[setting], **options, penalty="l1", alpha=0.05, schedule="cosine", epochs=20_000)
    assert_optimal(model, quantile_optimum(Z, y, 0.7, alpha=0.05), X, y, **options, l1=0.05)


# ------------------------------------------------------------------------------- robust losses by default

DEFAULT = [("gd", 32), *((solver, size) for solver in ("sgd", "momentum", "adam") for size in (1, 32, 256))]
ROBUST = ["huber", "epsilon_insensitive", "squared_epsilon_insensitive", "quantile"]
NORMAL_WIDTH = {"huber": 1.35, "epsilon_insensitive": 0.1, "squared_epsilon_insensitive": 0.1}


def automatic_delta(y, loss):
    """Robust standard deviations, from the median absolute deviation."""
    return NORMAL_WIDTH.get(loss, 1.0) * 1.4826 * np.median(np.abs(y - np.median(y)))


@pytest.mark.filterwarnings("ignore:The loss:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("loss", ROBUST)
@pytest.mark.parametrize(("solver", "batch_size"), DEFAULT)
def test_robust_losses_need_no_tuning(solver, batch_size, loss, unit):
    for name in ("diabetes", "synthetic"):
        X, Z, y = data(name)
        terms = {"loss": loss, "quantile": 0.75, "delta": automatic_delta(y, loss)}
        model = GradientDescentRegressor(
            solver, loss=loss, quantile=0.75, batch_size=batch_size, random_state=0
        )
        model.fit(X, y * unit)
        slopes, predicted = optimum(terms, Z, y)
        least = objective(slopes, predicted, y, **terms)
        assert objective(np.zeros(1), model.predict(X) / unit, y, **terms) <= 1.02 * least


@pytest.mark.parametrize("loss", ["huber", "epsilon_insensitive", "squared_epsilon_insensitive"])
def test_automatic_delta_is_a_robust_width_of_y(loss):
    X, _, y = data("synthetic")
    X, y = X[:299], y[:299]  # an odd number has one median
    model = train(X, y, EXACT["gd"], loss=loss, epochs=50)
    for target in (y, 1e5 * y):
        told = train(X, target, EXACT["gd"], loss=loss, epochs=50, delta=automatic_delta(target, loss))
        automatic = train(X, target, EXACT["gd"], loss=loss, epochs=50)
        assert_close(automatic.coef_, told.coef_, 1e-9)
        assert_close(automatic.coef_ / target.std(), model.coef_ / y.std(), 1e-9)


def asymptotic_error(delta, share, size):
    """Standard error of huber slopes, up to a factor, for normal residuals and a share of outliers.

    Square root of E[psi^2] / E[psi']^2, psi being half the loss's derivative (Huber 1964).
    """
    z = np.linspace(-8, 8, 16_001)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    psi = np.clip(z, -delta, delta)
    mean = share * min(size, delta)
    second = (1 - share) * np.sum(density * psi**2) + share * min(size, delta) ** 2
    curvature = (1 - share) * np.sum(density * (np.abs(z) <= delta)) + share * (size <= delta)
    return np.sqrt(second - mean**2) / curvature


@pytest.mark.filterwarnings("ignore:The loss:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("delta", ["auto", 1.35])
@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum", "adam"])
def test_huber_withstands_gross_outliers(solver, delta):
    """5 % of targets are 20 deviations of the noise too high: theory says what that costs."""
    rng = np.random.default_rng(0)
    scale = np.geomspace(0.1, 100, 20)
    X = rng.normal(size=(2000, 20)) * scale + 50.0
    clean = X @ (rng.normal(size=20) / scale) * 0.5
    y = clean + rng.normal(size=2000) + np.where(rng.random(2000) < 0.05, 20.0, 0.0)
    errors, shifts = [], []
    for loss in ("huber", "squared_error"):
        model = GradientDescentRegressor(solver, loss=loss, delta=delta, random_state=0).fit(X, y)
        off = model.predict(X) - clean
        errors.append(off.std())
        shifts.append(off.mean())
    width = automatic_delta(y, "huber") if delta == "auto" else delta
    expected = asymptotic_error(1e9, 0.05, 20.0) / asymptotic_error(width, 0.05, 20.0)
    assert expected > 2.0
    assert errors[1] / errors[0] > 0.75 * expected
    assert shifts[1] > 0.8  # one-sided outliers pull the mean up by a whole deviation
    assert shifts[0] < 0.06 * width + 0.05


@pytest.mark.filterwarnings("ignore:The loss:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("quantile", [0.05, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum", "adam"])
def test_quantiles_cover_their_share(solver, quantile):
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 3, size=(4000, 3)) * [1.0, 1e3, 1e-3]
    y = X @ [1.0, -1e-3, 2e3] + X[:, 0] * rng.exponential(size=4000)  # a skewed spread that grows with x
    model = GradientDescentRegressor(solver, loss="quantile", quantile=quantile, random_state=0).fit(X, y)
    assert np.mean(y <= model.predict(X)) == pytest.approx(quantile, abs=0.02)


# --------------------------------------------------------------------------------------------- schedules


@pytest.mark.parametrize("solver", ["sgd", "momentum", "adam"])
def test_cosine_is_half_a_wave(solver):
    """One feature, one row: the gradient is 2 (a - 1), and every update can be written down."""
    options = {
        "standardize": False,
        "fit_intercept": False,
        "epochs": 40,
        "learning_rate": 0.05,
        "momentum": 0.5,
    }
    model = train(np.ones((1, 1)), np.ones(1), {"solver": solver}, **options, schedule="cosine")
    a = m = v = 0.0
    for t in range(1, 41):
        g, rate = 2 * (a - 1), 0.05 * (1 + np.cos(np.pi * (t - 1) / 40)) / 2
        if solver == "adam":
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            a -= rate * (m / (1 - 0.9**t)) / np.sqrt(v / (1 - 0.999**t) + 1e-8)
        else:
            m = (0.5 * m if solver == "momentum" else 0.0) + g
            a -= rate * m
    assert model.coef_[0] == pytest.approx(a, rel=1e-10)


@pytest.mark.parametrize("schedule", ["invscaling", "cosine", "adaptive"])
@pytest.mark.parametrize("solver", ["sgd", "momentum", "adam"])
def test_schedules_quieten_the_last_iterate(solver, schedule):
    X, Z, y = data("diabetes")
    least = np.mean((LinearRegression().fit(Z, y).predict(Z) - y) ** 2)
    rate = GradientDescentRegressor(solver, batch_size=8).partial_fit(X, y).learning_rate_
    rate *= y.std() if solver == "adam" else 1.0  # whose float rates are in units of y
    options = {"power_t": 0.5, "batch_size": 8, "epochs": 300, "n_iter_no_change": 3, "learning_rate": rate}
    excess = {}
    for name in ("constant", schedule):
        models = [
            train(X, y, {"solver": solver}, schedule=name, random_state=seed, **options) for seed in range(5)
        ]
        excess[name] = np.mean([np.mean((model.predict(X) - y) ** 2) for model in models]) / least - 1
    assert excess[schedule] < excess["constant"] / 3
    assert excess[schedule] < 0.01


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("solver", ["sgd", "momentum"])
def test_adaptive_cuts_a_rate_that_brings_nothing_more(solver, method):
    X, _, y = data("synthetic")
    options = {
        "learning_rate": 0.01,
        "schedule": "adaptive",
        "batch_size": 4,
        "n_iter_no_change": 3,
        "epochs": 60,
    }
    rates = []
    if method == "fit":
        model = train(X, y, {"solver": solver}, **options)
        rates.append(model.learning_rate_)
    else:
        model = GradientDescentRegressor(solver, average=False, random_state=0, **options)
        for _ in range(60):
            rates.append(model.partial_fit(X, y).learning_rate_)
        assert rates[0] == 0.01
        assert np.all(np.diff(rates) <= 0)
    cuts = np.log(0.01 / rates[-1]) / np.log(5)
    assert cuts >= 1
    assert cuts == pytest.approx(round(cuts), abs=1e-9)
    assert model.loss_curve_[-1] < min(model.loss_curve_[:3])


def test_adaptive_watches_the_penalised_objective():
    """Data terms rise where a stronger penalty takes hold of good coefficients."""
    X, y = load_diabetes(return_X_y=True)
    options = {"penalty": "l2", "warm_start": True, "schedule": "adaptive"}
    model = GradientDescentRegressor("gd", alpha=1e-9, **options).fit(X, y)
    model.set_params(alpha=2.0).fit(X, y)
    steady = GradientDescentRegressor("gd", penalty="l2", alpha=2.0).fit(X, y)

    def objective(fitted):
        return np.mean((fitted.predict(X) - y) ** 2) + np.sum((fitted.coef_ * X.std(axis=0)) ** 2)

    assert objective(model) <= objective(steady) * (1.0 + 1e-3)


def test_adaptive_stops_once_the_rate_is_spent():
    X, _, y = data("synthetic")
    model = train(X, y, {"solver": "sgd"}, schedule="adaptive", epochs=5000, tol=1e-4)
    assert model.n_iter_ < 1000
    assert model.learning_rate_ < 0.01 * train(X, y, {"solver": "sgd"}, epochs=1).learning_rate_
    with pytest.warns(ConvergenceWarning, match="epochs"):
        train(X, y, {"solver": "sgd"}, schedule="adaptive", epochs=3, tol=1e-4)


@pytest.mark.parametrize("delta", [3.0, 0.3])
@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum", "adam"])
def test_huber_of_a_width_far_below_the_spread_of_y_has_time_to_arrive(solver, delta):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 5)) @ rng.standard_normal((5, 5))
    y = X @ rng.uniform(2.0, 5.0, 5) + rng.standard_t(3.0, 2000) + 50.0

    def objective(parameters):
        size = np.abs(X @ parameters[:-1] + parameters[-1] - y)
        return np.mean(np.where(size <= delta, size**2, 2.0 * delta * size - delta**2))

    model = GradientDescentRegressor(solver, loss="huber", delta=delta, random_state=0).fit(X, y)
    least = minimize(objective, np.append(model.coef_, model.intercept_), method="BFGS").fun
    assert objective(np.append(model.coef_, model.intercept_)) < 1.001 * least
