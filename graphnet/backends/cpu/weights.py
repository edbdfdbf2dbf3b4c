"""Arrays made from variables (packed, transposed, folded), kept once for all plans and remade when a variable changes.

A weak table keyed by (sources, recipe): plans hold the entries, the table does not. A remade entry stays where it lies, so
that addresses in plans hold; a call that runs meanwhile may see both values mixed, but never freed memory.
"""
import ctypes
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from graphnet.constants import unchanging
from graphnet.graph import changes

LINE = 64
LARGE = 4 << 20  # bytes of an array from which the memory that it took to make it goes back to the system

_spent = [0.0]  # seconds that this process has taken to derive weights


def _trimmer() -> Callable[[int], int]:
    """What gives the heap's free memory back to the system: glibc would keep as much as the largest array takes, and more."""
    heap = ctypes.CDLL(None) if sys.platform == "linux" else None
    return getattr(heap, "malloc_trim", lambda kept: 0)


_trim = _trimmer()


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
    """``make(*values)`` of some sources; `refresh` remakes it in place where a source has changed since.

    One of known shape and dtype is kept only if its address is asked for: what merely stands between a variable and a
    packed copy of it takes no memory.
    """

    def __init__(self, sources: Sequence[Any], make: Callable[..., np.ndarray], spec: tuple[tuple[int, ...], str] | None = None) -> None:
        self.sources, self.make, self.version = tuple(sources), make, 0
        self._lock = threading.RLock()
        self._seen, self._checked = self._versions(), changes[0]
        self._value: np.ndarray | None = None
        self.shape: tuple[int, ...]
        self.dtype: str
        self.shape, self.dtype = spec if spec is not None else (self.value.shape, self.value.dtype.name)

    @property
    def value(self) -> np.ndarray:
        """The array, made and kept at the first time."""
        if self._value is None:
            with self._lock:
                if self._value is None:
                    values = self._values()
                    made = self._made(values)
                    start = time.perf_counter()
                    own = made.flags.c_contiguous and made.ctypes.data % LINE == 0 and made.flags.writeable
                    own = own and not any(np.may_share_memory(made, value) for value in values)
                    own = own or (made.flags.c_contiguous and any(made is value for value in values) and unchanging(made))  # as graphs hold it
                    self._value = made if own else aligned_copy(made)
                    del made, values
                    if self._value.nbytes >= LARGE:
                        _trim(0)
                    _spent[0] += time.perf_counter() - start
        return self._value

    @property
    def kept_bytes(self) -> int:
        """Bytes of the array, 0 while it is not kept."""
        return 0 if self._value is None else self._value.nbytes

    def compute(self) -> np.ndarray:
        """The value, made anew."""
        return self._made(self._values())

    def _values(self) -> list[np.ndarray]:
        return list(map(_value, self.sources))

    def _made(self, values: list[np.ndarray]) -> np.ndarray:
        start = time.perf_counter()
        made = np.asarray(self.make(*values))
        _spent[0] += time.perf_counter() - start
        return made

    def _versions(self) -> tuple[int, ...]:
        return tuple([getattr(source, "version", 0) for source in self.sources])

    def refresh(self) -> None:
        """Remakes the value, first those of the sources, where any source has another version than when it was made."""
        now = changes[0]
        if now == self._checked:
            return
        for source in self.sources:
            if isinstance(source, Derived):
                source.refresh()
        with self._lock:
            versions = self._versions()
            if versions != self._seen:
                if self._value is not None:
                    self._value[...] = self.compute()
                self._seen = versions
                self.version += 1
            self._checked = now


def _value(source: Any) -> np.ndarray:
    if isinstance(source, Derived) and source._value is None:
        return np.ascontiguousarray(source.compute())
    return source if isinstance(source, np.ndarray) else source.value


_table: "weakref.WeakValueDictionary[Any, Derived]" = weakref.WeakValueDictionary()
_table_lock = threading.Lock()


def derived(sources: Sequence[Any], recipe: tuple[Any, ...], make: Callable[..., np.ndarray],
            spec: tuple[tuple[int, ...], str] | None = None) -> Derived:
    """``make(*values)`` of variables, constant arrays or other derived ones: the one entry for these sources and this recipe.

    `spec` is the shape and dtype of what `make` gives, where they are known; it is then made only when needed.

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
        made = Derived(sources, make, spec)
        with _table_lock:
            entry = _table.setdefault(key, made)
    entry.refresh()
    return entry
