"""Control flow by Python functions. On arrays it is Python's own; in a graph it becomes an op that holds the functions' graphs.

Loops of a few known steps are unrolled in a graph, so that their kernels run without a way through Python between the steps.
"""
from collections.abc import Callable, Sequence
from typing import Any

from graphnet import tree
from graphnet.dims import Dim
from graphnet.errors import ShapeError
from graphnet.graph import Graph, Spec, Tensor, Variable
from graphnet.op import Op, public
from graphnet.ops.convert import cast, shape, to_tensor
from graphnet.ops.creation import arange
from graphnet.ops.elementwise import add, less, logical_and
from graphnet.ops.indexing import get_item
from graphnet.ops.loops import Branch, Scan, WhileLoop
from graphnet.ops.shape import stack
from graphnet.ops.subgraphs import Body, Captures, Traced, expect_alike
from graphnet.tracing import Trace, current, placeholder

UNROLLED = 16  # steps up to which a loop in a graph is unrolled


def _open(x: Any) -> bool:
    """Whether x has no value yet, because a graph is being built."""
    return current() is not None and isinstance(x, (Tensor, Variable))


def _specs(tensors: Sequence[Tensor]) -> list[Spec]:
    return [t.spec for t in tensors]


def _expect_structure(who: str, what: str, first: Any, second: Any) -> None:
    """Raises ShapeError where two results are nested differently."""
    a, b = (tree.map_structure(lambda leaf: None if leaf is None else "tensor", x) for x in (first, second))
    if a != b:
        raise ShapeError(f"{who} expects {what} of the same structure, shapes and dtypes; received {a} and {b}.")


def _emit(op: Op, inputs: Sequence[Any]) -> list[Any]:
    return list(_trace().emit(op, inputs))


def _trace() -> Trace:
    trace = current()
    assert trace is not None, "called within a trace alone"
    return trace


def _branch(who: str, index: Any, functions: Sequence[Callable[..., Any]], operands: Sequence[Any]) -> Any:
    """One of the functions, by an index that a graph computes; variables that any of them assigns are outputs too."""
    trace = _trace()
    captures = Captures(trace)
    first, *others = traced = [Traced(f, operands, (), captures) for f in functions]
    for other in others:
        _expect_structure(who, "branches with results", first.result, other.result)
        expect_alike(who, "branches with results", _specs(first.outputs), _specs(other.outputs))
    variables = list(dict.fromkeys(v for t in traced for v in t.updates))
    outputs = [[*t.outputs, *[t.updates[v] if v in t.updates else captures.stand_in(v) for v in variables]] for t in traced]
    if not outputs[0]:
        return first.result
    bodies = tuple([Body(Graph(captures.inside, out, name=who)) for out in outputs])
    results = _emit(Branch(bodies), [index, *captures.outside])
    trace.updates.update(zip(variables, results[len(first.outputs):], strict=True))
    return first.rebuilt(results[:len(first.outputs)])


@public
def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """true_fn() where pred, one boolean, is true, else false_fn(). In a graph both give results of one structure, shapes and dtypes.

    Of tensors, to choose element by element, use `where`. Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.cond(True, lambda: 1, lambda: 2)
        1
    """
    if _open(pred):
        return _branch("cond", cast(pred, "bool"), (false_fn, true_fn), ())
    return true_fn() if (pred.value if isinstance(pred, Variable) else pred) else false_fn()


@public
def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """branches[index](*operands), the index brought into range. In a graph all give results of one structure, shapes and dtypes.

    Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.switch(1, [lambda x: x, lambda x: 2 * x], 5)
        10
    """
    if _open(index):
        return _branch("switch", cast(index, "int32"), branches, operands)
    return branches[min(max(int(index), 0), len(branches) - 1)](*operands)


