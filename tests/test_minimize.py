"""The update rules as methods of `scipy.optimize.minimize`."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import (
    OptimizeResult,
    minimize,
    rosen,
    rosen_der,
)

from sklearn_sgdopt._minimize import minimize_adam, minimize_gd, minimize_momentum

METHODS = [minimize_gd, minimize_momentum, minimize_adam]
HESSIAN = np.diag([1.0, 3.0, 10.0]) + 0.5
CENTER = np.array([1.0, -2.0, 0.5])


def quadratic(x):
    return 0.5 * (x - CENTER) @ HESSIAN @ (x - CENTER)


def quadratic_gradient(x):
    return HESSIAN @ (x - CENTER)


def saddle(x):
    return x[0] ** 2 - x[1] ** 2 + x[1] ** 4 / 4


def saddle_gradient(x):
    return np.array([2 * x[0], -2 * x[1] + x[1] ** 3])


def fails_beyond_one(x, value):
    """Fall without end, up to x = 1, where ``value`` stands."""
    return -x[0] if x[0] < 1 else value


# Each hand-written loop takes the gradient, the start and the number of steps, and returns the path.


def gd_by_hand(g, a, steps, *, rate):
    path = [a]
    for _ in range(steps):
        path.append(path[-1] - rate * g(path[-1]))
    return path


def momentum_by_hand(g, a, steps, *, rate, eta, nesterov=False):
    path, m = [a], np.zeros_like(a)
    for _ in range(steps):
        gradient = g(path[-1])
        m = eta * m + gradient
        path.append(path[-1] - rate * (gradient + eta * m if nesterov else m))
    return path


def adam_by_hand(g, a, steps, *, rate, beta_1, beta_2, epsilon):
    path, m, v = [a], np.zeros_like(a), np.zeros_like(a)
    for k in range(1, steps + 1):
        gradient = g(path[-1])
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        path.append(path[-1] - rate * (m / (1 - beta_1**k)) / np.sqrt(v / (1 - beta_2**k) + epsilon))
    return path


RULES: dict[str, tuple[Any, dict[str, Any], Any, dict[str, Any]]] = {
    "gd": (minimize_gd, {"learning_rate": 1e-3}, gd_by_hand, {"rate": 1e-3}),
    "momentum": (
        minimize_momentum,
        {"learning_rate": 1e-3, "momentum": 0.8},
        momentum_by_hand,
        {"rate": 1e-3, "eta": 0.8},
    ),
    "nesterov": (
        minimize_momentum,
        {"learning_rate": 3e-4, "momentum": 0.9, "nesterov": True},
        momentum_by_hand,
        {"rate": 3e-4, "eta": 0.9, "nesterov": True},
    ),
    "adam": (
        minimize_adam,
        {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-6},
        adam_by_hand,
        {"rate": 0.02, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-6},
    ),
    "adam without memory": (
        minimize_adam,
        {"learning_rate": 0.02, "beta_1": 0, "beta_2": 0, "epsilon": 1},
        adam_by_hand,
        {"rate": 0.02, "beta_1": 0.0, "beta_2": 0.0, "epsilon": 1.0},
    ),
}
PROBLEMS = {
    "quadratic": (quadratic, quadratic_gradient, np.zeros(3)),
    "rosenbrock": (rosen, rosen_der, np.zeros(4)),
    "saddle": (saddle, saddle_gradient, np.array([0.5, 0.1])),
}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("rule", RULES)
def test_path_is_that_of_a_hand_written_loop(rule, problem):
    method, options, by_hand, symbols = RULES[rule]
    fun, jac, x0 = PROBLEMS[problem]
    path = [x0]
    steps = 100  # in Rosenbrock's valley rounding grows from step to step
    options = {**options, "maxiter": steps, "gtol": 0}
    result = minimize(fun, x0, jac=jac, method=method, callback=path.append, options=options)
    assert_allclose(path, by_hand(jac, x0, steps, **symbols), rtol=0, atol=1e-12)
    assert_array_equal(result.x, path[-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "options"),
    [
        (minimize_gd, {"learning_rate": 1e-3, "maxiter": 30_000}),
        (minimize_momentum, {"learning_rate": 1e-3, "momentum": 0.9}),
        (minimize_momentum, {"learning_rate": 5e-4, "momentum": 0.95, "nesterov": True}),
        (minimize_adam, {"learning_rate": 0.01}),
    ],
)
def test_rosenbrock_in_ten_dimensions(method, options):
    result = minimize(rosen, np.zeros(10), jac=rosen_der, method=method, options=options)
    assert result.success
    assert_allclose(result.x, 1.0, atol=1e-3)


def steps_to_leave_saddle(method, seed):
    generator = np.random.default_rng(seed)

    def noisy_gradient(x):
        return saddle_gradient(x) + 0.01 * generator.standard_normal(2)

    def stop_below(intermediate_result):
        if intermediate_result.fun < -0.5:
            raise StopIteration

    options = {"learning_rate": 0.01, "gtol": 0, "maxiter": 5000}
    result = minimize(saddle, [0, 0], jac=noisy_gradient, method=method, callback=stop_below, options=options)
    assert result.status == 99
    return result.nit


@pytest.mark.parametrize("seed", range(8))
def test_inertia_leaves_a_saddle_sooner(seed):
    plain = steps_to_leave_saddle(minimize_gd, seed)
    assert steps_to_leave_saddle(minimize_momentum, seed) < plain
    assert steps_to_leave_saddle(minimize_adam, seed) < plain


@pytest.mark.parametrize("method", METHODS)
def test_without_noise_a_saddle_holds(method):
    result = minimize(saddle, [0, 0], jac=saddle_gradient, method=method)
    assert result.success
    assert result.nit == 0


@pytest.mark.parametrize("jac", [quadratic_gradient, None])
@pytest.mark.parametrize("method", METHODS)
def test_agrees_with_bfgs(method, jac):
    options = {"learning_rate": 0.02, "gtol": 1e-6}
    ours = minimize(quadratic, np.zeros(3), jac=jac, method=method, options=options)
    theirs = minimize(quadratic, np.zeros(3), jac=jac, method="BFGS", options={"gtol": 1e-6})
    assert ours.success
    assert_allclose(ours.x, theirs.x, atol=2e-6)
    assert_allclose(ours.fun, theirs.fun, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_fields_of_the_result(method):
    options = {"learning_rate": 0.02}
    result = minimize(quadratic, np.zeros(3), jac=quadratic_gradient, method=method, options=options)
    assert isinstance(result, OptimizeResult)
    assert result.success is True
    assert result.status == 0
    assert "gtol=1e-05" in result.message
    assert isinstance(result.fun, float)
    assert result.fun == quadratic(result.x)
    assert_array_equal(result.jac, quadratic_gradient(result.x))
    assert np.abs(result.jac).max() <= 1e-5
    assert result.nfev == result.njev == result.nit + 1


@pytest.mark.parametrize("method", METHODS)
def test_maxiter(method):
    result = minimize(rosen, [0, 0], jac=rosen_der, method=method, options={"maxiter": 7})
    assert not result.success
    assert (result.status, result.nit) == (1, 7)
    assert "maxiter=7" in result.message


def test_no_iterations():
    result = minimize(rosen, [3, 4], jac=rosen_der, method=minimize_gd, options={"maxiter": 0})
    assert (result.status, result.nit, result.nfev) == (1, 0, 1)
    assert_array_equal(result.x, [3, 4])


@pytest.mark.parametrize(
    ("tol", "options", "expected"),
    [(None, {}, 1e-5), (1e-2, {}, 1e-2), (1e-2, {"gtol": 1e-3}, 1e-3), (None, {"gtol": 1e-3}, 1e-3)],
)
def test_tol_stands_in_for_gtol(tol, options, expected):
    options = {"learning_rate": 0.05, **options}
    result = minimize(
        quadratic, np.zeros(3), jac=quadratic_gradient, method=minimize_gd, tol=tol, options=options
    )
    assert expected / 2 < np.abs(result.jac).max() <= expected


def test_fun_that_returns_its_gradient_is_called_once_a_point():
    seen = []

    def both(x):
        seen.append(x)
        return quadratic(x), quadratic_gradient(x)

    result = minimize(both, np.zeros(3), jac=True, method=minimize_adam, options={"maxiter": 20})
    assert len(seen) == result.nfev == 21
    assert len(np.unique(seen, axis=0)) == 21  # each call got an array of its own


def test_finite_differences_are_counted():
    calls = []

    def counted(x):
        calls.append(x)
        return quadratic(x)

    result = minimize(counted, np.zeros(3), method=minimize_gd, options={"maxiter": 10})
    assert result.nfev == len(calls)
    assert result.njev == 11
    assert_allclose(result.jac, quadratic_gradient(result.x), rtol=1e-5)


@pytest.mark.parametrize("args", [(2.0, 3.0), ([2.0, 3.0],), 2.0])
@pytest.mark.parametrize("with_jac", [True, False])
def test_args(args, with_jac):
    def fun(x, *given):
        return float(np.sum((x - given[0]) ** 2))

    def jac(x, *given):
        assert len(given) == (len(args) if isinstance(args, tuple) else 1)
        return 2 * (x - given[0])

    options = {"learning_rate": 0.1}
    result = minimize(
        fun, [0, 0], args=args, jac=jac if with_jac else None, method=minimize_momentum, options=options
    )
    assert_allclose(result.x, np.broadcast_to(args[0] if isinstance(args, tuple) else args, 2), atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_both_kinds_of_callback_see_every_iterate(method):
    positional: list[Any] = []
    named: list[Any] = []

    def keep(intermediate_result):
        named.append(intermediate_result)

    arguments = {"jac": rosen_der, "method": method, "options": {"maxiter": 5}}
    result = minimize(rosen, [0, 0], callback=positional.append, **arguments)
    minimize(rosen, [0, 0], callback=keep, **arguments)
    assert len(positional) == len(named) == result.nit == 5
    for number, (x, point) in enumerate(zip(positional, named, strict=True), start=1):
        assert isinstance(point, OptimizeResult)
        assert_array_equal(point.x, x)
        assert point.fun == rosen(x)
        assert_array_equal(point.jac, rosen_der(x))
        assert point.nit == number
    assert_array_equal(positional[-1], result.x)


@pytest.mark.parametrize("method", METHODS)
def test_callback_stops_the_run(method):
    def stop(xk):
        path.append(xk)
        if len(path) == 3:
            raise StopIteration

    path: list[Any] = []
    result = minimize(rosen, [0, 0], jac=rosen_der, method=method, callback=stop)
    assert not result.success
    assert (result.status, result.nit) == (99, 3)
    assert "StopIteration" in result.message
    assert_array_equal(result.x, path[-1])


def test_callback_may_write_to_what_it_gets():
    def spoil(intermediate_result):
        intermediate_result.x[:] = np.nan
        intermediate_result.jac[:] = np.nan

    arguments = {"jac": rosen_der, "method": minimize_adam, "options": {"maxiter": 20}}
    assert_array_equal(
        minimize(rosen, [0, 0], callback=spoil, **arguments).x, minimize(rosen, [0, 0], **arguments).x
    )


def test_functions_may_write_to_x_and_reuse_their_array():
    buffer = np.empty(3)

    def fun(x):
        value = quadratic(x)
        x[:] = np.nan
        return value

    def jac(x):
        buffer[:] = quadratic_gradient(x)
        x[:] = np.nan
        return buffer

    x0 = np.zeros(3)
    spoiled = minimize(fun, x0, jac=jac, method=minimize_adam, options={"maxiter": 20})
    clean = minimize(quadratic, x0, jac=quadratic_gradient, method=minimize_adam, options={"maxiter": 20})
    assert_array_equal(spoiled.x, clean.x)
    assert_array_equal(spoiled.jac, clean.jac)
    assert_array_equal(x0, 0.0)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (minimize_gd, {"learning_rate": 1.0}),
        (minimize_gd, {"learning_rate": 1e300}),
        (minimize_gd, {"learning_rate": 1e308}),
        (minimize_momentum, {"learning_rate": 1.0}),
        (minimize_adam, {"learning_rate": 1e90}),
    ],
)
def test_divergence_keeps_the_last_finite_point(method, options):
    path = [np.zeros(4)]
    result = minimize(rosen, path[0], jac=rosen_der, method=method, callback=path.append, options=options)
    assert not result.success
    assert result.status == 3
    assert f"below {options['learning_rate']:g}" in result.message
    assert np.isfinite(result.x).all()
    assert np.isfinite(result.jac).all()
    assert np.isfinite(result.fun)
    assert result.nit == len(path) - 1
    assert_array_equal(result.x, path[-1])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", METHODS)
def test_function_that_stops_being_finite(method, value):
    options = {"learning_rate": 0.3}
    fell = minimize(
        fails_beyond_one, [0], args=(value,), jac=lambda x, _: [-1.0], method=method, options=options
    )
    assert fell.status == 3
    assert 0 < fell.x[0] < 1
    assert fell.fun == -fell.x[0]
    torn = minimize(
        lambda x: -x[0],
        [0],
        jac=lambda x: [-1.0] if x[0] < 1 else [value],
        method=method,
        options=options,
    )
    assert torn.status == 3
    assert_array_equal(torn.x, fell.x)
    assert_array_equal(torn.jac, [-1.0])


def test_function_that_is_not_finite_at_the_start():
    result = minimize(lambda x: np.nan, [1.0], jac=lambda x: [0.0], method=minimize_gd)
    assert not result.success
    assert (result.status, result.nit) == (3, 0)
    assert "x0" in result.message
