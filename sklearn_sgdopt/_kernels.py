"""Every compiled loop of the package: losses, update rules, epochs over rows.

All jitted functions stand in this one file, because Numba's on-disk cache watches only the
file of the function that is called: a callee edited in another file would go on running in its
old version. The callers allocate every output and validate every input; nothing is checked here.

Shapes: ``X`` is ``(n, d)``, ``y`` is ``(n, k)`` float64, ``weight`` is ``(n,)`` or empty for
"all ones". Parameters are kept as ``theta`` of shape ``(k, d + 1)``, the intercept in the last
column, in the coordinates ``(x - center) * inverse_scale``.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

# Without "nnan" and "ninf": with them the compiler may assume that no NaN exists, and the
# checks for divergence would be compiled away.
FAST_MATH = {"reassoc", "contract", "arcp", "nsz"}

# Integer codes, because a jitted function passed as an argument is compiled anew in each process.
SGD, MOMENTUM, NESTEROV, ADAM = range(4)
SQUARED, HUBER, INSENSITIVE, SQUARED_INSENSITIVE, QUANTILE = range(5)
CONSTANT, INVSCALING, COSINE = range(3)

RULES = {"gd": SGD, "sgd": SGD, "momentum": MOMENTUM, "adam": ADAM}
LOSSES = {
    "squared_error": SQUARED,
    "huber": HUBER,
    "epsilon_insensitive": INSENSITIVE,
    "squared_epsilon_insensitive": SQUARED_INSENSITIVE,
    "quantile": QUANTILE,
}
# "adaptive" is a constant rate that the driver of the epochs cuts on a plateau.
SCHEDULES = {"constant": CONSTANT, "invscaling": INVSCALING, "cosine": COSINE, "adaptive": CONSTANT}

BLOCK_VALUES = 8192  # numbers of X in a block that is read twice: 64 KiB
LEAST_POWER_ITERATIONS, MOST_POWER_ITERATIONS = 8, 40
NEAR_ROWS, WIDE = 16, 64  # see `prefetch_ahead`
# Below these, scalars that stand for d products are multiplied out. The average of a sparse epoch is a
# difference of terms that grow as its scale falls: it would lose their digits.
LEAST_SCALE, LEAST_PAST = 1e-3, 1e-30
TINY, EPS = np.finfo(np.float64).tiny, np.finfo(np.float64).eps
LEAST_CURVATURE = np.sqrt(EPS)  # part of the steepest that is the least a search finds
STEADY = 2000  # updates in which rates are rounded, see `fill_rates`
ROUNDING = 1e-12  # part of the largest gradient so far below which one is rounding
INTERCEPT, NORM, PEAK, SQUARES = range(4)  # rows of the line searched, see `fill_directions`
# The constants of SplitMix64, see `random_bits`.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MULTIPLIERS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)
HALF, LOW_HALF = np.uint64(32), np.uint64(0xFFFFFFFF)
ONE, TWO = np.uint64(1), np.uint64(2)
EXHAUSTED, CONVERGED, DIVERGED = range(3)  # how a run of epochs ended
TOTAL, PAST, NEW, DRIFT = range(4)  # columns of the history of updates, see `shrunk`


COMPILED = not numba.config.DISABLE_JIT  # type: ignore[attr-defined]  # else nothing can prefetch


def jit(function: Any) -> Any:
    """Compile with the on-disk cache, or without it where no folder can be written."""
    options: Any = {
        "fastmath": FAST_MATH,
        "nogil": True,
        "error_model": "numpy",
        "forceinline": True,
        # No kernel allocates, and counting references to the arrays of a batch costs as much as
        # the arithmetic of a batch of one row. The option is Numba's, though undocumented.
        "_nrt": False,
    }
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # "no locator available": nowhere to keep a cache
        return numba.njit(**options)(function)


def __getattr__(name: str) -> Any:
    """Stand in for a record that another version of this file had.

    Numba unpickles the index of its cache, and so the records in it, before it sees that the index is
    out of date.
    """
    if name[:1].isupper() and name[1:2].islower():
        return type(name, (tuple,), {})
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# The records that the compiled functions take stand in this file too, as changing one must renew the cache.


class Rows(NamedTuple):
    """What an epoch reads. ``X`` is used where ``indptr`` is empty, the CSR arrays otherwise."""

    X: np.ndarray
    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    features: int
    y: np.ndarray
    weight: np.ndarray
    mean_weight: float


class Coordinates(NamedTuple):
    """The change of variables ``(x - center) * inverse_scale``; a last scale of 1 for the intercept."""

    center: np.ndarray
    inverse_scale: np.ndarray


class Parameters(NamedTuple):
    """What an update changes, each ``(k, d + 1)``, and two work arrays of that shape."""

    theta: np.ndarray
    first: np.ndarray
    second: np.ndarray
    average: np.ndarray
    slope: np.ndarray
    gradient: np.ndarray


class Objective(NamedTuple):
    """Loss code, its per-output width, its quantile, and the two penalties on coefficients."""

    loss: int
    delta: np.ndarray
    quantile: float
    l1: float
    l2: float


class Rule(NamedTuple):
    """Update rule with the lecture's symbols; ``rate`` (k,) and ``epsilon`` (k, d + 1) may differ.

    Where ``relaxation`` is not 0, each update is on all rows and finds its own ``rate``, see `fill_rates`:
    ``steepest`` bounds the curvature along a gradient, ``noise`` is added to it, ``octave`` tells how it is
    rounded, and ``line`` (4, k) holds what a search works on.
    """

    code: int
    rate: np.ndarray
    momentum: float
    beta_1: float
    beta_2: float
    epsilon: np.ndarray
    schedule: int
    power: float
    began: float
    horizon: float
    relaxation: float
    steepest: float
    noise: float
    octave: float
    line: np.ndarray


class Moments(NamedTuple):
    """Weighted first and second moments of the rows; covariances are about the means."""

    mean_x: np.ndarray
    mean_y: np.ndarray
    covariance: np.ndarray
    cross: np.ndarray
    variance_y: np.ndarray


class Order(NamedTuple):
    """The order in which rows are visited, see `shuffle_rows`; empty arrays for the order they have.

    ``rows`` and ``blocks`` are of 32 bits where that is enough for all rows. ``random`` is the state of the
    random numbers, which goes on from epoch to epoch.
    """

    rows: np.ndarray
    blocks: np.ndarray
    random: np.ndarray
    block_rows: int
    window_rows: int


class Lazy(NamedTuple):
    """Work space of `sparse_sgd_epoch`: ``pull`` (batch size,), ``pairs`` (d, 2), ``squares`` (d,).

    With an l1 penalty also ``reached`` (d,), the update up to which a feature has been shrunk, ``idle`` (d,),
    whether it and its average were 0 then, and ``history`` (updates + 1, 4), see `shrunk`. Empty elsewhere.
    """

    pull: np.ndarray
    pairs: np.ndarray
    squares: np.ndarray
    reached: np.ndarray
    idle: np.ndarray
    history: np.ndarray


class Plan(NamedTuple):
    """How rows are visited and when to stop.

    A batch of fewer rows than ``whole_batch`` counts less in proportion; 0 lets all batches count alike.
    What `tol` watches is the mean over outputs of ``balance`` times their losses. ``forced`` says that the
    rate was given, and may be too high.
    """

    batch_size: int
    whole_batch: int
    fit_intercept: bool
    shuffle: bool
    averaging: bool
    averaged_since: int
    forgetting: float
    monitor_stride: int
    tolerance: float
    patience: int
    earliest_stop: int
    loss_limit: float
    forced: bool
    balance: np.ndarray


# --------------------------------------------------------------------------------------------
# Losses


@jit
def point_loss(loss, residual, delta, quantile):
    """Loss of one residual ``prediction - target``, and its derivative in the prediction."""
    size = abs(residual)
    if loss == SQUARED or (loss == HUBER and size <= delta):
        return residual * residual, 2.0 * residual
    sign = 1.0 if residual > 0.0 else -1.0
    if loss == HUBER:
        return 2.0 * delta * size - delta * delta, 2.0 * delta * sign
    if loss == QUANTILE:
        if residual == 0.0:
            return 0.0, 0.0
        slope = 1.0 - quantile if residual > 0.0 else -quantile
        return slope * residual, slope
    excess = size - delta
    if excess <= 0.0:
        return 0.0, 0.0
    if loss == INSENSITIVE:
        return excess, sign
    return excess * excess, 2.0 * excess * sign


# --------------------------------------------------------------------------------------------
# Update rules


@jit
def update(rule, theta, gradient, first, second, rate, momentum, beta_1, beta_2, epsilon, bias_1, bias_2):
    """One coordinate's step by the lecture's formulas: returns theta, first, second."""
    if rule == ADAM:
        first = beta_1 * first + (1.0 - beta_1) * gradient
        second = beta_2 * second + (1.0 - beta_2) * gradient * gradient
        return theta - rate * (first * bias_1) / np.sqrt(second * bias_2 + epsilon), first, second
    if rule == SGD:
        return theta - rate * gradient, first, second
    first = momentum * first + gradient
    if rule == NESTEROV:
        return theta - rate * (gradient + momentum * first), first, second
    return theta - rate * first, first, second


@jit
def bias_correction(beta, t):
    """Return ``1 / (1 - beta ** t)``, which is 1 to rounding once ``beta ** t < exp(-40)``."""
    if t * (1.0 - beta) > 40.0:
        return 1.0
    return 1.0 / (1.0 - beta**t)


@jit
def decay(rule, t):
    """Factor of the learning rate at update ``t`` (from 1)."""
    if rule.schedule == INVSCALING:
        return t**-rule.power
    if rule.schedule == COSINE:
        return 0.5 * (1.0 + np.cos(np.pi * min(1.0, (t - 1.0 - rule.began) / rule.horizon)))
    return 1.0


@jit
def fill_epsilon(inverse, columns, shared, share, size, least, unit, epsilon):
    """Fill in Adam's epsilon (k, d + 1), the square of ``size`` (k,) times curvature.

    That of a feature is ``share`` of its largest in a row (2 for the intercept), and at least ``shared``.
    Epsilon is no less than ``least`` in squares of ``unit`` (k,), where that is not 0.
    """
    outputs, width = epsilon.shape
    for o in range(outputs):
        floor = least * unit[o] * unit[o] if unit[o] > 0.0 else least
        for j in range(width):
            column = columns[j] if j < width - 1 else 2.0
            root = size[o] * max(shared, inverse[j] * inverse[j] * column * share)
            epsilon[o, j] = max(floor, root * root)


@jit
def soft_threshold(value, width):
    """Proximal map of ``width * |value|``."""
    if value > width:
        return value - width
    if value < -width:
        return value + width
    return 0.0


@jit
def complete_gradient(parameters, coordinates, objective, plan, factor, share):
    """Add the gradient of the l2 penalty to that of the loss; without an intercept, take its part out.

    ``parameters.gradient`` holds sums over the batch in centred data units; ``factor`` turns
    them into a mean. ``share`` is what the batch counts for, 1 unless it is short.
    """
    theta, gradient, scale = parameters.theta, parameters.gradient, coordinates.inverse_scale
    outputs, features = theta.shape[0], theta.shape[1] - 1
    for o in range(outputs):
        if not plan.fit_intercept:
            gradient[o, features] = 0.0
        if objective.l2 > 0.0:
            for j in range(features):
                if scale[j] > 0.0:
                    gradient[o, j] += share * objective.l2 / (factor * scale[j]) * theta[o, j]


@jit
def apply_update(parameters, coordinates, objective, rule, plan, factor, share, t):
    """Move all parameters once: rule, proximal step, average.

    The gradient is what `complete_gradient` leaves. It is left at zero for the next batch.
    """
    theta, first, second, average, slope, gradient = parameters
    scale = coordinates.inverse_scale
    outputs, width = theta.shape
    features = width - 1
    bias_1 = bias_2 = 1.0
    if rule.code == ADAM:
        bias_1, bias_2 = bias_correction(rule.beta_1, t), bias_correction(rule.beta_2, t)
    damping = decay(rule, t)
    forget = (plan.forgetting + 1.0) / (t - plan.averaged_since + plan.forgetting)
    for o in range(outputs):
        rate = rule.rate[o] * damping
        # One loop for each number of moments: an array that a rule does not use is not touched.
        if rule.code == SGD:
            for j in range(width):
                g = gradient[o, j] * (factor * scale[j])
                gradient[o, j] = 0.0
                theta[o, j], _, _ = update(SGD, theta[o, j], g, 0.0, 0.0, rate, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0)
        elif rule.code == ADAM:
            for j in range(width):
                g = gradient[o, j] * (factor * scale[j])
                gradient[o, j] = 0.0
                theta[o, j], first[o, j], second[o, j] = update(
                    ADAM, theta[o, j], g, first[o, j], second[o, j], rate, 0.0,
                    rule.beta_1, rule.beta_2, rule.epsilon[o, j], bias_1, bias_2,
                )  # fmt: skip
        else:
            for j in range(width):
                g = gradient[o, j] * (factor * scale[j])
                gradient[o, j] = 0.0
                theta[o, j], first[o, j], _ = update(
                    rule.code, theta[o, j], g, first[o, j], 0.0, rate, rule.momentum, 0.0, 0.0, 1.0, 1.0, 1.0
                )
        if objective.l1 > 0.0:
            for j in range(features):
                reach = rate
                if rule.code == ADAM:
                    reach = rate / np.sqrt(second[o, j] * bias_2 + rule.epsilon[o, j])
                elif rule.code != SGD:
                    reach = rate / (1.0 - rule.momentum)
                theta[o, j] = soft_threshold(theta[o, j], share * objective.l1 * reach)
        for j in range(features):
            slope[o, j] = theta[o, j] * scale[j]
        if plan.averaging:
            for j in range(width):
                average[o, j] += forget * (theta[o, j] - average[o, j])


# --------------------------------------------------------------------------------------------
# Reading rows


@intrinsic
def _prefetch(context, array, index):
    """Ask for the cache line of element ``index`` of a C-contiguous array, without waiting for it."""

    def code(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte = ir.IntType(8).as_pointer()
        word = ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, word, word, word]), "llvm.prefetch.p0"
        )
        address = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        builder.call(function, [address, word(0), word(2), word(1)])  # read, keep in L2, data
        return context.get_dummy_value()

    return types.void(array, types.intp), code


@intrinsic
def _in_a_line(context, array):
    """Elements in a cache line of 64 bytes: a constant, where each row would divide by ``itemsize``."""

    def code(context, builder, signature, arguments):
        return context.get_constant(types.intp, 512 // array.dtype.bitwidth)

    return types.intp(array), code


@jit
def prefetch_one(array, place):
    """Ask for one element of the flattened array."""
    if COMPILED:
        _prefetch(array, place)


@jit
def prefetch(array, start, stop):
    """Ask for elements ``start`` to ``stop`` of the flattened array, a cache line at a time."""
    if COMPILED and start < stop:
        for j in range(start, stop, _in_a_line(array)):
            _prefetch(array, j)
        _prefetch(array, stop - 1)


@jit
def random_bits(state):
    """Return 64 random bits of a state that grows by `GOLDEN`, by SplitMix64 (Steele, Lea and Flood 2014)."""
    z = (state ^ (state >> SHIFTS[0])) * MULTIPLIERS[0]
    z = (z ^ (z >> SHIFTS[1])) * MULTIPLIERS[1]
    return z ^ (z >> SHIFTS[2])


@jit
def swap_below(array, i, bits):
    """Swap element i with one of 0 to i, chosen by 32 random bits."""
    j = (bits * (i + ONE)) >> HALF
    array[i], array[j] = array[j], array[i]


@jit
def shuffle(array, state):
    """Shuffle an array uniformly (Fisher and Yates), two swaps for each draw."""
    # Unsigned, so that the compiled loop need not ask whether an index counts from the end.
    i = np.uint64(array.shape[0])
    seed = state[0]
    while i > ONE:
        seed += GOLDEN
        bits = random_bits(seed)
        swap_below(array, i - ONE, bits >> HALF)
        if i > TWO:
            swap_below(array, i - TWO, bits & LOW_HALF)
        i -= min(i, TWO)
    state[0] = seed


@jit
def shuffle_rows(order):
    """Fill ``order.rows`` with a random permutation that keeps locality.

    Blocks of neighbouring rows are put in uniformly random order; the rows of each window of at least 128
    blocks are then shuffled uniformly. A batch so draws from 128 or more random places, while memory is
    read a few neighbouring rows at a time. It depends on the number of rows and features only: dense or
    sparse, float32 or float64 rows are visited in the same order.
    """
    rows, blocks = order.rows, order.blocks
    for i in range(blocks.shape[0]):
        blocks[i] = i
    shuffle(blocks, order.random)
    end = 0
    window_start = 0
    for position in range(blocks.shape[0]):
        first = blocks[position] * order.block_rows
        block = rows[end : end + min(order.block_rows, rows.shape[0] - first)]
        for i in range(block.shape[0]):
            block[i] = first + i
        end += block.shape[0]
        left = rows.shape[0] - end
        if left == 0 or (end - window_start >= order.window_rows and left >= order.window_rows):
            shuffle(rows[window_start:end], order.random)
            window_start = end


@jit
def row_at(order, position):
    """Return the row that is visited at ``position``."""
    return position if order.rows.shape[0] == 0 else order.rows[position]


@jit
def prefetch_ahead(rows, order, position, count):
    """Ask for the rows that come `NEAR_ROWS` after those at ``position`` to ``position + count``.

    Their neighbours are asked for soon before or after: memory is read at nearly the speed of rows in order.
    Nobody asks for the very last ``count - 1``, nor for narrow rows in order: the processor sees what comes.
    """
    in_order = order.rows.shape[0] == 0
    if position + NEAR_ROWS + count > rows.y.shape[0] or (in_order and rows.features < WIDE):
        return
    for ahead in range(position + NEAR_ROWS, position + NEAR_ROWS + count):
        i = row_at(order, ahead)
        prefetch_one(rows.y, i * rows.y.shape[1])
        if rows.indptr.shape[0] == 0:
            prefetch(rows.X, i * rows.features, (i + 1) * rows.features)
        else:
            prefetch(rows.data, rows.indptr[i], rows.indptr[i + 1])
            prefetch(rows.indices, rows.indptr[i], rows.indptr[i + 1])


@jit
def row_product(rows, coordinates, i, slope, o):
    """Product of the centred row i with ``slope[o]``."""
    z = 0.0
    if rows.indptr.shape[0] == 0:
        for j in range(rows.features):
            z += (rows.X[i, j] - coordinates.center[j]) * slope[o, j]
    else:
        first, last = rows.indptr[i], rows.indptr[i + 1]
        data, indices = rows.data[first:last], rows.indices[first:last]
        for q in range(data.shape[0]):
            z += data[q] * slope[o, indices[q]]
    return z


@jit
def add_row(rows, coordinates, i, factor, target, o):
    """Add ``factor`` times the centred row i to ``target[o]``."""
    if rows.indptr.shape[0] == 0:
        for j in range(rows.features):
            target[o, j] += factor * (rows.X[i, j] - coordinates.center[j])
    else:
        first, last = rows.indptr[i], rows.indptr[i + 1]
        data, indices = rows.data[first:last], rows.indices[first:last]
        for q in range(data.shape[0]):
            target[o, indices[q]] += factor * data[q]


@jit
def weighted_loss(rows, objective, i, o, prediction):
    """Loss of row i, output o, and its derivative in the prediction, both times the weight."""
    s = rows.weight[i] if rows.weight.shape[0] > 0 else 1.0
    value, g = point_loss(objective.loss, prediction - rows.y[i, o], objective.delta[o], objective.quantile)
    return s * value, s * g


@jit
def four_products(rows, coordinates, i_0, i_1, i_2, i_3, slope):
    """Products of four centred dense rows with ``slope``: independent sums hide the latency of additions."""
    center = coordinates.center
    x_0, x_1, x_2, x_3 = rows.X[i_0], rows.X[i_1], rows.X[i_2], rows.X[i_3]
    z_0 = z_1 = z_2 = z_3 = 0.0
    for j in range(rows.features):
        z_0 += (x_0[j] - center[j]) * slope[j]
        z_1 += (x_1[j] - center[j]) * slope[j]
        z_2 += (x_2[j] - center[j]) * slope[j]
        z_3 += (x_3[j] - center[j]) * slope[j]
    return z_0, z_1, z_2, z_3


@jit
def four_losses(rows, objective, o, i_0, i_1, i_2, i_3, z_0, z_1, z_2, z_3):
    """Sum of the losses of four rows with their predictions, and the four derivatives, times the weights."""
    if objective.loss == SQUARED and rows.weight.shape[0] == 0:  # without a question asked for each row
        r_0, r_1 = z_0 - rows.y[i_0, o], z_1 - rows.y[i_1, o]
        r_2, r_3 = z_2 - rows.y[i_2, o], z_3 - rows.y[i_3, o]
        loss = (r_0 * r_0 + r_1 * r_1) + (r_2 * r_2 + r_3 * r_3)
        return loss, 2.0 * r_0, 2.0 * r_1, 2.0 * r_2, 2.0 * r_3
    loss_0, g_0 = weighted_loss(rows, objective, i_0, o, z_0)
    loss_1, g_1 = weighted_loss(rows, objective, i_1, o, z_1)
    loss_2, g_2 = weighted_loss(rows, objective, i_2, o, z_2)
    loss_3, g_3 = weighted_loss(rows, objective, i_3, o, z_3)
    return (loss_0 + loss_1) + (loss_2 + loss_3), g_0, g_1, g_2, g_3


@jit
def accumulate_four(rows, coordinates, parameters, objective, order, position):
    """Add the gradients of four dense rows; return their loss. The gradient is loaded and stored once."""
    theta, center, features = parameters.theta, coordinates.center, rows.features
    i_0, i_1 = row_at(order, position), row_at(order, position + 1)
    i_2, i_3 = row_at(order, position + 2), row_at(order, position + 3)
    x_0, x_1, x_2, x_3 = rows.X[i_0], rows.X[i_1], rows.X[i_2], rows.X[i_3]
    loss = 0.0
    for o in range(theta.shape[0]):
        gradient, b = parameters.gradient[o], theta[o, features]
        z_0, z_1, z_2, z_3 = four_products(rows, coordinates, i_0, i_1, i_2, i_3, parameters.slope[o])
        value, g_0, g_1, g_2, g_3 = four_losses(
            rows, objective, o, i_0, i_1, i_2, i_3, z_0 + b, z_1 + b, z_2 + b, z_3 + b
        )
        loss += value
        for j in range(features):
            c = center[j]
            first, second = g_0 * (x_0[j] - c) + g_1 * (x_1[j] - c), g_2 * (x_2[j] - c) + g_3 * (x_3[j] - c)
            gradient[j] += first + second
        gradient[features] += (g_0 + g_1) + (g_2 + g_3)
    return loss


@jit
def accumulate(rows, coordinates, parameters, objective, order, start, stop):
    """Add the gradients of rows ``order[start:stop]`` to ``parameters.gradient``; return their loss.

    Each row is read once: its product with the slopes and its part of the gradient are formed
    while it is in the nearest cache.
    """
    theta, slope, gradient = parameters.theta, parameters.slope, parameters.gradient
    loss = 0.0
    position = start
    if rows.indptr.shape[0] == 0:
        while position + 4 <= stop:
            prefetch_ahead(rows, order, position, 4)
            loss += accumulate_four(rows, coordinates, parameters, objective, order, position)
            position += 4
    while position < stop:
        prefetch_ahead(rows, order, position, 1)
        i = row_at(order, position)
        for o in range(theta.shape[0]):
            z = row_product(rows, coordinates, i, slope, o) + theta[o, rows.features]
            value, g = weighted_loss(rows, objective, i, o, z)
            loss += value
            add_row(rows, coordinates, i, g, gradient, o)
            gradient[o, rows.features] += g
        position += 1
    return loss


@jit
def fill_slopes(theta, coordinates, slope):
    """Fill in the slopes in the data's units."""
    for o in range(slope.shape[0]):
        for j in range(slope.shape[1]):
            slope[o, j] = theta[o, j] * coordinates.inverse_scale[j]


