"""A thread that reads ahead of training."""

import queue
import threading
from collections.abc import Generator, Iterator
from typing import Any


def read_ahead(chunks: Iterator[Any]) -> Generator[Any]:
    """Yield the chunks that a thread reads while the last one is in use; one chunk waits.

    The thread ends with the chunks, or as soon as the consumer closes or drops this generator. What the
    reader raises is raised here.
    """
    ready: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
    room = threading.Semaphore(1)
    stopped = threading.Event()

    def read() -> None:
        try:
            for chunk in chunks:
                room.acquire()
                if stopped.is_set():
                    return
                ready.put((chunk, None))
        except BaseException as raised:  # it is raised again in the consumer's thread
            ready.put((None, raised))
        else:
            ready.put((None, None))

    reader = threading.Thread(target=read, name="sklearn_sgdopt-chunks", daemon=True)
    reader.start()
    try:
        while True:
            chunk, error = ready.get()
            room.release()
            if error is not None:
                raise error
            if chunk is None:
                return
            yield chunk
            del chunk  # or it would be kept while the next one is waited for
    finally:
        stopped.set()
        room.release()
        reader.join()
        error = None  # or it and this frame, which its traceback holds, would keep each other in memory
