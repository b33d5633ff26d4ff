"""Sources of chunks: what they give, in which order, and what they refuse."""

import itertools
import pickle
import sys
import threading
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from sklearn_sgdopt.chunks import ArrayChunks, ParquetChunks, _parquet, _source
from sklearn_sgdopt.chunks._mixing import Deal

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

N, GROUP = 1000, 60


def samples(n=N, dtype=np.float64):
    """Features that tell the sample's number, its target and its weight."""
    number = np.arange(n, dtype=dtype)
    return np.column_stack([number, -number, number / 2]), 3 * number, number + 1


def table(n=N, dtype=np.float64, **more):
    X, y, weight = samples(n, dtype)
    return pa.table({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": y, "w": weight, **more})


def write(path, n=N, group=GROUP, **more):
    pq.write_table(table(n, **more), path, row_group_size=group)
    return path


def parquet(tmp_path, n=N, **options):
    path = write(tmp_path / "data.parquet", n)
    return ParquetChunks(path, "y", columns=["a", "b", "c"], sample_weight="w", **options)


def arrays(tmp_path, n=N, **options):
    return ArrayChunks(*samples(n), **options)


def memory_map(tmp_path, n=N, **options):
    X, y, weight = samples(n)
    np.save(tmp_path / "X.npy", X)
    return ArrayChunks(np.load(tmp_path / "X.npy", mmap_mode="r"), y, weight, **options)


def csr(tmp_path, n=N, **options):
    X, y, weight = samples(n)
    return ArrayChunks(sparse.csr_matrix(X), y, weight, **options)


SOURCES = pytest.mark.parametrize("source", [parquet, arrays, memory_map, csr])
OPTIONS = pytest.mark.parametrize(
    "options",
    [
        {"chunk_rows": 64, "mix": 4},
        {"chunk_rows": 64, "mix": 1},
        {"chunk_rows": 97, "mix": 3},
        {"chunk_rows": 100, "mix": 16},
        {"chunk_rows": 1},
        {"chunk_rows": 1000},
        {},
        {"chunk_rows": 64, "shuffle": False},
        {"shuffle": False},
    ],
)


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "sklearn_sgdopt-chunks"]


def order(chunks):
    return np.concatenate([y for _, y, *_ in chunks]) / 3


def dense(X):
    return X.toarray() if sparse.issparse(X) else X


@SOURCES
@OPTIONS
def test_each_sample_comes_once(tmp_path, source, options):
    chunks = source(tmp_path, random_state=0, **options)
    for _ in range(2):
        got = list(chunks)
        assert len(got) == len(chunks) == -(-N // chunks.chunk_rows)
        assert {len(y) for _, y, _ in got[:-1]} <= {chunks.chunk_rows}
        X, y, weight = (np.concatenate([dense(part) for part in parts]) for parts in zip(*got, strict=True))
        numbers = np.argsort(y)
        for part, expected in zip((X, y, weight), samples(), strict=True):
            np.testing.assert_array_equal(part[numbers], expected)
        assert np.array_equal(y, samples()[1]) == (not chunks.shuffle)
    assert chunks.n_samples == N
    assert not readers()


@SOURCES
@pytest.mark.parametrize("n", [1, 63, 64, 65, 128, 256, 300])
def test_any_length(tmp_path, source, n):
    for shuffle in (True, False):
        got = order(source(tmp_path, n, chunk_rows=64, mix=2, shuffle=shuffle, random_state=0))
        np.testing.assert_array_equal(np.sort(got), np.arange(n))


@SOURCES
def test_passes_differ_and_are_reproducible(tmp_path, source):
    one, other, third = (source(tmp_path, chunk_rows=64, mix=4, random_state=seed) for seed in (0, 0, 1))
    first, second = order(one), order(one)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, order(third))
    np.testing.assert_array_equal(first, order(other))
    next(iter(pickle.loads(pickle.dumps(one))))  # a copy goes on by itself
    np.testing.assert_array_equal(second, order(other))
    assert one.n_passes == other.n_passes == 2


def test_random_state_instances(tmp_path):
    one, other = (arrays(tmp_path, random_state=np.random.RandomState(0)) for _ in range(2))
    np.testing.assert_array_equal(order(one), order(other))


def test_passes_at_the_same_time(tmp_path):
    chunks = parquet(tmp_path, chunk_rows=64, mix=2, random_state=0)
    pairs = list(zip(chunks, chunks, strict=True))
    for side in range(2):
        np.testing.assert_array_equal(np.sort(order(pair[side] for pair in pairs)), np.arange(N))


@SOURCES
def test_chunks_are_arrays_of_their_own(tmp_path, source):
    """Chunks that are kept do not change, and may be written to."""
    for shuffle in (True, False):
        chunks = source(tmp_path, chunk_rows=64, shuffle=shuffle, random_state=0)
        for X, y, weight in list(chunks):
            np.testing.assert_array_equal(dense(X)[:, 0], y / 3)
            np.testing.assert_array_equal(dense(X)[:, 0], weight - 1)
            if not sparse.issparse(X):
                assert X.flags.c_contiguous
                assert X.flags.writeable


@pytest.mark.parametrize("source", [parquet, arrays])
def test_sorted_data_are_mixed(tmp_path, source):
    """A chunk holds samples of at least as many blocks as are mixed, in every part of the pass."""
    n, rows, mix = 64 * 400, 400, 8
    if source is parquet:
        path = write(tmp_path / "sorted.parquet", n, group=rows)
        chunks = ParquetChunks(path, "y", chunk_rows=rows, mix=mix, random_state=0)
    else:
        chunks = source(tmp_path, n, chunk_rows=rows, mix=mix, random_state=0)
    blocks = [len(np.unique(y // (3 * rows))) for _, y, *_ in chunks]
    spread = [np.std(y / (3 * n)) for _, y, *_ in chunks]
    assert min(blocks) >= mix
    # Of all samples, the spread is 0.289; of eight blocks of 64, 0.26 with a standard error of 0.04.
    assert np.mean(spread) > 0.26
    assert min(spread) > 0.15


def test_samples_of_one_group_do_not_stay_together(tmp_path):
    path = write(tmp_path / "data.parquet", 16 * 1024, group=1024)
    for _, y in ParquetChunks(path, "y", columns=["a"], chunk_rows=1024, mix=8, random_state=0):
        assert np.mean(np.diff(y // (3 * 1024)) == 0) < 0.5


def limit_pool(monkeypatch, samples_of_five):
    """Let the pool hold so many samples of five numbers."""
    monkeypatch.setattr(_source, "POOL_BYTES", samples_of_five * 8 * 5)


@pytest.mark.parametrize(("rows", "groups", "mix"), [(64, 60, 1), (64, 1000, 16), (1, 10, 2), (500, 10, 1)])
def test_memory_is_bounded(tmp_path, monkeypatch, rows, groups, mix):
    """What waits is twice the groups mixed, what is allowed, or two chunks; a few more are in use."""
    limit_pool(monkeypatch, 200)
    path = write(tmp_path / "data.parquet", group=groups)
    chunks = ParquetChunks(path, "y", sample_weight="w", chunk_rows=rows, mix=mix, random_state=0)
    pool = chunks._pool()
    monkeypatch.setattr(chunks, "_pool", lambda: pool)
    np.testing.assert_array_equal(np.sort(order(chunks)), np.arange(N))
    assert len(pool.arrays[0]) <= max(min(2 * mix * groups, 200), 2 * rows) + 8 * rows


@SOURCES
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("pool", [100, 10_000])
def test_lent_chunks(tmp_path, monkeypatch, source, shuffle, pool):
    """Each sample comes once a pass, in memory that serves all passes."""
    limit_pool(monkeypatch, pool)
    chunks = source(tmp_path, chunk_rows=64, mix=2, shuffle=shuffle, random_state=0)
    memory, orders = chunks._pool(), []
    for number in range(3):
        got = [
            tuple(dense(part).copy() for part in parts) for parts in chunks._lent(memory, mixed=number > 0)
        ]
        assert len(got) == len(chunks)
        X, y, weight = (np.concatenate(parts) for parts in zip(*got, strict=True))
        orders.append(y / 3)
        for part, expected in zip((X, y, weight), samples(), strict=True):
            np.testing.assert_array_equal(part[np.argsort(y)], expected)
    assert np.array_equal(orders[1], orders[2]) != shuffle
    assert np.array_equal(orders[0], np.arange(N)) != shuffle
    assert chunks.n_passes == 3
    assert not readers()


@pytest.mark.parametrize(("pool", "passes"), [(1100, 1), (900, 3)])
def test_what_fits_into_the_pool_is_read_once(tmp_path, monkeypatch, pool, passes):
    limit_pool(monkeypatch, pool)
    chunks, read = parquet(tmp_path, chunk_rows=64, random_state=0), []
    batches = chunks._batches

    def counted(file, group):
        read.append(group)
        return batches(file, group)

    monkeypatch.setattr(chunks, "_batches", counted)
    memory = chunks._pool()
    for _ in range(3):
        for _ in chunks._lent(memory, mixed=True):
            pass
    assert sorted(read) == sorted(passes * list(range(-(-N // GROUP))))


@pytest.mark.parametrize("size", ["WHOLE_BYTES", "PART_BYTES"])
def test_long_row_groups_are_read_by_parts(tmp_path, monkeypatch, size):
    monkeypatch.setattr(_parquet, "WHOLE_BYTES", 0)
    monkeypatch.setattr(_parquet, size, 64 * 5 * 8)
    chunks = parquet(tmp_path, chunk_rows=100, shuffle=False)
    for part, expected in zip(zip(*chunks, strict=True), samples(), strict=True):
        np.testing.assert_array_equal(np.concatenate(part), expected)


@pytest.mark.parametrize(
    ("count", "lag"), [(64_000, 4096), (64_000, 64), (5000, 6000), (5000, 4000), (700, 1), (1, 1)]
)
def test_chunks_draw_evenly_from_what_was_read_of_late(count, lag):
    rows = 512
    deal = Deal.mixed(count, rows, lag, np.random.default_rng(0))
    a_chunk, lag = rows // deal.run, max(lag, rows)
    position = deal.chunk * a_chunk + deal.slot
    np.testing.assert_array_equal(np.sort(position), np.arange(-(-count // deal.run)))
    for chunk, ready in enumerate(deal.ready):
        come = np.flatnonzero(deal.chunk == chunk)
        assert come.max() < ready
        # No sample waits longer than two lags; noise of the draws moves chunks by a few runs.
        assert (ready - come.min()) * deal.run <= 2 * lag + 2 * rows
        if count > 4 * lag > 4 * rows:  # in each third of what is there, a good part of a third
            window = min((chunk + 1) * rows + lag, count) - max((chunk + 1) * rows - lag, 0)
            age = (ready - 1 - come) * deal.run / window
            assert np.histogram(age, [0.0, 1 / 3, 2 / 3, 1.1])[0].min() > a_chunk / 9


def test_reading_waits_for_the_consumer():
    class Counted(np.ndarray):
        slices = 0

        def __getitem__(self, item):
            Counted.slices += isinstance(item, slice) and self.ndim == 2
            return np.asarray(self)[item]

    X, y, _ = samples()
    chunks: Any = iter(ArrayChunks(X.view(Counted), y, chunk_rows=10, shuffle=False))
    for taken in range(1, 50):
        next(chunks)
        # One in use, one waiting, one held by the reader.
        assert Counted.slices <= taken + 2
    chunks.close()


@SOURCES
@pytest.mark.parametrize("taken", [0, 1, 3])
@pytest.mark.parametrize("shuffle", [True, False])
def test_no_thread_is_left(tmp_path, source, taken, shuffle):
    chunks = source(tmp_path, chunk_rows=64, mix=2, shuffle=shuffle, random_state=0)
    for _ in itertools.islice(chunks, taken):
        pass
    assert not readers()

    def fail():
        for _ in chunks:
            assert len(readers()) == 1
            raise KeyError("of the consumer")

    with pytest.raises(KeyError, match="of the consumer"):
        fail()
    assert not readers()
    iterator = iter(chunks)
    next(iterator)
    iterator.close()
    assert not readers()


def test_errors_of_the_reader_arrive(tmp_path):
    chunks = parquet(tmp_path, chunk_rows=64)
    (tmp_path / "data.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"data\.parquet"):
        next(iter(chunks))
    assert not readers()


def test_files_lists_and_folders(tmp_path):
    first, second = table().slice(0, 300), table().slice(300).select(["y", "c", "b", "a", "w"])
    (tmp_path / "deeper.parquet").mkdir()
    pq.write_table(first, tmp_path / "a.parquet", row_group_size=GROUP)
    pq.write_table(second, tmp_path / "deeper.parquet" / "b.parquet")
    (tmp_path / "notes.txt").write_text("no data")
    for source in (tmp_path, str(tmp_path), [tmp_path / "a.parquet", tmp_path / "deeper.parquet"]):
        chunks = ParquetChunks(source, "y", shuffle=False, chunk_rows=128)
        assert list(chunks.feature_names_in_) == ["a", "b", "c", "w"]
        assert chunks.feature_names_in_.dtype == object
        X = np.concatenate([X for X, _ in chunks])
        np.testing.assert_array_equal(X[:, :3], samples()[0])


def test_several_outputs(tmp_path):
    chunks = ParquetChunks(write(tmp_path / "d.parquet"), ["y", "a"], columns=["c", "b"], shuffle=False)
    ((X, y),) = chunks
    np.testing.assert_array_equal(X, samples()[0][:, [2, 1]])
    np.testing.assert_array_equal(y, np.column_stack([samples()[1], samples()[0][:, 0]]))
    ((_, y),) = ArrayChunks(X, y, random_state=0)
    assert y.shape == (N, 2)
    ((_, y),) = ParquetChunks(tmp_path / "d.parquet", ["y"])
    assert y.shape == (N, 1)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (pa.float64(), np.float64),
        (pa.float32(), np.float32),
        (pa.float16(), np.float64),
        (pa.int8(), np.float64),
        (pa.uint64(), np.float64),
        (pa.bool_(), np.float64),
        (pa.decimal128(10, 2), np.float64),
    ],
)
def test_numbers(tmp_path, kind, expected, shuffle):
    numbers = pa.array(np.array([0.0, 1.0, 1.0, 0.0])).cast(kind)
    data = pa.table({"x": numbers, "more": numbers, "y": [1, 2, 3, 4]})
    pq.write_table(data, tmp_path / "d.parquet")
    ((X, y),) = ParquetChunks(tmp_path / "d.parquet", "y", shuffle=shuffle)
    assert X.dtype == expected
    np.testing.assert_array_equal(X[np.argsort(y)], [[0, 0], [1, 1], [1, 1], [0, 0]])


@pytest.mark.parametrize(
    ("given", "expected"),
    [("f4", "f4"), ("f8", "f8"), ("i8", "f8"), ("?", "f8"), (">f8", "f8"), ("f2", "f8")],
)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_array])
def test_dtypes_of_arrays(given, expected, form):
    X = np.eye(4)
    if form is not np.asarray and given in {"f2", ">f8"}:
        pytest.skip("SciPy has no such matrices")
    ((got, _),) = ArrayChunks(form(X.astype(given)), np.arange(4), shuffle=False)
    assert got.dtype == np.dtype(expected)
    np.testing.assert_array_equal(dense(got), X)


def test_nan_is_left_to_training(tmp_path):
    pq.write_table(pa.table({"x": [1.0, np.nan], "y": [1.0, 2.0]}), tmp_path / "d.parquet")
    ((X, _),) = ParquetChunks(tmp_path / "d.parquet", "y", shuffle=False)
    np.testing.assert_array_equal(X, [[1.0], [np.nan]])


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("column", ["a", "y", "w"])
def test_nulls_are_refused_by_column_and_row_group(tmp_path, column, shuffle):
    values = np.arange(N, dtype=float)
    more = {column: pa.array(values, mask=(values > 130) & (values < 134))}
    path = write(tmp_path / "data.parquet", **more)
    chunks = ParquetChunks(path, "y", sample_weight="w", chunk_rows=64, shuffle=shuffle)
    expected = rf"column '{column}' has 3 nulls in row group 2 of .*data\.parquet: fill them"
    with pytest.raises(ValueError, match=expected):
        list(chunks)
    assert not readers()


DATES = np.array(["2026-01-01", "2026-01-02"], "datetime64[ns]")


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["one", "two"], r"holds string, not numbers: encode it"),
        (pa.array(["one", "two"]).dictionary_encode(), r"holds dictionary<.*not numbers: encode it"),
        (DATES, r"holds timestamp\[ns\], not numbers: turn it into a number"),
        (pa.array(DATES.astype("datetime64[D]")), r"holds date32\[day\], not numbers: turn it into a number"),
        ([[1.0], [2.0]], r"holds list<.*, not numbers"),
        (pa.nulls(2), "holds null, not numbers"),
    ],
)
def test_other_types_are_refused_by_name(tmp_path, values, found):
    path = tmp_path / "d.parquet"
    pq.write_table(pa.table({"x": [1.0, 2.0], "bad": values, "y": [1.0, 2.0]}), path)
    with pytest.raises(ValueError, match=r"column 'bad' of .*d\.parquet " + found):
        ParquetChunks(path, "y")
    ((X, _),) = ParquetChunks(path, "y", columns=["x"])
    assert X.shape == (2, 1)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"target": "z"}, r"column 'z' is missing from .*a\.parquet"),
        ({"columns": ["a", "z"]}, r"column 'z' is missing from .*a\.parquet"),
        ({"sample_weight": "z"}, r"column 'z' is missing from .*a\.parquet"),
        ({"columns": ["a", "y"]}, r"share columns: \['y'\]"),
        ({"columns": ["a", "a"]}, r"share columns: \['a'\]"),
        ({"columns": []}, "one at least for features"),
        ({"target": []}, "a column for the target"),
        ({"columns": "abc"}, "list of names"),
        ({"chunk_rows": 0}, "chunk_rows must be an integer of at least 1, got 0"),
        ({"chunk_rows": 2.5}, r"chunk_rows must be an integer of at least 1, got 2\.5"),
        ({"mix": True}, "mix must be an integer of at least 1, got True"),
        ({"random_state": "seed"}, "seed"),
        ({"source": "nothing.parquet"}, r"no file or folder nothing\.parquet"),
        ({"source": []}, r"no \*\.parquet files in \[\]"),
    ],
)
def test_wrong_parameters(tmp_path, options, match):
    path = write(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=match):
        ParquetChunks(**{"source": path, "target": "y", **options})


def test_files_that_do_not_fit_together(tmp_path):
    write(tmp_path / "a.parquet")
    pq.write_table(table().drop_columns("b"), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"column 'b' is missing from .*b\.parquet"):
        ParquetChunks(tmp_path, "y")


def test_files_named_twice_are_refused(tmp_path):
    path = write(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"named more than once: \['.*a\.parquet'\]"):
        ParquetChunks([tmp_path, path], "y")


def test_empty_sources_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no \*\.parquet files in"):
        ParquetChunks(tmp_path, "y")
    write(tmp_path / "d.parquet", n=0)
    with pytest.raises(ValueError, match=r"d\.parquet holds no samples"):
        ParquetChunks(tmp_path / "d.parquet", "y")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((np.ones(3), np.ones(3)), r"X must have .* got shape \(3,\)"),
        ((np.ones((0, 2)), np.ones(0)), r"X must have .* got shape \(0, 2\)"),
        ((np.ones((3, 2)), np.ones(2)), r"inconsistent numbers of samples: \[3, 2\]"),
        ((np.ones((3, 2)), np.ones(3), np.ones((3, 1))), r"sample_weight must have .* got shape \(3, 1\)"),
        ((np.array([["a"]]), [1.0]), "X must hold numbers, got dtype <U1"),
    ],
)
def test_wrong_arrays(arguments, match):
    with pytest.raises(ValueError, match=match):
        ArrayChunks(*arguments)


def test_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        ParquetChunks(tmp_path, "y")
