"""What is refused before any state changes: parameters, data, weights, starting points."""

import math
import numbers
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_consistent_length, validate_data

Check = tuple[str, Callable[[Any], bool]]


def _is_integer(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_)


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, numbers.Real)
        and not isinstance(value, bool | np.bool_)
        and math.isfinite(float(value))
    )


def one_of(*options: Any) -> Check:
    """Accept one of a few values, told apart by type as well (1 is not True)."""
    return (
        "one of " + ", ".join(repr(option) for option in options),
        lambda value: any(
            value == option and (type(value) is type(option) or isinstance(value, str)) for option in options
        ),
    )


def integer(least: int) -> Check:
    """Accept an integer from ``least`` on."""
    return f"an integer of at least {least}", lambda value: _is_integer(value) and value >= least


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
    "solver": one_of("gd", "sgd", "momentum", "adam"),
    "loss": one_of(
        "squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive", "quantile"
    ),
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
    "fit_intercept": BOOLEAN,
    "average": either(one_of("auto"), BOOLEAN),
    "shuffle": BOOLEAN,
    "tol": either(one_of(None), number(0.0)),
    "n_iter_no_change": integer(1),
    "early_stopping": BOOLEAN,
    "validation_fraction": number(0.0, 1.0, open_low=True),
    "warm_start": BOOLEAN,
    "n_jobs": (
        "None or an integer other than 0",
        lambda value: value is None or (_is_integer(value) and value != 0),
    ),
    "random_state": SEED,
    "verbose": either(BOOLEAN, integer(0)),
}


_parameter_values = operator.attrgetter(*PARAMETERS)


def check_parameters(estimator: Any, accepted: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    """Return the parameters' values; raise an error that names the first one out of its range.

    Values that were ``accepted`` before, the same objects, are not looked at again.
    """
    values = _parameter_values(estimator)
    if len(accepted) == len(values) and all(map(operator.is_, values, accepted)):
        return values
    for (name, (expected, accepts)), value in zip(PARAMETERS.items(), values, strict=True):
        if not accepts(value):
            # A value of a kind that no accepted value has is a TypeError, as in scikit-learn's own.
            kind = ValueError if isinstance(value, str | numbers.Real) else TypeError
            raise kind(f"The {name!r} parameter must be {expected}; got {value!r}.")
    if estimator.loss == "huber" and estimator.delta == 0:
        raise ValueError(
            "The 'delta' parameter must be above 0 with loss='huber', which would be 0 everywhere."
        )
    return values


def _column_names(X: Any, columns: np.ndarray) -> str:
    labels = getattr(X, "columns", None)
    names = [repr(labels[j]) if labels is not None else str(j) for j in columns[:5]]
    return ("column " if len(columns) == 1 else "columns ") + ", ".join(names)


def _refuse_non_finite(name: str, given: Any, values: Any) -> None:
    """Raise a ``ValueError`` that names the columns with NaN or infinity."""
    data = values.data if sparse.issparse(values) else values
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(data.sum()):  # one fast pass; a sum may overflow without cause
            return
    bad = ~np.isfinite(data)
    if not bad.any():
        return
    if sparse.issparse(values):
        columns = np.unique(values.indices[bad])
    else:
        columns = np.flatnonzero(bad.any(axis=0)) if data.ndim == 2 else np.empty(0)
    where = f" in {_column_names(given, columns)}" if len(columns) else ""
    raise ValueError(
        f"Input {name} contains NaN or infinity{where}. Impute or drop such rows, "
        "for example with sklearn.impute.SimpleImputer in a Pipeline."
    )


def _refuse_text(name: str, given: Any, error: Exception) -> None:
    """Name the columns that hold no numbers, where that is why ``error`` came."""
    labels = getattr(given, "columns", None)
    table = given if labels is not None else np.asarray(given, dtype=object)
    if labels is None and table.ndim != 2:
        return
    bad = []
    for j, label in enumerate(labels if labels is not None else range(table.shape[1])):
        try:
            np.asarray(table[label] if labels is not None else table[:, label]).astype(np.float64)
        except (ValueError, TypeError):
            bad.append(j)
    if bad:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"Input {name} has values that are not numbers in {_column_names(given, np.array(bad))} "
            f"({error}). Encode them, for example with a OneHotEncoder in a ColumnTransformer."
        ) from error


def is_ready(X: Any, y: Any, features: int) -> bool:
    """Whether X and y are finite arrays of the very form that training takes, with so many features.

    For the next chunk of a stream this is all there is to check, at a tenth of the time of the general way.
    """
    return (
        type(X) is np.ndarray
        and type(y) is np.ndarray
        and X.ndim == 2
        and X.shape[1] == features
        and 1 <= y.ndim <= 2
        and len(X) == len(y) > 0
        and X.dtype.char in "fd"
        and y.dtype.char == "d"
        and X.dtype.isnative
        and y.dtype.isnative
        and X.flags.c_contiguous
        and y.flags.c_contiguous
        and math.isfinite(np.vdot(X, X))  # one that overflows takes the general way
        and math.isfinite(np.vdot(y, y))
    )


