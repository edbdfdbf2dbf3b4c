"""Arrays made from variables (packed, transposed, folded), kept once for all plans and remade when a variable changes.

A weak table keyed by (sources, recipe): plans hold the entries, the table does not. A remade entry stays where it lies, so
that addresses in plans hold; a call that runs meanwhile may see both values mixed, but never freed memory.
"""
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

LINE = 64


_spent = [0.0]  # seconds that this process has taken to derive weights


class Spent:
    """What `timed` measures."""

    seconds = 0.0


@contextmanager
def timed() -> Iterator[Spent]:
    """Seconds that deriving weights takes meanwhile, in ``.seconds`` afterwards."""
    spent, before = Spent(), _spent[0]
    try:
        yield spent
    finally:
        spent.seconds = _spent[0] - before


class Source(Protocol):
    """A variable, or what was derived from some."""

    @property
    def value(self) -> np.ndarray:
        """A C-contiguous array whose memory stays the same while the source lives."""

    @property
    def version(self) -> int:
        """Rises with every change of the value."""


def aligned(shape: tuple[int, ...], dtype: Any = "float32") -> np.ndarray:
    """Zeros that begin at a multiple of 64 bytes."""
    kind = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    raw = np.zeros(size + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    placed: np.ndarray = raw[start:start + size].view(kind).reshape(shape)
    return placed


def aligned_copy(array: np.ndarray) -> np.ndarray:
    """A C-contiguous copy that begins at a multiple of 64 bytes."""
    copy = aligned(array.shape, array.dtype)
    copy[...] = array
    return copy


class Derived:
    """``make(*values)`` of some sources; `refresh` remakes it in place where a source has changed since."""

    def __init__(self, sources: Sequence[Any], make: Callable[..., np.ndarray]) -> None:
        self.sources, self.make, self.version = tuple(sources), make, 0
        self._lock = threading.Lock()
        self._seen = self._versions()
        start = time.perf_counter()
        self.value = aligned_copy(np.asarray(make(*map(_value, self.sources))))
        _spent[0] += time.perf_counter() - start

    def _versions(self) -> tuple[int, ...]:
        return tuple([getattr(source, "version", 0) for source in self.sources])

    def refresh(self) -> None:
        """Remakes the value, first those of the sources, where any source has another version than when it was made."""
        for source in self.sources:
            if isinstance(source, Derived):
                source.refresh()
        with self._lock:
            versions = self._versions()
            if versions != self._seen:
                self.value[...] = self.make(*map(_value, self.sources))
                self._seen = versions
                self.version += 1


def _value(source: Any) -> np.ndarray:
    return source if isinstance(source, np.ndarray) else source.value


_table: "weakref.WeakValueDictionary[Any, Derived]" = weakref.WeakValueDictionary()
_table_lock = threading.Lock()


def derived(sources: Sequence[Any], recipe: tuple[Any, ...], make: Callable[..., np.ndarray]) -> Derived:
    """``make(*values)`` of variables, constant arrays or other derived ones: the one entry for these sources and this recipe.

    Example:

        >>> w = np.arange(6.0).reshape(2, 3)
        >>> turned = derived([w], ("turned",), lambda value: value.T)
        >>> turned.value.shape, derived([w], ("turned",), None) is turned
        ((3, 2), True)
    """
    key = (tuple(map(id, sources)), recipe)  # the entry keeps the sources alive, so an id in the table is not used again
    with _table_lock:
        entry = _table.get(key)
    if entry is None:
        made = Derived(sources, make)
        with _table_lock:
            entry = _table.setdefault(key, made)
    entry.refresh()
    return entry
