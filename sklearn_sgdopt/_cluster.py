"""The engine on Dask: plain tasks, nothing pinned, each a function of its arguments.

Dask runs again what was lost with a worker, and the result is the same to the last bit.
"""

import time
import uuid
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import dask
import dask.array
import numpy as np
from dask.core import flatten
from dask.delayed import Delayed
from dask.optimization import cull
from distributed import CancelledError, Client, Future, wait

from sklearn_sgdopt import _shards
from sklearn_sgdopt._engine import ChunkEpochs, Descent, Epochs, WholeEpochs
from sklearn_sgdopt._kernels import Samples
from sklearn_sgdopt._problem import Chunked
from sklearn_sgdopt._settings import Settings
from sklearn_sgdopt._shards import Epoch, Facts, Found, Start

LEAST_SAMPLES = 100_000  # of a shard: accuracy goes with the updates of each
FAN_IN = 16  # surveys that a task merges
WORDS = 2**64


class Partitions(NamedTuple):
    """Lazy chunks, as a graph of Dask: one dictionary, for a call for each partition would take seconds.

    Parameters
    ----------
    graph : dict
        The tasks that make the parts.
    parts : list
        For each partition what gives X, y and perhaps weights: keys of the graph, futures or arrays; or the
        one key or future of all of them.
    lengths : sequence of int or None
        How many samples each has, where that is known.
    """

    graph: dict[Any, Any]
    parts: list[Any]
    lengths: Sequence[int] | None = None

    def compute(self, client: Client, task: Any, groups: Iterable[Sequence[int]]) -> list[Future]:
        """Start a task for each group of partitions; it is called with their chunks and their places."""
        name, graph, keys = f"{task_name(task)}-{uuid.uuid4().hex}", dict(self.graph), []
        for i, group in enumerate(groups):
            keys.append((name, i))
            places = [f"partition {j}" for j in group]
            graph[name, i] = (partial(task, places=places), [self.parts[j] for j in group])
        graph, _ = cull(graph, keys)
        return list(client.get(graph, keys, sync=False))


def task_name(task: Any) -> str:
    """Return the name of a task on Dask's dashboard."""
    return str(getattr(task, "func", task).__name__)


def partitions_of(X: Any, y: Any = None, sample_weight: Any = None) -> Partitions:
    """Return the partitions of Dask collections, or of a list of delayed chunks."""
    if isinstance(X, list | tuple) and y is None and sample_weight is None:
        return partitions_of_list(X)
    given = {"X": X, "y": y, "sample_weight": sample_weight}
    collections = {name: value for name, value in given.items() if value is not None or name == "y"}
    for name, value in collections.items():
        if not hasattr(value, "to_delayed"):
            raise TypeError(
                f"{name} is a {type(value).__name__}; expected dask arrays or data frames X and y, or a list "
                "of delayed (X, y) alone. GradientDescentRegressor takes what is in memory; "
                "dask.array.from_array(X, chunks=...) spreads it over a cluster."
            )
    arrays = all(isinstance(value, dask.array.Array) for value in collections.values())
    known = arrays and not any(np.isnan(value.chunks[0]).any() for value in collections.values())
    if known:
        totals = {name: value.shape[0] for name, value in collections.items()}
        if len(set(totals.values())) > 1:
            raise ValueError(f"expected as many samples in each; got {said(totals)}.")
        collections = {name: value.rechunk({0: X.chunks[0]}) for name, value in collections.items()}
    graph: dict[Any, Any] = {}
    keys = {name: keys_of(value, graph) for name, value in collections.items()}
    numbers = {name: len(value) for name, value in keys.items()}
    if len(set(numbers.values())) > 1:
        raise ValueError(
            f"expected as many partitions in each; got {said(numbers)}. Give them the same ones with "
            "rechunk or repartition, or compute unknown chunk sizes with compute_chunk_sizes()."
        )
    parts = [list(part) for part in zip(*keys.values(), strict=True)]
    return Partitions(graph, parts, X.chunks[0] if known else None)


def partitions_of_list(chunks: Sequence[Any]) -> Partitions:
    """Return the partitions of delayed chunks, or of tuples with something delayed in them."""
    graph: dict[Any, Any] = {}
    seen: dict[int, Any] = {}  # graphs, of which several delayed objects may be made

    def part_of(value: Any) -> Any:
        if not isinstance(value, Delayed):
            return value
        tasks = value.__dask_graph__()
        if id(tasks) not in seen:
            seen[id(tasks)] = tasks
            graph.update(tasks)
        return value.key

    parts = []
    for chunk in chunks:
        several = isinstance(chunk, tuple) and any(isinstance(value, Delayed | Future) for value in chunk)
        if not (several or isinstance(chunk, Delayed | Future)):
            raise TypeError(
                "expected a list of delayed (X, y) or (X, y, sample_weight); "
                f"got a {type(chunk).__name__} in it."
            )
        parts.append([part_of(value) for value in chunk] if several else part_of(chunk))
    if not parts:
        raise TypeError("expected a list of delayed (X, y) or (X, y, sample_weight); got no partition.")
    return Partitions(graph, parts)


