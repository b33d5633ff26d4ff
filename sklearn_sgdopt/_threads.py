"""Work on more than one core: results never depend on how many."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from joblib import effective_n_jobs

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


@contextlib.contextmanager
def ordered_map(n_jobs: int | None, *, most: int) -> Iterator[tuple[int, Map]]:
    """Give the number of threads, and a `map` that calls from that many and answers in order.

    ``n_jobs`` means what it means in scikit-learn; there are never more than ``most`` threads. What is
    called should release the GIL.
    """
    threads = min(effective_n_jobs(n_jobs), most)
    if threads == 1:
        yield 1, map
        return
    with ThreadPoolExecutor(threads) as pool:
        yield threads, pool.map
