"""What looks on after each epoch and may stop training: printing, adaptive rate, held-out samples."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sklearn_sgdopt import _kernels
from sklearn_sgdopt._engine import finite
from sklearn_sgdopt._kernels import Samples
from sklearn_sgdopt._state import SLOPE, State
from sklearn_sgdopt._stopping import Patience

PLATEAU_CUT = 5.0  # "adaptive" divides the rate by this
SMALLEST_CUT = 1e-3  # and gives up below this part of the first rate


@dataclass
class Outcome:
    """What a training call leaves besides the state."""

    losses: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    best_epoch: int | None = None
    stopped: bool = False
    diverged: bool = False


Monitor = Callable[[int, Outcome], bool]


class Printer:
    """One line an epoch."""

    def __init__(self) -> None:
        self.started = time.perf_counter()

    def __call__(self, done: int, outcome: Outcome) -> bool:
        held_out = f", validation {outcome.validation[-1]:.6g}" if outcome.validation else ""
        seconds = time.perf_counter() - self.started
        print(f"Epoch {done}: loss {outcome.losses[-1]:.6g}{held_out}, {seconds:.2f} s")
        return False


class Adaptive:
    """Cuts the rate where the objective has stopped to fall; stops once the rate is spent."""

    def __init__(self, state: State, rule: Any, penalty: Any, *, tol: float | None, epochs: int) -> None:
        self.state, self.rule, self.penalty, self.ends = state, rule, penalty, tol is not None
        rule.factor = state.rate_factor
        if state.patience is None:
            state.patience = Patience(tol or 0.0, epochs)
        self.patience = state.patience

    def __call__(self, done: int, outcome: Outcome) -> bool:
        state = self.state
        coef = state.coordinates.standardized(state.buffers[SLOPE])
        value = outcome.losses[-1] + np.mean(self.penalty.values(coef))
        if not self.patience.is_over(value):
            return False
        if state.rate_factor / PLATEAU_CUT < SMALLEST_CUT:
            return self.ends
        self.patience.best_at = self.patience.done
        state.rate_factor /= PLATEAU_CUT
        self.rule.factor = state.rate_factor
        return False


class HeldOut:
    """Records the loss on held-out samples; with early stopping ends training and brings back the best."""

    def __init__(
        self, state: State, samples: Samples, objective: Any, reported: np.ndarray, patience: Patience | None
    ) -> None:
        self.state, self.samples, self.objective = state, samples, objective
        self.reported, self.patience = reported, patience
        self.best, self.kept = np.inf, state.buffers.copy()

    def loss(self, parameters: np.ndarray) -> float:
        """Mean loss of the held-out samples."""
        center = self.state.coordinates.center
        return finite(float(np.mean(_kernels.mean_losses(self.samples, center, parameters, self.objective))))

    def __call__(self, done: int, outcome: Outcome) -> bool:
        value = self.loss(self.reported)
        outcome.validation.append(value)
        if self.patience is None:
            return False
        if value < self.best:
            self.best, outcome.best_epoch = value, done
            np.copyto(self.kept, self.state.buffers)
        return self.patience.is_over(value)

    def restore(self) -> None:
        """Bring back the parameters with the least held-out loss."""
        if self.patience is not None and np.isfinite(self.best):
            np.copyto(self.state.buffers, self.kept)
