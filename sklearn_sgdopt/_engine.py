"""Engines that run epochs: on samples in memory, or on their second moments. Stopping is not theirs."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np

from sklearn_sgdopt import _kernels
from sklearn_sgdopt._kernels import Samples
from sklearn_sgdopt._samples import sampling_stride
from sklearn_sgdopt._state import SLOPE, State
from sklearn_sgdopt._statistics import SecondMoments
from sklearn_sgdopt._threads import Map

LARGEST = float(np.finfo(np.float64).max)


def finite(loss: float) -> float:
    """Return the loss, or the largest number for one beyond all numbers."""
    return loss if -LARGEST <= loss <= LARGEST else LARGEST


class Epochs(Protocol):
    """Runs epochs that change a state."""

    descent: "Descent"
    diverged: bool

    def run(self, epochs: int) -> list[float]:
        """Make up to so many epochs; return the mean loss that each met. One that diverges is undone."""

    def losses(self) -> np.ndarray:
        """Return the mean loss (k,) of each output at the parameters reported."""

    def gradient(self) -> np.ndarray:
        """Return the gradient (k, d + 1) at the parameters reported, in centred data units."""


class Descent(NamedTuple):
    """What every engine is given, as the kernels take it."""

    state: State
    objective: Any
    rule: Any
    plan: Any
    reported: np.ndarray
    averaging: bool
    trace: np.ndarray | None
    loss_limit: float
    is_forced: bool


class SampleEpochs:
    """Epochs over samples in memory."""

    def __init__(self, descent: Descent, samples: Samples, each: Map) -> None:
        self.descent, self.samples, self.diverged = descent, samples, False
        state = descent.state
        self._saved = np.empty_like(state.buffers)
        self._stride = sampling_stride(samples)
        self._kernel = _kernels.SampleEngine(
            samples,
            state.coordinates.record(),
            descent.objective,
            descent.rule,
            descent.plan,
            state.buffers,
            state.root,
            state.random,
            state.t,
            state.age,
            descent.trace,
            each,
        )

    def run(self, epochs: int) -> list[float]:
        """Make up to so many epochs."""
        losses: list[float] = []
        state, limit, kernel = self.descent.state, self.descent.loss_limit, self._kernel
        while len(losses) < epochs and not self.diverged:
            np.copyto(self._saved, state.buffers)
            loss = kernel.run()
            self.diverged = kernel.diverged
            if self.descent.is_forced and not self.diverged:  # the last update is judged as well
                after = kernel.last_batch_loss()
                self.diverged = not after <= limit
                loss = after if self.diverged else loss
            slope = state.buffers[SLOPE]
            if self.diverged or not (np.isfinite(np.vdot(slope, slope)) or np.isfinite(slope).all()):
                self.diverged = True
                np.copyto(state.buffers, self._saved)
            else:
                state.t, state.age = kernel.t, kernel.age
            losses.append(finite(loss))
        return losses

    def losses(self) -> np.ndarray:
        """Return the losses of a part of the samples, always the same."""
        d = self.descent
        return np.asarray(
            _kernels.mean_losses(
                self.samples, d.state.coordinates.center, d.reported, d.objective, self._stride
            )
        )

    def gradient(self) -> np.ndarray:
        """Return that of all samples."""
        d = self.descent
        return np.asarray(
            _kernels.whole_gradient(self.samples, d.state.coordinates.center, d.reported, d.objective)
        )


class ChunkEpochs:
    """Epochs over chunks: each is a pass that makes the updates of one chunk after another.

    Parameters
    ----------
    descent : Descent
        What every engine is given.
    passes : iterable of Samples
        Each iteration is a pass.
    total : int
        Number of samples.
    looked_at : Samples
        Part of them, on which reported parameters are looked at.
    each : callable
        Maps in order.
    """

    def __init__(
        self, descent: Descent, passes: Iterable[Samples], total: int, looked_at: Samples, each: Map
    ) -> None:
        self.descent, self.passes, self.total, self.each, self.diverged = descent, passes, total, each, False
        self._looked_at = looked_at
        self._coordinates = descent.state.coordinates.record()

    def run(self, epochs: int) -> list[float]:
        """Make up to so many epochs."""
        losses: list[float] = []
        state = self.descent.state
        while len(losses) < epochs and not self.diverged:
            saved = state.buffers.copy()
            t, age, loss = self.epoch()
            slope = state.buffers[SLOPE]
            if self.diverged or not np.isfinite(np.vdot(slope, slope)):
                self.diverged = True
                np.copyto(state.buffers, saved)
            else:
                state.t, state.age = t, age
            losses.append(loss)
        return losses

    def epoch(self) -> tuple[int, float, float]:
        """Make an epoch; return the updates and the age after it, and the mean loss met."""
        d, kernel, part, loss = self.descent, None, 0.0, 0.0
        t, age = d.state.t, d.state.age
        for samples, part in self.parts():
            d.plan.loss_limit = (d.loss_limit - loss) / part
            kernel = self._kernel(samples, t, age)
            loss += part * kernel.run()
            t, age, self.diverged = kernel.t, kernel.age, kernel.diverged
            if self.diverged:
                return t, age, loss
        if d.is_forced and kernel is not None:  # the last update is judged as well
            after = part * kernel.last_batch_loss()
            self.diverged = not after <= d.loss_limit
            loss = after if self.diverged else loss
        return t, age, loss

    def _kernel(self, samples: Samples, t: int, age: float) -> Any:
        d = self.descent
        return _kernels.SampleEngine(
            samples,
            self._coordinates,
            d.objective,
            d.rule,
            d.plan,
            d.state.buffers,
            d.state.root,
            d.state.random,
            t,
            age,
            None,
            self.each,
        )

    def parts(self) -> Iterable[tuple[Samples, float]]:
        """Make a pass; yield each chunk with its part of all samples."""
        seen = 0
        for samples in self.passes:
            seen += samples.total
            yield samples, samples.total / self.total
        if seen != self.total:
            raise ValueError(
                f"chunks gave {seen} samples with a weight in this pass, and {self.total} in the "
                "first: each pass "
                "must give all samples."
            )

    def losses(self) -> np.ndarray:
        """Return the losses of the samples at hand."""
        d, stride = self.descent, sampling_stride(self._looked_at)
        center = d.state.coordinates.center
        return np.asarray(_kernels.mean_losses(self._looked_at, center, d.reported, d.objective, stride))

    def gradient(self) -> np.ndarray:
        """Return that of all samples, by a pass."""
        return self.sums(self.descent.reported)[0]

    def sums(self, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return gradients, losses and roots of residuals of all samples at ``slope``, by a pass."""
        d = self.descent
        gradient, losses, roots = np.zeros_like(slope), np.zeros(len(slope)), np.zeros(len(slope))
        for samples, part in self.parts():
            found = _kernels.whole_sums(samples, d.state.coordinates.center, slope, d.objective)
            gradient += part * found[0]
            losses += part * found[1]
            roots += part * found[2]
        return gradient, losses, roots


