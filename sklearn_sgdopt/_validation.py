"""What data are refused before any state changes: samples, targets, weights, starting points."""

import math
import sys
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length, validate_data

from sklearn_sgdopt._columns import Columns
from sklearn_sgdopt._hints import shown

SMALLEST_FLOAT32, LARGEST_FLOAT32 = 1e-36, 1e36  # of targets beside float32 X
LARGEST_SQUARE = 1e290  # of targets: sums of them and losses that grow need room below 1.8e308
ANEW = "Build the matrix anew, for example with scipy.sparse.csr_array((data, (rows, columns)), shape=...)."
SMALLEST_TARGET = 1e-155  # squares of smaller ones are not numbers of full precision


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
    where = f" in {_column_names(given, columns)}" if len(columns) else _series_name(given)
    advice = "Drop those samples: a target that is missing teaches nothing."
    if name.startswith("X"):
        advice = "Impute or drop such samples, for example with sklearn.impute.SimpleImputer in a Pipeline."
    raise ValueError(f"Input {name} contains NaN or infinity{where}. {advice}")


def _series_name(given: Any) -> str:
    label = getattr(given, "name", None)
    return f" in column {label!r}" if isinstance(label, str) and label else ""


def _columns_of(table: Any) -> list[tuple[Any, Any]]:
    """Return the columns of a frame or an array with their labels; none of what has no columns."""
    if getattr(table, "columns", None) is not None:
        return [(label, table[label]) for label in table.columns]
    values = np.asarray(table, dtype=object)
    return list(enumerate(values.T)) if values.ndim == 2 else []


def _refuse_text(name: str, given: Any, error: Exception) -> None:
    """Name the columns that hold no numbers, where that is why ``error`` came."""
    bad, too_large = [], isinstance(error, OverflowError)
    columns = [] if sparse.issparse(given) else _columns_of(given)
    for j, (_, column) in enumerate(columns):
        try:
            np.asarray(column).astype(np.float64)
        except (ValueError, TypeError, OverflowError) as cause:
            bad.append(j)
            too_large |= isinstance(cause, OverflowError)
    where = f" in {_column_names(given, np.array(bad))}" if bad else _series_name(given)
    if too_large:
        raise ValueError(
            f"Input {name} has numbers beyond float64 (1.8e308){where}. Divide them by a constant."
        ) from error
    if bad:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"Input {name} has values that are not numbers{where} ({error}). Encode them, for example with a "
            "OneHotEncoder in a ColumnTransformer."
        ) from error


def _is_time(dtype: Any) -> bool:
    if getattr(dtype, "kind", "") in {"m", "M"}:
        return True
    is_temporal = getattr(dtype, "is_temporal", None)  # polars
    return bool(is_temporal()) if callable(is_temporal) else False


def refuse_unusable(name: str, given: Any) -> None:
    """Refuse what scikit-learn takes for numbers, or names badly: lazy frames, dates, malformed CSR."""
    if type(given) is np.ndarray and given.dtype.kind == "f":
        return
    if sparse.issparse(given):
        refuse_malformed(name, given)
        return
    if callable(getattr(given, "collect", None)) and not hasattr(given, "__len__"):
        raise TypeError(
            f"Input {name} is a {type(given).__name__}, a query that has not run; expected an array or "
            f"a frame. Pass {name}.collect()."
        )
    bad = ""
    if getattr(given, "columns", None) is not None and hasattr(given, "dtypes"):
        times = np.flatnonzero([_is_time(dtype) for dtype in given.dtypes])
        bad = _column_names(given, times) if times.size else ""
    elif _is_time(getattr(given, "dtype", None)):
        bad = "all columns" if getattr(given, "ndim", 1) == 2 else _series_name(given)[4:] or "its values"
    if bad:
        raise TypeError(
            f"Input {name} has dates or durations in {bad}; expected numbers. Turn them into "
            "numbers, for example days since a start: (t - t.min()) / numpy.timedelta64(1, 'D')."
        )


def refuse_malformed(name: str, X: Any) -> None:
    """Raise a ``ValueError`` where indices of sparse samples lie outside, which would crash compiled code."""
    if X.format not in {"csr", "csc"}:
        if X.format == "coo":
            for kind, at, size in zip(("row", "column"), (X.row, X.col), X.shape, strict=True):
                if at.size and not (at.min() >= 0 and at.max() < size):
                    k = int(np.flatnonzero((at < 0) | (at >= size))[0])
                    raise ValueError(
                        f"Input {name} is malformed: its value {k} is at row {X.row[k]}, column {X.col[k]}; "
                        f"expected {kind}s from 0 to {size - 1}."
                    )
        return
    lines, width = X.shape if X.format == "csr" else X.shape[::-1]
    line, cross = ("row", "column") if X.format == "csr" else ("column", "row")
    indptr, indices = X.indptr, X.indices
    stored = min(len(indices), len(X.data))
    if len(indptr) != lines + 1:
        raise ValueError(
            f"Input {name} is malformed: indptr has {len(indptr)} entries; expected {lines + 1}, "
            f"one more than {line}s. {ANEW}"
        )
    falls = indptr[1:] < indptr[:-1]
    if indptr[0] != 0 or indptr[-1] > stored or falls.any():
        outside = falls | (indptr[1:] > stored)
        i = 0 if indptr[0] != 0 else int(np.argmax(outside))
        raise ValueError(
            f"Input {name} is malformed: by indptr, {line} {i} has the values from {indptr[i]} to "
            f"{indptr[i + 1]}; expected numbers that begin at 0, do not fall, and end at most at {stored}, "
            f"the number of values. {ANEW}"
        )
    used = indices[: indptr[-1]]
    if used.size and not (used.min() >= 0 and used.max() < width):
        k = int(np.flatnonzero((used < 0) | (used >= width))[0])
        i = int(np.searchsorted(indptr, k, side="right")) - 1
        row, column = (i, used[k]) if X.format == "csr" else (used[k], i)
        raise ValueError(
            f"Input {name} is malformed: it has a value in row {row}, column {column}; expected {cross}s "
            f"from 0 to {width - 1}. {ANEW}"
        )


