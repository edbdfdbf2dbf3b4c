"""HDF5 files to be written: what describes the arrays is made in memory, the arrays themselves go from where they are to the file."""
import io
import os
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

from graphnet.files import pieces

_PAGE = 1 << 12


class Outline:
    """An HDF5 file that has a place for each array, and is whole once `blocks` are written one behind the other.

    HDF5 itself would copy all arrays into a file in memory first, which takes longer than to write them.

    Arguments: ``fill`` makes groups and attributes in `file`, and adds arrays by `put`.
    """

    def __init__(self, fill: Callable[["Outline"], None]) -> None:
        self._arrays: list[tuple[int, np.ndarray]] = []
        self._pages = _Pages()
        self._links, self._options = h5p.create(h5p.LINK_CREATE), h5p.create(h5p.DATASET_CREATE)
        self._links.set_create_intermediate_group(True)
        self._links.set_char_encoding(h5t.CSET_UTF8)
        self._options.set_layout(h5d.CONTIGUOUS)
        self._options.set_alloc_time(h5d.ALLOC_TIME_EARLY)
        self._options.set_fill_time(h5d.FILL_TIME_NEVER)
        self._options.set_obj_track_times(False)
        with h5py.File(self._pages, "w") as self.file:
            fill(self)
        self._arrays.sort(key=lambda entry: entry[0])

    def put(self, group: h5py.Group, name: str, value: Any) -> None:
        """Adds an array to a group; the groups of a path are made."""
        array = np.asarray(value, order="C")
        if array.dtype.kind not in "fiub" or not array.size:
            group[name] = array
            return
        made = h5d.create(group.id, name.encode(), h5t.py_create(array.dtype, logical=True), h5s.create_simple(array.shape),
                          self._options, self._links)
        self._arrays.append((made.get_offset(), array))

    def blocks(self) -> Iterator[memoryview]:
        """The file's bytes in order, in pieces. Each is to be used before the next is asked for."""
        at = 0
        for begin, array in self._arrays:
            if begin > at:
                yield self._pages.part(at, begin)
            yield from pieces(array)
            at = begin + array.nbytes
        if self._pages.size > at:
            yield self._pages.part(at, self._pages.size)


class _Pages(io.RawIOBase):
    """A file in memory of which only the pages that something was written to are there."""

    def __init__(self) -> None:
        self.pages: dict[int, bytearray] = {}
        self.at = self.size = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.size}[whence]
        return self.at

    def tell(self) -> int:
        return self.at

    def truncate(self, size: int | None = None) -> int:
        self.size = self.at if size is None else size
        return self.size

    def write(self, data: Any) -> int:
        begin, count, done = self.at, len(data), 0
        while done < count:
            page, offset = divmod(begin + done, _PAGE)
            more = min(_PAGE - offset, count - done)
            self.pages.setdefault(page, bytearray(_PAGE))[offset:offset + more] = data[done:done + more]
            done += more
        self.at = begin + count
        self.size = max(self.size, self.at)
        return count

    def readinto(self, into: Any) -> int:
        count = max(0, min(len(into), self.size - self.at))
        into[:count] = self.part(self.at, self.at + count)
        self.at += count
        return count

    def part(self, begin: int, end: int) -> memoryview:
        """The bytes between two places; zeros where nothing was written."""
        first, last = begin // _PAGE, -(-end // _PAGE)
        nothing = bytes(_PAGE)
        whole = b"".join([self.pages.get(page, nothing) for page in range(first, last)])
        return memoryview(whole)[begin - first * _PAGE:end - first * _PAGE]
