"""The curvature bounds behind the automatic rate, against eigenvalues computed outright."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sklearn_sgdopt import GradientDescentRegressor, _step_size
from sklearn_sgdopt._rows import make_rows, sampled_rows
from sklearn_sgdopt._standardize import Coordinates, RunningMoments
from sklearn_sgdopt._step_size import Curvature, automatic_epsilon, automatic_rate, norm_bound


@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(1, 40),
    rank=st.integers(1, 40),
    spread=st.floats(0.0, 8.0),
)
def test_the_norm_bounds_the_largest_eigenvalue_from_above(seed, width, rank, spread):
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((rank, width)) * 10.0 ** rng.uniform(-spread, spread, width)
    matrix = factor.T @ factor
    largest = np.linalg.eigvalsh(matrix)[-1]
    assert largest * (1.0 - 1e-10) <= norm_bound(matrix) <= largest * width ** (1 / 32) * (1.0 + 1e-10)


def test_the_norm_of_nothing_is_zero():
    assert norm_bound(np.zeros((3, 3))) == 0.0


@pytest.mark.compiled
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize(("rows", "features"), [(300, 5), (20, 50), (100, 400), (9000, 3)])
def test_curvature_of_rows(rows, features, intercept, weighted):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, features)) @ rng.standard_normal((features, features)) + 3.0
    weight = rng.uniform(0.0, 2.0, rows) if weighted else None
    data = make_rows(X, np.zeros((rows, 1)), weight)
    moments = RunningMoments.of(X, data.weight)
    coordinates = Coordinates.standard(moments, centered=intercept, intercept=intercept)
    curvature = Curvature.of(data, coordinates, intercept=intercept)
    w = np.ones(rows) if weight is None else weight
    Z = np.column_stack([X - coordinates.center, np.full(rows, float(intercept))]) * coordinates.inverse_scale
    largest = 2.0 * np.linalg.eigvalsh((Z.T * w) @ Z / w.sum())[-1]
    assert 0.97 * largest <= curvature.mean <= 1.25 * largest  # a sample of 9000 rows, or power iteration
    squares = w / w.mean() * np.sum(Z**2, axis=1)
    assert curvature.largest == pytest.approx(2.0 * squares.max(), rel=1e-12)
    columns = w[:, None] / w.mean() * (X - coordinates.center) ** 2
    np.testing.assert_allclose(curvature.columns, 2.0 * columns.max(axis=0), rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("stride", [1, 11])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_wide_rows_get_power_iteration(form, stride, intercept, weighted, monkeypatch):
    """It comes from below, and its last step is enlarged by a fifth."""
    monkeypatch.setattr(_step_size, "WIDEST_MATRIX", 4)
    monkeypatch.setattr(_step_size, "MOST_ROWS", 66 // stride)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((66, 5)) * (rng.random((66, 5)) < 0.7)
    w = rng.uniform(0.0, 2.0, 66) if weighted else np.ones(66)
    rows = make_rows(form(X), np.zeros((66, 1)), w if weighted else None)
    coordinates = Coordinates(np.zeros(5), np.array([2.0, 1.0, 0.5, 0.0, 3.0, 1.0]))
    curvature = Curvature.of(rows, coordinates, intercept=intercept)
    sample = sampled_rows(66, stride)
    Z = np.column_stack([X, np.full(66, float(intercept))])[sample] * coordinates.inverse_scale
    w = w[sample]
    largest = 2.0 * np.linalg.eigvalsh((Z.T * w) @ Z / w.sum())[-1]
    assert 1.1 * largest <= curvature.mean <= 1.2 * largest * (1.0 + 1e-12)


def test_power_iteration_of_nothing_is_zero(monkeypatch):
    monkeypatch.setattr(_step_size, "WIDEST_MATRIX", 4)
    nothing = make_rows(np.zeros((3, 5)), np.zeros((3, 1)), None)
    assert Curvature.of(nothing, Coordinates.plain(5), intercept=False).mean == 0.0


L, L_MAX, COLUMNS, ACTIVE = 3.0, 40.0, np.array([8.0, 18.0]), 2.0
SPREAD = np.array([2.0, 0.0, 5.0])  # of three targets, one of them constant
ESTIMATED = {
    # Of squared error: in a whole batch, and in batches of four.
    "gd": (1.5 / (L + 0.1), 1.5 / (0.75 * L + 2 * L_MAX / 4 + 0.1)),
    "sgd": (1 / (L + 0.1), 1 / (0.75 * L + 2 * L_MAX / 4 + 0.1)),
    "momentum": (1 / (L + 0.1), 1 / (0.75 * L + 2 * L_MAX / 4 / 0.2 + 0.1)),
}


@pytest.mark.parametrize("ordered", [0.0, 50.0])
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile"])
@pytest.mark.parametrize("solver", ESTIMATED)
def test_rates_are_the_formulas(solver, loss, exact, ordered):
    model = GradientDescentRegressor(solver, loss=loss, momentum=0.8, penalty="l2", alpha=0.1)
    curvature = Curvature(L, L_MAX, COLUMNS, ACTIVE, ordered=ordered)
    rate = automatic_rate(model, curvature, batch_size=4, exact=exact, spread=SPREAD)
    expected = ESTIMATED[solver][not exact]
    if ordered and not exact:
        inertia = 0.2**2 if solver == "momentum" else 1.0
        expected = (1.5 if solver == "gd" else 1.0) / (ordered / inertia + 0.1)
    if loss == "quantile":  # steps as long as those of squared error at residuals of half the spread
        expected *= SPREAD / (1.5 if solver == "gd" else 1.0)
    np.testing.assert_allclose(rate, np.broadcast_to(expected, 3), rtol=1e-14)


@pytest.mark.parametrize("sparse_rows", [False, True])
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
@pytest.mark.parametrize("batch_size", [4, 1000])
def test_adam_s_rate_and_epsilon_are_the_formulas(batch_size, loss, exact, sparse_rows):
    model = GradientDescentRegressor("adam", loss=loss, beta_1=0.8)
    columns = np.ones(40) if sparse_rows else COLUMNS
    known = {"batch_size": batch_size, "exact": exact, "spread": SPREAD}
    rate = automatic_rate(model, Curvature(L, L_MAX, columns, ACTIVE), **known)
    curvature = Curvature(L, L_MAX, COLUMNS, ACTIVE)
    row = L if exact else (1 - 1 / batch_size) * L + L_MAX / batch_size
    move = np.sqrt(ACTIVE * row / 2)  # of the predictions of a batch, in a step of one
    smooth = loss == "squared_error"
    longest = (0.1 if exact else min(0.014 * np.sqrt(batch_size), 0.1)) * (1 if smooth else 0.25)
    np.testing.assert_allclose(rate, min(longest, (0.2 if sparse_rows else 1.5) / move) * SPREAD, rtol=1e-14)
    inverse = np.array([0.5, 3.0, 1.0])
    epsilon = automatic_epsilon(model, curvature, inverse, rate, **known)
    noise = np.append(COLUMNS, 2.0) * inverse**2 / batch_size
    steepest = np.maximum(L / (1.8 / 0.2), noise * (not exact))
    unit = np.ones(3) if smooth else np.where(SPREAD > 0, SPREAD, 1.0)
    least = 1e-8 * (np.where(SPREAD > 0, SPREAD, 1.0)[:, None] ** 2 if smooth else 1.0)
    expected = np.maximum(((rate / unit)[:, None] * steepest) ** 2, least)
    np.testing.assert_allclose(epsilon, expected, rtol=1e-13)


@pytest.mark.parametrize("loss", ["squared_error", "epsilon_insensitive"])
@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum"])
def test_the_rate_where_there_is_nothing_to_learn_from_is_one(solver, loss):
    model = GradientDescentRegressor(solver, loss=loss, fit_intercept=False, epochs=2, tol=None)
    model.fit(np.zeros((5, 2)), np.arange(5.0))
    assert model.learning_rate_ == 1.0
    assert np.array_equal(model.coef_, [0.0, 0.0])


def test_sparse_rows_have_the_curvature_of_dense_ones():
    X = np.random.default_rng(0).poisson(0.3, (500, 30)).astype(float)
    coordinates = Coordinates.plain(30)
    dense, csr = (
        Curvature.of(make_rows(form, np.zeros((500, 1)), None), coordinates, intercept=True)
        for form in (X, sparse.csr_array(X))
    )
    assert csr.mean == pytest.approx(dense.mean, rel=1e-12)
    assert csr.largest == dense.largest
    np.testing.assert_array_equal(csr.columns, dense.columns)


@pytest.mark.compiled
def test_descent_does_not_start_on_the_wrong_foot():
    """The leading eigenvector of designs on a grid may be all but orthogonal to a power iteration's start."""
    height, turn = np.meshgrid(np.linspace(-1, 1, 24), np.linspace(0, 3, 24))
    a, b = height.ravel(), turn.ravel()
    X = np.column_stack([a, 5 - 3 * a + 1e-3 * b, 2 * a - 1, 1 - a, (a > 0) * 1.0, b])
    y = 3 * a - b
    for solver in ("gd", "sgd", "momentum", "adam"):
        model = GradientDescentRegressor(solver, batch_size=256, tol=None, epochs=2000, random_state=0).fit(
            X, y
        )
        assert model.loss_curve_[-1] < 0.1 * model.loss_curve_[0]


CHANGES = {
    "together": lambda X: X[:, :1] + 0.1 * X,
    "larger": lambda X: 1e3 * X,
    "one larger": lambda X: X * np.r_[1e3, np.ones(X.shape[1] - 1)],
}


@pytest.mark.compiled
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("rows", "batch_size"), [(32, 32), (256, 32), (256, 256)])
@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum", "adam"])
def test_a_stream_whose_rows_change_does_not_diverge(solver, rows, batch_size, change):
    """The mean over all chunks is slow to tell that the curvature has grown."""
    rng = np.random.default_rng(0)
    model = GradientDescentRegressor(solver, batch_size=batch_size, random_state=0)
    losses = []
    for chunk in range(300):
        X = rng.standard_normal((rows, 20))
        if chunk >= 200:
            X = CHANGES[change](X)
        y = X.sum(axis=1) + rng.standard_normal(rows)
        model.partial_fit(X, y)
        if chunk > 200:
            losses.append(model.loss_curve_[-1] / y.var())
    assert max(losses) < 1.0
    assert losses[-1] < 0.01
