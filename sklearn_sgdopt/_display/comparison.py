"""The four algorithms' efficiency on the user's own data."""

import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sklearn_sgdopt._display.loss_curve import (
    LOSS_LABELS,
    common_loss,
    line_style,
    log_losses,
    named_estimators,
    pyplot,
    sparse_markers,
)
from sklearn_sgdopt._regressor import GradientDescentRegressor
from sklearn_sgdopt._validation import check_rows

WARM_UP_ROWS = 32
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

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib Axes
        Axes against epochs and against seconds.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Curves against epochs.
    seconds_lines_ : dict of str to matplotlib Line2D
        Curves against seconds.

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
    ):
        self.losses = losses
        self.seconds = seconds
        self.least_squares = least_squares
        self.loss = loss
        self.rows = rows

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
        ax: Any = None,
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
            Estimator with all other parameters. Default: default settings.
        epochs : int, default=50
            Number of epochs of each solver. ``tol`` is not used.
        X_val : array-like of shape (n_validation, n_features), default=None
            Samples whose loss is drawn instead of the training loss.
        y_val : array-like of shape (n_validation,) or (n_validation, n_outputs), default=None
            Their targets.
        random_state : int, RandomState instance or None, default=None
            Seed of the shuffling. Default: that of ``estimator``.
        ax : sequence of two matplotlib Axes, default=None
            Axes to draw on. Default: new ones.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        display : SolverComparisonDisplay
            The display.
        """
        base = GradientDescentRegressor() if estimator is None else named_estimators([estimator]).popitem()[1]
        names = [solvers] if isinstance(solvers, str) else list(solvers)
        estimators = {name: clone(base).set_params(solver=name) for name in names}
        if random_state is not None:
            for trained in estimators.values():
                trained.set_params(random_state=random_state)
        return cls.from_estimators(estimators, X, y, epochs=epochs, X_val=X_val, y_val=y_val, ax=ax, **kwargs)

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
            Estimators with the same loss. Those in a list are named by their solver.
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
        named = named_estimators(estimators)
        loss = common_loss(named)
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given together.")
        first = next(iter(named.values()))
        X, y = _as_trained_on(first, X, y)
        held_out = (X, y) if X_val is None else _as_trained_on(first, X_val, y_val)
        losses, seconds = {}, {}
        for name, estimator in named.items():
            losses[name], seconds[name] = _measure(estimator, X, y, held_out, epochs)
        least_squares = None
        if loss == "squared_error":
            from sklearn.linear_model import LinearRegression  # half as long an import as the package's own

            exact = LinearRegression(fit_intercept=any(e.fit_intercept for e in named.values())).fit(X, y)
            least_squares = float(np.mean((held_out[1] - exact.predict(held_out[0])) ** 2))
        display = cls(
            losses=losses,
            seconds=seconds,
            least_squares=least_squares,
            loss=loss,
            rows="training" if X_val is None else "validation",
        )
        return display.plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        excess: bool | Literal["auto"] = "auto",
        log_scale: bool = True,
        line_kwargs: dict[str, Any] | None = None,
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
        line_kwargs : dict, default=None
            Keywords for the curves, as of matplotlib's `plot`.
        reference_kwargs : dict, default=None
            Keywords for the line at the loss of least squares.

        Returns
        -------
        self : SolverComparisonDisplay
            The display.

        Raises
        ------
        ValueError
            If ``ax`` is not two axes, or ``excess`` is asked for and least squares is not known.
        """
        plt = pyplot(type(self).__name__)
        if excess == "auto":
            excess = self.least_squares is not None and self.rows == "training"
        if excess and self.least_squares is None:
            raise ValueError(
                f"excess=True needs the loss of least squares, and there is none for {self.loss!r}."
            )
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
            style |= line_kwargs or {}
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
        what, _, unit = f"{self.rows} {LOSS_LABELS[self.loss]}".rpartition(" (")
        above = "above least squares " if excess else ""
        self.axes_[0].set(xlabel="epoch", ylabel=f"{what}\n{above}({unit}")
        self.axes_[1].set_xlabel("seconds")
        times = np.concatenate([*self.seconds.values()])
        if times.max() > FAR_APART * times.min():
            self.axes_[1].set_xscale("log")
            self.axes_[1].xaxis.set_major_locator(plt.LogLocator(subs=(1.0, 2.0, 5.0)))
            self.axes_[1].xaxis.set_major_formatter("{x:g}")
            self.axes_[1].xaxis.set_minor_formatter(plt.NullFormatter())
        else:
            self.axes_[1].xaxis.set_major_locator(plt.MaxNLocator(5))
        self.axes_[0].legend()
        return self


def _as_trained_on(estimator: Any, X: Any, y: Any) -> tuple[Any, np.ndarray]:
    """Rows in the form in which nothing is left to convert in a fit that is timed."""
    X, y, single = check_rows(clone(estimator), X, y, reset=True)
    return X, y[:, 0] if single else y


def _measure(
    estimator: Any, X: Any, y: np.ndarray, held_out: Any, epochs: int
) -> tuple[np.ndarray, np.ndarray]:
    """Loss after each epoch, and the seconds that a fit with so many epochs takes."""
    runner = clone(estimator).set_params(tol=None, early_stopping=False, warm_start=False, verbose=0)

    def fit(count: int) -> float:
        trained = clone(runner).set_params(epochs=count)
        started = time.perf_counter()
        trained.fit(X, y)
        return time.perf_counter() - started

    trained = clone(runner).set_params(epochs=epochs).fit(X, y, X_val=held_out[0], y_val=held_out[1])
    losses = np.asarray(trained.validation_curve_)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the fit above has warned of divergence
        # Few rows may take another way through the kernels than many rows do: call that too.
        clone(runner).set_params(epochs=1).fit(X[:WARM_UP_ROWS], y[:WARM_UP_ROWS])
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
