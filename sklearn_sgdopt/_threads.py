"""Work on more than one core: results never depend on how many."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from joblib import effective_n_jobs

WORTH_THREADS = 1 << 20  # products in a batch from which kernels sum it in parts

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


@contextlib.contextmanager
def ordered_map(n_jobs: int | None, products: float) -> Iterator[Map]:
    """Give a `map` that calls from several threads, those of scikit-learn's ``n_jobs``, and answers in order.

    Where there are but few ``products`` to compute, it is Python's own. What is called should release the
    GIL.
    """
    threads = 1 if products < WORTH_THREADS else effective_n_jobs(n_jobs)
    if threads == 1:
        yield map
        return
    from concurrent.futures import ThreadPoolExecutor  # not imported by all versions of scikit-learn

    with ThreadPoolExecutor(threads) as pool:
        yield pool.map
