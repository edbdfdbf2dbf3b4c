"""Assignments: pairs of a variable and an array of a file, all checked before the first variable is changed."""
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphnet.errors import FileFormatError
from graphnet.graph import Variable

Assignment = tuple[Variable, np.ndarray, str]  # the variable, its array, and where in the file that lies


def match(variables: Sequence[Variable], arrays: Sequence[np.ndarray], place: str) -> list[Assignment]:
    """Pairs in order; FileFormatError where the numbers differ."""
    if len(variables) != len(arrays):
        raise FileFormatError(f"{place}: the model has {len(variables)} weights there ({', '.join(v.name for v in variables) or 'none'}), the file has "
                              f"{len(arrays)} of shapes {[tuple(a.shape) for a in arrays]}. The file is of another architecture.")
    return [(v, a, place) for v, a in zip(variables, arrays, strict=True)]


def fitted(variable: Variable, array: np.ndarray) -> np.ndarray:
    """The array in the variable's shape, where old files hold the same numbers in another one."""
    if array.shape != variable.shape and array.size == variable.size and array.squeeze().shape == tuple(s for s in variable.shape if s != 1):
        return array.reshape(variable.shape)
    return array


def apply(assignments: Sequence[Assignment], source: str, skip_mismatch: bool = False) -> None:
    """Assigns all, or raises FileFormatError and assigns none; with skip_mismatch, leaves out what does not fit, with a warning."""
    ready = []
    for variable, array, place in assignments:
        array = fitted(variable, array)
        if array.shape != variable.shape:
            text = (f"{source}: weight {variable.path!r} expects shape {variable.shape}; the file's, at {place}, has shape {tuple(array.shape)}.")
            if not skip_mismatch:
                raise FileFormatError(text + " Nothing was changed. Build the model as it was saved, or pass skip_mismatch=True.")
            warnings.warn(text + " It is left as it is.", stacklevel=3)
            continue
        if array.dtype.kind not in "fiub":
            raise FileFormatError(f"{source}: {place} holds {array.dtype}, not numbers. Nothing was changed.")
        ready.append((variable, array))
    for variable, array in ready:
        variable.assign(array.astype(variable.dtype))


