"""Sources of chunks for data larger than memory: Parquet files, memory maps and the like.

A source can be iterated again and again, and gives ``(X, y)`` or ``(X, y, sample_weight)`` each time.
"""

import math
import operator
import os
import queue
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length

__all__ = ["ArrayChunks", "ParquetChunks"]

# Arrays of as many samples each: X, y and, where there are weights, sample_weight.
Parts = tuple[Any, ...]

# The most memory that mixing takes. The sum of it, of a reader and of three chunks stays below 400 MiB.
POOL_BYTES = 192 * 2**20
# Neighbours that stay together on their way through the pool, a run, are copied at once: 256 samples at the
# memory's speed. A chunk comes from at least 64 places.
LONGEST_RUN = 256
LEAST_RUNS = 64
# Samples that Arrow decodes and converts at once. Four times fewer take a tenth more time, four times more
# save a tenth and take 60 MiB more.
READ_ROWS = 16384


class _Chunks:
    """What the sources share: passes, mixing and the thread that reads ahead.

    A subclass sets ``n_samples``, ``_layout`` (shape of a sample and dtype, of each part) and ``_blocks``
    (any number of records with ``n_samples`` of contiguous samples), then says how blocks are read.
    """

    n_samples: int
    _layout: list[tuple[tuple[int, ...], np.dtype]]
    _blocks: Sequence[Any]

    def __init__(self, chunk_rows: int, mix: int, shuffle: bool, random_state: Any) -> None:
        self.chunk_rows = _positive_integer("chunk_rows", chunk_rows)
        self.mix = _positive_integer("mix", mix)
        self.shuffle = bool(shuffle)
        self.n_passes = 0
        self._seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))

    def __len__(self) -> int:
        """Return the number of chunks of a pass."""
        return math.ceil(self.n_samples / self.chunk_rows)

    def __iter__(self) -> Iterator[Parts]:
        """Start a pass: each sample comes once, in a new order where ``shuffle`` is true."""
        rng = np.random.default_rng([self._seed, self.n_passes])
        self.n_passes += 1
        return _read_ahead(self._chunks(rng))

    def _chunks(self, rng: np.random.Generator) -> Iterator[Parts]:
        blocks = range(len(self._blocks))
        pieces = _Pieces(self._read(rng.permutation(blocks) if self.shuffle else blocks))
        mixed = self._mixed(pieces, rng) if self.shuffle else self._in_order(pieces)
        return map(self._finish, mixed)

    def _read(self, blocks: Sequence[int] | np.ndarray) -> Iterator[Parts]:
        """Read the blocks in the order given, by pieces of about ``chunk_rows`` samples."""
        raise NotImplementedError

    def _finish(self, parts: Parts) -> Parts:
        return parts

    def _empty(self, length: int) -> Parts:
        return tuple(np.empty((length, *shape), dtype) for shape, dtype in self._layout)

    def _in_order(self, pieces: "_Pieces") -> Iterator[Parts]:
        for start in range(0, self.n_samples, self.chunk_rows):
            parts = self._empty(min(self.chunk_rows, self.n_samples - start))
            pieces.fill(parts, [0], len(parts[0]))
            yield parts

    def _mixed(self, pieces: "_Pieces", rng: np.random.Generator) -> Iterator[Parts]:
        """Draw chunks from a pool, which is filled up again from the blocks as they come.

        Blocks are thus read one at a time, which takes little memory, and a sample stays in the pool for a
        time that is random: a chunk holds samples of all blocks that the pool has seen of late.
        """
        run = _longest_divisor(self.chunk_rows, min(self.chunk_rows // LEAST_RUNS, LONGEST_RUN))
        n_runs = math.ceil(self._pool_rows() / run)
        pool = self._empty(n_runs * run)
        # One order for all chunks of a pass is enough: which runs it is applied to is drawn for each.
        order = rng.permutation(self.chunk_rows)
        runs = np.arange(n_runs)
        new = pieces.fill(pool, (runs * run).tolist(), run)
        unread = self.n_samples - new
        while new and unread:
            runs = rng.choice(n_runs, self.chunk_rows // run, replace=False)
            yield _take(pool, _places(runs, run)[order])
            new = pieces.fill(pool, (runs * run).tolist(), run)
            unread -= new
        # All blocks are read, and the runs drawn last were filled up in part: what waits goes out.
        waits = np.ones(n_runs * run, bool)
        waits[_places(runs, run)[new:]] = False
        rest = rng.permutation(np.flatnonzero(waits))
        for start in range(0, len(rest), self.chunk_rows):
            yield _take(pool, rest[start : start + self.chunk_rows])

    def _pool_rows(self) -> int:
        """Return how many samples the pool holds: those of ``mix`` blocks, as far as `POOL_BYTES` go."""
        a_sample = sum(dtype.itemsize * int(np.prod(shape)) for shape, dtype in self._layout)
        wanted = min(self.mix * self.n_samples // len(self._blocks), POOL_BYTES // a_sample)
        # Two chunks are the least that mixes anything.
        return min(self.chunk_rows * max(wanted // self.chunk_rows, 2), self.n_samples)


class _Pieces:
    """Pieces of any lengths, from which runs of one length are filled."""

    def __init__(self, pieces: Iterator[Parts]) -> None:
        self._pieces = pieces
        self._piece: Parts = ()
        self._used = self._length = 0

    def fill(self, parts: Parts, starts: list[int], run: int) -> int:
        """Write samples to ``parts[start : start + run]`` for each start; return how many there were."""
        filled = 0
        for start in starts:
            at, stop = start, start + run
            while at < stop:
                if self._used == self._length and not self._next():
                    return filled
                step = min(stop - at, self._length - self._used)
                for part, piece in zip(parts, self._piece, strict=True):
                    part[at : at + step] = piece[self._used : self._used + step]
                at += step
                self._used += step
                filled += step
        return filled

    def _next(self) -> bool:
        self._piece = next(self._pieces, ())
        self._used, self._length = 0, len(self._piece[0]) if self._piece else 0
        return bool(self._piece)


def _places(runs: np.ndarray, run: int) -> np.ndarray:
    return (runs[:, None] * run + np.arange(run)).ravel()


def _take(parts: Parts, places: np.ndarray) -> Parts:
    # "clip" spares a check of each place, and half the time with it: all places are within the pool.
    return tuple(part.take(places, axis=0, mode="clip") for part in parts)


def _longest_divisor(number: int, most: int) -> int:
    return max((divisor for divisor in range(1, most + 1) if number % divisor == 0), default=1)


def _positive_integer(name: str, value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
    return number


def _read_ahead(chunks: Iterator[Parts]) -> Iterator[Parts]:
    """Yield the chunks that a thread reads while the last one is in use; one chunk waits.

    The thread ends with the chunks, or as soon as the consumer closes or drops this generator. What the
    reader raises is raised here.
    """
    ready: queue.SimpleQueue[tuple[Parts | None, BaseException | None]] = queue.SimpleQueue()
    room = threading.Semaphore(1)
    stopped = threading.Event()

    def read() -> None:
        try:
            for chunk in chunks:
                room.acquire()
                if stopped.is_set():
                    return
                ready.put((chunk, None))
        except BaseException as raised:  # it is raised again in the consumer's thread
            ready.put((None, raised))
        else:
            ready.put((None, None))

    reader = threading.Thread(target=read, name="sklearn_sgdopt-chunks", daemon=True)
    reader.start()
    try:
        while True:
            chunk, error = ready.get()
            room.release()
            if error is not None:
                raise error
            if chunk is None:
                return
            yield chunk
            del chunk  # or it would be kept while the next one is waited for
    finally:
        stopped.set()
        room.release()
        reader.join()
        error = None  # or it and this frame, which its traceback holds, would keep each other in memory


class ArrayChunks(_Chunks):
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
        How many blocks are mixed at a time, in at most 192 MiB.
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
            self._layout = [(part.shape[1:], _float(part.dtype)) for part in parts]

    def _read(self, blocks: Sequence[int] | np.ndarray) -> Iterator[Parts]:
        for start in (self._blocks[block] for block in blocks):
            stop = min(start + self.chunk_rows, self.n_samples)
            if sparse.issparse(self._X):
                yield (np.arange(start, stop),)
            else:
                yield tuple(np.asarray(part[start:stop]) for part in (self._X, *self._others))

    def _finish(self, parts: Parts) -> Parts:
        if not sparse.issparse(self._X):
            return parts
        (numbers,) = parts
        return tuple(
            part[numbers].astype(_float(part.dtype), copy=False) for part in (self._X, *self._others)
        )


class ParquetChunks(_Chunks):
    """Chunks of Parquet files, larger than memory or not.

    Row groups are read one at a time, in a new random order each pass, and mixed. A thread reads ahead of
    the consumer. Memory goes with ``mix`` row groups up to 192 MiB, and with the length of a chunk, not with
    the length of the files. pyarrow is needed, the extra ``arrow``.

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
        How many row groups are mixed at a time, in at most 192 MiB. The more, the closer is training on
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
        parquet = _pyarrow().parquet
        paths = _files(source)
        self._metadata = {path: parquet.read_metadata(path) for path in paths}
        schemas = {path: metadata.schema.to_arrow_schema() for path, metadata in self._metadata.items()}
        targets = [target] if isinstance(target, str) else list(target)
        others = [*targets, *([] if sample_weight is None else [sample_weight])]
        if isinstance(columns, str):
            raise ValueError(f"columns must be a list of names, got {columns!r}")
        if columns is None:
            columns = [name for name in schemas[paths[0]].names if name not in others]
        features = list(columns)
        _check_columns([*features, *others], len(features), schemas)
        self.feature_names_in_ = np.asarray(features, dtype=object)
        self._names = [features, targets, *([] if sample_weight is None else [[sample_weight]])]
        # A single target, and the weights, are no matrices.
        shapes = [(len(features),), () if isinstance(target, str) else (len(targets),), ()]
        dtypes = [_common_float(names, schemas) for names in self._names]
        self._layout = list(zip(shapes, dtypes, strict=False))
        self._blocks = [
            (path, group)
            for path, metadata in self._metadata.items()
            for group in range(metadata.num_row_groups)
        ]
        self.n_samples = sum(metadata.num_rows for metadata in self._metadata.values())
        if self.n_samples == 0:
            raise ValueError(f"{source} holds no samples")

    def _read(self, blocks: Sequence[int] | np.ndarray) -> Iterator[Parts]:
        parquet = _pyarrow().parquet
        columns = [name for names in self._names for name in names]
        for path, group in (self._blocks[block] for block in blocks):
            # By small steps: columns read as a whole or ahead (`pre_buffer`) take several times the memory.
            metadata = self._metadata[path]
            with parquet.ParquetFile(path, metadata=metadata, pre_buffer=False, buffer_size=2**16) as file:
                for batch in file.iter_batches(READ_ROWS, [group], columns, use_threads=False):
                    yield self._parts(batch, f"row group {group} of {path}")

    def _parts(self, batch: Any, place: str) -> Parts:
        parts = []
        for names, (shape, dtype) in zip(self._names, self._layout, strict=True):
            values = _matrix([batch.column(name) for name in names], names, dtype, place)
            parts.append(values if shape else values[:, 0])
        return tuple(parts)


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("ParquetChunks needs pyarrow: pip install pyarrow") from error
    return pyarrow


def _files(source: Any) -> list[str]:
    """Return the files that are meant by a path or a list of paths."""
    paths = [source] if isinstance(source, str | os.PathLike) else list(source)
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise ValueError(f"there is no file or folder {path}")
        # Folders may have such a name as well.
        files += sorted(filter(Path.is_file, path.rglob("*.parquet"))) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"there are no *.parquet files in {source}")
    twice = [str(file) for file, times in Counter(files).items() if times > 1]
    if twice:
        raise ValueError(f"files are named more than once: {twice}")
    return [str(file) for file in files]


def _check_columns(names: list[str], n_features: int, schemas: dict[str, Any]) -> None:
    """Refuse columns that are named twice, are missing from a file or hold no numbers."""
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise ValueError(f"columns, target and sample_weight must not share columns: {twice}")
    if n_features == 0 or n_features == len(names):
        raise ValueError("there must be a column for the target, and one at least for features")
    types = _pyarrow().types
    number = (types.is_floating, types.is_integer, types.is_boolean, types.is_decimal)
    for path, schema in schemas.items():
        for name in names:
            times = len(schema.get_all_field_indices(name))
            if times != 1:
                raise ValueError(f"column {name!r} is {'twice in' if times else 'missing from'} {path}")
            kind = schema.field(name).type
            if not any(is_kind(kind) for is_kind in number):
                date = types.is_temporal(kind)
                cure = "turn it into a number, such as days since a date" if date else "encode it as numbers"
                found = f"column {name!r} of {path} holds {kind}, not numbers"
                raise ValueError(f"{found}: {cure}, or leave it out by `columns`")


def _matrix(arrays: list[Any], names: list[str], dtype: np.dtype, place: str) -> np.ndarray:
    """Return columns of Arrow as a C-contiguous matrix; refuse nulls."""
    pyarrow = _pyarrow()
    for array, name in zip(arrays, names, strict=True):
        if array.null_count:
            raise ValueError(
                f"column {name!r} has {array.null_count} nulls in {place}: "
                "fill them, drop their samples, or leave the column out by `columns`"
            )
    kind = pyarrow.from_numpy_dtype(dtype)
    arrays = [array if array.type == kind else array.cast(kind, safe=False) for array in arrays]
    return pyarrow.RecordBatch.from_arrays(arrays, names).to_tensor(row_major=True).to_numpy()


def _check_part(name: str, part: Any) -> None:
    dimensions = {"X": (2,), "y": (1, 2), "sample_weight": (1,)}[name]
    if len(part.shape) not in dimensions or 0 in part.shape:
        wanted = " or ".join(map(str, dimensions))
        raise ValueError(f"{name} must have samples, in {wanted} dimensions: got shape {part.shape}")
    if np.dtype(part.dtype).kind not in "fiub":
        raise ValueError(f"{name} must hold numbers, got dtype {part.dtype}")


def _float(dtype: Any) -> np.dtype:
    return np.dtype(np.float32 if dtype == np.float32 else np.float64)


def _common_float(names: list[str], schemas: dict[str, Any]) -> np.dtype:
    kinds = {str(schema.field(name).type) for schema in schemas.values() for name in names}
    return np.dtype(np.float32 if kinds == {"float"} else np.float64)


def _sliceable(values: Any) -> Any:
    """Return the values themselves if slices give samples, else an array of them."""
    return values if hasattr(values, "shape") and not hasattr(values, "iloc") else np.asarray(values)
