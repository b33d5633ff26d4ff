"""Columns of Arrow, written as samples."""

from typing import Any

import numpy as np

from sklearn_sgdopt._kernels import interleave
from sklearn_sgdopt.chunks._files import load_pyarrow
from sklearn_sgdopt.chunks._mixing import Layout, Parts


class Columns:
    """Contiguous samples of a record batch; nulls are refused.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        The columns.
    names : list of list of str
        The columns of each part.
    layout : list of tuple
        Shape of a sample and dtype, of each part.
    place : str
        Where they come from, for messages.
    """

    def __init__(self, batch: Any, names: list[list[str]], layout: Layout, place: str) -> None:
        self._length = batch.num_rows
        self._held: list[Any] = []
        self._addresses = []
        for columns, (_, dtype) in zip(names, layout, strict=True):
            arrays = [_numbers(batch.column(name), name, dtype, place) for name in columns]
            self._held += arrays
            self._addresses.append(np.array([_address(array, dtype) for array in arrays], np.int64))

    def __len__(self) -> int:
        """Return the number of samples."""
        return self._length

    def write(self, out: Parts, start: int, places: np.ndarray, run: int, *, past: bool) -> None:
        """Write samples from ``start`` on by runs, as `Piece` says."""
        for to, addresses in zip(out, self._addresses, strict=True):
            interleave(addresses, start, places, run, to, past)


def _numbers(array: Any, name: str, dtype: np.dtype, place: str) -> Any:
    """Return a column as an Arrow array of the type; refuse nulls."""
    if array.null_count:
        raise ValueError(
            f"column {name!r} has {array.null_count} nulls in {place}: "
            "fill them, drop their samples, or leave the column out by `columns`"
        )
    kind = load_pyarrow().from_numpy_dtype(dtype)
    return array if array.type == kind else array.cast(kind, safe=False)


def _address(array: Any, dtype: np.dtype) -> int:
    """Return where the numbers of an Arrow array without nulls begin."""
    return int(array.buffers()[1].address) + int(array.offset) * dtype.itemsize
