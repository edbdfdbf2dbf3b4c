"""SummaryWriter: an event file of a folder; and which writer, which step and which condition hold in this thread."""
import contextvars
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from graphnet.errors import UnsupportedError
from graphnet.graph import at_line, current_trace, path_scope
from graphnet.visualization.events import EventWriter

default_writer: contextvars.ContextVar["SummaryWriter | None"] = contextvars.ContextVar("graphnet_summary_writer", default=None)
default_step: contextvars.ContextVar[Any] = contextvars.ContextVar("graphnet_summary_step", default=None)
_condition: contextvars.ContextVar[Any] = contextvars.ContextVar("graphnet_summary_condition", default=True)
MAX_QUEUE, FLUSH_MILLIS = 10, 120_000


class SummaryWriter:
    """Writes summaries into an event file of a folder: what `create_file_writer` gives. Threads may share one.

    Records are handed to the system, so that TensorBoard sees them, when a context of `as_default` ends, at `flush` and
    `close`, and when many of them or old ones wait.
    """

    def __init__(self, logdir: Any, max_queue: int | None = None, flush_millis: int | None = None,
                 filename_suffix: str | None = None, name: str | None = None) -> None:
        self.logdir, self.name = os.fspath(logdir), name or "writer"
        self.max_queue = MAX_QUEUE if max_queue is None else max_queue
        self.flush_millis = FLUSH_MILLIS if flush_millis is None else flush_millis
        self._events = EventWriter(self.logdir, ".v2" if filename_suffix is None else filename_suffix)
        weakref.finalize(self, self._events.close)  # a writer that nobody has closed
        self._lock, self._waiting, self._flushed = threading.RLock(), 0, time.monotonic()
        self._closed = self.has_graph = False

    def init(self) -> None:
        """Does nothing: the file is there from the first. TensorFlow needs it in its graphs."""

    @contextmanager
    def as_default(self, step: Any = None) -> Iterator["SummaryWriter"]:
        """A context in which this is the writer of this thread, and step, if given, its default step; flushes at its end.

        Raises RuntimeError where the writer is closed.
        """
        self._check_open()
        writer = default_writer.set(self)
        before = default_step.get()
        if step is not None:
            default_step.set(step)
        try:
            yield self
        finally:
            default_writer.reset(writer)
            if step is not None:
                default_step.set(before)
            self.flush()

    def set_as_default(self, step: Any = None) -> None:
        """Makes this the writer of this thread from now on, and step, if given, its default step.

        Raises RuntimeError where it is closed.
        """
        self._check_open()
        default_writer.set(self)
        if step is not None:
            default_step.set(step)

    def write(self, record: Callable[[EventWriter], None]) -> None:
        """Lets record(events) write; RuntimeError where the writer is closed."""
        with self._lock:
            self._check_open()
            record(self._events)
            self._waiting += 1
            if self._waiting >= self.max_queue or 1000 * (time.monotonic() - self._flushed) >= self.flush_millis:
                self.flush()

    def flush(self) -> None:
        """Hands what was recorded to the system; a closed writer has done so."""
        with self._lock:
            if not self._closed:
                self._events.flush()
                self._waiting, self._flushed = 0, time.monotonic()

    def close(self) -> None:
        """Ends the file; closing it again does nothing."""
        with self._lock:
            self._closed = True
            self._events.close()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"The summary writer of {self.logdir!r} is closed. Make another: "
                               "graphnet.summary.create_file_writer(...).")

    def __repr__(self) -> str:
        return f"<SummaryWriter {self.name} of {self.logdir!r}{', closed' if self._closed else ''}>"


def create_file_writer(logdir: Any, max_queue: int | None = None, flush_millis: int | None = None,
                       filename_suffix: str | None = None, name: str | None = None) -> SummaryWriter:
    """A writer of a new event file in a folder, which TensorBoard shows as one run.

    Arguments:
        logdir: the folder, made where it is not there.
        max_queue: records that wait before they are handed to the system; 10.
        flush_millis: after how many milliseconds they are, at the next record; 120 000.
        filename_suffix: of the file's name; ".v2".
        name: of the writer, for its repr.

    Raises ValueError without a logdir, ImportError where the package tensorboard is missing.
    Source: https://www.tensorflow.org/api_docs/python/tf/summary/create_file_writer

    Example:

        >>> import importlib.util, tempfile
        >>> import graphnet
        >>> if importlib.util.find_spec("tensorboard"):
        ...     with tempfile.TemporaryDirectory() as folder:
        ...         writer = graphnet.summary.create_file_writer(folder)
        ...         with writer.as_default(step=1):
        ...             done = graphnet.summary.scalar("loss", 0.5)
        ...         writer.close()
    """
    if logdir is None:
        raise ValueError("create_file_writer expects logdir, a folder; received None.")
    return SummaryWriter(logdir, max_queue, flush_millis, filename_suffix, name)


def flush(writer: SummaryWriter | None = None, name: str | None = None) -> None:
    """Flushes a writer, by default the default one, if there is any."""
    chosen = writer or default_writer.get()
    if chosen is not None:
        chosen.flush()


def should_record_summaries() -> bool:
    """Whether there is a default writer and the condition of `record_if` holds.

    Example:

        >>> import graphnet
        >>> graphnet.summary.should_record_summaries()
        False
    """
    condition = _condition.get()
    return default_writer.get() is not None and bool(condition() if callable(condition) else condition)


@contextmanager
def record_if(condition: Any) -> Iterator[None]:
    """A context in which summaries are recorded where a condition holds: a boolean, or a function without arguments.

    Example:

        >>> import graphnet
        >>> with graphnet.summary.record_if(lambda: graphnet.summary.experimental.get_step() % 100 == 0):
        ...     graphnet.summary.scalar("loss", 0.5)
        False
    """
    token = _condition.set(condition)
    try:
        yield
    finally:
        _condition.reset(token)


def step_or_default(step: Any, who: str) -> int:
    """The step as a whole number; ValueError where there is neither one nor a default."""
    step = default_step.get() if step is None else step
    if step is None:
        raise ValueError(f"graphnet.summary.{who}: no step is set. Give step=..., writer.as_default(step=...), or "
                         "graphnet.summary.experimental.set_step(...).")
    return int(np.asarray(step))


def tag_of(name: str) -> str:
    """The name behind those of the name scopes around."""
    return "/".join((*path_scope.get(), name))


def record(who: str, step: Any, write: Callable[[EventWriter, int], None]) -> bool:
    """Lets write(events, step) write to the default writer; False where nothing is to be recorded."""
    if not should_record_summaries():
        return False
    if current_trace.get() is not None:
        raise UnsupportedError(f"graphnet.summary.{who} was called while a graph is traced, in which no numbers are known yet. "
                               f"Return the tensor from the function, and record the result of its call.{at_line()}")
    number, writer = step_or_default(step, who), default_writer.get()
    assert writer is not None
    writer.write(lambda events: write(events, number))
    return True


__all__ = ["SummaryWriter", "create_file_writer", "flush", "record_if", "should_record_summaries"]
