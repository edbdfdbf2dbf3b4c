"""A batch as a step gets it: x, (x, y) or (x, y, sample_weight)."""
from typing import Any

from graphnet.errors import DataError


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """A batch as generators give it: x, (x, y) or (x, y, sample_weight). `unpack_x_y_sample_weight` undoes it.

    Source: https://keras.io/api/utils/

    Example:

        >>> import graphnet
        >>> graphnet.utils.pack_x_y_sample_weight(1), graphnet.utils.pack_x_y_sample_weight(1, 2)
        (1, (1, 2))
    """
    if y is None:
        return (x,) if isinstance(x, (list, tuple)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) of a batch, None where it has no such part.

    Raises DataError for a tuple of more parts. Source: https://keras.io/api/utils/

    Example:

        >>> from graphnet.utils import unpack_x_y_sample_weight
        >>> unpack_x_y_sample_weight(("x", "y"))
        ('x', 'y', None)
    """
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise DataError(f"A batch is expected to be x, (x, y) or (x, y, sample_weight); received a tuple of {len(data)}.")
    return (*data, None, None)[:3]  # type: ignore[return-value]
