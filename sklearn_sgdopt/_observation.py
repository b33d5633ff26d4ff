"""What samples say before training: statistics, then coordinates, then the rate."""

from typing import Any

import numpy as np

from sklearn_sgdopt import _curvature
from sklearn_sgdopt._coordinates import WIDEST_WHITE, Coordinates
from sklearn_sgdopt._kernels import Samples
from sklearn_sgdopt._losses import robust_spread
from sklearn_sgdopt._problem import Problem
from sklearn_sgdopt._settings import Settings
from sklearn_sgdopt._state import FIRST, State
from sklearn_sgdopt._statistics import Curvature, Moments
from sklearn_sgdopt._validation import check_spread

LEAST_IN_STREAMS = 3e-5  # eigenvalue of correlations that whitening blows up before all of a stream is known
RENEWED = 1.1  # times the weight of before, from which scales and whitening are made anew


def observe(state: State, problem: Problem) -> Moments | None:
    """Take the samples into the statistics; move the state to the coordinates and the rate that these give.

    Returns the moments of these samples, where somebody asks for them.
    """
    settings, samples, chunks = problem.settings, problem.samples, problem.chunks
    chunk = chunks.moments if chunks is not None else moments_of(samples, settings, problem.names)
    before = state.moments
    if chunk is not None:
        state.moments = before.merged(chunk) if before.mass > 0.0 else chunk
    state.move_to(_coordinates(state, before, problem), solver=settings.rule.solver)
    if settings.target.loss.width > 0.0:
        known = state.width_spread > 0.0
        y, weight = problem.targets
        spread = robust_spread(y, weight)
        if not settings.frame.fit_intercept:  # a constant is then something to learn
            size = np.average(np.abs(y), axis=0, weights=weight)
            spread = np.where(spread > 0.0, spread, size)
        state.width_spread = np.where(known, state.width_spread, spread)
    if chunk is not None and settings.rule.rate is None:
        # A chunk that leaves the moments as they are is a sample of just what the coordinates are made of.
        is_all = before.mass == 0.0 or state.moments.second is before.second
        _set_rate(state, chunk, problem, is_all=is_all)
    return chunk


def runs_on_moments(problem: Problem) -> bool:
    """Whether epochs are to run on second moments: those of "gd" on squared error."""
    fits = problem.samples.features <= problem.total
    return fits and may_run_on_moments(problem.samples, problem.settings)


def may_run_on_moments(samples: Samples, settings: Settings) -> bool:
    """Whether that holds as soon as there are as many samples as features."""
    is_narrow = not samples.is_sparse and samples.features <= WIDEST_WHITE
    return is_narrow and settings.rule.solver == "gd" and settings.target.is_squared


def moments_of(samples: Samples, settings: Settings, names: Any) -> Moments | None:
    """Return the moments of the samples, with covariances where those are of use."""
    frame, features = settings.frame, samples.features
    whitens = frame.whitens(features, is_sparse=samples.is_sparse, l1=settings.target.penalty.l1)
    if not (frame.standardize or settings.rule.rate is None or may_run_on_moments(samples, settings)):
        return None
    full = whitens or features <= WIDEST_WHITE
    moments = Moments.of(samples, full=full)
    variance, mean = moments.variance, moments.mean
    if not (frame.standardize or settings.rule.rate is None or np.isfinite(variance.sum())):
        return None  # epochs on the samples tell of divergence
    is_centred = frame.standardize and frame.fit_intercept
    check_spread("X", (variance if is_centred else variance + mean * mean)[:features], names)
    check_spread("y", variance[features:], None)
    return moments


def _coordinates(state: State, before: Moments, problem: Problem) -> Coordinates:
    """Return the coordinates for the samples seen; scales and whitening change with their weight only."""
    settings, samples, now, old = problem.settings, problem.samples, state.moments, state.coordinates
    frame, features = settings.frame, samples.features
    if not frame.standardize:
        return Coordinates.plain(features) if problem.is_changed else old
    same = before.mass == state.mass_of_scale > 0.0 and now.second is before.second
    if problem.is_changed or not (same or now.mass < RENEWED * state.mass_of_scale):
        new = new_coordinates(now, samples, settings, least=LEAST_IN_STREAMS if problem.stream else 0.0)
        state.mass_of_scale = now.mass
    else:
        new = old
        state.mass_of_scale = now.mass if same else state.mass_of_scale
    center = center_of(now, settings, samples)
    return new if (center == new.center).all() else new._replace(center=center)


