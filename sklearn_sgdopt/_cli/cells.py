"""What a cell of text says: a number, true or false, nothing, or something else."""

import re

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
BOOLEANS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")


def number(cell: str, decimal: str) -> float | None:
    """Return what a cell says, NaN where it says that a value is missing, None if it is no number."""
    try:
        return strict_float(cell) if decimal == "." else comma_float(cell)
    except ValueError:
        word = cell.strip().lower()
        return float("nan") if word in MISSING else BOOLEANS.get(word)


def strict_float(cell: str) -> float:
    """Return the number; without Python's underscores, which no file means as such."""
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)


def comma_float(cell: str) -> float:
    """Return a number that has a decimal comma, if any; a point could only part thousands."""
    if "." in cell or "_" in cell:
        raise ValueError(cell)
    return float(cell.replace(",", ".", 1))
