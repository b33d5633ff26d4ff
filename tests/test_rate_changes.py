"""The automatic rate on designs and streams that were hard for it."""

import numpy as np
import pytest

from sklearn_sgdopt import GradientDescentRegressor


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
