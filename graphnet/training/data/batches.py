"""What training loops over: epochs of batches (x, y, sample_weight)."""
import contextlib
import itertools
import math
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from graphnet import tree
from graphnet.errors import DataError
from graphnet.training.data.prefetch import prefetched

Batch = tuple[Any, Any, Any]
AHEAD = 4  # batches that a thread keeps ready
# Handing a batch from a thread costs 9 us; numpy gathers half a megabyte of rows in 35 us (two cores of a Xeon server).
THREAD_BYTES = 1 << 19


class Batches:
    """A data set as epochs of batches.

    ``num_batches`` is the number of batches in an epoch, None while it is unknown. Where ``steps`` was given an epoch has that
    many, and the next one goes on where it stopped. ``ran_out`` says that the last epoch had fewer than due.
    """

    ahead = AHEAD  # batches that a thread prepares; 0: none, the batches are made as they are asked for

    def __init__(self, who: str, steps: int | None, count: int | None) -> None:
        self.who, self.steps, self.ran_out = who, steps, False
        self._count = count  # batches in one pass over the data
        self._source: Iterator[Batch] | None = None  # a pass that has begun
        self._seen = 0  # batches of it
        self._received = False  # whether there was a batch at all
        self._epoch: Callable[[], Any] = lambda: None  # the epoch that runs, by a weak reference

    @property
    def num_batches(self) -> int | None:
        return self.steps or self._count

    def on_epoch_begin(self) -> None:
        """To be called before each epoch."""

    def on_epoch_end(self) -> None:
        """To be called after each epoch."""

    def one_pass(self) -> Iterator[Batch]:
        """The batches of one pass over the data, as arrays."""
        raise NotImplementedError

    def epoch(self) -> Iterator[Batch]:
        """The batches of the next epoch; closing it ends the thread that prepares them. One epoch runs at a time."""
        self._end_epoch()
        running = self._run()
        self._epoch = weakref.ref(running)
        return running

    def _run(self) -> Iterator[Batch]:
        if self._source is None or self.steps is None:
            self._source, self._seen = self.one_pass(), 0
        batches: Iterator[Batch] = (
            self._source if self.num_batches is None else itertools.islice(self._source, self.num_batches)
        )
        number = 0
        try:
            for batch in prefetched(batches, self.ahead) if self.ahead else batches:
                number += 1
                yield batch
        except Exception:
            self._source = None  # what raised cannot go on: the next epoch begins anew
            raise
        self._seen += number
        self._received = self._received or number > 0
        self._check(number)
        if self.ran_out or self._seen == self._count:
            self._source = None

    def _check(self, number: int) -> None:
        due = self.num_batches
        self.ran_out = number == 0 or (due is not None and number < due)
        if number == 0 and not self._received:
            raise DataError(f"{self.who} received no batches: the generator is empty or used up.")
        if self.ran_out:
            warnings.warn(
                f"Your input ran out of data; interrupting training. {self.who} received {number} of {due or 'some'} batches. "
                "A generator is to give steps_per_epoch * epochs of them (and can be used once: pass a PyDataset, or an object "
                "whose __iter__ begins anew, for further epochs).", stacklevel=3)
        elif self._count is None and self.steps is None:
            self._count = number

    def close(self) -> None:
        """Ends the threads and processes that prepare batches."""
        self._end_epoch()
        self.rewind()

    def rewind(self) -> None:
        """Lets the next epoch begin with the first batch, also where the last one had but part of them; a generator goes on."""
        source, self._source = self._source, None
        if source is not None and hasattr(source, "close"):
            with contextlib.suppress(ValueError):  # the user's code that it runs in a thread has not returned
                source.close()

    def _end_epoch(self) -> None:
        running = self._epoch()
        if running is not None:
            running.close()


class ArrayBatches(Batches):
    """Batches of arrays' rows, in order or shuffled as Keras shuffles: the same order for the same `set_random_seed`."""

    def __init__(self, who: str, parts: tuple[Any, Any, Any], rows: int, size: int, steps: int | None, shuffle: Any) -> None:
        super().__init__(who, steps, math.ceil(rows / size))
        self.parts, self.rows, self.size, self.shuffle = parts, rows, size, shuffle
        leaves = [leaf for leaf in tree.flatten(parts) if leaf is not None]
        work = sum(leaf.row_bytes for leaf in leaves if not leaf.ready(shuffle)) * min(rows, size)
        self.ahead = AHEAD if work >= THREAD_BYTES or any(leaf.mapped for leaf in leaves) else 0

    def one_pass(self) -> Iterator[Batch]:
        # The order is drawn here, not in the thread, so that what the user draws meanwhile comes in the same order each time.
        return self._batches(self._order())

    def _batches(self, order: np.ndarray | None) -> Iterator[Batch]:
        x, y, weight = self.parts
        for start in range(0, self.rows, self.size):
            stop = min(start + self.size, self.rows)
            key = slice(start, stop) if order is None else order[start:stop]
            yield pick(x, key), pick(y, key), pick(weight, key)

    def _order(self) -> np.ndarray | None:
        if self.shuffle == "batch":
            starts = range(0, self.rows, self.size)
            return np.concatenate([np.random.permutation(min(self.size, self.rows - start)) + start for start in starts])
        return np.random.permutation(self.rows) if self.shuffle else None


def pick(part: Any, key: Any) -> Any:
    """The rows that key names, in each place of a structure of `Rows`."""
    if isinstance(part, (dict, list, tuple)):
        return tree.map_structure(lambda leaf: None if leaf is None else leaf[key], part)
    return None if part is None else part[key]
