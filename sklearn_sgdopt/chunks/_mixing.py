"""The order of a pass: which chunk each sample goes to, and the memory in which chunks fill up.

Blocks are read one at a time. Neighbours stay together, in runs. Each run goes straight to its place in one
of the chunks that are being filled, and each chunk takes its runs from a window of the blocks read of late.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

# Arrays of as many samples each: X, y and, where there are weights, sample_weight.
Parts = tuple[Any, ...]
Layout = list[tuple[tuple[int, ...], np.dtype]]

# Runs are as long as memory's speed wants. A chunk comes from at least 64 places.
LONGEST_RUN = 256
LEAST_RUNS = 64
# Chunks that are full: one is in use, one waits.
FULL = 2
LINE = 64  # bytes of a cache line


class Piece(Protocol):
    """Contiguous samples as they were read."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def write(self, out: Parts, start: int, places: np.ndarray, run: int, *, past: bool) -> None:
        """Write samples from ``start`` on to ``out``, by runs: each to the rows from its place on.

        ``past`` the caches, where they are needed much later only.
        """


class Deal(NamedTuple):
    """Where the runs of a pass go, in the order in which they are read.

    Parameters
    ----------
    run : int
        Number of samples of a run; the last one may be shorter.
    chunk, slot : ndarray of int
        The chunk that a run goes to, and its place there.
    ready : ndarray of int
        How many runs are read when a chunk, and all before it, is complete.
    """

    run: int
    chunk: np.ndarray
    slot: np.ndarray
    ready: np.ndarray

    @classmethod
    def in_order(cls, samples: int, chunk_rows: int) -> "Deal":
        """Let all samples stay where they are."""
        run = _longest_divisor(chunk_rows, LONGEST_RUN)
        numbers = np.arange(math.ceil(samples / run))
        return cls._of(run, numbers, chunk_rows)

    @classmethod
    def mixed(cls, samples: int, chunk_rows: int, lag: int, rng: np.random.Generator) -> "Deal":
        """Mix so that about ``lag`` samples wait at any time.

        A run goes out at a time that is uniform over the two lags from its coming on. So a chunk draws from
        two lags evenly. In the first and the last lag of a pass that is the one lag that there is.
        """
        run = _longest_divisor(chunk_rows, min(chunk_rows // LEAST_RUNS, LONGEST_RUN))
        count = math.ceil(samples / run)
        wait = max(lag, chunk_rows) / run
        comes = np.arange(count)
        goes = rng.uniform(np.maximum(comes, wait), np.minimum(comes + 2.0 * wait, count + wait))
        if samples % run:
            goes[-1] = np.inf  # the short run stays at the end
        return cls._of(run, np.argsort(goes), chunk_rows)

    @classmethod
    def _of(cls, run: int, order: np.ndarray, chunk_rows: int) -> "Deal":
        a_chunk = chunk_rows // run
        position = np.empty_like(order)
        position[order] = np.arange(len(order))
        chunk, slot = np.divmod(position, a_chunk)
        ready = np.maximum.reduceat(order, np.arange(0, len(order), a_chunk)) + 1
        return cls(run, chunk, slot, np.maximum.accumulate(ready))

    def most_open(self, a_time: int) -> int:
        """Return how many chunks are open at once where so many runs are written at a time."""
        starts = np.arange(0, len(self.chunk), a_time)
        opened = np.maximum.accumulate(np.maximum.reduceat(self.chunk, starts)) + 1
        return int((opened - np.searchsorted(self.ready, starts, side="right")).max())


class Pool:
    """Memory for the chunks of a pass, to be used again in the next one.

    Attributes
    ----------
    kept : list of tuple
        Number and arrays of each chunk, where all samples are in the pool.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.arrays: Parts = ()
        self.kept: list[Parts] = []

    def take(self, rows: int) -> Parts:
        """Return arrays of at least so many samples."""
        if not self.arrays or len(self.arrays[0]) < rows:
            self.arrays = ()
            self.arrays = tuple(_aligned((rows, *shape), dtype) for shape, dtype in self._layout)
        return self.arrays


def deal_out(deal: Deal, pieces: Iterator[Piece], samples: int, chunk_rows: int, pool: Pool) -> Iterator[Any]:
    """Read the pieces; yield each chunk as it becomes full, with what gives its memory back.

    The parts of a chunk are views of the pool.
    """
    a_chunk = chunk_rows // deal.run
    room = min(a_chunk, len(deal.chunk)) * deal.run
    count = deal.most_open(a_chunk) + FULL
    arrays = pool.take(count * room)
    free = list(range(count))
    buffers = np.full(len(deal.ready), -1)
    runs, done = Runs(pieces, deal.run), 0
    is_near = count <= FULL + 1
    for start in range(0, len(deal.chunk), a_chunk):
        chunks = deal.chunk[start : start + a_chunk]
        for chunk in np.unique(chunks[buffers[chunks] < 0]).tolist():
            buffers[chunk] = free.pop()
        places = buffers[chunks] * room + deal.slot[start : start + a_chunk] * deal.run
        runs.write(arrays, places, min(len(places) * deal.run, samples - start * deal.run), past=not is_near)
        while done < len(deal.ready) and deal.ready[done] <= start + len(chunks):
            first = buffers[done] * room
            length = min(chunk_rows, samples - done * chunk_rows)
            yield tuple(array[first : first + length] for array in arrays), (free, buffers[done])
            done += 1


class Runs:
    """Pieces of any lengths, from which runs of one length are written."""

    def __init__(self, pieces: Iterator[Piece], run: int) -> None:
        self._pieces, self._run = pieces, run
        self._piece: Piece | None = None
        self._used = self._length = 0

    def write(self, out: Parts, places: np.ndarray, samples: int, *, past: bool) -> None:
        """Write so many samples by runs, each to the rows from its place on."""
        done, run = 0, self._run
        while done < samples:
            if self._used == self._length:
                self._next()
            step = min(samples - done, self._length - self._used)
            first, within = divmod(done, run)
            if within or step < run:  # a run of two pieces, or the last one
                step = min(step, run - within)
                self._write(out, places[first : first + 1] + within, step, past=past)
            else:
                self._write(out, places[first : first + step // run], run, past=past)
                step -= step % run
            done += step
            self._used += step

    def _write(self, out: Parts, places: np.ndarray, run: int, *, past: bool) -> None:
        assert self._piece is not None
        self._piece.write(out, self._used, places, run, past=past)

    def _next(self) -> None:
        self._piece = None  # its memory serves the next one
        self._piece = next(self._pieces, None)
        if self._piece is None:
            raise ValueError("the data became shorter while they were read")
        self._used, self._length = 0, len(self._piece)


def _longest_divisor(number: int, most: int) -> int:
    return max((divisor for divisor in range(1, most + 1) if number % divisor == 0), default=1)


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an empty array that starts with a cache line."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(dtype).reshape(shape)
