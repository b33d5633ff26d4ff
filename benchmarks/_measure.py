"""Ratios of medians: two things timed in turn, so that noise of the machine meets both."""

import time
import tracemalloc
from collections.abc import Callable

import numpy as np

Task = Callable[[], object]
Fit = Callable[[int], object]  # takes the number of epochs


def seconds(task: Task) -> float:
    """Time one call."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def medians(first: Task, second: Task, *, repeats: int = 5) -> tuple[float, float]:
    """Median seconds of two tasks, called in turn after one call each that is not counted."""
    first(), second()
    times = np.array([(seconds(first), seconds(second)) for _ in range(repeats)])
    return tuple(np.median(times, axis=0))


def epochs(first: Fit, second: Fit, *, per_fit: int, repeats: int = 5) -> tuple[float, float]:
    """Median seconds of one epoch of each: fits of ``1 + per_fit`` epochs less fits of 1, timed in turn.

    What a fit does once, validation and statistics, is not part of an epoch.
    """
    tasks = [lambda fit=fit, n=n: fit(n) for fit in (first, second) for n in (1, 1 + per_fit)]
    for task in tasks:
        task()
    times = np.median([[seconds(task) for task in tasks] for _ in range(repeats)], axis=0)
    return (times[1] - times[0]) / per_fit, (times[3] - times[2]) / per_fit


def peak_bytes(task: Task) -> int:
    """Most memory that Python and NumPy held during a call, beyond what they held before."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    task()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - before


class Table:
    """Rows of what was measured beside its goal, printed as they come."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, float, float, bool]] = []
        print(f"{'what':62}{'against':30}{'measured':>10}{'goal':>10}")

    def faster(self, what: str, against: str, ours: float, theirs: float, goal: float) -> None:
        """How many times faster, at least ``goal``."""
        self._add(what, against, theirs / ours, goal, theirs / ours >= goal, ">=")

    def at_most(self, what: str, against: str, ours: float, theirs: float, goal: float) -> None:
        """What part of the other, at most ``goal``."""
        self._add(what, against, ours / theirs, goal, ours / theirs <= goal, "<=")

    def _add(self, what: str, against: str, ratio: float, goal: float, holds: bool, sign: str) -> None:
        self.rows.append((what, against, ratio, goal, holds))
        mark = "" if holds else "  MISSED"
        print(f"{what:62}{against:30}{ratio:9.2f}x{sign:>4}{goal:5g}x{mark}", flush=True)
