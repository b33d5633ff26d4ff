"""The order of a training call: observe, make the engine and its monitors, run epochs, tell the outcome."""

from typing import Any

import numpy as np

from sklearn_sgdopt import _kernels
from sklearn_sgdopt._engine import (
    LARGEST,
    ChunkEpochs,
    Descent,
    Epochs,
    MomentsEpochs,
    SampleEpochs,
    WholeEpochs,
)
from sklearn_sgdopt._monitors import Adaptive, HeldOut, Monitor, Outcome, Printer
from sklearn_sgdopt._observation import runs_on_moments
from sklearn_sgdopt._problem import Problem
from sklearn_sgdopt._samples import sampling_stride
from sklearn_sgdopt._settings import Settings
from sklearn_sgdopt._state import AVERAGE, SLOPE, State
from sklearn_sgdopt._statistics import EPS, TINY, Moments, SecondMoments
from sklearn_sgdopt._stopping import Patience
from sklearn_sgdopt._threads import Map
from sklearn_sgdopt._update_rules import MOST_EPOCHS

DIVERGED = 100.0  # times the loss of a model that knows nothing, or of the start, is divergence
FORGETTING = 4.0  # eta of polynomial-decay averages: the last fifth of the updates makes up most of one
SLOW = 2.0  # times the epochs that led to the best value: what is slow to come down is slow to show it
SETTLING = 5  # full-batch proximal steps that bring averages under an l1 penalty to exact zeros


def most_epochs(state: State, problem: Problem) -> int:
    """Return how many epochs training may take."""
    settings, samples = problem.settings, problem.samples
    if problem.stream:
        return 1
    if settings.stopping.epochs is not None:
        return settings.stopping.epochs
    rate = state.rates.rate if settings.rule.rate is None else settings.rule.rate
    is_white = state.coordinates.whitening is not None
    rate /= settings.target.slowness(state.width_spread)
    return settings.rule.epochs(
        rate, settings.target.loss, problem.batches, problem.total, samples.features, is_white=is_white
    )


def make_descent(state: State, problem: Problem, epochs: int, trace: np.ndarray | None) -> Descent:
    """Return what an engine is given."""
    settings, batches = problem.settings, problem.batches
    rule, loss, penalty = settings.rule, settings.target.loss, settings.target.penalty
    forced = rule.rate is not None
    averaging = settings.reports_average(stream=problem.stream)
    objective = settings.target.objective(state.width_spread)
    limit = LARGEST
    if forced or not problem.stream:
        limit = divergence_limit(state, problem, objective)
    is_white = state.coordinates.whitening is not None
    kernel_rule = rule.kernel_rule(
        state.rates,
        loss,
        is_white=is_white,
        stream=problem.stream,
        began=state.t,
        horizon=epochs * problem.updates,
        # In white coordinates an l2 penalty has a curvature of 2 at most; elsewhere it takes proximal steps.
        limit=0.5 if penalty.l2 > 0.0 and is_white else np.inf,
    )
    plan = _kernels.Plan(
        batches.size,
        nominal_batch=0 if forced else batches.nominal,
        averaged_since=state.averaged_since,
        fit_intercept=settings.frame.fit_intercept,
        averaging=averaging,
        shuffle=settings.shuffle and batches.size < problem.total,
        forgetting=FORGETTING,
        loss_limit=limit,
    )
    reported = state.buffers[AVERAGE if averaging else SLOPE]
    return Descent(state, objective, kernel_rule, plan, reported, averaging, trace, limit, forced)


def divergence_limit(state: State, problem: Problem, objective: Any) -> float:
    """Return the mean loss from which training has diverged.

    A chunk's loss at the start may itself have grown: there only a constant, the mean of y so far, tells what
    is large.
    """
    settings, samples = problem.settings, problem.samples
    center, stride = state.coordinates.center, sampling_stride(samples)
    constant = np.zeros_like(state.buffers[SLOPE])
    goes_on = problem.stream and state.t > 0
    if goes_on and state.moments.mass > 0.0:
        constant[:, -1] = state.moments.mean[samples.features :]
    elif settings.frame.fit_intercept:
        constant[:, -1] = settings.target.best_constant(*problem.targets)
    for model in [constant] if goes_on else [constant, state.buffers[SLOPE]]:
        losses = np.asarray(_kernels.mean_losses(samples, center, model, objective, stride))
        state.reference_loss = max(state.reference_loss, float(np.add.reduce(losses)) / len(losses))
    rounding = EPS * float(np.vdot(constant, constant)) / len(constant) + TINY
    growth = DIVERGED ** (settings.target.loss.degree / 2.0)  # in residuals the same
    return float(growth * (state.reference_loss + rounding))


def make_epochs(descent: Descent, problem: Problem, chunk: Moments | None, each: Map) -> Epochs:
    """Return the engine for the samples."""
    if chunk is not None and runs_on_moments(problem):
        return MomentsEpochs(descent, SecondMoments.of(chunk, problem.samples.features))
    chunks = problem.chunks
    if chunks is None:
        return SampleEpochs(descent, problem.samples, each)
    if chunks.engine is not None:
        engine: Epochs = chunks.engine(descent, problem.samples)
        return engine
    is_whole = problem.settings.rule.solver == "gd" and not chunks.is_one
    kind = WholeEpochs if is_whole else ChunkEpochs
    return kind(descent, chunks.passes, chunks.total, problem.samples, each)


