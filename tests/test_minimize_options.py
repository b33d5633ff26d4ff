"""Options of the methods for `scipy.optimize.minimize`: what is refused, what warns, what is printed."""

from typing import Any, cast

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import Bounds, LinearConstraint, OptimizeWarning, minimize

from sklearn_sgdopt._minimize import minimize_adam, minimize_gd, minimize_momentum

METHODS = [minimize_gd, minimize_momentum, minimize_adam]
HESSIAN = np.diag([1.0, 3.0, 10.0]) + 0.5
CENTER = np.array([1.0, -2.0, 0.5])


def quadratic(x):
    return 0.5 * (x - CENTER) @ HESSIAN @ (x - CENTER)


def quadratic_gradient(x):
    return HESSIAN @ (x - CENTER)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "extra", [{"options": {"lerning_rate": 0.1}}, {"hess": quadratic}, {"hessp": quadratic}]
)
def test_what_is_not_used_warns(method, extra):
    name = next(iter(extra.get("options", extra)))
    with pytest.warns(OptimizeWarning, match=f"Unknown solver options: {name}") as record:
        result = minimize(quadratic, CENTER, jac=quadratic_gradient, method=method, **extra)
    assert result.success
    assert record[0].filename == __file__


def test_options_of_another_rule_warn():
    options = {"momentum": 0.5, "beta_1": 0.5}
    with pytest.warns(OptimizeWarning, match="momentum, beta_1"):
        minimize(quadratic, CENTER, jac=quadratic_gradient, method=minimize_gd, options=options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "extra",
    [
        {"bounds": [(0, 1)] * 3},
        {"bounds": Bounds(0, 1)},
        {"constraints": {"type": "eq", "fun": quadratic}},
        {"constraints": [{"type": "eq", "fun": quadratic}]},
        {"constraints": LinearConstraint(np.eye(3), 0, 1)},
    ],
)
def test_bounds_and_constraints_are_refused(method, extra):
    with pytest.raises(ValueError, match=r"not supported.*SLSQP"):
        minimize(quadratic, CENTER, jac=quadratic_gradient, method=method, **extra)


@pytest.mark.parametrize("constraints", [(), [], None])
def test_no_constraints_are_no_error(constraints):
    assert minimize(
        quadratic, CENTER, jac=quadratic_gradient, method=minimize_gd, constraints=constraints
    ).success


@pytest.mark.parametrize(
    ("method", "name", "value", "error"),
    [
        (minimize_gd, "learning_rate", 0.0, ValueError),
        (minimize_gd, "learning_rate", np.nan, ValueError),
        (minimize_gd, "learning_rate", "auto", ValueError),
        (minimize_gd, "learning_rate", None, TypeError),
        (minimize_gd, "maxiter", -1, ValueError),
        (minimize_gd, "maxiter", 10.5, ValueError),
        (minimize_gd, "gtol", -1e-5, ValueError),
        (minimize_momentum, "momentum", 1.0, ValueError),
        (minimize_momentum, "nesterov", "no", ValueError),
        (minimize_adam, "beta_1", 1.0, ValueError),
        (minimize_adam, "beta_2", -0.1, ValueError),
        (minimize_adam, "epsilon", 0.0, ValueError),
    ],
)
def test_options_out_of_range(method, name, value, error):
    with pytest.raises(error, match=f"'{name}' must be .*; got {value!r}"):
        minimize(quadratic, CENTER, jac=quadratic_gradient, method=method, options={name: value})


@pytest.mark.parametrize(
    ("fun", "jac", "x0", "message"),
    [
        (lambda x: x, quadratic_gradient, CENTER, r"fun must return one number; .*\(3,\)"),
        (quadratic, lambda x: x[:2], CENTER, r"shape \(3,\).*got \(2,\)"),
        (quadratic, quadratic_gradient, [0, np.nan, 0], "x0 must be a vector of finite numbers"),
    ],
)
def test_bad_functions_and_starts(fun, jac, x0, message):
    with pytest.raises(ValueError, match=message):
        minimize(fun, x0, jac=jac, method=minimize_adam)


def test_called_without_scipy():
    result = minimize_gd(quadratic, [0, 0, 0], jac=quadratic_gradient, learning_rate=0.05)
    assert_allclose(result.x, CENTER, atol=1e-4)
    with pytest.raises(ValueError, match="vector"):
        minimize_gd(quadratic, np.zeros((3, 1)), jac=quadratic_gradient)
    with pytest.raises(TypeError, match=r"got True.*scipy\.optimize\.minimize"):
        minimize_gd(quadratic, [0, 0, 0], jac=cast(Any, True))


@pytest.mark.parametrize("x0", [3, 3.0, [3], np.array([3]), np.array([3.0], dtype=np.float32)])
def test_one_dimension(x0):
    result = minimize(
        lambda x: (x - 1) ** 2,
        x0,
        jac=lambda x: 2 * (x - 1),
        method=minimize_gd,
        options={"learning_rate": 0.2},
    )
    assert result.x.dtype == np.float64
    assert_allclose(result.x, [1.0], atol=1e-5)


def test_display(capsys):
    minimize(quadratic, CENTER, jac=quadratic_gradient, method=minimize_gd)
    assert capsys.readouterr().out == ""
    result = minimize(quadratic, CENTER, jac=quadratic_gradient, method=minimize_gd, options={"disp": True})
    lines = capsys.readouterr().out.splitlines()
    assert lines == [result.message, "fun: 0.0", "nit: 0", "nfev: 1", "njev: 1"]