def said(numbers: dict[str, int]) -> str:
    """Put numbers into words."""
    return ", ".join(f"{number} in {name}" for name, number in numbers.items())


def keys_of(collection: Any, graph: dict[Any, Any]) -> list[Any]:
    """Return the keys of the partitions and add their tasks; columns in several chunks are joined.

    The graph is as it was written: optimized, Dask joins partitions of few columns, and makes twice what X
    and y are both made of.
    """
    if isinstance(collection, dask.array.Array) and collection.ndim > 1 and collection.numblocks[1] > 1:
        collection = collection.rechunk({1: -1})
    graph.update(collection.__dask_graph__())
    return list(flatten(collection.__dask_keys__()))


def current_client(client: Client | None) -> Client:
    """Return the client, or the current one."""
    if client is None:
        client = Client.current() if has_current() else None
    if client is None:
        raise ValueError(
            "There is no Dask client: start one, for this machine with "
            "`from dask.distributed import Client; client = Client()`, or pass it as `client`."
        )
    return client


def has_current() -> bool:
    """Whether there is a current client."""
    try:
        Client.current()
    except ValueError:
        return False
    return True


def results(client: Client, futures: Sequence[Future]) -> list[Any]:
    """Return the results of futures; raise where there are no workers to compute them, or data are lost."""
    patience = dask.utils.parse_timedelta(dask.config.get("distributed.comm.timeouts.connect"))
    since = None
    with client.as_current():  # `wait` would take another one
        while True:
            try:
                wait(futures, timeout=patience / 4.0)
                return list(client.gather(futures))
            except CancelledError as error:
                raise RuntimeError(
                    "Dask cannot compute parts of the data again: the scheduler was closed, or the data were "
                    "scattered and the worker that held them is gone. Load data by tasks (delayed, "
                    "dask.array, dask.dataframe), which Dask repeats."
                ) from error
            except TimeoutError:
                now = time.monotonic()
                since = None if client.nthreads() else since or now
                if since is not None and now - since >= patience / 2.0:
                    raise RuntimeError(
                        f"The cluster has had no workers for {now - since:.0f} s or longer. Start some, for "
                        "example with cluster.scale(2), or raise Dask's setting "
                        "distributed.comm.timeouts.connect if they take longer to start."
                    ) from None


