"""scikit-learn's callbacks where it has them (from 1.9 on, experimental); below, no callbacks."""

from collections.abc import Callable
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks

    FRAMES_BETWEEN = 1  # calls that the decorator puts between a user and the method
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for the mixin that scikit-learn does not have yet."""

    def with_callbacks(method: Any) -> Any:
        """Return the method: there are no callbacks to tear down."""
        return method

    FRAMES_BETWEEN = 0


__all__ = ["FRAMES_BETWEEN", "CallbackSupportMixin", "EpochTasks", "with_callbacks"]


class EpochTasks:
    """Tells the callbacks of an estimator about the fit and its epochs, one task an epoch.

    Parameters
    ----------
    estimator : estimator with callbacks
        The one that is trained.
    epochs : int
        Epochs at most.
    attributes : callable
        Returns what an estimator needs to predict as if training had stopped now.
    X, y, sample_weight : array-like
        What it is trained on, for the callbacks that score.
    """

    def __init__(
        self,
        estimator: Any,
        epochs: int,
        attributes: Callable[[], dict[str, Any]],
        X: Any,
        y: Any,
        sample_weight: Any,
    ) -> None:
        self.epochs = epochs
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.told = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self.attributes = attributes
        self.fit = estimator._init_callback_context(max_subtasks=epochs)
        self.fit.call_on_fit_task_begin(**self.told)
        self._begin()

    def _begin(self) -> None:
        self.epoch: Any = self.fit.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(**self.told)

    def __call__(self, done: int, outcome: Any) -> bool:
        """End the task of an epoch; return whether a callback wants to stop."""
        stop = self._finish(self.epoch)
        self.epoch = None
        if not (stop or outcome.diverged) and done < self.epochs:
            self._begin()
        return bool(stop)

    def end(self) -> None:
        """End the task of the fit, and that of an epoch which was begun and not run."""
        if self.epoch is not None:
            self._finish(self.epoch)
        self._finish(self.fit)

    def _finish(self, task: Any) -> Any:
        return task.call_on_fit_task_end(**self.told, reconstruction_attributes=self.attributes)