def fits_float32(y: np.ndarray) -> bool:
    """Whether float32 can hold coefficients for targets: each column within 1e-36 and 1e36, or 0."""
    size = np.abs(y).max(axis=0)
    return bool(np.all((size == 0.0) | ((size > SMALLEST_FLOAT32) & (size < LARGEST_FLOAT32))))


def is_ready(X: Any, y: Any, features: int) -> bool:
    """Whether X and y are finite arrays of the very form that training takes, with so many features.

    For the next chunk of a stream this is all there is to check, at a tenth of the time of the general way.
    """
    return bool(
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
        and (np.vdot(y, y) == 0.0 or 1e-300 < np.vdot(y, y) < LARGEST_SQUARE)
        and (X.dtype.char == "d" or fits_float32(y))
    )


def check_features(columns: Columns, X: Any, *, name: str = "X") -> Any:
    """Return X float32 or float64, C-contiguous or CSR; without a copy where it already is."""
    refuse_unusable(name, X)
    given = X
    if sparse.issparse(X) and X.format in {"csr", "csc"} and max(len(X.data), len(X.indices)) > X.indptr[-1]:
        X = X.copy()  # SciPy takes room to spare for values
        X.prune()
    try:
        values = validate_data(
            columns.standin,
            X,
            reset=not columns.is_known,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            order="C",
            ensure_all_finite=False,
        )
    except (ValueError, TypeError, OverflowError) as error:
        _refuse_text(name, given, error)
        raise
    _refuse_non_finite(name, given, values)
    return values


def check_rows(columns: Columns, X: Any, y: Any, *, suffix: str = "") -> tuple[Any, np.ndarray, bool]:
    """Return X (float32 or float64, C-contiguous or CSR), y (n, k) float64, and whether y was 1-D.

    X and y are not copied where they already have that form. ``suffix`` is added to their names in
    messages.
    """
    if y is None:
        name = columns.kind.__name__
        raise ValueError(f"This {name} estimator requires y to be passed, but the target y is None.")
    values = check_features(columns, X, name=f"X{suffix}")
    target = _numeric_targets(f"y{suffix}", y, columns.kind.__name__)
    check_consistent_length(values, target)
    _refuse_non_finite(f"y{suffix}", y, target)
    single = target.ndim == 1
    target = np.ascontiguousarray(target.reshape(len(target), -1), dtype=np.float64)
    _refuse_squares(f"y{suffix}", y, target, LARGEST_SQUARE)
    size = np.maximum(target.max(axis=0), -target.min(axis=0))
    if np.any((size > 0.0) & (size < SMALLEST_TARGET)):
        raise ValueError(
            f"Input y{suffix} has values of the size of {size[size > 0.0].min():.3g}, whose squares "
            "vanish. Multiply them by a constant."
        )
    if values.dtype == np.float32 and not fits_float32(target):
        raise ValueError(
            f"Input y{suffix} has values of the size of {np.abs(target).max():.3g}, beyond float32, in which "
            f"float32 X has its coefficients; expected {SMALLEST_FLOAT32:g} to {LARGEST_FLOAT32:g}. "
            "Multiply y by a constant, or pass X as float64."
        )
    return values, target, single


def _numeric_targets(name: str, y: Any, kind: str) -> np.ndarray:
    """Return y as real numbers."""
    refuse_unusable(name, y)
    try:
        target = check_array(
            y, ensure_2d=False, dtype=None, ensure_all_finite=False, input_name=name, estimator=kind
        )
        if target.dtype.kind in "fiub":
            return np.asarray(target)
        return np.asarray(target.astype(np.float64))
    except (ValueError, TypeError, OverflowError) as error:
        columns = [(label, np.asarray(column, dtype=object)) for label, column in _columns_of(y)]
        columns = columns or [(getattr(y, "name", None), np.asarray(y, dtype=object))]
        for test, what, advice in (
            (_is_missing, "missing values", "Drop those samples: a target that is missing teaches nothing."),
            (_is_complex, "complex values", "Pass the real and the imaginary part as two columns."),
            (_is_huge, "numbers beyond float64 (1.8e308)", "Divide them by a constant."),
        ):
            bad = [label for label, column in columns if any(map(test, column.ravel()))]
            if bad:
                where = "" if bad[0] is None else f" in column {bad[0]!r}"
                raise ValueError(
                    f"Input {name} has {what}{where}; expected real numbers. {advice}"
                ) from error
        if isinstance(error, ValueError) and str(error).startswith(("Found", "Expected", "y should")):
            raise
        raise ValueError(f"Input {name} must hold real numbers; got {shown(y)} ({error}).") from error


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ in {"NAType", "NaTType"}


