"""Labels as one-hot rows, arrays of length one, lists of several lengths as one array, arrays cut in two."""
import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphnet import ops, tree
from graphnet.errors import DataError, OutOfRangeError
from graphnet.graph import Tensor


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """One-hot rows of class numbers: ``y[..., c] = 1 where x = c``, else 0.

    Shapes: (...) -> (..., num_classes), a last axis of one going first; float64 as in Keras. ``num_classes`` is the largest
    number plus one by default. Raises OutOfRangeError for a number below 0 or not below num_classes. Source:
    https://keras.io/api/utils/python_utils/#tocategorical-function

    Example:

        >>> import graphnet
        >>> graphnet.utils.to_categorical([0, 2], num_classes=3)
        array([[1., 0., 0.],
               [0., 0., 1.]])
    """
    if type(x) is Tensor:
        return ops.one_hot(ops.squeeze(x, -1) if x.ndim > 1 and x.shape[-1] == 1 else x, num_classes)
    labels = np.array(x, "int64")
    labels = labels[..., 0] if labels.ndim > 1 and labels.shape[-1] == 1 else labels
    if not num_classes:
        if labels.size == 0:
            raise ValueError("to_categorical expects num_classes where x is empty.")
        num_classes = int(labels.max()) + 1
    if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
        raise OutOfRangeError(
            f"to_categorical expects class numbers from 0 to {num_classes - 1}; received {labels.min()} to {labels.max()}."
        )
    found = np.zeros((*labels.shape, num_classes))
    np.put_along_axis(found, labels[..., None], 1.0, axis=-1)
    return found


def normalize(x: Any, axis: int = -1, order: Any = 2) -> Any:
    """x divided by its norm along an axis; what has the norm 0 stays.

    Source: https://keras.io/api/utils/python_utils/#normalize-function

    Example:

        >>> import graphnet, numpy
        >>> graphnet.utils.normalize(numpy.array([[3.0, 4.0], [0.0, 0.0]]))
        array([[0.6, 0.8],
               [0. , 0. ]])
    """
    if not isinstance(x, np.ndarray):
        return ops.normalize(x, axis=axis, order=order)
    norm = np.linalg.norm(x, order, axis, keepdims=True)
    return x / np.where(norm == 0, 1, norm)


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Lists of several lengths as one array of shape (lists, maxlen, ...).

    Arguments: ``maxlen`` the length of all, by default that of the longest; ``padding`` "pre" or "post": where ``value`` is
    filled in; ``truncating`` "pre" or "post": where a longer one is cut. Raises ValueError, DataError where items differ in
    shape. Source: https://keras.io/api/data_loading/timeseries/

    Example:

        >>> import graphnet
        >>> graphnet.utils.pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
        array([[0, 1],
               [2, 3],
               [5, 6]], dtype=int32)
    """
    for name, choice in (("padding", padding), ("truncating", truncating)):
        if choice not in ("pre", "post"):
            raise ValueError(f'pad_sequences expects {name} to be "pre" or "post"; received {choice!r}.')
    if not hasattr(sequences, "__len__") or not all(hasattr(item, "__len__") for item in sequences):
        raise ValueError(f"pad_sequences expects a list of lists; received {sequences!r}.")
    if isinstance(value, str) and np.dtype(dtype).kind not in "OSU":
        raise ValueError(
            f"pad_sequences expects dtype=object or str where value is a text; received dtype={dtype!r}, value={value!r}."
        )
    length = max(map(len, sequences), default=0) if maxlen is None else int(maxlen)
    inner = next((np.asarray(item).shape[1:] for item in sequences if len(item)), ())
    found = np.full((len(sequences), length, *inner), value, dtype)
    for place, item in enumerate(sequences):
        kept = np.asarray(item[max(0, len(item) - length):] if truncating == "pre" else item[:length], dtype)
        if len(kept) and kept.shape[1:] != inner:
            raise DataError(f"pad_sequences expects items of one shape, {inner} as the first; received {kept.shape[1:]} at "
                            f"position {place}.")
        if len(kept):
            found[place, slice(len(kept)) if padding == "post" else slice(length - len(kept), None)] = kept
    return found


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
) -> tuple[Any, Any]:
    """An array, or a tuple, list or dict of arrays, cut by rows in a left and a right one of the same structure.

    Arguments: ``left_size``, ``right_size`` a number of rows or a fraction of them; one left out takes the rest; ``shuffle``
    draws the rows' order from ``seed``. Raises TypeError, ValueError, DataError. Source:
    https://keras.io/api/utils/python_utils/#splitdataset-function

    Example:

        >>> import graphnet, numpy
        >>> (x, y), (x_test, y_test) = graphnet.utils.split_dataset((numpy.eye(10), numpy.arange(10)), left_size=0.8)
        >>> x.shape, y_test
        ((8, 10), array([8, 9]))
    """
    if not isinstance(dataset, (np.ndarray, list, tuple, Mapping)):
        raise TypeError(
            f"split_dataset expects an array, or a tuple, list or dict of arrays; received {type(dataset).__name__}. Data sets "
            "that give batches are split where they are made."
        )
    leaves = [np.asarray(leaf) for leaf in tree.flatten(dataset)]
    counts = {leaf.shape[0] if leaf.ndim else 0 for leaf in leaves}
    if len(counts) != 1:
        raise DataError(f"split_dataset expects arrays of the same number of rows; received {[leaf.shape for leaf in leaves]}.")
    rows = counts.pop()
    left, right = _sizes(left_size, right_size, rows)
    order = list(range(rows))
    if shuffle:
        random.Random(random.randint(0, 10**6) if seed is None else seed).shuffle(order)

    def cut(part: slice) -> Any:
        return tree.map_structure(lambda leaf: np.asarray(leaf)[order[part] if shuffle else part], dataset)

    return cut(slice(0, left)), cut(slice(rows - right, rows))


def _sizes(left: Any, right: Any, rows: int) -> tuple[int, int]:
    """How many rows the two parts have."""
    if left is None and right is None:
        raise ValueError("split_dataset expects left_size or right_size; received neither.")
    counts = []
    for name, size in (("left_size", left), ("right_size", right)):
        if size is not None and type(size) not in (int, float):
            raise TypeError(f"split_dataset expects {name} to be a number of rows or a fraction of them; received {size!r}.")
        if size is not None and not 0 < size < (1 if type(size) is float else rows):
            raise ValueError(f"split_dataset expects {name} to be between 0 and 1, or a whole number below the {rows} rows; "
                             f"received {size!r}.")
        counts.append(round(size * rows) if type(size) is float else size)
    first = counts[0] if counts[0] is not None else rows - counts[1]
    second = counts[1] if counts[1] is not None else rows - first
    if first + second > rows or not first or not second:
        raise ValueError(
            f"split_dataset expects two parts of {rows} rows; received left_size={left!r} and right_size={right!r}, which "
            f"mean {first} and {second}."
        )
    return first, second
