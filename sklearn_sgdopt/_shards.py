"""Shards: parts of all samples that are trained on elsewhere, by functions of arrays that answer with arrays.

What a function returns depends on its arguments alone: it may run anywhere, and again.
"""

import copy
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from threadpoolctl import ThreadpoolController

from sklearn_sgdopt import _kernels
from sklearn_sgdopt._chunked import Source
from sklearn_sgdopt._columns import Columns
from sklearn_sgdopt._engine import Descent, SampleEpochs
from sklearn_sgdopt._kernels import Samples
from sklearn_sgdopt._settings import Settings
from sklearn_sgdopt._state import State
from sklearn_sgdopt._statistics import Moments
from sklearn_sgdopt._survey import Survey, joined
from sklearn_sgdopt._validation import check_weights

Chunk = Sequence[Any]  # X, y and perhaps weights of a partition, as the user has them


class Shard(NamedTuple):
    """Validated samples; their weights count among themselves."""

    X: Any
    y: np.ndarray
    weight: np.ndarray | None

    @property
    def samples(self) -> Samples:
        """The samples as the kernels take them."""
        return Samples(self.X, self.y, self.weight)


class Facts(NamedTuple):
    """What partitions must have in common; ``place`` is one that has it."""

    place: str
    n_features: int
    names: tuple[Any, ...] | None
    outputs: int
    single: bool
    is_sparse: bool

    def refuse_other(self, other: "Facts") -> None:
        """Refuse samples that are not of the same form."""
        words = (
            ("{} features", self.n_features, other.n_features),
            ("the feature names {}", self.names, other.names),
            ("{} outputs", self.outputs, other.outputs),
            ("is_sparse={}", self.is_sparse, other.is_sparse),
        )
        for what, here, there in words:
            if here != there:
                raise ValueError(
                    f"{self.place} has {what.format(here)} and {other.place} has {what.format(there)}; "
                    "all partitions must have the same."
                )


@dataclass
class Found:
    """What surveys of shards have found: all of them together, and the mass and the means of each."""

    survey: Survey | None = None
    facts: Facts | None = None
    totals: list[int] = field(default_factory=list)
    masses: list[float] = field(default_factory=list)
    means: list[np.ndarray] = field(default_factory=list)

    def merge(self, other: "Found") -> None:
        """Take in what was found in shards that follow."""
        self.totals += other.totals
        self.masses += other.masses
        self.means += other.means
        if other.survey is None or other.facts is None:
            return
        if self.survey is None or self.facts is None:
            self.survey, self.facts = other.survey, other.facts
            return
        self.facts.refuse_other(other.facts)
        self.survey.merge(other.survey)

    def between(self) -> np.ndarray:
        """Return the part of each column's variance (d + k,) that lies between the shards."""
        moments = None if self.survey is None else self.survey.moments
        if moments is None or not self.means:
            return np.zeros(0)
        mass = np.array([m for m in self.masses if m > 0.0])
        share, means = mass / mass.sum(), np.array(self.means)
        gaps = means - share @ means
        spread = moments.spread() ** 2
        return np.divide(share @ gaps**2, spread, out=np.zeros_like(spread), where=spread > 0.0)


class Start(NamedTuple):
    """What a shard's epoch starts from and ends with."""

    buffers: np.ndarray
    root: np.ndarray
    random: np.ndarray
    t: int
    age: float


class Epoch(NamedTuple):
    """An epoch of a shard: where it ended, the mean loss met, and whether it diverged."""

    end: Start
    loss: float
    diverged: bool


class _OneThread:
    """Lets BLAS use one thread as long as a task of this process computes: tasks are the threads."""

    def __init__(self) -> None:
        self._lock, self._tasks = threading.Lock(), 0
        self._controller: Any = None
        self._limits: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._tasks == 0:
                # To find the libraries takes longer than a task may.
                self._controller = self._controller or ThreadpoolController()
                self._limits = self._controller.limit(limits=1)
            self._tasks += 1

    def __exit__(self, *_: Any) -> None:
        with self._lock:
            self._tasks -= 1
            if self._tasks == 0:
                self._limits.restore_original_limits()


one_thread = _OneThread()


def n_samples(part: Any) -> int:
    """Return the number of samples of a part of a chunk."""
    return int(part.shape[0] if getattr(part, "shape", None) else len(part))


def only(chunks: Sequence[Any], places: Sequence[str]) -> Any:
    """Return the only chunk there is."""
    (chunk,) = chunks
    return chunk


def count(chunk: Any) -> int:
    """Return the number of samples of a chunk; what is no chunk is refused when it is loaded."""
    return n_samples(chunk[0]) if isinstance(chunk, tuple | list) and chunk else 0