def new_coordinates(now: Moments, samples: Samples, settings: Settings, *, least: float) -> Coordinates:
    """Return scaled or white coordinates about zero, as the settings ask for."""
    frame, penalty, features = settings.frame, settings.target.penalty, samples.features
    smallest = float(np.finfo(samples.X.dtype).tiny)  # its inverse is a number of that type
    new = Coordinates.standard(now, features, intercept=frame.fit_intercept, least=smallest)
    if now.is_full and frame.whitens(features, is_sparse=samples.is_sparse, l1=penalty.l1):
        new = new.whitened(now, intercept=frame.fit_intercept, l2=penalty.l2, least=least)
    return new


def center_of(now: Moments, settings: Settings, samples: Samples) -> np.ndarray:
    """Return what the intercept is to be about."""
    if not settings.frame.fit_intercept or samples.is_sparse:
        return np.zeros(samples.features)
    return now.mean[: samples.features].copy()


def _set_rate(state: State, chunk: Moments, problem: Problem, *, is_all: bool) -> None:
    """Find the automatic rate; a velocity made of longer steps goes on at the length of the new ones."""
    settings, samples, chunks = problem.settings, problem.samples, problem.chunks
    rule, intercept, batches = settings.rule, settings.frame.fit_intercept, problem.batches
    at, features = state.coordinates, samples.features
    if not chunk.is_full:
        latest = (
            _curvature.of_samples(samples, at, intercept=intercept) if chunks is None else chunks.curvature
        )
        part = chunk.mass / state.moments.mass
        shared = state.curvature + part * (latest - state.curvature)
    else:
        shared = 2.0 * float(intercept or at.scale[:-1].any())
        if at.whitening is None:
            shared = _curvature.of_moments(state.moments, at, features, intercept=intercept)
        latest = (
            shared
            if is_all or chunks is not None
            else _curvature.of_moments(chunk, at, features, intercept=intercept)
        )
    state.curvature = shared
    single = typical = 0.0
    if not batches.is_exact and rule.solver != "gd":
        if chunks is None:
            single, typical = _curvature.of_single(samples, at, intercept=intercept)
        elif chunks.steepest is not None:
            single = _curvature.of_single(chunks.steepest, at, intercept=intercept)[0]
            typical = _curvature.typical_of_moments(chunk, at, features, intercept=intercept)
    excess = max(0.0, min(1.0, problem.total / batches.nominal) * latest - shared)
    l2 = 0.0 if at.whitening is not None else settings.target.penalty.l2
    rates = rule.automatic_rates(
        Curvature(shared, single, typical, excess), settings.target.loss, batches, l2
    )
    if state.t > 0:  # what a velocity has still to go does not grow with the rate
        before, now = state.rates.rate, rates.rate
        if at.whitening is not None and settings.target.loss.is_smooth:
            before, now = (rule.rate_in_force(r, state.age) for r in (state.rates, rates))
        state.buffers[FIRST] *= min(1.0, before / now)
    state.rates = rates


def safe_rate(state: State, problem: Problem) -> float:
    """Return the automatic rate for these samples, in units of y's spread for "adam"."""
    settings, samples, at = problem.settings, problem.samples, state.coordinates
    intercept, features = settings.frame.fit_intercept, samples.features
    full = features <= WIDEST_WHITE
    moments = Moments.of(samples, full=full)
    if not np.isfinite(moments.variance.sum()):
        return 0.0
    if full:
        shared = _curvature.of_moments(moments, at, features, intercept=intercept)
    else:
        shared = _curvature.of_samples(samples, at, intercept=intercept)
    curvature = Curvature(shared, *_curvature.of_single(samples, at, intercept=intercept))
    rate = settings.rule.automatic_rates(
        curvature, settings.target.loss, problem.batches, settings.target.penalty.l2
    ).rate
    spread = float(np.sqrt(moments.variance[features:]).max())
    has_unit = settings.rule.solver == "adam" or not settings.target.loss.is_smooth
    return rate * spread if has_unit else rate
