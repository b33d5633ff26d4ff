"""Loss curves, and what all pictures share: colours, names, a clear error without matplotlib."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_sgdopt._regressor import GradientDescentRegressor

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


def pyplot(display: str) -> Any:
    """Return matplotlib.pyplot, or say how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{display} needs matplotlib, which is not installed: pip install matplotlib"
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

    ``t_`` leaves out an epoch that diverged and was undone.
    """
    epochs = estimator.n_iter_
    whole = next((count for count in (epochs, epochs - 1) if count and estimator.t_ % count == 0), epochs)
    return float(estimator.t_ / whole)


class LossCurveDisplay:
    """Training and validation loss of fitted estimators.

    Use `from_estimator` or `from_estimators` to create one.

    Parameters
    ----------
    loss_curves : dict of str to array-like of shape (n_epochs,)
        For each estimator the loss of each epoch.
    validation_curves : dict of str to array-like of shape (n_epochs,), default=None
        The loss of held-out samples, for the estimators that have any.
    updates_per_epoch : dict of str to float, default=None
        Number of updates in an epoch for each estimator, for ``x="updates"``.
    seconds : dict of str to array-like of shape (n_epochs,), default=None
        Time after each epoch for each estimator, for ``x="seconds"``, if it is known.
    loss : str, default="squared_error"
        Name of the loss, for the axis label.

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
    DescentPathDisplay : The path of the parameters across the loss surface.

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
            Name in the legend. Default: the solver.
        ax : matplotlib Axes, default=None
            Axes to draw on. Default: new ones.
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
            Fitted estimators with the same loss. Those in a list are named by their solver.
        ax : matplotlib Axes, default=None
            Axes to draw on. Default: new ones.
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
            Axes to draw on. Default: new ones.
        x : {"epochs", "updates", "seconds"}, default="epochs"
            Horizontal axis. Fitted estimators keep no times, so "seconds" needs ``seconds``.
        validation : bool or "auto", default="auto"
            Whether to draw validation curves. "auto": if there is a value for each epoch.
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
            If ``x`` is not one of the three or not known, or if a validation curve is asked for and missing.
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