def check_rows(
    estimator: Any, X: Any, y: Any, *, reset: bool, suffix: str = ""
) -> tuple[Any, np.ndarray, bool]:
    """Return X (float32 or float64, C-contiguous or CSR), y (n, k) float64, and whether y was 1-D.

    X and y are not copied where they already have that form. ``suffix`` is added to their names in
    messages.
    """
    if y is None:
        name = type(estimator).__name__
        raise ValueError(f"This {name} estimator requires y to be passed, but the target y is None.")
    try:
        values = validate_data(
            estimator,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            order="C",
            ensure_all_finite=False,
        )
    except (ValueError, TypeError) as error:
        _refuse_text(f"X{suffix}", X, error)
        raise
    target = check_array(
        y, ensure_2d=False, dtype=None, ensure_all_finite=False, input_name=f"y{suffix}", estimator=estimator
    )
    check_consistent_length(values, target)
    target = _numeric_targets(f"y{suffix}", target)
    _refuse_non_finite(f"X{suffix}", X, values)
    _refuse_non_finite(f"y{suffix}", y, target)
    single = target.ndim == 1
    target = np.ascontiguousarray(target.reshape(len(target), -1), dtype=np.float64)
    return values, target, single


def _numeric_targets(name: str, target: np.ndarray) -> np.ndarray:
    """Return y as real numbers."""
    if target.dtype.kind in "fiub":
        return target
    try:
        return target.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"Input {name} must hold real numbers; got dtype {target.dtype} ({error})."
        ) from error


def check_spread(name: str, variance: np.ndarray, labels: Any) -> None:
    """Raise a ``ValueError`` that names the columns whose squares overflow."""
    if not math.isfinite(variance.sum()):
        bad = np.flatnonzero(~np.isfinite(variance))
        columns = [str(j) if labels is None else repr(str(labels[j])) for j in bad[:5]]
        raise ValueError(
            f"Input {name} has values whose squares overflow, in {'column' if bad.size == 1 else 'columns'} "
            f"{', '.join(columns)}. Divide them by a constant."
        )


def check_range(dtype: Any, mean: np.ndarray, variance: np.ndarray) -> None:
    """Raise a ``ValueError`` where float32 coefficients could not hold what targets ask for."""
    if dtype != np.float32:
        return
    most = float(np.max(np.abs(mean) + np.sqrt(variance)))
    if most > np.finfo(np.float32).max:
        raise ValueError(
            f"Input y has values of the size of {most:.3g}, beyond float32, in which float32 X has its "
            "coefficients. Divide y by a constant, or pass X as float64."
        )


def check_weights(sample_weight: Any, rows: int) -> np.ndarray | None:
    """Return weights (n,) float64, or None where all rows count alike."""
    if sample_weight is None:
        return None
    weight = _real_numbers("sample_weight", sample_weight)
    if weight.ndim == 0:
        weight = np.full(rows, weight)
    if weight.shape != (rows,):
        raise ValueError(
            f"sample_weight.shape == {weight.shape}, expected ({rows},): one weight for each row of X."
        )
    if (weight < 0.0).any():
        raise ValueError(f"Negative values in sample_weight (least: {weight.min():g}); weights count rows.")
    mean = weight.mean()
    if not math.isfinite(mean) or 0.0 < mean < np.finfo(np.float64).tiny:
        raise ValueError(
            f"sample_weight has a mean of {mean:g}, beyond what float64 can hold; scale it by a constant."
        )
    return np.ascontiguousarray(weight)


def check_start(coef_init: Any, intercept_init: Any, outputs: int, features: int) -> tuple[Any, Any]:
    """Return starting coefficients (k, d) and intercepts (k,), or None for what was not given."""
    coef = intercept = None
    if coef_init is not None:
        coef = _real_numbers("coef_init", coef_init)
        if coef.shape not in {(outputs, features), *([(features,)] if outputs == 1 else [])}:
            raise ValueError(
                f"coef_init has shape {coef.shape}, expected ({outputs}, {features})"
                f"{f' or ({features},)' if outputs == 1 else ''}."
            )
        coef = coef.reshape(outputs, features)
    if intercept_init is not None:
        intercept = _real_numbers("intercept_init", intercept_init)
        if intercept.ndim > 1 or intercept.size not in {1, outputs}:
            raise ValueError(
                f"intercept_init has shape {intercept.shape}, expected a number or ({outputs},)."
            )
        intercept = np.broadcast_to(intercept.reshape(-1), (outputs,))
    return coef, intercept


def make_generator(random_state: Any) -> np.random.Generator:
    """Return a generator seeded as scikit-learn seeds, from an int, a RandomState or None."""
    return np.random.default_rng(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def _real_numbers(name: str, values: Any) -> np.ndarray:
    """Return finite float64 numbers."""
    try:
        array = np.asarray(values)
        if array.dtype.kind == "c":
            raise ValueError("complex data not supported")
        array = array.astype(np.float64, copy=False)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} must hold real numbers ({error}).") from error
    if not np.isfinite(array).all():
        raise ValueError(f"Input {name} contains NaN or infinity.")
    return array
