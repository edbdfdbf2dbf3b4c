"""Branches and loops as ops: they hold the graphs of their functions, and run them step by step.

What the functions read from around them are inputs of the op, so that it is as pure as any other. `Branch` and `Scan` have
gradients: the branch of the branches' gradients, and a scan that runs backwards over the carries that were kept.
"""
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graphnet import dtypes
from graphnet.errors import ShapeError, UnsupportedError
from graphnet.graph import Graph, Spec
from graphnet.op import Op, Samples
from graphnet.ops.convert import bound, shown
from graphnet.ops.creation import zeros_like
from graphnet.ops.elementwise import add
from graphnet.ops.subgraphs import Body, Captures, Traced, backward, expect_alike, gradient_body
from graphnet.tracing import Trace, placeholder


def is_float(x: Any) -> bool:
    """Whether a gradient can flow through x."""
    return str(x.dtype) in dtypes.FLOATS


def body_of(function: Callable[..., Any], *specs: Spec) -> Body:
    """The body of a function of tensors that reads nothing from around it."""
    inputs = [placeholder(s) for s in specs]
    return Body(Graph(inputs, Traced(function, inputs, inputs, Captures(Trace())).outputs, name="body"))


def _filled(cotangents: Sequence[Any], wrt: Sequence[Any]) -> list[Any]:
    return [zeros_like(x) if g is None else g for g, x in zip(cotangents, wrt, strict=True)]


