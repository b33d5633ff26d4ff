"""Epochs with batches so large that their gradient is summed in parts, by as many threads as there are."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sklearn_sgdopt._lazy import kernels
from sklearn_sgdopt._rows import is_sparse
from sklearn_sgdopt._threads import Map, ordered_map

PARTS = 16  # of a batch, whatever the number of threads: sums do not depend on it
GRADIENTS_WEIGH = 8  # times the work of summing gradients that a batch must be
LEAST_VALUES = 1 << 20  # products in a batch from which handing out parts costs nothing that shows

# Takes room for losses and the number of epochs made; returns epochs run, the update count, the outcome.
Run = Callable[[np.ndarray, int], tuple[int, int, int]]


def pays_in_parts(rows: Any, batch_size: int, shape: tuple[int, ...]) -> bool:
    """Whether a batch is large enough to be summed in parts, and to outweigh the gradients of the parts."""
    outputs, width = shape
    values = rows.data.size / len(rows.y) if is_sparse(rows) else width
    products = batch_size * outputs * values
    return products >= LEAST_VALUES and products >= GRADIENTS_WEIGH * PARTS * outputs * width


def run_in_parts(
    n_jobs: int | None,
    state: Any,
    rows: Any,
    coordinates: Any,
    parameters: Any,
    saved: np.ndarray,
    objective: Any,
    rule: Any,
    plan: Any,
    order: Any,
    watch: np.ndarray,
    trace: np.ndarray,
) -> Run:
    """Return the function that runs epochs as `_kernels.train` does, with each batch summed in parts."""
    k = kernels()
    total = len(rows.y)
    outputs = len(state.theta)
    scale = 1.0 / (rows.mean_weight * total * outputs)
    gradients, losses_of_parts = np.zeros((PARTS, *state.theta.shape)), np.empty(PARTS)
    squares = np.empty((PARTS, outputs))

    def bounds_of_parts(start: int, stop: int) -> np.ndarray:
        return np.linspace(start, stop, PARTS + 1).astype(np.int64)

    def sum_parts(start: int, stop: int, threads: int, each: Map) -> float:
        bounds = bounds_of_parts(start, stop)

        def sum_some(first: int) -> None:
            k.accumulate_parts(
                rows, coordinates, parameters, objective, order, bounds, gradients, losses_of_parts,
                first, threads,
            )  # fmt: skip

        for _ in each(sum_some, range(threads)):
            pass
        return float(losses_of_parts.sum())

    def find_rates(t: int, threads: int, each: Map) -> None:
        bounds = bounds_of_parts(0, total)
        squares[...] = 0.0
        k.fill_directions(parameters, coordinates, rule.line)

        def sum_some(first: int) -> None:
            k.add_squares_of_parts(
                rows, coordinates, parameters.slope, rule.line[k.INTERCEPT], bounds, squares, first, threads
            )

        for _ in each(sum_some, range(threads)):
            pass
        rule.line[k.SQUARES] = squares.sum(axis=0)
        k.fill_rates(rule, objective, rows.mean_weight * total, t)

    def epoch(t: int, threads: int, each: Map) -> tuple[float, int]:
        if plan.shuffle:
            k.shuffle_rows(order)
        loss = 0.0
        for start in range(0, total, plan.batch_size):
            stop = min(start + plan.batch_size, total)
            t += 1
            share = k.share_of_batch(plan, stop - start)
            factor = share / ((stop - start) * rows.mean_weight)
            loss += sum_parts(start, stop, threads, each)
            k.join_parts(parameters, coordinates, objective, plan, gradients, factor, share)
            if rule.relaxation > 0.0:
                find_rates(t, threads, each)
            k.finish_batch(parameters, coordinates, objective, rule, plan, factor, share, t, trace)
            if not loss * scale <= plan.loss_limit:
                break
        return loss * scale, t

    def run(losses: np.ndarray, done: int) -> tuple[int, int, int]:
        t = state.t
        with ordered_map(n_jobs, most=PARTS) as (threads, each):
            for index in range(len(losses)):
                k.copy_parameters(state.stack, saved)
                losses[index], after = epoch(t, threads, each)
                status, losses[index] = k.judge(
                    rows, coordinates, parameters, state.stack, saved, objective, plan, order,
                    losses[index], watch, done + index + 1,
                )  # fmt: skip
                if status == k.DIVERGED:
                    return index + 1, t, status
                t = after
                if status == k.CONVERGED:
                    return index + 1, t, status
        return len(losses), t, k.EXHAUSTED

    return run
