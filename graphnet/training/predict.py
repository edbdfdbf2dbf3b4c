"""predict: results over any kind of data, batch by batch; one batch in memory costs no more than model(x)."""
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from graphnet import tree
from graphnet.errors import DataError


def predict(model: Any, x: Any, batch_size: int | None = None, verbose: Any = "auto", steps: int | None = None, callbacks: Any = None) -> Any:
    """The results for x in the structure of the model's outputs; `Model.predict` says what x may be."""
    if callbacks:
        raise DataError("predict expects callbacks=None: callbacks come with training. Loop over batches with predict_on_batch instead.")
    if batch_size is not None and (not isinstance(batch_size, (int, np.integer)) or batch_size <= 0):
        raise ValueError(f"predict expects batch_size to be a positive whole number; received {batch_size!r}.")
    size = 32 if batch_size is None else int(batch_size)
    in_memory = not _iterates(x)
    rows = _rows(x, model.name) if in_memory else None
    if rows is not None and rows <= size and not _shows(verbose):
        return model._batch(x)
    total = -(-rows // size) if rows is not None else _length(x)
    if rows == 0:
        return model._batch(x)
    batches = _slices(x, rows, size) if rows is not None else _batches(x)
    results = []
    progress = Progress(steps if steps is not None else total, _shows(verbose))
    for number, batch in enumerate(batches):
        if steps is not None and number >= steps:
            break
        results.append(model._batch(batch))
        progress.step(number + 1)
    progress.close()
    if not results:
        raise DataError(f"predict of model {model.name!r} received no batches: the generator is empty or used up.")
    return results[0] if len(results) == 1 else tree.map_structure(lambda *parts: np.concatenate(parts), *results)


def _shows(verbose: Any) -> bool:
    return sys.stdout.isatty() if verbose == "auto" else bool(verbose)


def _iterates(x: Any) -> bool:
    """Whether x gives batches one by one, instead of holding all rows."""
    if isinstance(x, (np.ndarray, list, tuple, dict)) or hasattr(x, "__array__"):
        return False
    return hasattr(x, "__iter__") or hasattr(x, "__next__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def _rows(x: Any, name: str) -> int:
    if type(x) is np.ndarray and x.ndim:
        return x.shape[0]
    leaves = [x] if _is_numbers(x) else tree.flatten(tree.map_structure(np.asarray, x) if isinstance(x, dict) else [np.asarray(v) for v in x])
    counts = [np.shape(leaf)[0] if np.ndim(leaf) else None for leaf in leaves]
    if None in counts or len(set(counts)) > 1:
        raise DataError(f"predict of model {name!r} expects arrays that agree on their first axis (rows); received {counts}.")
    return counts[0] if counts else 0  # type: ignore[return-value]


def _is_numbers(x: Any) -> bool:
    return isinstance(x, (list, tuple)) and bool(x) and not hasattr(x[0], "shape") and all(isinstance(v, (int, float, bool)) for v in tree.iterate(x))


def _slices(x: Any, rows: int, size: int) -> Iterator[Any]:
    whole = np.asarray(x) if _is_numbers(x) else x
    for start in range(0, rows, size):
        yield tree.map_structure(lambda a, s=start: a[s:s + size], whole) if not isinstance(whole, np.ndarray) else whole[start:start + size]


def _length(x: Any) -> int | None:
    return len(x) if hasattr(x, "__len__") else None


def _batches(x: Any) -> Iterator[Any]:
    """Batches of a generator or a data set; of (x, y) pairs, x."""
    items = x if hasattr(x, "__iter__") or hasattr(x, "__next__") else (x[i] for i in range(len(x)))
    for item in items:
        yield item[0] if isinstance(item, tuple) and item else item


class Progress:
    """A line that counts batches."""

    def __init__(self, total: int | None, shown: bool) -> None:
        self.total, self.shown, self.start = total, shown, time.perf_counter()

    def step(self, number: int) -> None:
        if self.shown:
            each = (time.perf_counter() - self.start) / number
            print(f"\r{number}/{self.total or '?'} - {1e3 * each:.0f}ms/step", end="", flush=True)

    def close(self) -> None:
        if self.shown:
            print(flush=True)
