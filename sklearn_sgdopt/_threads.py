"""Work on more than one core: results never depend on how many."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from joblib import effective_n_jobs
from threadpoolctl import ThreadpoolController

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


@contextlib.contextmanager
def ordered_map(n_jobs: int | None) -> Iterator[tuple[int, Map]]:
    """Give the number of threads, and a `map` that calls from that many and answers in order.

    ``n_jobs`` means what it means in scikit-learn. What is called should release the GIL.
    """
    threads = effective_n_jobs(n_jobs)
    if threads == 1:
        yield 1, map
        return
    with ThreadPoolExecutor(threads) as pool:
        yield threads, pool.map


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def one_blas_thread() -> contextlib.AbstractContextManager[Any]:
    """Keep BLAS to the thread that calls it: products of small blocks gain nothing from more."""
    return _controller().limit(limits=1, user_api="blas")