@jit
def sampled_row(r, stride, total):
    """Return a row of the r-th ``stride`` of ``total``, at a place that looks random but is always the same.

    Hours, days and months recur at fixed steps. The last stride may be short.
    """
    if stride == 1:
        return r
    bits = random_bits(np.uint64(r) * GOLDEN) >> HALF
    return min(r * stride + np.int64((bits * np.uint64(stride)) >> HALF), total - 1)


@jit
def fill_sample(stride, total, sample):
    """Fill in the sampled rows."""
    for r in range(sample.shape[0]):
        sample[r] = sampled_row(r, stride, total)


@jit
def sampled_mass(rows, stride):
    """Weight of one row in ``stride``."""
    total = rows.y.shape[0]
    count = -(-total // stride)
    if rows.weight.shape[0] == 0:
        return float(count)
    mass = 0.0
    for r in range(count):
        mass += rows.weight[sampled_row(r, stride, total)]
    return mass


@jit
def sampled_loss(rows, coordinates, theta, slope, objective, balance, i):
    """Loss of row i at ``theta``, whose slopes are given, times its weight."""
    loss = 0.0
    for o in range(theta.shape[0]):
        prediction = row_product(rows, coordinates, i, slope, o) + theta[o, rows.features]
        loss += balance[o] * weighted_loss(rows, objective, i, o, prediction)[0]
    return loss


@jit
def mean_loss(rows, coordinates, theta, slope, objective, balance, stride):
    """Weighted mean loss of one row in ``stride`` at ``theta``; ``slope`` is work space.

    The loss of each output counts ``balance`` times.
    """
    outputs, features, total = theta.shape[0], rows.features, rows.y.shape[0]
    count = -(-total // stride)
    fill_slopes(theta, coordinates, slope)
    loss = 0.0
    r = 0
    if rows.indptr.shape[0] == 0:
        while r + 4 <= count:
            i_0, i_1 = sampled_row(r, stride, total), sampled_row(r + 1, stride, total)
            i_2, i_3 = sampled_row(r + 2, stride, total), sampled_row(r + 3, stride, total)
            for o in range(outputs):
                z_0, z_1, z_2, z_3 = four_products(rows, coordinates, i_0, i_1, i_2, i_3, slope[o])
                b = theta[o, features]
                value, _, _, _, _ = four_losses(
                    rows, objective, o, i_0, i_1, i_2, i_3, z_0 + b, z_1 + b, z_2 + b, z_3 + b
                )
                loss += balance[o] * value
            r += 4
    while r < count:
        i = sampled_row(r, stride, total)
        loss += sampled_loss(rows, coordinates, theta, slope, objective, balance, i)
        r += 1
    mass = sampled_mass(rows, stride)
    return loss / (mass * outputs) if mass > 0.0 else 0.0


@jit
def residuals(rows, coordinates, theta, stride, slope, values):
    """Fill in ``prediction - target`` of one row in ``stride``; ``slope`` is work space."""
    outputs, width = theta.shape
    fill_slopes(theta, coordinates, slope)
    for r in range(values.shape[0]):
        i = sampled_row(r, stride, rows.y.shape[0])
        for o in range(outputs):
            values[r, o] = row_product(rows, coordinates, i, slope, o) + theta[o, width - 1] - rows.y[i, o]


@jit
def loss_after(rows, coordinates, parameters, objective, plan, order):
    """Loss of the last batch at the parameters that it led to, as a part of the mean loss of the epoch."""
    total, outputs = rows.y.shape
    loss = 0.0
    for position in range((total - 1) // plan.batch_size * plan.batch_size, total):
        i = row_at(order, position)
        for o in range(outputs):
            z = row_product(rows, coordinates, i, parameters.slope, o) + parameters.theta[o, rows.features]
            loss += weighted_loss(rows, objective, i, o, z)[0]
    return loss / (rows.mean_weight * total * outputs)


# --------------------------------------------------------------------------------------------
# The step along a gradient


@jit
def fill_directions(parameters, coordinates, line):
    """Fill in the directions to search along: gradients, each over its largest part.

    Their slopes, in the data's units, go where those of the parameters stood. ``line`` (4, k) takes their
    parts for the intercept, their squared lengths in the coordinates of training, the largest part of any
    gradient so far, and a 0 to add squares to. Beside that part a gradient may be rounding: its length is 0.
    """
    gradient, slope, scale = parameters.gradient, parameters.slope, coordinates.inverse_scale
    outputs, features = slope.shape
    for o in range(outputs):
        peak = abs(gradient[o, features])
        for j in range(features):
            peak = max(peak, abs(gradient[o, j] * scale[j]))
        line[PEAK, o] = max(line[PEAK, o], peak)
        unit = 1.0 / peak if peak > max(ROUNDING * line[PEAK, o], TINY) else 0.0
        constant = gradient[o, features] * unit
        norm = constant * constant
        for j in range(features):
            g = gradient[o, j] * scale[j] * unit
            norm += g * g
            slope[o, j] = g * scale[j]
        line[INTERCEPT, o], line[NORM, o], line[SQUARES, o] = constant, norm, 0.0


@jit
def add_squares(rows, coordinates, slope, intercepts, start, stop, squares):
    """Add to ``squares`` (k,) the weighted squares of the products of rows with the directions.

    Four dense rows at a time, as in `four_products`.
    """
    weighted = rows.weight.shape[0] > 0
    i = start
    if rows.indptr.shape[0] == 0 and not weighted:
        while i + 4 <= stop:
            for o in range(squares.shape[0]):
                b = intercepts[o]
                z_0, z_1, z_2, z_3 = four_products(rows, coordinates, i, i + 1, i + 2, i + 3, slope[o])
                squares[o] += (z_0 + b) ** 2 + (z_1 + b) ** 2 + (z_2 + b) ** 2 + (z_3 + b) ** 2
            i += 4
    while i < stop:
        s = rows.weight[i] if weighted else 1.0
        for o in range(squares.shape[0]):
            z = row_product(rows, coordinates, i, slope, o) + intercepts[o]
            squares[o] += s * z * z
        i += 1


@jit
def moments_squares(moments, coordinates, slope, intercepts, squares):
    """Fill in the mean squares of the products of all rows with the directions, from second moments."""
    features = slope.shape[1]
    for o in range(squares.shape[0]):
        mean = intercepts[o]
        square = 0.0
        for i in range(features):
            mean += (moments.mean_x[i] - coordinates.center[i]) * slope[o, i]
            product = 0.0
            for j in range(features):
                product += moments.covariance[i, j] * slope[o, j]
            square += slope[o, i] * product
        squares[o] = max(square, 0.0) + mean * mean


@jit
def fill_rates(rule, objective, mass, t):
    """Fill in the rate of each output, ``1 / (c / relaxation + noise)``, c the curvature along its gradient.

    Curvature is that of squared error, no less than that of any smooth loss, and of the l2 penalty. With
    ``octave`` it is rounded up, to as many parts of the steepest in each factor of 2: rates that hang on
    every bit of a gradient make descent chaotic, and what is equal on paper ends as far apart as `tol`
    allows. What `STEADY` updates have not learned is nearly collinear: there a few rates are too few. Along
    a gradient that is rounding the curvature is the steepest.
    """
    steepest = rule.steepest
    for o in range(rule.rate.shape[0]):
        curvature = steepest
        if rule.line[NORM, o] > 0.0:
            curvature = 2.0 * rule.line[SQUARES, o] / (mass * rule.line[NORM, o]) + objective.l2
            curvature = max(curvature, LEAST_CURVATURE * steepest) / rule.relaxation
            if rule.octave > 0.0 and steepest > 0.0 and t <= STEADY:
                power = np.ceil(np.log2(curvature / steepest) * rule.octave) / rule.octave
                curvature = steepest * 2.0**power
        if curvature + rule.noise > 0.0:
            rule.rate[o] = 1.0 / (curvature + rule.noise)


@jit
def find_rates(rows, coordinates, parameters, objective, rule, t):
    """Find the rates of an update on all rows: a multiple of the step that goes to the least loss.

    Along the gradient ``g`` squared error has the curvature ``g.Hg / g.g``, and its inverse is the step to
    the minimum there (Cauchy 1847). Slopes are work space, which `apply_update` fills in again.
    """
    fill_directions(parameters, coordinates, rule.line)
    total = rows.y.shape[0]
    add_squares(rows, coordinates, parameters.slope, rule.line[INTERCEPT], 0, total, rule.line[SQUARES])
    fill_rates(rule, objective, rows.mean_weight * total, t)


@jit
def find_rates_on_moments(moments, coordinates, parameters, objective, rule, t):
    """Like `find_rates`, from second moments."""
    fill_directions(parameters, coordinates, rule.line)
    moments_squares(moments, coordinates, parameters.slope, rule.line[INTERCEPT], rule.line[SQUARES])
    fill_rates(rule, objective, 1.0, t)


# --------------------------------------------------------------------------------------------
# Epochs over rows


@jit
def share_of_batch(plan, size):
    """Return what a batch of ``size`` rows counts for: 1 unless it is short."""
    return min(1.0, size / plan.whole_batch) if plan.whole_batch > 0 else 1.0


@jit
def parameters_of_slopes(parameters, inverse):
    """Fill in the coefficients in the coordinates from slopes in the data's units."""
    for o in range(parameters.slope.shape[0]):
        for j in range(parameters.slope.shape[1]):
            parameters.theta[o, j] = parameters.slope[o, j] / inverse[j] if inverse[j] > 0.0 else 0.0


@intrinsic
def _add_to_pair(context, pairs, j, factor, first, second):
    """Add ``factor`` times (first, second) to ``pairs[j]`` by one load and one store."""

    def code(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        _, j, factor, first, second = arguments
        pair = ir.VectorType(ir.DoubleType(), 2)
        index = ir.IntType(32)

        def vector(one, other):
            start = builder.insert_element(ir.Constant(pair, ir.Undefined), one, index(0))
            return builder.insert_element(start, other, index(1))

        place = builder.gep(data, [builder.shl(j, j.type(1))])
        place = builder.bitcast(place, pair.as_pointer())
        change = builder.fmul(vector(factor, factor), vector(first, second), flags=("contract",))
        builder.store(builder.fadd(builder.load(place, align=8), change, flags=("contract",)), place, align=8)
        return context.get_dummy_value()

    number = types.float64
    return types.void(pairs, types.intp, number, number, number), code


@jit
def add_to_pair(pairs, j, factor, first, second):
    """Add ``factor`` times (first, second) to ``pairs[j]``."""
    if COMPILED:
        _add_to_pair(pairs, j, factor, first, second)
    else:
        pairs[j, 0] += factor * first
        pairs[j, 1] += factor * second


@jit
def pair_product(rows, i, pairs):
    """Product of the CSR row i with the first of each pair."""
    first, last = rows.indptr[i], rows.indptr[i + 1]
    data, indices = rows.data[first:last], rows.indices[first:last]
    z = 0.0
    for q in range(data.shape[0]):
        z += data[q] * pairs[indices[q], 0]
    return z


@jit
def sparse_step(rows, i, length, slope, squares, scaled):
    """Take ``length`` times row i from the slopes, in the data's units."""
    first, last = rows.indptr[i], rows.indptr[i + 1]
    data, indices = rows.data[first:last], rows.indices[first:last]
    if scaled:
        for q in range(data.shape[0]):
            slope[indices[q]] -= length * data[q] * squares[indices[q]]
    else:
        for q in range(data.shape[0]):
            slope[indices[q]] -= length * data[q]


@jit
def averaged_step(rows, i, length, back, pairs, squares, scaled):
    """Do so to the first of each pair, and give the second ``back`` times what that loses."""
    first, last = rows.indptr[i], rows.indptr[i + 1]
    data, indices = rows.data[first:last], rows.indices[first:last]
    if scaled:
        for q in range(data.shape[0]):
            j = np.int64(indices[q])
            add_to_pair(pairs, j, data[q] * squares[j], -length, length * back)
    else:
        for q in range(data.shape[0]):
            add_to_pair(pairs, np.int64(indices[q]), data[q], -length, length * back)


@jit
def last_above_zero(size, width, history, then, now):
    """Return the last of updates ``then`` to ``now`` after which an S of that size has not shrunk to zero.

    The first guesses follow the total, which grows at a nearly constant pace; then the range is halved.
    """
    start = history[then, TOTAL]
    if size == 0.0:
        return then
    if width * (history[now, TOTAL] - start) < size:
        return now
    last, over = then, now
    tries = 0
    while over - last > 1:
        middle = (last + over) // 2
        if tries < 4:
            gone, pace = history[last, TOTAL] - start, history[over, TOTAL] - history[last, TOTAL]
            guess = last + int((size / width - gone) / pace * (over - last))
            middle = max(last + 1, min(over - 1, guess))
        if width * (history[middle, TOTAL] - start) < size:
            last = middle
        else:
            over = middle
        tries += 1
    return last


@jit
def shrunk(S, U, width, idle, history, then, now):
    """Make good the proximal steps of updates ``then`` to ``now`` that a feature missed: its S and average.

    Steps add up while nothing else moves S: it is ``S - sign(S) width (TOTAL[k] - TOTAL[then])`` after update
    k, and 0 from where that would change its sign. Row k of ``history`` holds ``TOTAL``, the shrinkage of all
    updates in units of S, and the factors of averages: what an S does that only shrinks adds up to ``PAST``
    times the average before, ``NEW`` times the S where ``TOTAL`` was 0, less ``sign(S) width DRIFT``.
    ``idle`` says that both were 0 before update ``then + 1`` moved S. If its proximal step takes all of that
    back they are 0 still, while U, which the move has changed as well, holds rounding.
    """
    sign = 1.0 if S > 0.0 else -1.0
    last = last_above_zero(abs(S), width, history, then, now)
    if idle and last == then:
        return 0.0, 0.0
    start, new = history[then, TOTAL], history[then, NEW]
    kept = history[last, PAST] / history[then, PAST]
    average = kept * (new * S + history[then, PAST] * U)
    average += (S + sign * width * start) * (history[last, NEW] - kept * new)
    average -= sign * width * (history[last, DRIFT] - kept * history[then, DRIFT])
    if last == now:
        return S - sign * width * (history[now, TOTAL] - start), average
    return 0.0, average * (history[now, PAST] / history[last, PAST])


@jit
def shrink_row(rows, i, inverse, slope, averaging, lazy, now):
    """Make good what the features of row i have missed."""
    history = lazy.history
    for q in range(rows.indptr[i], rows.indptr[i + 1]):
        j = rows.indices[q]
        then = lazy.reached[j]
        if then == now:
            continue
        lazy.reached[j] = now
        if averaging:
            S, U = lazy.pairs[j, 0], lazy.pairs[j, 1]
            S, average = shrunk(S, U, inverse[j], lazy.idle[j], history, then, now)
            lazy.idle[j] = S == 0.0 and average == 0.0
            lazy.pairs[j, 0], lazy.pairs[j, 1] = S, (average - history[now, NEW] * S) / history[now, PAST]
        else:
            slope[j] = soft_threshold(slope[j], inverse[j] * (history[now, TOTAL] - history[then, TOTAL]))


@jit
def remember(history, now, shrinkage, forget, scale, past, new):
    """Enter the update after ``now``: its shrinkage of S and the factors of the averages."""
    total = history[now, TOTAL] + shrinkage
    history[now + 1, TOTAL], history[now + 1, PAST], history[now + 1, NEW] = total, past, new
    history[now + 1, DRIFT] = (1.0 - forget) * history[now, DRIFT] + forget * scale * total


@jit
def fold(slope, lazy, inverse, averaging, scale, new, past, now):
    """Make S the slopes ``scale * S`` and U their average ``new * S + past * U`` themselves, all shrunk."""
    pairs, history = lazy.pairs, lazy.history
    shrinking = history.shape[0] > 0
    for j in range(slope.shape[0]):
        then = lazy.reached[j] if shrinking else now
        if averaging:
            S, average = pairs[j, 0], new * pairs[j, 0] + past * pairs[j, 1]
            if then < now:
                S, average = shrunk(pairs[j, 0], pairs[j, 1], inverse[j], lazy.idle[j], history, then, now)
            pairs[j, 0], pairs[j, 1] = scale * S, average
        else:
            if then < now:
                slope[j] = soft_threshold(slope[j], inverse[j] * (history[now, TOTAL] - history[then, TOTAL]))
            slope[j] *= scale
    begin_history(lazy, averaging)


@jit
def begin_history(lazy, averaging):
    """Start anew: nothing shrunk yet, averages are those of no updates."""
    if lazy.history.shape[0] > 0:
        for j in range(lazy.reached.shape[0]):
            lazy.reached[j] = 0
            lazy.idle[j] = averaging and lazy.pairs[j, 0] == 0.0 and lazy.pairs[j, 1] == 0.0
        lazy.history[0, TOTAL], lazy.history[0, PAST] = 0.0, 1.0
        lazy.history[0, NEW], lazy.history[0, DRIFT] = 0.0, 0.0


@jit
def begin_output(parameters, coordinates, averaging, lazy, o):
    """Take slopes and their averages into the work space of an epoch on CSR rows."""
    if averaging:
        for j in range(parameters.slope.shape[1]):
            lazy.pairs[j, 0] = parameters.slope[o, j]
            lazy.pairs[j, 1] = parameters.average[o, j] * coordinates.inverse_scale[j]
    begin_history(lazy, averaging)


@jit
def finish_output(parameters, coordinates, averaging, lazy, o):
    """Fill in coefficients and averages in the coordinates from what `fold` has left."""
    theta, average, slope = parameters.theta[o], parameters.average[o], parameters.slope[o]
    inverse = coordinates.inverse_scale
    for j in range(slope.shape[0]):
        width = 1.0 / inverse[j] if inverse[j] > 0.0 else 0.0
        if averaging:
            slope[j] = lazy.pairs[j, 0]
            average[j] = lazy.pairs[j, 1] * width
        theta[j] = slope[j] * width
        slope[j] = theta[j] * inverse[j]  # to the last bit what a next call would begin with


@jit
def record_output(slope, inverse, averaging, lazy, scale, now, intercept, kept):
    """Keep the coefficients and the intercept of one output in ``kept`` (d + 1,)."""
    history = lazy.history
    for j in range(slope.shape[0]):
        S = lazy.pairs[j, 0] if averaging else slope[j]
        if history.shape[0] > 0:
            S = soft_threshold(S, inverse[j] * (history[now, TOTAL] - history[lazy.reached[j], TOTAL]))
        kept[j] = scale * S / inverse[j] if inverse[j] > 0.0 else 0.0
    kept[slope.shape[0]] = intercept


@jit
def pull_of_batch(rows, coordinates, parameters, objective, plan, order, lazy, o, start, stop, scale, now):
    """Find the derivative of the loss for each row of a batch; return the loss, and their sum.

    With an l1 penalty the features of the rows are brought up to date first.
    """
    slope, intercept = parameters.slope, parameters.theta[o, rows.features]
    loss = push = 0.0
    for position in range(start, stop):
        prefetch_ahead(rows, order, position, 1)
        i = row_at(order, position)
        if lazy.history.shape[0] > 0:
            shrink_row(rows, i, coordinates.inverse_scale, slope[o], plan.averaging, lazy, now)
        if plan.averaging:
            product = pair_product(rows, i, lazy.pairs)
        else:
            product = row_product(rows, coordinates, i, slope, o)
        value, g = weighted_loss(rows, objective, i, o, scale * product + intercept)
        loss += value
        lazy.pull[position - start] = g
        push += g
    return loss, push


@jit
def sparse_sgd_epoch(rows, coordinates, parameters, objective, rule, plan, order, lazy, t, trace):
    """Plain SGD on CSR rows at a cost that grows with the non-zeros of a batch only.

    The slopes are kept as ``scale * S``, so that shrinking by the l2 penalty is one product, and
    their average as ``new * S + past * U`` (Bottou 2012, "Stochastic gradient descent tricks",
    section 5): a change of S that the past average must not feel is taken back from U. With averaging S
    stands beside U in ``lazy.pairs``, as they change together, else in ``slope``. ``lazy.squares`` holds the
    squared inverse scale, ``lazy.pull`` the derivative of the loss for each row of a batch. The proximal
    steps of an l1 penalty are made good when a feature is next met (Duchi and Singer 2009, "Efficient online
    and batch learning using forward backward splitting"), see `shrunk`. Outputs are trained in turn.
    """
    inverse, pairs, squares, history = coordinates.inverse_scale, lazy.pairs, lazy.squares, lazy.history
    total, features = rows.y.shape[0], rows.features
    mean_scale = 1.0 / (rows.mean_weight * total * parameters.theta.shape[0])
    shrinking = history.shape[0] > 0
    scaled = False
    for j in range(features):
        squares[j] = inverse[j] * inverse[j]
        scaled = scaled or inverse[j] != 1.0
    loss = 0.0
    begin = t
    for o in range(parameters.theta.shape[0]):
        theta, average, slope = parameters.theta[o], parameters.average[o], parameters.slope[o]
        begin_output(parameters, coordinates, plan.averaging, lazy, o)
        scale, new, past, now = 1.0, 0.0, 1.0, 0
        t = begin
        for start in range(0, total, plan.batch_size):
            stop = min(start + plan.batch_size, total)
            value, push = pull_of_batch(
                rows, coordinates, parameters, objective, plan, order, lazy, o, start, stop, scale, now
            )
            loss += value
            if not loss * mean_scale <= plan.loss_limit:
                return loss * mean_scale, t
            t += 1
            rate = rule.rate[o] * decay(rule, t) * share_of_batch(plan, stop - start)
            scale *= 1.0 - rate * objective.l2
            # A rate beyond 2 / l2 lets it grow.
            if not LEAST_SCALE <= abs(scale) <= 1.0 / LEAST_SCALE:
                fold(slope, lazy, inverse, plan.averaging, scale, new, past, now)
                scale, new, past, now = 1.0, 0.0, 1.0, 0
            step = rate / ((stop - start) * rows.mean_weight)
            for position in range(start, stop):
                i, length = row_at(order, position), step * lazy.pull[position - start] / scale
                if plan.averaging:
                    averaged_step(rows, i, length, new / past, pairs, squares, scaled)
                else:
                    sparse_step(rows, i, length, slope, squares, scaled)
            if plan.fit_intercept:
                theta[features] -= step * push
            forget = 0.0
            if plan.averaging:
                forget = (plan.forgetting + 1.0) / (t - plan.averaged_since + plan.forgetting)
                new = (1.0 - forget) * new + forget * scale
                past *= 1.0 - forget
                average[features] += forget * (theta[features] - average[features])
            if shrinking:
                remember(history, now, rate * objective.l1 / abs(scale), forget, scale, past, new)
                now += 1
            if past < LEAST_PAST or now + 1 == history.shape[0]:
                fold(slope, lazy, inverse, plan.averaging, scale, new, past, now)
                scale, new, past, now = 1.0, 0.0, 1.0, 0
            if t < trace.shape[0]:
                record_output(slope, inverse, plan.averaging, lazy, scale, now, theta[features], trace[t, o])
        fold(slope, lazy, inverse, plan.averaging, scale, new, past, now)
        finish_output(parameters, coordinates, plan.averaging, lazy, o)
    return loss * mean_scale, t


@jit
def single_sgd_epoch(rows, coordinates, parameters, objective, rule, plan, order, t, trace):
    """Plain SGD on dense rows, one an update, with parameters and averages in the data's units.

    What an update moves is then what multiplies the next row, which need not wait for more. The row is
    read again where its gradient would be written and read.
    """
    center, inverse = coordinates.center, coordinates.inverse_scale
    total, features = rows.y.shape[0], rows.features
    scale = 1.0 / (rows.mean_weight * total * parameters.theta.shape[0])
    in_proportion = share_of_batch(plan, 1) / rows.mean_weight
    for o in range(parameters.theta.shape[0]):
        for j in range(features):
            parameters.average[o, j] *= inverse[j]
    loss = 0.0
    for position in range(total):
        prefetch_ahead(rows, order, position, 1)
        t += 1
        forget = (plan.forgetting + 1.0) / (t - plan.averaged_since + plan.forgetting)
        factor = decay(rule, t) * in_proportion
        i = row_at(order, position)
        x = rows.X[i]
        for o in range(parameters.theta.shape[0]):
            theta, slope, average = parameters.theta[o], parameters.slope[o], parameters.average[o]
            z = row_product(rows, coordinates, i, parameters.slope, o) + theta[features]
            value, g = weighted_loss(rows, objective, i, o, z)
            loss += value
            length = g * factor * rule.rate[o]  # one scalar for the row: it is what multiplies x
            for j in range(features):
                x_j = (x[j] - center[j]) * (inverse[j] * inverse[j])
                slope[j], _, _ = update(SGD, slope[j], x_j, 0.0, 0.0, length, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0)
            if plan.fit_intercept:
                theta[features] -= length
            if plan.averaging:
                for j in range(features):
                    average[j] += forget * (slope[j] - average[j])
                average[features] += forget * (theta[features] - average[features])
        if t < trace.shape[0]:
            parameters_of_slopes(parameters, inverse)
            record(parameters.theta, trace, t)
        if not loss * scale <= plan.loss_limit:
            break
    parameters_of_slopes(parameters, inverse)
    for o in range(parameters.theta.shape[0]):
        for j in range(features):
            if inverse[j] > 0.0:
                parameters.average[o, j] /= inverse[j]
            # To the last bit what a next call would begin with.
            parameters.slope[o, j] = parameters.theta[o, j] * inverse[j]
    return loss * scale, t


@jit
def epoch(rows, coordinates, parameters, objective, rule, plan, order, lazy, t, trace):
    """One pass over the rows in batches. Returns the mean loss seen and the update count.

    The pass is left as soon as its mean loss is known to exceed ``plan.loss_limit``.
    """
    total = rows.y.shape[0]
    outputs = parameters.theta.shape[0]
    if plan.shuffle:
        shuffle_rows(order)
    if lazy.pull.shape[0] > 0:
        return sparse_sgd_epoch(rows, coordinates, parameters, objective, rule, plan, order, lazy, t, trace)
    plain = objective.l1 == 0.0 and objective.l2 == 0.0 and rule.relaxation == 0.0
    if plan.batch_size == 1 and rule.code == SGD and plain and rows.indptr.shape[0] == 0:
        return single_sgd_epoch(rows, coordinates, parameters, objective, rule, plan, order, t, trace)
    scale = 1.0 / (rows.mean_weight * total * outputs)
    loss = 0.0
    start = 0
    while start < total:
        stop = min(start + plan.batch_size, total)
        t += 1
        share = share_of_batch(plan, stop - start)
        factor = share / ((stop - start) * rows.mean_weight)
        loss += accumulate(rows, coordinates, parameters, objective, order, start, stop)
        complete_gradient(parameters, coordinates, objective, plan, factor, share)
        if rule.relaxation > 0.0:
            find_rates(rows, coordinates, parameters, objective, rule, t)
        apply_update(parameters, coordinates, objective, rule, plan, factor, share, t)
        if not loss * scale <= plan.loss_limit:
            break
        record(parameters.theta, trace, t)
        start = stop
    return loss * scale, t


@jit
def penalty(theta, objective, balance):
    """Penalty on the coefficients, averaged over the outputs, each of which counts ``balance`` times."""
    outputs, width = theta.shape
    value = 0.0
    for o in range(outputs):
        for j in range(width - 1):
            size = abs(theta[o, j])
            value += balance[o] * (objective.l1 * size + 0.5 * objective.l2 * size * size)
    return value / outputs


@jit
def proximal_step(rows, coordinates, parameters, objective, order, fit_intercept, rate):
    """Take the averages one step of proximal gradient descent further, on all rows in ``order``.

    Averages of iterates that are zero now and then are small, and not zero: this tells the ones that
    belong there. Slopes and gradient of ``parameters`` are work space, the gradient is zero before and after.
    """
    _, first, second, average, slope, gradient = parameters
    outputs, features = slope.shape
    fill_slopes(average, coordinates, slope)
    at_average = Parameters(average, first, second, average, slope, gradient)
    accumulate(rows, coordinates, at_average, objective, order, 0, rows.y.shape[0])
    factor = 1.0 / (rows.mean_weight * rows.y.shape[0])
    for o in range(outputs):
        for j in range(features + fit_intercept):
            g = gradient[o, j] * factor * coordinates.inverse_scale[j]
            if j < features:
                a = average[o, j] - rate * (g + objective.l2 * average[o, j])
                average[o, j] = soft_threshold(a, rate * objective.l1)
            else:
                average[o, j] -= rate * g
        for j in range(features + 1):
            gradient[o, j] = 0.0


@jit
def are_finite(theta):
    """Whether all parameters are finite."""
    for o in range(theta.shape[0]):
        for j in range(theta.shape[1]):
            if not np.isfinite(theta[o, j]):
                return False
    return True


@jit
def copy_parameters(source, target):
    """Copy one stack ``(rows, k, d + 1)`` of arrays onto another."""
    for row in range(source.shape[0]):
        for o in range(source.shape[1]):
            for j in range(source.shape[2]):
                target[row, o, j] = source[row, o, j]


@jit
def record(theta, trace, t):
    """Keep the iterate after update ``t`` in ``trace`` (updates + 1, k, d + 1), where there is room."""
    if t >= trace.shape[0]:
        return
    for o in range(theta.shape[0]):
        for j in range(theta.shape[1]):
            trace[t, o, j] = theta[o, j]


@jit
def is_watched(watch, done, plan):
    """Whether ``tol`` looks at the epoch that makes ``done``: each at first, then every tenth part."""
    if plan.tolerance < 0.0 or done < watch[2]:
        return False
    watch[2] = done + 1 + done // 10
    return True


@jit
def is_flat(watch, value, done, plan):
    """Tell whether the objective has gone without gain for too long.

    ``watch`` is updated: best objective, its epoch, next look. Too long is ``plan.patience`` epochs, or a
    quarter of those made if that is more: what is slow to come down is slow to show it. What has risen
    far above its best is not flat.
    """
    if value < watch[0] - plan.tolerance:
        watch[0] = value
        watch[1] = done
    waited = done >= plan.earliest_stop and done - watch[1] >= max(plan.patience, done // 4)
    return waited and value <= 2.0 * watch[0] + plan.tolerance


@jit
def judge(rows, coordinates, parameters, stack, saved, objective, plan, order, loss, watch, done):
    """Tell how the epoch that makes ``done`` ended, and its loss; one that diverged is undone.

    Where the rate was forced, the last update is judged as well: by the loss of its own batch.
    """
    diverged = not loss <= plan.loss_limit
    if not diverged and plan.forced:
        after = loss_after(rows, coordinates, parameters, objective, plan, order)
        if not after <= plan.loss_limit:
            loss, diverged = after, True
    # The last update of an epoch may overflow though all losses that the epoch saw are finite.
    if diverged or not are_finite(parameters.theta):
        copy_parameters(saved, stack)
        return DIVERGED, loss
    if not is_watched(watch, done, plan):
        return EXHAUSTED, loss
    theta = parameters.average if plan.averaging else parameters.theta
    if plan.averaging or theta.shape[0] > 1:
        value = mean_loss(rows, coordinates, theta, saved[0], objective, plan.balance, plan.monitor_stride)
    else:
        value = loss
    value += penalty(theta, objective, plan.balance)
    return (CONVERGED if is_flat(watch, value, done, plan) else EXHAUSTED), loss


@jit
def train(
    rows,
    coordinates,
    parameters,
    stack,
    saved,
    objective,
    rule,
    plan,
    order,
    lazy,
    t,
    losses,
    watch,
    done,
    trace,
):
    """Run up to ``losses.size`` epochs. Returns how many were run, the update count, the outcome.

    ``tol`` watches the parameters that are reported: with averaging their loss on one
    row in ``plan.monitor_stride``, the same rows each time, so that the noise of the iterates
    cannot hide a slow gain; without averaging the loss of the epoch. An epoch that diverges is
    undone: ``stack`` (the memory of ``parameters``) goes back to what it was when it began.
    """
    for index in range(losses.shape[0]):
        copy_parameters(stack, saved)
        losses[index], after = epoch(
            rows, coordinates, parameters, objective, rule, plan, order, lazy, t, trace
        )
        status, losses[index] = judge(
            rows,
            coordinates,
            parameters,
            stack,
            saved,
            objective,
            plan,
            order,
            losses[index],
            watch,
            done + 1,
        )
        if status == DIVERGED:
            return index + 1, t, DIVERGED
        t = after
        done += 1
        if status == CONVERGED:
            return index + 1, t, CONVERGED
    return losses.shape[0], t, EXHAUSTED


# --------------------------------------------------------------------------------------------
# Batches in parts, each of which may be summed by a thread


@jit
def accumulate_parts(rows, coordinates, parameters, objective, order, bounds, gradients, losses, first, step):
    """Sum the gradients of every ``step``-th part of a batch, from the ``first``, and their losses.

    Part p holds the rows at ``bounds[p]`` to ``bounds[p + 1]``; its gradient goes to ``gradients[p]``, which
    is zero, its loss to ``losses[p]``.
    """
    theta, moment, second, average, slope, _ = parameters
    for part in range(first, losses.shape[0], step):
        own = Parameters(theta, moment, second, average, slope, gradients[part])
        losses[part] = accumulate(rows, coordinates, own, objective, order, bounds[part], bounds[part + 1])


@jit
def join_parts(parameters, coordinates, objective, plan, gradients, factor, share):
    """Sum the parts' gradients, which are left at zero, into that of the batch."""
    gradient = parameters.gradient
    for part in range(gradients.shape[0]):
        for o in range(gradient.shape[0]):
            for j in range(gradient.shape[1]):
                gradient[o, j] += gradients[part, o, j]
                gradients[part, o, j] = 0.0
    complete_gradient(parameters, coordinates, objective, plan, factor, share)


@jit
def add_squares_of_parts(rows, coordinates, slope, intercepts, bounds, squares, first, step):
    """Like `accumulate_parts`, for `add_squares`: part p adds to ``squares[p]`` (k,)."""
    for part in range(first, squares.shape[0], step):
        add_squares(rows, coordinates, slope, intercepts, bounds[part], bounds[part + 1], squares[part])


@jit
def finish_batch(parameters, coordinates, objective, rule, plan, factor, share, t, trace):
    """Make update ``t`` along the gradient of the batch."""
    apply_update(parameters, coordinates, objective, rule, plan, factor, share, t)
    record(parameters.theta, trace, t)


# --------------------------------------------------------------------------------------------
# Full-batch epochs on second moments


@jit
def moments_gradient(moments, coordinates, theta, slope, gradient, plan):
    """Gradient of the mean squared error from second moments; returns the loss, plain and balanced.

    With ``S`` the covariance of X, ``q`` that of X and y, ``r`` the mean residual:
    ``loss = var(y) - 2 q.a + a.S a + r^2``, ``gradient = 2 (S a - q + (mean - center) r, r)``.
    """
    outputs, features = slope.shape
    total = balanced = 0.0
    for o in range(outputs):
        mean_residual = theta[o, features] - moments.mean_y[o]
        for j in range(features):
            mean_residual += (moments.mean_x[j] - coordinates.center[j]) * slope[o, j]
        loss = moments.variance_y[o] + mean_residual * mean_residual
        for i in range(features):
            product = 0.0
            for j in range(features):
                product += moments.covariance[i, j] * slope[o, j]
            loss += slope[o, i] * (product - 2.0 * moments.cross[o, i])
            shift = (moments.mean_x[i] - coordinates.center[i]) * mean_residual
            gradient[o, i] = 2.0 * (product - moments.cross[o, i] + shift)
        gradient[o, features] = 2.0 * mean_residual if plan.fit_intercept else 0.0
        total += loss
        balanced += plan.balance[o] * loss
    return max(total, 0.0) / outputs, max(balanced, 0.0) / outputs


@jit
def moments_loss(moments, coordinates, theta, slope, gradient, plan):
    """Return the loss of any parameters, plain and balanced; ``slope`` and ``gradient`` are work space."""
    fill_slopes(theta, coordinates, slope)
    return moments_gradient(moments, coordinates, theta, slope, gradient, plan)


@jit
def train_on_moments(
    moments, coordinates, parameters, stack, saved, objective, rule, plan, t, losses, watch, done, trace
):
    """Like `train`, for batches that hold all rows: an epoch costs ``O(k d^2)`` whatever n is."""
    theta, _, _, average, slope, gradient = parameters
    for index in range(losses.shape[0]):
        copy_parameters(stack, saved)
        losses[index], value = moments_gradient(moments, coordinates, theta, slope, gradient, plan)
        value += penalty(theta, objective, plan.balance)
        diverged = not losses[index] <= plan.loss_limit
        if not diverged:
            complete_gradient(parameters, coordinates, objective, plan, 1.0, 1.0)
            if rule.relaxation > 0.0:
                find_rates_on_moments(moments, coordinates, parameters, objective, rule, t + 1)
            apply_update(parameters, coordinates, objective, rule, plan, 1.0, 1.0, t + 1)
            record(theta, trace, t + 1)
            if plan.forced:
                after, _ = moments_loss(moments, coordinates, theta, slope, gradient, plan)
                if not after <= plan.loss_limit:
                    losses[index], diverged = after, True
        if diverged or not are_finite(theta):
            copy_parameters(saved, stack)
            return index + 1, t, DIVERGED
        t += 1
        done += 1
        if not is_watched(watch, done, plan):
            continue
        if plan.averaging:
            _, value = moments_loss(moments, coordinates, average, slope, gradient, plan)
            value += penalty(average, objective, plan.balance)
            moments_loss(moments, coordinates, theta, slope, gradient, plan)  # brings the slopes back
        if is_flat(watch, value, done, plan):
            return index + 1, t, CONVERGED
    return losses.shape[0], t, EXHAUSTED


# --------------------------------------------------------------------------------------------
# Moments and curvature of the rows


@jit
def merge_moments(mean, variance, share, other_mean, other_variance):
    """Take in the moments of other rows, which make up ``share`` of all (Chan, Golub and LeVeque 1983)."""
    for j in range(mean.shape[0]):
        gap = other_mean[j] - mean[j]
        variance[j] += share * (other_variance[j] - variance[j] + (1.0 - share) * gap * gap)
        mean[j] += share * gap


@jit
def column_moments(X, weight, work):
    """Weighted mean and variance of each column into ``work[0]`` and ``work[1]``; returns the mass.

    Blocks are small enough to be read twice from cache: their mean, then squares about it, then
    merged. Means a million times the spread cost no digits. The last two rows of ``work`` (4, d) are theirs.
    """
    mean, variance, block_mean, block_variance = work[0], work[1], work[2], work[3]
    total, features = X.shape
    weighted = weight.shape[0] > 0
    mass = 0.0
    for j in range(features):
        mean[j] = variance[j] = 0.0
    step = max(1, BLOCK_VALUES // features)
    for start in range(0, total, step):
        stop = min(start + step, total)
        block_mass = 0.0
        origin = start  # a row that counts: what only others have is then exactly zero, or constant
        while weighted and origin < stop - 1 and weight[origin] == 0.0:
            origin += 1
        for j in range(features):
            block_mean[j] = block_variance[j] = 0.0
        for i in range(start, stop):
            s = weight[i] if weighted else 1.0
            block_mass += s
            for j in range(features):
                block_mean[j] += s * (X[i, j] - X[origin, j])
        if block_mass == 0.0:
            continue
        for j in range(features):
            block_mean[j] = X[origin, j] + block_mean[j] / block_mass
        for i in range(start, stop):
            s = weight[i] if weighted else 1.0
            for j in range(features):
                gap = X[i, j] - block_mean[j]
                block_variance[j] += s * gap * gap
        for j in range(features):
            block_variance[j] /= block_mass
        mass += block_mass
        merge_moments(mean, variance, block_mass / mass, block_mean, block_variance)
    return mass


@jit
def take_in(X, weight, mean, variance, mass, work):
    """Take the rows of X into running moments of ``mass``; returns their mass together."""
    more = column_moments(X, weight, work)
    if more > 0.0:
        merge_moments(mean, variance, more / (mass + more), work[0], work[1])
    return mass + more


@jit
def spread(mean, variance):
    """Return the standard deviation, or 0 where the variance is no more than rounding of the mean."""
    deviation = np.sqrt(variance)
    return deviation if deviation > 16.0 * EPS * abs(mean) else 0.0


@jit
def spreads(mean, variance, deviation):
    """Fill in the standard deviations of columns."""
    for j in range(mean.shape[0]):
        deviation[j] = spread(mean[j], variance[j])


@jit
def standard_scale(mean, variance, intercept, inverse):
    """Fill in the inverse of standard deviations, or of root mean squares where there is no intercept.

    It is 0 for a constant, or for a scale so small that the inverse's square would overflow, and 1 in the
    last place, which is the intercept's.
    """
    for j in range(mean.shape[0]):
        scale = spread(mean[j], variance[j])
        if not intercept:
            scale = np.hypot(scale, mean[j])
        inverse[j] = 1.0 / scale if scale * scale >= TINY else 0.0
    inverse[mean.shape[0]] = 1.0


@jit
def change_coordinates(stack, old, new):
    """Express parameters in ``new`` coordinates; the functions that they compute stay the same.

    Iterates, the first and the last array of ``stack``, transform as vectors, the moments between them as
    the gradients that they average.
    """
    for o in range(stack.shape[1]):
        for j in range(old.center.shape[0]):
            before, after = old.inverse_scale[j], new.inverse_scale[j]
            for row in (0, 3):
                coefficient = stack[row, o, j] * before
                if before != after:
                    stack[row, o, j] = coefficient / after if after > 0.0 else 0.0
                stack[row, o, -1] += coefficient * (new.center[j] - old.center[j])
            ratio = after / before if before > 0.0 else 1.0
            stack[1, o, j] *= ratio
            stack[2, o, j] *= ratio * ratio


@jit
def examine_rows(rows, coordinates, intercept, start, stop, stride, columns, sample):
    """Look at rows ``start`` to ``stop``; returns what their curvature is made of.

    The largest ``weight / mean weight * x^2`` of each column about its centre is kept in ``columns``, and
    that of a whole row, ``weight / mean weight * (squared norm + intercept)``, returned. One row in
    ``stride`` goes into ``sample`` (rows, d + 1) in the coordinates, times the root of its weight,
    whose sum is returned too. No rows there: no sample. The third result counts the values other than 0.
    Rows up to ``start`` are whole strides.
    """
    weighted = rows.weight.shape[0] > 0
    center, inverse = coordinates.center, coordinates.inverse_scale
    largest = mass = 0.0
    taken = filled = 0
    chosen = sampled_row(start // stride, stride, rows.y.shape[0])
    for i in range(start, stop):
        s = rows.weight[i] / rows.mean_weight if weighted else 1.0
        size = intercept
        if rows.indptr.shape[0] == 0:
            for j in range(rows.features):
                z = rows.X[i, j] - center[j]
                columns[j] = max(columns[j], s * z * z)
                size += z * z * inverse[j] * inverse[j]
                filled += z != 0.0
        else:
            for q in range(rows.indptr[i], rows.indptr[i + 1]):
                j = rows.indices[q]
                z = 1.0 * rows.data[q]  # in float64: squares of small float32 numbers are below its range
                columns[j] = max(columns[j], s * z * z)
                size += z * z * inverse[j] * inverse[j]
                filled += z != 0.0
        largest = max(largest, s * size)
        if taken < sample.shape[0] and i == chosen:
            mass += s
            put_row(rows, coordinates, i, np.sqrt(s), intercept, sample[taken])
            taken += 1
            chosen = sampled_row(start // stride + taken, stride, rows.y.shape[0])
    return largest, mass, filled


@jit
def steepest_batch(rows, coordinates, intercept, batch_size):
    """Largest mean of ``weight / mean weight * (squared norm + intercept)`` over a batch of rows in order."""
    weighted = rows.weight.shape[0] > 0
    inverse = coordinates.inverse_scale
    steepest = 0.0
    for start in range(0, rows.y.shape[0], batch_size):
        stop = min(start + batch_size, rows.y.shape[0])
        total = 0.0
        for i in range(start, stop):
            size = intercept
            if rows.indptr.shape[0] == 0:
                for j in range(rows.features):
                    z = (rows.X[i, j] - coordinates.center[j]) * inverse[j]
                    size += z * z
            else:
                for q in range(rows.indptr[i], rows.indptr[i + 1]):
                    z = rows.data[q] * inverse[rows.indices[q]]
                    size += z * z
            total += rows.weight[i] / rows.mean_weight * size if weighted else size
        steepest = max(steepest, total / (stop - start))
    return steepest


@jit
def put_row(rows, coordinates, i, factor, intercept, target):
    """Fill in ``factor`` times row i in the coordinates, and the column of the intercept."""
    inverse = coordinates.inverse_scale
    if rows.indptr.shape[0] == 0:
        for j in range(rows.features):
            target[j] = factor * (rows.X[i, j] - coordinates.center[j]) * inverse[j]
    else:
        for j in range(rows.features):
            target[j] = 0.0
        for q in range(rows.indptr[i], rows.indptr[i + 1]):
            j = rows.indices[q]
            target[j] = factor * rows.data[q] * inverse[j]
    target[rows.features] = factor * intercept


@jit
def largest_eigenvalue(rows, coordinates, intercept, stride, slope, image):
    """Largest eigenvalue of the second-moment matrix of one row in ``stride``, by power iteration.

    With ``intercept`` 1 a column of ones is counted in. ``slope`` (1, d) and ``image`` (1, d + 1) are
    work space. Power iteration comes from below: what it has after its last step is enlarged by a fifth.
    """
    features = rows.features
    inverse = coordinates.inverse_scale
    weighted = rows.weight.shape[0] > 0
    mass = sampled_mass(rows, stride)
    eigenvalue = 0.0
    for j in range(features + 1):
        # A fixed start without symmetry, so that no pattern of the data is orthogonal to it.
        image[0, j] = 1.0 + 0.1 * ((j * 7919) % 13)
    for step in range(MOST_POWER_ITERATIONS):
        norm = 0.0
        for j in range(features + 1):
            norm += image[0, j] * image[0, j]
        norm = np.sqrt(norm)
        if norm == 0.0:
            break
        for j in range(features):
            slope[0, j] = image[0, j] / norm * inverse[j]
            image[0, j] = 0.0
        constant = intercept * image[0, features] / norm
        image[0, features] = 0.0
        for r in range(-(-rows.y.shape[0] // stride)):
            i = sampled_row(r, stride, rows.y.shape[0])
            s = rows.weight[i] if weighted else 1.0
            z = s * (row_product(rows, coordinates, i, slope, 0) + constant)
            add_row(rows, coordinates, i, z, image, 0)
            image[0, features] += intercept * z
        previous = eigenvalue
        eigenvalue = 0.0
        for j in range(features + 1):
            image[0, j] *= inverse[j] / max(mass, TINY)
            eigenvalue += image[0, j] * image[0, j]
        eigenvalue = np.sqrt(eigenvalue)
        if step >= LEAST_POWER_ITERATIONS and eigenvalue <= previous * 1.005:
            break
    return 1.2 * eigenvalue


# --------------------------------------------------------------------------------------------
# One step on a vector


@jit
def update_vector(rule, theta, gradient, first, second, rate, momentum, beta_1, beta_2, epsilon, t):
    """Make update ``t`` (from 1) of 1-D ``theta`` in place, along a gradient that the caller brings."""
    bias_1 = bias_2 = 1.0
    if rule == ADAM:
        bias_1, bias_2 = bias_correction(beta_1, t), bias_correction(beta_2, t)
    for j in range(theta.shape[0]):
        theta[j], first[j], second[j] = update(
            rule, theta[j], gradient[j], first[j], second[j],
            rate, momentum, beta_1, beta_2, epsilon, bias_1, bias_2,
        )  # fmt: skip
