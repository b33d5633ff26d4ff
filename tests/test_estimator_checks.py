"""scikit-learn's own checks, all of them run, and what they leave open of input and output."""

import tracemalloc
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from cases import SOLVERS
from reference import assert_close, make_problem
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

from sklearn_sgdopt import GradientDescentRegressor

LOSSES = ("squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive", "quantile")
PENALTIES = (None, "l2", "l1", "elasticnet")
LEAST_CHECKS = 57  # scikit-learn 1.6 yields 60 for this estimator, 1.9 yields 61
# A repeated row is in two batches, or in two parts of a split, where a weight of 2 is in one.
ROWS_COUNT = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}
NEVER_MISSING = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_estimator_sparse_tag",
    "check_regressor_multioutput",
    "check_regressors_train",
    "check_readonly_memmap_input",
    "check_estimators_pickle",
    "check_estimators_partial_fit_n_features",
    "check_fit2d_1sample",
    "check_n_features_in_after_fitting",
    "check_dict_unchanged",
    "check_fit_idempotent",
    "check_positive_only_tag_during_fit",
}


def assert_all_checks_pass(estimator, but=()):
    """Run every check that the installed scikit-learn has for ``estimator``; all must pass ``but`` those."""
    with warnings.catch_warnings():
        # The checks fit noise, a row or two, and columns of any scale: "not yet converged" is right there.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="R.2. score is not well-defined")
        results = check_estimator(estimator, on_skip=None, on_fail=None)
    not_passed = {
        r["check_name"]: f"{r['status']}: {r['exception']!r}" for r in results if r["status"] != "passed"
    }
    assert {name: why for name, why in not_passed.items() if name not in but} == {}
    expected = [getattr(check, "func", check).__name__ for _, check in estimator_checks_generator(estimator)]
    assert len(results) == len(expected) >= LEAST_CHECKS
    ran = {result["check_name"] for result in results}
    assert ran == set(expected)
    return ran


@pytest.mark.parametrize("solver", SOLVERS)
def test_defaults(solver):
    ran = assert_all_checks_pass(GradientDescentRegressor(solver))
    assert ran >= NEVER_MISSING


@pytest.mark.parametrize("options", [
    {"standardize": False, "learning_rate": 0.01},
    {"average": True},
    {"average": False},
    {"fit_intercept": False},
    {"schedule": "invscaling"},
    {"schedule": "adaptive", "epochs": 20},  # later, the last digit of the loss decides when the rate is cut
    {"nesterov": True, "solver": "momentum"},
    {"warm_start": True, "solver": "sgd"},
], ids=str)  # fmt: skip
def test_settings(options):
    estimator = GradientDescentRegressor(**({"solver": "gd", "epochs": 100} | options))
    assert_all_checks_pass(estimator)


@pytest.mark.parametrize("options", [
    {"early_stopping": True, "validation_fraction": 0.4},
    {"solver": "sgd", "batch_size": 1},
    {"solver": "momentum", "batch_size": 2},
    {"solver": "adam", "batch_size": 3},
], ids=str)  # fmt: skip
def test_settings_in_which_a_weight_is_not_a_count(options):
    estimator = GradientDescentRegressor(**({"solver": "gd", "epochs": 50} | options))
    assert_all_checks_pass(estimator, but=ROWS_COUNT)


# Every loss with every penalty, the solvers taking turns, so that each meets each loss and each penalty.
COMBINATIONS = [
    (SOLVERS[(i + j) % len(SOLVERS)], loss, penalty)
    for i, loss in enumerate(LOSSES)
    for j, penalty in enumerate(PENALTIES)
]


@pytest.mark.parametrize(("solver", "loss", "penalty"), COMBINATIONS)
def test_losses_and_penalties(solver, loss, penalty):
    assert_all_checks_pass(
        GradientDescentRegressor(solver, loss=loss, penalty=penalty, alpha=1e-3, epochs=50)
    )


def test_tags_tell_what_the_estimator_can_do():
    tags = get_tags(GradientDescentRegressor())
    assert tags.estimator_type == "regressor"
    assert tags.target_tags.required
    assert tags.target_tags.multi_output
    assert tags.input_tags.sparse
    assert not tags.input_tags.allow_nan
    assert not tags.non_deterministic
    assert not tags.regressor_tags.poor_score


def test_constructor_takes_everything_but_the_solver_by_name():
    with pytest.raises(TypeError, match="positional"):
        GradientDescentRegressor("sgd", 100)
    model = GradientDescentRegressor("sgd", epochs=7)
    assert (model.solver, model.epochs) == ("sgd", 7)
    X = np.arange(6.0).reshape(3, 2)
    assert not hasattr(model, "coef_")
    with pytest.raises(ValueError, match="not fitted"):
        model.predict(X)


