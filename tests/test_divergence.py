"""Nasty rows, streams that change and rates that are too high: nothing diverges, or it is said."""

import re
import warnings

import numpy as np
import pytest
from raw_data import SETTINGS, SOLVERS, houses, least_squares, rmse, stream, weather
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning

from sklearn_sgdopt import GradientDescentRegressor

# ---------------------------------------------------------------------------------------- nasty inputs


def nasty(name):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 4)) * [1.0, 100.0, 0.01, 1.0] + [0.0, 50.0, 1.0, -3.0]
    slopes = np.array([1.0, 0.02, 100.0, 0.0])
    if name == "cauchy":
        X = rng.standard_cauchy((2000, 4))
        return X, np.arctan(X) @ [1.0, 2.0, 3.0, 4.0] + rng.normal(size=2000)
    if name == "rare one-hot":  # two ones in 20,000 rows
        hot = np.zeros((20_000, 10))
        for j in range(10):
            hot[rng.choice(20_000, 2, replace=False), j] = 1.0
        X = np.column_stack([hot, rng.normal(size=(20_000, 2)) * [1.0, 100.0] + 5.0])
        return X, X @ np.r_[np.linspace(-20, 20, 10), 1.0, 0.02] + rng.normal(size=20_000)
    if name == "more columns than rows":
        X = rng.normal(size=(50, 200))
        return X, 3.0 * X[:, 0] + rng.normal(size=50)
    if name == "ten columns a row":
        X = rng.normal(size=(300, 3000))
        return X, X @ rng.normal(size=3000) / 20 + rng.normal(size=300)
    if name == "identical columns":
        X[:, 3] = X[:, 0]
    elif name == "column of 1e-300":
        X[:, 3] = 1e-300
    elif name.startswith("column around"):  # whose variance is 0, or not a normal number
        X[:, 3] *= float(name.split()[-1])
    elif name == "one row":
        X = X[:1]
    y = X @ slopes + rng.normal(size=len(X))
    return X, np.full(len(y), 1e9 + 0.1) if name == "constant y" else y


NASTY = [
    "cauchy", "rare one-hot", "more columns than rows", "ten columns a row", "identical columns",
    "column of 1e-300", "column around 1e-300", "column around 1e-157", "one row", "constant y",
]  # fmt: skip


def assert_sound(model, X, y, *, above=1.0):
    """Assert that nothing blew up: finite, and no worse than ``above`` times the best constant."""
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.intercept_).all()
    assert np.isfinite(model.loss_curve_).all()
    rounding = 1e-10 * np.abs(y).max()
    assert rmse(model.predict(X), y) <= above * y.std() + rounding


