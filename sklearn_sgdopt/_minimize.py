"""The update rules as methods of ``scipy.optimize.minimize``, for any smooth function."""

import numbers
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, OptimizeWarning

from sklearn_sgdopt._descend import Function, Problem, Rule, Termination, descend
from sklearn_sgdopt._parameters import PARAMETERS, Check, integer, number
from sklearn_sgdopt._update_rules import RULES

OPTIONS: Mapping[str, Check] = {
    **{name: PARAMETERS[name] for name in ("momentum", "nesterov", "beta_1", "beta_2", "epsilon")},
    "learning_rate": number(0.0, open_low=True),
    "maxiter": integer(0),
    "gtol": number(0.0),
}


def _check_options(**given: Any) -> None:
    for name, value in given.items():
        expected, accepts = OPTIONS[name]
        if not accepts(value):
            kind = ValueError if isinstance(value, str | numbers.Real) else TypeError
            raise kind(f"The option {name!r} must be {expected}; got {value!r}.")


def _read(
    *,
    maxiter: int = 10_000,
    gtol: float | None = None,
    tol: float = 1e-5,
    disp: bool = False,
    bounds: Any = None,
    constraints: Any = (),
    **ignored: Any,
) -> tuple[dict[str, Any], bool, list[str]]:
    """Return when to stop, whether to print, and which options are unknown."""
    if bounds is not None or constraints not in (None, (), []):
        raise ValueError("bounds and constraints are not supported; leave them out or use method='SLSQP'.")
    # scipy passes hess and hessp always.
    unknown = [name for name, value in ignored.items() if name not in ("hess", "hessp") or value is not None]
    return {"maxiter": maxiter, "gtol": tol if gtol is None else gtol}, disp, unknown


def _minimize(
    rule: Rule, problem: Problem, x0: Any, callback: Function | None, options: Mapping[str, Any]
) -> OptimizeResult:
    """Check what was given, descend, and describe the end as scipy does."""
    limits, disp, unknown = _read(**options)
    _check_options(**dict(zip(Rule._fields[1:], rule[1:], strict=True)), **limits)
    if unknown:  # the stack level is that of the call of scipy.optimize.minimize
        warnings.warn(f"Unknown solver options: {', '.join(unknown)}", OptimizeWarning, stacklevel=4)
    start = np.array(x0, dtype=np.float64, ndmin=1)
    if start.ndim != 1 or not np.isfinite(start).all():
        raise ValueError(f"x0 must be a vector of finite numbers; got {x0!r}.")
    reason, point, nit = descend(rule, problem, start, callback, **limits)
    status, text = reason.value
    result = OptimizeResult(
        **point._asdict(),
        nit=nit,
        nfev=problem.nfev,
        njev=problem.njev,
        success=reason is Termination.CONVERGED,
        status=status,
        message=text.format(learning_rate=rule.learning_rate, **limits),
    )
    if disp:
        print(result.message, *(f"{key}: {result[key]}" for key in ("fun", "nit", "nfev", "njev")), sep="\n")
    return result


def minimize_gd(
    fun: Function,
    x0: Any,
    args: tuple = (),
    jac: Function | None = None,
    callback: Function | None = None,
    *,
    learning_rate: float = 1e-3,
    **options: Any,
) -> OptimizeResult:
    r"""Minimise a function by gradient descent, as a method of `scipy.optimize.minimize`.

    With :math:`g_k` the gradient at :math:`a_k` and :math:`\gamma` the learning rate,
    :math:`a_{k+1} = a_k - \gamma g_k`. With a noisy gradient this is stochastic gradient descent.

    Parameters
    ----------
    fun : callable
        The function, ``fun(x, *args) -> float``.
    x0 : array_like of shape (n,)
        The start.
    args : tuple, default=()
        Further arguments of ``fun`` and ``jac``.
    jac : callable, optional
        The gradient, ``jac(x, *args) -> array_like of shape (n,)``. Default: forward
        differences, with n + 1 more evaluations in each iteration. They do not work for a noisy ``fun``.
    callback : callable, optional
        Called after each iteration as ``callback(xk)``, or ``callback(intermediate_result=...)`` if that
        is its parameter's name, with ``x``, ``fun``, ``jac`` and ``nit``. May raise StopIteration.
    learning_rate : float, default=1e-3
        The rate :math:`\gamma`. Descent converges below 2 / L, with L the largest curvature.
    **options
        ``maxiter`` : largest number of iterations, default 10,000; ``gtol`` : stop when no component of the
        gradient is larger, default ``tol`` or 1e-5; ``disp`` : whether to print how the run ended.

    Returns
    -------
    OptimizeResult
        The last ``x`` with ``fun`` and ``jac`` there; ``nit``, ``nfev``, ``njev``; ``success``, ``message``
        and ``status``: 0, the gradient is within ``gtol``; 1, ``maxiter`` is reached; 3, a value is no
        longer finite, and ``x`` is the last finite one; 99, the callback raised StopIteration.

    Raises
    ------
    ValueError
        If ``bounds`` or ``constraints`` are given, or an option is out of its range.
    TypeError
        If an option is of the wrong type, or ``jac`` given and not callable.

    Warns
    -----
    OptimizeWarning
        If an option is unknown, or ``hess`` or ``hessp`` given: only gradients are used.

    References
    ----------
    A. Cauchy, "Méthode générale pour la résolution des systèmes d'équations simultanées",
    Comptes rendus 25, 1847.

    Examples
    --------
    >>> from scipy.optimize import minimize
    >>> from sklearn_sgdopt import minimize_gd
    >>> def fun(x):
    ...     return (x[0] - 1) ** 2 + 5 * (x[1] + 2) ** 2
    >>> result = minimize(fun, [0, 0], method=minimize_gd, options={"learning_rate": 0.05})
    >>> result.success, result.x.round(3)
    (True, array([ 1., -2.]))
    """
    rule = Rule(RULES["sgd"], learning_rate)
    return _minimize(rule, Problem(fun, jac, args), x0, callback, options)


