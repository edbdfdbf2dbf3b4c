"""PyDataset: batches by number, made by the user's code in threads or processes."""
import itertools
import multiprocessing
import pickle
import random
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from graphnet.errors import DataError
from graphnet.training.data.batches import Batch, Batches


class PyDataset:
    """A data set whose batches the user's code makes by number: define `__len__` (the number of batches) and `__getitem__`.

    `__getitem__(index)` gives a whole batch: (x,), (x, y) or (x, y, sample_weight). `on_epoch_begin` and `on_epoch_end` are
    called around each epoch. For an endless data set define the property `num_batches` to be None in place of `__len__`.

    Arguments: ``workers`` threads or processes that make batches ahead (1: one thread); ``use_multiprocessing`` takes
    processes, for which the data set is pickled; they import the script anew, so it guards its code by ``if __name__ ==
    "__main__":``; ``max_queue_size`` batches that wait at most. Source:
    https://keras.io/api/utils/python_utils/#pydataset-class

    Example:

        >>> import graphnet, numpy
        >>> class Squares(graphnet.utils.PyDataset):
        ...     def __len__(self):
        ...         return 3
        ...     def __getitem__(self, index):
        ...         x = numpy.arange(4 * index, 4 * index + 4)
        ...         return x, x ** 2
        >>> [int(y[-1]) for x, y in Squares()]
        [9, 49, 121]
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self._workers, self._use_multiprocessing, self._max_queue_size = workers, use_multiprocessing, max_queue_size

    def _option(self, name: str, default: Any) -> Any:
        if name not in self.__dict__:
            warnings.warn(f"{type(self).__name__} should call super().__init__(**kwargs) in its __init__, which takes workers, "
                          "use_multiprocessing and max_queue_size.", stacklevel=3)
            PyDataset.__init__(self)
        return self.__dict__.get(name, default)

    @property
    def workers(self) -> int:
        return self._option("_workers", 1)

    @workers.setter
    def workers(self, value: int) -> None:
        self._workers = value

    @property
    def use_multiprocessing(self) -> bool:
        return self._option("_use_multiprocessing", False)

    @use_multiprocessing.setter
    def use_multiprocessing(self, value: bool) -> None:
        self._use_multiprocessing = value

    @property
    def max_queue_size(self) -> int:
        return self._option("_max_queue_size", 10)

    @max_queue_size.setter
    def max_queue_size(self, value: int) -> None:
        self._max_queue_size = value

    def __getitem__(self, index: int) -> Any:
        """The batch of this number."""
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__(index), which gives the batch of that number.")

    @property
    def num_batches(self) -> int | None:
        """The number of batches, None for an endless data set."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(f"{type(self).__name__} defines neither __len__ nor num_batches, the number of its batches.")

    def __iter__(self) -> Iterator[Any]:
        count = self.num_batches
        for index in itertools.count() if count is None else range(count):
            yield self[index]

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""


_dataset: list[Any] = []  # in a worker process: the data set it was sent


def _receive(dataset: Any) -> None:
    _dataset[:] = [dataset]


def _made(index: int) -> Any:
    return _dataset[0][index]


class PyDatasetBatches(Batches):
    """Batches of a PyDataset, or of what is made like one; shuffling changes the order of whole batches."""

    def __init__(self, who: str, dataset: Any, steps: int | None, shuffle: Any, standard: Callable[[Any], Batch]) -> None:
        count = dataset.num_batches if hasattr(dataset, "num_batches") else len(dataset)
        if count is None and steps is None:
            raise DataError(
                f"{who} expects the number of batches in an epoch for a data set without an end (its num_batches is "
                "None). Pass steps_per_epoch (steps, validation_steps)."
            )
        super().__init__(who, steps, count)
        self.dataset, self.shuffle, self.standard = dataset, bool(shuffle) and count is not None, standard
        self.workers = getattr(dataset, "workers", 1)
        self.processes = bool(getattr(dataset, "use_multiprocessing", False)) and self.workers > 0
        self.parallel = self.processes or self.workers > 1
        self.ahead = 0 if self.parallel else max(1, getattr(dataset, "max_queue_size", 10))
        self._pool: Executor | None = None

    def one_pass(self) -> Iterator[Batch]:
        indices: Any = itertools.count() if self._count is None else range(self._count)
        if self.shuffle:
            indices = list(indices)
            random.shuffle(indices)
        made = self._in_parallel(iter(indices)) if self.parallel else (self.dataset[i] for i in indices)
        return (self.standard(item) for item in made)

    def _in_parallel(self, indices: Iterator[int]) -> Iterator[Any]:
        """The batches in order, some of them being made ahead by the workers."""
        pool, get = self._workers()
        waiting: deque[Future[Any]] = deque()
        try:
            for index in itertools.islice(indices, max(1, self.dataset.max_queue_size)):
                waiting.append(self._submit(pool, get, index))
            while waiting:
                item = waiting.popleft().result()
                for index in itertools.islice(indices, 1):
                    waiting.append(pool.submit(get, index))
                yield item
        except BrokenProcessPool as error:
            raise DataError(
                f"{self.who}: a worker process of {type(self.dataset).__name__} ended before its time ({error}). In a "
                'script the code that trains stands under `if __name__ == "__main__":`, and the data set is one that '
                "can be pickled; use_multiprocessing=False takes threads instead."
            ) from error
        finally:
            for future in waiting:
                future.cancel()

    def _submit(self, pool: Executor, get: Callable[[int], Any], index: int) -> Future[Any]:
        try:
            return pool.submit(get, index)
        except (pickle.PicklingError, AttributeError, TypeError) as error:  # the first call starts processes
            raise DataError(
                f"{self.who}: the {type(self.dataset).__name__} cannot be sent to worker processes: {error}. Define its class "
                "at the top of a module and keep open files out of it, or take use_multiprocessing=False."
            ) from error

    def _workers(self) -> tuple[Executor, Callable[[int], Any]]:
        if self._pool is None and self.processes:
            # Not "fork": a copy of a process whose other threads hold locks can hang.
            method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
            self._pool = ProcessPoolExecutor(self.workers, multiprocessing.get_context(method), _receive, (self.dataset,))
        elif self._pool is None:
            self._pool = ThreadPoolExecutor(self.workers, "graphnet-batches")
        return self._pool, _made if self.processes else self.dataset.__getitem__

    def _end_workers(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def on_epoch_begin(self) -> None:
        self._hook("on_epoch_begin")

    def on_epoch_end(self) -> None:
        self._hook("on_epoch_end")

    def _hook(self, name: str) -> None:
        if getattr(type(self.dataset), name, None) is getattr(PyDataset, name):
            return
        if self.processes and self.steps is None:  # they hold copies of the data set as it was; with steps a pass goes on
            self._end_workers()
        getattr(self.dataset, name, lambda: None)()

    def close(self) -> None:
        super().close()
        self._end_workers()