class Shards:
    """Samples on a cluster, as shards of its partitions.

    Partition i belongs to shard ``i % count``: where partitions follow an order, such as that of time, shards
    are alike all the same.
    """

    def __init__(self, client: Client, partitions: Partitions, count: int | None) -> None:
        self.client, self.partitions = client, partitions
        self._count = count
        self._loaded: Partitions | None = None
        self._known: dict[str, Any] = {}
        self.futures: list[Future] = []
        self.masses = np.zeros(0)

    def count(self) -> int:
        """Return the number of shards."""
        parts = self.partitions.parts
        if self._count is not None:
            return min(self._count, len(parts))
        results(self.client, [self.client.submit(len, (), pure=False)])  # clusters may start workers first
        threads = sum(self.client.nthreads().values())
        lengths = self.partitions.lengths
        if lengths is None and threads > 1:
            loaded = self.partitions.compute(self.client, _shards.only, [[i] for i in range(len(parts))])
            lengths = results(self.client, self.client.map(_shards.count, loaded, pure=False))
            self._loaded = Partitions({}, loaded)
        return max(1, min(threads, sum(lengths or ()) // LEAST_SAMPLES, len(parts)))

    def find(self, settings: Settings, like: Any, outputs: int | None) -> Found:
        """Load the shards, and return what a survey finds in them.

        "gd" with squared error needs no more than that: partitions are then loaded one by one and not kept.
        """
        self._known = {"like": like, "outputs": outputs}
        once = settings.rule.solver == "gd" and settings.target.is_squared
        if once:
            number = len(self.partitions.parts)
            task = partial(_shards.load_and_find, settings=settings, parts=number, **self._known)
            found = self.partitions.compute(self.client, task, [[i] for i in range(number)])
        else:
            self._load()
            number = len(self.futures)
            found = self.client.map(_shards.find, self.futures, settings=settings, parts=number, pure=False)
        while len(found) > 1:
            ahead = [found[i : i + FAN_IN] for i in range(0, len(found), FAN_IN)]
            found = [self.client.submit(_shards.merge, some, pure=False) for some in ahead]
        (result,) = results(self.client, found)
        if not once:
            self._leave_out(result)
        return result

    def _load(self) -> None:
        """Make the shards; partitions are released as soon as their shard is made."""
        count, partitions = self.count(), self._loaded or self.partitions
        groups = [range(i, len(partitions.parts), count) for i in range(count)]
        self.futures = partitions.compute(self.client, partial(_shards.load, **self._known), groups)
        self._loaded = None

    def _leave_out(self, found: Found) -> None:
        """Leave out shards without samples."""
        kept = [i for i, total in enumerate(found.totals) if total]
        self.futures = [self.futures[i] for i in kept]
        self.masses = np.array([found.masses[i] for i in kept])

    def keep(self) -> None:
        """Have shards to train on, also where a survey alone has not sufficed."""
        if self.futures:
            return
        self._load()
        found = self.client.map(_shards.weigh, self.futures, pure=False)
        self._leave_out(_shards.merge(results(self.client, found)))

    def release(self) -> None:
        """Let the cluster forget the shards."""
        self.futures, self._loaded = [], None


class Sharded(Chunked):
    """What is known of shards. An epoch makes as many updates as one of them: they train at the same time."""

    def updates(self, size: int) -> int:
        """Return how many updates of batches of so many samples an epoch makes."""
        shards = sum(self.lengths.values())
        return -(-super().updates(size) // shards)


def sharded(found: Found, shards: Shards, settings: Settings) -> tuple[Any, Chunked, Facts]:
    """Return the samples that are kept at hand, what is known of all of them, and of their form."""
    survey, facts = found.survey, found.facts
    if survey is None or facts is None:
        raise ValueError("There are no samples with a weight: all partitions are empty or weigh nothing.")
    survey.check_spread(facts.names, facts.n_features)
    _, y, weight = survey.targets.joined()
    kept = survey.looked_at.joined()
    is_whole = settings.rule.solver == "gd"
    lengths = [total for total in found.totals if total]

    def engine(descent: Descent, at_hand: Samples) -> Epochs:
        shards.keep()
        return (WholeRounds if is_whole else Rounds)(descent, shards, at_hand)

    known = Sharded(
        passes=(),
        total=survey.total if is_whole else -(-survey.total // len(lengths)),
        lengths=survey.lengths,
        targets=(y, weight),
        moments=survey.moments,
        curvature=survey.curvature,
        steepest=survey.steepest(survey.mass / survey.total),
        engine=engine,
    )
    return kept, known, facts


class Rounds(ChunkEpochs):
    """Epochs on a cluster: each shard runs one from the common state, and their ends are averaged by mass.

    Buffers travel in each round; coordinates, the rule and the rest once.
    """

    def __init__(self, descent: Descent, shards: Shards, looked_at: Samples) -> None:
        super().__init__(descent, (), 0, looked_at, map)
        self._client, self._shards = shards.client, shards.futures
        self._shares = shards.masses / shards.masses.sum()
        self._descent = shards.client.submit(_shards.light, _shards.light(descent), pure=False)

    def epoch(self) -> tuple[int, float, float]:
        """Make a round; return the updates and the age after it, and the mean loss met."""
        state, factor = self.descent.state, self.descent.rule.factor
        more = np.random.default_rng(int(state.random[0])).integers(
            WORDS, size=len(self._shards) - 1, dtype=np.uint64
        )
        # The first shard goes on with the state's random numbers, as a single one does.
        starts = [
            Start(state.buffers, state.root, np.array([word], np.uint64), state.t, state.age)
            for word in (state.random[0], *more)
        ]
        epochs: list[Epoch] = self._answers(_shards.run_epoch, starts, factor=factor)
        self.diverged = any(epoch.diverged for epoch in epochs)
        ends = [epoch.end for epoch in epochs]
        state.buffers[...] = self._mean([end.buffers for end in ends])
        state.root[...] = self._mean([end.root for end in ends])
        state.random = ends[0].random
        t, age = self._mean([end.t for end in ends]), self._mean([end.age for end in ends])
        loss = max(epoch.loss for epoch in epochs) if self.diverged else self._mean([e.loss for e in epochs])
        return round(float(t)), float(age), float(loss)

    def sums(self, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return gradients, losses and roots of residuals of all samples at ``slope``."""
        found = self._answers(_shards.sums, [slope] * len(self._shards))
        gradient, losses, roots = (self._mean([one[i] for one in found]) for i in range(3))
        return gradient, losses, roots

    def _answers(self, task: Any, starts: list[Any], **arguments: Any) -> list[Any]:
        """Return what a task answers for each shard."""
        descents = [self._descent] * len(self._shards)
        futures = self._client.map(task, self._shards, descents, starts, pure=False, **arguments)
        return results(self._client, futures)

    def _mean(self, values: list[Any]) -> Any:
        """Return the mean by mass, summed in the order of the shards."""
        total = self._shares[0] * np.asarray(values[0])
        for share, value in zip(self._shares[1:], values[1:], strict=True):
            total = total + share * np.asarray(value)
        return total


class WholeRounds(Rounds, WholeEpochs):
    """Epochs of "gd" on a cluster: a round is one update, along the sum of the shards' gradients."""

    epoch = WholeEpochs.epoch
