"""Any kind of data as batches: one clear error for what does not fit, before anything is trained."""
import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphnet import tree
from graphnet.errors import DataError
from graphnet.training.data.batches import ArrayBatches, Batches
from graphnet.training.data.iterables import IterableBatches, Standard, check_rows
from graphnet.training.data.py_dataset import PyDataset, PyDatasetBatches
from graphnet.training.data.rows import Rows, convert
from graphnet.training.data.weights import check_class_weight, class_weights, match_weights


def adapt(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    shuffle: Any = False,
    class_weight: Any = None,
    steps: int | None = None,
    who: str = "fit",
    inputs: int = 1,
    outputs: int = 1,
    training: bool = True,
) -> Batches:
    """The batches of arrays (or tables, sparse matrices, lists of numbers, and structures of them) or of what gives batches.

    Arguments: ``batch_size`` rows of arrays at once (32, or what makes ``steps`` batches of them); ``shuffle`` True, False or
    "batch" (within each batch); ``class_weight`` a dict from class numbers to weights; ``steps`` batches in an epoch; ``who``
    begins the errors; ``inputs`` and ``outputs`` of the model say what a list of lists of numbers means; without ``training``
    batches hold x alone, its floats as they are. Raises DataError.
    """
    positive(batch_size, "batch_size", who)
    positive(steps, "steps", who)
    if not (shuffle in (True, False, None) or (isinstance(shuffle, str) and shuffle == "batch")):
        raise DataError(f'{who} expects shuffle to be True, False or "batch"; received {shuffle!r}.')
    weights = None if class_weight is None else check_class_weight(class_weight, who)
    if weights is not None and sample_weight is not None:
        raise DataError(f"{who} takes class_weight or sample_weight, not both. Multiply them into one sample_weight.")
    if gives_batches(x, who):
        for name, value in (("y", y), ("sample_weight", sample_weight), ("batch_size", batch_size)):
            if value is not None:
                raise DataError(f"{who} expects no {name} where x is a {type(x).__name__}, which gives whole batches (x, y, "
                                "sample_weight) itself.")
        pairs = _is_dataset(x) or any(base.__name__ == "DataLoader" for base in type(x).__mro__)
        standard = Standard(who, pairs, training, weights, inputs, outputs)
        return (
            PyDatasetBatches(who, x, steps, shuffle, standard) if _is_dataset(x) else IterableBatches(who, x, steps, standard)
        )
    parts, rows = array_parts(x, y, sample_weight, who, inputs, outputs, training)
    if rows == 0:
        raise DataError(f"{who} expects at least one row; received arrays without rows.")
    if weights is not None:
        found = class_weights(parts[1], weights, who)
        parts = (parts[0], parts[1], Rows(found, found.dtype))
    size = int(batch_size) if batch_size is not None else math.ceil(rows / steps) if steps else 32
    return ArrayBatches(who, parts, rows, size, steps, shuffle)


def split_validation(
    x: Any, y: Any, sample_weight: Any, fraction: float, who: str = "fit", inputs: int = 1, outputs: int = 1
) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    """(x, y, sample_weight) to train on and to validate with: the last n - floor(n (1 - fraction)) of n rows, no copy."""
    if isinstance(fraction, bool) or not isinstance(fraction, (int, float, np.number)) or not 0 < fraction < 1:
        raise DataError(f"{who} expects validation_split to be a number between 0 and 1; received {fraction!r}.")
    if gives_batches(x, who):
        raise DataError(
            f"{who} takes validation_split for arrays only; received a {type(x).__name__}, whose rows cannot be counted. "
            "Pass validation_data instead."
        )
    parts, rows = array_parts(x, y, sample_weight, who, inputs, outputs)
    at = math.floor(rows * (1.0 - fraction))
    if at in (0, rows):
        raise DataError(
            f"{who} expects enough rows for validation_split={fraction}; received {rows}, of which {at} would be left to "
            "train on."
        )

    def cut(start: int, stop: int) -> tuple[Any, Any, Any]:
        return tree.map_structure(lambda leaf: None if leaf is None else leaf.cut(start, stop), parts)

    return cut(0, at), cut(at, rows)


def positive(value: Any, name: str, who: str) -> None:
    """ValueError where a count is not a positive whole number."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value <= 0):
        raise DataError(f"{who} expects {name} to be a positive whole number; received {value!r}.")


def gives_batches(x: Any, who: str) -> bool:
    """Whether x gives batches one by one, instead of holding all rows; DataError where it does neither."""
    if isinstance(x, (np.ndarray, list, tuple, Mapping)) or hasattr(x, "__array__") or hasattr(x, "tocsr"):
        return False
    batches = hasattr(x, "__iter__") or hasattr(x, "__next__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))
    if not batches or isinstance(x, (str, bytes, set)):
        mend = f" Call it: {who.split()[0]}(generator())." if inspect.isfunction(x) else ""
        raise DataError(f"{who} expects an array, a list or dict of arrays, or what gives batches; received {x!r} "
                        f"({type(x).__name__}).{mend}")
    return True


def _is_dataset(x: Any) -> bool:
    """Whether batches are got by number: graphnet's PyDataset, Keras's, or an object with __getitem__ and __len__."""
    by_number = hasattr(x, "__getitem__") and (hasattr(x, "num_batches") or hasattr(x, "__len__"))
    return isinstance(x, PyDataset) or (by_number and (hasattr(x, "on_epoch_end") or not hasattr(x, "__iter__")))


def array_parts(
    x: Any, y: Any, weight: Any, who: str, inputs: int = 1, outputs: int = 1, training: bool = True
) -> tuple[tuple[Any, Any, Any], int]:
    """x, y and sample_weight with `Rows` in the place of arrays, and the number of rows on which they agree."""
    found = (
        convert(x, "x", who, inputs, training),
        convert(y, "y", who, outputs),
        convert(weight, "sample_weight", who, outputs),
    )
    parts = found[0], found[1], match_weights(found[2], found[1], who)
    return parts, check_rows(parts, who, hint=True)
