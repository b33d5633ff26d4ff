"""The picture of the documentation: an epoch against the samples, and accuracy against time.

``python -m benchmarks.curves`` measures on one core, for about two minutes, and writes
docs/measurements/times.csv and docs/images/times.png.
"""

import csv
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter
from sklearn.linear_model import SGDRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks._measure import seconds
from benchmarks.defaults import least_squares
from sklearn_sgdopt import GradientDescentRegressor
from sklearn_sgdopt._display.style import line_style

DOCS = Path(__file__).parents[1] / "docs"
SOLVERS = ("gd", "sgd", "momentum", "adam")
PEERS = ("SGDRegressor", "MLPRegressor")
STYLES: dict[str, dict[str, Any]] = {
    **{solver: {**line_style(index), "linestyle": "-"} for index, solver in enumerate(SOLVERS)},
    "SGDRegressor": {"color": "black", "linestyle": ":", "marker": "v", "markersize": 4.5},
    "MLPRegressor": {"color": "0.5", "linestyle": ":", "marker": "P", "markersize": 4.5},
}
FEATURES = 20
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
NETWORK_SAMPLES = 100_000  # beyond, the network would take longer than all the others
TRAIN_SAMPLES = 200_000
EPOCHS = {
    "gd": tuple(4**k for k in range(8)),
    **dict.fromkeys((*SOLVERS[1:], *PEERS), tuple(2**k for k in range(5))),
}
FLOOR = 1e-5  # below, the drawing of the samples decides who is better

Make = Callable[[int], Any]


class Point(NamedTuple):
    """One line of the table."""

    measured: str
    method: str
    samples: int
    epochs: int
    seconds: float
    excess: float = float("nan")  # where none is measured


