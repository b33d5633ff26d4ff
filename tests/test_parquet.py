"""Parquet files as the command reads them."""

import datetime
import decimal
import io
import sys

import numpy as np
import pytest

from sklearn_sgdopt._cli.messages import InputError
from sklearn_sgdopt._cli.sources import read_table
from sklearn_sgdopt._cli.table import Wanted, samples_of

N = 12
Y = np.arange(N) ** 2 % 7 + 0.5
KINDS = {
    "float64": (Y, Y),
    "float32": (Y.astype("f4"), Y),
    "float16": (Y.astype("f2"), Y),
    "integers": (np.arange(N) + 2**60, np.arange(N) + 2.0**60),
    "booleans": (np.arange(N) % 2 == 0, (np.arange(N) % 2 == 0) * 1.0),
    "decimals": ([decimal.Decimal("1.5")] * N, np.full(N, 1.5)),
    "yes and no": (["yes", "No"] * (N // 2), [1.0, 0.0] * (N // 2)),
    "numbers as text": (["1.5", "-2"] * (N // 2), [1.5, -2.0] * (N // 2)),
}
REFUSED = {
    "text": (["Ulm"] * N, {}, "column 'a' holds text ('Ulm' in sample 1); leave it out (--ignore a)"),
    "dates": ([datetime.date(2020, 1, 1)] * N, {}, "column 'a' holds dates or times"),
    "lists": ([[1.0]] * N, {}, "column 'a' holds values of type list<"),
    "missing": ([None, *Y[1:]], {}, "sample 1, column 'a': the value is missing"),
    "all missing": ([None] * N, {"drop_missing": True}, "column 'a' lacks 12 of 12 values"),
    "infinite": ([*Y[1:], np.inf], {}, "sample 12, column 'a': the number is infinite"),
    "1e200": ([*Y[1:], 1e200], {}, "sample 12, column 'a': 1e+200 is too large"),
}


def parquet(values, names=("a", "y")):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array(values), pa.array(Y)], names=list(names)), stream)
    return stream.getvalue()


@pytest.fixture
def read(tmp_path):
    def run(data, *, drop_missing=False, **wanted):
        path = tmp_path / "data"
        path.write_bytes(data)
        return samples_of(read_table(str(path), Wanted(**wanted)), drop_missing=drop_missing)

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_columns(kind, read):
    values, expected = KINDS[kind]
    samples = read(parquet(values))
    np.testing.assert_array_equal(samples.X[:, 0], expected)
    np.testing.assert_array_equal(samples.y, Y)
    assert (samples.names, samples.target) == (["a"], "y")


def test_categories(read):
    pa = pytest.importorskip("pyarrow")
    samples = read(parquet(pa.array(["yes", "no"] * (N // 2)).dictionary_encode()))
    assert samples.X[:, 0].tolist() == [1.0, 0.0] * (N // 2)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case, read):
    values, options, expected = REFUSED[case]
    with pytest.raises(InputError) as error:
        read(parquet(values), **options)
    assert expected in str(error.value)


def test_columns_are_chosen(read):
    with pytest.raises(InputError, match="2 columns named 'y', the target"):
        read(parquet(Y, names=("y", "y")))
    with pytest.raises(InputError, match=r"no column 'b'; its columns are 'a\.b', 'y'"):
        read(parquet(Y, names=("a.b", "y")), target="b")
    assert read(parquet(Y[::-1], names=("a.b", "y")), target="a.b").names == ["y"]
    assert read(parquet([None, *Y[1:]]), drop_missing=True).y.tolist() == Y[1:].tolist()


def test_a_damaged_file(read):
    pytest.importorskip("pyarrow")
    with pytest.raises(InputError, match="damaged Parquet file"):
        read(parquet(Y)[:-20])


def test_without_pyarrow_the_extra_is_named(read, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match="pip install pyarrow` \\(the extra `arrow`"):
        read(b"PAR1 and so on")
