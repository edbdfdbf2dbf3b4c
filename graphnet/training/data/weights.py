"""Sample weights: those that the user gives, brought into the structure of y, and those that class weights mean."""
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphnet import dtypes, tree
from graphnet.errors import DataError
from graphnet.training.data.rows import Rows


def nested(value: Any) -> bool:
    return isinstance(value, (list, tuple, Mapping))


def match_weights(weight: Any, y: Any, who: str) -> Any:
    """sample_weight in the structure of y: one array for each output, or one number a row for all of them."""
    if weight is None or not nested(y):
        return weight
    if not nested(weight):
        if len(weight.shape) > 2 or (len(weight.shape) == 2 and weight.shape[1] != 1):
            raise DataError(
                f"{who} expects sample_weight of shape (rows,), one weight a row for all outputs, or one array for each "
                f"output in the structure of y; received one array of shape {weight.shape}."
            )
        return tree.map_structure(lambda _: weight, y)
    if isinstance(y, Mapping) and isinstance(weight, Mapping) and set(weight) <= set(y):
        return {key: match_weights(weight.get(key), part, who) for key, part in y.items()}
    if isinstance(y, (list, tuple)) and isinstance(weight, (list, tuple)) and len(weight) == len(y):
        return type(y)([match_weights(part, of, who) for part, of in zip(weight, y, strict=True)])
    raise DataError(f"{who} expects sample_weight in the structure of y, {_outline(y)}; received {_outline(weight)}.")


def _outline(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"a dict of {sorted(value)}"
    return f"a {type(value).__name__} of {len(value)}"


def check_class_weight(class_weight: Any, who: str) -> dict[int, float]:
    """The mapping with whole numbers as keys and floats as values."""
    try:
        found = {int(label): float(weight) for label, weight in class_weight.items()}
        if any(label != int(label) for label in class_weight):
            raise ValueError
    except (AttributeError, TypeError, ValueError):
        raise DataError(f"{who} expects class_weight to be a dict from class numbers to weights, {{0: 1.0, 1: 3.5}}; received "
                        f"{class_weight!r}.") from None
    return found


def class_weights(y: Any, class_weight: dict[int, float], who: str) -> np.ndarray:
    """The weight of each row's class, 1 for a class that is not named; y holds class numbers or one-hot rows."""
    if nested(y) or y is None:
        received = "no y" if y is None else f"y in {_outline(y)}"
        raise DataError(
            f"{who} takes class_weight for models with one output only; received {received}. Pass sample_weight instead."
        )
    array = y.array if isinstance(y, Rows) else np.asarray(y)
    if array.ndim > 1:
        array = array.argmax(-1) if array.shape[-1] != 1 else array[..., 0]
    if array.ndim != 1:
        raise DataError(
            f"{who} takes class_weight where y is one class a row; received y of shape {y.shape}. Pass sample_weight instead."
        )
    labels, places = np.unique(np.round(array).astype("int64"), return_inverse=True)
    table = np.array([class_weight.get(int(label), 1.0) for label in labels], dtypes.floatx())
    return table[places.reshape(-1)]
