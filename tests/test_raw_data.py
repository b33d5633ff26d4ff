"""Raw data and default settings: as good as least squares, in any units, without divergence."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_data import SETTINGS, SOLVERS, buildings, chunks, houses, least_squares, rmse, stream, weather
from reference import assert_close
from scipy import sparse
from sklearn.datasets import load_diabetes, load_iris, load_linnerud, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgdopt import GradientDescentRegressor


def skewed(rows=2000):
    """Log-normal columns in units that span nine orders of magnitude."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(rows, 12)) @ rng.normal(size=(12, 12))
    X = np.exp(Z / 6) * np.geomspace(1e-4, 1e5, 12)
    slopes = 3 * rng.normal(size=12) / X.std(axis=0)
    return X, np.log(X) @ rng.normal(size=12) + X @ slopes + 3 * rng.normal(size=rows)


def column_of(load, j):
    """A real data set with one of its own columns as the target."""
    data = load().data
    return np.delete(data, j, axis=1), data[:, j]


SETS = {
    "diabetes": lambda: load_diabetes(return_X_y=True, scaled=False),
    "wine": lambda: column_of(load_wine, 12),
    "iris": lambda: column_of(load_iris, 3),
    "houses": houses,
    "weather": weather,
    "skewed": skewed,
    "buildings": buildings,
}


def splits(data, count=6):
    X, y = data
    for seed in range(count):
        yield seed, train_test_split(X, y, test_size=0.1, random_state=seed)


# --------------------------------------------------------------------------- as good as least squares


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("solver", "batch_size"), SETTINGS)
@pytest.mark.parametrize("name", SETS)
def test_defaults_reach_least_squares(name, solver, batch_size):
    ratios = []
    for seed, (X, X_test, y, y_test) in splits(SETS[name]()):
        model = GradientDescentRegressor(solver, batch_size=batch_size, random_state=seed).fit(X, y)
        ratios.append(rmse(model.predict(X_test), y_test) / rmse(least_squares(X, y)(X_test), y_test))
    assert np.mean(ratios) <= 1.003
    assert max(ratios) <= 1.03


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("solver", "batch_size"), SETTINGS)
def test_defaults_on_twenty_rows_and_three_outputs(solver, batch_size):
    """So few rows are judged by the loss that is minimised: a test part of five says little."""
    X, y = load_linnerud(return_X_y=True)
    ratios = []
    for seed in range(10):
        rows = np.random.default_rng(seed).permutation(20)[:16]
        model = GradientDescentRegressor(solver, batch_size=batch_size, random_state=seed).fit(
            X[rows], y[rows]
        )
        best = least_squares(X[rows], y[rows])(X[rows])
        ratios.append(rmse(model.predict(X[rows]), y[rows]) / rmse(best, y[rows]))
    assert np.mean(ratios) <= 1.003
    assert np.max(ratios) <= 1.03


@pytest.mark.parametrize(("solver", "batch_size"), SETTINGS)
@pytest.mark.parametrize("name", ["diabetes", "houses", "skewed"])
def test_streams_reach_least_squares_in_ten_passes(name, solver, batch_size):
    ratios = []
    for seed, (X, X_test, y, y_test) in splits(SETS[name](), count=4):
        model = GradientDescentRegressor(solver, batch_size=batch_size, random_state=seed)
        stream(model, X, y, chunks(len(y)), passes=10)
        ratios.append(rmse(model.predict(X_test), y_test) / rmse(least_squares(X, y)(X_test), y_test))
    assert np.mean(ratios) <= 1.02


@pytest.mark.parametrize("solver", SOLVERS)
def test_ten_passes_over_three_chunks_of_a_design_are_enough(solver):
    """For "gd" these are thirty updates, along directions a hundred times flatter than the steepest."""
    ratios = []
    for seed, (X, X_test, y, y_test) in splits(buildings(), count=10):
        model = GradientDescentRegressor(solver, random_state=seed)
        stream(model, X, y, chunks(len(y)), passes=10)
        ratios.append(rmse(model.predict(X_test), y_test) / rmse(least_squares(X, y)(X_test), y_test))
    assert np.mean(ratios) <= 1.02


