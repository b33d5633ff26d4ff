"""What looks on after each epoch: printing, the adaptive schedule, validation rows."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sklearn_sgdopt._lazy import kernels
from sklearn_sgdopt._objective import alike, best_constant
from sklearn_sgdopt._optimizer_state import OptimizerState

PLATEAU_CUT = 5.0  # "adaptive" divides the rate by this
SMALLEST_CUT = 1e-3  # and gives up below this part of the first rate

Observer = Callable[[int, "Outcome"], bool]


@dataclass
class Outcome:
    """What a training call leaves besides the state."""

    rate: np.ndarray
    averaging: bool
    losses: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    status: int = 0


class Printer:
    """One line an epoch."""

    def __init__(self) -> None:
        self.started = time.perf_counter()

    def __call__(self, done: int, outcome: Outcome) -> bool:
        held_out = f", validation {outcome.validation[-1]:.6g}" if outcome.validation else ""
        seconds = time.perf_counter() - self.started
        print(f"Epoch {done}: loss {outcome.losses[-1]:.6g}{held_out}, {seconds:.2f} s")
        return False


class Plateau:
    """Cuts the rate where the objective has stopped to fall; stops once the rate is spent."""

    def __init__(self, est: Any, state: OptimizerState, rate: np.ndarray, objective: Any) -> None:
        self.est, self.state, self.rate, self.objective = est, state, rate, objective
        self.start = rate / state.rate_factor
        self.gain = 0.0 if est.tol is None else est.tol

    def __call__(self, done: int, outcome: Outcome) -> bool:
        state = self.state
        loss = outcome.losses[-1] + kernels().penalty(state.theta, self.objective, alike(len(state.theta)))
        if loss < state.best_loss * (1.0 - self.gain):
            state.best_loss, state.epochs_since_best = loss, 0
            return False
        state.epochs_since_best += 1
        if state.epochs_since_best < self.est.n_iter_no_change:
            return False
        if state.rate_factor / PLATEAU_CUT < SMALLEST_CUT:
            return self.est.tol is not None
        state.epochs_since_best = 0
        state.rate_factor /= PLATEAU_CUT
        self.rate[...] = self.start * state.rate_factor
        return False


class Validation:
    """Records the loss on held-out rows; with early stopping ends training and brings back the best."""

    def __init__(
        self,
        est: Any,
        state: OptimizerState,
        rows: Any,
        objective: Any,
        reported: np.ndarray,
        plan: Any,
        *,
        stop: bool,
    ) -> None:
        self.est, self.state, self.rows, self.objective, self.reported = est, state, rows, objective, reported
        self.stops = stop and est.early_stopping
        self.coordinates = state.coordinates.record()
        self.slope = np.empty((state.theta.shape[0], state.theta.shape[1] - 1))
        constant = np.zeros_like(state.theta)
        if est.fit_intercept:
            constant[:, -1] = best_constant(est.loss, est.quantile, rows.y, rows.weight)
        self.gain = (est.tol or 0.0) * self.loss(constant)
        self.best, self.best_epoch = np.inf, 0
        self.kept: np.ndarray | None = None

    def loss(self, theta: np.ndarray) -> float:
        """Mean loss on the held-out rows."""
        mean_loss, balance = kernels().mean_loss, alike(len(theta))
        return float(mean_loss(self.rows, self.coordinates, theta, self.slope, self.objective, balance, 1))

    def __call__(self, done: int, outcome: Outcome) -> bool:
        value = self.loss(self.reported)
        outcome.validation.append(value)
        if not self.stops:
            return False
        if value < self.best:
            self.kept = self.state.stack.copy()
            if value < self.best - self.gain:
                self.best_epoch = done
            self.best = value
        return done - self.best_epoch >= self.est.n_iter_no_change

    def restore(self) -> None:
        """Bring back the parameters with the least held-out loss."""
        if self.kept is not None:
            self.state.stack[...] = self.kept
