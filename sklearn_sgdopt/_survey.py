"""The first pass over chunks: everything that training has to know of samples that are not at hand."""

from collections import Counter
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_sgdopt import _curvature
from sklearn_sgdopt._chunked import Source, placed
from sklearn_sgdopt._coordinates import Coordinates
from sklearn_sgdopt._kernels import Samples, sampled_rows
from sklearn_sgdopt._observation import (
    RENEWED,
    center_of,
    may_run_on_moments,
    moments_of,
    new_coordinates,
)
from sklearn_sgdopt._problem import Chunked
from sklearn_sgdopt._samples import LOOKED_AT, sampling_stride
from sklearn_sgdopt._settings import Settings
from sklearn_sgdopt._statistics import Moments
from sklearn_sgdopt._validation import check_spread

TARGETS = 1 << 17  # kept at least, of which medians and quantiles are taken
LEAST_OF_A_PART = 512  # samples kept by each of many surveys that are to be merged
STEEP = 128  # samples kept that may be the steepest of all


class Thinned:
    """One sample in so many, as many as are kept: always the same ones.

    Of a single chunk they are the samples that `sampling_stride` has.
    """

    def __init__(self, least: int) -> None:
        self.least, self.stride, self.waiting = least, 0, 0
        self.parts: list[tuple[Any, np.ndarray, np.ndarray | None]] = []

    def take(self, X: Any, y: np.ndarray, weight: np.ndarray | None, stride: int = 1) -> None:
        """Take part of a chunk; ``stride`` is that of the first."""
        first = self.stride == 0
        self.stride = stride if first else self.stride
        total = len(y)
        if total >= self.stride:
            rows = sampled_rows(total, self.stride)
        else:  # one sample of several short chunks
            self.waiting += total
            if self.waiting < self.stride:
                return
            self.waiting -= self.stride
            rows = np.array([self.waiting % total])
        self.parts.append(tuple(None if part is None else part[rows] for part in (X, y, weight)))  # type: ignore[arg-type]
        if not first:
            self.limit()

    def merge(self, other: "Thinned") -> None:
        """Take what another has kept of the samples that follow."""
        stride = max(self.stride, other.stride)
        for one in (self, other):
            one.thin(stride // one.stride)
        self.parts += other.parts
        self.limit()

    def limit(self) -> None:
        """Keep less than twice as many as have to be."""
        kept = sum(len(part[1]) for part in self.parts)
        if kept > 2 * self.least:
            self.thin(kept // self.least)

    def thin(self, step: int) -> None:
        """Keep one sample in ``step`` of those that are kept."""
        if step > 1:
            rows = sampled_rows(sum(len(part[1]) for part in self.parts), step)
            self.parts = [tuple(None if part is None else part[rows] for part in self.joined())]  # type: ignore[list-item]
            self.stride *= step

    def joined(self) -> tuple[Any, np.ndarray, np.ndarray | None]:
        """Return what is kept."""
        return joined(self.parts)


def joined(
    parts: list[tuple[Any, np.ndarray, np.ndarray | None]],
) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """Return X, y and weights of parts one below the other; where some have no weights, these are 1."""
    if len(parts) == 1:
        return parts[0]
    X, y, weight = zip(*parts, strict=True)
    weights = None
    if any(part is not None for part in weight):
        weights = np.concatenate(
            [np.ones(len(b)) if w is None else w for b, w in zip(y, weight, strict=True)]
        )
    return stacked(X), np.concatenate(y), weights


def stacked(parts: Any) -> Any:
    """Return samples one below the other."""
    if sparse.issparse(parts[0]):
        return sparse.csr_array(sparse.vstack(parts, format="csr"))
    return np.concatenate(parts)


class Survey:
    """Takes in one chunk after another, or what other surveys have found.

    Parameters
    ----------
    settings : Settings
        The parameters, resolved.
    parts : int
        How many surveys are to be merged: each then keeps fewer samples.
    """

    def __init__(self, settings: Settings, parts: int = 1) -> None:
        self.settings = settings
        self.total, self.mass, self.curvature = 0, 0.0, 0.0
        self.lengths: Counter[int] = Counter()
        self.looked_at, self.targets = (
            Thinned(min(least, max(2 * least // parts, LEAST_OF_A_PART))) for least in (LOOKED_AT, TARGETS)
        )
        self.moments: Moments | None = None
        self.coordinates: Coordinates | None = None
        self.mass_of_coordinates = 0.0
        self.steep: tuple[Any, np.ndarray, np.ndarray | None] | None = None

    def take(self, samples: Samples, names: Any) -> None:
        """Take in a chunk."""
        self.total += samples.total
        self.lengths[samples.total] += 1
        self.mass += float(samples.mean_weight * samples.total)
        self.looked_at.take(
            samples.X, samples.y, samples.weight, sampling_stride(samples, self.looked_at.least)
        )
        self.targets.take(samples.y, samples.y, samples.weight)
        chunk = moments_of(samples, self.settings, names)
        if chunk is None:
            return
        self.moments = chunk if self.moments is None else self.moments.merged(chunk)
        self.check_spread(names, samples.features)
        if self.settings.rule.rate is None:
            self._take_curvature(samples, chunk, self.moments)

    def _take_curvature(self, samples: Samples, chunk: Moments, now: Moments) -> None:
        """Take in L, where moments do not tell, and the samples that may be the steepest.

        The coordinates are those of what is known so far: final ones come with the last chunk. Samples that
        are steep in these are in those as well, and 128 leave room for doubt.
        """
        settings, intercept = self.settings, self.settings.frame.fit_intercept
        at = self.coordinates
        if at is None or (settings.frame.standardize and now.mass >= RENEWED * self.mass_of_coordinates):
            at = Coordinates.plain(samples.features)
            if settings.frame.standardize:
                at = new_coordinates(now, samples, settings, least=0.0)
            at = at._replace(center=center_of(now, settings, samples))
            self.coordinates, self.mass_of_coordinates = at, now.mass
        if not chunk.is_full:
            latest = _curvature.of_samples(samples, at, intercept=intercept)
            self.curvature += chunk.mass / now.mass * (latest - self.curvature)
        if settings.rule.solver == "gd":
            return
        rows = _curvature.steepest(samples, at, STEEP, intercept=intercept)
        weight = np.ones(samples.total) if samples.weight is None else samples.weight
        found = samples.X[rows], samples.y[rows], weight[rows]
        if self.steep is not None:
            pairs = zip(self.steep, found, strict=True)
            found = tuple(stacked(pair) for pair in pairs)
            rows = _curvature.steepest(Samples(*found), at, STEEP, intercept=intercept)
            found = tuple(part[rows] for part in found)
        self.steep = found

    def merge(self, other: "Survey") -> None:
        """Take in what another has found of samples that follow."""
        self.curvature += other.mass / (self.mass + other.mass) * (other.curvature - self.curvature)
        self.total, self.mass = self.total + other.total, self.mass + other.mass
        self.lengths += other.lengths
        self.looked_at.merge(other.looked_at)
        self.targets.merge(other.targets)
        if self.moments is not None and other.moments is not None:
            self.moments = self.moments.merged(other.moments)
        if self.steep is not None and other.steep is not None:
            self.steep = joined([self.steep, other.steep])

    def check_spread(self, names: Any, features: int) -> None:
        """Refuse columns whose squares overflow."""
        if self.moments is not None:
            check_spread("X", self.moments.variance[:features], names)
            check_spread("y", self.moments.variance[features:], None)

    def steepest(self, mean_weight: float) -> Samples | None:
        """Return the samples that may be the steepest of all."""
        return None if self.steep is None else Samples(*self.steep, mean_weight)


def survey(source: Source, settings: Settings) -> tuple[tuple[Any, np.ndarray, np.ndarray | None], Chunked]:
    """Make the first pass; return the samples that are kept at hand and what is known of all."""
    once = settings.rule.solver == "gd" and settings.target.is_squared
    if source.is_once and not once:
        source.refuse_second_pass()
    source.shuffles = settings.shuffle
    found = Survey(settings)
    for samples in source:
        if source.is_once and not may_run_on_moments(samples, settings):
            source.refuse_second_pass()
        with placed(source.place):
            found.take(samples, source.columns.names)
    if found.total == 0:
        if source.like is None:
            raise ValueError("chunks is empty: it gave no chunk of samples.")
        raise ValueError("Sample weights must contain at least one non-zero number; all are zero.")
    if source.is_once and samples.features > found.total:
        source.refuse_second_pass()
    source.mean_weight = found.mass / found.total
    _, y, weight = found.targets.joined()
    steepest = found.steepest(source.mean_weight)
    chunked = Chunked(
        source, found.total, found.lengths, (y, weight), found.moments, found.curvature, steepest
    )
    return found.looked_at.joined(), chunked