@pytest.mark.parametrize(("solver", "batch_size"), SETTINGS)
def test_one_pass_over_a_long_stream_is_enough(solver, batch_size):
    X, X_test, y, y_test = train_test_split(*weather(30_000), test_size=0.2, random_state=0)
    model = stream(
        GradientDescentRegressor(solver, batch_size=batch_size, random_state=0), X, y, chunks(len(y))
    )
    assert rmse(model.predict(X_test), y_test) <= 1.01 * rmse(least_squares(X, y)(X_test), y_test)


@pytest.mark.parametrize(("solver", "batch_size"), SETTINGS)
def test_author_s_one_feature_data_left_raw(solver, batch_size):
    x = np.linspace(100.0, 300.0, 200)
    z = (x - x.mean()) / x.std()
    y = 10.0 * z + 5.0 + np.random.default_rng(0).normal(size=200)
    model = GradientDescentRegressor(solver, batch_size=batch_size, random_state=0).fit(x[:, None], y)
    slope = np.cov(x, y, bias=True)[0, 1] / x.var()
    assert model.coef_[0] == pytest.approx(slope, rel=0.01)
    assert model.intercept_ == pytest.approx(y.mean() - slope * x.mean(), rel=0.01)


# ----------------------------------------------------------------------------------- units and offsets


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@given(
    st.sampled_from(SETTINGS),
    st.lists(st.floats(-6, 6), min_size=12, max_size=12),
    st.lists(st.floats(-1e6, 1e6), min_size=12, max_size=12),
    st.sampled_from([1e-6, 1.0, 1e6]),
)
def test_units_and_offsets_change_nothing(setting, exponents, offsets, unit):
    for name in ("diabetes", "wine", "weather"):
        X, y = SETS[name]()
        X, y, d = X[:500], y[:500], X.shape[1]
        other = (X + np.array(offsets[:d]) * X.std(axis=0)) * 10.0 ** np.array(exponents[:d])
        model = GradientDescentRegressor(setting[0], batch_size=setting[1], random_state=0)
        expected = model.fit(X, y).predict(X)
        epochs = model.n_iter_
        predicted = model.fit(other, y * unit).predict(other) / unit
        assert np.max(np.abs(predicted - expected)) < 1e-3 * y.std()
        assert model.n_iter_ == epochs  # tol is relative


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("unit", [1e-150, 1e-6, 1e6, 1e100])
@pytest.mark.parametrize("loss", ["squared_error", "huber", "epsilon_insensitive", "quantile"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_units_of_y_change_nothing(solver, loss, unit):
    X, y = SETS["diabetes"]()
    model = GradientDescentRegressor(solver, loss=loss, random_state=0).fit(X, y)
    other = GradientDescentRegressor(solver, loss=loss, random_state=0).fit(X, y * unit)
    assert other.n_iter_ == model.n_iter_
    assert_close(other.predict(X) / unit, model.predict(X), 1e-6)


def spectra():
    """Twenty readings of smooth overlapping peaks, rounded: 1e11 standardised condition number."""
    rng = np.random.default_rng(0)
    u, grid = rng.uniform(size=(1000, 4)), np.linspace(0, 1, 20)
    X = np.zeros((1000, 20))
    for k, centre in enumerate([0.1, 0.35, 0.6, 0.9]):
        shift = 0.05 * u[:, [(k + 1) % 4]]
        X += (1 + 0.5 * u[:, [k]]) * np.exp(-(((grid - centre - shift) / 0.5) ** 2))
    return np.round(X, 5) * 1e3, u @ [10.0, -8.0, 6.0, 4.0] + 0.2 * rng.normal(size=1000)


@pytest.mark.parametrize(("solver", "batch_size"), SETTINGS)
def test_nearly_collinear_data_are_solved(solver, batch_size):
    X, y = spectra()
    assert np.linalg.cond(np.corrcoef(X[:700].T)) > 1e9
    best = rmse(least_squares(X[:700], y[:700])(X[700:]), y[700:])
    assert best < 0.1 * y.std()  # the small directions are worth having
    model = GradientDescentRegressor(solver, batch_size=batch_size, random_state=0).fit(X[:700], y[:700])
    assert rmse(model.predict(X[700:]), y[700:]) <= 1.02 * best


def test_nearly_collinear_data_are_named_without_whitening():
    X, y = spectra()
    condition = np.linalg.cond(np.corrcoef(X[:700].T))
    model = GradientDescentRegressor("gd", whiten=False)
    with pytest.warns(ConvergenceWarning, match="nearly collinear") as caught:
        model.fit(X[:700], y[:700])
    named = float(re.findall(r"condition number is (\S+)", str(caught[0].message))[0])
    assert named == pytest.approx(condition, rel=0.2)  # in two digits


# ------------------------------------------------------------------------------- moving statistics


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_stream_equals_a_scaler_that_learns_with_it(solver):
    """Where the statistics of all chunks are the same, so are the coordinates of both."""
    X, y = SETS["wine"]()
    rows = np.tile(np.arange(60), 3)
    X, y = X[rows], y[rows] - y[:60].mean()
    options = {"learning_rate": 1e-2, "average": False, "random_state": 0, "epsilon": 1e-2}
    model = GradientDescentRegressor(solver, whiten=False, **options)
    stream(model, X, y, chunks(180, 60), passes=4)
    pipeline = make_pipeline(StandardScaler(), GradientDescentRegressor(solver, standardize=False, **options))
    scaled = pipeline[0].fit_transform(X)
    stream(pipeline[1], scaled, y, chunks(180, 60), passes=4)
    assert_close(model.predict(X), pipeline.predict(X), 1e-9)
    assert_close(model.loss_curve_, pipeline[1].loss_curve_, 1e-9)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("options", [
    {"solver": "gd"}, {"solver": "gd", "loss": "huber"}, {"solver": "sgd"}, {"solver": "momentum"},
    {"solver": "adam"}, {"solver": "sgd", "learning_rate": 0.01},
], ids=str)  # fmt: skip
def test_samples_are_fair_where_every_other_row_has_no_weight(options, form):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((10_000, 3))
    y = X @ [1.0, 2.0, 3.0] + rng.standard_normal(10_000)
    weight = (np.arange(10_000) % 2).astype(float)
    model = GradientDescentRegressor(random_state=0, **options).fit(form(X), y, sample_weight=weight)
    expected = LinearRegression().fit(X, y, weight).coef_
    np.testing.assert_allclose(model.coef_, expected, atol=0.03)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_column_that_only_rows_without_weight_have_counts_for_nothing(solver, fit_intercept):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3)) + 3.0
    y = X @ [1.0, 2.0, 0.0] + rng.normal(size=60)
    weight = np.tile([0.0, 1.0, 1.0], 20)
    X[:, 2] *= weight == 0.0
    model = GradientDescentRegressor(solver, fit_intercept=fit_intercept, random_state=0)
    model.fit(X, y, sample_weight=weight)
    assert model.coef_[2] == 0.0
    assert_close(model.coef_[:2], [1.0, 2.0], 0.3)


@pytest.mark.parametrize("unit", [1e-25, 1e-10, 1e10, 1e15])
def test_sparse_float32_rows_of_any_unit(unit):
    rng = np.random.default_rng(0)
    X = (rng.random((300, 3)) < 0.5) * rng.standard_normal((300, 3))
    y = X.sum(axis=1)
    model = GradientDescentRegressor("gd").fit(sparse.csr_array((X * unit).astype(np.float32)), y)
    np.testing.assert_allclose(model.coef_ * unit, 1.0, rtol=1e-3)
