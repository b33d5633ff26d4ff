"""What the sources of chunks share."""

import contextlib
import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from sklearn_sgdopt.chunks._mixing import Deal, Layout, Parts, Piece, Pool, deal_out
from sklearn_sgdopt.chunks._reader import read_ahead

# The most memory that mixing takes. The sum of it, of a reader and of three chunks stays below 400 MiB.
POOL_BYTES = 200 * 2**20


class Chunks:
    """Passes, mixing and the thread that reads ahead.

    A subclass sets ``n_samples``, ``_layout`` (shape of a sample and dtype, of each part) and ``_blocks``
    (any number of records with ``n_samples`` of contiguous samples), then says how blocks are read.
    """

    n_samples: int
    _layout: Layout
    _blocks: Sequence[Any]

    def __init__(self, chunk_rows: int, mix: int, shuffle: bool, random_state: Any) -> None:
        self.chunk_rows = _positive_integer("chunk_rows", chunk_rows)
        self.mix = _positive_integer("mix", mix)
        self.shuffle = bool(shuffle)
        self.n_passes = 0
        self._seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))

    def __len__(self) -> int:
        """Return the number of chunks of a pass."""
        return math.ceil(self.n_samples / self.chunk_rows)

    def __iter__(self) -> Iterator[Parts]:
        """Start a pass: each sample comes once, in a new order where ``shuffle`` is true."""
        rng = self._begin()
        return read_ahead(self._copied(rng))

    def _begin(self) -> np.random.Generator:
        rng = np.random.default_rng([self._seed, self.n_passes])
        self.n_passes += 1
        return rng

    def _copied(self, rng: np.random.Generator) -> Iterator[Parts]:
        """Yield arrays of their own, in which no neighbours stay together."""
        # One order for all chunks of a pass is enough: which samples it is applied to is drawn for each.
        rows = min(self.chunk_rows, self.n_samples)
        order = rng.permutation(rows) if self.shuffle else np.arange(rows)
        for parts, (free, buffer) in self._dealt(rng, self._pool(), self._lag()):
            places = order if len(parts[0]) == rows else order[order < len(parts[0])]
            # "clip" spares a check of each place, and half the time with it: all places are in the chunk.
            taken = tuple(part.take(places, axis=0, mode="clip") for part in parts)
            free.append(buffer)
            yield self._finish(taken)

    def _lent(self, pool: Pool, *, mixed: bool) -> Iterator[Parts]:
        """Start a pass for training, which shuffles the samples of a chunk by itself.

        A chunk is there until the next one is asked for. If not ``mixed``, samples stay in the blocks'
        order. Samples that fit into the pool are read in the first pass only.
        """
        rng = self._begin()
        if pool.kept:
            # They are mixed over all samples: another order of the chunks is all that a pass can add.
            yield from (self._finish(pool.kept[number]) for number in rng.permutation(len(pool.kept)))
            return
        keeps = self.shuffle and self.n_samples * self._sample_bytes() <= POOL_BYTES
        lag = self.n_samples if keeps else self._lag() * mixed
        with contextlib.closing(read_ahead(self._dealt(rng, pool, lag))) as chunks:
            kept = []
            for parts, (free, buffer) in chunks:
                yield self._finish(parts)
                if keeps:
                    kept.append(parts)
                else:
                    free.append(buffer)
            pool.kept = kept

    def _pool(self) -> Pool:
        return Pool(self._layout)

    def _dealt(self, rng: np.random.Generator, pool: Pool, lag: int) -> Iterator[Any]:
        blocks = range(len(self._blocks))
        pieces = self._read(rng.permutation(blocks) if self.shuffle else blocks)
        if self.shuffle and lag:
            deal = Deal.mixed(self.n_samples, self.chunk_rows, lag, rng)
        else:
            deal = Deal.in_order(self.n_samples, self.chunk_rows)
        return deal_out(deal, pieces, self.n_samples, self.chunk_rows, pool)

    def _read(self, blocks: Sequence[int] | np.ndarray) -> Iterator[Piece]:
        """Read the blocks in the order given."""
        raise NotImplementedError

    def _finish(self, parts: Parts) -> Parts:
        return parts

    def _sample_bytes(self) -> int:
        return sum(kind.itemsize * math.prod(shape) for shape, kind in self._layout)

    def _lag(self) -> int:
        """Return how many samples wait: those of ``mix`` blocks, as far as half of `POOL_BYTES` goes."""
        wanted = max(self.mix * self.n_samples // len(self._blocks), 1)
        return min(wanted, POOL_BYTES // self._sample_bytes() // 2)


def _positive_integer(name: str, value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
    return number
