"""Convolutions and their transposes on the contraction kernel: where x is read for each position, and which weights.

Padding is a halo of zeros around x: its producer's buffer has one where the driver has asked `required_halo`, else x is copied
into one that has. A transposed convolution of stride s is s direct ones along each axis: the outputs o with o mod s = p
take only the kernel elements that fit this phase, and lie s apart. The cotangent of a convolution's input is a transposed
convolution, so both are lowered here, with weights packed once or by a step of the plan.
"""
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet.backends.cpu.kernels.contraction import Sum, add_sum, runs
from graphnet.backends.cpu.kernels.dots import few, sum_of_dots
from graphnet.backends.cpu.kernels.epilogue import Finish, decode, part
from graphnet.backends.cpu.kernels.packing import blocks_in_plan, computed_weights, constant_weights
from graphnet.backends.cpu.kernels.winograd import Way, Window, add_winograd, shape_of, winograd
from graphnet.backends.cpu.kernels.winograd_gradient import choose_gradient
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.tiles import WIDTH
from graphnet.graph import Spec
from graphnet.ops.convolution import (
    Conv,
    ConvGradInput,
    ConvGradKernel,
    ConvTranspose,
    DepthwiseConv,
    DepthwiseConvGradInput,
    DepthwiseConvGradKernel,
)
from graphnet.ops.geometry import pads_of
from graphnet.settings import settings

Pads = tuple[tuple[int, int], ...]


def window_pads(op: Any, spatial: Sequence[int], size: Sequence[int]) -> Pads:
    """The zeros that a convolution's windows see around x; what negative padding cuts off is never read."""
    return tuple([(before, max(after, 0)) for before, after in pads_of(op, spatial, size)])


def haloed(x: Operand, pads: Pads, builder: Builder) -> Operand:
    """x with so many zeros before and behind each spatial axis: where it lies if it has them, else a copy.

    An input of the plan is copied once for all its readers: a convolution, and the gradient of its kernel.
    """
    full = ((0, 0), *pads, (0, 0))
    if x.strides[-1] != 1 and x.shape[-1] != 1 and not any(map(any, pads)):
        x = builder.contiguous(x)
    if any(map(any, pads)) and not _has(x, full):
        wide = builder.halos.get((x, full))
        if wide is None:
            wide = builder.temporary(x.shape, halo=full)
            builder.copy(x, wide)
        if x.buffer.kind == "input":
            builder.halos[x, full] = wide
        x = wide
    shape = tuple([before + extent + after for extent, (before, after) in zip(x.shape, full, strict=True)])
    return x.view(-sum(before * stride for (before, _), stride in zip(full, x.strides, strict=True)), shape, x.strides)


def _has(x: Operand, pads: Pads) -> bool:
    """Whether x is all of a buffer with a halo that is wide enough."""
    if x.buffer.halo is None:
        return False
    shape, halo, _ = x.buffer.halo
    wide = [before + extent + after for extent, (before, after) in zip(shape, halo, strict=True)]
    strides = [int(np.prod(wide[i + 1:])) for i in range(len(wide))]
    enough = all(a >= c and b >= d for (a, b), (c, d) in zip(halo, pads, strict=False))
    start = sum(before * stride for (before, _), stride in zip(halo, strides, strict=True))
    return len(halo) == len(pads) and enough and (x.shape, x.strides, x.offset) == (shape, tuple(strides), start)


