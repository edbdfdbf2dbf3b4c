"""What HDF5 files hold, by h5py's functions nearest to the file: groups, and arrays of numbers that lie in the file itself."""
import math
import zlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any, TypeAlias

import h5py
import numpy as np
from h5py import h5d, h5o, h5s, h5t

from graphnet.errors import FileFormatError
from graphnet.saving.limits import EXPANSION, SMALL, take

# of HDF5, that are read; how much a checksum of theirs may add to a chunk
KNOWN_FILTERS, SLACK = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}, 64


class Stored:
    """An array of a file, unread.

    Attributes: ``id`` is h5py's; ``shape``, ``dtype``, ``nbytes``.
    """

    def __init__(self, found: h5d.DatasetID) -> None:
        self.id, self.shape, self.dtype = found, tuple(found.shape), found.dtype
        self.nbytes = math.prod(self.shape) * self.dtype.itemsize

    @cached_property
    def name(self) -> str:
        return _text(h5py.h5i.get_name(self.id) or b"?")

    def place(self) -> int | None:
        """Where in the file its bytes lie, as numpy has them and in one piece; None where they lie otherwise."""
        if self.dtype.kind not in "fiu" or self.id.get_create_plist().get_layout() != h5d.CONTIGUOUS:
            return None
        if self.id.get_storage_size() != self.nbytes or not self.id.get_type().equal(h5t.py_create(self.dtype)):
            return None
        return self.id.get_offset()  # type: ignore[no-any-return]


class Joined:
    """The groups of one name in several files as one, which holds what they hold together.

    Attributes: ``parts``, the groups; ``name``.
    """

    def __init__(self, parts: Sequence[h5py.Group]) -> None:
        self.parts, self.name = parts, parts[0].name if parts else "/"


Place: TypeAlias = h5py.Group | Joined


def parts(place: Place) -> Sequence[h5py.Group]:
    """The groups that a place has, one in each file."""
    return place.parts if isinstance(place, Joined) else (place,)


def names(place: Place) -> set[str]:
    """All names in a group, those of links among them."""
    return {_text(name) for part in parts(place) for name in part.id}


def holds(place: Place, name: str) -> bool:
    """Whether a group holds anything of that name."""
    return any(name.encode() in part.id for part in parts(place))


def links(place: Place) -> dict[str, bool]:
    """What a group holds by name, and whether that is a group; what links lead to is left out: nothing outside is read."""
    found: dict[str, bool] = {}
    for group in [part.id for part in parts(place)]:
        hard = [name for name in group if group.links.get_info(name).type == h5py.h5l.TYPE_HARD]
        found.update({_text(name): h5o.get_info(group, name).type == h5o.TYPE_GROUP for name in hard})
    return found


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")  # as h5py does


def _opened(place: Place, name: str) -> list[Any]:
    """What stands under a name, in each file where that is in the file itself."""
    key = name.encode("utf-8", "surrogateescape")
    return [h5o.open(part.id, key) for part in parts(place)
            if key in part.id and part.id.links.get_info(key).type == h5py.h5l.TYPE_HARD]


def member(place: Place, path: str) -> Place:
    """The group of that path. FileFormatError where there is none, or where a link leads elsewhere: nothing outside is read."""
    for name in filter(None, path.split("/")):
        found = _opened(place, name)
        if not found or not all(isinstance(one, h5py.h5g.GroupID) for one in found):
            raise FileFormatError(f"{place.name}/{name} is not there, or leads out of the file. Nothing was changed.")
        groups = [h5py.Group(one) for one in found]
        place = groups[0] if len(groups) == 1 else Joined(groups)
    return place


def subgroups(place: Place) -> list[str]:
    """The names of the groups in a group; links are left out."""
    return [name for name, is_group in links(place).items() if is_group]


def dataset(place: Place, path: str) -> Stored:
    """The array of that path, unread; FileFormatError where it is none, or lies in another file that this one points to."""
    folder, _, name = path.rpartition("/")
    place = member(place, folder)
    every = _opened(place, name)
    found = every[0] if every else None
    options = found.get_create_plist() if isinstance(found, h5d.DatasetID) else None
    if found is None or options is None or options.get_layout() == h5d.VIRTUAL or options.get_external_count():
        raise FileFormatError(f"{place.name}/{name} is not an array of this file. Nothing was changed.")
    if len(every) > 1:
        raise FileFormatError(f"{place.name}/{name} stands in {len(every)} of the files. Nothing was changed.")
    if found.get_space().get_simple_extent_type() == h5s.NULL or found.dtype.kind not in "fiub":
        raise FileFormatError(f"{place.name}/{name} holds {found.dtype}, not numbers. Nothing was changed.")
    return Stored(found)


def addresses(place: Place) -> set[tuple[int, int]]:
    """Where a group lies: the number of each of its files, and the place in it."""
    return {(info.fileno, info.addr) for info in (h5o.get_info(part.id) for part in parts(place))}


def read(array: Stored) -> np.ndarray:
    """The values of an array. FileFormatError where it claims to be far larger than the file, or unpacks to more than it claims."""
    take(array.nbytes, array.name)
    held = array.id.get_storage_size()
    if array.nbytes > SMALL + EXPANSION * held:
        raise FileFormatError(f"{array.name} claims {array.nbytes} bytes, of which the file holds {held}: it was made to fill the memory. "
                              "Nothing was changed.")
    if array.id.get_create_plist().get_layout() == h5d.CHUNKED:
        _check_chunks(array)
    values = np.empty(array.shape, array.dtype)
    if values.size:
        array.id.read(h5s.ALL, h5s.ALL, values)
    return values


def _check_chunks(array: Stored) -> None:
    """HDF5 would unpack a chunk to whatever its data say, far beyond what the array claims: they are tried first, piece by piece."""
    properties = array.id.get_create_plist()
    whole = math.prod(properties.get_chunk()) * array.dtype.itemsize
    take(whole, f"a chunk of {array.name}")
    filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
    if not set(filters) <= KNOWN_FILTERS or filters.count(h5py.h5z.FILTER_DEFLATE) > 1:
        raise FileFormatError(f"{array.name} is packed by HDF5 filters {filters}; those that are read are gzip, shuffle and fletcher32. "
                              "Pack it so (h5repack -f GZIP=1), or not at all. Nothing was changed.")
    if h5py.h5z.FILTER_DEFLATE not in filters:
        return
    skipped = 1 << filters.index(h5py.h5z.FILTER_DEFLATE)
    places: list[tuple[int, ...]] = []
    array.id.chunk_iter(lambda info: places.append(info.chunk_offset))
    take(max(0, whole * len(places) - array.nbytes), f"what the chunks of {array.name} hold beyond it")
    for place in places:
        mask, packed = array.id.read_direct_chunk(place)
        if not mask & skipped and len(zlib.decompressobj().decompress(packed, whole + SLACK + 1)) > whole + SLACK:
            raise FileFormatError(f"{array.name} unpacks to more than its {whole} bytes: it was made to fill the memory. Nothing was changed.")
