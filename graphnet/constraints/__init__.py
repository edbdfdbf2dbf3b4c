"""What weights are held to after each step of an optimizer; and what the names of constraints in arguments and files mean."""
from typing import Any

from graphnet import config, identifiers, ops
from graphnet.registry import builtin

_KIND = "constraints"


class Constraint:
    """Base of constraints; called with a weight, it gives the nearest one that is allowed. Source:
    https://keras.io/api/layers/constraints/

    A class of one's own defines ``__call__(self, w)`` and, to be saved, ``get_config(self)``.

    Example:

        >>> from graphnet import constraints
        >>> constraints.NonNeg()([-1.0, 2.0])
        array([0., 2.], dtype=float32)
    """

    def __call__(self, w: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} expects a method __call__(self, w) that gives a tensor of w's shape.")

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Constraint":
        return cls(**config)


def _norms(w: Any, axis: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(w), axis, True))


def _scaled(w: Any, desired: Any, norms: Any) -> Any:
    return ops.multiply(w, ops.divide(desired, ops.add(norms, config.epsilon())))


@builtin(_KIND, "max_norm")
class MaxNorm(Constraint):
    """Norms over `axis` of at most `max_value`: longer vectors are scaled down.

    Example:

        >>> from graphnet import constraints, ops
        >>> ops.round(constraints.MaxNorm(1.0)([[3.0], [4.0]]), 3)
        array([[0.6],
               [0.8]], dtype=float32)
    """

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        return _scaled(w, ops.clip(norms, 0, self.max_value), norms)

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


@builtin(_KIND, "non_neg")
class NonNeg(Constraint):
    """No weight below 0.

    Example:

        >>> from graphnet import constraints
        >>> constraints.NonNeg()([-1.0, 2.0])
        array([0., 2.], dtype=float32)
    """

    def __call__(self, w: Any) -> Any:
        return ops.relu(w)


@builtin(_KIND, "unit_norm")
class UnitNorm(Constraint):
    """Norms over `axis` of 1.

    Example:

        >>> from graphnet import constraints, ops
        >>> ops.round(constraints.UnitNorm()([[3.0], [4.0]]), 3)
        array([[0.6],
               [0.8]], dtype=float32)
    """

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        return _scaled(w, 1.0, _norms(w, self.axis))

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


@builtin(_KIND, "min_max_norm")
class MinMaxNorm(Constraint):
    """Norms over `axis` between `min_value` and `max_value`, to which they are brought by the share `rate` at each step.

    Example:

        >>> from graphnet import constraints, ops
        >>> ops.round(constraints.MinMaxNorm(2.0, 3.0)([[0.6], [0.8]]), 3)
        array([[1.2],
               [1.6]], dtype=float32)
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0) -> None:
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        desired = ops.clip(norms, self.min_value, self.max_value)
        if self.rate != 1:
            desired = ops.add(ops.multiply(desired, self.rate), ops.multiply(norms, 1 - self.rate))
        return _scaled(w, desired, norms)

    def get_config(self) -> dict[str, Any]:
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm


def get(identifier: Any) -> Any:
    """The constraint that an identifier means: a name, a config, a class, a callable; None stays None.

    Raises ValueError, which lists the names, where there is none.

    Example:

        >>> from graphnet import constraints
        >>> constraints.get("unit_norm").axis
        0
    """
    return identifiers.get(_KIND, identifier)


def serialize(constraint: Any) -> Any:
    """What a file holds of a constraint.

    Example:

        >>> from graphnet import constraints
        >>> constraints.serialize(constraints.UnitNorm())["config"]
        {'axis': 0}
    """
    return identifiers.serialize(_KIND, constraint)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The constraint that a file means.

    Example:

        >>> from graphnet import constraints
        >>> constraints.deserialize({"class_name": "MaxNorm", "config": {"max_value": 3, "axis": 0}}).max_value
        3
    """
    return identifiers.deserialize(_KIND, config, custom_objects)


__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "max_norm", "min_max_norm",
           "non_neg", "serialize",
           "unit_norm"]
