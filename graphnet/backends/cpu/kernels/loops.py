"""Branches and loops: Python walks their steps, and each step is a plan of its own where that pays.

A body of one op, or one most of whose ops have no kernel, is left to numpy: a plan takes some microseconds to begin.
"""
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from graphnet.backends.cpu.calls import PLAIN, Runner
from graphnet.backends.cpu.executor import allowed_threads
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.graph import Spec
from graphnet.ops.loops import Branch, Scan, WhileLoop
from graphnet.ops.subgraphs import Body
from graphnet.passes.fold_normalization import fold_normalization
from graphnet.passes.fuse import fuse
from graphnet.passes.simplify import simplify


class PlannedBody(Body):
    """A body whose steps are a plan for inputs of given shapes."""

    __slots__ = ("runner",)

    def __init__(self, body: Body, runner: Runner) -> None:
        super().__init__(body.graph)
        self.runner = runner

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        return self.runner([x if x.flags.num & PLAIN == PLAIN else np.require(x, requirements=("C", "A")) for x in arrays])


def planned(body: Body, specs: Sequence[Spec]) -> Body:
    """The body as a plan for inputs of these specs, whose extents are known; itself where numpy is as fast."""
    from graphnet.backends.cpu.driver import lower_graph  # that file needs this one
    shapes: list[Any] = [s.shape for s in specs]
    if len(body.steps) < 2 or any(0 in shape for shape in shapes):
        return body
    plan = lower_graph(fuse(simplify(fold_normalization(body.graph))), shapes, allowed_threads())
    return body if 3 * len(plan.python_steps) > len(plan.steps) else PlannedBody(body, Runner(plan))


def _specs(operands: Sequence[Operand]) -> list[Spec]:
    return [Spec(x.shape, x.dtype) for x in operands]


@lowers(Branch)
def lower_branch(op: Branch, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> bool | None:
    """One of several plans."""
    if None in outputs:
        return False
    bodies = tuple([planned(body, _specs(inputs[1:])) for body in op.bodies])
    builder.python_step(Branch(bodies).reference, inputs, outputs)
    return None


@lowers(Scan)
def lower_scan(op: Scan, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> bool | None:
    """A plan for each step."""
    if None in outputs:
        return False
    first, last = op.carries, op.carries + op.sliced
    specs = [Spec(s.shape[1:], s.dtype) if first <= i < last else s for i, s in enumerate(_specs(inputs))]
    builder.python_step(replace(op, body=planned(op.body, specs)).reference, inputs, outputs)
    return None


@lowers(WhileLoop)
def lower_while(op: WhileLoop, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> bool | None:
    """A plan for each step, and one for the condition."""
    if None in outputs:
        return False
    condition, body = (planned(part, _specs(inputs)) for part in (op.condition, op.body))
    builder.python_step(replace(op, condition=condition, body=body).reference, inputs, outputs)
    return None
