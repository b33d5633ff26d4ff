"""What the command writes: a picture of the loss curves, and the best model."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_sgdopt._cli.messages import InputError, WorkError, one_line, printable

FORMATS = ("eps", "jpeg", "jpg", "pdf", "png", "ps", "svg", "svgz", "tif", "tiff", "webp")


def check_destination(path: Path, *others: Path | None) -> None:
    """Raise an error if a file cannot be written there, or would replace one of `others`."""
    name = printable(str(path))
    try:
        if path.exists() and not path.is_file():
            raise InputError(
                f"cannot write {name}: it is a folder, a pipe or a device; give the name of a file"
            )
        if not path.parent.is_dir():
            raise InputError(f"cannot write {name}: the folder {printable(str(path.parent))} does not exist")
    except OSError as error:
        raise InputError(f"cannot write {name}: {one_line(error.strerror or error)}") from error
    if any(other is not None and same_file(path, other) for other in others):
        raise InputError(f"{name} is given twice; FILE, --output and --save need different names")


def same_file(one: Path, other: Path) -> bool:
    """Return whether two paths lead to the same file, be it there or not."""
    return os.path.realpath(one) == os.path.realpath(other)


def picture_format(path: Path) -> str:
    """Return the format that the ending of a picture's name says; PNG if it has none."""
    ending = path.suffix[1:].lower()
    if ending and ending not in FORMATS:
        raise InputError(
            f"no picture can be written as {printable(str(path))}: {printable(path.suffix)} is not a "
            f"known format; known are {', '.join(FORMATS)}"
        )
    return ending or "png"


def check_matplotlib() -> None:
    """Raise an error if there is no matplotlib."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise InputError(
            "the picture needs matplotlib, which is not installed; run `pip install matplotlib` (the "
            "extra `plot` of sklearn-sgdopt), or give --no-plot to go without"
        ) from error


def check_skops() -> None:
    """Raise an error if there is no skops."""
    try:
        import skops.io  # noqa: F401
    except ImportError as error:
        raise InputError(
            "--save needs skops, which is not installed; run `pip install skops`, or leave out --save"
        ) from error


def save_picture(fitted: Mapping[str, Any], path: Path) -> None:
    """Save the loss curves of fitted solvers in one picture, under exactly this name."""
    from matplotlib.figure import Figure

    from sklearn_sgdopt import LossCurveDisplay

    axes = Figure().subplots()  # without pyplot: no window, whatever the backend
    positive = any(np.max(model.loss_curve_) > 0 for model in fitted.values())
    display = LossCurveDisplay.from_estimators(dict(fitted), ax=axes, log_scale=bool(positive))
    display.ax_.set_xscale("log")
    display.ax_.set_title("Training loss of the four solvers")
    picture = io.BytesIO()
    display.figure_.savefig(picture, format=picture_format(path), dpi=150, bbox_inches="tight")
    write(path, picture.getvalue())


def save_model(model: Any, path: Path) -> None:
    """Save a fitted model with skops, under exactly this name."""
    from skops.io import dumps

    write(path, dumps(model))


def write(path: Path, data: bytes) -> None:
    """Write a file; say which one if that fails."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise WorkError(f"cannot write {printable(str(path))}: {error.strerror or error}") from error
