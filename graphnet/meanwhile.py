"""Work that a thread of its own does meanwhile."""
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def meanwhile(work: Callable[[], T], name: str) -> Callable[[], T]:
    """Begins work in a thread of that name. What it gives waits for the end, and gives or raises what the work did.

    Where there can be no thread, all of it is done at once. Python's executors refuse work there: within `atexit`, and in threads that
    go on when the main one has ended.

    Example:

        >>> ended = meanwhile(lambda: 1 + 1, "sum")
        >>> ended()
        2
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # KeyboardInterrupt and SystemExit too belong to the thread that waits
            done.set_exception(error)

    def ended() -> T:
        thread.join()
        return done.result()

    thread = threading.Thread(target=run, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the process may have no more threads, or ends
        run()
        return done.result
    return ended
