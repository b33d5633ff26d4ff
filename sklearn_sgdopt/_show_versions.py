"""What a bug report needs to say about a machine."""

import platform
import sys

from sklearn_sgdopt import _kernels

DEPENDENCIES = (
    "sklearn-sgdopt",
    "numpy",
    "scipy",
    "scikit-learn",
    "joblib",
    "threadpoolctl",
    "matplotlib",
    "rich",
    "pyarrow",
    "dask",
    "distributed",
    "pandas",
    "polars",
)


def _installed(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # as long an import as the kernels

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def show_versions() -> None:
    """Print what a bug report needs: system, versions, and how the kernels run.

    The kernels are compiled for several instruction sets. The best one that the processor has is used; the
    last section names it, and all that could run here.

    See Also
    --------
    sklearn.show_versions : The same for scikit-learn, with the thread pools of its libraries.

    Examples
    --------
    >>> import sklearn_sgdopt
    >>> sklearn_sgdopt.show_versions()  # doctest: +SKIP
    """
    sections: dict[str, dict[str, str | None]] = {
        "System": {
            "python": sys.version.replace("\n", " "),
            "executable": sys.executable,
            "machine": platform.platform(),
        },
        "Python dependencies": {name: _installed(name) for name in DEPENDENCIES},
        "Kernels": {"instruction set": _kernels.level(), "available": ", ".join(_kernels.levels())},
    }
    width = max(len(name) for entries in sections.values() for name in entries)
    for title, entries in sections.items():
        print(f"\n{title}:")
        for name, value in entries.items():
            print(f"{name:>{width}}: {value}")