class _Carry:
    """The first values of a carry, as tensors of the graph; Python numbers take the dtype that a step gives them."""

    def __init__(self, who: str, init: Any) -> None:
        self.who, self.init = who, init
        self.leaves = tree.flatten(init)
        found = [leaf for leaf in self.leaves if leaf is not None]
        self.numbers = [isinstance(leaf, (bool, int, float)) for leaf in found]
        self.tensors = [_trace().lift(to_tensor(leaf)) for leaf in found]

    def rebuilt(self, values: Sequence[Any]) -> Any:
        rest = iter(values)
        return tree.pack_sequence_as(self.init, [None if leaf is None else next(rest) for leaf in self.leaves])

    def places(self) -> list[Tensor]:
        return [placeholder(t.spec, "carry") for t in self.tensors]

    def agrees(self, result: Any, after: Sequence[Tensor]) -> bool:
        """Whether a step's result fits; False where numbers have been given its dtype, so that the step is to be traced again."""
        _expect_structure(self.who, "a carry before and after a step", self.init, result)
        again = False
        for i, (before, then) in enumerate(zip(self.tensors, after, strict=True)):
            if self.numbers[i] and before.dtype != then.dtype:
                self.tensors[i], self.numbers[i], again = cast(before, then.dtype), False, True
        if not again:
            expect_alike(self.who, "a carry before and after a step", _specs(self.tensors), _specs(after))
        return not again


def _scanned(who: str, f: Callable[[Any, Any], Any], init: Any, xs: Any, count: Any, reverse: bool) -> tuple[Any, Any]:
    """A scan as one op. Variables that a step assigns are part of its carry."""
    trace, carry = _trace(), _Carry(who, init)
    sliced = [trace.lift(to_tensor(x)) for x in tree.flatten(xs) if x is not None]
    while True:
        captures, held = Captures(trace), carry.places()
        cut = [placeholder(Spec(x.spec.shape[1:], x.dtype), "slice") for x in sliced]
        x = None if xs is None else tree.pack_sequence_as(xs, cut)
        step = Traced(f, (carry.rebuilt(held), x), [*held, *cut], captures)
        if not isinstance(step.result, (tuple, list)) or len(step.result) != 2:
            raise ValueError(f"{who} expects a function that gives (carry, y); received {step.result!r}.")
        if carry.agrees(step.result[0], step.outputs[:len(held)]):
            break
    n, variables = len(held), list(step.updates)
    states = [captures.stand_in(v) for v in variables]
    rest = [(outer, inner) for outer, inner in captures.found.values() if not any(inner is s for s in states)]
    outputs = [*step.outputs[:n], *step.updates.values(), *step.outputs[n:]]
    if not outputs:
        return carry.init, None
    body = Body(Graph([*held, *states, *cut, *[inner for _, inner in rest]], outputs, name=who))
    op = Scan(body, n + len(states), len(cut), count, reverse, keep=bool(trace.training))
    results = _emit(op, [*carry.tensors, *[trace.lift(v) for v in variables], *sliced, *[outer for outer, _ in rest]])
    last, ys = results[:n], results[n + len(states):len(outputs)]
    trace.updates.update(zip(variables, results[n:n + len(states)], strict=True))
    found = step.rebuilt([*last, *ys])
    return found[0], found[1]


@public
def while_loop(cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, maximum_iterations: int | None = None) -> Any:
    """body applied to the loop variables as long as cond holds. In a graph it keeps their shapes and dtypes, and has no gradient.

    Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.while_loop(lambda i: i < 5, lambda i: (i + 2,), (0,))
        (6,)
    """
    several = isinstance(loop_vars, (tuple, list))
    values, steps = tuple(loop_vars) if several else (loop_vars,), 0

    def step(*now: Any) -> tuple[Any, ...]:
        out = body(*now)
        return tuple(out) if isinstance(out, (tuple, list)) else (out,)
    if current() is not None:
        if _open(maximum_iterations):
            values = _while(lambda *now: logical_and(cond(*now[:-1]), less(now[-1], maximum_iterations)),
                            lambda *now: (*step(*now[:-1]), now[-1] + 1), (*values, 0), None)[:-1]
        else:
            values = _while(cond, step, values, maximum_iterations)
    else:
        while (maximum_iterations is None or steps < maximum_iterations) and cond(*values):
            values, steps = step(*values), steps + 1
    return type(loop_vars)(values) if several else values[0]


