"""Tables as the command reads them: layouts, kinds of files, columns chosen, and what is refused."""

import gzip
import io
import os
import sys
from typing import Any

import numpy as np
import pytest

from sklearn_sgdopt._cli.messages import InputError, close_names, printable, say
from sklearn_sgdopt._cli.sources import read_table
from sklearn_sgdopt._cli.table import Wanted, samples_of

N = 12
FIRST = np.array([0.5, 3.25, -1.5, 2.75, 8.5, -0.25, 4.5, 6.75, 1.25, 9.5, -7.5, 5.25])
LAST = FIRST[::-1] * 10.0


def table(sep=",", decimal=".", header="width{0}price", end="\n"):
    lines = [header.format(sep)]
    lines += [f"{a}{sep}{b}".replace(".", decimal) for a, b in zip(FIRST, LAST, strict=True)]
    return end.join([*lines, ""])


def with_line(line, header="width,price", position=1):
    lines = table(header=header).splitlines()
    lines.insert(position, line)
    return "\n".join(lines) + "\n"


def with_column(name, cells, header="width,price"):
    """Put a column before the others."""
    head, *rest = table(header=header).splitlines()
    lines = [f"{name},{head}", *(f"{cell},{line}" for cell, line in zip(cells, rest, strict=True))]
    return "\n".join(lines) + "\n"


def quoted_cells(text):
    return "\n".join(",".join(f'"{cell}"' for cell in line.split(";")) for line in text.splitlines())


@pytest.fixture
def read(tmp_path):
    def run(data, *, target=None, ignore=(), drop_missing=False, name="data.csv", **layout):
        path = tmp_path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        found = read_table(os.fspath(path), Wanted(target, ignore), **layout)
        return samples_of(found, drop_missing=drop_missing)

    return run


