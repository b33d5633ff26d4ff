"""Arrays and CSR matrices as a source of chunks."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_consistent_length

from sklearn_sgdopt.chunks._mixing import Parts, Piece
from sklearn_sgdopt.chunks._source import Chunks

__all__ = ["ArrayChunks"]


class ArrayChunks(Chunks):
    """Chunks of arrays that need not fit into memory: memory maps, HDF5, Zarr, or CSR matrices.

    Blocks of ``chunk_rows`` contiguous samples are read in a new random order each pass and mixed. A
    thread reads ahead of the consumer.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features)
        The samples: anything that has a shape and a dtype and can be sliced. Sparse matrices give chunks in
        CSR form; other sparse forms than CSR are converted once.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The targets.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights of the samples. Chunks have a third part if it is given.
    chunk_rows : int, default=16384
        The number of samples of a chunk; the last one may be shorter. Longer chunks take more memory,
        much shorter ones more time.
    mix : int, default=16
        How many blocks are mixed at a time, in at most 200 MiB.
    shuffle : bool, default=True
        Whether to mix. False gives the samples in their order.
    random_state : int, RandomState instance or None, default=None
        Draws the order. Passes differ from each other; the k-th passes of two sources with the same int
        are the same.

    Attributes
    ----------
    n_samples : int
        The number of samples of a pass.
    n_passes : int
        How many passes were begun. The next order depends on it and ``random_state`` alone.

    Raises
    ------
    ValueError
        If the shapes do not fit together, there are no samples, or values are not numbers.

    See Also
    --------
    ParquetChunks : The same for Parquet files.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sgdopt.chunks import ArrayChunks
    >>> X = np.arange(20.0).reshape(10, 2)
    >>> chunks = ArrayChunks(X, X.sum(axis=1), chunk_rows=4, random_state=0)
    >>> [X_chunk.shape for X_chunk, y_chunk in chunks]
    [(4, 2), (4, 2), (2, 2)]
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        chunk_rows: int = 16384,
        mix: int = 16,
        shuffle: bool = True,
        random_state: Any = None,
    ) -> None:
        super().__init__(chunk_rows, mix, shuffle, random_state)
        self._X = X.tocsr() if sparse.issparse(X) else _sliceable(X)
        self._others = [_sliceable(part) for part in (y, sample_weight) if part is not None]
        parts = [self._X, *self._others]
        for name, part in zip(("X", "y", "sample_weight"), parts, strict=False):
            _check_part(name, part)
        check_consistent_length(*parts)
        self.n_samples = self._X.shape[0]
        self._blocks = range(0, self.n_samples, self.chunk_rows)
        if sparse.issparse(self._X):
            # Sample numbers are mixed in place of samples, whose lengths differ: CSR data are in memory.
            self._layout = [((), np.dtype(np.intp))]
        else:
            self._layout = [(part.shape[1:], float_type(part.dtype)) for part in parts]

    def _read(self, blocks: Sequence[int] | np.ndarray) -> Iterator[Piece]:
        for start in (self._blocks[block] for block in blocks):
            stop = min(start + self.chunk_rows, self.n_samples)
            if sparse.issparse(self._X):
                yield Rows((np.arange(start, stop),))
            else:
                yield Rows(tuple(np.asarray(part[start:stop]) for part in (self._X, *self._others)))

    def _finish(self, parts: Parts) -> Parts:
        if not sparse.issparse(self._X):
            return parts
        (numbers,) = parts
        return tuple(
            part[numbers].astype(float_type(part.dtype), copy=False) for part in (self._X, *self._others)
        )


class Rows:
    """Contiguous samples of arrays."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._parts[0])

    def write(self, out: Parts, start: int, places: np.ndarray, run: int, *, past: bool) -> None:
        """Write samples from ``start`` on by runs, as `Piece` says."""
        stop = start + len(places) * run
        for to, part in zip(out, self._parts, strict=True):
            if len(places) == 1:
                to[places[0] : places[0] + run] = part[start:stop]
            else:  # the places are those of whole runs
                shape = (-1, run, *to.shape[1:])
                to[: len(to) // run * run].reshape(shape)[places // run] = part[start:stop].reshape(shape)


def _check_part(name: str, part: Any) -> None:
    dimensions = {"X": (2,), "y": (1, 2), "sample_weight": (1,)}[name]
    if len(part.shape) not in dimensions or 0 in part.shape:
        wanted = " or ".join(map(str, dimensions))
        raise ValueError(f"{name} must have samples, in {wanted} dimensions: got shape {part.shape}")
    if np.dtype(part.dtype).kind not in "fiub":
        raise ValueError(f"{name} must hold numbers, got dtype {part.dtype}")


def float_type(dtype: Any) -> np.dtype:
    return np.dtype(np.float32 if dtype == np.float32 else np.float64)


def _sliceable(values: Any) -> Any:
    """Return the values themselves if slices give samples, else an array of them."""
    return values if hasattr(values, "shape") and not hasattr(values, "iloc") else np.asarray(values)
