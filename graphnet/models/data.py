"""Data for a model's inputs: matched by position or name, checked and converted before anything runs."""
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphnet import dtypes
from graphnet.errors import DataError
from graphnet.graph import Spec, Tensor


def match(inputs: Sequence[Tensor], structure: Any, data: Any, who: str) -> list[Any]:
    """The data in the order of the inputs: an array, a list by position or a dict by name."""
    if isinstance(structure, (list, tuple)) and any(isinstance(part, (list, tuple, Mapping)) for part in structure):
        leaves = _by_structure(structure, data)
        if leaves is not None:
            return leaves
    names = [t.name for t in inputs]
    if isinstance(data, Mapping):
        keys = sorted(structure) if isinstance(structure, Mapping) else names
        labels = keys if set(keys) <= set(data) or not set(names) <= set(data) else names
        missing, extra = [k for k in labels if k not in data], [k for k in data if k not in labels]
        if missing or (extra and len(data) == len(labels)):
            wrong = f"{missing} are missing" if missing else f"{extra} are not known"
            raise DataError(f"{who} expects inputs named {labels}; received {list(data)}: {wrong}.")
        return [data[k] for k in labels]
    if isinstance(data, (list, tuple)):
        if len(data) == len(inputs) and (len(inputs) > 1 or hasattr(data[0], "shape") or not np.isscalar(data[0])):
            if not (len(inputs) == 1 and not hasattr(data[0], "shape") and isinstance(data[0], (int, float))):
                return list(data) if len(inputs) > 1 or _is_array_like(data[0], inputs[0]) else [data]
        if len(inputs) == 1 and not (len(data) > 1 and any(type(x) is Tensor for x in data)):
            return [data]
        raise DataError(f"{who} expects {len(inputs)} inputs {names}; received {len(data)}.")
    if len(inputs) != 1:
        raise DataError(f"{who} expects {len(inputs)} inputs {names}; received one array. Pass a list in that order, or a dict "
                        "by name.")
    return [data]


def _by_structure(structure: Any, data: Any) -> list[Any] | None:
    """The data of inputs in nested lists and dicts, in the inputs' order; None where its structure is another."""
    if isinstance(structure, Mapping):
        pairs = (
            [(structure[k], data[k]) for k in sorted(structure)]
            if isinstance(data, Mapping) and set(structure) <= set(data)
            else None
        )
    elif isinstance(structure, (list, tuple)):
        same = isinstance(data, (list, tuple)) and len(data) == len(structure)
        pairs = list(zip(structure, data, strict=True)) if same else None
    else:
        return [data]
    found = None if pairs is None else [_by_structure(part, value) for part, value in pairs]
    return None if found is None or any(part is None for part in found) else [leaf for part in found for leaf in part or ()]


def _is_array_like(value: Any, tensor: Tensor) -> bool:
    return np.ndim(value) == tensor.ndim


def convert(value: Any, spec: Spec, name: str, who: str) -> np.ndarray:
    """One input as an array of the due dtype and a shape that fits; DataError where it cannot be."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise DataError(f"{who}: input {name!r} expects an array; received {type(value).__name__}, which is none "
                        f"({error}).") from None
    if array.dtype.kind not in "fiub":
        raise DataError(f"{who}: input {name!r} expects dtype {spec.dtype}; received dtype {array.dtype} "
                        f"({type(value).__name__}). Convert it to numbers first.")
    # a row of numbers is a column of one feature, as in Keras
    if array.ndim == len(spec.shape) - 1 and array.ndim and spec.shape[-1] == 1:
        array = array[..., None]
    check_shape(array, spec, name, who)
    if array.dtype.name != spec.dtype:
        if spec.dtype in dtypes.INTS and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DataError(f"{who}: input {name!r} expects dtype {spec.dtype}; received {array.dtype} data that holds NaN or "
                            "infinity, which no integer can stand for. Clean or mask the data first.")
        array = array.astype(spec.dtype)
    return array


def check_shape(array: np.ndarray, spec: Spec, name: str, who: str) -> None:
    """Raises DataError where an array's shape does not fit the input."""
    fits = array.ndim == len(spec.shape) and all(
        type(w) is not int or w == g for w, g in zip(spec.shape, array.shape, strict=True)
    )
    if fits:
        return
    wanted = tuple(s if type(s) is int else None for s in spec.shape)
    mend = ""
    if array.ndim == len(spec.shape) - 1:
        mend = " An axis seems to be missing (batch or channels): expand_dims adds one."
        if array.shape == wanted[1:]:
            mend = " The batch axis seems to be missing: pass x[None]."
    elif len(wanted) == 4 and array.ndim == 4 and wanted[-1] == array.shape[1]:
        mend = " The data looks channels_first: pass x.transpose(0, 2, 3, 1)."
    elif array.ndim == len(wanted) and array.shape[1:] == wanted[1:]:
        mend = f" Its Input fixes the batch: give batches of {wanted[0]}, or make it with shape= in place of batch_shape=."
    elif (
        array.ndim
        and None not in wanted[1:]
        and array.shape[1:] != wanted[1:]
        and math.prod(array.shape[1:]) == math.prod(wanted[1:])
    ):
        mend = f" It holds as many numbers as that: x.reshape{(-1, *wanted[1:])} may be meant."
    axes = (
        [i for i, (w, g) in enumerate(zip(wanted, array.shape, strict=False)) if w is not None and w != g]
        if array.ndim == len(wanted)
        else []
    )
    where = f" (ndim={len(wanted)} expected, ndim={array.ndim} received)"
    if axes:
        where = f" (axis {axes[0]}: {wanted[axes[0]]} expected, {array.shape[axes[0]]} received)"
    raise DataError(f"{who}: input {name!r} expects shape {wanted}; received shape {array.shape}{where}.{mend}")
