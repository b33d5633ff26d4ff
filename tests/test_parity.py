"""The estimator against hand-written loops of the formulas, and the laws that follow from them."""

import numpy as np
import pytest
from cases import RULES
from hypothesis import given
from hypothesis import strategies as st
from reference import PLAIN, Descent, assert_close, comparison_data, make_problem, one_feature_data
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgdopt import GradientDescentRegressor
from sklearn_sgdopt._training import FORGETTING

# Stable for batches of one row of `make_problem`, and fast enough to get near the optimum.
RATE = {"gd": 0.1, "sgd": 0.02, "momentum": 0.003, "nesterov": 0.003, "adam": 0.05}
ROWS = 96


def descend(estimator, X, y, weight=None, *, epochs, **options):
    """Run the hand-written loop with the settings of ``estimator``."""
    names = ("batch_size", "fit_intercept", "momentum", "beta_1", "beta_2", "epsilon", "nesterov", "loss")
    settings = {name: getattr(estimator, name) for name in names}
    settings |= {"rate": estimator.learning_rate, **options}
    settings["forgetting"] = FORGETTING
    outputs = 1 if y.ndim == 1 else y.shape[1]
    loop = Descent(estimator.solver, outputs, X.shape[1], **settings)
    for _ in range(epochs):
        loop.epoch(X, y, weight)
    return loop


def assert_same_descent(fitted, loop, *, averaged=False, relative=1e-10):
    coef, intercept = loop.average if averaged else (loop.a, loop.b)
    if loop.l1:  # a small average of steps that end at zero is reported as zero
        coef = np.where((loop.a == 0.0) & (np.abs(coef) <= loop.l1), 0.0, coef)
    assert fitted.t_ == loop.t
    assert fitted.n_iter_ == len(loop.losses)
    assert_close(np.atleast_2d(fitted.coef_), coef, relative)
    assert_close(np.atleast_1d(fitted.intercept_), intercept, relative)
    assert_close(fitted.loss_curve_, loop.losses, relative)


