"""Lowering of SumTo: a sum over the axes that turn out to be broadcast, or nothing but a copy."""
from typing import Any

from graphnet.backends.cpu.lowering import lowering_of, lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.ops.broadcasting import SumTo
from graphnet.ops.reduction import Sum


@lowers(SumTo)
def lower_sum_to(op: SumTo, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> bool:
    """All extents are known here."""
    g, = inputs
    axes = op.axes(g.shape)
    if not axes:
        builder.copy(g, outputs[0])
        return True
    total = Sum(axes, False)
    shape = tuple([s for i, s in enumerate(g.shape) if i not in axes])
    flat = outputs[0].reshape(shape)
    lower = lowering_of(total)
    if flat is None or lower is None:
        return False
    return lower(total, [g], [flat], builder) is not False
