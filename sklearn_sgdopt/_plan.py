"""How updates are made: the rule with its rate, and the plan of batches, averages and stops."""

from typing import Any

import numpy as np

from sklearn_sgdopt._lazy import kernels
from sklearn_sgdopt._objective import SMOOTH_LOSSES, alike, best_constant, weighted_quantile
from sklearn_sgdopt._optimizer_state import OptimizerState
from sklearn_sgdopt._rows import sampled_weight, sampling_stride
from sklearn_sgdopt._step_size import NO_SEARCH, automatic_epsilon, automatic_rate, line_search

GROWTH = 1e2  # a mean loss this many times that of the constant predictor, or of the start, diverges
BEYOND_MEASURE = 1e300
MONITOR_ROWS = 4096  # rows at least on which the reported parameters are watched
# The eta of polynomial-decay averaging: weights grow as its power, so that the last 1 / (eta + 1) of the
# updates make up most of an average. A chunk is a large batch: there is little noise to average away.
FORGETTING, GD_FORGETTING = 4.0, 10.0
MIN_UPDATES = 200  # before averages are old enough to be judged
MIN_ROWS_A_PARAMETER = 2400
MAX_EARLIEST_STOP = 300


def batch_rows(est: Any, rows: Any) -> int:
    """Rows in an update."""
    total = len(rows.y)
    return total if est.solver == "gd" else min(est.batch_size, total)


def rated_batch(est: Any, batch_size: int, *, stream: bool) -> int:
    """Rows of the batches that the automatic rate is made for; shorter ones count less in proportion.

    In a stream these are the rows of a full batch, even where a chunk is shorter: a velocity made by few
    rows would otherwise go on at the rate of many.
    """
    return int(est.batch_size) if stream and est.solver != "gd" else batch_size


def spread_of_targets(est: Any, state: OptimizerState) -> np.ndarray:
    """Return the scale of y that rates are in: its standard deviation, or a robust one for a robust loss.

    Where the intercept does not start at the mean of y, the way there counts in.
    """
    spread = state.targets.spread() if est.loss == "squared_error" else state.largest_spread
    return spread if est.standardize and est.fit_intercept else np.hypot(spread, state.targets.mean)


def loss_of(
    state: OptimizerState, rows: Any, objective: Any, theta: np.ndarray, balance: np.ndarray, *, stride: int
) -> float:
    """Return the mean loss on one row in ``stride``; each output counts ``balance`` times."""
    coordinates, slope = state.coordinates.record(), np.empty((len(theta), rows.features))
    return float(kernels().mean_loss(rows, coordinates, theta, slope, objective, balance, stride))


def losses_of_outputs(
    state: OptimizerState, rows: Any, objective: Any, theta: np.ndarray, *, stride: int
) -> np.ndarray:
    """Return the mean loss of each output on one row in ``stride``."""
    outputs = len(theta)
    each = [alike(1)] if outputs == 1 else outputs * np.eye(outputs)
    return np.array([loss_of(state, rows, objective, theta, one, stride=stride) for one in each])


