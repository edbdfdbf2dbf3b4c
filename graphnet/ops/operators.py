"""Gives Tensor and Variable Python's operators, in terms of the public ops."""
from typing import Any

import numpy as np

from graphnet.errors import GraphError
from graphnet.graph import Constant, Leaf, Read, Tensor, Variable, at_line, reach
from graphnet.ops import elementwise as e
from graphnet.ops.contraction import matmul
from graphnet.ops.convert import assign_in_trace
from graphnet.ops.indexing import get_item
from graphnet.ops.shape import reshape, squeeze
from graphnet.tracing import current

_BINARY = {
    "add": e.add, "sub": e.subtract, "mul": e.multiply, "truediv": e.true_divide, "floordiv": e.floor_divide, "mod": e.mod,
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
    _install(_kind, "__pos__", lambda self: self if isinstance(self, Tensor) else self + 0)
    _install(_kind, "__round__", lambda self, ndigits=None: e.round(self, ndigits or 0))
    _install(_kind, "__divmod__", lambda self, other: (e.floor_divide(self, other), e.mod(self, other)))
    _install(_kind, "__rdivmod__", lambda self, other: (e.floor_divide(other, self), e.mod(other, self)))
    _kind.__hash__ = object.__hash__  # type: ignore[method-assign]

# numpy asks the operand when `array + tensor` is written, and also for np.exp(tensor)
_UFUNCS: dict[Any, Any] = {
    np.add: e.add, np.subtract: e.subtract, np.multiply: e.multiply, np.true_divide: e.divide, np.floor_divide: e.floor_divide,
    np.remainder: e.mod, np.power: e.power, np.matmul: matmul, np.bitwise_and: e.logical_and, np.bitwise_or: e.logical_or,
    np.bitwise_xor: e.logical_xor, np.equal: e.equal, np.not_equal: e.not_equal, np.less: e.less, np.less_equal: e.less_equal,
    np.greater: e.greater, np.greater_equal: e.greater_equal,
}


_REDUCED = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all", "logical_or": "any"}


def _instead(ufunc: Any, method: str) -> str:
    """Which op to use in place of numpy's function."""
    name = _REDUCED.get(ufunc.__name__, ufunc.__name__) if method == "reduce" else ufunc.__name__
    return f"Use graphnet.ops.{name} in place of numpy's function."


def _tensor_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    if ufunc in _UFUNCS and method == "__call__" and not kwargs:
        return _UFUNCS[ufunc](*inputs)
    return self._refuse(f"np.{ufunc.__name__} cannot compute it", _instead(ufunc, method))


def _variable_ufunc(self: Variable, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    if ufunc in _UFUNCS and method == "__call__" and not kwargs:
        return _UFUNCS[ufunc](*inputs)
    self._read(f"np.{ufunc.__name__} cannot compute it", _instead(ufunc, method))
    return getattr(ufunc, method)(*[x.value if isinstance(x, Variable) else x for x in inputs], **kwargs)


def _tensor_attribute(self: Tensor, name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    raise AttributeError(f"a symbolic tensor has no attribute {name!r}: it gets its numbers when a model runs. Functions of "
                         "tensors are in graphnet.ops, as in ops.sum(x); what depends on a value is said by ops.where, "
                         f"ops.cond or ops.while_loop.{at_line()}")


def _tensor_assignment(self: Tensor, key: Any, value: Any) -> None:
    self._refuse("its elements cannot be assigned",
                 "Use graphnet.ops.where, slice_update or scatter_update, which give a new tensor.")


def _assign_in_trace(self: Variable, value: Any) -> Variable:
    if current() is None:
        value._refuse(f"it cannot be assigned to variable {self.path!r}", "Assign within the call of a layer.")
    assign_in_trace(self, value)
    return self


def _evaluate(tensor: Tensor, name: str | None) -> np.ndarray:
    """The value of a tensor that depends on variables and constants alone: what a variable made within a trace begins with."""
    values: dict[Any, Any] = {}
    trace = current()
    for node in reach([tensor]):
        if isinstance(node.op, Read):
            values[node, 0] = node.op.variable.value
            if trace is not None and getattr(node.op.variable, "is_seed", False):
                trace.drawn.append(node.op.variable)
        elif isinstance(node.op, Constant):
            values[node, 0] = node.op.value
        elif isinstance(node.op, Leaf) or not hasattr(node.op, "reference"):
            raise GraphError(f"Variable {name!r} is made within a graph, of a value that depends on the tensor {node.name!r}, "
                             f"which has none yet. Begin with a constant or a random value, and assign to it then.{at_line()}")
        else:
            out = node.op.reference(*[values[t.key] for t in node.inputs])
            for i, value in enumerate(out if isinstance(out, tuple) else (out,)):
                values[node, i] = value
    return np.asarray(values[tensor.key])


def _tensor_reshape(self: Any, newshape: Any) -> Any:
    """`graphnet.ops.reshape` of the tensor."""
    return reshape(self, newshape)


def _tensor_squeeze(self: Any, axis: Any = None) -> Any:
    """`graphnet.ops.squeeze` of the tensor."""
    return squeeze(self, axis)


_install(Variable, "_assign_in_trace", _assign_in_trace)
Variable._evaluate = staticmethod(_evaluate)  # type: ignore[attr-defined]
_install(Tensor, "__array_ufunc__", _tensor_ufunc)
_install(Variable, "__array_ufunc__", _variable_ufunc)
_install(Tensor, "__getattr__", _tensor_attribute)
_install(Tensor, "__setitem__", _tensor_assignment)
_install(Tensor, "reshape", _tensor_reshape)
_install(Tensor, "squeeze", _tensor_squeeze)
_: Any = None
