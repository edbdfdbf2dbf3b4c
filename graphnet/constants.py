"""Arrays as constants of graphs: with the values of when a graph was traced, and one copy of a large one for all graphs."""
import weakref
from typing import Any

import numpy as np

from graphnet import dtypes

FEW = 64  # elements of a constant up to which each graph has its own
# id of an array -> its latest copy; what lies under an id is compared, so that another array may come to have it
_snapshots: "weakref.WeakValueDictionary[int, np.ndarray]" = weakref.WeakValueDictionary()


def unchanging(array: np.ndarray) -> bool:
    """Whether nobody may write to an array: neither it nor what it is a view of is writeable."""
    part: Any = array
    while isinstance(part, np.ndarray):
        if part.flags.writeable:
            return False
        part = part.base
    return True


def snapshot(array: np.ndarray) -> np.ndarray:
    """An array with the values that this one has now, for ever: itself where nobody may write to it, else a copy.

    Of a large one there is one copy for all graphs, as long as any of them holds it and the values stay the same.
    """
    if unchanging(array) and array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative:
        return array
    copy = _snapshots.get(id(array))
    if copy is None or not _equal(copy, array):
        copy = array.astype(array.dtype.newbyteorder("="), order="C")
        copy.flags.writeable = False
        if array.size > FEW and array.dtype.name in dtypes.ALL:
            _snapshots[id(array)] = copy
    return copy


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays of numbers have the same bits."""
    return a.dtype == b.dtype and np.array_equal(a.view(f"u{a.itemsize}"), b.view(f"u{b.itemsize}"))