def _is_empty(chunk: Chunk) -> bool:
    parts = chunk if isinstance(chunk, tuple | list) else []
    return len(parts) > 0 and all(hasattr(part, "__len__") and n_samples(part) == 0 for part in parts)


def load(chunks: Sequence[Chunk], *, places: Sequence[str], like: Any, outputs: int | None) -> Any:
    """Return the shard of some chunks and its facts, or None for each if they hold no samples.

    ``like`` is the class of the estimator and what it knows of X. Empty chunks are left out; the others are
    checked, and refused by their place.
    """
    kind, known = like
    columns = Columns(kind, known)
    real = [i for i, chunk in enumerate(chunks) if not _is_empty(chunk)]
    source = Source([chunks[i] for i in real], None, columns, outputs, lambda k: places[real[k]])
    parts = [(samples.X, samples.y, samples.weight) for samples in source]
    if not parts:
        return None, None
    names = columns.names
    X, y, weight = joined(parts)
    return Shard(X, y, weight), Facts(
        places[real[0]],
        X.shape[1],
        None if names is None else tuple(names),
        y.shape[1],
        source.single,
        sparse.issparse(X),
    )


def find(loaded: tuple[Shard | None, Facts | None], settings: Settings, parts: int) -> Found:
    """Return what a survey finds in one of so many shards."""
    shard, facts = loaded
    if shard is None or facts is None:
        return Found(totals=[0], masses=[0.0])
    survey, samples = Survey(settings, parts), shard.samples
    with one_thread:
        survey.take(samples, None if facts.names is None else np.array(facts.names, dtype=object))
    survey.coordinates = None  # need not travel
    if parts > 1:
        survey.looked_at.limit()
        survey.targets.limit()
    means = [] if survey.moments is None else [survey.moments.mean]
    return Found(survey, facts, [samples.total], [survey.mass], means)


def weigh(loaded: tuple[Shard | None, Facts | None]) -> Found:
    """Return the number and the weight of samples alone."""
    samples = None if loaded[0] is None else loaded[0].samples
    if samples is None:
        return Found(totals=[0], masses=[0.0])
    return Found(totals=[samples.total], masses=[samples.mean_weight * samples.total])


def load_and_find(chunks: Sequence[Chunk], *, settings: Settings, parts: int, **known: Any) -> Found:
    """Return what a survey finds in a shard that is not kept."""
    return find(load(chunks, **known), settings, parts)


def merge(found: Sequence[Found]) -> Found:
    """Return what was found in shards that follow each other."""
    result = Found()
    for one in found:
        result.merge(one)
    return result


def light(descent: Descent) -> Descent:
    """Return what a shard has to know of a descent, besides where it starts."""
    state = State.start(descent.state.outputs, descent.state.features, 0)
    state.coordinates = descent.state.coordinates
    state.moments = Moments(np.zeros(0), np.zeros(0), 0.0)
    return descent._replace(state=state, reported=np.zeros(0), trace=None)


def run_epoch(loaded: tuple[Shard, Facts], descent: Descent, start: Start, factor: float) -> Epoch:
    """Make an epoch over the samples of a shard; ``factor`` is what a schedule has left of the rate."""
    state = descent.state.copy()
    state.buffers, state.root, state.random = (np.array(values) for values in start[:3])
    state.t, state.age = start.t, start.age
    rule = copy.copy(descent.rule)  # other tasks of this worker have the same one
    rule.factor = factor
    engine = SampleEpochs(descent._replace(state=state, rule=rule), loaded[0].samples, map)
    (loss,) = engine.run(1)
    end = Start(state.buffers, state.root, state.random, state.t, state.age)
    return Epoch(end, loss, engine.diverged)


def sums(loaded: tuple[Shard, Facts], descent: Descent, slope: np.ndarray) -> Any:
    """Return gradient, losses and roots of residuals of a shard at ``slope``, means each."""
    center = descent.state.coordinates.center
    return _kernels.whole_sums(loaded[0].samples, center, slope, descent.objective)


def residual_moments(chunks: Sequence[Chunk], *, places: Sequence[str], model: Any) -> Moments:
    """Return the moments of targets and residuals of a chunk; of one that is empty only that."""
    chunk = only(chunks, places)
    if _is_empty(chunk):
        return Moments(np.zeros(0), np.zeros(0), 0.0)
    X, y, weight = (*chunk, None)[:3]
    predicted = model.predict(X)
    target = np.asarray(y, dtype=np.float64).reshape(len(predicted), -1)
    residual = target - predicted.reshape(target.shape)
    weight = check_weights(weight, len(target))
    return Moments.of(Samples(np.ascontiguousarray(target), residual, weight), full=False)