@lowers(Conv)
def lower_conv(op: Conv, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> bool:
    """A convolution of 1 to 3 spatial axes, with strides, dilation and groups."""
    x, kernel, *extras = inputs
    y, = outputs
    if not served(x, kernel, y) or len(op.strides) > 3:
        return False
    if y.size == 0:
        return True
    rank = len(op.strides)
    size, channels = kernel.shape[:rank], kernel.shape[-2]
    finish = decode(epilogue.program, extras, y.shape) if epilogue is not None else Finish()
    quick = _by_winograd(op, x.shape, size, y.shape, kernel.fixed)
    if quick is not None and add_winograd(x, kernel, *quick, y, finish, builder):
        return True
    wide = haloed(x, window_pads(op, x.shape[1:-1], size), builder)
    spatial = wide.strides[1:-1]
    axes = [[i * d * s for i in range(n)] for n, d, s in zip(size, op.dilation, spatial, strict=True)]
    offsets, run = runs(axes, channels)
    steps = (wide.strides[0], *[s * t for s, t in zip(op.strides, spatial, strict=True)])
    k, columns = run * len(offsets), kernel.shape[-1]
    if op.groups == 1 and few(columns, k, run):
        return add_sum(sum_of_dots(wide, steps, kernel, offsets, run, builder), y, finish, builder)
    if kernel.fixed:
        w = constant_weights(kernel, op.groups, ("conv",), lambda value: value.reshape(k, columns), builder)
        block, step = k * WIDTH, WIDTH
    else:
        flat = kernel.reshape((k, columns)) or builder.contiguous(kernel).reshape((k, columns))
        w, block, step = computed_weights(flat, op.groups, y.size // columns, builder)  # type: ignore[arg-type]
    s = Sum(wide, steps, w, (0,) * len(steps), block, step, offsets, run, op.groups, channels)
    return add_sum(s, y, finish, builder)


def _by_winograd(op: Any, x_shape: Sequence[int], size: Sequence[int], y_shape: Sequence[int],
                 fixed: bool) -> tuple[Window, Way] | None:
    """How a convolution or a transposed one goes by Winograd; None where a direct sum is faster."""
    if len(op.strides) != 2 or not settings.packed:  # its weights are larger than the kernel
        return None
    shape = shape_of(x_shape, y_shape)
    if isinstance(op, Conv):
        return winograd(op, size, [before for before, _ in pads_of(op, x_shape[1:-1], size)], shape, fixed)
    return winograd(op, size, [2 - before for before in transposed(op, size).before], shape, fixed, turned=True)


def served(x: Operand, kernel: Operand, y: Operand) -> bool:
    """Whether the kernel can: float32 throughout, something to sum up, results that lie side by side."""
    return (all(v.dtype == "float32" for v in (x, kernel, y)) and (kernel.size > 0 or y.size == 0)
            and (y.strides[-1] == 1 or y.shape[-1] == 1))


# ---- transposed: ConvTranspose, and the cotangent of a convolution's input

Phase = tuple[int, list[tuple[int, int]]]  # the first output, and (kernel element, offset from position q to its input)


@dataclass(frozen=True)
class Transposed:
    """y[s * stride + k * dilation - before] += x[s] kernel[k]^T: the transpose of a convolution from y to x."""

    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    groups: int

    def phases(self, axis: int, size: int, outputs: int) -> list[Phase]:
        """Of a spatial axis, one record for each phase: the outputs first, first + stride, ..., and what their sums take."""
        stride, dilation, before = self.strides[axis], self.dilation[axis], self.before[axis]
        found = []
        for first in range(min(stride, outputs)):
            taps = [(k, (first + before - k * dilation) // stride) for k in reversed(range(size))
                    if (first + before - k * dilation) % stride == 0]
            found.append((first, taps))
        return found

    def pads(self, spatial: Sequence[int], size: Sequence[int], outputs: Sequence[int]) -> Pads:
        """The halo that all phases' reads stay within."""
        pads = []
        for axis, (extent, n, out) in enumerate(zip(spatial, size, outputs, strict=True)):
            before = after = 0
            for first, taps in self.phases(axis, n, out):
                last = (out - first - 1) // self.strides[axis]  # the last position of the phase
                for _, offset in taps:
                    before, after = max(before, -offset), max(after, last + offset - (extent - 1))
            pads.append((before, after))
        return tuple(pads)


def transposed(op: Any, size: Sequence[int]) -> Transposed:
    """How a `ConvTranspose`, or the cotangent of a convolution's input, goes from its input to its output."""
    pads = op.pads(size) if isinstance(op, ConvTranspose) else pads_of(op, op.spatial, size)
    return Transposed(op.strides, op.dilation, tuple([before for before, _ in pads]), getattr(op, "groups", 1))


@lowers(ConvTranspose, ConvGradInput)
def lower_transpose(op: Any, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> bool:
    """A transposed convolution, phase by phase."""
    x, kernel, *extras = inputs
    y, = outputs
    rank = len(op.strides)
    if not served(x, kernel, y) or rank > 3:
        return False
    if y.size == 0:
        return True
    size, out = kernel.shape[:rank], y.shape[1:-1]
    way = transposed(op, size)
    finish = decode(epilogue.program, extras, y.shape) if epilogue is not None else Finish()
    quick = _by_winograd(op, x.shape, size, y.shape, kernel.fixed)
    if quick is not None and add_winograd(x, kernel, *quick, y, finish, builder):
        return True
    pads = way.pads(x.shape[1:-1], size, out)
    wide = haloed(x, pads, builder)
    for chosen in itertools.product(*[way.phases(axis, size[axis], out[axis]) for axis in range(rank)]):
        starts = (0, *[first for first, _ in chosen], 0)

        def cut(v: Operand, starts: tuple[int, ...] = starts) -> Operand:
            return v.slice(starts, v.shape, (1, *op.strides, 1))
        _lower_phase(chosen, way.groups, wide, pads, kernel, cut(y), part(finish, y.shape, cut), builder)
    return True


def _lower_phase(chosen: tuple[Phase, ...], groups: int, wide: Operand, pads: Pads, kernel: Operand, y: Operand, finish: Finish,
                 builder: Builder) -> None:
    spatial, channels = wide.strides[1:-1], kernel.shape[-1] // groups
    axes = [[(offset + before) * stride for _, offset in taps]
            for (_, taps), (before, _), stride in zip(chosen, pads, spatial, strict=True)]
    offsets, run = runs(axes, channels)
    k = run * len(offsets)
    elements = tuple([tuple([element for element, _ in taps]) for _, taps in chosen])
    steps, free = wide.strides[:-1], (0,) * (len(y.shape) - 1)
    if k and groups == 1 and few(y.shape[-1], k, run):
        taken = _phase_elements(elements, 1, kernel)
        s = sum_of_dots(wide, steps, taken.view(0, taken.shape[1:], taken.strides[1:]), offsets, run, builder)
    else:
        w = _phase_weights(elements, groups, kernel, builder) if k else None
        s = Sum(wide, steps, w, free, k * WIDTH, WIDTH, offsets, run, groups, channels)
    done = add_sum(s, y, finish, builder)
    assert done, "a phase has as many axes as the convolution"


def _phase_weights(elements: tuple[tuple[int, ...], ...], groups: int, kernel: Operand, builder: Builder) -> Operand:
    """Of a kernel (*K, columns of y, groups * channels of x) the blocks that a phase takes, its elements in that order."""
    columns, channels = kernel.shape[-2], kernel.shape[-1] // groups

    def arrange(value: np.ndarray) -> np.ndarray:
        taken = value[np.ix_(*elements)].reshape(-1, columns, groups, channels)
        return taken.transpose(0, 3, 2, 1).reshape(-1, groups * columns)
    if kernel.fixed:
        return constant_weights(kernel, groups, ("transposed", groups, elements), arrange, builder)
    return blocks_in_plan(_phase_elements(elements, groups, kernel), 1, builder)


def _phase_elements(elements: tuple[tuple[int, ...], ...], groups: int, kernel: Operand) -> Operand:
    """The same as a view (groups, *elements, channels of x, columns of y)."""
    columns, channels = kernel.shape[-2], kernel.shape[-1] // groups
    start = sum(along[0] * stride for along, stride in zip(elements, kernel.strides, strict=False))
    steps = [along[1] - along[0] if len(along) > 1 else 0 for along in elements]  # of one axis they are equally far apart
    (*spatial, row, column), shape = kernel.strides, tuple(map(len, elements))
    return kernel.view(start, (groups, *shape, channels, columns),
                       (channels * column, *[n * s for n, s in zip(steps, spatial, strict=True)], column, row))


def required_halo(op: Any, x_shape: tuple[int, ...], kernel_shape: tuple[int, ...]) -> Pads | None:
    """The zeros around all axes of x that a convolution reads where it finds them; None where it reads none.

    Args:
        op: any op.
        x_shape, kernel_shape: of its first two operands.

    Example:

        >>> required_halo(Conv((1, 1), "same"), (2, 9, 9, 4), (3, 3, 4, 8))
        ((0, 0), (1, 1), (1, 1), (0, 0))
    """
    if isinstance(op, Conv | ConvTranspose | ConvGradInput):
        y_shape = op.infer(Spec(x_shape, "float32"), Spec(kernel_shape, "float32")).shape
        if _by_winograd(op, x_shape, kernel_shape[:len(op.strides)], y_shape, fixed=True) is not None:  # type: ignore[arg-type]
            return None
    if isinstance(op, ConvGradKernel) and choose_gradient(op, x_shape, kernel_shape) is not None:
        return None
    if isinstance(op, Conv | DepthwiseConv):
        pads = window_pads(op, x_shape[1:-1], kernel_shape[:len(op.strides)])
    elif isinstance(op, ConvGradKernel | DepthwiseConvGradKernel):
        pads = window_pads(op, x_shape[1:-1], op.size)
    elif isinstance(op, ConvTranspose | ConvGradInput | DepthwiseConvGradInput):
        size = kernel_shape[:len(op.strides)]
        outputs = op.infer(Spec(x_shape, "float32"), Spec(kernel_shape, "float32")).shape[1:-1]
        pads = transposed(op, size).pads(x_shape[1:-1], size, outputs)  # type: ignore[arg-type]
    else:
        return None
    return ((0, 0), *pads, (0, 0)) if any(map(any, pads)) else None