def _while(cond: Callable[..., Any], body: Callable[..., Any], values: tuple[Any, ...], limit: int | None) -> tuple[Any, ...]:
    trace, carry = _trace(), _Carry("while_loop", values)
    while True:
        captures, held = Captures(trace), carry.places()
        step = Traced(body, carry.rebuilt(held), held, captures)
        if carry.agrees(step.result, step.outputs):
            break
    test = Traced(lambda *now: cast(cond(*now), "bool"), carry.rebuilt(held), held, captures)
    variables = list(step.updates)
    states = [captures.stand_in(v) for v in variables]
    rest = [(outer, inner) for outer, inner in captures.found.values() if not any(inner is s for s in states)]
    inputs = [*held, *states, *[inner for _, inner in rest]]
    bodies = [Body(Graph(inputs, out, name="while_loop")) for out in (test.outputs, [*step.outputs, *step.updates.values()])]
    results = _emit(WhileLoop(bodies[0], bodies[1], len(held) + len(states), limit),
                    [*carry.tensors, *[trace.lift(v) for v in variables], *[outer for outer, _ in rest]])
    trace.updates.update(zip(variables, results[len(held):], strict=True))
    return tuple(step.rebuilt(results[:len(held)]))


@public
def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """body_fun(i, value) for i from lower up to, without, upper. In a graph the value keeps its shape and dtype.

    It has a gradient where the bounds are ints or extents; bounds that are tensors make it a `while_loop`.
    Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.fori_loop(0, 4, lambda i, x: x + i, 0)
        6
    """
    if _open(lower) or _open(upper):
        return while_loop(lambda i, _: less(i, upper), lambda i, value: (i + 1, body_fun(i, value)), (cast(lower, "int32"), init_val))[1]
    if isinstance(lower, Dim) or isinstance(upper, Dim) or (current() is not None and int(upper) - int(lower) > UNROLLED):
        return _scanned("fori_loop", lambda value, i: (body_fun(i, value), None), init_val, add(arange(upper - lower), lower),
                        upper - lower, False)[0]
    for i in range(int(lower), int(upper)):
        init_val = body_fun(i, init_val)
    return init_val


def _steps(xs: Any, length: Any, who: str) -> Any:
    """The common first extent of a structure of tensors."""
    extents = [shape(to_tensor(x))[:1] for x in tree.flatten(xs) if x is not None] + ([] if length is None else [(length,)])
    if not extents or () in extents or any(e != extents[0] for e in extents):
        raise ShapeError(f"{who} expects tensors of one common first extent, or a length; received {', '.join([str(s) for s in extents]) or 'none'}.")
    found, = extents[0]
    return found if isinstance(found, Dim) else int(found)


def _at(xs: Any, i: int) -> Any:
    return tree.map_structure(lambda x: None if x is None else get_item(to_tensor(x), i), xs)


def _joined(parts: list[Any]) -> Any:
    return tree.map_structure(lambda *leaves: None if leaves[0] is None else stack(leaves), parts[0], *parts[1:])


@public
def scan(f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any = None, length: int | None = None, reverse: bool = False,
         unroll: int | bool = 1) -> tuple[Any, Any]:
    """carry, y = f(carry, x) for each slice x of xs along the first axis; the last carry, and the ys stacked.

    In a graph the carry keeps its shapes and dtypes; `unroll` says up to how many steps are unrolled there (True: all).
    Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.scan(lambda carry, x: (carry + x, carry + x), 0, ops.arange(4))[1]
        array([0, 1, 3, 6], dtype=int32)
    """
    if not isinstance(unroll, int) or unroll < 0:
        raise ValueError(f"scan expects unroll to be a positive int or a boolean; received unroll={unroll!r}.")
    count = _steps(xs, length, "scan")
    known = not isinstance(count, Dim)
    if current() is not None and not (known and (unroll is True or count <= max(unroll, UNROLLED))):
        return _scanned("scan", f, init, xs, count, reverse)
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
                         f"{', '.join([str(s) for s in extents])}.")
    order = range(extents.pop())
    order = order[::-1] if reverse else order
    out = [part(order[0])]
    for i in order[1:]:
        out.append(f(out[-1], part(i)))
    out = out[::-1] if reverse else out
    return tree.map_structure(lambda *leaves: stack(leaves, axis), out[0], *out[1:])


@public
def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """f of each slice of xs along the first axis, stacked. Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.map(lambda x: x * x, ops.arange(4))
        array([0, 1, 4, 9], dtype=int32)
    """
    return scan(lambda nothing, x: (nothing, f(x)), (), xs)[1]


@public
def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """function of each slice of the elements along the first axis, stacked. Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.vectorized_map(lambda x: x + 1, ops.arange(3))
        array([1, 2, 3], dtype=int32)
    """
    return scan(lambda nothing, x: (nothing, function(x)), (), elements)[1]


__all__ = ["associative_scan", "cond", "fori_loop", "map", "scan", "switch", "vectorized_map", "while_loop"]
