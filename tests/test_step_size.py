"""The curvature bounds behind the automatic rate, against eigenvalues computed outright."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sklearn_sgdopt import GradientDescentRegressor
from sklearn_sgdopt._standardize import Coordinates, RunningMoments
from sklearn_sgdopt._step_size import Curvature, norm_bound
from sklearn_sgdopt._training import make_rows


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