def epochs_for(solver, batch_size, updates=200):
    batches = 1 if solver == "gd" else -(-ROWS // batch_size)
    return max(2, -(-updates // batches))


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "origin"])
@pytest.mark.parametrize("batch_size", [1, 7, 32, ROWS])
@pytest.mark.parametrize("rule", RULES)
def test_iterates_are_the_formulas(rule, batch_size, fit_intercept, weighted, outputs):
    X, y, weight = make_problem(ROWS, outputs=outputs)
    weight = weight if weighted else None
    epochs = epochs_for(rule, batch_size)
    model = GradientDescentRegressor(
        **RULES[rule], **PLAIN, batch_size=batch_size, learning_rate=RATE[rule], fit_intercept=fit_intercept,
        epochs=epochs,
    )  # fmt: skip
    model.fit(X, y, sample_weight=weight)
    loop = descend(model, X, y, weight, epochs=epochs)
    assert loop.t >= 190
    assert_same_descent(model, loop)
    assert model.learning_rate_ == pytest.approx(RATE[rule], rel=0, abs=0)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("batch_size", [7, ROWS])
@pytest.mark.parametrize("rule", RULES)
def test_descent_starts_where_it_is_told(rule, batch_size, outputs):
    X, y, _ = make_problem(ROWS, outputs=outputs, seed=1)
    coef, intercept = np.linspace(-3.0, 3.0, 4 * outputs).reshape(outputs, 4), np.linspace(-1.0, 2.0, outputs)
    epochs = epochs_for(rule, batch_size)
    model = GradientDescentRegressor(
        **RULES[rule], **PLAIN, batch_size=batch_size, learning_rate=RATE[rule], epochs=epochs
    )
    model.fit(X, y, coef_init=coef[0] if outputs == 1 else coef, intercept_init=intercept)
    assert_same_descent(model, descend(model, X, y, epochs=epochs, coef=coef, intercept=intercept))


@pytest.mark.parametrize("settings", [
    {"solver": "sgd", "batch_size": 20},
    {"solver": "momentum", "batch_size": 200},
    {"solver": "gd"},
    {"solver": "momentum", "momentum": 0.5, "batch_size": 20},
    {"solver": "adam", "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-4, "batch_size": 20},
])  # fmt: skip
@pytest.mark.parametrize("updates", [20, 400])
def test_author_s_one_feature_data(settings, updates):
    X, y = one_feature_data()
    epochs = updates // (10 if settings.get("batch_size") == 20 else 1)
    model = GradientDescentRegressor(**settings, **PLAIN, learning_rate=0.1, epochs=epochs).fit(X, y)
    assert model.t_ == updates
    assert_same_descent(model, descend(model, X, y, epochs=epochs))


@pytest.mark.parametrize("rule", ["sgd", "momentum"])
def test_author_s_comparison_data(rule):
    X, y = comparison_data()
    model = GradientDescentRegressor(
        **RULES[rule], **PLAIN, learning_rate=0.01, batch_size=100, fit_intercept=False, epochs=4
    ).fit(X, y)
    assert model.t_ == 400
    assert_same_descent(model, descend(model, X, y, epochs=4))


@pytest.mark.parametrize("batch_size", [1, 32])
@pytest.mark.parametrize("rule", RULES)
def test_averages_decay_polynomially(rule, batch_size):
    X, y, weight = make_problem(ROWS, seed=2)
    epochs = epochs_for(rule, batch_size)
    options = PLAIN | {"average": True}
    model = GradientDescentRegressor(
        **RULES[rule], **options, learning_rate=RATE[rule], batch_size=batch_size, epochs=epochs
    )
    model.fit(X, y, sample_weight=weight)
    assert_same_descent(model, descend(model, X, y, weight, epochs=epochs), averaged=True)


@pytest.mark.parametrize("power_t", [0.25, 1.0])
@pytest.mark.parametrize("rule", RULES)
def test_invscaling_divides_by_a_power_of_the_update_count(rule, power_t):
    X, y, _ = make_problem(ROWS, seed=3)
    options = PLAIN | {"schedule": "invscaling", "power_t": power_t}
    epochs = epochs_for(rule, 7)
    model = GradientDescentRegressor(
        **RULES[rule], **options, learning_rate=RATE[rule], batch_size=7, epochs=epochs
    )
    assert_same_descent(model.fit(X, y), descend(model, X, y, epochs=epochs, power=power_t))


@pytest.mark.parametrize("rule", ["gd", "sgd", "momentum", "adam"])
@pytest.mark.parametrize("loss", [
    {"loss": "huber", "delta": 0.7},
    {"loss": "epsilon_insensitive", "delta": 0.3},
    {"loss": "squared_epsilon_insensitive", "delta": 0.3},
    {"loss": "quantile", "quantile": 0.8},
], ids=lambda loss: loss["loss"])  # fmt: skip
def test_losses(rule, loss):
    X, y, weight = make_problem(ROWS, outputs=2, seed=4)
    epochs = epochs_for(rule, 7)
    model = GradientDescentRegressor(
        **RULES[rule], **PLAIN, **loss, learning_rate=RATE[rule], batch_size=7, epochs=epochs
    )
    model.fit(X, y, sample_weight=weight)
    assert_same_descent(model, descend(model, X, y, weight, epochs=epochs, **loss))


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("penalty", [
    ({"penalty": "l2", "alpha": 0.3}, {"l2": 0.3}),
    ({"penalty": "l1", "alpha": 0.5}, {"l1": 0.5}),
    ({"penalty": "elasticnet", "alpha": 0.4, "l1_ratio": 0.75}, {"l1": 0.3, "l2": 0.1}),
], ids=lambda pair: pair[0]["penalty"])  # fmt: skip
@pytest.mark.parametrize("rule", RULES)
def test_penalties(rule, penalty, average):
    X, y, _ = make_problem(ROWS, outputs=2, seed=5)
    X[:, 2] *= 1e-3  # a coefficient that l1 keeps at exactly zero
    options = PLAIN | {"average": average}
    epochs = epochs_for(rule, 7)
    model = GradientDescentRegressor(
        **RULES[rule], **options, **penalty[0], learning_rate=RATE[rule], batch_size=7, epochs=epochs
    ).fit(X, y)
    loop = descend(model, X, y, epochs=epochs, **penalty[1])
    assert_same_descent(model, loop, averaged=average)
    if penalty[0]["penalty"] == "l1" and rule != "adam":
        assert np.array_equal(model.coef_[:, 2], [0.0, 0.0])


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("batch_size", [1, 7, 32, ROWS])
@pytest.mark.parametrize("rule", RULES)
def test_standardize_equals_a_scaler_in_front(rule, batch_size, average):
    X, y, _ = make_problem(ROWS, seed=6)
    X = X * [1e-3, 1.0, 50.0, 1e4] + [1.0, -7.0, 0.0, 1e5]
    y = y - y.mean()
    options = PLAIN | {"average": average, "shuffle": True, "random_state": 0, "epochs": 20}
    # A large epsilon: rounding noise in a gradient that is zero on paper must not become a step.
    options |= {"batch_size": batch_size, "learning_rate": RATE[rule] / 2, "epsilon": 1e-2}
    model = GradientDescentRegressor(**RULES[rule], **options | {"standardize": True, "whiten": False}).fit(
        X, y
    )
    pipeline = make_pipeline(StandardScaler(), GradientDescentRegressor(**RULES[rule], **options)).fit(X, y)
    assert_close(model.predict(X), pipeline.predict(X), 1e-9)
    assert_close(model.loss_curve_, pipeline[-1].loss_curve_, 1e-9)
    assert_close(model.coef_ * X.std(axis=0), pipeline[-1].coef_, 1e-9)


@pytest.mark.parametrize(("rule", "options"), [
    ("gd", {"learning_rate": 0.1, "epochs": 10_000}),
    ("sgd", {"learning_rate": 0.04, "batch_size": 100, "epochs": 150, "average": True}),
    ("momentum", {"learning_rate": 0.01, "batch_size": 100, "epochs": 100, "average": True}),
    ("nesterov", {"learning_rate": 0.01, "batch_size": 100, "epochs": 100, "average": True}),
    ("adam", {"learning_rate": 0.1, "batch_size": 100, "epochs": 300, "average": True}),
], ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_coefficients_of_the_comparison_data_are_found(rule, options):
    X, y = comparison_data()
    options = PLAIN | {"shuffle": True, "random_state": 0} | options
    model = GradientDescentRegressor(**RULES[rule], **options).fit(X, y)
    np.testing.assert_allclose(model.coef_, np.arange(1.0, 31.0), rtol=0.01)
    assert model.intercept_ == pytest.approx(0.5, abs=0.05)  # the mean of the noise


@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum", "adam"])
def test_defaults_find_the_coefficients_of_the_comparison_data_in_order(solver):
    X, y = comparison_data()
    model = GradientDescentRegressor(solver, batch_size=100, shuffle=False).fit(X, y)
    np.testing.assert_allclose(model.coef_, np.arange(1.0, 31.0), rtol=0.02)


WHOLE = 1_000_000  # more rows than there are: every batch holds all


@pytest.mark.parametrize("options", [
    PLAIN | {"learning_rate": None, "epochs": 60},
    PLAIN | {"learning_rate": None, "epochs": 60, "fit_intercept": False, "average": True},
    {"tol": None, "epochs": 60, "random_state": 0},
    {"tol": None, "epochs": 60, "random_state": 0, "loss": "huber"},
], ids=["plain", "plain-origin", "default", "default-huber"])  # fmt: skip
@pytest.mark.parametrize("law", ["absent", "repeated"])
@pytest.mark.parametrize("rule", RULES)
def test_weights_count_rows(rule, law, options):
    X, y, _ = make_problem(60, outputs=2, seed=7)
    counts = np.random.default_rng(7).integers(0, 2 if law == "absent" else 4, 60)
    options = options | {"batch_size": 32 if rule == "gd" else WHOLE}
    if "learning_rate" in options:
        options["learning_rate"] = RATE[rule]
    weighted = GradientDescentRegressor(**RULES[rule], **options).fit(X, y, sample_weight=counts)
    rows = np.repeat(np.arange(60), counts)
    repeated = GradientDescentRegressor(**RULES[rule], **options).fit(X[rows], y[rows])
    for name in ("coef_", "intercept_", "loss_curve_", "learning_rate_"):
        assert_close(getattr(weighted, name), getattr(repeated, name), 1e-9)


def fit_short(rule, X, y, weight=None, **options):
    options = PLAIN | {"learning_rate": RATE[rule], "batch_size": 7, "epochs": 5} | options
    return GradientDescentRegressor(**RULES[rule], **options).fit(X, y, sample_weight=weight)


rules = st.sampled_from(sorted(RULES))
seeds = st.integers(0, 1000)


@given(rules, seeds, st.permutations(range(4)), st.booleans())
def test_outputs_are_independent(rule, seed, order, standardize):
    X, y, weight = make_problem(40, outputs=4, seed=seed)
    options = {"standardize": standardize, "shuffle": True, "random_state": 0}
    together = fit_short(rule, X, y, weight, **options)
    permuted = fit_short(rule, X, y[:, order], weight, **options)
    assert np.array_equal(permuted.coef_, together.coef_[order])
    assert np.array_equal(permuted.intercept_, together.intercept_[order])
    alone = fit_short(rule, X, y[:, order[0]], weight, **options)
    assert_close(alone.coef_, together.coef_[order[0]], 1e-12)


@given(rules, seeds, st.permutations(range(4)))
def test_features_may_come_in_any_order(rule, seed, order):
    X, y, _ = make_problem(40, seed=seed)
    permuted = fit_short(rule, X[:, order], y)
    assert_close(permuted.coef_, fit_short(rule, X, y).coef_[order], 1e-10)


@given(rules, seeds, st.integers(-20, 20))
def test_units_of_y_are_the_units_of_the_model(rule, seed, exponent):
    X, y, _ = make_problem(40, seed=seed)
    unit = 2.0**exponent
    adam = {"learning_rate": RATE[rule] * unit, "epsilon": 1e-8 * unit**2} if rule == "adam" else {}
    scaled = fit_short(rule, X, y * unit, **adam)
    model = fit_short(rule, X, y)
    # Powers of two are exact: so are the coefficients and the losses.
    assert np.array_equal(scaled.coef_, model.coef_ * unit)
    assert np.array_equal(scaled.loss_curve_, np.array(model.loss_curve_) * unit**2)


@given(rules, seeds, st.integers(-20, 20))
def test_defaults_do_not_depend_on_the_units_of_y(rule, seed, exponent):
    X, y, _ = make_problem(40, seed=seed)
    unit = 2.0**exponent
    fits = [
        GradientDescentRegressor(**RULES[rule], tol=None, epochs=5, random_state=0).fit(X, target)
        for target in (y, y * unit)
    ]
    assert_close(fits[1].coef_, fits[0].coef_ * unit, 1e-12)


@given(rules, seeds, st.floats(1e-6, 1e6))
def test_only_the_ratios_of_weights_matter(rule, seed, factor):
    X, y, weight = make_problem(40, seed=seed)
    scaled = fit_short(rule, X, y, weight * factor)
    model = fit_short(rule, X, y, weight)
    assert_close(scaled.coef_, model.coef_, 1e-10)
    assert_close(scaled.loss_curve_, model.loss_curve_, 1e-10)