def minimize_momentum(
    fun: Function,
    x0: Any,
    args: tuple = (),
    jac: Function | None = None,
    callback: Function | None = None,
    *,
    learning_rate: float = 1e-3,
    momentum: float = 0.9,
    nesterov: bool = False,
    **options: Any,
) -> OptimizeResult:
    r"""Minimise a function by descent with momentum, as a method of `scipy.optimize.minimize`.

    With :math:`g_k` the gradient at :math:`a_k`, :math:`\gamma` the learning rate, :math:`\eta` the
    momentum and :math:`m_0 = 0`: :math:`m_k = \eta m_{k-1} + g_k`, :math:`a_{k+1} = a_k - \gamma m_k`.

    Parameters
    ----------
    fun, x0, args, jac, callback : callable, array_like, tuple, callable, callable
        As for `minimize_gd`.
    learning_rate : float, default=1e-3
        The rate :math:`\gamma`; along a steady gradient it grows to :math:`\gamma / (1 - \eta)`.
    momentum : float, default=0.9
        The inertia :math:`\eta`, in [0, 1).
    nesterov : bool, default=False
        Step along :math:`g_k + \eta m_k`.
    **options
        ``maxiter``, ``gtol`` and ``disp``, as for `minimize_gd`.

    Returns
    -------
    OptimizeResult
        As of `minimize_gd`.

    Raises
    ------
    ValueError
        If ``bounds`` or ``constraints`` are given, or an option is out of its range.
    TypeError
        If an option is of the wrong type, or ``jac`` given and not callable.

    Warns
    -----
    OptimizeWarning
        If an option is unknown, or ``hess`` or ``hessp`` given: only gradients are used.

    References
    ----------
    B. T. Polyak, "Some methods of speeding up the convergence of iteration methods",
    USSR Computational Mathematics and Mathematical Physics 4(5), 1964.

    Examples
    --------
    >>> from scipy.optimize import minimize, rosen, rosen_der
    >>> from sklearn_sgdopt import minimize_momentum
    >>> result = minimize(rosen, [0, 0], jac=rosen_der, method=minimize_momentum)
    >>> result.success, result.x.round(3)
    (True, array([1., 1.]))
    """
    _check_options(nesterov=nesterov)
    code = RULES["nesterov" if nesterov else "momentum"]
    rule = Rule(code, learning_rate, momentum=momentum)
    return _minimize(rule, Problem(fun, jac, args), x0, callback, options)


def minimize_adam(
    fun: Function,
    x0: Any,
    args: tuple = (),
    jac: Function | None = None,
    callback: Function | None = None,
    *,
    learning_rate: float = 0.01,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    **options: Any,
) -> OptimizeResult:
    r"""Minimise a function by Adam, as a method of `scipy.optimize.minimize`.

    With :math:`g_k` the gradient at :math:`a_k`, :math:`\gamma` the learning rate and
    :math:`m_0 = v_0 = 0`: :math:`m_k = \beta_1 m_{k-1} + (1 - \beta_1) g_k`,
    :math:`v_k = \beta_2 v_{k-1} + (1 - \beta_2) g_k^2`,
    :math:`a_{k+1} = a_k - \gamma \hat m_k / \sqrt{\hat v_k + \epsilon}`, where
    :math:`\hat m_k = m_k / (1 - \beta_1^k)` and :math:`\hat v_k = v_k / (1 - \beta_2^k)`.

    Parameters
    ----------
    fun, x0, args, jac, callback : callable, array_like, tuple, callable, callable
        As for `minimize_gd`.
    learning_rate : float, default=0.01
        The rate :math:`\gamma`, in units of x: about the length of a step in each coordinate.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the moments, in [0, 1).
    epsilon : float, default=1e-8
        The :math:`\epsilon` inside the square root, in units of the gradient squared.
    **options
        ``maxiter``, ``gtol`` and ``disp``, as for `minimize_gd`.

    Returns
    -------
    OptimizeResult
        As of `minimize_gd`.

    Raises
    ------
    ValueError
        If ``bounds`` or ``constraints`` are given, or an option is out of its range.
    TypeError
        If an option is of the wrong type, or ``jac`` given and not callable.

    Warns
    -----
    OptimizeWarning
        If an option is unknown, or ``hess`` or ``hessp`` given: only gradients are used.

    References
    ----------
    D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Examples
    --------
    A gradient with noise, as that of mini-batches. It leaves a saddle point:

    >>> import numpy as np
    >>> from scipy.optimize import minimize
    >>> from sklearn_sgdopt import minimize_adam
    >>> noise = np.random.default_rng(0)
    >>> def fun(x):
    ...     return x[0] ** 2 - x[1] ** 2 + x[1] ** 4 / 4
    >>> def jac(x):
    ...     return np.array([2 * x[0], x[1] ** 3 - 2 * x[1]]) + 0.01 * noise.standard_normal(2)
    >>> result = minimize(fun, [0, 0], jac=jac, method=minimize_adam, options={"maxiter": 1000})
    >>> round(result.fun, 2)
    -1.0
    """
    rule = Rule(RULES["adam"], learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
    return _minimize(rule, Problem(fun, jac, args), x0, callback, options)
