"""What all pictures share: colours, labels, keywords of curves, a clear error without matplotlib."""

from collections.abc import Mapping, Sequence
from typing import Any

from sklearn_sgdopt._losses import LOSSES

# Okabe and Ito's colours, told apart with any colour vision, but for the yellow, too pale for lines.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MARKERS_A_LINE = 8

LineKwargs = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


def pyplot(display: str) -> Any:
    """Return matplotlib.pyplot, or say how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{display} needs matplotlib, which is not installed: pip install matplotlib"
        ) from error
    return plt


def loss_label(loss: str, target: str) -> str:
    """Return the label of an axis with a loss of ``target``."""
    return LOSSES[loss].label.replace("units of y", f"units of {target}")


def line_style(index: int) -> dict[str, Any]:
    """Colour, dashes and marker of the ``index``-th of several lines."""
    return {
        "color": COLORS[index % len(COLORS)],
        "linestyle": DASHES[index % len(DASHES)],
        "marker": MARKERS[index % len(MARKERS)],
        "markersize": 4.5,
    }


def own_keywords(kwargs: LineKwargs, curves: int, parameter: str) -> list[dict[str, Any]]:
    """Return the keywords of each of several curves: one dict is for all, a list has one for each."""
    if kwargs is None:
        return [{}] * curves
    from matplotlib.cbook import normalize_kwargs  # "c" is "color", and goes before what we would choose
    from matplotlib.lines import Line2D

    if isinstance(kwargs, Mapping):
        return [normalize_kwargs(dict(kwargs), Line2D)] * curves
    if isinstance(kwargs, str) or not isinstance(kwargs, Sequence) or len(kwargs) != curves:
        given = f"{len(kwargs)} of them" if isinstance(kwargs, list | tuple) else type(kwargs).__name__
        raise ValueError(
            f"{parameter} must be a dict, for all curves, or a list of {curves} dicts, one for each curve; "
            f"got {given}."
        )
    return [normalize_kwargs(dict(one), Line2D) for one in kwargs]


def the_only(lines: Mapping[str, Any], several: str) -> Any:
    """Return the one curve that there is, where an attribute is asked for that stands for a single one."""
    if len(lines) != 1:
        raise AttributeError(f"There are {len(lines)} curves: {several} holds them by name.")
    return next(iter(lines.values()))


def sparse_markers(points: int, index: int) -> tuple[int, int]:
    """Marker positions that do not crowd a line, nor fall on those of its neighbours."""
    step = max(1, points // MARKERS_A_LINE)
    return (index * step // 4) % step, step


def log_losses(plt: Any, ax: Any) -> None:
    """Make the axis of the loss logarithmic, with plain numbers where there is no whole decade."""
    ax.set_yscale("log")
    ax.yaxis.set_minor_formatter(plt.LogFormatter())
