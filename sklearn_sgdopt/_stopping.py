"""The one patience: when nothing is gained any more."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Patience:
    """Waits for a value to fall by a part ``tol`` of what it is.

    It serves `tol` (the loss of each output, looked at now and then), the adaptive schedule (the loss of each
    epoch) and held-out samples.

    Parameters
    ----------
    tol : float
        The part by which a value must fall below the best one to count as a gain.
    epochs : int
        Epochs without a gain that are too many.
    floor : float
        A value below which nothing is worth gaining.
    share : float
        The same, as a part of those that it took to come to the best value; the larger number counts.
    """

    tol: float
    epochs: int
    share: float = 0.0
    floor: float = 0.0
    best: np.ndarray | float = np.inf
    best_at: int = 0
    done: int = 0

    def is_over(self, value: np.ndarray | float, epochs: int = 1) -> bool:
        """Take the value after so many more epochs; tell whether nothing has been gained for too long.

        Of several values each may gain.
        """
        self.done += epochs
        if np.any((value < (1.0 - self.tol) * self.best) & (self.best > self.floor)):
            self.best_at = self.done
            self.best = np.minimum(value, self.best)
            return False
        return bool(self.done - self.best_at >= max(self.epochs, self.share * self.best_at))
