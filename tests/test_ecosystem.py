"""The estimator inside scikit-learn's pipelines, searches and meta-estimators."""

import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from cases import SOLVERS
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.ensemble import BaggingRegressor, StackingRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, RFECV, SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, RANSACRegressor
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler

from sklearn_sgdopt import GradientDescentRegressor
from sklearn_sgdopt.onnx import register


def make(solver="adam", **options):
    return GradientDescentRegressor(solver, **({"tol": None, "epochs": 100, "random_state": 0} | options))


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True, scaled=False)


@pytest.fixture(scope="module")
def regression():
    """Raw features of unlike scale, of which the first three matter."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 8)) * np.geomspace(1e-2, 1e3, 8) + 10.0
    return X, X[:, :3] @ [3000.0, -400.0, 70.0] + rng.normal(size=300)


# ------------------------------------------------------------------------------------ composition


@pytest.mark.parametrize("solver", SOLVERS)
def test_pipeline(solver, diabetes):
    X, y = diabetes
    pipeline = make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=True), make(solver)).fit(
        X, y
    )
    assert pipeline.score(X, y) > 0.5
    assert pipeline[-1].coef_[0] == 0.0  # the column of ones
    assert pipeline[:-1].transform(X) @ pipeline[-1].coef_ + pipeline[-1].intercept_ == pytest.approx(
        pipeline.predict(X), rel=1e-12
    )


@pytest.mark.parametrize("sparse_threshold", [0.0, 1.0], ids=["dense", "sparse"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_column_transformer_on_a_frame(solver, sparse_threshold):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({
        "size": rng.uniform(20, 200, 400), "town": rng.choice(["Ulm", "Bonn", "Kiel"], 400), "unused": "text",
        "age": rng.integers(0, 100, 400),
    })  # fmt: skip
    y = 3.0 * frame["size"] - frame["age"] + frame["town"].map({"Ulm": 0.0, "Bonn": 50.0, "Kiel": -80.0})
    columns = ColumnTransformer(
        [("town", OneHotEncoder(), ["town"]), ("numbers", "passthrough", ["size", "age"])],
        sparse_threshold=sparse_threshold,
    )
    model = make_pipeline(columns, make(solver, batch_size=16)).fit(frame, y)
    assert sparse.issparse(model[0].transform(frame)) == bool(sparse_threshold)
    assert model.score(frame, y) > 0.99
    assert model.predict(frame.iloc[::-1])[::-1] == pytest.approx(model.predict(frame), rel=1e-12)


def test_transformed_target(regression):
    X, y = regression
    log = TransformedTargetRegressor(make(), func=np.log, inverse_func=np.exp)
    positive = np.exp((y - y.mean()) / y.std())
    assert log.fit(X, positive).score(X, positive) > 0.9
    both = TransformedTargetRegressor(make("sgd"), transformer=StandardScaler()).fit(
        X, np.column_stack([y, -y])
    )
    assert both.predict(X).shape == (300, 2)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_bagging(solver, n_jobs, regression):
    X, y = regression
    bagging = BaggingRegressor(make(solver, epochs=30), n_estimators=4, n_jobs=n_jobs, random_state=0)
    bagging.fit(X, y, sample_weight=np.linspace(0.5, 1.5, 300))
    assert bagging.score(X, y) > 0.99
    assert len({estimator.coef_[0] for estimator in bagging.estimators_}) == 4


@pytest.mark.parametrize("solver", SOLVERS)
def test_feature_selection(solver, regression):
    X, y = regression
    scaled = StandardScaler().fit_transform(X)
    expected = np.abs(LinearRegression().fit(scaled, y).coef_).argsort()[-2:]
    for selector in (
        RFE(make(solver), n_features_to_select=2),
        RFECV(make(solver, epochs=30), min_features_to_select=2, cv=3),
        SelectFromModel(make(solver), max_features=2, threshold=-np.inf),
        SelectFromModel(make(solver, penalty="l1", alpha=10.0), threshold=1e-3),
    ):
        support = selector.fit(scaled, y).get_support()
        assert support[expected].all()
        assert selector.transform(X).shape[1] == support.sum() < 8


@pytest.mark.parametrize("solver", SOLVERS)
def test_ransac_finds_the_inliers(solver, regression):
    X, y = regression
    spoiled = y.copy()
    spoiled[:30] += 1e5
    ransac = RANSACRegressor(make(solver), min_samples=20, max_trials=100, random_state=0).fit(X, spoiled)
    assert not ransac.inlier_mask_[:30].any()
    assert ransac.estimator_.score(X[30:], y[30:]) > 0.99


def test_other_meta_estimators(regression):
    X, y = regression
    targets = np.column_stack([y, X @ np.ones(8)])
    for model in (MultiOutputRegressor(make()), RegressorChain(make("gd"))):
        assert model.fit(X, targets).score(X, targets) > 0.99
    stack = StackingRegressor(
        [("sgd", make("sgd")), ("adam", make("adam"))], final_estimator=make("gd"), cv=3
    )
    assert stack.fit(X, y).score(X, y) > 0.99
    importance = permutation_importance(make().fit(X, y), X, y, random_state=0, n_repeats=2)
    assert importance.importances_mean.argmax() == 0


def test_onnx_without_skl2onnx_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r"pip install skl2onnx \(the extra `onnx` of sklearn-sgdopt\)"):
        register()


# ----------------------------------------------------------------------------------- model selection


def memory_of_rows(model, X, y):
    """Fit in a worker; tell what kind of memory the rows came in."""
    model.fit(X, y)
    return isinstance(X, np.memmap), X.flags.writeable, model.coef_, model.loss_curve_


@pytest.mark.slow
@pytest.mark.parametrize("solver", SOLVERS)
def test_memory_mapped_read_only_rows(solver, regression, tmp_path):
    X, y = regression
    model = make(solver, epochs=5)
    expected = clone(model).fit(X, y)
    joblib.dump((X, y), tmp_path / "rows")
    mapped = joblib.load(tmp_path / "rows", mmap_mode="r")
    fitted = clone(model).fit(*mapped).partial_fit(*mapped)
    assert np.array_equal(fitted.coef_, clone(expected).fit(X, y).partial_fit(X, y).coef_)
    with joblib.parallel_config("loky", n_jobs=2, max_nbytes=1):
        answers = joblib.Parallel()(joblib.delayed(memory_of_rows)(model, X, y) for _ in range(2))
    for is_mapped, writeable, coef, losses in answers:
        assert is_mapped
        assert not writeable
        assert np.array_equal(coef, expected.coef_)
        assert losses == expected.loss_curve_


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_grid_search_in_two_processes(dtype):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(20_000, 16)).astype(dtype)  # over a mebibyte: joblib maps it into the workers
    y = X @ np.arange(16.0) + rng.normal(size=20_000)
    assert X.nbytes > 1 << 20
    grid = {"solver": SOLVERS, "batch_size": [32, 1000], "learning_rate": ["auto", 1e-3]}
    search = GridSearchCV(make(epochs=2), grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 16
    assert search.best_score_ > 0.99
    alone = GridSearchCV(make(epochs=2), grid, cv=2, n_jobs=1, error_score="raise").fit(X, y)
    assert np.array_equal(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])


def test_halving_search_over_epochs(diabetes):
    X, y = diabetes
    search = HalvingGridSearchCV(
        make(), {"solver": SOLVERS, "batch_size": [8, 64]}, resource="epochs", min_resources=4,
        max_resources=64, factor=2, cv=3, n_jobs=2, random_state=0, error_score="raise",
    ).fit(X, y)  # fmt: skip
    assert search.best_score_ > 0.45
    assert search.best_params_["epochs"] >= 16


@pytest.mark.parametrize("solver", SOLVERS)
def test_cross_validation(solver, diabetes):
    X, y = diabetes
    scores = cross_validate(make(solver), X, y, cv=5, return_train_score=True, error_score="raise")
    reference = cross_validate(LinearRegression(), X, y, cv=5)
    assert scores["test_score"].mean() > reference["test_score"].mean() - 0.02
    assert cross_val_predict(make(solver), X, y, cv=3).shape == y.shape


def test_learning_and_validation_curves(diabetes):
    X, y = diabetes
    sizes, train, test = learning_curve(
        make(epochs=20), X, y, train_sizes=[50, 150, 290], cv=3, exploit_incremental_learning=True,
        error_score="raise",
    )  # fmt: skip
    assert sizes.tolist() == [50, 150, 290]
    assert np.isfinite(train).all()
    assert np.isfinite(test).all()
    _, _, test = learning_curve(make(), X, y, train_sizes=[20, 290], cv=3, error_score="raise")
    assert test[1].mean() > max(0.4, test[0].mean())
    _, test = validation_curve(
        make("gd", whiten=False), X, y, param_name="epochs", param_range=[1, 100], cv=3
    )
    assert test[1].mean() > test[0].mean()


@pytest.mark.parametrize("solver", SOLVERS)
def test_metadata_routing_brings_the_weights(solver, diabetes):
    X, y = diabetes
    weight = np.random.default_rng(0).uniform(0.0, 3.0, len(y))
    direct = make(solver).fit(StandardScaler().fit_transform(X), y, sample_weight=weight)
    with sklearn.config_context(enable_metadata_routing=True):
        model = make(solver).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        model.set_partial_fit_request(sample_weight=True)
        scorer = get_scorer("r2").set_score_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        routed = clone(pipeline).fit(X, y, sample_weight=weight)
        options = {"scoring": scorer, "cv": 2, "error_score": "raise"}
        search = GridSearchCV(pipeline, {"gradientdescentregressor__batch_size": [32]}, **options)
        search.fit(X, y, sample_weight=weight)
        scores = cross_validate(pipeline, X, y, params={"sample_weight": weight}, **options)
    assert np.array_equal(routed[-1].coef_, direct.coef_)
    assert np.array_equal(search.best_estimator_[-1].coef_, direct.coef_)
    assert scores["test_score"].mean() == pytest.approx(search.best_score_, rel=1e-12)
    assert not np.array_equal(make(solver).fit(StandardScaler().fit_transform(X), y).coef_, direct.coef_)