def make(solver="adam", **options):
    return GradientDescentRegressor(solver, **({"tol": None, "epochs": 100, "random_state": 0} | options))


# ------------------------------------------------------------------------------------- what comes in


FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame}


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_frames_bring_names(solver, library):
    X, y, weight = make_problem()
    names = ["a", "b", "c", "d"]
    frame = FRAMES[library]({name: X[:, j] for j, name in enumerate(names)})
    series = {"pandas": pd.Series, "polars": pl.Series}[library]
    model = make(solver).fit(frame, series(y), sample_weight=series(weight))
    assert model.feature_names_in_.tolist() == names
    assert np.array_equal(model.coef_, make(solver).fit(X, y, sample_weight=weight).coef_)
    assert type(model.predict(frame)) is np.ndarray
    assert model.partial_fit(frame, series(y)).predict(frame[names]).shape == y.shape
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


@pytest.mark.parametrize("prepare", [
    lambda X: X.tolist(), np.asfortranarray, lambda X: X.astype(int), lambda X: X.astype(np.float16),
    lambda X: X.astype(object), lambda X: np.repeat(X, 2, axis=0)[::2], lambda X: X.astype(">f8"),
    lambda X: pd.DataFrame(X).convert_dtypes(), lambda X: X.astype(np.longdouble), sparse.csc_matrix,
    sparse.coo_array,
], ids=["list", "F", "int", "half", "object", "view", "swap", "null", "long", "csc", "coo"])  # fmt: skip
def test_other_forms_of_the_same_numbers(prepare):
    rng = np.random.default_rng(3)
    X = rng.integers(-5, 6, (50, 3)).astype(float)
    y = X @ [1.0, 2.0, 3.0] + rng.normal(size=50)
    options = {"standardize": False, "learning_rate": 0.01, "epochs": 5}
    model = make(**options).fit(prepare(X), y)
    assert model.coef_.dtype == np.float64
    assert_close(model.coef_, make(**options).fit(X, y).coef_, 1e-12)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_float32_stays_float32(solver, standardize, outputs):
    X, y, _ = make_problem(outputs=outputs)
    narrow = X.astype(np.float32)
    options = {"epochs": 5, "standardize": standardize, "learning_rate": 0.003}
    model, wide = make(solver, **options).fit(narrow, y), make(solver, **options).fit(X, y)
    for array in (model.coef_, model.intercept_, model.predict(narrow), model.partial_fit(narrow, y).coef_):
        assert array.dtype == np.float32
    for array in (wide.coef_, wide.intercept_, wide.predict(X)):
        assert array.dtype == np.float64
    assert_close(make(solver, **options).fit(narrow, y).coef_, wide.coef_, 1e-5)
    shape = () if outputs == 1 else (outputs,)
    assert model.coef_.shape == (*shape, 4)
    assert np.shape(model.intercept_) == shape
    assert model.predict(narrow).shape == y.shape


def test_y_of_one_column():
    X, y, _ = make_problem()
    column, flat = make().fit(X, y[:, None]), make().fit(X, y)
    assert column.coef_.shape == (1, 4)
    assert column.predict(X).shape == (96, 1)
    assert np.array_equal(column.coef_[0], flat.coef_)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", SOLVERS)
def test_rows_are_not_copied(solver, dtype):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(20_000, 64)).astype(dtype)
    y = X[:, 0] + rng.normal(size=20_000)
    before = X.copy(), y.copy()
    make(solver, epochs=1).fit(X, y).partial_fit(X, y)  # compiles
    model = make(solver, epochs=2)
    for method in (model.fit, model.partial_fit):
        tracemalloc.start()
        method(X, y)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < X.nbytes / 2
    assert np.array_equal(X, before[0])
    assert np.array_equal(y, before[1])


# -------------------------------------------------------------------------------------- what goes out


@pytest.mark.parametrize("verbose", [0, 1, 2, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_verbose_prints_a_line_an_epoch(solver, verbose, capsys):
    X, y, _ = make_problem()
    quiet = make(solver, epochs=4).fit(X, y)
    assert capsys.readouterr().out == ""
    model = make(solver, epochs=4, verbose=verbose).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == (4 if verbose else 0)
    assert all(
        f"{loss:.3g}" in line or f"{loss:.6g}" in line
        for line, loss in zip(lines, model.loss_curve_, strict=False)
    )
    assert np.array_equal(model.coef_, quiet.coef_)
    model.partial_fit(X, y)
    assert len(capsys.readouterr().out.splitlines()) == (1 if verbose else 0)


def test_html_points_to_no_site_that_does_not_exist():
    model = GradientDescentRegressor("sgd")
    assert "GradientDescentRegressor" in model._repr_html_()
    assert model._get_doc_link() == ""
    assert repr(model) == "GradientDescentRegressor(solver='sgd')"