@dataclass(frozen=True)
class Branch(Op):
    """One of several bodies, by an index (or a boolean, for two), on the operands that all of them take."""

    bodies: tuple[Body, ...] = ()

    def infer(self, index: Spec, *operands: Spec) -> Any:
        if index.shape != ():
            raise ShapeError(f"A branch is chosen by one number or boolean; received shape {shown(index.shape)}. Reduce it by "
                             "graphnet.ops.any or all, or choose elementwise by graphnet.ops.where.")
        first, *others = [body.infer(*operands) for body in self.bodies]
        for specs in others:
            expect_alike("A branch", "results", first, specs)
        return tuple(first)

    def bind(self, extents: Any) -> "Branch":
        return Branch(tuple([body.bind(extents) for body in self.bodies]))

    def reference(self, index: np.ndarray, *operands: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(self.bodies[min(max(int(index), 0), len(self.bodies) - 1)](*operands))

    def vjp(self, g: Any, y: Any, index: Any, *operands: Any) -> list[Any]:
        given = [i for i, c in enumerate(g) if c is not None]
        wrt = [i for i, x in enumerate(operands) if is_float(x)]
        if not wrt:
            return [None] * (1 + len(operands))

        def gradient(body: Body) -> Body:
            graph = body.graph
            cotangents = [placeholder(graph.outputs[i].spec, "cotangent") for i in given]
            chosen = [graph.inputs[i] for i in wrt]
            return gradient_body([*graph.inputs, *cotangents], lambda: _filled(
                backward([graph.outputs[i] for i in given], cotangents, chosen), chosen), graph)
        found = iter(Branch(tuple(map(gradient, self.bodies)))(index, *operands, *[g[i] for i in given]))
        return [None, *[next(found) if i in wrt else None for i in range(len(operands))]]

    @classmethod
    def samples(cls) -> Samples:
        x = np.random.default_rng(0).standard_normal((3, 4)).astype("float32")
        y, spec = np.abs(x) + 1, Spec((3, 4))
        functions = (lambda a, b: (a * b, a - b)), (lambda a, b: (a + b * b, a * a * b)), (lambda a, b: (a / b, b * b * a))
        bodies = tuple([body_of(f, spec, spec) for f in functions])
        for index in (-1, 1, 2, 9):
            yield cls(bodies), [np.array(index, "int32"), x, y]
        yield cls(bodies[:2]), [np.array(True), x, y]


@dataclass(frozen=True)
class Scan(Op):
    """A body run `count` times: (carry..., slices of xs..., rest...) -> (carry..., ys...).

    Inputs: `carries` first values of the carry, `sliced` tensors that are cut along their first axis, and the rest, which each
    step reads whole. Outputs: the last carry, the ys stacked, and with `keep` the carries before each step, stacked.
    """

    body: Body
    carries: int = 0
    sliced: int = 0
    count: Any = 0
    reverse: bool = False
    keep: bool = False

    def _parts(self, inputs: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        n, m = self.carries, self.carries + self.sliced
        return list(inputs[:n]), list(inputs[n:m]), list(inputs[m:])

    def _stacked(self, specs: Sequence[Spec]) -> tuple[list[Spec], list[Spec]]:
        """Specs of the ys of one step, and of the carry."""
        carry, xs, rest = self._parts(specs)
        after = self.body.infer(*carry, *[Spec(x.shape[1:], x.dtype) for x in xs], *rest)
        expect_alike("A loop", "a carry before and after a step", carry, after[:self.carries])
        return after[self.carries:], carry

    def infer(self, *specs: Spec) -> Any:
        ys, carry = self._stacked(specs)
        stacked = [Spec((self.count, *s.shape), s.dtype) for s in (*ys, *(carry if self.keep else ()))]
        return (*carry, *stacked)

    def bind(self, extents: Any) -> "Scan":
        return replace(self, body=self.body.bind(extents), count=bound(self.count, extents))

    def reference(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        carry, xs, rest = self._parts(inputs)
        specs, kept = self._stacked([Spec(np.shape(x), np.asarray(x).dtype.name) for x in inputs])
        ys = [np.empty((self.count, *s.shape), s.dtype) for s in specs]
        saved = [np.empty((self.count, *s.shape), s.dtype) for s in kept] if self.keep else []
        for i in reversed(range(self.count)) if self.reverse else range(self.count):
            for to, value in zip(saved, carry, strict=bool(saved)):
                to[i] = value
            out = self.body(*carry, *[x[i, ...] for x in xs], *rest)
            carry = out[:self.carries]
            for to, value in zip(ys, out[self.carries:], strict=True):
                to[i] = value
        return (*carry, *ys, *saved)

    def vjp(self, g: Any, y: Any, *inputs: Any) -> list[Any]:
        """Backwards over the steps: the carry's cotangents go on, those of the rest add up, those of the xs are stacked."""
        graph, n, found = self.body.graph, self.carries, [False] * len(inputs)
        carry, xs, rest = self._parts(inputs)
        saved = list(y if self.keep else replace(self, keep=True)(*inputs))[-n:] if n else []
        held, sliced, whole = self._parts(range(len(inputs)))
        held, sliced, whole = ([i for i in part if is_float(inputs[i])] for part in (held, sliced, whole))
        outs = [i for i in range(n, len(graph.outputs)) if g[i] is not None and is_float(graph.outputs[i])]
        later = [g[i] for i in range(len(graph.outputs), len(y))] if self.keep else []  # of the kept carries
        steps = [i for i in held if later and later[i] is not None]
        first = [placeholder(graph.inputs[i].spec, "cotangent") for i in held]
        sums = [placeholder(graph.inputs[i].spec, "sum") for i in whole]
        given = [placeholder(graph.outputs[i].spec, "cotangent") for i in outs]
        before = [placeholder(graph.inputs[i].spec, "cotangent") for i in steps]

        def make() -> list[Any]:
            wrt = [graph.inputs[i] for i in (*held, *sliced, *whole)]
            back = _filled(backward([graph.outputs[i] for i in (*held, *outs)], [*first, *given], wrt), wrt)
            for i, more in zip(steps, before, strict=True):
                back[held.index(i)] = add(back[held.index(i)], more)
            at = len(held) + len(sliced)
            return [*back[:len(held)], *[add(a, b) for a, b in zip(sums, back[at:], strict=True)], *back[len(held):at]]
        parts = self._parts(graph.inputs)
        body = gradient_body([*first, *sums, *parts[0], *parts[1], *given, *before, *parts[2]], make, graph)
        op = Scan(body, len(held) + len(whole), n + self.sliced + len(given) + len(before), self.count, not self.reverse)
        if not body.slots:
            return [None] * len(found)
        start = [zeros_like(inputs[i]) if g[i] is None else g[i] for i in held]
        results = op(*start, *[zeros_like(inputs[i]) for i in whole], *saved, *xs, *[g[i] for i in outs], *[later[i] for i in steps], *rest)
        cotangents = dict(zip((*held, *whole, *sliced), results, strict=True))
        return [cotangents.get(i) for i in range(len(inputs))]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        c, xs, w = (rng.standard_normal(s).astype("float32") for s in ((4,), (5, 4), (3, 4)))
        body = body_of(lambda c, x, w: (c * x + 0.5 * w, c * c * w), Spec((4,)), Spec((4,)), Spec((4,)))
        for reverse in (False, True):
            yield cls(body, 1, 1, 5, reverse), [c, xs, w[0]]
        yield cls(body, 1, 1, 5, False, True), [c, xs, w[0]]
        yield cls(body_of(lambda c, d, w: (d, c * w), *[Spec((4,))] * 3), 2, 0, 3), [c, w[1], w[0]]


@dataclass(frozen=True)
class WhileLoop(Op):
    """A body run on its carry as long as a condition holds, at most `limit` times; the rest is read by both, each step."""

    condition: Body
    body: Body
    carries: int = 1
    limit: int | None = None

    def infer(self, *specs: Spec) -> Any:
        carry = specs[:self.carries]
        decision, = self.condition.infer(*specs)
        if decision.shape != ():
            raise ShapeError(f"while_loop expects a condition that gives one boolean; received shape {shown(decision.shape)}. Reduce it "
                             "by graphnet.ops.any or all.")
        expect_alike("while_loop", "loop_vars before and after a step", carry, self.body.infer(*specs))
        return tuple(carry)

    def bind(self, extents: Any) -> "WhileLoop":
        return replace(self, condition=self.condition.bind(extents), body=self.body.bind(extents))

    def reference(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        carry, rest, steps = list(inputs[:self.carries]), inputs[self.carries:], 0
        while (self.limit is None or steps < self.limit) and bool(self.condition(*carry, *rest)[0]):
            carry, steps = self.body(*carry, *rest), steps + 1
        return tuple(carry)

    def vjp(self, g: Any, y: Any, *inputs: Any) -> list[Any]:
        raise UnsupportedError("while_loop has no gradient: how many steps it takes is not known before it runs, so nothing is kept for the "
                               "way back. Use graphnet.ops.fori_loop or scan with a known number of steps, or put "
                               "graphnet.ops.stop_gradient around it.")

    @classmethod
    def samples(cls) -> Samples:
        specs = Spec((), "int32"), Spec((3,))
        for limit in (None, 2):
            yield cls(body_of(lambda i, x: i < 5, *specs), body_of(lambda i, x: (i + 1, 2 * x), *specs), 2, limit), [
                np.array(1, "int32"), np.arange(3, dtype="float32")]
