"""The update rules as methods of ``scipy.optimize.minimize``, for any smooth function."""

import inspect
import warnings
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import OptimizeResult, OptimizeWarning, approx_fprime

from sklearn_sgdopt._lazy import kernels
from sklearn_sgdopt._validation import BOOLEAN, Check, integer, number

MAXITER = 10_000
GTOL = 1e-5
# As scipy's BFGS steps where no jac is given, but relative where coordinates are large.
DIFFERENCE_STEP = float(np.sqrt(np.finfo(np.float64).eps))

OPTIONS: Mapping[str, Check] = {
    "learning_rate": number(0.0, open_low=True),
    "momentum": number(0.0, 1.0),
    "nesterov": BOOLEAN,
    "beta_1": number(0.0, 1.0),
    "beta_2": number(0.0, 1.0),
    "epsilon": number(0.0, open_low=True),
    "maxiter": integer(0),
    "gtol": number(0.0),
}


class Termination(Enum):
    """Why a run ended: status as in scipy's BFGS, and message."""

    CONVERGED = 0, "No component of the gradient is larger than gtol={gtol:g}."
    EXHAUSTED = 1, "maxiter={maxiter} iterations were made before the gradient was within gtol={gtol:g}."
    DIVERGED = 3, (
        "x, fun or jac overflowed or became NaN with learning_rate={learning_rate:g}; x is the last "
        "iterate where all were finite. Try a smaller learning_rate."
    )
    BAD_START = 3, "fun or jac is not finite at x0. Start where both are."
    STOPPED = 99, "`callback` raised `StopIteration`."


class Rule(NamedTuple):
    """Code of an update rule, and the lecture's hyperparameters, those it does not use at any value."""

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
        """Whether nothing overflowed."""
        return bool(np.isfinite(self.fun) and np.isfinite(self.x).all() and np.isfinite(self.jac).all())


class Problem:
    """The user's function and gradient with their arguments, checked and counted."""

    def __init__(self, fun: Callable[..., Any], jac: Callable[..., Any] | None, args: tuple[Any, ...]) -> None:
        if jac is not None and not callable(jac):
            raise TypeError(
                f"jac must be callable or None; got {jac!r}. Pass the method to scipy.optimize.minimize, "
                "which also takes jac=True for a fun that returns (value, gradient)."
            )
        self.fun, self.jac, self.args = fun, jac, args
        self.nfev = self.njev = 0

    def at(self, x: np.ndarray) -> Point:
        """Evaluate at ``x``, the value first: with jac=True scipy keeps the gradient that came along."""
        if not np.isfinite(x).all():  # many functions raise where x is not finite
            return Point(x, np.nan, np.full_like(x, np.nan))
        return Point(x, self.value(x), self.gradient(x))

    def value(self, x: np.ndarray) -> float:
        self.nfev += 1
        value = np.asarray(self.fun(x.copy(), *self.args))  # a copy: fun may keep x, or write to it
        if value.size != 1:
            raise ValueError(f"fun must return a single number; got an array of shape {value.shape}.")
        return float(value.item())

    def gradient(self, x: np.ndarray) -> np.ndarray:
        self.njev += 1
        if self.jac is None:
            step = DIFFERENCE_STEP * np.maximum(1.0, np.abs(x))
            return np.asarray(approx_fprime(x, self.value, step))
        gradient = np.array(self.jac(x.copy(), *self.args), dtype=np.float64, ndmin=1)
        if gradient.shape != x.shape:
            raise ValueError(f"jac must return an array of shape {x.shape}, as x0; got {gradient.shape}.")
        return gradient


def _check_options(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        expected, accepts = OPTIONS[name]
        if not accepts(value):
            raise ValueError(f"The option {name!r} must be {expected}; got {value!r}.")


def _refuse_unsupported(given: dict[str, Any]) -> None:
    """Raise or warn about what `minimize` passes to every method and these cannot use."""
    for name in ("bounds", "constraints"):
        value = given.pop(name, None)
        if value is not None and value != () and value != []:
            raise ValueError(
                f"{name} is not supported: gradient descent moves freely; got {value!r}. Leave it out, "
                "or use a method that takes it, such as 'SLSQP'."
            )
    for name in ("hess", "hessp"):
        if given.pop(name, None) is not None:
            warnings.warn(f"{name} is not used: only gradients are.", RuntimeWarning, stacklevel=5)
    if given:
        names = ", ".join(given)
        warnings.warn(f"Unknown solver options: {names}", OptimizeWarning, stacklevel=5)


def _reporter(callback: Callable[..., Any] | None) -> Callable[[Point, int], None]:
    """Return a function that shows a point to ``callback``, in the form its parameter name asks for."""
    if callback is None:
        return lambda point, nit: None
    if set(inspect.signature(callback).parameters) == {"intermediate_result"}:
        return lambda point, nit: callback(
            intermediate_result=OptimizeResult(
                x=point.x.copy(), fun=point.fun, jac=point.jac.copy(), nit=nit
            )
        )
    return lambda point, nit: callback(point.x.copy())