def unit_of_rates(est: Any, state: OptimizerState, rows: Any, objective: Any) -> np.ndarray:
    """Return the spread of the targets, or half of that of the residuals at the start if that is more.

    Steps in units of y would take long to lead back from where a start, or a change of scale in a stream,
    has put the parameters.
    """
    spread = spread_of_targets(est, state)
    if est.solver != "adam" and est.loss in SMOOTH_LOSSES:
        return spread  # whose rates are in no unit of y
    stride = sampling_stride(rows, MONITOR_ROWS)
    if est.loss == "squared_error":
        size = np.sqrt(losses_of_outputs(state, rows, objective, state.theta, stride=stride))
    else:
        values = np.empty((-(-len(rows.y) // stride), len(state.theta)))
        slope = np.empty((len(state.theta), rows.features))
        kernels().residuals(rows, state.coordinates.record(), state.theta, stride, slope, values)
        size = 1.4826 * weighted_quantile(np.abs(values), sampled_weight(rows, stride), 0.5)
    return np.asarray(np.maximum(spread, 0.5 * size))


def make_rule(
    est: Any,
    state: OptimizerState,
    rows: Any,
    objective: Any,
    *,
    batch_size: int,
    stream: bool,
    epochs: int,
) -> Any:
    """Return the update rule with the learning rate in force."""
    k = kernels()
    total = len(rows.y)
    spread = unit_of_rates(est, state, rows, objective)
    epsilon = np.full(state.theta.shape, float(est.epsilon))
    search = NO_SEARCH
    if est.learning_rate != "auto":
        rate = np.full(spread.shape, float(est.learning_rate))
    else:
        exact = batch_size == total and not stream
        whole = rated_batch(est, batch_size, stream=stream)
        rated = batch_size if est.solver == "adam" else whole
        rate = automatic_rate(est, state.curvature, batch_size=rated, exact=exact, spread=spread)
        if batch_size == total == whole:
            search = line_search(est, state.curvature, batch_size=rated, exact=exact)
        if est.solver == "adam":
            inverse = state.coordinates.inverse_scale
            epsilon = automatic_epsilon(
                est, state.curvature, inverse, rate, batch_size=whole, exact=exact, spread=spread
            )
    code = k.NESTEROV if est.nesterov and est.solver == "momentum" else k.RULES[est.solver]
    return k.Rule(
        code=code,
        rate=rate * (state.rate_factor if est.schedule == "adaptive" else 1.0),
        momentum=float(est.momentum),
        beta_1=float(est.beta_1),
        beta_2=float(est.beta_2),
        epsilon=epsilon,
        schedule=k.SCHEDULES[est.schedule],
        power=float(est.power_t),
        began=float(state.t),
        horizon=float(epochs * -(-total // batch_size)),
        **search,
        line=state.line,
    )


def reports_average(est: Any, *, stream: bool) -> bool:
    """Whether averaged iterates are reported: where gradients are estimates, unless told otherwise."""
    if est.average != "auto":
        return bool(est.average)
    return est.solver != "gd" or stream or est.loss not in SMOOTH_LOSSES


def earliest_stop(rows: int, width: int, batch_size: int) -> int:
    """Epochs before which averages are too young to be judged.

    The variance of a polynomial-decay average after N rows is about ``2.8 width / N`` of the
    residual variance; a full batch has none, and needs only the updates.
    """
    updates = -(-MIN_UPDATES // -(-rows // batch_size))
    visits = 0 if batch_size == rows else -(-MIN_ROWS_A_PARAMETER * width // rows)
    return int(min(max(updates, visits), MAX_EARLIEST_STOP))


def make_plan(
    est: Any, state: OptimizerState, rows: Any, objective: Any, *, batch_size: int, stream: bool
) -> Any:
    """Return how rows are visited, what is averaged, and when to stop."""
    k = kernels()
    total, features = len(rows.y), rows.features
    averaging = reports_average(est, stream=stream)
    automatic = est.learning_rate == "auto"
    # Other schedules end by themselves.
    ends = est.schedule not in ("adaptive", "cosine")
    watched = not stream and est.tol is not None and not est.early_stopping and ends
    stride = sampling_stride(rows, MONITOR_ROWS)
    floor, limit, balance = 0.0, BEYOND_MEASURE, alike(len(state.theta))
    if watched or not automatic:
        floors, limit = reference_losses(est, state, rows, objective, stride=stride, stream=stream)
        floor = float(floors.mean())
        if len(floors) > 1:
            rounding = 1e-16 * state.targets.mean**2
            balance = np.divide(floor, floors, out=np.zeros_like(floors), where=floors > rounding)
    return k.Plan(
        batch_size=batch_size,
        whole_batch=rated_batch(est, batch_size, stream=stream) if automatic else 0,
        fit_intercept=bool(est.fit_intercept),
        shuffle=bool(est.shuffle) and batch_size < total,
        averaging=averaging,
        averaged_since=state.averaged_since,
        forgetting=GD_FORGETTING if est.solver == "gd" else FORGETTING,
        monitor_stride=stride,
        tolerance=est.tol * floor if watched else -1.0,
        patience=est.n_iter_no_change,
        earliest_stop=earliest_stop(total, features + 1, batch_size) if averaging else 0,
        # The automatic rate cannot diverge by its bounds: only a loss beyond all measure is refused.
        loss_limit=BEYOND_MEASURE if automatic else limit,
        forced=not automatic,
        balance=balance,
    )


def reference_losses(
    est: Any, state: OptimizerState, rows: Any, objective: Any, *, stride: int, stream: bool
) -> tuple[np.ndarray, float]:
    """Return each output's loss of the best constant, and the mean from which training has diverged."""
    constant = np.zeros_like(state.theta)
    if est.fit_intercept:
        constant[:, -1] = best_constant(est.loss, est.quantile, rows.y, rows.weight)
    floors = losses_of_outputs(state, rows, objective, constant, stride=stride)
    start = state.theta
    if stream and state.t > 0:
        # The loss at the start of a chunk may itself have grown: only that of a model that knows nothing
        # but the mean of y tells what is large.
        start = constant
        start[:, -1] = state.targets.mean * est.fit_intercept
    starts = losses_of_outputs(state, rows, objective, start, stride=stride)
    state.reference_loss = max(state.reference_loss, float(floors.mean()), float(starts.mean()))
    rounding = 1e-16 * float(np.mean(state.targets.mean**2)) + np.finfo(np.float64).tiny
    growth = GROWTH if "squared" in est.loss else np.sqrt(GROWTH)  # in residuals the same
    return floors, growth * (state.reference_loss + rounding)
