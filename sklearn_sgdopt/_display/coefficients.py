"""Coefficients by size, several estimators side by side."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from sklearn_sgdopt._display.estimators import Unwrapped, named_estimators
from sklearn_sgdopt._display.style import LineKwargs, line_style, own_keywords, pyplot, the_only

UNITS = ("standardized", "data")
ROW = 0.6  # part of the height of a feature that its marks spread over
INCHES_A_MARK, LEAST_INCHES_A_FEATURE = 0.09, 0.24


class CoefficientDisplay:
    """Coefficients of fitted estimators, the largest on top.

    In standardised units a coefficient is the change of the prediction for a change of the feature by one
    standard deviation: sizes can be compared. Use `from_estimator` or `from_estimators` to create one.

    Parameters
    ----------
    coefficients : dict of str to array-like of shape (n_features,) or (n_outputs, n_features)
        For each estimator its coefficients.
    feature_names : sequence of str, default=None
        Names of the features. Default: their numbers.
    units : {"standardized", "data"}, default="standardized"
        What the coefficients are per, for the axis label: a standard deviation, or a unit of the feature.
    target : str, default="y"
        What is predicted, for the axis label.

    Attributes
    ----------
    axes_ : ndarray of shape (n_outputs,) of matplotlib Axes
        Axes, one for each output.
    ax_ : matplotlib Axes
        The axes, if there is a single output.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Marks of the coefficients, in the order of ``features_``. With several outputs the keys are such as
        "adam, output 1".
    line_ : matplotlib Line2D
        The marks, if there are a single estimator and a single output.
    features_ : ndarray of int
        Indices of the features that are drawn, the one with the largest coefficient first.

    See Also
    --------
    LossCurveDisplay : Loss curves of fitted estimators.
    sklearn.inspection.permutation_importance : How much a score depends on a feature.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_sgdopt import CoefficientDisplay, GradientDescentRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    >>> model = GradientDescentRegressor("sgd", random_state=0).fit(X, y)
    >>> display = CoefficientDisplay.from_estimator(model, max_features=3)
    >>> [tick.get_text() for tick in display.ax_.get_yticklabels()]
    ['s1', 's5', 'bmi']
    """

    def __init__(
        self,
        *,
        coefficients: Mapping[str, Any],
        feature_names: Sequence[str] | None = None,
        units: Literal["standardized", "data"] = "standardized",
        target: str = "y",
    ):
        self.coefficients = coefficients
        self.feature_names = feature_names
        self.units = units
        self.target = target

    @property
    def ax_(self) -> Any:
        """The axes, if there is a single output."""
        return the_only({str(output): axes for output, axes in enumerate(self.axes_)}, "axes_")

    @property
    def line_(self) -> Any:
        """The marks, if there are a single estimator and a single output."""
        return the_only(self.lines_, "lines_")

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the coefficients of one fitted estimator.

        Parameters
        ----------
        estimator : GradientDescentRegressor
            A fitted estimator, also in a fitted Pipeline, TransformedTargetRegressor or search.
        X : array-like of shape (n_samples, n_features), default=None
            Samples, as for `from_estimators`.
        name : str, default=None
            Name in the legend. Default: the solver.
        **kwargs : dict
            Passed on to `from_estimators`.

        Returns
        -------
        display : CoefficientDisplay
            The display.
        """
        named = [estimator] if name is None else {name: estimator}
        return cls.from_estimators(named, X, **kwargs)

    @classmethod
    def from_estimators(
        cls,
        estimators: Any,
        X: Any = None,
        *,
        units: Literal["standardized", "data"] = "standardized",
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the coefficients of several fitted estimators side by side.

        Parameters
        ----------
        estimators : dict of str to GradientDescentRegressor, or list of GradientDescentRegressor
            Fitted estimators of the same features, also in a fitted Pipeline, TransformedTargetRegressor or
            search: the coefficients are then those of what the steps before the regressor give. Those in a
            list are named by their solver.
        X : array-like of shape (n_samples, n_features), default=None
            Samples, as `predict` takes them, for the standard deviations of the features. Default: the
            standard deviations in training, which an estimator knows unless it was fitted with
            ``standardize=False`` at a given rate.
        units : {"standardized", "data"}, default="standardized"
            Whether the coefficients are per standard deviation of the feature, or per unit as in ``coef_``.
        ax : matplotlib Axes or sequence of matplotlib Axes, default=None
            Axes to draw on, one for each output. Default: new ones.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        display : CoefficientDisplay
            The display.

        Raises
        ------
        ValueError
            If the estimators do not have the same features and outputs, or standard deviations are asked for
            and not known.
        """
        if units not in UNITS:
            raise ValueError(f"units must be 'standardized' or 'data'; got {units!r}.")
        named = named_estimators(estimators, fitted=True)
        for one in named.values():
            check_is_fitted(one.regressor, "coef_")
        names, target = _common_features(named)
        coefficients = {}
        for name, one in named.items():
            coef = np.atleast_2d(one.regressor.coef_)
            coefficients[name] = coef * _spread(name, one, X) if units == "standardized" else coef
        display = cls(coefficients=coefficients, feature_names=names, units=units, target=target)
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, max_features: int = 20, line_kwargs: LineKwargs = None) -> Self:
        """Draw the coefficients.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of matplotlib Axes, default=None
            Axes to draw on, one for each output. Default: new ones.
        max_features : int, default=20
            Number of features at most: those with the largest coefficients of any estimator and output.
        line_kwargs : dict or list of dict, default=None
            Keywords for the marks, as of matplotlib's `plot`. A list has one dict for each estimator.

        Returns
        -------
        self : CoefficientDisplay
            The display.

        Raises
        ------
        ValueError
            If there are not as many axes as outputs, or dicts in a list as estimators, or if
            ``max_features`` is not an integer of at least 1.
        """
        plt = pyplot(type(self).__name__)
        if not isinstance(max_features, int | np.integer) or max_features < 1:
            raise ValueError(f"max_features must be an integer of at least 1; got {max_features!r}.")
        own = own_keywords(line_kwargs, len(self.coefficients), "line_kwargs")
        values = np.stack([np.atleast_2d(coef) for coef in self.coefficients.values()])
        estimators, outputs, features = values.shape
        size = np.abs(values).max(axis=(0, 1))
        self.features_ = np.argsort(-size, kind="stable")[:max_features]
        shown = len(self.features_)
        if ax is None:
            height = 1.2 + shown * max(LEAST_INCHES_A_FEATURE, estimators * INCHES_A_MARK)
            _, ax = plt.subplots(
                1, outputs, sharey=True, figsize=(2.4 + 4.0 * outputs, height), layout="constrained"
            )
        if np.size(ax) != outputs:
            raise ValueError(
                f"ax must be one axes for each output; got {np.size(ax)} for {outputs} outputs. "
                f"Make them with plt.subplots(1, {outputs})[1]."
            )
        self.axes_ = np.asarray(ax).reshape(-1)
        self.figure_ = self.axes_[0].figure
        self.lines_ = {}
        rows = np.arange(shown)[::-1].astype(float)
        offsets = ROW * (0.5 - (np.arange(estimators) + 0.5) / estimators)
        for output, axes in enumerate(self.axes_):
            axes.axvline(0.0, color="0.6", linewidth=0.8, zorder=0)
            for index, name in enumerate(self.coefficients):
                style = {**line_style(index), "label": name, "linestyle": "none", **own[index]}
                places = rows + offsets[index]
                heights = values[index, output, self.features_]
                key = name if outputs == 1 else f"{name}, output {output}"
                (self.lines_[key],) = axes.plot(heights, places, **style)
                color = self.lines_[key].get_color()
                axes.hlines(places, 0.0, heights, colors=color, linewidth=1.0, alpha=0.5, zorder=1)
            if outputs > 1:
                axes.set_title(f"output {output}", fontsize="medium")
        self._label_axes(rows, features)
        return self

    def _label_axes(self, rows: np.ndarray, features: int) -> None:
        """Write names, units, and how many features there are besides."""
        names = self.feature_names
        names = [f"feature {i}" for i in range(features)] if names is None else names
        per = "standard deviation" if self.units == "standardized" else "unit of the feature"
        for axes in self.axes_:
            axes.set_xlabel(f"coefficient\n(units of {self.target} per {per})")
        first = self.axes_[0]
        first.set_yticks(rows, [str(names[feature]) for feature in self.features_])
        first.set_ylim(-0.5 - 0.25, len(rows) - 0.5 + 0.25)
        if len(rows) < features:
            first.set_ylabel(f"the {len(rows)} of {features} features with the largest coefficients")
        if len(self.coefficients) > 1:
            first.legend()


def _common_features(estimators: Mapping[str, Unwrapped]) -> tuple[list[str] | None, str]:
    """Return the names of the features, if they are known, and what is predicted; the same for all."""
    known = {name: one.feature_names() for name, one in estimators.items()}
    shapes = {name: np.atleast_2d(one.regressor.coef_).shape for name, one in estimators.items()}
    first = next(iter(estimators))
    for name, one in estimators.items():
        if shapes[name] != shapes[first]:
            raise ValueError(
                f"The estimators must have the same outputs and features; {first!r} has coefficients of "
                f"shape {shapes[first]}, {name!r} of shape {shapes[name]}."
            )
        if known[name] != known[first] and None not in (known[name], known[first]):
            raise ValueError(
                f"The estimators must have the same features; {first!r} and {name!r} name them differently."
            )
        if one.target != estimators[first].target:
            raise ValueError(
                f"The estimators must predict the same; {first!r} predicts {estimators[first].target}, "
                f"{name!r} {one.target}."
            )
    names = next((names for names in known.values() if names is not None), None)
    return names, estimators[first].target


def _spread(name: str, unwrapped: Unwrapped, X: Any) -> np.ndarray:
    """Return the standard deviations of the features of a fitted regressor."""
    if X is not None:
        scaler = StandardScaler(with_mean=False).fit(unwrapped.transformed(X))
        return np.sqrt(np.asarray(scaler.var_, dtype=np.float64))
    regressor = unwrapped.regressor
    moments = regressor._state.moments
    if moments.mass == 0.0:
        raise ValueError(
            f"units='standardized' needs the standard deviations of the features, and {name!r} does not know "
            "them: without standardize, a fit at a given rate takes none. Give X, or units='data'."
        )
    return np.asarray(moments.spread()[: regressor.n_features_in_])
