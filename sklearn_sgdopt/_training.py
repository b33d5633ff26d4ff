"""The order of a training call: statistics, step size, epochs, outcome."""

import math
from functools import cache
from typing import Any

import numpy as np

from sklearn_sgdopt._full_batch import moments_pay, second_moments
from sklearn_sgdopt._large_batches import Run, pays_in_parts, run_in_parts
from sklearn_sgdopt._lazy import kernels
from sklearn_sgdopt._objective import SMOOTH_LOSSES, alike, loss_width, make_objective, robust_spread
from sklearn_sgdopt._optimizer_state import OptimizerState
from sklearn_sgdopt._plan import (
    MONITOR_ROWS,
    batch_rows,
    loss_of,
    make_plan,
    make_rule,
    rated_batch,
)
from sklearn_sgdopt._rows import feature_moments, is_sparse, sampling_stride, with_features
from sklearn_sgdopt._standardize import Coordinates
from sklearn_sgdopt._step_size import Curvature
from sklearn_sgdopt._validation import check_range, check_spread
from sklearn_sgdopt._watchers import Observer, Outcome, Plateau, Printer, Validation

SETTLING = 5  # steps on all rows that bring averages under an l1 penalty to exact zeros
LEAST_SHRUNK = 1024  # at least so many updates pass before all features of CSR rows are shrunk by l1
SWING = 2.0  # times the loss of its average from which momentum in a stream starts again
# A shuffle moves blocks of neighbouring rows and mixes the rows of 128 blocks.
NARROW, NARROW_BLOCK, BLOCK, WINDOW_BLOCKS = 32, 16, 8, 128
MOST_UINT32 = 2**32 - 1


def moments_for(est: Any, rows: Any, *, epochs: int, stream: bool) -> Any:
    """Second moments of the rows, where training is to run on them; else None."""
    # In standardised coordinates the full gradient of the intercept is rounding noise, which Adam
    # would amplify to full steps: second moments have it as an exact zero.
    gd = est.solver == "gd"
    exact = batch_rows(est, rows) == len(rows.y) and (gd or (est.standardize and not stream))
    squares = est.loss == "squared_error" and not is_sparse(rows)
    if stream and est.learning_rate == "auto":
        return None  # a single epoch, at a rate that `fit` does not have: a pass over the rows is cheapest
    # What `fit` does in many calls' epochs `partial_fit` must do, to the last bit, in each of them.
    plain = not est.standardize and est.learning_rate != "auto"
    if exact and squares and moments_pay(len(rows.y), rows.features, 1 if plain else epochs):
        return second_moments(rows)
    return None


def observe(
    est: Any, state: OptimizerState, rows: Any, moments: Any, *, stream: bool, labels: Any = None
) -> None:
    """Take the rows into the running statistics; move the state to the coordinates they give.

    ``labels`` are the names of the features, for the message about those whose squares overflow.
    """
    features, coordinates, curvature = state.features, state.coordinates, state.curvature
    if est.standardize:
        features = with_features(features, rows, moments)
        check_spread("X", features.variance, labels)
        centered = est.fit_intercept and not is_sparse(rows)
        coordinates = Coordinates.standard(features, centered=centered, intercept=est.fit_intercept)
    targets = state.targets.with_rows(rows.y, rows.weight)
    check_spread("y", targets.variance, None)
    check_range((rows.data if is_sparse(rows) else rows.X).dtype, targets.mean, targets.variance)
    if est.learning_rate == "auto":
        batch_size = batch_rows(est, rows)
        seen = Curvature.of(
            rows,
            coordinates,
            intercept=est.fit_intercept,
            batch_size=batch_size,
            ordered=batch_size < len(rows.y) and not est.shuffle,
            moments=moments,
        )
        if not math.isfinite(seen.mean + seen.largest):
            check_spread("X", feature_moments(rows).variance, labels)
        whole = rated_batch(est, batch_size, stream=stream)
        if rows.weight.size == 0:
            curvature = curvature.within(coordinates, intercept=est.fit_intercept)
        curvature = curvature.merged(seen, share=min(1.0, len(rows.y) / whole))
    if est.loss != "squared_error":
        seen_spread = robust_spread(rows.y, rows.weight)
        state.robust_spread = np.where(state.robust_spread > 0.0, state.robust_spread, seen_spread)
        state.largest_spread = np.maximum(state.largest_spread, seen_spread)
    state.features, state.targets, state.curvature = features, targets, curvature
    state.change_coordinates(coordinates)


