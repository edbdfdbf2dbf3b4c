"""Batches prepared in a thread of their own while the step runs."""
import contextvars
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

_PATIENCE = 5.0  # seconds to wait for a thread that is inside a user's generator when training has ended


def prefetched(items: Iterator[Any], depth: int) -> Iterator[Any]:
    """The items, up to ``depth`` of them made ahead in a thread; what is raised there is raised here.

    The thread has ended when this iterator is exhausted or closed, unless the user's code that it runs does not return.
    """
    room: SimpleQueue[None] = SimpleQueue()  # a token for each item that may be made ahead
    ready: SimpleQueue[tuple[Any, BaseException | None, bool]] = SimpleQueue()

    stopped = threading.Event()

    def work() -> None:
        try:
            while True:
                room.get()
                if stopped.is_set():
                    return
                item = next(items, ready)
                if item is ready:
                    break
                ready.put((item, None, True))
            ready.put((None, None, False))
        except BaseException as error:  # KeyboardInterrupt and SystemExit too belong to the thread that trains
            ready.put((None, error, False))

    for _ in range(depth):
        room.put(None)
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name="graphnet-batches", daemon=True)
    thread.start()
    try:
        while True:
            item, error, more = ready.get()
            if error is not None:
                try:
                    raise error
                finally:
                    del error  # the error's traceback refers to this frame
            if not more:
                return
            room.put(None)
            yield item
    finally:
        stopped.set()
        room.put(None)
        thread.join(_PATIENCE)
