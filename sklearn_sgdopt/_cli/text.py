"""Tables in text files: one header line, then numbers; separator and decimal mark given or found."""

import csv
import io
import itertools
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from sklearn_sgdopt._cli.cells import BOOLEANS, DECIMAL_COMMA, THOUSANDS, comma_float, number, strict_float
from sklearn_sgdopt._cli.messages import InputError, counted, listed, one_line, option, quoted
from sklearn_sgdopt._cli.table import Table, Unusable, Wanted, named, refuse_unusable

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}  # in order of preference
LOOKED_AT = 200  # lines that separator and decimal mark are found from
LOOKED_AT_CHARACTERS = 1_000_000  # the lines looked at end here, after the second at the earliest


class Layout(NamedTuple):
    """How a text is cut into numbers."""

    sep: str
    decimal: str

    def __str__(self) -> str:
        mark = "decimal commas" if self.decimal == "," else "decimal points"
        return f"separator {SEPARATORS.get(self.sep, repr(self.sep))}, {mark}"


def read_text(
    stream: BinaryIO, source: str, wanted: Wanted, *, sep: str | None = None, decimal: str | None = None
) -> Table:
    """Read the wanted columns of a text in UTF-8 with one header line."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    try:
        first = first_lines(text)
        sep = found_separator(first) if sep is None else sep
        decimal = found_decimal(first, sep) if decimal is None else decimal
        return read_records(itertools.chain(first, text), source, wanted, Layout(sep, decimal))
    except UnicodeDecodeError as error:
        raise InputError(
            f"{source} is not text in UTF-8 (nor gzip, nor Parquet); save it as CSV in UTF-8, "
            "for example with `iconv -f latin1 -t utf-8`"
        ) from error
    except csv.Error as error:
        raise InputError(f"{source} is not a CSV file: {one_line(error)}") from error
    finally:
        text.detach()  # who opened the stream closes it


def first_lines(text: Iterable[str]) -> list[str]:
    """Take the lines from which the layout is found."""
    lines: list[str] = []
    size = 0
    for line in text:
        lines.append(line)
        size += len(line)
        if len(lines) >= LOOKED_AT or (size > LOOKED_AT_CHARACTERS and len(lines) > 1):
            break
    return lines


def records(lines: Iterable[str], sep: str) -> Iterator[tuple[int, list[str]]]:
    """Cut lines into cells; give each record that is not blank with the number of its line."""
    if sep == " ":
        lines = (line.strip() for line in lines)
    reader = csv.reader(lines, delimiter=sep, skipinitialspace=True)
    for record in reader:
        if any(map(str.strip, record)):
            yield reader.line_num, record


def found_separator(lines: Sequence[str]) -> str:
    """Return the separator with which most lines have as many cells as the header, and most are numbers."""
    return max(SEPARATORS, key=lambda sep: fitness(lines, sep))


def fitness(lines: Sequence[str], sep: str) -> tuple[float, float, int]:
    """Return how well a separator fits; larger is better."""
    try:
        cut = [record for _, record in records(lines, sep)]
    except csv.Error:
        return 0.0, 0.0, 0
    if not cut or len(cut[0]) < 2:
        return 0.0, 0.0, 0
    header, *rest = cut
    if not rest:
        return 1.0, 0.0, 0
    alike = sum(len(record) == len(header) for record in rest)
    cells = [cell for record in rest[:20] for cell in record[:50]]
    numeric = sum(number(cell, ".") is not None or number(cell, ",") is not None for cell in cells)
    return alike / len(rest), numeric / max(len(cells), 1), len(header)


def found_decimal(lines: Sequence[str], sep: str) -> str:
    """Return "," if cells look like 1,5 more often than like 1.5; thousands such as 1,234 tell nothing."""
    cells = [cell.strip() for _, record in itertools.islice(records(lines, sep), 1, None) for cell in record]
    commas = [cell for cell in cells if DECIMAL_COMMA.fullmatch(cell)]
    points = sum("." in cell and number(cell, ".") is not None for cell in cells)
    telling = any(not THOUSANDS.fullmatch(cell) for cell in commas)
    return "," if telling and len(commas) > points else "."


class Cells:
    """The chosen cells of a text, turned into numbers line by line."""

    def __init__(self, names: Sequence[str], decimal: str) -> None:
        self.names = names
        self.decimal = decimal
        self.numbers = array("d")
        self.lines = array("q")
        self.first_text: dict[int, tuple[int, str]] = {}
        self.booleans: set[int] = set()
        self._parse: Callable[[str], float] = strict_float if decimal == "." else comma_float

    def add(self, line: int, cells: Sequence[str]) -> None:
        """Take the cells of a line."""
        self.lines.append(line)
        try:
            self.numbers.extend([self._parse(cell) for cell in cells])
        except ValueError:
            del self.numbers[(len(self.lines) - 1) * len(self.names) :]
            self.numbers.extend([self._odd(column, line, cell) for column, cell in enumerate(cells)])

    def _odd(self, column: int, line: int, cell: str) -> float:
        """Return the number in a cell of a line where not all are numbers, and remember what it is."""
        value = number(cell, self.decimal)
        if value is None:
            self.first_text.setdefault(column, (line, cell))
            return float("nan")
        if cell.strip().lower() in BOOLEANS:
            self.booleans.add(column)
        return value

    def values(self) -> np.ndarray:
        """Return the numbers, a row for each line."""
        return np.asarray(self.numbers, dtype=np.float64).reshape(len(self.lines), len(self.names))

    def refuse_text(self, source: str, values: np.ndarray) -> None:
        """Raise an error if a column holds text, or a single cell does."""
        text = []
        for column, (line, cell) in sorted(self.first_text.items()):
            if np.isnan(values[:, column]).all():
                text.append(Unusable(self.names[column], f"text ({quoted(cell)} in line {line})"))
        refuse_unusable(source, text, self.names[-1])
        for column, (line, cell) in sorted(self.first_text.items(), key=lambda item: item[1][0]):
            name = self.names[column]
            raise InputError(
                f"{source}, line {line}, column {quoted(name)}: {quoted(cell)} is not a number; "
                f"{self._advice(cell, name, is_target=column == len(self.names) - 1)}"
            )

    def _advice(self, cell: str, name: str, *, is_target: bool) -> str:
        """Return what to do about a cell."""
        if self.decimal == "." and DECIMAL_COMMA.fullmatch(cell.strip()):
            return "if its comma is a decimal comma, give --decimal , and else remove it"
        if self.decimal == "," and "." in cell:
            return "the file was read with decimal commas; if points are meant, give --decimal ."
        if is_target:
            return "correct it, or leave it empty and give --drop-missing"
        return f"correct it, or leave the column out ({option('--ignore', [name])})"


def read_records(lines: Iterable[str], source: str, wanted: Wanted, layout: Layout) -> Table:
    """Read a header and the records below it."""
    rest = records(lines, layout.sep)
    try:
        header_line, header = next(rest)
    except StopIteration:
        raise InputError(f"{source} is empty: expected a header line and lines of numbers") from None
    if len(header) > 1 and not header[-1].strip():
        header = header[:-1]  # the lines end in a separator
    names, nameless = named(header)
    columns = wanted.columns(names, f"{source} ({layout})" if len(names) == 1 else source)
    chosen = [names[column] for column in columns]
    cells = Cells(chosen, layout.decimal)
    for line, record in rest:
        check_width(record, names, source, line)
        cells.add(line, [record[column] for column in columns])
    values = cells.values()
    if len(values):
        cells.refuse_text(source, values)
    lines_of = np.asarray(cells.lines, dtype=np.int64)
    notes = layout_notes(layout, header, header_line, [chosen[column] for column in sorted(cells.booleans)])
    return Table(source, chosen, values, lines_of, nameless=nameless.intersection(chosen), notes=notes)


def check_width(record: Sequence[str], names: Sequence[str], source: str, line: int) -> None:
    """Raise an error if a line has not as many values as the header has names."""
    ends_in_separator = len(record) == len(names) + 1 and not record[-1].strip()
    if len(record) != len(names) and not ends_in_separator:
        values, expected = counted(len(record), "value"), counted(len(names), "name")
        raise InputError(
            f"{source}, line {line} has {values}, the header has {expected}; correct the line, "
            "or give --sep if the separator is another one"
        )


def layout_notes(layout: Layout, header: Sequence[str], line: int, booleans: Sequence[str]) -> list[str]:
    """Return notes on what was taken for granted."""
    notes = []
    if layout != Layout(",", "."):
        notes.append(f"read with {layout}")
    if all(number(name, layout.decimal) is not None for name in header if name.strip()):
        notes.append(
            f"line {line} holds numbers and was read as the names of the columns; "
            "add a header line if there is none"
        )
    if booleans:
        notes.append(f"true and yes read as 1, false and no as 0: {listed(booleans)}")
    return notes
