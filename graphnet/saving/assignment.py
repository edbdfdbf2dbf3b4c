"""What each variable is to be given from a file: all of it checked and read before the first variable is changed."""
import math
import warnings
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import h5py
import numpy as np

from graphnet.errors import FileFormatError
from graphnet.graph import Variable, user_line
from graphnet.saving.limits import EXPANSION, SMALL, take

# of HDF5, that are read; how much a checksum of theirs may add to a chunk
KNOWN_FILTERS, SLACK = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}, 64


class Assignments:
    """Pairs of a variable and an array of the file.

    What does not fit is an error, or left out with one warning where `skip` is asked for.
    """

    def __init__(self, source: str, skip: bool = False, mend: str = "") -> None:
        self.source, self.skip, self.mend = source, skip, mend
        self.pairs: dict[Variable, tuple[Any, str]] = {}
        self.visits: set[tuple[int, int]] = set()  # a group by its address, an object by its id: each pair is looked at once
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
            values = [
                (variable, (read(array) if isinstance(array, h5py.Dataset) else array).reshape(variable.shape).astype(variable.dtype))
                for variable, (array, _) in self.pairs.items()
            ]
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
    if found.dtype.kind not in "fiub":
        raise FileFormatError(f"{found.name} holds {found.dtype}, not numbers. Nothing was changed.")
    return found


def read(array: h5py.Dataset) -> np.ndarray:
    """The values of an array. FileFormatError where it claims to be far larger than the file, or unpacks to more than it claims."""
    take(array.nbytes, array.name)
    held = array.id.get_storage_size()
    if array.nbytes > SMALL + EXPANSION * held:
        raise FileFormatError(f"{array.name} claims {array.nbytes} bytes, of which the file holds {held}: it was made to fill the memory. "
                              "Nothing was changed.")
    if array.chunks is not None:
        _check_chunks(array)
    return np.asarray(array)


def _check_chunks(array: h5py.Dataset) -> None:
    """HDF5 would unpack a chunk to whatever its data say, far beyond what the array claims: they are tried first, piece by piece."""
    whole = math.prod(array.chunks) * array.dtype.itemsize
    take(whole, f"a chunk of {array.name}")
    properties = array.id.get_create_plist()
    filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
    if not set(filters) <= KNOWN_FILTERS or filters.count(h5py.h5z.FILTER_DEFLATE) > 1:
        raise FileFormatError(f"{array.name} is packed by HDF5 filters {filters}; those that are read are gzip, shuffle and fletcher32. "
                              "Pack it so (h5repack -f GZIP=1), or not at all. Nothing was changed.")
    if h5py.h5z.FILTER_DEFLATE not in filters:
        return
    skipped = 1 << filters.index(h5py.h5z.FILTER_DEFLATE)
    places: list[tuple[int, ...]] = []
    array.id.chunk_iter(lambda info: places.append(info.chunk_offset))
    for place in places:
        mask, packed = array.id.read_direct_chunk(place)
        if not mask & skipped and len(zlib.decompressobj().decompress(packed, whole + SLACK + 1)) > whole + SLACK:
            raise FileFormatError(f"{array.name} unpacks to more than its {whole} bytes: it was made to fill the memory. Nothing was changed.")
