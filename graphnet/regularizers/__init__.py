"""Penalties on weights or outputs, added to the loss; and what their names in arguments and files mean."""
from typing import Any

from graphnet import identifiers, ops
from graphnet.errors import ShapeError
from graphnet.registry import builtin

_KIND = "regularizers"


class Regularizer:
    """Base of regularizers; called with a tensor, it gives a scalar. Source: https://keras.io/api/layers/regularizers/

    A class of one's own defines ``__call__(self, x)`` and, to be saved, ``get_config(self)``.

    Example:

        >>> from graphnet import regularizers
        >>> float(regularizers.L2(0.5)([1.0, 2.0]))
        2.5
    """

    def __call__(self, x: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} expects a method __call__(self, x) that gives a scalar.")

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} expects a method get_config(self) -> dict, to be saved.")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Regularizer":
        return cls(**config)


def _factor(value: Any, who: str, name: str) -> float:
    value = 0.01 if value is None else value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ValueError(f"{who} expects {name} to be a finite number, not below 0; received {name}={value!r}.")
    return float(value)


@builtin(_KIND, "l1_l2")
class L1L2(Regularizer):
    """l1 * sum(|x|) + l2 * sum(x^2).

    Example:

        >>> from graphnet import regularizers
        >>> float(regularizers.L1L2(l1=1.0, l2=0.5)([1.0, -2.0]))
        5.5
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = 0.0 if l1 is None else _factor(l1, "L1L2", "l1")
        self.l2 = 0.0 if l2 is None else _factor(l2, "L1L2", "l2")

    def __call__(self, x: Any) -> Any:
        parts = []
        if self.l1:
            parts.append(ops.multiply(ops.sum(ops.absolute(x)), self.l1))
        if self.l2:
            parts.append(ops.multiply(ops.sum(ops.square(x)), self.l2))
        return ops.add(*parts) if len(parts) == 2 else parts[0] if parts else ops.zeros(())

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


@builtin(_KIND, "l1")
class L1(L1L2):
    """l1 * sum(|x|).

    Example:

        >>> from graphnet import regularizers
        >>> float(regularizers.L1(0.5)([1.0, -2.0]))
        1.5
    """

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=_factor(l1, "L1", "l1"))

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


@builtin(_KIND, "l2")
class L2(L1L2):
    """l2 * sum(x^2).

    Example:

        >>> from graphnet import regularizers
        >>> float(regularizers.L2(0.5)([1.0, -2.0]))
        2.5
    """

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=_factor(l2, "L2", "l2"))

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


@builtin(_KIND, "orthogonal_regularizer")
class OrthogonalRegularizer(Regularizer):
    """factor times the mean of |cosine| over all pairs of rows (or columns) of a matrix. Raises ShapeError for other than two
    axes.

    Example:

        >>> from graphnet import regularizers
        >>> float(regularizers.OrthogonalRegularizer(0.5)([[1.0, 0.0], [2.0, 0.0]]))
        0.5
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        if mode not in ("rows", "columns"):
            raise ValueError(f"OrthogonalRegularizer expects mode 'rows' or 'columns'; received mode={mode!r}.")
        self.factor, self.mode = _factor(factor, "OrthogonalRegularizer", "factor"), mode

    def __call__(self, x: Any) -> Any:
        x = ops.convert_to_tensor(x)
        if x.ndim != 2:
            raise ShapeError(f"OrthogonalRegularizer expects a matrix; received shape {tuple(x.shape)}.")
        x = ops.normalize(x if self.mode == "rows" else ops.transpose(x), axis=1)
        count = ops.shape(x)[0]
        others = ops.subtract(1.0, ops.eye(count, dtype=x.dtype))
        total = ops.sum(ops.absolute(ops.multiply(ops.matmul(x, ops.transpose(x)), others)))
        return ops.divide(ops.multiply(total, 0.5 * self.factor), count * (count - 1.0) / 2.0)

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


def get(identifier: Any) -> Any:
    """The regularizer that an identifier means: a name, a config, a class, a callable; None stays None.

    Raises ValueError, which lists the names, where there is none.

    Example:

        >>> from graphnet import regularizers
        >>> regularizers.get("l2").l2
        0.01
    """
    return identifiers.get(_KIND, identifier)


def serialize(regularizer: Any) -> Any:
    """What a file holds of a regularizer.

    Example:

        >>> from graphnet import regularizers
        >>> regularizers.serialize(regularizers.L2(0.5))["config"]
        {'l2': 0.5}
    """
    return identifiers.serialize(_KIND, regularizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The regularizer that a file means.

    Example:

        >>> from graphnet import regularizers
        >>> regularizers.deserialize({"class_name": "L2", "config": {"l2": 0.5}}).l2
        0.5
    """
    return identifiers.deserialize(_KIND, config, custom_objects)


__all__ = ["L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2",
           "orthogonal_regularizer", "serialize"]
