"""Which function turns an op into kernel steps: each kernel file registers its own with `lowers`."""
from collections.abc import Callable
from typing import Any, TypeVar

Lower = TypeVar("Lower", bound=Callable[..., bool | None])
LOWERINGS: dict[type, Callable[..., bool | None]] = {}


def lowers(*ops: type) -> Callable[[Lower], Lower]:
    """Registers ``lower(op, inputs, outputs, builder, epilogue=None)`` for classes of ops.

    It adds steps to the builder that compute the outputs' operands from the inputs', or returns False, before it has added
    any, where it has no kernel for these shapes, dtypes or attributes; the op's ``reference`` then runs as a Python step.
    """
    def register(function: Lower) -> Lower:
        for op in ops:
            if op in LOWERINGS:
                raise ValueError(f"{op.__name__} is lowered by {LOWERINGS[op].__module__} and by {function.__module__}")
            LOWERINGS[op] = function
        return function
    return register


def lowering_of(op: Any) -> Callable[..., bool | None] | None:
    """The function registered for the op's class or the nearest of its bases; None where there is none."""
    for base in type(op).__mro__:
        if base in LOWERINGS:
            return LOWERINGS[base]
    return None
