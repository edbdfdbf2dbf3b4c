"""float32 to int32: what stands between a float Input and an Embedding."""
from typing import Any

from llvmlite import ir

from graphnet.backends.cpu.cache import kernel
from graphnet.backends.cpu.kernels.tapes import lower_elementwise
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import IVEC, LANES, VEC, V, define, load_part, store_part, word
from graphnet.ops.elementwise import Cast

BLOCK = 4096  # elements of a task
LEAST = ir.Constant(IVEC, [-2**31] * LANES)


def _whole(builder: Any, x: Any) -> Any:
    """x cut to whole int32 numbers; out of range the nearest, and the least for a NaN, which numpy gives too."""
    cut = builder.call(builder.module.declare_intrinsic(f"llvm.fptosi.sat.v{LANES}i32.v{LANES}f32", (), ir.FunctionType(IVEC, [VEC])), [x])
    return builder.bitcast(builder.select(builder.fcmp_unordered("uno", x, x), LEAST, cut), VEC)


whole = define("whole", V, (V,), _whole)  # the bits of int32 numbers, in a vector of float32


@kernel
def cast_int32(row, begin, end, scratch):
    """A task is a block. 0 x, 1 y, 2 elements"""
    x, y, size = word(row, 0), word(row, 1), word(row, 2)
    for task in range(begin, end):
        for i in range(task * BLOCK, min(size, (task + 1) * BLOCK), LANES):
            store_part(y, i, size - i, whole(load_part(x, i, size - i)))


@lowers(Cast)
def lower_cast(op: Any, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> bool | None:
    """Casts contiguous float32 to int32; other pairs of dtypes are elementwise like any op, or declined."""
    (x,), (y,) = inputs, outputs
    if x.dtype != "float32" or y.dtype != "int32" or not y.contiguous:
        return lower_elementwise(op, inputs, outputs, builder)
    source = builder.contiguous(x)
    builder.step(cast_int32, [source, y, y.size], -(-y.size // BLOCK), float(y.size), [source], [y])
    return None
