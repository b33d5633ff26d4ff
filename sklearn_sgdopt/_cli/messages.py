"""What the command says: errors in one line, and names made safe for a terminal."""

import difflib
import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

LONGEST = 40  # characters of a name or a cell that a message repeats
FEW = 10  # so many names are listed in full
SEARCHED = 2000  # names among which close ones are looked for


class InputError(Exception):
    """What was given cannot be used; nothing was trained or written."""


class WorkError(Exception):
    """Training failed, or a result could not be written."""


def printable(text: str) -> str:
    r"""Return `text` with every character that is not printable as its escape, such as ``\x1b``."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shortened(text: str) -> str:
    """Return `text`, printable, with its middle left out if it is long."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 15]}...{text[-5:]}"
    return printable(text)


def quoted(text: str) -> str:
    """Return `text` shortened and in quotes, for messages."""
    return f"'{shortened(text)}'"


def listed(names: Sequence[str]) -> str:
    """Return the names in quotes; of many only the first."""
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(map(quoted, names[:FEW])) + more


def counted(number: int, thing: str) -> str:
    """Return the number with its noun, in the plural where it is not one."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def option(flag: str, names: Sequence[str]) -> str:
    """Return `flag` with `names` as one would type it in a shell."""
    return " ".join([flag, *(shlex.quote(shortened(name)) for name in names[:FEW])])


def close_names(name: str, names: Sequence[str]) -> list[str]:
    """Return names that resemble `name`: those that differ in case only, else by difflib among the first."""
    folded = name.casefold()
    same = [other for other in names if other.casefold() == folded]
    if same or len(name) > LONGEST:
        return same[:3]
    return difflib.get_close_matches(name, [other for other in names[:SEARCHED] if len(other) <= LONGEST])


def unknown_column(source: str, name: str, names: Sequence[str]) -> InputError:
    """Return the error for a column that is not there, with those that could be meant."""
    text = f"{source} has no column {quoted(name)}"
    if len(names) <= FEW:
        return InputError(f"{text}; its columns are {listed(names)}")
    close = close_names(name, names)
    if not close:
        return InputError(f"{text}; it has {len(names)} columns, none with a name like it")
    return InputError(f"{text}; did you mean {' or '.join(map(quoted, close))}, of its {len(names)} columns?")


def one_line(text: object) -> str:
    """Return `text` in one printable line."""
    return printable(" ".join(str(text).split()))


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line, at once; what the stream's encoding lacks is escaped."""
    stream = sys.stdout if stream is None else stream
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def say_all(label: str, texts: Iterable[object]) -> None:
    """Print each different text once, after `label`."""
    for text in dict.fromkeys(map(one_line, texts)):
        say(f"{label}: {text}")
