"""What each variable is to be given from a file: all of it checked and read before the first variable is changed."""
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import h5py
import numpy as np

from graphnet.errors import FileFormatError
from graphnet.graph import Variable, user_line

SMALL, EXPANSION = 1 << 26, 1000  # bytes that are read in any case; how many times smaller compression may make more than that


class Assignments:
    """Pairs of a variable and an array of the file.

    What does not fit is an error, or left out with one warning where `skip` is asked for.
    """

    def __init__(self, source: str, skip: bool = False, mend: str = "") -> None:
        self.source, self.skip, self.mend = source, skip, mend
        self.pairs: dict[Variable, tuple[Any, str]] = {}
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
            if array.dtype.kind not in "fiub":
                raise FileFormatError(f"{self.source}: {place} holds {array.dtype}, not numbers. Nothing was changed.")
            if fits(variable, array):
                self.pairs[variable] = array, place
            else:
                self.problem(
                    f"weight {variable.path!r} expects shape {variable.shape}; the file's, at {place}, has shape "
                    f"{tuple(array.shape)}."
                )

    def apply(self) -> None:
        """Reads all arrays, then assigns them."""
        values = [
            (variable, (read(array) if isinstance(array, h5py.Dataset) else array).reshape(variable.shape).astype(variable.dtype))
            for variable, (array, _) in self.pairs.items()
        ]
        for variable, value in values:
            variable.assign_now(value)
        for step in self.after:
            step()
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


def member(group: h5py.Group, path: str) -> Any:
    """The group or array of that path. FileFormatError where there is none, or where a link leads elsewhere: nothing outside is read."""
    for name in path.split("/"):
        if name and not (isinstance(group, h5py.Group) and isinstance(group.get(name, getlink=True), h5py.HardLink)):
            raise FileFormatError(f"{group.name}/{name} is not there, or leads out of the file. Nothing was changed.")
        group = group[name] if name else group
    return group


def subgroups(group: h5py.Group) -> list[str]:
    """The names of the groups in a group; links are left out."""
    return [name for name in group
            if isinstance(group.get(name, getlink=True), h5py.HardLink) and group.get(name, getclass=True) is h5py.Group]


def dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    """The array of that name, unread; FileFormatError where it is none, or lies in another file that this one points to."""
    found = member(group, name) if isinstance(group.get(name, getlink=True), h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset) or found.external is not None or found.is_virtual:
        raise FileFormatError(f"{group.name}/{name} is not an array of this file. Nothing was changed.")
    return found


def read(array: h5py.Dataset) -> np.ndarray:
    """The values of an array; FileFormatError where it claims to be far larger than what the file has of it."""
    if array.nbytes > SMALL and array.nbytes > EXPANSION * array.id.get_storage_size():
        raise FileFormatError(f"{array.name} claims {array.nbytes} bytes, of which the file holds {array.id.get_storage_size()}: it was made "
                              "to fill the memory. Nothing was changed.")
    return np.asarray(array)