def make_monitors(
    descent: Descent, problem: Problem, tasks: Monitor | None
) -> tuple[list[Monitor], HeldOut | None]:
    """Return what looks on, in the order in which it is asked, and the one that watches held-out samples."""
    settings, stopping = problem.settings, problem.settings.stopping
    monitors: list[Monitor] = []
    held_out = None
    if problem.held_out is not None:
        stops = stopping.early_stopping and not problem.stream
        patience = Patience(stopping.tol or 0.0, stopping.patience) if stops else None
        held_out = HeldOut(descent.state, problem.held_out, descent.objective, descent.reported, patience)
        monitors.append(held_out)
    if settings.rule.schedule == "adaptive":
        penalty = settings.target.penalty
        monitors.append(
            Adaptive(descent.state, descent.rule, penalty, tol=stopping.tol, epochs=stopping.patience)
        )
    if settings.verbose:
        monitors.append(Printer())
    if tasks is not None:
        monitors.append(tasks)
    return monitors, held_out


def watches(problem: Problem) -> bool:
    """Whether `tol` ends training; some schedules, held-out samples and streams end by themselves."""
    settings, stopping = problem.settings, problem.settings.stopping
    ends = settings.rule.schedule == "adaptive" or settings.rule.ends_at_zero(
        settings.target.loss, stream=problem.stream
    )
    return not (stopping.tol is None or ends or stopping.early_stopping or problem.stream)


def objectives(descent: Descent, settings: Settings, losses: np.ndarray) -> np.ndarray:
    """Return the objective of each output at the parameters reported."""
    coef = descent.state.coordinates.standardized(descent.reported)
    return np.asarray(losses + settings.target.penalty.values(coef))


def train(
    state: State,
    problem: Problem,
    chunk: Moments | None,
    *,
    each: Map,
    tasks: Monitor | None = None,
    trace: np.ndarray | None = None,
) -> tuple[Outcome, float]:
    """Run epochs until one of the monitors, `tol` or the horizon says stop; return the outcome and the rate.

    ``chunk`` holds the moments of the samples. ``tasks`` is told of each epoch. ``trace`` (updates + 1, k, d
    + 1) takes the start and the iterates after the first updates.
    """
    settings, epochs = problem.settings, most_epochs(state, problem)
    if trace is not None:
        trace[state.t] = state.buffers[SLOPE]
    descent = make_descent(state, problem, epochs, trace)
    engine = make_epochs(descent, problem, chunk, each)
    monitors, held_out = make_monitors(descent, problem, tasks)
    patience = None
    if watches(problem):
        tol = settings.stopping.tol or 0.0
        patience = Patience(tol, settings.stopping.patience, SLOW, tol**2 * state.reference_loss)
    outcome, done = Outcome(), 0
    look = settings.rule.epochs_of_inertia(problem.batches, problem.total)
    while done < epochs and not (outcome.stopped or outcome.diverged):
        until = done + 1 if monitors else min(epochs, look) if patience is not None else epochs
        outcome.losses.extend(engine.run(min(until - done, MOST_EPOCHS)))
        done = len(outcome.losses)
        outcome.diverged = engine.diverged
        if monitors and not descent.averaging:
            state.buffers[AVERAGE] = state.buffers[SLOPE]  # what monitors see is what would be reported
        wishes = [monitor(done, outcome) for monitor in monitors]  # each is asked
        outcome.stopped = any(wishes)
        if patience is not None and not outcome.diverged and done >= look:
            look = done + 1 + done // 10
            value = objectives(descent, settings, engine.losses())
            waited = patience.is_over(value, done - patience.done)
            outcome.stopped |= waited and bool(np.all(value <= 2.0 * patience.best))
    if held_out is not None:
        held_out.restore()
    finish(state, problem, engine, outcome)
    return outcome, descent.rule.rate


def finish(state: State, problem: Problem, engine: Epochs, outcome: Outcome) -> None:
    """Bring what is reported to its final form."""
    settings, penalty, descent = problem.settings, problem.settings.target.penalty, engine.descent
    # With held-out samples what is reported is what they were told of.
    zeros = (
        descent.averaging and penalty.l1 > 0.0 and settings.target.loss.is_smooth and problem.held_out is None
    )
    settles = zeros and not problem.stream and settings.rule.rate is None and state.curvature > 0.0
    state.reach = penalty.l1 if zeros and not settles else 0.0
    if settles and not outcome.diverged:
        final_proximal_steps(state, engine, settings)
    if not descent.averaging:
        state.buffers[AVERAGE] = state.buffers[SLOPE]
        state.averaged_since = state.age


def final_proximal_steps(state: State, engine: Epochs, settings: Settings) -> None:
    """Bring averages to the exact zeros of the l1 penalty, by full-batch proximal gradient steps."""
    penalty, at, average = settings.target.penalty, state.coordinates, state.buffers[AVERAGE]
    rate = 1.0 / (state.curvature + penalty.l2)
    for _ in range(SETTLING):
        step = engine.gradient() * at.scale
        coef = at.standardized(average)
        moved = penalty.proximal(coef - rate * (step[:, :-1] + penalty.l2 * coef), rate)
        average[:, :-1] = moved * at.scale[:-1]
        if settings.frame.fit_intercept:
            average[:, -1] -= rate * step[:, -1]