@pytest.mark.filterwarnings("ignore:The loss:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("solver", "batch_size"), SETTINGS)
@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_nasty_data_does_not_diverge(form, name, solver, batch_size):
    X, y = nasty(name)
    model = GradientDescentRegressor(solver, batch_size=batch_size, random_state=0).fit(form(X), y)
    assert_sound(model, X, y)
    if name == "rare one-hot":
        # The rare rows themselves: there it is easy to be wrong unnoticed.
        rare = X[:, :10].any(axis=1)
        assert rmse(model.predict(X), y) <= 1.05 * rmse(least_squares(X, y)(X), y)
        if solver == "adam":
            assert rmse(model.predict(X[rare]), y[rare]) < 0.5 * rmse(X[rare, 10:] @ [1.0, 0.02], y[rare])


@pytest.mark.parametrize(("solver", "batch_size"), SETTINGS)
@pytest.mark.parametrize("name", NASTY)
def test_nasty_streams_do_not_diverge(name, solver, batch_size):
    """The first chunk is one row, which has no spread; the second pass brings it again."""
    X, y = nasty(name)
    parts = [slice(0, 1), *(slice(start, start + 97) for start in range(1, len(y), 97))]
    model = GradientDescentRegressor(solver, batch_size=batch_size, random_state=0)
    stream(model, X, y, parts, passes=2)
    assert_sound(model, X, y, above=5.0)


@pytest.mark.parametrize("rest", [1, 8, 32])
@pytest.mark.parametrize(("solver", "batch_size"), SETTINGS)
def test_short_chunks_do_not_shake_a_long_stream(solver, batch_size, rest):
    """The remainder of a file is a noisy batch; inertia takes it into the steps of full ones."""
    X, y = weather(6000)
    sizes = np.tile([256, rest], 20)
    parts = [slice(end - size, end) for size, end in zip(sizes, np.cumsum(sizes), strict=True)]
    rows = slice(0, parts[-1].stop)
    best = rmse(least_squares(X[rows], y[rows])(X[rows]), y[rows])
    model = stream(
        GradientDescentRegressor(solver, batch_size=batch_size, random_state=0), X, y, parts, passes=4
    )
    for _ in range(3):  # not only where it happens to end
        assert rmse(model.predict(X[rows]), y[rows]) <= 1.03 * best
        stream(model, X, y, parts[:7])


@pytest.mark.parametrize("learning_rate", ["auto", 1e-3])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_chunk_of_one_row_is_learned_from(solver, learning_rate):
    """The best constant predictor of one row has no loss, which is no measure for divergence."""
    X, y = nasty("identical columns")
    model = GradientDescentRegressor(solver, learning_rate=learning_rate, random_state=0)
    model.partial_fit(X[:256], y[:256])
    updates = model.t_
    model.partial_fit(X[256:257], y[256:257]).partial_fit(X[:3], np.full(3, y[0]))
    assert model.t_ == updates + 2


# ------------------------------------------------------------------------------------- streams that change


@pytest.mark.parametrize("first", ["one row", "constant", "two rows"])
@pytest.mark.parametrize("loss", ["huber", "epsilon_insensitive", "squared_epsilon_insensitive", "quantile"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_robust_losses_learn_after_a_chunk_that_tells_nothing(solver, loss, first):
    X, y = weather()
    parts = {"one row": slice(0, 1), "constant": slice(0, 50), "two rows": slice(0, 2)}
    model = GradientDescentRegressor(solver, loss=loss, random_state=0)
    rows = parts[first]
    model.partial_fit(X[rows], np.zeros(50) if first == "constant" else y[rows])
    stream(model, X, y, [slice(start, start + 256) for start in range(0, len(y), 256)], passes=20)
    assert rmse(model.predict(X), y) <= 1.1 * rmse(least_squares(X, y)(X), y)


@pytest.mark.parametrize(
    ("solver", "batch_size"), [*((solver, 32) for solver in SOLVERS), ("sgd", 256), ("momentum", 256)]
)
def test_a_feature_may_grow_in_a_stream(solver, batch_size):
    """What was noise in its coefficient is a thousand times as much then."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 2))
    X[:256, 0] *= 1e-3
    y = X @ [2.0, 3.0] + rng.normal(size=20_000)
    model = GradientDescentRegressor(solver, batch_size=batch_size, random_state=0)
    stream(model, X, y, [slice(start, start + 256) for start in range(0, len(y), 256)], passes=1)
    assert rmse(model.predict(X), y) <= 1.2


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_stream_of_groups_does_not_swing(solver):
    """Curvature that changes with each chunk drives momentum, whose own rhythm it meets."""
    rng = np.random.default_rng(0)
    model = GradientDescentRegressor(solver, random_state=0)
    ratios = []
    for chunk in range(400):
        X = rng.normal(size=(256, 2))
        X += np.array([2000.0 + 40.0 * (chunk % 2), 5.0])
        y = X @ [0.1, 1.0] + rng.normal(size=256)
        model.partial_fit(X, y)
        ratios.append(rmse(model.predict(X), y))
    assert max(ratios[-100:]) <= 1.5


@pytest.mark.parametrize("column", [0, None])
@pytest.mark.parametrize(("solver", "batch_size"), SETTINGS)
def test_rows_in_their_order_do_not_diverge(solver, batch_size, column):
    """Batches of sorted rows are no sample of all rows."""
    X, y = houses()
    order = np.argsort(y if column is None else X[:, column], kind="stable")
    model = GradientDescentRegressor(solver, batch_size=batch_size, shuffle=False, epochs=20, tol=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X[order], y[order])
    assert_sound(model, X, y)


@pytest.mark.filterwarnings("ignore:The loss:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum"])
def test_the_curvature_of_full_batches_is_that_of_all_rows(solver):
    """A few long documents make it, which a sample may miss."""
    rng = np.random.default_rng(0)
    scale = np.full(10_001, 0.05)
    scale[rng.choice(np.arange(1, 10_001, 2), 15, replace=False)] = 40.0
    X = rng.poisson(scale[:, None], size=(10_001, 50)).astype(float)
    y = 0.1 * X @ rng.normal(size=50) + rng.normal(size=10_001)
    model = GradientDescentRegressor(solver, batch_size=len(y), epochs=200).fit(sparse.csr_array(X), y)
    assert_sound(model, X, y)


@pytest.mark.filterwarnings("ignore:The loss:sklearn.exceptions.ConvergenceWarning")
def test_outputs_in_different_units_are_all_trained():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3))
    X[:, 1] = X[:, 0] + 0.1 * X[:, 1]
    hard = 5.0 * (X[:, 1] - X[:, 0]) + 0.1 * rng.normal(size=500)
    for solver in SOLVERS:
        alone = GradientDescentRegressor(solver, random_state=0).fit(X, hard)
        beside = GradientDescentRegressor(solver, random_state=0).fit(
            X, np.column_stack([hard, 1e6 * X[:, 2]])
        )
        best = rmse(alone.predict(X), hard)
        assert rmse(beside.predict(X)[:, 0], hard) <= 1.1 * best


def test_rows_without_weight_do_not_dilute_the_others():
    rng = np.random.default_rng(0)
    X, y = weather(6000)
    weight = np.zeros(6000)
    kept = rng.choice(6000, 120, replace=False)
    weight[kept] = rng.lognormal(size=120)
    for solver in SOLVERS:
        sparse_weight = GradientDescentRegressor(solver, random_state=0).fit(X, y, sample_weight=weight)
        rows = np.sort(kept)
        alone = GradientDescentRegressor(solver, random_state=0).fit(
            X[rows], y[rows], sample_weight=weight[rows]
        )
        assert np.array_equal(sparse_weight.coef_, alone.coef_)


# ------------------------------------------------------------------------------------------ divergence


def test_a_rate_that_is_a_little_too_high_is_not_taken_for_convergence():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    limit = 1.0 / np.linalg.eigvalsh(Z.T @ Z / len(Z))[-1]  # 2 / L
    for factor in (1.2, 1.5, 2.0):
        model = GradientDescentRegressor("gd", learning_rate=factor * limit, epochs=1000, whiten=False)
        with pytest.warns(ConvergenceWarning, match="diverged"):
            model.fit(X, y)


@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum", "adam"])
def test_the_update_that_blows_up_is_undone_in_a_stream(solver):
    X, y = load_diabetes(return_X_y=True, scaled=False)
    model = GradientDescentRegressor(solver, random_state=0)
    for _ in range(30):
        model.partial_fit(X, y)
    before = model.predict(X)
    model.set_params(learning_rate=1e6)
    for start in range(0, 96, 32):
        with pytest.warns(ConvergenceWarning, match="diverged"):
            model.partial_fit(X[start : start + 32], y[start : start + 32])
    assert rmse(model.predict(X), before) <= 0.1 * y.std()  # the coordinates follow the new rows


FORCED = {"gd": 3.0, "sgd": 30.0, "momentum": 300.0, "adam": 1e8}  # times the automatic rate
NAMES = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("standardize", [True, False], ids=["standardised", "raw"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_rate_that_is_too_high_is_stopped(solver, standardize, method):
    data = load_diabetes(scaled=False, as_frame=True)
    X, y = data.data, data.target
    options = {"standardize": standardize, "random_state": 0}
    rate = FORCED[solver] * GradientDescentRegressor(solver, **options).partial_fit(X, y).learning_rate_
    model = GradientDescentRegressor(solver, learning_rate=rate, epochs=500, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        epochs = 0
        while not caught and epochs < 500:
            getattr(model, method)(X, y)
            epochs = model.n_iter_
    assert [warning.category for warning in caught] == [ConvergenceWarning]
    message = str(caught[0].message)
    assert "diverged" in message
    assert f"rate {rate:.3g}" in message
    assert "'s1'" in message  # the feature of the largest scale
    assert ("standardize=True" in message) == (not standardize)
    # Growth is seen long before anything overflows, and the epoch in which it is seen does not count.
    losses = np.array(model.loss_curve_)
    assert len(losses) <= 10
    assert np.isfinite(losses).all()
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.intercept_)
    # The rate that is called safe is.
    safe = float(re.findall(r"safe rate for these samples is (\S+)\. ", message)[0])
    assert 0.0 < safe < rate
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The loss was still falling", ConvergenceWarning)
        calm = GradientDescentRegressor(solver, learning_rate=safe, epochs=300, **options).fit(X, y)
    assert calm.loss_curve_[-1] < calm.loss_curve_[0]
    assert calm.loss_curve_[-1] < y.var()


@pytest.mark.filterwarnings("ignore:The loss:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum"])
def test_linear_growth_of_a_robust_loss_is_divergence_too(solver):
    """Huber's gradients are bounded: a loss a hundred times that of a constant is all that shows."""
    X, y = load_diabetes(return_X_y=True, scaled=False)
    rate = GradientDescentRegressor(solver, loss="huber").partial_fit(X, y).learning_rate_
    model = GradientDescentRegressor(
        solver, loss="huber", learning_rate=300 * rate, random_state=0, epochs=100
    )
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.fit(X, y)
