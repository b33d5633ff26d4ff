"""Parquet files as a source of chunks."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sklearn_sgdopt.chunks._columns import Columns
from sklearn_sgdopt.chunks._files import check_columns, common_float, files_of, load_pyarrow
from sklearn_sgdopt.chunks._mixing import Piece
from sklearn_sgdopt.chunks._source import Chunks

__all__ = ["ParquetChunks"]

# Row groups of up to so many bytes are read as a whole, which is fastest, others by parts.
WHOLE_BYTES = 48 * 2**20
PART_BYTES = 12 * 2**20
BUFFER_BYTES = 2**16  # of a file that are read at once


class ParquetChunks(Chunks):
    """Chunks of Parquet files, larger than memory or not.

    Row groups are read one at a time, in a new random order each pass, and mixed. A thread reads ahead of
    the consumer. Memory grows with ``mix`` row groups, up to 200 MiB, and with the length
    of a chunk, but not with the length of the files. Files that fit into that are read once for all epochs
    of `fit_chunks`. pyarrow is needed, the extra ``arrow``.

    Parameters
    ----------
    source : str, path, or list of them
        A file, several files, or a folder, whose ``*.parquet`` files are taken with those of its
        subfolders, in the order of their names.
    target : str or list of str
        The column of the targets, or the columns of several outputs.
    columns : list of str, default=None
        The columns of the features, in their order. None takes all of the first file but ``target`` and
        ``sample_weight``.
    sample_weight : str, default=None
        The column of the weights. Chunks have a third part if it is given.
    chunk_rows : int, default=16384
        The number of samples of a chunk; the last one may be shorter. Longer chunks take more memory, much
        shorter ones more time.
    mix : int, default=16
        How many row groups are mixed at a time, in at most 200 MiB. The more, the closer is training on
        sorted files to training on shuffled ones.
    shuffle : bool, default=True
        Whether to mix. False gives the samples in their order.
    random_state : int, RandomState instance or None, default=None
        Draws the order. Passes differ from each other; the k-th passes of two sources with the same int
        are the same.

    Attributes
    ----------
    n_samples : int
        The number of samples of a pass, known from the files' metadata.
    feature_names_in_ : ndarray of str, of shape (n_features,)
        The columns of the features.
    n_passes : int
        How many passes were begun. The next order depends on it and ``random_state`` alone.

    Raises
    ------
    ImportError
        If there is no pyarrow.
    ValueError
        If there are no files or samples, a column is missing or does not hold numbers; and by an iteration,
        if a column has nulls. NaN is a number here: training refuses it.

    See Also
    --------
    ArrayChunks : The same for memory maps.

    Notes
    -----
    Booleans, integers and decimals become numbers of the chunk's dtype. That is float64, or float32 where
    all columns of a part (X, y or the weights) are float32.

    Examples
    --------
    >>> import os, tempfile
    >>> import pyarrow as pa, pyarrow.parquet
    >>> from sklearn_sgdopt.chunks import ParquetChunks
    >>> table = pa.table({"size": [1.0, 2.0, 3.0], "age": [3, 1, 2], "price": [5.0, 6.0, 7.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pyarrow.parquet.write_table(table, os.path.join(folder, "houses.parquet"))
    ...     chunks = ParquetChunks(folder, "price", chunk_rows=2, random_state=0)
    ...     [X.shape for X, y in chunks]
    [(2, 2), (1, 2)]
    >>> list(chunks.feature_names_in_)
    ['size', 'age']
    """

    def __init__(
        self,
        source: Any,
        target: str | list[str],
        *,
        columns: list[str] | None = None,
        sample_weight: str | None = None,
        chunk_rows: int = 16384,
        mix: int = 16,
        shuffle: bool = True,
        random_state: Any = None,
    ) -> None:
        super().__init__(chunk_rows, mix, shuffle, random_state)
        parquet = load_pyarrow().parquet
        paths = files_of(source)
        self._metadata = {path: parquet.read_metadata(path) for path in paths}
        schemas = {path: metadata.schema.to_arrow_schema() for path, metadata in self._metadata.items()}
        targets = [target] if isinstance(target, str) else list(target)
        others = [*targets, *([] if sample_weight is None else [sample_weight])]
        if isinstance(columns, str):
            raise ValueError(f"columns must be a list of names, got {columns!r}")
        if columns is None:
            columns = [name for name in schemas[paths[0]].names if name not in others]
        features = list(columns)
        check_columns([*features, *others], len(features), schemas)
        self.feature_names_in_ = np.asarray(features, dtype=object)
        self._names = [features, targets, *([] if sample_weight is None else [[sample_weight]])]
        # A single target, and the weights, are no matrices.
        shapes = [(len(features),), () if isinstance(target, str) else (len(targets),), ()]
        dtypes = [common_float(names, schemas) for names in self._names]
        self._layout = list(zip(shapes, dtypes, strict=False))
        self._blocks = [
            (path, group)
            for path, metadata in self._metadata.items()
            for group in range(metadata.num_row_groups)
        ]
        self.n_samples = sum(metadata.num_rows for metadata in self._metadata.values())
        if self.n_samples == 0:
            raise ValueError(f"{source} holds no samples")

    def _read(self, blocks: Sequence[int] | np.ndarray) -> Iterator[Piece]:
        with contextlib.ExitStack() as opened:
            file = path = None
            for following, group in (self._blocks[block] for block in blocks):
                if following != path:
                    opened.close()
                    path = following
                    file = opened.enter_context(self._open(path))
                for batch in self._batches(file, group):
                    yield Columns(batch, self._names, self._layout, f"row group {group} of {path}")
                    del batch  # its memory serves the next one

    def _open(self, path: str) -> Any:
        # Reading ahead (`pre_buffer`) would take several times the memory.
        return load_pyarrow().parquet.ParquetFile(
            path, metadata=self._metadata[path], pre_buffer=False, buffer_size=BUFFER_BYTES
        )

    def _batches(self, file: Any, group: int) -> Iterator[Any]:
        columns = [name for names in self._names for name in names]
        a_sample = sum(
            len(names) * kind.itemsize for names, (_, kind) in zip(self._names, self._layout, strict=True)
        )
        if file.metadata.row_group(group).num_rows * a_sample <= WHOLE_BYTES:
            yield from file.read_row_group(group, columns).to_batches()
        else:
            yield from file.iter_batches(max(PART_BYTES // a_sample, 1), [group], columns)
