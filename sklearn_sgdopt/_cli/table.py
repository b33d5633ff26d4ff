"""A table of numbers, whichever file it came from: its columns chosen, its cells checked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sklearn_sgdopt._cli.messages import InputError, counted, listed, option, quoted, unknown_column

LEAST_SAMPLES = 10  # fewer leave no test part worth a score
LARGEST = 1e100  # squares of larger numbers, summed, could overflow


class Unusable(NamedTuple):
    """A column that does not hold numbers, and what it holds instead."""

    name: str
    holds: str


@dataclass(frozen=True)
class Wanted:
    """The columns that the user wants."""

    target: str | None = None
    ignore: Sequence[str] = ()

    def columns(self, names: Sequence[str], source: str) -> list[int]:
        """Return the positions of the features and, last, of the target among `names`."""
        known = set(names)
        for name in self.ignore:
            if name not in known:
                raise unknown_column(source, name, names)
        if self.target is not None and self.target not in known:
            raise unknown_column(source, self.target, names)
        if self.target in self.ignore:
            raise InputError(f"{quoted(str(self.target))} is given to both --target and --ignore; choose one")
        ignored = set(self.ignore)
        kept = [position for position, name in enumerate(names) if name not in ignored]
        if not kept:
            raise InputError(f"--ignore leaves no column of {source}")
        target = names[kept[-1]] if self.target is None else self.target
        targets = [position for position in kept if names[position] == target]
        if len(targets) > 1:
            raise InputError(
                f"{source} has {len(targets)} columns named {quoted(target)}, the target; rename all but one"
            )
        features = [position for position in kept if position != targets[0]]
        if not features:
            raise InputError(f"{source} has no column besides the target {quoted(target)} to predict it from")
        return [*features, targets[0]]


@dataclass(frozen=True)
class Table:
    """Numbers as read: features and, in the last column, the target; NaN where a value is missing."""

    source: str
    names: list[str]
    values: np.ndarray
    lines: np.ndarray
    line: str = "line"  # what the numbers in `lines` count
    nameless: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)

    def place(self, row: int, column: int) -> str:
        """Return where a cell stands, for messages."""
        return f"{self.source}, {self.line} {self.lines[row]}, column {quoted(self.names[column])}"


@dataclass(frozen=True)
class Samples:
    """What the solvers are trained on, and what the user should know about it."""

    X: np.ndarray
    y: np.ndarray
    names: list[str]
    target: str
    notes: list[str]


def named(header: Sequence[str]) -> tuple[list[str], frozenset[str]]:
    """Return the names, stripped, with `column_3` for a third without one; and those so made."""
    stripped = [name.strip() for name in header]
    names = [name or f"column_{position}" for position, name in enumerate(stripped, start=1)]
    return names, frozenset(new for new, old in zip(names, stripped, strict=True) if not old)


def refuse_unusable(source: str, unusable: Sequence[Unusable], target: str) -> None:
    """Raise an error that names the columns without numbers and says what to do."""
    for name, holds in unusable:
        if name == target:
            raise InputError(
                f"{source}: the target {quoted(name)} holds {holds}, but regression predicts numbers; "
                "choose another column with --target"
            )
    if not unusable:
        return
    names = [name for name, _ in unusable]
    if len(names) == 1:
        what = f"column {quoted(names[0])} holds {unusable[0].holds}"
    else:
        what = f"columns {listed(names)} do not hold numbers (the first: {unusable[0].holds})"
    it = "it" if len(names) == 1 else "them"
    raise InputError(
        f"{source}: {what}; leave {it} out ({option('--ignore', names)}) or turn {it} into numbers"
    )


def samples_of(table: Table, *, drop_missing: bool) -> Samples:
    """Check the numbers, drop samples with missing ones if asked to, and part features from target."""
    refuse_large(table)
    notes = [*table.notes, *index_notes(table)]
    missing = np.isnan(table.values)
    incomplete = missing.any(axis=1)
    if incomplete.any():
        notes.append(
            dropped(table, missing, incomplete) if drop_missing else refused(table, missing, incomplete)
        )
    values = table.values[~incomplete]
    if len(values) < LEAST_SAMPLES:
        raise InputError(
            f"{table.source} has {counted(len(values), 'sample')}; at least {LEAST_SAMPLES} are needed"
        )
    *names, target = table.names
    refuse_constant(values[:, -1], target, "samples")
    return Samples(values[:, :-1], values[:, -1], names, target, notes)


def refuse_large(table: Table) -> None:
    """Raise an error that names the first number too large to compute with."""
    cells = np.flatnonzero(np.abs(table.values) > LARGEST)
    if cells.size:
        row, column = divmod(int(cells[0]), table.values.shape[1])
        value = table.values[row, column]
        what = "the number is infinite or too large" if np.isinf(value) else f"{value:g} is too large"
        raise InputError(f"{table.place(row, column)}: {what}; numbers up to {LARGEST:g} can be used")


def refuse_constant(y: np.ndarray, target: str, which: str) -> None:
    """Raise an error if all values of the target are the same, or nearly."""
    if 0 < np.ptp(y) < 1 / LARGEST:
        raise InputError(
            f"the target {quoted(target)} varies by only {np.ptp(y):g}, too little to compute with; "
            "give it in a smaller unit"
        )
    if np.all(y == y[0]):
        raise InputError(
            f"the target {quoted(target)} is {y[0]:g} in all {len(y)} {which}: there is nothing to learn; "
            "choose another column with --target"
        )


def refused(table: Table, missing: np.ndarray, incomplete: np.ndarray) -> str:
    """Raise an error that names the first missing value."""
    row, column = divmod(int(np.flatnonzero(missing)[0]), missing.shape[1])
    raise InputError(
        f"{table.place(row, column)}: the value is missing; {incomplete.sum()} of {len(incomplete)} samples "
        "lack one; leave out these samples (--drop-missing) or the column (--ignore)"
    )


def dropped(table: Table, missing: np.ndarray, incomplete: np.ndarray) -> str:
    """Return a note on the samples left out; raise an error if none remains."""
    if incomplete.all():
        worst = int(missing.sum(axis=0).argmax())
        raise InputError(
            f"{table.source}: --drop-missing leaves no sample; column {quoted(table.names[worst])} lacks "
            f"{missing[:, worst].sum()} of {len(missing)} values, leave it out "
            f"({option('--ignore', [table.names[worst]])})"
        )
    return f"{incomplete.sum()} of {len(incomplete)} samples left out, a value is missing in each"


def index_notes(table: Table) -> list[str]:
    """Return notes on columns that count the samples, and on columns without a name."""
    counting = counting_columns(table.values)
    notes = []
    for column in counting[:3]:
        name = table.names[column]
        role = "the target" if column == len(table.names) - 1 else "a feature"
        notes.append(
            f"column {quoted(name)}{' (without a name)' * (name in table.nameless)} counts the samples "
            f"({table.values[0, column]:g}, {table.values[1, column]:g}, ...) as an index does, "
            f"and is used as {role}; {option('--ignore', [name])} leaves it out"
        )
    others = [name for name in table.names if name in table.nameless]
    others = [name for name in others if name not in {table.names[column] for column in counting[:3]}]
    if others:
        notes.append(
            f"columns without a name are called by their position: {listed(others)}; "
            f"{option('--ignore', others)} leaves them out"
        )
    return notes


def counting_columns(values: np.ndarray) -> list[int]:
    """Return the columns that are 0, 1, 2, ... or 1, 2, 3, ... from the first sample to the last."""
    if len(values) < LEAST_SAMPLES:
        return []
    likely = np.flatnonzero(np.isin(values[0], (0.0, 1.0)) & (values[2] == values[0] + 2.0))
    steps = np.arange(len(values))
    return [int(column) for column in likely if np.array_equal(values[:, column] - values[0, column], steps)]
