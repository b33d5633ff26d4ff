"""Rows in the form that the compiled loops take, and their first moments."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from sklearn_sgdopt._lazy import kernels
from sklearn_sgdopt._standardize import RunningMoments


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


NOTHING = _read_only(np.empty(0))
# The CSR arrays of dense rows.
NO_VALUES = {
    dtype: tuple(_read_only(np.empty(0, kind)) for kind in (dtype, np.uint32, np.int32)) for dtype in "fd"
}


def make_rows(X: Any, y: np.ndarray, weight: np.ndarray | None) -> Any:
    """Read-only C-contiguous views: one compiled version of each kernel for each dtype of X."""
    mean_weight = 1.0 if weight is None else float(np.mean(weight))
    weight = NOTHING if weight is None else _read_only(weight)
    if sparse.issparse(X):
        if not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        data, indices, indptr = (np.ascontiguousarray(part) for part in (X.data, X.indices, X.indptr))
        # Unsigned, so that a compiled loop need not ask whether an index counts from the end.
        indices = indices.view(np.uint32 if indices.itemsize == 4 else np.uint64)
        arrays = tuple(map(_read_only, (np.empty((0, 0), X.dtype), data, indices, indptr)))
    else:
        arrays = (_read_only(X), *NO_VALUES[X.dtype.char])
    return kernels().Rows(*arrays, X.shape[1], _read_only(y), weight, mean_weight)


def without_weightless(X: Any, y: np.ndarray, weight: np.ndarray | None) -> tuple[Any, np.ndarray, Any]:
    """Leave out rows without weight where they are the most: batches of them would teach nothing."""
    if weight is None or 2 * np.count_nonzero(weight) > len(weight):
        return X, y, weight
    kept = np.flatnonzero(weight)
    return X[kept], y[kept], weight[kept]


def is_sparse(rows: Any) -> bool:
    """Whether the rows are in CSR form."""
    return bool(rows.indptr.size)


def sampled_rows(total: int, stride: int) -> Any:
    """Return an index of the rows that the compiled loops take for a sample of one in ``stride``."""
    if stride == 1:
        return slice(None)
    sample = np.empty(-(-total // stride), np.int64)
    kernels().fill_sample(stride, total, sample)
    return sample


def sampled_weight(rows: Any, stride: int) -> np.ndarray:
    """Return the weights of the sampled rows, empty for "all ones"."""
    weight: np.ndarray = rows.weight
    return weight[sampled_rows(len(weight), stride)] if weight.size else weight


def sampling_stride(rows: Any, most: int) -> int:
    """Return the stride whose sample has ``most`` rows at least: 1 where their weights are not fair."""
    stride = max(1, len(rows.y) // most)
    if stride > 1 and rows.weight.size:
        fair = 0.5 < sampled_weight(rows, stride).mean() / rows.mean_weight < 2.0
        return stride if fair else 1
    return stride


def as_matrix(rows: Any) -> Any:
    """Return X as it was given, without a copy."""
    if not is_sparse(rows):
        return rows.X
    indices = rows.indices.view(np.int32 if rows.indices.itemsize == 4 else np.int64)
    return sparse.csr_array((rows.data, indices, rows.indptr), shape=(len(rows.y), rows.features))


def feature_moments(rows: Any, moments: Any = None) -> RunningMoments:
    """Mean and variance of each column, from second moments where there are such."""
    if moments is not None:
        return RunningMoments(
            moments.mean_x, moments.covariance.diagonal().copy(), rows.mean_weight * len(rows.y)
        )
    if not is_sparse(rows):
        return RunningMoments.of(rows.X, rows.weight)
    # In float64: variances of small float32 numbers are below what float32 holds.
    matrix = as_matrix(rows).astype(np.float64, copy=False)
    weights = rows.weight if rows.weight.size else None
    mean, variance = mean_variance_axis(matrix, axis=0, weights=weights)
    return RunningMoments(mean, variance, rows.mean_weight * len(rows.y))


def with_features(running: RunningMoments, rows: Any, moments: Any = None) -> RunningMoments:
    """Take the columns of the rows into running moments."""
    if moments is None and not is_sparse(rows):
        return running.with_rows(rows.X, rows.weight)
    return running.merged(feature_moments(rows, moments))
