"""Pictures of training: loss curves, and the solvers' efficiency on the user's own data."""

import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.utils.validation import check_is_fitted

from sklearn_sgdopt._regressor import GradientDescentRegressor
from sklearn_sgdopt._validation import check_rows

LOSS_LABELS = {
    "squared_error": "mean squared error (units of y squared)",
    "huber": "mean huber loss (units of y squared)",
    "epsilon_insensitive": "mean epsilon-insensitive loss (units of y)",
    "squared_epsilon_insensitive": "mean squared epsilon-insensitive loss (units of y squared)",
    "quantile": "mean quantile loss (units of y)",
}
# Okabe and Ito's colours, told apart with any colour vision, but for the yellow, too pale for lines.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MARKERS_A_LINE = 8
WARM_UP_ROWS = 32
FAR_APART = 10.0  # ratio of times from which their axis is logarithmic
NOTHING = 1e-8  # part of the loss of least squares below which an excess is not worth drawing
BRIEF = 0.1  # seconds of timing up to which a fit is timed again


def pyplot(display: str) -> Any:
    """Return matplotlib.pyplot, or say how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{display} needs matplotlib, which is not installed: pip install sklearn-sgdopt[plot]"
        ) from error
    return plt


def line_style(index: int) -> dict[str, Any]:
    """Colour, dashes and marker of the ``index``-th of several lines."""
    return {
        "color": COLORS[index % len(COLORS)],
        "linestyle": DASHES[index % len(DASHES)],
        "marker": MARKERS[index % len(MARKERS)],
        "markersize": 4.5,
    }


def sparse_markers(points: int, index: int) -> tuple[int, int]:
    """Marker positions that do not crowd a line, nor fall on those of its neighbours."""
    step = max(1, points // MARKERS_A_LINE)
    return (index * step // 4) % step, step


def log_losses(plt: Any, ax: Any) -> None:
    """Make the axis of the loss logarithmic, with plain numbers where there is no whole decade."""
    ax.set_yscale("log")
    ax.yaxis.set_minor_formatter(plt.LogFormatter())


def named_estimators(estimators: Any) -> dict[str, Any]:
    """Estimators by name, from a mapping or a sequence; refuses what is no GradientDescentRegressor."""
    if isinstance(estimators, Mapping):
        named = {str(name): estimator for name, estimator in estimators.items()}
    elif isinstance(estimators, Sequence) and not isinstance(estimators, str):
        solvers = [getattr(estimator, "solver", "") for estimator in estimators]
        named = {
            solver if solvers.count(solver) == 1 else f"{solver} {position}": estimator
            for position, (solver, estimator) in enumerate(zip(solvers, estimators, strict=True))
        }
    else:
        raise TypeError(
            f"estimators must be a dict of names and estimators, or a list of estimators; got "
            f"{type(estimators).__name__}. For one estimator use from_estimator."
        )
    if not named:
        raise ValueError("estimators is empty; give at least one GradientDescentRegressor.")
    for name, estimator in named.items():
        if not isinstance(estimator, GradientDescentRegressor):
            raise TypeError(
                f"Estimator {name!r} must be a GradientDescentRegressor; got {type(estimator).__name__}. "
                "Of a Pipeline give the last step, pipeline[-1]."
            )
    return named


def common_loss(estimators: Mapping[str, Any]) -> str:
    """Return the loss that all estimators share: others have other units."""
    losses = {estimator.loss for estimator in estimators.values()}
    if len(losses) > 1:
        raise ValueError(
            f"The estimators must have one loss to share an axis; got {sorted(losses)}. "
            "Draw a display for each."
        )
    return str(losses.pop())


def updates_per_epoch(estimator: Any) -> float:
    """Return the updates in an epoch (in a stream of unequal chunks their mean).

    ``t_`` leaves out the epochs that were undone: those after the best with early stopping, and
    one that diverged.
    """
    epochs = estimator.n_iter_
    counted = [epochs, epochs - 1]
    if estimator.early_stopping and len(getattr(estimator, "validation_curve_", [])) == epochs:
        counted.insert(0, int(np.argmin(estimator.validation_curve_)) + 1)
    whole = next((count for count in counted if count and estimator.t_ % count == 0), epochs)
    return float(estimator.t_ / whole)


class LossCurveDisplay:
    """Training and validation loss of fitted estimators.

    Use `from_estimator` or `from_estimators` to create one.

    Parameters
    ----------
    loss_curves : dict of str to array-like of shape (n_epochs,)
        For each estimator the loss of each epoch.
    validation_curves : dict of str to array-like of shape (n_epochs,), default=None
        The loss of held-out rows, for the estimators that have one.
    updates_per_epoch : dict of str to float, default=None
        For each estimator the updates in an epoch, for ``x="updates"``.
    seconds : dict of str to array-like of shape (n_epochs,), default=None
        For each estimator the time after each epoch, for ``x="seconds"``, where it is known.
    loss : str, default="squared_error"
        Which loss it is, for the axis label.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Training curves.
    validation_lines_ : dict of str to matplotlib Line2D
        Validation curves.

    See Also
    --------
    SolverComparisonDisplay : Trains solvers and measures the time they take.
    DescentPathDisplay : The way through the loss surface.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_sgdopt import GradientDescentRegressor
    >>> from sklearn_sgdopt import LossCurveDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = GradientDescentRegressor(random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(model, log_scale=True)
    """

    def __init__(
        self,
        *,
        loss_curves: Mapping[str, Any],
        validation_curves: Mapping[str, Any] | None = None,
        updates_per_epoch: Mapping[str, float] | None = None,
        seconds: Mapping[str, Any] | None = None,
        loss: str = "squared_error",
    ):
        self.loss_curves = loss_curves
        self.validation_curves = validation_curves
        self.updates_per_epoch = updates_per_epoch
        self.seconds = seconds
        self.loss = loss

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Any = None, **kwargs: Any
    ) -> Self:
        """Draw the curves of one fitted estimator.

        Parameters
        ----------
        estimator : GradientDescentRegressor
            A fitted estimator.
        name : str, default=None
            Its name in the legend; the solver if not given.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if not given.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        display : LossCurveDisplay
            The display.
        """
        named = [estimator] if name is None else {name: estimator}
        return cls.from_estimators(named, ax=ax, **kwargs)

    @classmethod
    def from_estimators(cls, estimators: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the curves of several fitted estimators.

        Parameters
        ----------
        estimators : dict of str to GradientDescentRegressor, or list of GradientDescentRegressor
            Fitted estimators with the same loss; those of a list are named by their solver.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if not given.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        display : LossCurveDisplay
            The display.
        """
        named = named_estimators(estimators)
        for estimator in named.values():
            check_is_fitted(estimator, "loss_curve_")
        display = cls(
            loss_curves={name: np.asarray(estimator.loss_curve_) for name, estimator in named.items()},
            validation_curves={
                name: np.asarray(estimator.validation_curve_)
                for name, estimator in named.items()
                if hasattr(estimator, "validation_curve_")
            },
            updates_per_epoch={name: updates_per_epoch(estimator) for name, estimator in named.items()},
            loss=common_loss(named),
        )
        return display.plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        x: Literal["epochs", "updates", "seconds"] = "epochs",
        validation: bool | Literal["auto"] = "auto",
        log_scale: bool = False,
        line_kwargs: dict[str, Any] | None = None,
        validation_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if not given.
        x : {"epochs", "updates", "seconds"}, default="epochs"
            What the loss is drawn against. Fitted estimators keep no times.
        validation : bool or "auto", default="auto"
            Whether to draw validation curves. "auto": those with a value for each epoch.
        log_scale : bool, default=False
            Whether the axis of the loss is logarithmic.
        line_kwargs : dict, default=None
            Keywords for the training curves, as of matplotlib's `plot`.
        validation_kwargs : dict, default=None
            Keywords for the validation curves.

        Returns
        -------
        self : LossCurveDisplay
            The display.

        Raises
        ------
        ValueError
            If ``x`` is none of the three or not known here, or a validation curve is asked for and absent.
        """
        plt = pyplot(type(self).__name__)
        held_out = {} if validation is False else self._checked_validation(required=validation is True)
        places = {name: self._places(x, name) for name in self.loss_curves}
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_, self.validation_lines_ = {}, {}
        for index, (name, losses) in enumerate(self.loss_curves.items()):
            style = {**line_style(index), "linestyle": "-", "markevery": sparse_markers(len(losses), index)}
            label = f"{name}, training" if held_out else name
            style |= {"label": label, **(line_kwargs or {})}
            (self.lines_[name],) = ax.plot(places[name], losses, **style)
            if name not in held_out:
                continue
            style |= {"linestyle": "--", "markerfacecolor": "white", "label": f"{name}, validation"}
            style |= validation_kwargs or {}
            (self.validation_lines_[name],) = ax.plot(places[name], held_out[name], **style)
        ax.set(xlabel={"epochs": "epoch", "updates": "update"}.get(x, x), ylabel=LOSS_LABELS[self.loss])
        if log_scale:
            log_losses(plt, ax)
        ax.legend()
        return self

    def _checked_validation(self, *, required: bool) -> dict[str, Any]:
        """Return the validation curves that have a value for each epoch."""
        curves = self.validation_curves or {}
        whole = {name: curve for name, curve in curves.items() if len(curve) == len(self.loss_curves[name])}
        missing = [name for name in self.loss_curves if name not in whole]
        if required and missing:
            kept = len(curves.get(missing[0], []))
            raise ValueError(
                f"validation=True, but {missing[0]!r} has {kept} validation losses for "
                f"{len(self.loss_curves[missing[0]])} epochs. Give X_val and y_val to every fit or "
                "partial_fit, or fit with early_stopping=True; or draw with validation='auto'."
            )
        return whole

    def _places(self, x: str, name: str) -> np.ndarray:
        """Where on the axis the epochs of an estimator lie."""
        epochs = np.arange(1, len(self.loss_curves[name]) + 1)
        if x == "epochs":
            return epochs
        if x not in {"updates", "seconds"}:
            raise ValueError(f"x must be 'epochs', 'updates' or 'seconds'; got {x!r}.")
        known = self.updates_per_epoch if x == "updates" else self.seconds
        if known is None or name not in known:
            raise ValueError(
                f"x={x!r}, but the {x} of {name!r} are not known: a fitted estimator keeps no times. "
                "SolverComparisonDisplay measures them while it trains."
                if x == "seconds"
                else f"x={x!r}, but updates_per_epoch has no entry for {name!r}."
            )
        return np.asarray(known[name]) if x == "seconds" else epochs * known[name]


class SolverComparisonDisplay:
    """Efficiency of solvers on given data: loss against epochs, and against seconds.

    The loss is that of the parameters which the estimator would report after each epoch. Times
    are those of whole calls of `fit` with 1, 2, 4, ... epochs, interpolated between, without
    the time to compile. Use `from_data` or `from_estimators` to create one.

    Parameters
    ----------
    losses : dict of str to ndarray of shape (n_epochs,)
        For each estimator the loss after each epoch.
    seconds : dict of str to ndarray of shape (n_epochs,)
        For each estimator the time that a fit with so many epochs takes.
    least_squares : float, default=None
        The loss of least squares on the same rows.
    loss : str, default="squared_error"
        Which loss it is, for the axis label.
    rows : {"training", "validation"}, default="training"
        Which rows it is of, for the axis label.

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
    LossCurveDisplay : Loss curves of estimators that are fitted already.

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
        """Train each solver on the rows and draw how fast it gets where.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to train on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        solvers : sequence of str, default=("gd", "sgd", "momentum", "adam")
            Solvers to compare.
        estimator : GradientDescentRegressor, default=None
            Gives all other parameters; the default ones if not given.
        epochs : int, default=50
            Epochs that each solver makes; ``tol`` stops none.
        X_val : array-like of shape (n_validation, n_features), default=None
            Rows whose loss is drawn, instead of that of the rows trained on.
        y_val : array-like of shape (n_validation,) or (n_validation, n_outputs), default=None
            Their targets.
        random_state : int, RandomState instance or None, default=None
            Seed of the shuffling; that of ``estimator`` if not given.
        ax : sequence of two matplotlib Axes, default=None
            Axes to draw on; new ones if not given.
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
        """Train clones of estimators on the rows and draw how fast they get where.

        Parameters
        ----------
        estimators : dict of str to GradientDescentRegressor, or list of GradientDescentRegressor
            What to compare, with one loss; those of a list are named by their solver.
        X : array-like of shape (n_samples, n_features)
            Rows to train on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        epochs : int, default=50
            Epochs that each makes; ``tol`` and early stopping stop none.
        X_val : array-like of shape (n_validation, n_features), default=None
            Rows whose loss is drawn, instead of that of the rows trained on.
        y_val : array-like of shape (n_validation,) or (n_validation, n_outputs), default=None
            Their targets.
        ax : sequence of two matplotlib Axes, default=None
            Axes to draw on; new ones if not given.
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
            Axes against epochs and against seconds; new ones if not given.
        excess : bool or "auto", default="auto"
            Whether to draw by how much the loss is above that of least squares, which tells apart what noise
            in y makes look alike. "auto": of training rows, where it is known. Otherwise least squares
            is drawn as a line.
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
            If ``ax`` is not two axes, or ``excess`` is asked for where least squares is not known.
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
        # Few rows may take the way through the kernels that many rows do not: compile that too.
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
