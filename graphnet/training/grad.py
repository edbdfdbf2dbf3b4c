"""Gradients of Python functions over arrays, variables and modules, for training loops of one's own."""
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from graphnet import ops, tree
from graphnet.autodiff import backward
from graphnet.dtypes import FLOATS, floatx
from graphnet.errors import DTypeError, GraphError, ShapeError
from graphnet.functions import Function
from graphnet.graph import Tensor, Variable
from graphnet.masking import get_mask, set_mask
from graphnet.module import Module
from graphnet.ops.shape import Reshape
from graphnet.tracing import Trace, current


def value_and_grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives ``function(*args)`` and its gradient: (value, gradient).

    Arguments: ``function`` gives a scalar, and with ``has_aux`` a pair of it and whatever else is wanted; ``argnums`` which
    arguments to differentiate by. The gradient of a float array, or of a structure of them, has its shape and structure; that
    of a `Variable` is an array; that of a `Module` (a layer, a model) is a list in the order of its ``trainable_variables``, as
    ``optimizer.apply`` takes it. Of several argnums it is a tuple.
    The function is traced, so it speaks ops, and what it assigns to variables is assigned when it has run. Called within a
    trace (a ``train_step``) it becomes part of that graph, and what was computed before it is a constant, as outside. Raises
    ShapeError for a value that is no scalar, DTypeError for integers.

    Example:

        >>> import numpy as np, graphnet
        >>> from graphnet import ops
        >>> value, gradient = graphnet.value_and_grad(lambda x: ops.sum(x * x))(np.array([1.0, 2.0], "float32"))
        >>> float(value), gradient
        (5.0, array([2., 4.], dtype=float32))
    """
    several = not isinstance(argnums, int)
    positions: tuple[int, ...] = tuple(argnums) if not isinstance(argnums, int) else (argnums,)

    def run(*args: Any, **kwargs: Any) -> Any:
        result, gradients = _evaluate(function, args, kwargs, positions, has_aux)
        return result, tuple(gradients) if several else gradients[0]
    return run


def grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives the gradient of ``function(*args)``; with ``has_aux``, the pair of it and the rest of the result.

    Arguments as for `value_and_grad`.

    Example:

        >>> import numpy as np, graphnet
        >>> dense = graphnet.layers.Dense(1, kernel_initializer="ones")
        >>> x = np.ones((2, 3), "float32")
        >>> y = dense(x)
        >>> kernel, bias = graphnet.grad(lambda layer: graphnet.ops.sum(layer(x)))(dense)
        >>> kernel.shape, bias
        ((3, 1), array([2.], dtype=float32))
    """
    both = value_and_grad(function, argnums, has_aux)

    def run(*args: Any, **kwargs: Any) -> Any:
        result, gradients = both(*args, **kwargs)
        return (gradients, result[1]) if has_aux else gradients
    return run


def _evaluate(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], positions: tuple[int, ...],
              has_aux: bool) -> tuple[Any, list[Any]]:
    """The function's result and the gradients: tensors within a trace, else arrays."""
    positions = tuple([i + len(args) if -len(args) <= i < 0 else i for i in positions])
    for i in positions:  # numbers that are differentiated by are arrays as well
        if 0 <= i < len(args):
            args = (*args[:i], _numbers(args[i]), *args[i + 1:])
    if current() is not None:
        return _differentiate(function, args, kwargs, positions, has_aux)
    traced = Function(lambda *args, **kwargs: _differentiate(function, args, kwargs, positions, has_aux), name="gradient")
    return traced(*args, **kwargs)  # traced for this call alone: what the function refers to may have changed at the next


def _numbers(value: Any) -> Any:
    return tree.map_structure(lambda leaf: np.asarray(leaf, floatx()) if type(leaf) is float else leaf, value)


def _differentiate(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], positions: tuple[int, ...],
                   has_aux: bool) -> tuple[Any, list[Any]]:
    trace = current()
    assert trace is not None
    given, groups = list(args), []
    own: dict[Variable, Tensor] = {}
    for i in positions:
        leaves, structure = _leaves(given, i)
        tensors = [own.setdefault(x, _apart(x, trace)) if isinstance(x, Variable) else _apart(x, trace) for x in leaves]
        groups.append((tensors, structure))
        if not isinstance(given[i], Module):
            handed = [x if isinstance(x, Variable) else tensor for x, tensor in zip(leaves, tensors, strict=True)]
            given[i] = tree.pack_sequence_as(structure, handed)
    with _read_as(own, trace):
        result = function(*given, **kwargs)
        value = trace.lift(result[0] if has_aux else result)
    if value.spec.shape != () or value.dtype not in FLOATS:
        raise ShapeError(f"grad expects a function that gives a float scalar; received {value.dtype} of shape {value.shape}. "
                         "Reduce it by ops.sum or ops.mean" + (", and return (scalar, rest)." if has_aux else "."))
    wrt = [leaf for group, _ in groups for leaf in group]
    found = iter(backward([value], [ops.ones_like(value)], wrt))
    gradients = []
    for group, structure in groups:
        filled = [ops.zeros_like(x) if g is None else g for x, g in zip(group, found, strict=False)]
        gradients.append(tree.pack_sequence_as(structure, filled))
    return ((value, *result[1:]) if has_aux else value), gradients


def _apart(x: Tensor | Variable, trace: Trace) -> Tensor:
    """A value as a node of its own, where differentiation ends: what was computed of it before does not depend on this one."""
    tensor = trace.lift(x)
    apart: Tensor = trace.emit(Reshape(tensor.spec.shape), [tensor])  # `simplify` drops it
    apart.name = tensor.name
    set_mask(apart, get_mask(x))
    return apart


@contextmanager
def _read_as(own: dict[Variable, Tensor], trace: Trace) -> Iterator[None]:
    """Within the block, variables are read as these tensors until they are assigned."""
    before = {variable: trace.updates[variable] for variable in own if variable in trace.updates}
    trace.updates.update(own)
    try:
        yield
    finally:
        for variable in [v for v, tensor in own.items() if trace.updates[v] is tensor]:
            if variable in before:
                trace.updates[variable] = before[variable]
            else:
                del trace.updates[variable]


def _leaves(args: Sequence[Any], position: int) -> tuple[list[Tensor | Variable], Any]:
    """What to differentiate by, of one argument, and the structure that the gradient has."""
    if not 0 <= position < len(args):
        raise TypeError(f"grad was asked for argument {position}; the function was called with {len(args)} positional "
                        "arguments.")
    value = args[position]
    structure = list(value.trainable_variables) if isinstance(value, Module) else value
    if isinstance(value, Module) and not structure:
        raise GraphError(f"grad by {getattr(value, 'name', type(value).__name__)!r}: it has no variables that are trainable. "
                         "A layer makes them when it is built: call it once before.")
    leaves = tree.flatten(structure)
    for leaf in leaves:
        if not isinstance(leaf, (Tensor, Variable, np.ndarray)) or str(leaf.dtype) not in FLOATS:
            raise DTypeError(f"grad differentiates by float arrays, variables and modules; argument {position} holds "
                             f"{leaf.dtype if isinstance(leaf, (Tensor, Variable, np.ndarray)) else repr(leaf)}. Choose others by argnums.")
    return leaves, structure


__all__ = ["grad", "value_and_grad"]
