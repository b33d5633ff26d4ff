"""What parameters may be, and how others are refused."""

import copy
import math
import numbers
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from sklearn_sgdopt._hints import hint, shown
from sklearn_sgdopt._losses import LOSSES
from sklearn_sgdopt._update_rules import SOLVERS

Check = tuple[str, Callable[[Any], bool]]

MOST = 2**31 - 1  # of whatever is counted: beyond, loops never end and arrays fit nowhere


class InvalidParameterError(ValueError, TypeError):
    """A parameter of a value or a type that is not accepted, as scikit-learn's own of that name."""


def _is_integer(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_)


def _is_number(value: Any) -> bool:
    if not isinstance(value, numbers.Real) or isinstance(value, bool | np.bool_):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:  # an integer of more than 308 digits
        return False


def one_of(*options: Any) -> Check:
    """Accept one of a few values, told apart by type as well (1 is not True)."""
    return (
        "one of " + ", ".join(repr(option) for option in options),
        lambda value: any(
            (type(value) is type(option) or isinstance(value, str)) and value == option for option in options
        ),
    )


def integer(least: int) -> Check:
    """Accept an integer from ``least`` on."""
    return (
        f"an integer of at least {least} and at most 2**31 - 1",
        lambda value: _is_integer(value) and least <= value <= MOST,
    )


def number(low: float, high: float = np.inf, *, open_low: bool = False, open_high: bool = True) -> Check:
    """Accept a finite number in an interval."""

    def inside(value: Any) -> bool:
        if not _is_number(value):
            return False
        above = value > low if open_low else value >= low
        return bool(above and (value < high if open_high else value <= high))

    left, right = "(" if open_low else "[", ")" if open_high else "]"
    return f"a number in {left}{low:g}, {high:g}{right}", inside


def either(first: Check, second: Check) -> Check:
    """Accept what one of two checks accepts."""
    return f"{first[0]} or {second[0]}", lambda value: first[1](value) or second[1](value)


BOOLEAN = ("True or False", lambda value: isinstance(value, bool | np.bool_))

SEED = (
    "None, an integer from 0 to 2**32 - 1 or a numpy.random.RandomState",
    lambda value: (
        value is None
        or isinstance(value, np.random.RandomState)
        or (_is_integer(value) and 0 <= value < 2**32)
    ),
)

PARAMETERS: Mapping[str, Check] = {
    "solver": one_of(*SOLVERS),
    "loss": one_of(*LOSSES),
    "delta": either(one_of("auto"), number(0.0)),
    "quantile": number(0.0, 1.0, open_low=True),
    "penalty": one_of(None, "l2", "l1", "elasticnet"),
    "alpha": number(0.0),
    "l1_ratio": number(0.0, 1.0, open_high=False),
    "epochs": either(one_of("auto"), integer(1)),
    "batch_size": integer(1),
    "learning_rate": either(one_of("auto"), number(0.0, open_low=True)),
    "schedule": one_of("constant", "invscaling", "cosine", "adaptive"),
    "power_t": number(0.0),
    "momentum": number(0.0, 1.0),
    "nesterov": BOOLEAN,
    "beta_1": number(0.0, 1.0),
    "beta_2": number(0.0, 1.0),
    "epsilon": number(0.0, open_low=True),
    "standardize": BOOLEAN,
    "whiten": either(one_of("auto"), BOOLEAN),
    "fit_intercept": BOOLEAN,
    "average": either(one_of("auto"), BOOLEAN),
    "shuffle": BOOLEAN,
    "tol": either(one_of(None), number(0.0)),
    "n_iter_no_change": integer(1),
    "early_stopping": BOOLEAN,
    "validation_fraction": number(0.0, 1.0, open_low=True),
    "warm_start": BOOLEAN,
    "n_jobs": (
        "None or an integer other than 0, from -2**31 to 2**31 - 1",
        lambda value: value is None or (_is_integer(value) and value != 0 and -MOST - 1 <= value <= MOST),
    ),
    "random_state": SEED,
    "verbose": either(BOOLEAN, integer(0)),
}


values_of = operator.attrgetter(*PARAMETERS)  # an estimator's parameters, in this order


def check_parameters(values: tuple[Any, ...], accepted: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    """Return the values of all parameters; raise an error that names the first one out of its range.

    Values that were ``accepted`` before, the same objects, are not looked at again.
    """
    if len(accepted) == len(values) and all(map(operator.is_, values, accepted)):
        return accepted
    for (name, (expected, accepts)), value in zip(PARAMETERS.items(), values, strict=True):
        if not accepts(value):
            raise InvalidParameterError(
                f"The {name!r} parameter must be {expected}; got {shown(value)}.{hint(name, value, expected)}"
            )
    given = dict(zip(PARAMETERS, values, strict=True))
    if LOSSES[given["loss"]].needs_width and given["delta"] == 0:
        raise InvalidParameterError(
            f"The 'delta' parameter must be above 0 with loss={given['loss']!r}, which would be 0 "
            "everywhere; got 0."
        )
    return values


def make_seed(random_state: Any) -> int:
    """Return a seed as scikit-learn draws one, from an int, None or a RandomState, which stays as it is."""
    return int(check_random_state(copy.deepcopy(random_state)).randint(np.iinfo(np.int32).max))


def advance(random_state: Any) -> None:
    """Let a RandomState go on by the seed that was drawn from it, once a call has come to its end."""
    if isinstance(random_state, np.random.RandomState):
        random_state.randint(np.iinfo(np.int32).max)