def make_order(rows: int, features: int, random: np.ndarray) -> Any:
    """Return room for a random order of the rows, with blocks and windows fit for their width."""
    block_rows = NARROW_BLOCK if features <= NARROW else BLOCK
    index = np.uint32 if rows <= MOST_UINT32 else np.int64  # half the memory to go through
    return kernels().Order(
        rows=np.empty(rows, index),
        blocks=np.empty(-(-rows // block_rows), index),
        random=random,
        block_rows=block_rows,
        window_rows=block_rows * WINDOW_BLOCKS,
    )


@cache
def rows_as_they_are() -> Any:
    """Return the order in which rows come."""
    return make_order(0, 1, np.zeros(1, np.uint64))


def make_lazy(batch_size: int, features: int, *, shrunk_updates: int = 0) -> Any:
    """Return room for what the epochs on CSR rows keep as lazy products.

    With an l1 penalty it holds that many updates; then all features are brought up to date.
    """
    shrinking = shrunk_updates > 0
    return kernels().Lazy(
        pull=np.empty(batch_size),
        pairs=np.empty((features, 2)),
        squares=np.empty(features),
        reached=np.empty(features * shrinking, np.int64),
        idle=np.empty(features * shrinking, np.bool_),
        history=np.empty(((shrunk_updates + 1) * shrinking, 4)),
    )


@cache
def nothing_lazy() -> Any:
    """Return the work space of what does not run."""
    return make_lazy(0, 0)


def calm(state: OptimizerState, rows: Any, objective: Any) -> None:
    """Start momentum again from its average where that fits the rows of a stream far better.

    Curvature that changes from chunk to chunk in step with the velocity drives it like a swing; the average
    of the swing is at rest (O'Donoghue and Candes 2015, "Adaptive restart for accelerated gradient schemes").
    """
    stride = sampling_stride(rows, MONITOR_ROWS)
    now, rest = (
        loss_of(state, rows, objective, theta, alike(len(theta)), stride=stride)
        for theta in (state.theta, state.average)
    )
    if now > SWING * rest:
        state.theta[...] = state.average
        state.stack[1] = 0.0


def settle(est: Any, state: OptimizerState, rows: Any, objective: Any) -> None:
    """Bring the averages of a fit to exact zeros where the l1 penalty asks for them."""
    lipschitz = state.curvature.mean  # of the automatic rate
    if lipschitz == 0.0:
        return
    k = kernels()
    slope = np.empty((len(state.theta), rows.features))
    parameters = k.Parameters(*state.stack, slope, np.zeros(state.theta.shape))
    rate = 1.0 / (lipschitz + objective.l2)
    coordinates, order = state.coordinates.record(), rows_as_they_are()
    for _ in range(SETTLING):
        k.proximal_step(rows, coordinates, parameters, objective, order, int(est.fit_intercept), rate)


def make_run(
    est: Any,
    state: OptimizerState,
    rows: Any,
    objective: Any,
    rule: Any,
    plan: Any,
    *,
    moments: Any,
    trace: np.ndarray,
) -> Run:
    """Return the function that runs epochs: it takes room for losses and the number of epochs made."""
    k = kernels()
    total, features = len(rows.y), rows.features
    coordinates = state.coordinates.record()
    slope = state.theta[:, :-1] * coordinates.inverse_scale[:-1]
    parameters = k.Parameters(*state.stack, slope, np.zeros(state.theta.shape))
    saved = state.stack.copy()
    watch = np.array([np.inf, 0.0, 1.0])
    if moments is not None:

        def run_on_moments(losses: np.ndarray, done: int) -> tuple[int, int, int]:
            return k.train_on_moments(
                moments, coordinates, parameters, state.stack, saved, objective, rule, plan,
                state.t, losses, watch, done, trace,
            )  # fmt: skip

        return run_on_moments
    order = make_order(total, features, state.random) if plan.shuffle else rows_as_they_are()
    # Where only the coordinates of a batch change, the others are kept as lazy products.
    is_lazy = is_sparse(rows) and est.solver == "sgd" and rule.relaxation == 0.0
    lazy = nothing_lazy()
    if is_lazy:
        # Bringing all features up to date once in so many updates costs each update no more than one of them.
        updates = min(-(-total // plan.batch_size), max(features, LEAST_SHRUNK))
        lazy = make_lazy(plan.batch_size, features, shrunk_updates=updates if objective.l1 > 0.0 else 0)

    if pays_in_parts(rows, plan.batch_size, state.theta.shape) and not is_lazy:
        return run_in_parts(
            est.n_jobs,
            state,
            rows,
            coordinates,
            parameters,
            saved,
            objective,
            rule,
            plan,
            order,
            watch,
            trace,
        )

    def run_on_rows(losses: np.ndarray, done: int) -> tuple[int, int, int]:
        return k.train(
            rows, coordinates, parameters, state.stack, saved, objective, rule, plan,
            order, lazy, state.t, losses, watch, done, trace,
        )  # fmt: skip

    return run_on_rows


def train(
    est: Any,
    state: OptimizerState,
    rows: Any,
    *,
    epochs: int,
    stream: bool,
    moments: Any = None,
    validation: Any = None,
    observer: Observer | None = None,
    trace: np.ndarray | None = None,
) -> Outcome:
    """Run up to ``epochs`` epochs over the rows, changing ``state`` in place.

    ``stream`` says that the rows are one chunk of many; ``moments`` are what `moments_for` gave.
    ``validation`` are rows whose loss is recorded after each epoch. ``observer`` is called after each
    epoch and may stop the training. ``trace`` (updates + 1, k, d + 1) takes the start and the iterates
    after the first updates made.
    """
    if trace is None:
        trace = np.empty((0, *state.theta.shape))
    else:
        trace[state.t] = state.theta
    k = kernels()
    objective = make_objective(est, loss_width(est, state.robust_spread, rows.y.shape[1]))
    batch_size = batch_rows(est, rows)
    rule = make_rule(est, state, rows, objective, batch_size=batch_size, stream=stream, epochs=epochs)
    plan = make_plan(est, state, rows, objective, batch_size=batch_size, stream=stream)
    outcome = Outcome(rule.rate, plan.averaging)
    reported = state.average if plan.averaging else state.theta
    if stream and est.solver == "momentum" and est.learning_rate == "auto" and plan.averaging:
        calm(state, rows, objective)
    run = make_run(est, state, rows, objective, rule, plan, moments=moments, trace=trace)
    watchers: list[Observer] = []
    if validation is not None:
        watchers.append(Validation(est, state, validation, objective, reported, plan, stop=not stream))
    if est.schedule == "adaptive":
        watchers.append(Plateau(est, state, rule.rate, objective))
    if est.verbose:
        watchers.append(Printer())
    if observer is not None:
        watchers.append(observer)
    done = 0
    while done < epochs and outcome.status == k.EXHAUSTED:
        losses = np.empty(1 if watchers else epochs - done)
        count, state.t, outcome.status = run(losses, done)
        done += count
        outcome.losses.extend(losses[:count].tolist())
        if watchers and not plan.averaging:
            state.average[...] = state.theta  # what the watchers see is what would be reported
        stops = [watcher(done, outcome) for watcher in watchers]
        if any(stops) and outcome.status == k.EXHAUSTED:
            outcome.status = k.CONVERGED
    for watcher in watchers:
        if isinstance(watcher, Validation):
            watcher.restore()
    # With held-out rows what is reported is what they were told of.
    zeros = plan.averaging and objective.l1 > 0.0 and est.loss in SMOOTH_LOSSES and validation is None
    settles = zeros and not stream and est.learning_rate == "auto"
    state.reach = objective.l1 if zeros and not settles else 0.0
    if settles and outcome.status != k.DIVERGED:
        settle(est, state, rows, objective)
    if not plan.averaging:
        state.average[...] = state.theta
        state.averaged_since = state.t
    outcome.rate = rule.rate.copy()
    return outcome
