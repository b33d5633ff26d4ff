"""Tables in Parquet files, by pyarrow."""

import io
from typing import Any, BinaryIO

import numpy as np

from sklearn_sgdopt._cli.cells import number
from sklearn_sgdopt._cli.messages import InputError, one_line, quoted
from sklearn_sgdopt._cli.table import Table, Unusable, Wanted, named, refuse_unusable


def read_parquet(stream: BinaryIO, source: str, wanted: Wanted) -> Table:
    """Read the wanted columns of a Parquet file as float64."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError(
            f"{source} is a Parquet file, and pyarrow, which reads them, is not installed; run "
            "`pip install pyarrow` (the extra `arrow` of sklearn-sgdopt), or give a CSV file"
        ) from error
    try:
        data = pq.ParquetFile(io.BytesIO(stream.read())).read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{source} is a damaged Parquet file: {one_line(error)}") from error
    names, nameless = named(data.column_names)
    if not names:
        raise InputError(f"{source} has no columns")
    columns = wanted.columns(names, source)
    chosen = [names[column] for column in columns]
    unusable = []
    values = np.empty((data.num_rows, len(columns)))
    for place, column in enumerate(columns):
        try:
            values[:, place] = numbers(data.column(column))
        except NotNumbersError as error:
            unusable.append(Unusable(names[column], str(error)))
    refuse_unusable(source, unusable, chosen[-1])
    lines = np.arange(1, len(values) + 1)
    return Table(source, chosen, values, lines, "sample", nameless.intersection(chosen))


class NotNumbersError(Exception):
    """What a column holds instead of numbers."""


def numbers(column: Any) -> np.ndarray:
    """Return a column as float64, NaN where a value is missing."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if types.is_string(kind) or types.is_large_string(kind):
        return words(column)
    if types.is_temporal(kind):
        raise NotNumbersError("dates or times")
    known = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_null)
    if not any(is_kind(kind) for is_kind in known):
        raise NotNumbersError(f"values of type {one_line(kind)}")
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def words(column: Any) -> np.ndarray:
    """Return a column of text as float64, if it says numbers, or yes and no."""
    cells = ["" if cell is None else cell for cell in column.to_pylist()]
    meaning = {cell: number(cell, ".") for cell in dict.fromkeys(cells)}
    for cell, value in meaning.items():
        if value is None:
            raise NotNumbersError(f"text ({quoted(cell)} in sample {cells.index(cell) + 1})")
    return np.array([meaning[cell] for cell in cells], dtype=np.float64)
