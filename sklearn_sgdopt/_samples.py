"""Samples in the form that kernels take, and samples of samples."""

from typing import Any

import numpy as np
from scipy import sparse

from sklearn_sgdopt import _kernels
from sklearn_sgdopt._kernels import Samples

LOOKED_AT = 4096  # samples at least of those that stand for all
FLOAT32_RANGE = 1e12  # its largest number is the cube of that


def make_samples(X: Any, y: np.ndarray, weight: np.ndarray | None) -> Samples:
    """Return samples of validated arrays, without copying them; CSR is brought to its canonical form."""
    if sparse.issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return Samples(X, y, weight)


def in_range(X: Any) -> Any:
    """Return float32 X as float64 where products with slopes might leave the range of float32."""
    if X.dtype != np.float32 or sparse.issparse(X):
        return X
    low, high = X.min(axis=0), X.max(axis=0)
    extent = high.astype(np.float64) - low
    largest = np.maximum(np.abs(low), np.abs(high)).max()
    fits = largest <= FLOAT32_RANGE and not np.any((extent > 0.0) & (extent < 1.0 / FLOAT32_RANGE))
    return X if fits else X.astype(np.float64)


def without_weightless(X: Any, y: np.ndarray, weight: np.ndarray | None) -> tuple[Any, np.ndarray, Any]:
    """Leave out samples without weight where they are the most: batches of them would teach nothing."""
    if weight is None or 2 * np.count_nonzero(weight) > len(weight):
        return X, y, weight
    kept = np.flatnonzero(weight)
    return X[kept], y[kept], weight[kept]


def sampling_stride(samples: Samples, least: int | None = None) -> int:
    """Return the stride whose samples stand for all; 1 where their weights are not fair."""
    stride = max(1, samples.total // (least or LOOKED_AT))
    if stride > 1 and samples.weight is not None:
        mean = samples.weight[_kernels.sampled_rows(samples.total, stride)].mean()
        return stride if 0.5 < mean / samples.mean_weight < 2.0 else 1
    return stride


def dense_sample(samples: Samples, stride: int) -> Samples:
    """Return one sample in ``stride``, dense."""
    if stride == 1 and not samples.is_sparse:
        return samples
    rows = slice(None) if stride == 1 else _kernels.sampled_rows(samples.total, stride)
    X = samples.X[rows]
    weight = None if samples.weight is None else np.ascontiguousarray(samples.weight[rows])
    if weight is not None and not weight.any():
        weight = None
    return Samples(X.toarray() if samples.is_sparse else X, np.ascontiguousarray(samples.y[rows]), weight)
