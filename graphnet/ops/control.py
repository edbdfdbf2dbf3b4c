"""Control flow by Python functions: loops of known length are unrolled in a graph; what depends on values runs on arrays only."""
from collections.abc import Callable, Sequence
from typing import Any

from graphnet import tree
from graphnet.dims import Dim
from graphnet.errors import ShapeError, UnsupportedError
from graphnet.graph import Tensor
from graphnet.op import public
from graphnet.ops.convert import shape, to_tensor
from graphnet.ops.indexing import get_item
from graphnet.ops.shape import stack


def _value(x: Any, who: str, mend: str) -> Any:
    """x where it is known now; a symbolic tensor has no value yet."""
    if isinstance(x, (Tensor, Dim)):
        raise UnsupportedError(f"{who} of a value that is not known before the model runs cannot be part of a graph yet; "
                               f"received {x!r}. {mend}")
    return x


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """true_fn() where pred is true, else false_fn(). In a graph pred must be known: use `where` to choose between two tensors.

    Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.cond(True, lambda: 1, lambda: 2)
        1
    """
    return true_fn() if _value(pred, "cond", "Compute both results and choose by graphnet.ops.where.") else false_fn()


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """branches[index](*operands), the index brought into range. In a graph the index must be known. Source:
    https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.switch(1, [lambda x: x, lambda x: 2 * x], 5)
        10
    """
    at = int(_value(index, "switch", "Compute all results, stack them and take one by graphnet.ops.take."))
    return branches[min(max(at, 0), len(branches) - 1)](*operands)


def while_loop(cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, maximum_iterations: int | None = None) -> Any:
    """body applied to the loop variables as long as cond holds. In a graph cond must be known at each step: use `fori_loop`.

    Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.while_loop(lambda i: i < 5, lambda i: (i + 2,), (0,))
        (6,)
    """
    several = isinstance(loop_vars, (tuple, list))
    values, steps = tuple(loop_vars) if several else (loop_vars,), 0
    while (maximum_iterations is None or steps < maximum_iterations) and _value(
            cond(*values), "while_loop with a condition", "Use graphnet.ops.fori_loop with a fixed number of steps."):
        out = body(*values)
        values, steps = tuple(out) if isinstance(out, (tuple, list)) else (out,), steps + 1
    return type(loop_vars)(values) if several else values[0]


def fori_loop(lower: int, upper: int, body_fun: Callable[[int, Any], Any], init_val: Any) -> Any:
    """body_fun(i, value) for i from lower up to, without, upper. In a graph the steps are unrolled, so both bounds must be known.

    Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.fori_loop(0, 4, lambda i, x: x + i, 0)
        6
    """
    mend = "Give ints as bounds."
    for i in range(int(_value(lower, "fori_loop up to a bound", mend)), int(_value(upper, "fori_loop up to a bound", mend))):
        init_val = body_fun(i, init_val)
    return init_val


def _steps(xs: Any, who: str) -> int:
    """The common first extent of a structure of tensors, which must be known."""
    extents = [shape(to_tensor(x))[0] for x in tree.flatten(xs)]
    if not extents or any(isinstance(s, Dim) for s in extents) or len(set(extents)) > 1:
        raise ShapeError(f"{who} expects tensors of one known first extent; received {', '.join(map(str, extents)) or 'none'}. "
                         "An unknown batch is best left to broadcasting.")
    return int(extents[0])


def _at(xs: Any, i: int) -> Any:
    return tree.map_structure(lambda x: get_item(to_tensor(x), i), xs)


def _joined(parts: list[Any]) -> Any:
    return tree.map_structure(lambda *leaves: stack(leaves), parts[0], *parts[1:])


def scan(f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any = None, length: int | None = None, reverse: bool = False,
         unroll: int | bool = 1) -> tuple[Any, Any]:
    """carry, y = f(carry, x) for each slice x of xs along the first axis; the last carry, and the ys stacked. In a graph it is
    unrolled.

    Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.scan(lambda carry, x: (carry + x, carry + x), 0, ops.arange(4))[1]
        array([0, 1, 3, 6], dtype=int32)
    """
    count = _steps(xs, "scan") if xs is not None else int(_value(length, "scan of a length", "Give an int."))
    carry, out = init, [None] * count
    for i in reversed(range(count)) if reverse else range(count):
        carry, out[i] = f(carry, None if xs is None else _at(xs, i))
    nothing = not count or all(leaf is None for part in out for leaf in tree.iterate(part))
    return carry, None if nothing else _joined(out)


def associative_scan(f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """The running results of f, which is associative, along an axis of known extent. Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.associative_scan(lambda a, b: a + b, ops.arange(4))
        array([0, 1, 3, 6], dtype=int32)
    """
    def part(i: int) -> Any:
        return tree.map_structure(lambda x: get_item(to_tensor(x), (*[slice(None)] * axis, i)), elems)
    extents = {shape(to_tensor(x))[axis] for x in tree.flatten(elems)}
    if len(extents) != 1 or any(isinstance(s, Dim) for s in extents):
        raise ShapeError(f"associative_scan expects tensors of one known extent on axis={axis}; received "
                         f"{', '.join(map(str, extents))}.")
    order = range(extents.pop())
    order = order[::-1] if reverse else order
    out = [part(order[0])]
    for i in order[1:]:
        out.append(f(out[-1], part(i)))
    out = out[::-1] if reverse else out
    return tree.map_structure(lambda *leaves: stack(leaves, axis), out[0], *out[1:])


@public
def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """f of each slice of xs along the first axis, stacked; that extent must be known. Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.map(lambda x: x * x, ops.arange(4))
        array([0, 1, 4, 9], dtype=int32)
    """
    return _joined([f(_at(xs, i)) for i in range(_steps(xs, "map"))])


@public
def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """function of each slice of the elements along the first axis, stacked; that extent must be known. Source:
    https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.vectorized_map(lambda x: x + 1, ops.arange(3))
        array([1, 2, 3], dtype=int32)
    """
    return _joined([function(_at(elements, i)) for i in range(_steps(elements, "vectorized_map"))])


__all__ = ["associative_scan", "cond", "fori_loop", "map", "scan", "switch", "vectorized_map", "while_loop"]
