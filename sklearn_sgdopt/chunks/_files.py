"""Which Parquet files are meant, and whether their columns are numbers."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np


def load_pyarrow() -> Any:
    """Import pyarrow, which only those need who read Parquet."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("ParquetChunks needs pyarrow: pip install pyarrow") from error
    return pyarrow


def files_of(source: Any) -> list[str]:
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


def check_columns(names: list[str], n_features: int, schemas: dict[str, Any]) -> None:
    """Refuse columns that are named twice, are missing from a file or hold no numbers."""
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise ValueError(f"columns, target and sample_weight must not share columns: {twice}")
    if n_features == 0 or n_features == len(names):
        raise ValueError("there must be a column for the target, and one at least for features")
    types = load_pyarrow().types
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


def common_float(names: list[str], schemas: dict[str, Any]) -> np.dtype:
    kinds = {str(schema.field(name).type) for schema in schemas.values() for name in names}
    return np.dtype(np.float32 if kinds == {"float"} else np.float64)
