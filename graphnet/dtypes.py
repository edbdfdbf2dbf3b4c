"""Names of number kinds, how two of them combine, and how values become arrays. The rules are Keras 3's (those of JAX)."""
import functools
from typing import Any

import numpy as np

from graphnet.errors import DTypeError

BOOL, INTS, FLOATS = (
    ("bool",),
    ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    ("float16", "float32", "float64"),
)
ALL = BOOL + INTS + FLOATS
_floatx = ["float32"]


def floatx() -> str:
    """The default float type: ``"float32"`` unless `set_floatx` says otherwise.

    Example:

        >>> import graphnet
        >>> graphnet.config.floatx()
        'float32'
    """
    return _floatx[0]


def set_floatx(value: str) -> None:
    """Sets the default float type of new variables and inputs to "float16", "float32" or "float64".

    Example:

        >>> import graphnet
        >>> graphnet.config.set_floatx("float64")
        >>> graphnet.Variable(lambda shape, dtype: 0, ()).dtype
        'float64'
        >>> graphnet.config.set_floatx("float32")
    """
    if value not in FLOATS:
        raise DTypeError(f"set_floatx expects one of {', '.join(FLOATS)}; received {value!r}.")
    _floatx[0] = value
    _standard.cache_clear()  # what they found for the name "float" was the type before
    result_type.cache_clear()


@functools.cache
def _standard(value: Any) -> str:
    name = {"int": "int32", "float": floatx(), "bfloat16": "float32"}.get(value, value) if isinstance(value, str) else value
    try:
        found = np.dtype(name).name
    except TypeError:
        found = ""
    if found not in ALL:
        raise DTypeError(f"Expected a dtype among {', '.join(ALL)}; received {value!r}.")
    return found


def standardize_dtype(dtype: Any) -> str:
    """The name of a dtype: "float32" for np.float32, np.dtype("f"), "float32" or None (the default float type)."""
    if dtype is None:
        return floatx()
    if isinstance(dtype, np.dtype):
        return _standard(dtype.name)
    if dtype in (int, float, bool):
        return {int: "int32", float: floatx(), bool: "bool"}[dtype]
    return _standard(dtype)


def is_float(dtype: str) -> bool:
    return dtype in FLOATS


def is_int(dtype: str) -> bool:
    return dtype in INTS


@functools.cache
def result_type(*dtypes: str) -> str:
    """The dtype of a sum of such operands. Floats win over integers whatever their width: int64 with float32 is float32.

    Names "int" and "float" stand for Python numbers, which take the type of what they meet.
    """
    weak_float, weak_int = "float" in dtypes, "int" in dtypes
    strong = [d for d in dtypes if d not in ("int", "float")]
    floats = [d for d in strong if d in FLOATS]
    if floats:
        return max(floats, key=FLOATS.index)
    if weak_float:
        return floatx()
    ints = [d for d in strong if d in INTS]
    if not ints:
        return "int32" if weak_int else "bool"
    if "uint64" in ints and any(d.startswith("int") for d in ints):
        return floatx()
    return np.result_type(*ints).name


def dtype_of(value: Any) -> str:
    """The dtype name that takes part in promotion: "int" and "float" for Python's own numbers."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    dtype = getattr(value, "dtype", None)
    return standardize_dtype(dtype) if dtype is not None else as_array(value).dtype.name


def as_array(value: Any, dtype: str | None = None) -> np.ndarray:
    """A value as a numpy array; Python's floats become the default float type, its integers int32."""
    if dtype is not None:
        return np.asarray(value, dtype)
    if isinstance(value, np.ndarray):
        return value
    array = np.asarray(value)
    if not hasattr(value, "dtype"):
        if array.dtype == np.float64:
            array = array.astype(floatx())
        elif array.dtype == np.int64 and (array.size == 0 or (array.min() >= -2**31 and array.max() < 2**31)):
            array = array.astype(np.int32)
    return array
