"""The four algorithms' efficiency on the user's own data."""

import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression

from sklearn_sgdopt._display.estimators import (
    Data,
    common_loss,
    named_estimators,
    shared_data,
    unwrap,
)
from sklearn_sgdopt._display.style import (
    LineKwargs,
    line_style,
    log_losses,
    loss_label,
    own_keywords,
    pyplot,
    sparse_markers,
    the_only,
)
from sklearn_sgdopt._regressor import GradientDescentRegressor

FAR_APART = 10.0  # ratio of times from which their axis is logarithmic
NOTHING = 1e-8  # part of the loss of least squares below which an excess is not worth drawing
BRIEF = 0.1  # seconds of timing up to which a fit is timed again


class SolverComparisonDisplay:
    """Efficiency of solvers on given data: loss against epochs, and against seconds.

    The loss is that of the parameters that the estimator would report after each epoch. Times are
    those of whole calls of `fit` with 1, 2, 4, ... epochs, interpolated in between. Use `from_data` or
    `from_estimators` to create one.

    Parameters
    ----------
    losses : dict of str to ndarray of shape (n_epochs,)
        Loss after each epoch for each estimator.
    seconds : dict of str to ndarray of shape (n_epochs,)
        Time of a fit with 1, 2, ... epochs for each estimator.
    least_squares : float, default=None
        The loss of least squares on the same samples.
    loss : str, default="squared_error"
        Name of the loss, for the axis label.
    rows : {"training", "validation"}, default="training"
        Which samples the loss is of, for the axis label.
    target : str, default="y"
        What the loss is of, for the axis label.

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib Axes
        Axes against epochs and against seconds.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Curves against epochs.
    line_ : matplotlib Line2D
        The curve against epochs, if there is a single one.
    seconds_lines_ : dict of str to matplotlib Line2D
        Curves against seconds.
    seconds_line_ : matplotlib Line2D
        The curve against seconds, if there is a single one.

    See Also
    --------
    LossCurveDisplay : Loss curves of fitted estimators.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_sgdopt import SolverComparisonDisplay
    >>> X, y = load_diabetes(return_X_y=True, scaled=False)
    >>> display = SolverComparisonDisplay.from_data(X, y, epochs=10, random_state=0)
    >>> list(display.losses)
    ['gd', 'sgd', 'momentum', 'adam']
    """

    def __init__(
        self,
        *,
        losses: Mapping[str, np.ndarray],
        seconds: Mapping[str, np.ndarray],
        least_squares: float | None = None,
        loss: str = "squared_error",
        rows: Literal["training", "validation"] = "training",
        target: str = "y",
    ):
        self.losses = losses
        self.seconds = seconds
        self.least_squares = least_squares
        self.loss = loss
        self.rows = rows
        self.target = target

    @property
    def line_(self) -> Any:
        """The curve against epochs, if there is a single one."""
        return the_only(self.lines_, "lines_")

    @property
    def seconds_line_(self) -> Any:
        """The curve against seconds, if there is a single one."""
        return the_only(self.seconds_lines_, "seconds_lines_")

    @classmethod
    def from_data(
        cls,
        X: Any,
        y: Any,
        *,
        solvers: Sequence[str] = ("gd", "sgd", "momentum", "adam"),
        estimator: Any = None,
        epochs: int = 50,
        X_val: Any = None,
        y_val: Any = None,
        random_state: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Train each solver on the data and draw its loss against epochs and seconds.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples to train on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        solvers : sequence of str, default=("gd", "sgd", "momentum", "adam")
            Solvers to compare.
        estimator : GradientDescentRegressor, default=None
            Estimator with all other parameters, also in a Pipeline, TransformedTargetRegressor or fitted
            search. Default: default settings.
        epochs : int, default=50
            Number of epochs of each solver. ``tol`` is not used.
        X_val : array-like of shape (n_validation, n_features), default=None
            Samples whose loss is drawn instead of the training loss.
        y_val : array-like of shape (n_validation,) or (n_validation, n_outputs), default=None
            Their targets.
        random_state : int, RandomState instance or None, default=None
            Seed of the shuffling. Default: that of ``estimator``.
        **kwargs : dict
            Passed on to `plot`: ``ax``, the two axes to draw on, and others.

        Returns
        -------
        display : SolverComparisonDisplay
            The display.
        """
        default = GradientDescentRegressor() if estimator is None else estimator
        base = unwrap("estimator", default, fitted=False)
        names = [solvers] if isinstance(solvers, str) else list(solvers)
        others = {} if random_state is None else {"random_state": random_state}
        estimators = {
            name: base._replace(regressor=clone(base.regressor).set_params(solver=name, **others))
            for name in names
        }
        return cls.from_estimators(estimators, X, y, epochs=epochs, X_val=X_val, y_val=y_val, **kwargs)

    @classmethod
    def from_estimators(
        cls,
        estimators: Any,
        X: Any,
        y: Any,
        *,
        epochs: int = 50,
        X_val: Any = None,
        y_val: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Train clones of estimators and draw their loss against epochs and seconds.

        Parameters
        ----------
        estimators : dict of str to GradientDescentRegressor, or list of GradientDescentRegressor
            Estimators with the same loss, also in a Pipeline, TransformedTargetRegressor or fitted search,
            whose steps before the regressor transform the data beforehand: their time is not counted, and
            they must do the same for all estimators. Those in a list are named by their solver.
        X : array-like of shape (n_samples, n_features)
            Samples to train on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        epochs : int, default=50
            Number of epochs of each. ``tol`` and early stopping are not used.
        X_val : array-like of shape (n_validation, n_features), default=None
            Samples whose loss is drawn instead of the training loss.
        y_val : array-like of shape (n_validation,) or (n_validation, n_outputs), default=None
            Their targets.
        ax : sequence of two matplotlib Axes, default=None
            Axes to draw on. Default: new ones.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        display : SolverComparisonDisplay
            The display.
        """
        pyplot(cls.__name__)  # before minutes of training, not after
        unwrapped = named_estimators(estimators)
        named = {name: one.regressor for name, one in unwrapped.items()}
        loss, target = common_loss(unwrapped)
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given together.")
        data = shared_data(unwrapped, X, y, None if X_val is None else (X_val, y_val))
        losses, seconds = {}, {}
        for name, estimator in named.items():
            losses[name], seconds[name] = _measure(estimator, data, epochs)
        intercept = any(estimator.fit_intercept for estimator in named.values())
        display = cls(
            losses=losses,
            seconds=seconds,
            least_squares=_least_squares(data, intercept=intercept) if loss == "squared_error" else None,
            loss=loss,
            rows="training" if X_val is None else "validation",
            target=target,
        )
        return display.plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        excess: bool | Literal["auto"] = "auto",
        log_scale: bool = True,
        line_kwargs: LineKwargs = None,
        reference_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw both panels.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes, default=None
            Axes against epochs and against seconds. Default: new ones.
        excess : bool or "auto", default="auto"
            Whether to draw the excess over the loss of least squares. It shows differences that are small
            compared with the noise in y. "auto": if the training loss of least squares is known. Otherwise
            least squares is drawn as a line.
        log_scale : bool, default=True
            Whether the axis of the loss is logarithmic.
        line_kwargs : dict or list of dict, default=None
            Keywords for the curves, as of matplotlib's `plot`. A list has one dict for each estimator.
        reference_kwargs : dict, default=None
            Keywords for the line at the loss of least squares.

        Returns
        -------
        self : SolverComparisonDisplay
            The display.

        Raises
        ------
        ValueError
            If ``ax`` is not two axes, if ``excess`` is asked for and least squares is not known, or if a list
            of keywords is not as long as there are estimators.
        """
        plt = pyplot(type(self).__name__)
        if excess == "auto":
            excess = self.least_squares is not None and self.rows == "training"
        if excess and self.least_squares is None:
            raise ValueError(
                f"excess=True needs the loss of least squares, and there is none for {self.loss!r}."
            )
        own = own_keywords(line_kwargs, len(self.losses), "line_kwargs")
        if ax is None:
            _, ax = plt.subplots(1, 2, sharey=True, figsize=(9.0, 4.0), layout="constrained")
        if np.size(ax) != 2:
            raise ValueError(
                f"ax must be two axes, for epochs and for seconds; got {np.size(ax)}. "
                "Make them with plt.subplots(1, 2)[1]."
            )
        self.axes_ = np.asarray(ax).ravel()
        self.figure_ = self.axes_[0].figure
        self.lines_, self.seconds_lines_ = {}, {}
        zero = self.least_squares if excess and self.least_squares is not None else 0.0
        for index, (name, losses) in enumerate(self.losses.items()):
            style = {**line_style(index), "label": name, "markevery": sparse_markers(len(losses), index)}
            style |= own[index]
            heights = losses - zero
            (self.lines_[name],) = self.axes_[0].plot(np.arange(1, len(losses) + 1), heights, **style)
            (self.seconds_lines_[name],) = self.axes_[1].plot(self.seconds[name], heights, **style)
        for axes in self.axes_:
            if self.least_squares is not None and not excess:
                style = {"color": "0.45", "linewidth": 0.8, "zorder": 0, "label": "least squares"}
                axes.axhline(self.least_squares, **{**style, **(reference_kwargs or {})})
            if log_scale:
                log_losses(plt, axes)
                if axes.get_ylim()[0] < NOTHING * zero:
                    axes.set_ylim(bottom=NOTHING * zero)
        self._label_axes(plt, above="above least squares " if excess else "")
        return self

    def _label_axes(self, plt: Any, *, above: str) -> None:
        """Label both axes; times far apart get a logarithmic one."""
        epochs, seconds = self.axes_
        what, _, unit = f"{self.rows} {loss_label(self.loss, self.target)}".rpartition(" (")
        epochs.set(xlabel="epoch", ylabel=f"{what}\n{above}({unit}")
        epochs.legend()
        seconds.set_xlabel("seconds")
        times = np.concatenate([*self.seconds.values()])
        if times.max() > FAR_APART * times.min():
            seconds.set_xscale("log")
            seconds.xaxis.set_major_locator(plt.LogLocator(subs=(1.0, 2.0, 5.0)))
            seconds.xaxis.set_major_formatter("{x:g}")
            seconds.xaxis.set_minor_formatter(plt.NullFormatter())
        else:
            seconds.xaxis.set_major_locator(plt.MaxNLocator(5))


def _least_squares(data: Data, *, intercept: bool) -> float:
    """Mean squared error of least squares on the samples that are drawn."""
    exact = LinearRegression(fit_intercept=intercept).fit(data.X, data.y)
    X, y = data.held_out or (data.X, data.y)
    return float(np.mean((y - exact.predict(X)) ** 2))


def _measure(estimator: Any, data: Data, epochs: int) -> tuple[np.ndarray, np.ndarray]:
    """Loss after each epoch, and the seconds that a fit with so many epochs takes."""
    runner = clone(estimator).set_params(tol=None, early_stopping=False, warm_start=False, verbose=0)

    def fit(count: int) -> float:
        trained = clone(runner).set_params(epochs=count)
        started = time.perf_counter()
        trained.fit(data.X, data.y)
        return time.perf_counter() - started

    X_val, y_val = data.held_out or (data.X, data.y)
    trained = clone(runner).set_params(epochs=epochs).fit(data.X, data.y, X_val=X_val, y_val=y_val)
    losses = np.asarray(trained.validation_curve_)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the fit above has warned of divergence
        counts = np.unique([*(2 ** np.arange(len(losses).bit_length())), len(losses)])
        counts = counts[counts <= len(losses)]
        times = []
        for count in counts:
            tries = [fit(int(count))]
            while len(tries) < 3 and sum(tries) < BRIEF:
                tries.append(fit(int(count)))
            times.append(min(tries))
    # A fit holds every shorter one: where it seems faster, the machine was busy.
    monotone = np.minimum.accumulate(times[::-1])[::-1]
    return losses, np.interp(np.arange(1, len(losses) + 1), counts, monotone)
