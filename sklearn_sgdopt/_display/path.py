"""Picture of the descent: the paths of solvers across the loss surface over two parameters."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from scipy import sparse
from sklearn.base import clone

from sklearn_sgdopt._display.loss_curve import LOSS_LABELS, line_style, named_estimators, pyplot
from sklearn_sgdopt._path import record_path
from sklearn_sgdopt._validation import check_rows, check_weights

LEVELS = 12
LOWEST_LEVEL = 1e-3  # of the range of the loss in the picture
NARROWEST = 0.5  # least extent of an axis by that of the other, in equal steps of the loss
MOST_MARKERS = 60  # updates up to which each is marked


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
    ):
        self.xx0 = xx0
        self.xx1 = xx1
        self.response = response
        self.minimum = minimum
        self.least = least
        self.paths = paths
        self.labels = labels

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, name: str | None = None, **kwargs: Any
    ) -> Self:
        """Train a clone of an estimator and draw its path.

        Parameters
        ----------
        estimator : GradientDescentRegressor
            Estimator to clone and train, fitted or not.
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
        grid_resolution: int = 100,
        margin: float = 0.15,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Train clones of estimators and draw their paths.

        Parameters
        ----------
        estimators : dict of str to GradientDescentRegressor, or list of GradientDescentRegressor
            Estimators to clone and train, fitted or not. Those in a list are named by their solver.
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
        grid_resolution : int, default=100
            Number of grid points along each axis.
        margin : float, default=0.15
            Margin around paths and minimum, as a fraction of their extent.
        ax : matplotlib Axes, default=None
            Axes to draw on. Default: new ones.
        **kwargs : dict
            Passed on to `plot`.

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
        named = named_estimators(estimators)
        if coordinates not in {"standardized", "data"}:
            raise ValueError(f"coordinates must be 'standardized' or 'data'; got {coordinates!r}.")
        if not isinstance(max_updates, int | np.integer) or max_updates < 1:
            raise ValueError(f"max_updates must be an integer of at least 1; got {max_updates!r}.")
        for name, estimator in named.items():
            if estimator.loss != "squared_error":
                raise ValueError(
                    f"The surface drawn is the mean squared error, but {name!r} has loss={estimator.loss!r}. "
                    "Set loss='squared_error'."
                )
        checked = clone(next(iter(named.values())))
        rows, targets, _ = check_rows(checked, X, y, reset=True)
        if targets.shape[1] > 1:
            raise ValueError(
                f"y has {targets.shape[1]} outputs, expected one: draw each by itself, with y[:, [output]]."
            )
        chosen = _chosen_parameters(parameters, checked)
        runs = {
            name: record_path(estimator, X, y, sample_weight, max_updates=max_updates)
            for name, estimator in named.items()
        }
        plane = _Plane(
            rows,
            check_weights(sample_weight, len(targets)),
            chosen,
            standardized=coordinates == "standardized",
            centered=any(estimator.fit_intercept for estimator in named.values()),
        )

        paths = {
            name: plane.place(coef[:, 0], intercept[:, 0]) for name, (_, coef, intercept) in runs.items()
        }
        first = next(iter(runs.values()))[0]
        rest = plane.rest(np.ravel(first.coef_), float(np.ravel(first.intercept_)[0]))
        minimum, least, curvature = plane.surface(targets[:, 0] - rest)
        points = np.vstack([*paths.values(), minimum])
        low, high = _limits(points, curvature.diagonal(), margin)
        xx0, xx1 = np.meshgrid(*np.linspace(low, high, grid_resolution).T)
        offset = np.stack([xx0 - minimum[0], xx1 - minimum[1]])
        response = least + np.einsum("ikl,ij,jkl->kl", offset, curvature, offset)
        display = cls(
            xx0=xx0,
            xx1=xx1,
            response=response,
            minimum=minimum,
            least=least,
            paths=paths,
            labels=plane.labels(getattr(checked, "feature_names_in_", None)),
        )
        return display.plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        contour_kwargs: dict[str, Any] | None = None,
        path_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw contours and paths.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. Default: new ones.
        contour_kwargs : dict, default=None
            Keywords for the contour lines, as of matplotlib's `contour`.
        path_kwargs : dict, default=None
            Keywords for the paths, as of matplotlib's `plot`.

        Returns
        -------
        self : DescentPathDisplay
            The display.
        """
        plt = pyplot(type(self).__name__)
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
            style |= path_kwargs or {}
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
        ax.set_title(f"contours: {LOSS_LABELS['squared_error']}", fontsize="medium")
        ax.legend()
        return self


class _Plane:
    """Two parameters in the units of the picture, and the loss over them.

    Prediction is ``u @ parameters + rest``, where a column of ``u`` is a feature, centred and
    scaled if standardised, or ones for the intercept (None in ``chosen``).
    """

    def __init__(
        self,
        X: Any,
        weight: np.ndarray | None,
        chosen: tuple[int | None, int | None],
        *,
        standardized: bool,
        centered: bool,
    ):
        self.X, self.chosen, self.standardized = X, chosen, standardized
        self.weight = np.ones(X.shape[0]) if weight is None else weight
        self.mean = np.zeros(X.shape[1])
        if standardized and centered:
            self.mean = np.asarray(X.T @ (self.weight / self.weight.sum()), dtype=np.float64)
        self.columns = np.ones((X.shape[0], 2))
        self.scale = np.ones(2)
        for axis, feature in enumerate(chosen):
            if feature is None:
                continue
            column = X[:, [feature]].toarray()[:, 0] if sparse.issparse(X) else X[:, feature]
            column = column.astype(np.float64) - self.mean[feature]
            if standardized:
                self.scale[axis] = np.sqrt(np.average(column**2, weights=self.weight))
                if self.scale[axis] <= 1e-12 * abs(self.mean[feature]):
                    raise ValueError(
                        f"Feature {feature} is constant, and its coefficient stays 0 in standardized "
                        "coordinates. Choose another parameter, or coordinates='data'."
                    )
            self.columns[:, axis] = column / self.scale[axis]

    def place(self, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
        """Points (m, 2) of parameters (m, d) and (m,) in the data's units."""
        moved = intercept + coef @ self.mean
        return np.column_stack(
            [
                moved if feature is None else coef[:, feature] * self.scale[axis]
                for axis, feature in enumerate(self.chosen)
            ]
        )

    def rest(self, coef: np.ndarray, intercept: float) -> np.ndarray:
        """Part of the prediction that the other parameters make."""
        others = coef.astype(np.float64)
        others[[feature for feature in self.chosen if feature is not None]] = 0.0
        constant = 0.0 if None in self.chosen else intercept + coef @ self.mean
        return np.asarray(self.X @ others - self.mean @ others + constant)

    def surface(self, targets: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
        """Minimum, loss there, and matrix A of ``loss = least + (p - minimum) A (p - minimum)``."""
        root = np.sqrt(self.weight / self.weight.sum())[:, None]
        minimum = np.linalg.lstsq(root * self.columns, root[:, 0] * targets, rcond=None)[0]
        residual = root[:, 0] * (targets - self.columns @ minimum)
        return minimum, float(residual @ residual), (root * self.columns).T @ (root * self.columns)

    def labels(self, names: Any) -> tuple[str, str]:
        """Axis labels with units."""
        first, second = (self._label(feature, names) for feature in self.chosen)
        return first, second

    def _label(self, feature: int | None, names: Any) -> str:
        if feature is None:
            return f"intercept{' at the mean of X' if self.mean.any() else ''} (units of y)"
        name = f"feature {feature}" if names is None else str(names[feature])
        unit = "standard deviation" if self.standardized else "unit"
        return f"coefficient of {name} (units of y per {unit})"


def _chosen_parameters(parameters: Any, checked: Any) -> tuple[int | None, int | None]:
    """Return the indices of two features, None for the intercept."""
    features = checked.n_features_in_
    names = list(getattr(checked, "feature_names_in_", []))
    if parameters is None:
        return (0, None) if features == 1 else (0, 1)
    expected = "two of: an index, a feature name, 'intercept'; for example (0, 'intercept')"
    if isinstance(parameters, str) or not isinstance(parameters, Sequence) or len(parameters) != 2:
        raise ValueError(f"parameters must be {expected}; got {parameters!r}.")
    chosen: list[int | None] = []
    for parameter in parameters:
        if parameter in names:
            chosen.append(names.index(parameter))
        elif parameter == "intercept":
            chosen.append(None)
        elif isinstance(parameter, str):
            known = f"the features are {names}" if names else "X has no feature names: use an index"
            raise ValueError(f"parameters must be {expected}; got {parameter!r}, but {known}.")
        elif isinstance(parameter, int | np.integer) and -features <= parameter < features:
            chosen.append(int(parameter) % features)
        else:
            raise ValueError(
                f"parameters must be {expected}; got {parameter!r}, but X has {features} features."
            )
    if chosen[0] == chosen[1]:
        raise ValueError(f"parameters must be two different ones; got {parameters!r}.")
    return chosen[0], chosen[1]


def _number(value: float) -> str:
    """Short, without an exponent where that is readable."""
    return f"{value:.0f}" if 1e3 <= value < 1e5 else f"{value:.3g}"


def _length(path: np.ndarray) -> float:
    """Length of a path, by the extent between its corners."""
    extent = np.ptp(path, axis=0)
    steps = np.diff(path, axis=0) / np.where(extent > 0.0, extent, 1.0)
    return float(np.hypot(*steps.T).sum())


def _limits(points: np.ndarray, curvature: np.ndarray, margin: float) -> np.ndarray:
    """Lower and upper limits of both axes around points; a path along one axis still gets a plane."""
    unit = 1.0 / np.sqrt(np.where(curvature > 0.0, curvature, 1.0))
    low, high = points.min(axis=0), points.max(axis=0)
    extent = (high - low) / unit
    widest = extent.max() if extent.max() > 0.0 else 1.0
    half = unit * np.maximum(extent, NARROWEST * widest) * (0.5 + margin)
    middle = (low + high) / 2.0
    return np.stack([middle - half, middle + half])
