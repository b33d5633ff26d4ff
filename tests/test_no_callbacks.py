"""The package where scikit-learn has no callbacks: the same models, and warnings that point at the caller."""

import importlib
import sys
from unittest import mock

import numpy as np
import pytest
from reference import make_problem
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import sklearn_sgdopt

X, Y, WEIGHT = make_problem(40)


@pytest.fixture(params=["as installed", "without callbacks"])
def package(request):
    """Return the package, imported anew where callbacks are to be absent."""
    if request.param == "as installed":
        yield sklearn_sgdopt
        return
    with mock.patch.dict(sys.modules, {"sklearn.callback": None}):
        for name in [*sys.modules]:
            # The compiled kernels know nothing of scikit-learn.
            if name.partition(".")[0] == "sklearn_sgdopt" and not name.startswith("sklearn_sgdopt._kernels"):
                del sys.modules[name]
        anew = importlib.import_module("sklearn_sgdopt")
        assert not hasattr(anew.GradientDescentRegressor, "set_callbacks")
        yield anew


@pytest.mark.parametrize("solver", ["gd", "sgd", "momentum", "adam"])
def test_models_are_the_same(solver, package):
    options = {"solver": solver, "tol": None, "epochs": 3, "random_state": 0}
    expected = sklearn_sgdopt.GradientDescentRegressor(**options).fit(X, Y, sample_weight=WEIGHT)
    model = package.GradientDescentRegressor(**options)
    copied = clone(model).fit(X, Y, sample_weight=WEIGHT)
    assert np.array_equal(copied.coef_, expected.coef_)
    assert np.array_equal(copied.partial_fit(X, Y).coef_, expected.partial_fit(X, Y).coef_)
    assert copied.get_params() == expected.get_params()


@pytest.mark.parametrize(("method", "options", "message"), [
    ("fit", {"epochs": 2}, "still falling"),
    ("fit", {"learning_rate": 1e3, "epochs": 9, "standardize": False}, "diverged"),
    ("partial_fit", {"learning_rate": 1e3, "standardize": False}, "diverged"),
])  # fmt: skip
def test_warnings_point_at_the_caller(method, options, message, package):
    model = package.GradientDescentRegressor("sgd", random_state=0, **options)
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        getattr(model, method)(X, Y)
    assert [warning.filename for warning in caught] == [__file__]