class WholeEpochs(ChunkEpochs):
    """Epochs of "gd" over chunks: a pass is one update, along the sum of their gradients."""

    def epoch(self) -> tuple[int, float, float]:
        """Make an update."""
        d, state = self.descent, self.descent.state
        gradient, losses, roots = self.sums(state.buffers[SLOPE])
        loss = float(losses.mean())
        self.diverged = not loss <= d.loss_limit
        kernel = _kernels.GradientEngine(
            self._coordinates, d.objective, d.rule, d.plan, state.buffers, state.root, state.t, state.age
        )
        if not self.diverged:
            kernel.update(gradient, roots)
        return kernel.t, kernel.age, loss


class MomentsEpochs:
    """Epochs of descent on all samples, from their second moments."""

    def __init__(self, descent: Descent, moments: SecondMoments) -> None:
        self.descent, self.diverged, self._moments = descent, False, moments
        state = descent.state
        self._kernel = _kernels.MomentsEngine(
            moments,
            state.coordinates.record(),
            descent.objective,
            descent.rule,
            descent.plan,
            state.buffers,
            state.root,
            state.t,
            state.age,
            descent.trace,
        )

    def run(self, epochs: int) -> list[float]:
        """Make up to so many epochs; the last update is judged as well."""
        losses = self._kernel.run(epochs)
        state = self.descent.state
        state.t, state.age, self.diverged = self._kernel.t, self._kernel.age, self._kernel.diverged
        return list(map(finite, losses.tolist()))

    def losses(self) -> np.ndarray:
        """Return the losses of all samples."""
        return np.asarray(self._kernel.losses(self.descent.reported))

    def gradient(self) -> np.ndarray:
        """Return that of all samples."""
        slope, m = self.descent.reported, self._moments
        shift = m.mean_x - self.descent.state.coordinates.center
        residual = slope[:, -1] + slope[:, :-1] @ shift - m.mean_y
        of_slopes = slope[:, :-1] @ m.covariance - m.cross + np.multiply.outer(residual, shift)
        return np.asarray(2.0 * np.column_stack([of_slopes, residual]))
