"""Loss curves of fitted estimators."""

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_sgdopt._display.estimators import common_loss, named_estimators
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
    target : str, default="y"
        What the loss is of, for the axis label.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Training curves.
    line_ : matplotlib Line2D
        The training curve, if there is a single one.
    validation_lines_ : dict of str to matplotlib Line2D
        Validation curves.
    validation_line_ : matplotlib Line2D
        The validation curve, if there is a single one.

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
        target: str = "y",
    ):
        self.loss_curves = loss_curves
        self.validation_curves = validation_curves
        self.updates_per_epoch = updates_per_epoch
        self.seconds = seconds
        self.loss = loss
        self.target = target

    @property
    def line_(self) -> Any:
        """The training curve, if there is a single one."""
        return the_only(self.lines_, "lines_")

    @property
    def validation_line_(self) -> Any:
        """The validation curve, if there is a single one."""
        return the_only(self.validation_lines_, "validation_lines_")

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Any = None, **kwargs: Any
    ) -> Self:
        """Draw the curves of one fitted estimator.

        Parameters
        ----------
        estimator : GradientDescentRegressor
            A fitted estimator, also in a fitted Pipeline, TransformedTargetRegressor or search.
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
            Fitted estimators with the same loss, also in a fitted Pipeline, TransformedTargetRegressor or
            search. Those in a list are named by their solver.
        ax : matplotlib Axes, default=None
            Axes to draw on. Default: new ones.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        display : LossCurveDisplay
            The display.
        """
        unwrapped = named_estimators(estimators, fitted=True)
        named = {name: one.regressor for name, one in unwrapped.items()}
        for estimator in named.values():
            check_is_fitted(estimator, "loss_curve_")
        loss, target = common_loss(unwrapped)
        display = cls(
            loss_curves={name: np.asarray(estimator.loss_curve_) for name, estimator in named.items()},
            validation_curves={
                name: np.asarray(estimator.validation_curve_)
                for name, estimator in named.items()
                if hasattr(estimator, "validation_curve_")
            },
            updates_per_epoch={name: updates_per_epoch(estimator) for name, estimator in named.items()},
            loss=loss,
            target=target,
        )
        return display.plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        x: Literal["epochs", "updates", "seconds"] = "epochs",
        validation: bool | Literal["auto"] = "auto",
        log_scale: bool = False,
        line_kwargs: LineKwargs = None,
        validation_kwargs: LineKwargs = None,
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
        line_kwargs : dict or list of dict, default=None
            Keywords for the curves, as of matplotlib's `plot`. A list has one dict for each estimator.
        validation_kwargs : dict or list of dict, default=None
            Keywords for the validation curves alone, after those for all.

        Returns
        -------
        self : LossCurveDisplay
            The display.

        Raises
        ------
        ValueError
            If ``x`` is not one of the three or not known, if a validation curve is asked for and missing, or
            if a list of keywords is not as long as there are estimators.
        """
        plt = pyplot(type(self).__name__)
        held_out = {} if validation is False else self._checked_validation(required=validation is True)
        curves = len(self.loss_curves)
        own = own_keywords(line_kwargs, curves, "line_kwargs")
        own_validation = own_keywords(validation_kwargs, curves, "validation_kwargs")
        places = {name: self._places(x, name) for name in self.loss_curves}
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_, self.validation_lines_ = {}, {}
        for index, (name, losses) in enumerate(self.loss_curves.items()):
            style = {**line_style(index), "linestyle": "-", "markevery": sparse_markers(len(losses), index)}
            label = f"{name}, training" if held_out else name
            style |= {"label": label, **own[index]}
            (self.lines_[name],) = ax.plot(places[name], losses, **style)
            if name not in held_out:
                continue
            style |= {"linestyle": "--", "markerfacecolor": "white", "label": f"{name}, validation"}
            style |= own_validation[index]
            (self.validation_lines_[name],) = ax.plot(places[name], held_out[name], **style)
        ax.set(
            xlabel={"epochs": "epoch", "updates": "update"}.get(x, x),
            ylabel=loss_label(self.loss, self.target),
        )
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
