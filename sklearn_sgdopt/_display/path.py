"""Picture of the descent: the paths of solvers across the loss surface over two parameters."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from sklearn_sgdopt._display.animation import growing
from sklearn_sgdopt._display.estimators import Unwrapped, named_estimators, shared_data
from sklearn_sgdopt._display.plane import Plane, chosen_parameters
from sklearn_sgdopt._display.style import LineKwargs, line_style, loss_label, own_keywords, pyplot, the_only
from sklearn_sgdopt._path import record_path
from sklearn_sgdopt._validation import check_weights

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation

LEVELS = 12
LOWEST_LEVEL = 1e-3  # of the range of the loss in the picture
MOST_MARKERS = 60  # updates up to which each is marked
FEWEST_FRAMES = 2  # the start and the end
GRID = ("grid_resolution", "margin")


class DescentPathDisplay:
    """Paths of solvers, update by update, across the mean squared error over two parameters.

    The surface is the mean squared error on the data, without penalty. All other parameters have
    the values of the first fitted estimator. The iterates are drawn, not their averages. Use
    `from_estimator` or `from_estimators` to create one.

    Parameters
    ----------
    xx0 : ndarray of shape (grid_resolution, grid_resolution)
        Values of the first parameter on the grid.
    xx1 : ndarray of shape (grid_resolution, grid_resolution)
        Values of the second parameter.
    response : ndarray of shape (grid_resolution, grid_resolution)
        Mean squared error there.
    minimum : ndarray of shape (2,)
        Parameters with the smallest error in the plane.
    least : float
        The smallest error.
    paths : dict of str to ndarray of shape (n_updates + 1, 2)
        Start and parameters after each update, for each estimator.
    labels : tuple of two str
        Names of the two parameters.
    target : str, default="y"
        What the error is of, for the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the paths.
    figure_ : matplotlib Figure
        Figure that holds them.
    contour_ : matplotlib QuadContourSet
        Contour lines.
    lines_ : dict of str to matplotlib Line2D
        Paths.
    line_ : matplotlib Line2D
        The path, if there is a single one.
    start_ : matplotlib Line2D
        Marks where the paths start.
    minimum_ : matplotlib Line2D
        Marks the minimum.

    See Also
    --------
    LossCurveDisplay : Loss against epochs.
    SolverComparisonDisplay : Loss of solvers against epochs and seconds.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_sgdopt import GradientDescentRegressor
    >>> from sklearn_sgdopt import DescentPathDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    >>> model = GradientDescentRegressor("sgd", epochs=10, tol=None, random_state=0)
    >>> display = DescentPathDisplay.from_estimator(model, X, y, parameters=("bmi", "bp"))
    >>> display.paths["sgd"].shape
    (101, 2)
    """

    def __init__(
        self,
        *,
        xx0: np.ndarray,
        xx1: np.ndarray,
        response: np.ndarray,
        minimum: np.ndarray,
        least: float,
        paths: Mapping[str, np.ndarray],
        labels: tuple[str, str],
        target: str = "y",
    ):
        self.xx0 = xx0
        self.xx1 = xx1
        self.response = response
        self.minimum = minimum
        self.least = least
        self.paths = paths
        self.labels = labels
        self.target = target

    @property
    def line_(self) -> Any:
        """The path, if there is a single one."""
        return the_only(self.lines_, "lines_")

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, name: str | None = None, **kwargs: Any
    ) -> Self:
        """Train a clone of an estimator and draw its path.

        Parameters
        ----------
        estimator : GradientDescentRegressor
            Estimator to clone and train, fitted or not; also in a Pipeline, TransformedTargetRegressor or
            fitted search.
        X : array-like of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            Targets.
        name : str, default=None
            Name in the legend. Default: the solver.
        **kwargs : dict
            Passed on to `from_estimators`.

        Returns
        -------
        display : DescentPathDisplay
            The display.
        """
        named = [estimator] if name is None else {name: estimator}
        return cls.from_estimators(named, X, y, **kwargs)

    @classmethod
    def from_estimators(
        cls,
        estimators: Any,
        X: Any,
        y: Any,
        *,
        parameters: Sequence[int | str] | None = None,
        sample_weight: Any = None,
        max_updates: int = 100,
        coordinates: Literal["standardized", "data"] = "standardized",
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Train clones of estimators and draw their paths.

        Parameters
        ----------
        estimators : dict of str to GradientDescentRegressor, or list of GradientDescentRegressor
            Estimators to clone and train, fitted or not; also in a Pipeline, TransformedTargetRegressor or
            fitted search, whose steps before the regressor must do the same to the data for all estimators.
            The paths are those across the loss of the data that these steps make. Estimators in a list are
            named by their solver.
        X : array-like of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            Targets.
        parameters : sequence of two int or str, default=None
            The two parameters: features, by index or name, or "intercept". Default: the first two
            coefficients, or the slope and the intercept if there is one feature.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        max_updates : int, default=100
            Number of updates to draw.
        coordinates : {"standardized", "data"}, default="standardized"
            Units of the parameters: those of features with mean 0 and variance 1, or those of the
            data, in which the surface is often too narrow to be seen. This is independent of the
            coordinates of training.
        ax : matplotlib Axes, default=None
            Axes to draw on. Default: new ones.
        **kwargs : dict
            ``grid_resolution`` : number of grid points along each axis, default 100; ``margin`` : margin
            around paths and minimum as a fraction of their extent, default 0.15. Others are passed on to
            `plot`.

        Returns
        -------
        display : DescentPathDisplay
            The display.

        Raises
        ------
        ValueError, TypeError
            If y has several outputs, ``parameters`` are not two known ones, or a loss is not squared error.
        """
        pyplot(cls.__name__)  # before training, not after
        grid = {name: kwargs.pop(name) for name in GRID if name in kwargs}
        unwrapped = named_estimators(estimators)
        _check(unwrapped, max_updates, coordinates)
        data = shared_data(unwrapped, X, y)
        targets = data.y.reshape(len(data.y), -1)
        if targets.shape[1] > 1:
            raise ValueError(
                f"y has {targets.shape[1]} outputs, expected one: draw each by itself, with y[:, [output]]."
            )
        chosen = chosen_parameters(parameters, data.X.shape[1], data.names or [])
        runs = {
            name: record_path(one.regressor, data.X, data.y, sample_weight, max_updates=max_updates)
            for name, one in unwrapped.items()
        }
        plane = Plane(
            data.X,
            check_weights(sample_weight, len(targets)),
            chosen,
            standardized=coordinates == "standardized",
            centered=any(one.regressor.fit_intercept for one in unwrapped.values()),
        )
        paths = {
            name: plane.place(coef[:, 0], intercept[:, 0]) for name, (_, coef, intercept) in runs.items()
        }
        first = next(iter(runs.values()))[0]
        rest = plane.rest(np.ravel(first.coef_), float(np.ravel(first.intercept_)[0]))
        target = next(iter(unwrapped.values())).target
        display = cls(
            **plane.surface(targets[:, 0] - rest, np.vstack([*paths.values()]), **grid),
            paths=paths,
            labels=plane.labels(data.names, target),
            target=target,
        )
        return display.plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        contour_kwargs: dict[str, Any] | None = None,
        path_kwargs: LineKwargs = None,
    ) -> Self:
        """Draw contours and paths.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. Default: new ones.
        contour_kwargs : dict, default=None
            Keywords for the contour lines, as of matplotlib's `contour`.
        path_kwargs : dict or list of dict, default=None
            Keywords for the paths, as of matplotlib's `plot`. A list has one dict for each estimator.

        Returns
        -------
        self : DescentPathDisplay
            The display.

        Raises
        ------
        ValueError
            If a list of keywords is not as long as there are estimators.
        """
        plt = pyplot(type(self).__name__)
        own = own_keywords(path_kwargs, len(self.paths), "path_kwargs")
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        highest = float(self.response.max()) - self.least
        # Even levels would leave the floor of the valley, where the paths end, without any.
        levels = self.least + highest * np.geomspace(LOWEST_LEVEL, 1.0, LEVELS)[:-1]
        style = {"levels": levels, "colors": "0.7", "linewidths": 0.8, "zorder": 1}
        self.contour_ = ax.contour(self.xx0, self.xx1, self.response, **{**style, **(contour_kwargs or {})})
        # Near the minimum numbers would lie on the paths, and on each other.
        ax.clabel(self.contour_, self.contour_.levels[LEVELS // 2 :], fontsize=7, fmt=_number, colors="0.4")
        self.lines_ = {}
        winding = {name: _length(path) for name, path in self.paths.items()}
        for index, (name, path) in enumerate(self.paths.items()):
            updates = len(path) - 1
            style = {**line_style(index), "label": f"{name}, {updates} updates", "linewidth": 1.2}
            # A winding path covers a smooth one if it lies above.
            style["zorder"] = 3.0 - sum(winding[name] > length for length in winding.values()) / len(winding)
            if updates <= MOST_MARKERS:
                style["markersize"] = 3.5
            else:
                style |= {"linestyle": "-", "linewidth": 0.9, "markevery": [updates]}
                style |= {"markersize": 7, "markeredgecolor": "white"}
            style |= own[index]
            (self.lines_[name],) = ax.plot(*path.T, **style)
        starts = np.unique([path[0] for path in self.paths.values()], axis=0)
        mark = {"linestyle": "none", "color": "black", "zorder": 4}
        (self.start_,) = ax.plot(*starts.T, marker="o", markersize=8, fillstyle="none", label="start", **mark)
        (self.minimum_,) = ax.plot(*self.minimum, marker="x", markersize=9, label="least loss", **mark)
        ax.set(
            xlabel=self.labels[0],
            ylabel=self.labels[1],
            xlim=(self.xx0.min(), self.xx0.max()),
            ylim=(self.xx1.min(), self.xx1.max()),
        )
        ax.set_title(f"contours: {loss_label('squared_error', self.target)}", fontsize="medium")
        ax.legend()
        return self

    def animate(
        self, ax: Any = None, *, frames: int = 50, interval: float = 80, **kwargs: Any
    ) -> "FuncAnimation":
        """Animate the descent: all paths grow together, update by update.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. Default: new ones.
        frames : int, default=50
            Number of frames at most. Fewer if the longest path has fewer updates; if it has more, a frame
            makes several.
        interval : float, default=80
            Milliseconds between frames.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        animation : matplotlib.animation.FuncAnimation
            The animation. A notebook shows it with controls; ``animation.to_jshtml()`` is the same as HTML
            for any page, and ``animation.save("descent.gif")`` makes a file. Keep a reference to it until it
            has been shown.

        Raises
        ------
        ValueError
            If ``frames`` is not an integer of at least 2.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn_sgdopt import DescentPathDisplay, GradientDescentRegressor
        >>> X, y = load_diabetes(return_X_y=True, scaled=False)
        >>> models = [GradientDescentRegressor(solver, random_state=0) for solver in ("gd", "sgd")]
        >>> display = DescentPathDisplay.from_estimators(models, X, y, parameters=(2, 3))
        >>> animation = display.animate(frames=3)
        >>> html = animation.to_jshtml()
        """
        if not isinstance(frames, int | np.integer) or frames < FEWEST_FRAMES:
            raise ValueError(f"frames must be an integer of at least {FEWEST_FRAMES}; got {frames!r}.")
        self.plot(ax, **kwargs)
        return growing(self.ax_, [*self.lines_.values()], frames=int(frames), interval=interval)


def _check(estimators: Mapping[str, Unwrapped], max_updates: Any, coordinates: Any) -> None:
    """Refuse what cannot be drawn, before anything is trained."""
    if coordinates not in {"standardized", "data"}:
        raise ValueError(f"coordinates must be 'standardized' or 'data'; got {coordinates!r}.")
    if not isinstance(max_updates, int | np.integer) or max_updates < 1:
        raise ValueError(f"max_updates must be an integer of at least 1; got {max_updates!r}.")
    for name, (regressor, _) in estimators.items():
        if regressor.loss != "squared_error":
            raise ValueError(
                f"The surface drawn is the mean squared error, but {name!r} has loss={regressor.loss!r}. "
                "Set loss='squared_error'."
            )


def _number(value: float) -> str:
    """Short, without an exponent where that is readable."""
    return f"{value:.0f}" if 1e3 <= value < 1e5 else f"{value:.3g}"


def _length(path: np.ndarray) -> float:
    """Length of a path, by the extent between its corners."""
    extent = np.ptp(path, axis=0)
    steps = np.diff(path, axis=0) / np.where(extent > 0.0, extent, 1.0)
    return float(np.hypot(*steps.T).sum())
