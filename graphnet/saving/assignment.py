"""What each variable is to be given from a file: all of it checked and read before the first variable is changed."""
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphnet.errors import FileFormatError
from graphnet.graph import Variable, user_line
from graphnet.saving.fresh import Fresh
from graphnet.saving.hdf5 import Stored, read


class Assignments:
    """Pairs of a variable and an array of the file.

    What does not fit is an error, or left out with one warning where `skip` is asked for. ``fresh`` has the variables of a model that
    is being loaded, which may take arrays as they are.
    """

    def __init__(self, source: str, skip: bool = False, mend: str = "", fresh: Fresh | None = None) -> None:
        self.source, self.skip, self.mend, self.fresh = source, skip, mend, fresh
        self.buffer: np.ndarray | None = None  # the memory that the file is in, if it is
        self.pairs: dict[Variable, tuple[Any, str]] = {}
        self.visits: set[tuple[tuple[int, int], int]] = set()  # a group by its address, an object by its id: each pair is looked at once
        self.skipped: list[str] = []
        self.notes: list[str] = []  # what is left out whatever `skip` says
        self.after: list[Callable[[], None]] = []  # what objects do themselves, once all else is assigned

    def problem(self, text: str) -> None:
        """Something that does not fit: raises FileFormatError, or notes what is left out."""
        if not self.skip:
            raise FileFormatError(f"{self.source}: {text} Nothing was changed. {self.mend}")
        self.skipped.append(text)

    def add(self, variables: Sequence[Variable], arrays: Sequence[Any], place: str) -> None:
        """Pairs variables and arrays in order."""
        if len(variables) != len(arrays):
            self.problem(
                f"{place}: the model has {len(variables)} weights there ({', '.join(v.name for v in variables) or 'none'}), the "
                "file has "
                f"{len(arrays)} of shapes {[tuple(a.shape) for a in arrays]}: it is of another architecture."
            )
            return
        for variable, array in zip(variables, arrays, strict=True):
            if fits(variable, array):
                self.pairs[variable] = array, place
            else:
                self.problem(
                    f"weight {variable.path!r} expects shape {variable.shape}; the file's, at {place}, has shape "
                    f"{tuple(array.shape)}."
                )

    def apply(self) -> None:
        """Reads all arrays, then assigns them."""
        with np.errstate(all="ignore"):  # a number that a variable's kind does not have becomes inf, as in numpy
            values = [(variable, self._value(variable, array)) for variable, (array, _) in self.pairs.items()]
        if self.fresh is None:
            self._assign(values)
        else:
            others = [(v, value) for v, value in values if value is not v.value]  # without those of a layer which loads them itself
            self.fresh.fill_all(others, [] if self.buffer is None else [self.buffer])
            self.fresh.draw()
            for step in self.after:
                step()
        self._warn()

    def _value(self, variable: Variable, array: Any) -> np.ndarray:
        """The array as the variable holds it: a part of the file's memory, where it lies there as it is."""
        if isinstance(array, Stored):
            place = None if self.buffer is None else array.place()
            if self.buffer is None or place is None or place + array.nbytes > len(self.buffer):
                array = read(array)
            else:
                array = self.buffer[place:place + array.nbytes].view(array.dtype).reshape(array.shape)
        array = array.astype(variable.dtype, copy=False)
        return array if array.shape == variable.shape else array.reshape(variable.shape)  # type: ignore[no-any-return]

    def _assign(self, values: list[tuple[Variable, np.ndarray]]) -> None:
        before = [(variable, variable.value.copy()) for variable, _ in values] if self.after else []
        try:
            for variable, value in values:
                variable.assign_now(value)
            for step in self.after:
                step()
        except BaseException:
            for variable, value in before:
                variable.assign_now(value)
            raise

    def _warn(self) -> None:
        texts = list(self.notes)
        if self.skipped:
            texts.append(f"{len(self.skipped)} thing(s) in the file do not fit and were left out. {' '.join(self.skipped)}")
        if texts:
            file, line = user_line() or (__file__, 0)
            warnings.warn_explicit(f"{self.source}: {' '.join(texts)}", UserWarning, file, line)


def fits(variable: Variable, array: Any) -> bool:
    """Whether the array has the variable's shape; old files hold the same numbers with further axes of extent 1."""
    shape = tuple(array.shape)
    return shape == variable.shape or [s for s in shape if s != 1] == [s for s in variable.shape if s != 1]
