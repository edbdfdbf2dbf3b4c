"""Gives Tensor and Variable Python's operators, in terms of the public ops."""
from typing import Any

from graphnet.graph import Tensor, Variable
from graphnet.ops import elementwise as e
from graphnet.ops.contraction import matmul
from graphnet.ops.indexing import get_item

_BINARY = {
    "add": e.add, "sub": e.subtract, "mul": e.multiply, "truediv": e.divide, "floordiv": e.floor_divide, "mod": e.mod,
    "pow": e.power, "matmul": matmul, "and": e.logical_and, "or": e.logical_or, "xor": e.logical_xor,
}
_COMPARE = {"eq": e.equal, "ne": e.not_equal, "lt": e.less, "le": e.less_equal, "gt": e.greater, "ge": e.greater_equal}
_UNARY = {"neg": e.negative, "abs": e.absolute, "invert": e.logical_not}


def _install(kind: type, name: str, function: Any) -> None:
    function.__name__ = function.__qualname__ = name
    setattr(kind, name, function)


for _kind in (Tensor, Variable):
    for _name, _op in _BINARY.items():
        _install(_kind, f"__{_name}__", lambda self, other, op=_op: op(self, other))
        _install(_kind, f"__r{_name}__", lambda self, other, op=_op: op(other, self))
    for _name, _op in _COMPARE.items():
        _install(_kind, f"__{_name}__", lambda self, other, op=_op: NotImplemented if other is None else op(self, other))
    for _name, _op in _UNARY.items():
        _install(_kind, f"__{_name}__", lambda self, op=_op: op(self))
    _install(_kind, "__getitem__", lambda self, key: get_item(self, key))
    _kind.__hash__ = object.__hash__  # type: ignore[method-assign]
_: Any = None
