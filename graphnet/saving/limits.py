"""How much a file may ask for: memory in proportion to its own size, whatever it declares. See `docs/safety.md`."""
import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from graphnet.errors import FileFormatError
from graphnet.graph import announcing
from graphnet.saving.fresh import Fresh
from graphnet.tracing import counting

SMALL = 1 << 26  # bytes that any file may ask for,
EXPANSION = 100  # and how many times its own size beyond: zip and gzip make weights smaller, but not by this much
CONSTANTS = 1 << 30  # bytes of constants that any file may compute: masks of long sequences are large, and small to write down


class Allowance:
    """What is left of the bytes that a file may ask for: as parts of an archive, as arrays, and as variables of its model."""

    def __init__(self, source: str, size: int) -> None:
        self.source, self.size = source, size
        self.left = SMALL + EXPANSION * size

    def expect(self, count: float, what: str) -> None:
        """Before memory is used for a while. Raises FileFormatError where it is more than is left."""
        if count > self.left:
            raise FileFormatError(f"{self.source}: {what} claims {count} bytes, in a file of {self.size}: it was made to fill the memory. "
                                  "Nothing was changed.")

    def take(self, count: int, what: str) -> None:
        """Before memory is taken for good. Raises FileFormatError where it is more than is left."""
        self.expect(count, what)
        self.left -= count


_current: contextvars.ContextVar[Allowance | None] = contextvars.ContextVar("graphnet_allowance", default=None)


@contextmanager
def limited(source: str, size: int, fresh: Fresh | None = None) -> Iterator[None]:
    """While a file of that size is read: its arrays, and the variables that are made by its configuration, are counted; constants that are
    computed while its layers are called count as long as they are held.

    ``fresh`` takes the variables that are to be filled from it.
    """
    allowance = Allowance(source, size)

    def announced(count: int, name: str | None, initializer: Any) -> Any:
        allowance.take(count, f"weight {name or 'variable'!r}")
        return initializer if fresh is None else fresh.postponed(initializer)

    def computed(count: float, what: str) -> None:
        if count > CONSTANTS:
            allowance.expect(count, what)
    token = _current.set(allowance)
    try:
        with announcing(announced), counting(computed):
            yield
    finally:
        _current.reset(token)


def take(count: int, what: str) -> None:
    """Counts memory that the file that is being read asks for. Raises FileFormatError where it is too much."""
    allowance = _current.get()
    if allowance is not None:
        allowance.take(count, what)
