"""Matrix products, batches of them included, on the contraction kernel; those of a transposed a as sums of outer products."""
import itertools
import math
from typing import Any

from graphnet.backends.cpu.kernels.contraction import Sum, add_sum
from graphnet.backends.cpu.kernels.dots import POSITIONS, dots, few, sum_of_dots
from graphnet.backends.cpu.kernels.epilogue import Finish, decode
from graphnet.backends.cpu.kernels.outer import Outer, add_epilogue, add_outer
from graphnet.backends.cpu.kernels.packing import computed_weights, constant_weights
from graphnet.backends.cpu.kernels.stream import streamed, streams
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand, packed_strides
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES
from graphnet.backends.cpu.tiles import WIDTH
from graphnet.ops.linalg import MatMul


def swapped(x: Operand) -> Operand:
    """The last two axes exchanged."""
    rank = len(x.shape)
    return x.transpose((*range(rank - 2), rank - 1, rank - 2))


@lowers(MatMul)
def lower_matmul(op: MatMul, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> bool:
    """y = a @ b: constant b is packed once, others in the plan; for few rows, a large b and a transposed a are read as they lie."""
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
    if a.strides[-1] != 1 and k != 1 and a.strides[-2] == 1:
        _add_outer(a, b, extras, y, builder, epilogue)
        return True
    b = b.view(0, *_without_ones(b.shape, b.strides))
    own = b.shape[:-2]
    if len(batch) > (2 if own else 3):  # more axes than the kernel has
        return False
    if a.strides[-1] != 1 and k != 1:
        a = builder.contiguous(a)
    x = a.view(0, a.shape[:-1], a.strides[:-1]).broadcast((*batch, rows))
    if rows == 1 and epilogue is None and not b.fixed and b.strides[-2] == 1 and k >= LANES:
        return _add_dots(a, b, y, builder)
    finish = decode(epilogue.program, extras, y.shape) if epilogue is not None else Finish()
    if not own and few(y.shape[-1], k, k):
        return add_sum(sum_of_dots(a, x.strides, b, (0,), k, builder), y, finish, builder)
    if streams(math.prod((*batch, rows)), b):
        return add_sum(streamed(a, x.strides, b), y, finish, builder)
    if b.fixed:
        w, block, step = constant_weights(b, 1, ("matmul",), lambda value: value, builder), k * WIDTH, WIDTH
    else:
        w, block, step = computed_weights(b, 1, rows if own else math.prod((*batch, rows)), builder)
    along = w.view(0, own, w.strides[:len(own)]).broadcast(batch).strides
    return add_sum(Sum(a, x.strides, w, (*along, 0), block, step, (0,), k), y, finish, builder)


def _add_dots(a: Operand, b: Operand, y: Operand, builder: Builder) -> bool:
    """a is one row, b lies transposed: dot products of b's columns, which are the positions, with a, which is the weights."""
    batch, columns, k = y.shape[:-2], y.shape[-1], a.shape[-1]
    positions = b.view(0, (*b.shape[:-2], columns), (*b.strides[:-2], b.strides[-1])).broadcast((*batch, columns))
    along = a.view(0, a.shape[:-2], a.strides[:-2]).broadcast(batch).strides
    one_column = y.view(0, (*batch, columns, 1), (*y.strides[:-2], y.strides[-1], 1))
    return add_sum(Sum(b, positions.strides, a, (*along, 0), 0, k, (0,), k, kernel=dots, most=POSITIONS), one_column, Finish(), builder)


def _add_outer(a: Operand, b: Operand, extras: list[Operand], y: Operand, builder: Builder, epilogue: Any) -> None:
    """a lies transposed: y[m, n] is a sum over k of a[k, m] b[k, n], which a dense layer's weights get back."""
    b = b if b.strides[-1] == 1 or b.shape[-1] == 1 else builder.contiguous(b)
    *batch, rows, columns = y.shape
    made = y if epilogue is None else builder.temporary(y.shape)
    along = [x.view(0, x.shape[:-2], x.strides[:-2]).broadcast(tuple(batch)).strides for x in (a, b)]
    dense = packed_strides(y.shape)[:-2]
    items = [tuple([sum(i * s for i, s in zip(at, strides, strict=True)) for strides in (*along, dense)])
             for at in itertools.product(*map(range, batch))]
    s = Outer(a, b, a.shape[-1:], a.strides[-1:], b.strides[-2:-1], (0,), rows, columns, tuple(items))  # type: ignore[arg-type]
    add_outer(s, made, columns, builder)
    if epilogue is not None:
        add_epilogue(epilogue.program, made, extras, y, builder)


def _without_ones(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A shape and strides without leading axes of extent 1, down to two axes."""
    drop = 0
    while len(shape) - drop > 2 and shape[drop] == 1:
        drop += 1
    return shape[drop:], strides[drop:]
