"""Curves that grow, frame by frame."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def growing(ax: Any, lines: Sequence[Any], *, frames: int, interval: float) -> Any:
    """Return an animation in which curves grow from their first points at one pace, and a title counts.

    A curve that is whole waits for the others.
    """
    from matplotlib import rcParams
    from matplotlib.animation import FuncAnimation

    class Shown(FuncAnimation):
        """An animation that a notebook shows as it is."""

        def _repr_html_(self) -> str:
            asked = rcParams["animation.html"] != "none"
            return str(super()._repr_html_() if asked else self.to_jshtml())

    whole = [np.column_stack(line.get_data()) for line in lines]
    only_ends = [line.get_markevery() == [len(points) - 1] for line, points in zip(lines, whole, strict=True)]
    last = max(len(points) for points in whole) - 1
    updates = np.unique(np.linspace(0, last, frames).round().astype(int))
    above = f"{ax.get_title()}\n"
    title = ax.set_title(above, fontsize="medium")

    def draw(update: int) -> list[Any]:
        for line, points, only_end in zip(lines, whole, only_ends, strict=True):
            shown = points[: update + 1]
            line.set_data(*shown.T)
            if only_end:
                line.set_markevery([len(shown) - 1])
        title.set_text(f"{above}update {update} of {last}")
        return [*lines, title]

    return Shown(ax.figure, draw, frames=updates, interval=interval)
