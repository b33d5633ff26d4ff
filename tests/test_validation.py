"""Held-out rows: curves in the units of the loss, early stopping, and the best parameters brought back."""

import numpy as np
import pytest
import sklearn
from cases import SOLVERS
from reference import LOSSES, assert_close, loss_and_slope, make_problem
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sklearn_sgdopt import GradientDescentRegressor


def split(rows=120, outputs=1, seed=0):
    X, y, weight = make_problem(rows + 60, outputs=outputs, seed=seed)
    return X[:rows], y[:rows], weight[:rows], {"X_val": X[rows:], "y_val": y[rows:]}


def overfitting():
    """As many features as rows, of which three matter: the loss of other rows falls, then rises."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(260, 60))
    y = X[:, :3] @ [2.0, -1.0, 1.0] + 2.0 * rng.normal(size=260)
    return X[:60], y[:60], {"X_val": X[60:], "y_val": y[60:]}


def mean_loss(model, X, y, weight=None):
    value, _ = loss_and_slope(model.loss, model.predict(X) - y, model.delta, model.quantile)
    return np.average(value.reshape(len(y), -1).mean(axis=1), weights=weight)


def make(solver="adam", **options):
    return GradientDescentRegressor(solver, **({"tol": None, "epochs": 30, "random_state": 0} | options))


# ------------------------------------------------------------------------------------------------ curves


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_curve_is_the_loss_of_the_parameters_reported(solver, loss, average, outputs):
    X, y, weight, held_out = split(outputs=outputs)
    options = {"loss": loss, "average": average, "penalty": "l2", "alpha": 0.01, "epochs": 6} | LOSSES[loss]
    options["learning_rate"] = 0.01  # the automatic rate of gd depends on whether the rows are a stream
    model = make(solver, **options).fit(X, y, sample_weight=weight, **held_out)
    assert len(model.validation_curve_) == len(model.loss_curve_) == model.n_iter_ == 6
    expected = []
    other = make(solver, **options)
    for _ in range(6):  # the same epochs one by one: parameters and losses in between
        other.partial_fit(X, y, sample_weight=weight, **held_out)
        expected.append(mean_loss(other, held_out["X_val"], held_out["y_val"]))
    assert_close(model.validation_curve_, expected, 1e-9)
    assert_close(other.validation_curve_, expected, 1e-9)
    assert_close(model.validation_curve_[-1], mean_loss(model, *held_out.values()), 1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_watching_changes_nothing(solver):
    X, y, weight, held_out = split(outputs=2)
    watched = make(solver).fit(X, y, sample_weight=weight, **held_out)
    alone = make(solver).fit(X, y, sample_weight=weight)
    assert not hasattr(alone, "validation_curve_")
    for name in ("coef_", "intercept_", "loss_curve_", "t_"):
        assert np.array_equal(getattr(watched, name), getattr(alone, name))
    again = watched.fit(X, y)  # a new fit without held-out rows has no curve of them
    assert not hasattr(again, "validation_curve_")


@pytest.mark.parametrize("solver", SOLVERS)
def test_both_curves_have_the_same_units(solver):
    """On the training rows themselves both agree; plain gd sees them one epoch later."""
    X, y, _, _ = split()
    model = make(solver, average=False, epochs=60, batch_size=1_000_000).fit(X, y, X_val=X, y_val=y)
    assert_close(model.loss_curve_[1:], model.validation_curve_[:-1], 1e-9)
    unit = make(solver, average=False, epochs=60, batch_size=1_000_000).fit(
        X, 1e3 * y, X_val=X, y_val=1e3 * y
    )
    assert_close(unit.validation_curve_, 1e6 * np.array(model.validation_curve_), 1e-6)


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix])
@pytest.mark.parametrize("solver", SOLVERS)
def test_sparse_held_out_rows(solver, container):
    X, y, _, held_out = split()
    dense = make(solver, standardize=False, learning_rate=1e-3).fit(X, y, **held_out)
    given = {"X_val": container(held_out["X_val"]), "y_val": held_out["y_val"]}
    for rows in (X, container(X)):  # either may be sparse alone
        model = make(solver, standardize=False, learning_rate=1e-3).fit(rows, y, **given)
        assert_close(model.validation_curve_, dense.validation_curve_, 1e-9)
    # Dense rows are centred, and so are those held out, in whatever form they come.
    dense = make(solver).fit(X, y, **held_out)
    assert make(solver).fit(X, y, **given).validation_curve_ == dense.validation_curve_


def test_float32_rows_beside_float64():
    X, y, _, held_out = split()
    model = make().fit(X.astype(np.float32), y, **held_out)
    assert_close(model.validation_curve_, make().fit(X, y, **held_out).validation_curve_, 1e-4)
    held_out["X_val"] = held_out["X_val"].astype(np.float32)
    assert_close(make().fit(X, y, **held_out).validation_curve_, model.validation_curve_, 1e-4)


def test_curve_goes_on_through_streams_and_warm_starts():
    X, y, _, held_out = split()
    model = make(warm_start=True, epochs=3).fit(X, y, **held_out)
    first = list(model.validation_curve_)
    model.partial_fit(X, y, **held_out).fit(X, y, **held_out)
    assert model.validation_curve_[:3] == first
    assert len(model.validation_curve_) == 7
    model.partial_fit(X, y)
    assert len(model.validation_curve_) == 7
    assert len(model.loss_curve_) == 8


# ---------------------------------------------------------------------------------------- early stopping


@pytest.mark.parametrize("penalty", [None, "l1"])
@pytest.mark.parametrize("average", ["auto", False])
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_best_parameters_are_brought_back(solver, average, penalty):
    X, y, held_out = overfitting()
    options = {"epochs": 2000, "average": average, "tol": 1e-4, "penalty": penalty, "alpha": 1e-3}
    options["whiten"] = False  # white coordinates fit all samples before the others are looked at
    model = make(solver, early_stopping=True, **options).fit(X, y, **held_out)
    curve = np.array(model.validation_curve_)
    assert len(curve) == model.n_iter_ == len(model.loss_curve_) < 2000
    assert np.argmin(curve) < len(curve) - 1  # stopped after it had passed the best
    assert_close(np.mean((model.predict(held_out["X_val"]) - held_out["y_val"]) ** 2), curve.min(), 1e-9)
    assert model.best_n_iter_ == np.argmin(curve) + 1
    # Stopped as soon as n_iter_no_change epochs had brought no gain, not earlier.
    assert len(curve) - 1 - np.argmin(curve) <= 2 * model.n_iter_no_change + 5
    assert len(curve) > model.n_iter_no_change
    through = make(solver, **options | {"tol": None}).fit(X, y, **held_out)
    assert not hasattr(through, "best_n_iter_")
    assert curve.min() < 0.95 * np.mean((through.predict(held_out["X_val"]) - held_out["y_val"]) ** 2)


@pytest.mark.parametrize("solver", SOLVERS)
def test_patience(solver):
    X, y, held_out = overfitting()
    epochs = [
        make(solver, early_stopping=True, epochs=3000, tol=1e-4, n_iter_no_change=patience)
        .fit(X, y, **held_out)
        .n_iter_
        for patience in (2, 10, 50)
    ]
    assert epochs == sorted(epochs)
    assert epochs[2] >= epochs[0] + 40


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_part_of_the_rows_is_held_out(solver):
    X, y = load_diabetes(return_X_y=True, scaled=False)
    model = make(solver, early_stopping=True, validation_fraction=0.2, epochs=500, tol=1e-5).fit(X, y)
    same = make(solver, early_stopping=True, validation_fraction=0.2, epochs=500, tol=1e-5).fit(X, y)
    other = make(
        solver, early_stopping=True, validation_fraction=0.2, epochs=500, tol=1e-5, random_state=1
    ).fit(X, y)
    assert np.array_equal(model.coef_, same.coef_)
    assert not np.array_equal(model.coef_, other.coef_)
    assert len(model.validation_curve_) == model.n_iter_
    assert min(model.validation_curve_) == pytest.approx(np.var(y) / 2, rel=0.3)
    assert model.score(X, y) > 0.48
    batches = -(-(442 - 89) // 32) if solver != "gd" else 1  # 89 of 442 rows are a fifth, rounded up
    assert model.t_ == model.n_iter_ * batches


def test_weights_of_rows_held_out_count():
    """Rows without weight may be anything, on either side of the split."""
    X, y, _, _ = split(rows=200)
    absurd = np.arange(200) % 2 == 0
    model = make(early_stopping=True, epochs=200, tol=1e-5, validation_fraction=0.3)
    model.fit(X, np.where(absurd, 1e6, y), sample_weight=np.where(absurd, 0.0, 1.0))
    assert min(model.validation_curve_) < 1.0
    assert model.score(X, y) > 0.8


def test_early_stopping_watches_own_rows_rather_than_a_split():
    X, y, held_out = overfitting()
    fitted = [
        make(early_stopping=True, epochs=300, tol=1e-4, validation_fraction=fraction).fit(X, y, **held_out)
        for fraction in (0.1, 0.5)
    ]
    assert np.array_equal(fitted[0].coef_, fitted[1].coef_)


def test_partial_fit_records_and_never_stops():
    X, y, held_out = overfitting()
    model = make(early_stopping=True)
    for epoch in range(1, 40):
        model.partial_fit(X, y, **held_out)
        assert model.n_iter_ == len(model.validation_curve_) == epoch
    plain = make()
    for _ in range(39):
        plain.partial_fit(X, y)
    assert np.array_equal(model.coef_, plain.coef_)


# ------------------------------------------------------------------------------------------- composition


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_pipeline_transforms_held_out_rows(solver):
    X, y = load_diabetes(return_X_y=True, scaled=False)
    rows, held_out = slice(0, 300), slice(300, None)
    last = make(solver, standardize=False, early_stopping=True).set_fit_request(X_val=True, y_val=True)
    steps = [
        ("scale", StandardScaler()),
        ("curve", PolynomialFeatures(2, include_bias=False)),
        ("model", last),
    ]
    pipeline = Pipeline(steps, transform_input=["X_val"])
    pipeline.fit(X[rows], y[rows], X_val=X[held_out], y_val=y[held_out])
    assert pipeline[:-1].transform(X).shape[1] == pipeline[-1].n_features_in_ == 65
    reached = np.mean((pipeline.predict(X[held_out]) - y[held_out]) ** 2)
    assert_close(reached, min(pipeline[-1].validation_curve_), 1e-9)
    with pytest.raises(ValueError, match=r"10 features.*65 features"):  # without it they arrive as they are
        Pipeline(steps).fit(X[rows], y[rows], X_val=X[held_out], y_val=y[held_out])


@pytest.mark.usefixtures("routing")
def test_held_out_rows_in_a_search():
    X, y, _, held_out = split()
    model = make(early_stopping=True).set_fit_request(X_val=True, y_val=True)
    search = GridSearchCV(model, {"solver": ["sgd", "adam"]}, cv=2).fit(X, y, **held_out)
    assert len(search.best_estimator_.validation_curve_) > 0


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("change", "message"), [
    ({"y_val": None}, "X_val and y_val"),
    ({"X_val": None}, "X_val and y_val"),
    ({"y_val": np.ones(59)}, "inconsistent|samples"),
    ({"y_val": np.ones((60, 3))}, "y_val"),
    ({"X_val": np.ones((60, 3))}, "3 features.*4 features"),
    ({"X_val": np.ones(60)}, "2D|1D"),
    ({"X_val": np.empty((0, 4)), "y_val": np.empty(0)}, "0 sample"),
], ids=["X alone", "y alone", "rows", "outputs", "features", "one dimension", "none"])  # fmt: skip
def test_held_out_rows_that_do_not_fit(change, message, method):
    X, y, _, held_out = split()
    model = make(early_stopping=True)
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(X, y, **held_out | change)
    assert not hasattr(model, "n_features_in_")
