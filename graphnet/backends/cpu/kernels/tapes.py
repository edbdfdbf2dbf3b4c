"""Lowerings of elementwise ops: a tape, which for a single op has one instruction."""
from typing import Any

from graphnet.backends.cpu.encoding import add_tape
from graphnet.backends.cpu.kernels.integers import add_integers
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.op import Elementwise
from graphnet.passes.fuse import Tape


@lowers(Tape)
def lower_tape(op: Tape, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> bool:
    """A fused group; it runs in numpy where one of its ops has no block kernel."""
    *further, last = outputs
    return add_tape(op.program, inputs, last, builder, list(zip(op.further, further, strict=True)))


@lowers(Elementwise)
def lower_elementwise(op: Elementwise, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                      epilogue: Any = None) -> bool:
    """An op that stands alone."""
    return add_tape([(op, tuple(range(len(inputs))))], inputs, outputs[0], builder) or add_integers(op, inputs, outputs[0], builder)
