"""Where a table comes from: a file or standard input; text, gzip or Parquet, by its first bytes."""

import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from sklearn_sgdopt._cli.messages import InputError, one_line, printable
from sklearn_sgdopt._cli.parquet import read_parquet
from sklearn_sgdopt._cli.table import Table, Wanted
from sklearn_sgdopt._cli.text import read_text

STANDARD_INPUT = "-"
GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"


def read_table(file: str, wanted: Wanted, *, sep: str | None = None, decimal: str | None = None) -> Table:
    """Read the wanted columns of `file`, or of standard input if it is "-"."""
    source = "standard input" if file == STANDARD_INPUT else printable(file)
    try:
        with opened(file) as stream:
            data = unpacked(stream)
            if data.peek(len(PARQUET)).startswith(PARQUET):
                return read_parquet(data, source, wanted)
            return read_text(data, source, wanted, sep=sep, decimal=decimal)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"cannot unpack {source}, it is damaged or cut short: {one_line(error)}") from error
    except OSError as error:
        raise InputError(f"cannot read {source}: {one_line(error.strerror or error)}") from error


@contextmanager
def opened(file: str) -> Iterator[io.BufferedReader]:
    """Open a regular file or standard input for reading; anything else could wait for ever."""
    if file == STANDARD_INPUT:
        if sys.stdin is None:
            raise InputError("standard input is closed; give a FILE instead of -")
        yield buffered(sys.stdin.buffer)
        return
    check_regular(file)
    with open(file, "rb") as stream:
        yield stream


def check_regular(file: str) -> None:
    """Raise an error if `file` is a folder, a pipe or a device."""
    mode = os.stat(file).st_mode
    if stat.S_ISDIR(mode):
        raise InputError(f"cannot read {printable(file)}: it is a folder; give one file in it")
    if not stat.S_ISREG(mode):
        raise InputError(
            f"cannot read {printable(file)}: it is a pipe or a device, not a regular file; "
            "send what it holds to standard input and give - as FILE"
        )


def unpacked(stream: io.BufferedReader) -> io.BufferedReader:
    """Return the stream, or what gzip has packed into it."""
    if stream.peek(len(GZIP)).startswith(GZIP):
        return buffered(cast(BinaryIO, gzip.GzipFile(fileobj=stream, mode="rb")))
    return stream


def buffered(stream: BinaryIO) -> io.BufferedReader:
    """Return the stream with a `peek`."""
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, stream))
