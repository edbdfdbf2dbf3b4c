"""Matrix products, batches of them included, on the contraction kernel."""
import math
from typing import Any

from graphnet.backends.cpu.kernels.contraction import Sum, add_sum
from graphnet.backends.cpu.kernels.epilogue import Finish, decode
from graphnet.backends.cpu.kernels.packing import computed_weights, constant_weights
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.tiles import WIDTH
from graphnet.ops.linalg import MatMul


def swapped(x: Operand) -> Operand:
    """The last two axes exchanged."""
    rank = len(x.shape)
    return x.transpose((*range(rank - 2), rank - 1, rank - 2))


@lowers(MatMul)
def lower_matmul(op: MatMul, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> bool:
    """y = a @ b: constant b is packed once, others in the plan or read where they lie; transposed a is copied."""
    a, b, *extras = inputs
    y, = outputs
    a, b = swapped(a) if op.transpose_a else a, swapped(b) if op.transpose_b else b
    if any(x.dtype != "float32" for x in (a, b, y)) or a.shape[-1] == 0:
        return False
    if y.size == 0:
        return True
    if y.strides[-1] != 1 and y.shape[-1] != 1:
        return False
    batch, rows, k = y.shape[:-2], y.shape[-2], a.shape[-1]
    b = b.view(0, *_without_ones(b.shape, b.strides))
    own = b.shape[:-2]
    if len(batch) > (2 if own else 3):  # more axes than the kernel has
        return False
    if a.strides[-1] != 1 and k != 1:
        a = builder.contiguous(a)
    if b.fixed:
        w, block, step = constant_weights(b, 1, ("matmul",), lambda value: value, builder), k * WIDTH, WIDTH
    else:
        w, block, step = computed_weights(b, 1, rows if own else math.prod((*batch, rows)), builder)
    along = w.view(0, own, w.strides[:len(own)]).broadcast(batch).strides
    x = a.view(0, a.shape[:-1], a.strides[:-1]).broadcast((*batch, rows))
    finish = decode(epilogue.program, extras, y.shape) if epilogue is not None else Finish()
    return add_sum(Sum(a, x.strides, w, (*along, 0), block, step, (0,), k), y, finish, builder)


def _without_ones(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A shape and strides without leading axes of extent 1, down to two axes."""
    drop = 0
    while len(shape) - drop > 2 and shape[drop] == 1:
        drop += 1
    return shape[drop:], strides[drop:]
