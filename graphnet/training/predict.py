"""predict: results over any kind of data, batch by batch; one batch in memory costs no more than model(x)."""
import inspect
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
    if type(x) is not np.ndarray and (hasattr(x, "__array__") or (len(getattr(model, "_input_tensors", "1")) == 1 and _is_numbers(x))):
        x = np.asarray(x)  # a table, a scalar, nested lists of numbers
    in_memory = not _iterates(x, model.name)
    rows = _rows(x, model.name) if in_memory else None
    size = int(batch_size) if batch_size is not None else -(-rows // steps) if rows and steps else fixed_batch(model) or 32
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


def fixed_batch(model: Any) -> int | None:
    """The batch size that a model's inputs prescribe, if one does."""
    sizes = {t.shape[0] for t in getattr(model, "_input_tensors", ()) if t.shape and t.shape[0]}
    return max(sizes, default=None)


def _iterates(x: Any, name: str) -> bool:
    """Whether x gives batches one by one, instead of holding all rows; DataError where it does neither."""
    if isinstance(x, (np.ndarray, list, tuple, dict)):
        return False
    batches = hasattr(x, "__iter__") or hasattr(x, "__next__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))
    if not batches or isinstance(x, (str, bytes)):
        mend = " Call it: predict(generator())." if inspect.isfunction(x) else ""
        raise DataError(f"predict of model {name!r} expects an array, a list or dict of arrays, or what gives batches; received {x!r} "
                        f"({type(x).__name__}).{mend}")
    return True


def _rows(x: Any, name: str) -> int:
    if type(x) is np.ndarray and x.ndim:
        return x.shape[0]
    counts = [np.shape(leaf)[0] if np.ndim(leaf) else None for leaf in ([x] if type(x) is np.ndarray else map(np.asarray, _parts(x)))]
    if None in counts or len(set(counts)) > 1:
        raise DataError(f"predict of model {name!r} expects arrays that agree on their first axis (rows); received {counts}. "
                        "Are these rows of one array? Those of several lengths are padded first.")
    return counts[0] if counts else 0  # type: ignore[return-value]


def _is_numbers(x: Any) -> bool:
    if not isinstance(x, (list, tuple)) or not x or hasattr(x[0], "shape") or not all(isinstance(v, (int, float, bool)) for v in tree.iterate(x)):
        return False
    try:
        return np.asarray(x).dtype != object
    except ValueError:
        return False  # rows of several lengths


def _parts(x: Any) -> list[Any]:
    """The arrays in a structure of them; a nested list of numbers is one."""
    if isinstance(x, dict):
        return [part for value in x.values() for part in _parts(value)]
    if isinstance(x, (list, tuple)) and any(isinstance(v, (list, tuple, dict)) or hasattr(v, "__array__") for v in x) and not _is_numbers(x):
        return [part for value in x for part in _parts(value)]
    return [x]


def _slices(x: Any, rows: int, size: int) -> Iterator[Any]:
    whole = _arrays(x)
    for start in range(0, rows, size):
        yield tree.map_structure(lambda a, s=start: a[s:s + size], whole)


def _arrays(x: Any) -> Any:
    """The same structure with arrays, which can be cut, in the place of tables and nested lists of numbers."""
    if isinstance(x, dict):
        return {name: _arrays(value) for name, value in x.items()}
    if isinstance(x, (list, tuple)) and not _is_numbers(x):
        return type(x)([_arrays(value) for value in x])
    return np.asarray(x)


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
