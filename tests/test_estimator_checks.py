"""scikit-learn's own checks: all of them run, and all of them pass."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

from sklearn_sgdopt import GradientDescentRegressor

SOLVERS = ("gd", "sgd", "momentum", "adam")
LOSSES = ("squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive", "quantile")
PENALTIES = (None, "l2", "l1", "elasticnet")
# scikit-learn 1.6 yields 57 checks for this estimator, and later versions more.
LEAST_CHECKS = 50
NEVER_MISSING = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
    "check_sample_weights_invariance",
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


def assert_all_checks_pass(estimator):
    """Run every check that the installed scikit-learn has for ``estimator``."""
    with warnings.catch_warnings():
        # The checks fit noise, a row or two, and columns of any scale: "not yet converged" is right there.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="R.2. score is not well-defined")
        results = check_estimator(estimator, on_skip=None, on_fail=None)
    not_passed = {r["check_name"]: f"{r['status']}: {r['exception']!r}" for r in results if r["status"] != "passed"}
    assert not_passed == {}
    assert not any(result["expected_to_fail"] for result in results)
    expected = [getattr(check, "func", check).__name__ for _, check in estimator_checks_generator(estimator)]
    assert len(results) == len(expected) >= LEAST_CHECKS
    ran = {result["check_name"] for result in results}
    assert ran == set(expected)
    return ran


@pytest.mark.parametrize("solver", SOLVERS)
def test_defaults(solver):
    ran = assert_all_checks_pass(GradientDescentRegressor(solver))
    assert ran >= NEVER_MISSING


@pytest.mark.compiled
@pytest.mark.parametrize("options", [
    {"standardize": False, "learning_rate": 0.01},
    {"average": True},
    {"average": False},
    {"fit_intercept": False},
    {"early_stopping": True, "validation_fraction": 0.4},
    {"schedule": "invscaling"},
    {"schedule": "adaptive"},
    {"nesterov": True, "solver": "momentum"},
    {"warm_start": True, "solver": "sgd"},
    {"batch_size": 1, "solver": "momentum"},
], ids=str)  # fmt: skip
def test_settings(options):
    estimator = GradientDescentRegressor(**({"solver": "gd", "epochs": 100} | options))
    assert_all_checks_pass(estimator)


# Every loss with every penalty, the solvers taking turns, so that each meets each loss and each penalty.
COMBINATIONS = [
    (SOLVERS[(i + j) % len(SOLVERS)], loss, penalty)
    for i, loss in enumerate(LOSSES)
    for j, penalty in enumerate(PENALTIES)
]


@pytest.mark.compiled
@pytest.mark.parametrize("solver,loss,penalty", COMBINATIONS)
def test_losses_and_penalties(solver, loss, penalty):
    assert_all_checks_pass(GradientDescentRegressor(solver, loss=loss, penalty=penalty, alpha=1e-3, epochs=50))


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