def problem(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns that share much, as real ones do, in standard units; a linear target and noise."""
    generator = np.random.default_rng(0)
    directions = np.linalg.qr(generator.standard_normal((FEATURES, FEATURES)))[0]
    X = generator.standard_normal((samples, FEATURES)) * 10.0 ** np.linspace(0.0, -1.5, FEATURES) @ directions
    X /= X.std(axis=0)
    return X, X.sum(axis=1) + generator.standard_normal(samples)


def in_raw_units(X: np.ndarray) -> np.ndarray:
    """Columns in units and with zeros that have nothing to do with each other."""
    generator = np.random.default_rng(1)
    return X * 10.0 ** generator.uniform(-3, 3, FEATURES) + 10.0 ** generator.uniform(-3, 3, FEATURES)


def ours(solver: str, epochs: int) -> Any:
    """Return one of the solvers, all defaults but the epochs."""
    return GradientDescentRegressor(solver, epochs=epochs, tol=None, random_state=0)


def by_sample(epochs: int) -> Any:
    """Return SGDRegressor, all defaults but the epochs."""
    return SGDRegressor(max_iter=epochs, tol=None, random_state=0)


def network(epochs: int, **options: Any) -> Any:
    """Return a neural network without hidden layers, all defaults but the epochs."""
    never = {"tol": 0.0, "n_iter_no_change": epochs + 1}  # stops before max_iter
    return MLPRegressor(
        hidden_layer_sizes=(),
        activation="identity",
        max_iter=epochs,
        random_state=0,
        **never,
        **options,
    )


def scaled(make: Make, epochs: int) -> Any:
    """Return a peer behind a scaler."""
    return make_pipeline(StandardScaler(), make(epochs))


def more_epochs(name: str, samples: int) -> int:
    """Epochs that take long enough to be told from the noise of a fit."""
    if name == "gd":
        return 400_000
    return max(1, 60_000 // samples) if name == "MLPRegressor" else max(2, 2_000_000 // samples)


def fit_and_epoch(make: Make, more: int, X: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Seconds of a fit with one epoch, and of each epoch that a longer one makes beyond it."""
    once = seconds(lambda: make(1).fit(X, y))
    longer = seconds(lambda: make(1 + more).fit(X, y))
    return once, (longer - once) / more


def time_of_epochs(sizes: Sequence[int] = SIZES, repeats: int = 5) -> list[Point]:
    """Seconds of an epoch for each size, and of a fit with one epoch where that is most of a fit."""
    makes: dict[str, Make] = {solver: partial(ours, solver) for solver in SOLVERS}
    makes |= {"SGDRegressor": by_sample, "MLPRegressor": partial(network, batch_size=32)}
    X_all, y_all = problem(max(sizes))
    points = []
    for samples in sizes:
        X, y = X_all[:samples], y_all[:samples]
        names = [name for name in makes if name != "MLPRegressor" or samples <= NETWORK_SAMPLES]
        times = np.median(
            [
                [fit_and_epoch(makes[name], more_epochs(name, samples), X, y) for name in names]
                for _ in range(repeats)
            ],
            axis=0,
        )
        points += [
            Point("epoch", name, samples, 1, epoch) for name, (_, epoch) in zip(names, times, strict=True)
        ]
        points.append(Point("fit with one epoch", "gd", samples, 1, times[names.index("gd"), 0]))
    return points


def rmse(predictions: np.ndarray, y: np.ndarray) -> float:
    """Root mean squared error."""
    return float(np.sqrt(np.mean((predictions - y) ** 2)))


def timed_error(model: Any, X: Any, y: Any, X_test: Any, y_test: Any) -> tuple[float, float]:
    """Seconds of a fit, and its error on samples held out."""
    return seconds(lambda: model.fit(X, y)), rmse(model.predict(X_test), y_test)


def time_to_accuracy(samples: int = TRAIN_SAMPLES, repeats: int = 3) -> list[Point]:
    """Excess of the test RMSE over that of least squares, and seconds of the whole fit, on raw data."""
    makes: dict[str, Make] = {solver: partial(ours, solver) for solver in SOLVERS}
    makes |= {"SGDRegressor": partial(scaled, by_sample), "MLPRegressor": partial(scaled, network)}
    X, y = problem(2 * samples)
    X = in_raw_units(X)
    X, X_test, y, y_test = X[:samples], X[samples:], y[:samples], y[samples:]
    best = rmse(least_squares(X, y, X_test), y_test)
    runs = [
        {
            name: [timed_error(make(k), X, y, X_test, y_test) for k in EPOCHS[name]]
            for name, make in makes.items()
        }
        for _ in range(repeats)
    ]
    points = []
    for name in makes:
        times, errors = np.median([run[name] for run in runs], axis=0).T
        # A fit holds every shorter one: where it seems faster, the machine was busy.
        times = np.minimum.accumulate(times[::-1])[::-1]
        for line in zip(EPOCHS[name], times, errors / best - 1.0, strict=True):
            points.append(Point("accuracy", name, samples, *line))
    return points


def curve(points: Sequence[Point], measured: str, method: str) -> list[Point]:
    """Points of one line."""
    return [point for point in points if (point.measured, point.method) == (measured, method)]


def note(ax: Axes, text: str, place: tuple[float, float], offset: tuple[float, float], **look: Any) -> None:
    """Write beside a point, as far from it as the offset in points says."""
    ax.annotate(text, place, offset, textcoords="offset points", **look)


def draw_epochs(ax: Axes, points: Sequence[Point]) -> None:
    """Seconds of an epoch against the samples."""
    for index, (name, style) in enumerate(STYLES.items()):
        line = [(p.samples, p.seconds) for p in curve(points, "epoch", name)]
        # Markers in turn, where lines lie upon each other.
        turns = (index - 1, 3) if name in SOLVERS[1:] else None
        ax.plot(*np.transpose(line), markevery=turns, **style)
    blue = STYLES["gd"]["color"]
    reading = [(p.samples, p.seconds) for p in curve(points, "fit with one epoch", "gd")]
    ax.plot(*np.transpose(reading), color=blue, linewidth=1.2, linestyle="--")
    note(ax, "gd, first epoch", reading[0], (9, 12), color=blue, fontsize=9)
    after = curve(points, "epoch", "gd")[0]
    note(ax, "gd, each epoch after it", (after.samples, after.seconds), (0, 9), color=blue, fontsize=9)
    ax.set(xscale="log", yscale="log", xlabel="samples", ylabel="time of one epoch")
    ax.set_title("20 features, batches of 32")
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.yaxis.set_major_formatter(EngFormatter("s"))


def note_epochs(ax: Axes, name: str, shown: Sequence[Point], line: Sequence[tuple[float, float]]) -> None:
    """Write how many epochs there were beside the points of a line."""
    look = {"color": STYLES[name]["color"], "fontsize": 8}
    if name == "gd":
        for p, place in zip(shown[:-1], line[:-1], strict=True):
            note(ax, "1 epoch" if p.epochs == 1 else f"{p.epochs:,}", place, (6, -3), **look)
    elif name in PEERS:
        note(ax, "1 epoch", line[0], (0, 7), ha="center", **look)
        note(ax, f"{shown[-1].epochs}", line[-1], (0, -14), ha="center", **look)


def draw_accuracy(ax: Axes, points: Sequence[Point]) -> None:
    """Excess error against seconds, up to where the drawing of the samples decides."""
    for name, style in STYLES.items():
        shown = curve(points, "accuracy", name)
        below = [place for place, p in enumerate(shown) if p.excess <= FLOOR]
        shown = shown[: below[0] + 1] if below else shown
        line = [(p.seconds, 100 * max(p.excess, FLOOR)) for p in shown]
        ax.plot(*np.transpose(line), label=name, clip_on=False, **style)
        note_epochs(ax, name, shown, line)
    ax.set(xscale="log", yscale="log", xlabel="time of the whole fit (seconds)")
    ax.set_ylabel("test RMSE above least squares (%)")
    ax.set_title(f"{TRAIN_SAMPLES:,} raw samples; peers after a scaler")
    ax.set_ylim(bottom=100 * FLOOR)
    ax.text(
        0.99, 0.015, "as good as least squares", transform=ax.transAxes, ha="right", color="0.4", fontsize=9
    )
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def draw(points: Sequence[Point]) -> Figure:
    """Both panels, legible at the width of a page."""
    look: dict[Any, Any] = {
        "font.size": 10,
        "axes.titlesize": 10.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with rc_context(look):
        figure = Figure(figsize=(8.0, 4.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        draw_epochs(left, points)
        draw_accuracy(right, points)
        figure.legend(loc="outside lower center", ncols=len(STYLES), columnspacing=1.2, frameon=False)
    return figure


def written(value: Any) -> Any:
    """Return a cell of the table."""
    return value if not isinstance(value, float) else "" if np.isnan(value) else f"{value:.3g}"


def main() -> None:
    """Measure, write the table, draw the picture."""
    warnings.simplefilter("ignore")
    for solver in SOLVERS:
        ours(solver, 2).fit(*problem(100))  # compiled
    with threadpool_limits(1):
        points = time_of_epochs() + time_to_accuracy()
    with (DOCS / "measurements" / "times.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(Point._fields)
        table.writerows([written(value) for value in point] for point in points)
    draw(points).savefig(DOCS / "images" / "times.png", dpi=200)


if __name__ == "__main__":
    print(f"took {seconds(main):.0f} s")