LAYOUTS = {
    "comma": (table(), {}),
    "semicolon": (table(";"), {}),
    "tab": (table("\t"), {}),
    "bar": (table("|"), {}),
    "space": (table(" "), {}),
    "spaces": (table("   ", header="  width{0}price"), {}),
    "semicolon, decimal comma": (table(";", ","), {}),
    "tab, decimal comma": (table("\t", ","), {}),
    "quoted decimal commas": (quoted_cells(table(";", ",")), {}),
    "a comma in the header": (table(";", header="width, in cm{0}price"), {}),
    "a comma in the header, decimal comma": (table(";", ",", header="width,in,cm{0}price"), {}),
    "windows": (table(end="\r\n"), {}),
    "old mac": (table(end="\r"), {}),
    "byte order mark": (b"\xef\xbb\xbf" + table().encode(), {}),
    "gzip": (gzip.compress(table().encode()), {}),
    "gzip, semicolon": (gzip.compress(table(";", ",").encode()), {}),
    "blank lines": (table(end="\n\n") + ",\n , \n", {}),
    "ends in separators": (table(end=",\n"), {}),
    "no newline at the end": (table().rstrip(), {}),
    "given": (table("~", ","), {"sep": "~", "decimal": ","}),
    "given against the look of it": (table(";", ",").replace(",", ",00"), {"sep": ";", "decimal": ","}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_found_or_given(layout, read):
    data, options = LAYOUTS[layout]
    samples = read(data, **options)
    scale = 0.01 if "against" in layout else 1.0
    expected = [np.trunc(values) + (values - np.trunc(values)) * scale for values in (FIRST, LAST)]
    np.testing.assert_allclose(samples.X[:, 0], expected[0], rtol=1e-15)
    np.testing.assert_allclose(samples.y, expected[1], rtol=1e-15)
    assert samples.target == "price"


def test_blanks_in_the_header_are_no_separator(read):
    """Though 1,35 could be a number with a decimal comma."""
    samples = read("width (cm),price (EUR)\n" + "".join(f"{k % 5},{k % 7}\n" for k in range(N)))
    assert (samples.names, samples.target) == (["width (cm)"], "price (EUR)")


KINDS = {
    "booleans": (["yes", "No", "TRUE", "false"] * 3, [1.0, 0.0, 1.0, 0.0] * 3, "read as 1"),
    "exponents": (["1e3", "-2.5E-2", "+4", ".5"] * 3, [1000.0, -0.025, 4.0, 0.5] * 3, None),
    "spaces around": ([" 1 ", "2 ", " 3", "4"] * 3, [1.0, 2.0, 3.0, 4.0] * 3, None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_cells(kind, read):
    cells, values, note = KINDS[kind]
    samples = read(with_column("kind", cells))
    assert samples.X[:, 0].tolist() == values
    assert [note in text for text in samples.notes] == ([] if note is None else [True])


@pytest.mark.parametrize(
    ("options", "names", "target"),
    [
        ({}, ["a", "b"], "c"),
        ({"target": "a"}, ["b", "c"], "a"),
        ({"ignore": ["c"]}, ["a"], "b"),
        ({"ignore": ["a"], "target": "b"}, ["c"], "b"),
    ],
)
def test_columns_are_chosen(options, names, target, read):
    samples = read("a,b,c\n" + "".join(f"{k % 5},{-k % 7},{k % 3}\n" for k in range(N)), **options)
    assert (samples.names, samples.target) == (names, target)
    every = {"a": [k % 5 for k in range(N)], "b": [-k % 7 for k in range(N)], "c": [k % 3 for k in range(N)]}
    np.testing.assert_array_equal(samples.X.T, [every[name] for name in names])
    np.testing.assert_array_equal(samples.y, every[target])


def test_an_ignored_column_may_hold_anything(read):
    assert read(with_column("city", ["Ulm", "1e999", "", "\x1b"] * 3), ignore=["city"]).names == ["width"]


NOTES = {
    "an index without a name": (with_column("", range(N)), "'column_1' (without a name) counts the samples"),
    "an index from 1": (with_column("id", range(1, N + 1)), "'id' counts the samples (1, 2, ...)"),
    "no name": (with_column("", FIRST), "columns without a name are called by their position: 'column_1'"),
    "no header": (table(header="1.5,2"), "line 1 holds numbers"),
    "layout": (table(";", ","), "separator semicolon, decimal commas"),
}


@pytest.mark.parametrize("case", NOTES)
def test_what_is_taken_for_granted_is_said(case, read):
    data, expected = NOTES[case]
    assert [expected in note for note in read(data).notes] == [True]


@pytest.mark.parametrize("first", [2, 0.5, -1])
def test_other_counts_are_no_index(first, read):
    assert read(with_column("year", first + np.arange(N))).notes == []


@pytest.mark.parametrize("missing", ["", "NA", "nan", "null", "None", "?", "N/A", " "])
def test_missing_values(missing, read):
    data = with_line(f"{missing},1", position=3)
    with pytest.raises(
        InputError, match=r"line 4, column 'width': the value is missing; 1 of 13 .*--drop-missing"
    ):
        read(data)
    samples = read(data, drop_missing=True)
    np.testing.assert_array_equal(samples.X[:, 0], FIRST)
    assert samples.notes == ["1 of 13 samples left out, a value is missing in each"]


MANY = ",".join(f"column {k}" for k in range(3000))
MISTAKES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "text in a cell": (
        with_line("wide,1"),
        {},
        "line 2, column 'width': 'wide' is not a number; correct it, or",
    ),
    "text in the target": (with_line("1,dear"), {}, "line 2, column 'price': 'dear' is not a number"),
    "a text column": (
        with_column("city", ["Ulm"] * N),
        {},
        "'city' holds text ('Ulm' in line 2); leave it out (--ignore city)",
    ),
    "text columns": (
        with_column("city, state", ["Ulm,BW"] * N),
        {},
        "columns 'city', 'state' do not hold numbers (the first: text ('Ulm' in line 2)); "
        "leave them out (--ignore city state)",
    ),
    "a text target": (with_column("a b", ["Ulm"] * N), {"target": "a b"}, "the target 'a b' holds text"),
    "infinite": (with_line("inf,1"), {}, "line 2, column 'width': the number is infinite"),
    "1e200": (with_line("1,-1e200", position=4), {}, "line 5, column 'price': -1e+200 is too large"),
    "300 digits": (with_line("9" * 300 + ",1"), {}, "line 2, column 'width': 1e+300 is too large"),
    "400 digits": (
        with_line("9" * 400 + ",1"),
        {},
        "line 2, column 'width': the number is infinite or too large",
    ),
    "underscores": (with_line("1_0,1"), {}, "'1_0' is not a number"),
    "a decimal comma": (
        with_line('"1,5",1'),
        {},
        "'1,5' is not a number; if its comma is a decimal comma, give --decimal ,",
    ),
    "thousands": (table(";") + "1,234;1\n", {}, "'1,234' is not a number; if its comma"),
    "a point": (
        table(";", ",") + "1.5;1\n",
        {},
        "'1.5' is not a number; the file was read with decimal commas",
    ),
    "short line": (with_line("1"), {}, "line 2 has 1 value, the header has 2 names"),
    "long line": (with_line("1,2,3"), {}, "line 2 has 3 values, the header has 2 names"),
    "missing everywhere": (
        with_column("gap", [""] * N),
        {"drop_missing": True},
        "leaves no sample; column 'gap' lacks 12 of 12 values, leave it out (--ignore gap)",
    ),
    "unknown target": (table(), {"target": "weight"}, "no column 'weight'; its columns are 'width', 'price'"),
    "unknown ignored": (table(), {"ignore": ["weight"]}, "no column 'weight'"),
    "one of many": (MANY + "\n", {"target": "Column 77"}, "did you mean 'column 77', of its 3000 columns?"),
    "near one of many": (MANY + "\n", {"target": "colum 77"}, "did you mean 'column 77' or"),
    "unlike any": (
        MANY + "\n",
        {"target": "xyz"},
        "no column 'xyz'; it has 3000 columns, none with a name like",
    ),
    "ignored target": (
        table(),
        {"target": "price", "ignore": ["price"]},
        "given to both --target and --ignore",
    ),
    "all ignored": (table(), {"ignore": ["price", "width"]}, "--ignore leaves no column"),
    "targets alike": (
        table(header="price,price"),
        {},
        "has 2 columns named 'price', the target; rename all but one",
    ),
    "no feature": ("price\n" + "1\n" * N, {}, "no column besides the target 'price'"),
    "constant target": (
        "a,b\n" + "1,3\n2,3\n" * N,
        {},
        "'b' is 3 in all 24 samples: there is nothing to learn",
    ),
    "nearly constant": ("a,b\n" + "1,0\n2,1e-150\n" * N, {}, "'b' varies by only 1e-150"),
    "empty": ("", {}, "is empty"),
    "blank": (" \n\n", {}, "is empty"),
    "header only": ("a,price\n", {}, "has 0 samples; at least 10"),
    "binary": (b"\xff\xfe\x00", {}, "is not text in UTF-8"),
    "latin 1 below the first lines": (
        table().encode() * 50 + "é,1\n".encode("latin1"),
        {},
        "not text in UTF-8",
    ),
    "a long cell": ("a,b\n" + '"' + "x" * 200_000 + '",1\n', {}, "is not a CSV file: field larger"),
    "broken gzip": (gzip.compress(table().encode())[:-12], {}, "damaged or cut short"),
    "no gzip": (b"\x1f\x8b" + b"x" * 50, {}, "damaged or cut short"),
    "escapes in a header": (
        with_column("\x1b[31mred\u202e", ["Ulm"] * N),
        {},
        r"column '\x1b[31mred\u202e' holds text",
    ),
    "escapes in a cell": (with_line("\x1b]0;title\x07,1"), {}, r"'\x1b]0;title\x07' is not a number"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(mistake, read):
    data, options, expected = MISTAKES[mistake]
    with pytest.raises(InputError) as error:
        read(data, **options)
    message = str(error.value)
    assert expected in message
    assert message.isprintable()
    assert len(message) < 400


@pytest.mark.slow
def test_a_missing_target_among_a_million_columns_is_a_short_line(read):
    header = ",".join(f"column{k}" for k in range(1_000_000))
    with pytest.raises(InputError) as error:
        read(header + "\n", target="colum123")
    assert "of its 1000000 columns" in str(error.value)
    assert len(str(error.value)) < 300


def test_close_names_are_looked_for_among_a_bounded_number():
    names = ["x"] * 5000 + ["weight", "WEIGTH"]
    assert close_names("weigth", names) == ["WEIGTH"]  # but for its case: found wherever it is
    assert close_names("weihgt", names) == []
    assert close_names("weihgt", names[::-1]) == ["weight"]
    assert close_names("w" * 10**6, names) == []


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (os.mkdir, "it is a folder"),
        (os.mkfifo, "it is a pipe or a device"),
        (lambda path: os.symlink("/dev/zero", path), "it is a pipe or a device"),
        (lambda path: None, "No such file or directory"),
    ],
)
def test_only_regular_files_are_opened(make, expected, tmp_path):
    path = os.fspath(tmp_path / "thing\x1b")
    make(path)
    with pytest.raises(InputError, match=expected) as error:
        read_table(path, Wanted())
    assert str(error.value).isprintable()


@pytest.mark.parametrize("data", [table(), table(";", ","), gzip.compress(table().encode())])
def test_standard_input(data, monkeypatch):
    raw = io.BytesIO(data.encode() if isinstance(data, str) else data)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))
    samples = samples_of(read_table("-", Wanted()), drop_missing=False)
    np.testing.assert_array_equal(samples.y, LAST)


def test_closed_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input is closed"):
        read_table("-", Wanted())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é", "plain é"),
        ("\x1b[0m", r"\x1b[0m"),
        ("a\nb", r"a\nb"),
        ("\u202e", r"\u202e"),
        ("\udcff", r"\udcff"),
    ],
)
def test_printable(text, expected):
    assert printable(text) == expected


def test_what_a_stream_cannot_encode_is_escaped():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    say("é", stream)
    assert stream.buffer.getvalue() == b"\\xe9" + os.linesep.encode()
