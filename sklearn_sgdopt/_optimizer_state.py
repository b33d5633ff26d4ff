"""What training carries on from one call to the next."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sklearn_sgdopt._lazy import kernels
from sklearn_sgdopt._standardize import Coordinates, RunningMoments
from sklearn_sgdopt._step_size import Curvature


@dataclass
class OptimizerState:
    """Parameters, moments, averages, counters, statistics and random numbers.

    ``stack`` holds four arrays (k, d + 1), intercept last, in ``coordinates``: the iterate, the
    first moment (momentum's velocity), the second moment and the averaged iterate.

    ``generator`` splits rows off, and seeds ``random``: the state of the random numbers that shuffle rows
    in the compiled loops. Where the loss asks for it, ``robust_spread`` is that of the first targets that
    differ, and ``largest_spread`` the largest of a chunk.
    ``reference_loss`` is the largest loss of a model that knows nothing, by which divergence is told.
    ``rate_factor``, ``best_loss`` and ``epochs_since_best`` belong to the "adaptive" schedule. ``accepted``
    are the values of the parameters that passed their checks. ``reach`` is how far from zero an average may
    be that an l1 penalty keeps at zero, where its fit does not end in steps on all rows. ``line`` (4, k) is
    what searches for a rate keep, see `_kernels.fill_directions`.
    """

    stack: np.ndarray
    generator: np.random.Generator
    random: np.ndarray
    coordinates: Coordinates
    features: RunningMoments
    targets: RunningMoments
    line: np.ndarray
    curvature: Curvature = field(default_factory=Curvature)
    robust_spread: np.ndarray = field(default_factory=lambda: np.zeros(1))
    largest_spread: np.ndarray = field(default_factory=lambda: np.zeros(1))
    t: int = 0
    averaged_since: int = 0
    reference_loss: float = 0.0
    rate_factor: float = 1.0
    best_loss: float = np.inf
    epochs_since_best: int = 0
    reach: float = 0.0
    accepted: tuple[Any, ...] = ()

    @classmethod
    def start(cls, outputs: int, features: int, generator: np.random.Generator) -> "OptimizerState":
        """State before the first update: everything zero."""
        return cls(
            stack=np.zeros((4, outputs, features + 1)),
            generator=generator,
            random=generator.integers(2**64, size=1, dtype=np.uint64),
            coordinates=Coordinates.plain(features),
            features=RunningMoments.empty(features),
            targets=RunningMoments.empty(outputs),
            line=np.zeros((4, outputs)),
        )

    @property
    def theta(self) -> np.ndarray:
        """The iterate (k, d + 1)."""
        return self.stack[0]

    @property
    def average(self) -> np.ndarray:
        """The averaged iterate (k, d + 1)."""
        return self.stack[3]

    def own(self) -> None:
        """Copy what a memory-mapped pickle gave read-only."""
        if not all(array.flags.writeable for array in (self.stack, self.random, self.line)):
            self.stack, self.random, self.line = self.stack.copy(), self.random.copy(), self.line.copy()

    def reported(self) -> np.ndarray:
        """Return the averaged iterate, with zeros where the iterate is zero and its average within reach."""
        if self.reach == 0.0:
            return self.average
        return np.where((self.theta == 0.0) & (np.abs(self.average) <= self.reach), 0.0, self.average)

    def place(self, theta: np.ndarray) -> None:
        """Put the iterate and its average at ``theta``."""
        self.stack[0] = self.stack[3] = theta

    def change_coordinates(self, new: Coordinates) -> None:
        """Express everything in ``new`` coordinates; the functions that are computed stay the same."""
        if new is self.coordinates:
            return
        if self.t > 0 or self.stack.any():
            kernels().change_coordinates(self.stack, self.coordinates.record(), new.record())
        self.coordinates = new
