"""What training carries on from one call to the next."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sklearn_sgdopt._standardize import Coordinates, RunningMoments
from sklearn_sgdopt._step_size import Curvature


@dataclass
class OptimizerState:
    """Parameters, moments, averages, counters, statistics and the random generator.

    ``stack`` holds four arrays (k, d + 1), intercept last, in ``coordinates``: the iterate, the
    first moment (momentum's velocity), the second moment and the averaged iterate.

    ``robust_spread`` is that of the first targets seen, where the loss asks for it. ``reference_loss`` is
    the largest loss of a model that knows nothing, by which divergence is told. ``rate_factor``,
    ``best_loss`` and ``epochs_since_best`` belong to the "adaptive" schedule. ``accepted`` are the
    values of the parameters that passed their checks.
    """

    stack: np.ndarray
    generator: np.random.Generator
    coordinates: Coordinates
    features: RunningMoments
    targets: RunningMoments
    curvature: Curvature = field(default_factory=Curvature)
    robust_spread: np.ndarray = field(default_factory=lambda: np.empty(0))
    t: int = 0
    averaged_since: int = 0
    reference_loss: float = 0.0
    rate_factor: float = 1.0
    best_loss: float = np.inf
    epochs_since_best: int = 0
    accepted: tuple[Any, ...] = ()

    @classmethod
    def start(cls, outputs: int, features: int, generator: np.random.Generator) -> "OptimizerState":
        """State before the first update: everything zero."""
        return cls(
            stack=np.zeros((4, outputs, features + 1)),
            generator=generator,
            coordinates=Coordinates.plain(features),
            features=RunningMoments.empty(features),
            targets=RunningMoments.empty(outputs),
        )

    @property
    def theta(self) -> np.ndarray:
        """The iterate (k, d + 1)."""
        return self.stack[0]

    @property
    def average(self) -> np.ndarray:
        """The averaged iterate (k, d + 1)."""
        return self.stack[3]

    def reported(self, *, sparse: bool) -> np.ndarray:
        """Return the averaged iterate; with an l1 penalty the zeros of the iterate stay zeros."""
        return np.where(self.theta == 0.0, 0.0, self.average) if sparse else self.average

    def place(self, theta: np.ndarray) -> None:
        """Put the iterate and its average at ``theta``."""
        self.stack[0] = self.stack[3] = theta

    def change_coordinates(self, new: Coordinates) -> None:
        """Express everything in ``new`` coordinates; the functions that are computed stay the same.

        Iterates transform as vectors, moments as the gradients that they average.
        """
        old = self.coordinates
        if np.array_equal(old.center, new.center) and np.array_equal(old.inverse_scale, new.inverse_scale):
            return
        for row in (0, 3):
            self.stack[row] = new.from_data_units(*old.to_data_units(self.stack[row]))
        ratio = np.divide(
            new.inverse_scale,
            old.inverse_scale,
            out=np.ones_like(old.inverse_scale),
            where=old.inverse_scale > 0.0,
        )
        self.stack[1] *= ratio
        self.stack[2] *= ratio * ratio
        self.coordinates = new