def _is_complex(value: Any) -> bool:
    return isinstance(value, complex | np.complexfloating)


def _is_huge(value: Any) -> bool:
    return isinstance(value, int) and abs(value) > sys.float_info.max


def check_spread(name: str, variance: np.ndarray, labels: Any) -> None:
    """Raise a ``ValueError`` that names the columns whose squares overflow."""
    if not variance.sum() < LARGEST_SQUARE:
        bad = np.flatnonzero(~(variance < LARGEST_SQUARE / max(1, variance.size)))
        columns = [str(j) if labels is None else repr(str(labels[j])) for j in bad[:5]]
        raise ValueError(
            f"Input {name} has values whose squares overflow, in {'column' if bad.size == 1 else 'columns'} "
            f"{', '.join(columns)}. Divide them by a constant."
        )


def check_coefficients(coef: np.ndarray, intercept: np.ndarray, labels: Any) -> None:
    """Raise a ``ValueError`` where a column is so small, or y so large, that coefficients overflow."""
    if np.isfinite(coef).all() and np.isfinite(intercept).all():
        return
    columns = np.flatnonzero(~np.isfinite(coef).all(axis=0))
    names = ", ".join(str(j) if labels is None else repr(str(labels[j])) for j in columns[:5])
    what = f"coefficients of column {names}" if columns.size else "intercepts"
    raise ValueError(
        f"The {what} overflow {coef.dtype}: those samples are too small, or y too large, for numbers up to "
        f"{np.finfo(coef.dtype).max:.2g}. Multiply the columns or divide y by a constant"
        f"{', or pass X as float64' if coef.dtype == np.float32 else ''}."
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
            f"sample_weight.shape == {weight.shape}, expected ({rows},): one weight for each sample."
        )
    if (weight < 0.0).any():
        raise ValueError(
            f"Negative values in sample_weight (least: {weight.min():g}); weights count samples."
        )
    mean = weight.mean()
    if mean > LARGEST_SQUARE or 0.0 < mean < 1.0 / LARGEST_SQUARE:
        raise ValueError(
            f"sample_weight has a mean of {mean:g}; expected one from {1.0 / LARGEST_SQUARE:g} to "
            f"{LARGEST_SQUARE:g}, so that sums neither overflow nor vanish. "
            "Multiply the weights by a constant."
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


def check_held_out(columns: Columns, X_val: Any, y_val: Any, *, outputs: int, like: Any) -> Any:
    """Return held-out samples in the form of ``like``, and None for weights; None where there are none."""
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val and y_val must be given together.")
    if X_val is None:
        return None
    given = X_val
    X_val, y_val, _ = check_rows(columns, X_val, y_val, suffix="_val")
    _refuse_squares("X_val", given, X_val)
    if y_val.shape[1] != outputs:
        raise ValueError(f"y_val has {y_val.shape[1]} outputs, y has {outputs}.")
    if sparse.issparse(X_val) and not sparse.issparse(like):
        X_val = X_val.toarray()  # CSR samples are taken as they lie, and those of training are centred
    if like.dtype == np.float64:  # float32 arithmetic would round the center
        X_val = X_val.astype(np.float64, copy=False)
    return X_val, y_val, None


def _refuse_squares(name: str, given: Any, values: Any, most: float = np.inf) -> None:
    """Raise a ``ValueError`` that names the columns whose squares overflow."""
    data = values.data if sparse.issparse(values) else values
    with np.errstate(over="ignore"):
        if data.dtype != np.float64 or np.vdot(data, data) < most:
            return
    large = np.abs(data) > math.sqrt(min(most, LARGEST_SQUARE) / max(1, data.size))
    columns = np.unique(values.indices[large] if sparse.issparse(values) else np.nonzero(large)[1])
    raise ValueError(
        f"Input {name} has values whose squares overflow, in {_column_names(given, columns)}. "
        "Divide them by a constant."
    )


def _real_numbers(name: str, values: Any) -> np.ndarray:
    """Return finite float64 numbers."""
    try:
        array = np.asarray(values)
        if array.dtype.kind == "c":
            raise ValueError("complex data not supported")
        if array.dtype.kind in "mM":
            raise ValueError("dates and durations are none")
        array = array.astype(np.float64, copy=False)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{name} must hold real numbers that fit in float64 ({error}).") from error
    if not np.isfinite(array).all():
        raise ValueError(f"Input {name} contains NaN or infinity.")
    return array
