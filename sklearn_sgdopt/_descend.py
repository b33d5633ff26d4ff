"""Descent on any function: one update after another, until a gradient is small or something else ends it."""

import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import OptimizeResult, approx_fprime

from sklearn_sgdopt import _kernels

Function = Callable[..., Any]

# As in scipy's methods, but relative where coordinates are large.
DIFFERENCE_STEP = float(np.sqrt(np.finfo(np.float64).eps))


class Termination(Enum):
    """Why a run ended: status, numbered as in scipy's BFGS, and message."""

    CONVERGED = 0, "No component of the gradient is larger than gtol={gtol:g}."
    EXHAUSTED = 1, "maxiter={maxiter} iterations were made before the gradient was within gtol={gtol:g}."
    DIVERGED = 3, "x, fun or jac is no longer finite; try a learning_rate below {learning_rate:g}."
    BAD_START = 3, "fun or jac is not finite at x0; start where both are."
    STOPPED = 99, "`callback` raised `StopIteration`."


class Rule(NamedTuple):
    """Code of an update rule and its hyperparameters; what a rule does not read stays at its default."""

    code: int
    learning_rate: float
    momentum: float = 0.0
    beta_1: float = 0.0
    beta_2: float = 0.0
    epsilon: float = 1.0


class Point(NamedTuple):
    """A place with what the function is there."""

    x: np.ndarray
    fun: float
    jac: np.ndarray

    def is_finite(self) -> bool:
        """Tell whether nothing overflowed."""
        return bool(np.isfinite(self.fun) and np.isfinite(self.x).all() and np.isfinite(self.jac).all())


class Problem:
    """The user's function and gradient with their arguments, checked and counted."""

    def __init__(self, fun: Function, jac: Function | None, args: tuple) -> None:
        if jac is not None and not callable(jac):
            raise TypeError(
                f"jac must be callable or None; got {jac!r}. Call scipy.optimize.minimize with this function "
                "as method: it also takes jac=True, for a fun that returns value and gradient."
            )
        self.fun, self.jac, self.args = fun, jac, args
        self.nfev = self.njev = 0

    def at(self, x: np.ndarray) -> Point:
        """Evaluate at ``x``, the value first: with jac=True scipy keeps the gradient that came with it."""
        if not np.isfinite(x).all():  # where many functions raise
            return Point(x, np.nan, np.full_like(x, np.nan))
        with np.errstate(over="ignore", invalid="ignore"):  # the result says so
            return Point(x, self.value(x), self.gradient(x))

    def value(self, x: np.ndarray) -> float:
        """Return fun(x), of a copy that fun may keep or write to."""
        self.nfev += 1
        value = np.asarray(self.fun(x.copy(), *self.args))
        if value.size != 1:
            raise ValueError(f"fun must return one number; got an array of shape {value.shape}.")
        return float(value.item())

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return jac(x), copied since jac may reuse its array, or forward differences."""
        self.njev += 1
        if self.jac is None:
            return np.asarray(approx_fprime(x, self.value, DIFFERENCE_STEP * np.maximum(1.0, np.abs(x))))
        gradient = np.array(self.jac(x.copy(), *self.args), dtype=np.float64, ndmin=1)
        if gradient.shape != x.shape:
            raise ValueError(f"jac must return an array of shape {x.shape}, as x0 has; got {gradient.shape}.")
        return gradient


def reporter(callback: Function | None) -> Callable[[Point, int], Any]:
    """Return what shows a point to ``callback``, in the form that its parameter's name asks for."""
    if callback is None:
        return lambda point, nit: None
    if set(inspect.signature(callback).parameters) == {"intermediate_result"}:
        return lambda point, nit: callback(
            intermediate_result=OptimizeResult(x=point.x.copy(), fun=point.fun, jac=point.jac.copy(), nit=nit)
        )
    return lambda point, nit: callback(point.x.copy())


def descend(
    rule: Rule, problem: Problem, x0: np.ndarray, callback: Function | None, *, maxiter: int, gtol: float
) -> tuple[Termination, Point, int]:
    """Run the rule from ``x0``; return why it ended, where, and after how many iterations."""
    report = reporter(callback)
    code, rate, *rest = rule
    hyperparameters: dict[str, Any] = dict(zip(Rule._fields[2:], map(float, rest), strict=True))
    kernel_rule = _kernels.Rule(code, float(rate), **hyperparameters)
    first, second = np.zeros_like(x0), np.zeros_like(x0)
    point, nit = problem.at(x0), 0
    if not point.is_finite():
        return Termination.BAD_START, point, nit
    while True:
        if np.max(np.abs(point.jac), initial=0.0) <= gtol:
            return Termination.CONVERGED, point, nit
        if nit == maxiter:
            return Termination.EXHAUSTED, point, nit
        x = point.x.copy()
        with np.errstate(over="ignore", invalid="ignore"):
            _kernels.update_vector(kernel_rule, x, point.jac, first, second, nit + 1)
        proposal = problem.at(x)
        if not proposal.is_finite():
            return Termination.DIVERGED, point, nit
        point, nit = proposal, nit + 1
        try:
            report(point, nit)
        except StopIteration:
            return Termination.STOPPED, point, nit
