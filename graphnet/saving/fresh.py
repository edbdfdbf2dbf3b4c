"""The variables that a model gets while it is loaded: they take the arrays of the file as they are, and none is drawn in vain."""
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphnet.graph import Variable, changes, user_line
from graphnet.initializers import Initializer

_MOST = 0.8  # of a file's memory: it is there as long as one of the variables that lie in it


class Fresh:
    """Variables that graphnet's own code makes between here and the end of loading: nobody else has seen their memory.

    Each begins as zeros, which cost nothing until they are touched. Code of the user's in between, such as the `build` of a layer
    of theirs, may look at what it makes: its variables are drawn at once, and stay where they are.
    """

    def __init__(self) -> None:
        self._caller = user_line()
        self._waiting: dict[int, tuple[np.ndarray, Any]] = {}

    def postponed(self, initializer: Any) -> Any:
        """What gives a variable its first value in place of an initializer: zeros, where it can be drawn later as well."""
        own = isinstance(initializer, Initializer) and type(initializer).__module__.startswith("graphnet.")
        return _Zeros(initializer, self._waiting) if own and user_line() == self._caller else initializer

    def fill(self, variable: Variable, array: np.ndarray, mine: bool) -> None:
        """Gives a variable its value; an array that nothing else uses (``mine``) becomes its memory."""
        waiting = self._waiting.pop(id(variable.value), None)
        fits = array.shape == variable.shape and array.dtype == variable.value.dtype and array.flags.carray
        if waiting is None or not mine or not fits:
            variable.assign_now(array)
            return
        variable.value = array
        variable.version += 1
        changes[0] += 1

    def fill_all(self, pairs: Sequence[tuple[Variable, np.ndarray]], files: Sequence[np.ndarray]) -> None:
        """Gives variables their values.

        An array that lies in the memory of one of the ``files`` becomes a variable's where that memory holds little else, and no two
        arrays have the same part of it; one that has memory of its own becomes it in any case.
        """
        kept = [file for file in files if _may_be_kept(file, [value for _, value in pairs if value.base is file])]
        for variable, value in pairs:
            self.fill(variable, value, value.base is None or any(value.base is file for file in kept))

    def draw(self) -> None:
        """Draws the variables that the file had no value for."""
        while self._waiting:
            array, initializer = self._waiting.popitem()[1]
            array[...] = initializer(array.shape, array.dtype.name)


class _Zeros:
    """Stands for an initializer; ``gives_memory`` tells the variable that the array is its own, and need not be copied."""

    gives_memory = True

    def __init__(self, initializer: Any, waiting: dict[int, tuple[np.ndarray, Any]]) -> None:
        self.initializer, self.waiting = initializer, waiting

    def __call__(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        array = np.zeros(shape, dtype)
        self.waiting[id(array)] = array, self.initializer
        return array


def _may_be_kept(file: np.ndarray, values: Sequence[np.ndarray]) -> bool:
    begins = sorted([(value.__array_interface__["data"][0], value.nbytes) for value in values])
    apart = all(begin + size <= after for (begin, size), (after, _) in itertools.pairwise(begins))
    return apart and sum(size for _, size in begins) >= _MOST * len(file)
