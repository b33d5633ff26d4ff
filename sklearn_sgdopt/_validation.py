"""What is refused before any state changes: parameters, data, weights, starting points."""

import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

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
        lambda value: any(type(value) is type(option) and value == option for option in options),
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
    "verbose": either(BOOLEAN, integer(0)),
}


def check_parameters(estimator: Any) -> None:
    """Raise ``TypeError`` or ``ValueError`` that names the first parameter out of its range."""
    for name, (expected, accepts) in PARAMETERS.items():
        value = getattr(estimator, name)
        if not accepts(value):
            # A value of a kind that no accepted value has is a TypeError, as in scikit-learn's own.
            kind = ValueError if isinstance(value, str | numbers.Real) else TypeError
            raise kind(f"The {name!r} parameter must be {expected}; got {value!r}.")


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


def _refuse_overflow(given: Any, values: Any) -> None:
    """Raise a ``ValueError`` that names the columns whose squares overflow."""
    data = values.data if sparse.issparse(values) else values
    limit = np.sqrt(np.finfo(data.dtype).max) / 1e3
    if data.size == 0 or (data.max() < limit and data.min() > -limit):
        return
    bad = np.abs(data) >= limit
    columns = np.unique(values.indices[bad]) if sparse.issparse(values) else np.flatnonzero(bad.any(axis=0))
    raise ValueError(
        f"Input X has values beyond {limit:.0e}, whose squares overflow, in {_column_names(given, columns)}. "
        "Divide such columns by a constant."
    )


def _refuse_text(X: Any, error: Exception) -> None:
    """Name the columns of a data frame that hold no numbers, where that is why ``error`` came."""
    labels = getattr(X, "columns", None)
    if labels is None:
        return
    bad = []
    for j, name in enumerate(labels):
        try:
            np.asarray(X[name]).astype(np.float64)
        except (ValueError, TypeError):
            bad.append(j)
    if bad:
        raise ValueError(
            f"Input X has values that are not numbers in {_column_names(X, np.array(bad))}. "
            "Encode them, for example with sklearn.preprocessing.OneHotEncoder in a ColumnTransformer."
        ) from error


def check_rows(estimator: Any, X: Any, y: Any, *, reset: bool) -> tuple[Any, np.ndarray, bool]:
    """Return X (float32 or float64, C-contiguous or CSR), y (n, k) float64, and whether y was 1-D.

    X and y are not copied where they already have that form.
    """
    try:
        values, target = validate_data(
            estimator,
            X,
            y,
            reset=reset,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            order="C",
            ensure_all_finite=False,
            multi_output=True,
            y_numeric=True,
        )
    except (ValueError, TypeError) as error:
        _refuse_text(X, error)
        raise
    _refuse_non_finite("X", X, values)
    target = np.asarray(target)
    if target.dtype.kind not in "fiub":
        raise ValueError(f"Input y must hold real numbers; got an array of dtype {target.dtype}.")
    _refuse_non_finite("y", y, target)
    single = target.ndim == 1
    target = np.ascontiguousarray(target.reshape(len(target), -1), dtype=np.float64)
    return values, target, single


def check_weights(sample_weight: Any, rows: int) -> np.ndarray | None:
    """Return weights (n,) float64, or None where all rows count alike."""
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight)
    if weight.dtype.kind not in "fiub":
        try:
            weight = weight.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"sample_weight must hold numbers; got dtype {weight.dtype}.") from error
    if weight.ndim == 0:
        weight = np.full(rows, weight)
    if weight.shape != (rows,):
        raise ValueError(
            f"sample_weight.shape == {weight.shape}, expected ({rows},): one weight for each row of X."
        )
    weight = np.ascontiguousarray(weight, dtype=np.float64)
    if not np.isfinite(weight).all():
        raise ValueError("Input sample_weight contains NaN or infinity.")
    if (weight < 0.0).any():
        raise ValueError(f"Negative values in sample_weight (least: {weight.min():g}); weights count rows.")
    return weight


def check_start(coef_init: Any, intercept_init: Any, outputs: int, features: int) -> tuple[Any, Any]:
    """Return starting coefficients (k, d) and intercepts (k,), or None for what was not given."""
    coef = intercept = None
    if coef_init is not None:
        coef = np.asarray(coef_init, dtype=np.float64)
        if coef.shape not in {(outputs, features), *([(features,)] if outputs == 1 else [])}:
            raise ValueError(
                f"coef_init has shape {coef.shape}, expected ({outputs}, {features})"
                f"{f' or ({features},)' if outputs == 1 else ''}."
            )
        coef = coef.reshape(outputs, features)
    if intercept_init is not None:
        intercept = np.asarray(intercept_init, dtype=np.float64)
        if intercept.ndim > 1 or intercept.size not in {1, outputs}:
            raise ValueError(
                f"intercept_init has shape {intercept.shape}, expected a number or ({outputs},)."
            )
        intercept = np.broadcast_to(intercept.reshape(-1), (outputs,))
    for name, value in (("coef_init", coef), ("intercept_init", intercept)):
        if value is not None and not np.isfinite(value).all():
            raise ValueError(f"{name} contains NaN or infinity.")
    return coef, intercept
