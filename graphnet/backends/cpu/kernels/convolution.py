"""Convolutions and their transposes on the contraction kernel: where x is read for each position, and which weights.

Padding is a halo of zeros around x: its producer's buffer has one where the driver has asked `required_halo`, else x is copied
into one that has. A transposed convolution of stride s is s direct ones along each axis: the outputs o with o mod s = p
take only the kernel elements that fit this phase, and lie s apart.
"""
import itertools
from typing import Any

import numpy as np

from graphnet.backends.cpu.kernels.contraction import Sum, add_sum, runs
from graphnet.backends.cpu.kernels.epilogue import Finish, decode, part
from graphnet.backends.cpu.kernels.packing import computed_weights, constant_weights
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.tiles import WIDTH
from graphnet.ops.convolution import Conv, ConvTranspose, DepthwiseConv
from graphnet.ops.geometry import pads_of

Pads = tuple[tuple[int, int], ...]


def haloed(x: Operand, pads: Pads, builder: Builder) -> Operand:
    """x with so many zeros before and behind each spatial axis: where it lies if it has them, else a copy."""
    full = ((0, 0), *pads, (0, 0))
    if x.strides[-1] != 1 and x.shape[-1] != 1 and not any(map(any, pads)):
        x = builder.contiguous(x)
    if any(map(any, pads)) and not _has(x, full):
        wide = builder.temporary(x.shape, halo=full)
        builder.copy(x, wide)
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
    wide = haloed(x, pads_of(op, x.shape[1:-1], size), builder)
    spatial = wide.strides[1:-1]
    axes = [[i * d * s for i in range(n)] for n, d, s in zip(size, op.dilation, spatial, strict=True)]
    offsets, run = runs(axes, channels)
    steps = (wide.strides[0], *[s * t for s, t in zip(op.strides, spatial, strict=True)])
    k, columns = run * len(offsets), kernel.shape[-1]
    if kernel.fixed:
        w = constant_weights(kernel, op.groups, ("conv",), lambda value: value.reshape(k, columns), builder)
        block, step = k * WIDTH, WIDTH
    else:
        flat = kernel.reshape((k, columns)) or builder.contiguous(kernel).reshape((k, columns))
        w, block, step = computed_weights(flat, op.groups, y.size // columns, builder)  # type: ignore[arg-type]
    finish = decode(epilogue.program, extras, y.shape) if epilogue is not None else Finish()
    s = Sum(wide, steps, w, (0,) * len(steps), block, step, offsets, run, op.groups, channels)
    return add_sum(s, y, finish, builder)


def served(x: Operand, kernel: Operand, y: Operand) -> bool:
    """Whether the kernel can: float32 throughout, something to sum up, results that lie side by side."""
    return (all(v.dtype == "float32" for v in (x, kernel, y)) and (kernel.size > 0 or y.size == 0)
            and (y.strides[-1] == 1 or y.shape[-1] == 1))


# ---- transposed

Phase = tuple[int, list[tuple[int, int]]]  # the first output, and (kernel element, offset from position q to its input)


def phases(op: ConvTranspose, axis: int, size: int, outputs: int) -> list[Phase]:
    """Of a spatial axis, one record for each phase: the outputs first, first + stride, ..., and what their sums take."""
    stride, dilation = op.strides[axis], op.dilation[axis]
    before = op.geometry(axis, size)[0]
    crop = (size - 1) * dilation - before
    found = []
    for first in range(min(stride, outputs)):
        taps = [(k, (first + crop - k * dilation) // stride) for k in reversed(range(size))
                if (first + crop - k * dilation) % stride == 0]
        found.append((first, taps))
    return found


def transposed_pads(op: ConvTranspose, spatial: tuple[int, ...], size: tuple[int, ...], outputs: tuple[int, ...]) -> Pads:
    """The halo that all phases' reads stay within."""
    pads = []
    for axis, (extent, n, out) in enumerate(zip(spatial, size, outputs, strict=True)):
        before = after = 0
        for first, taps in phases(op, axis, n, out):
            last = (out - first - 1) // op.strides[axis]  # the last position of the phase
            for _, offset in taps:
                before, after = max(before, -offset), max(after, last + offset - (extent - 1))
        pads.append((before, after))
    return tuple(pads)


@lowers(ConvTranspose)
def lower_transpose(op: ConvTranspose, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                    epilogue: Any = None) -> bool:
    """A transposed convolution with constant weights, phase by phase."""
    x, kernel, *extras = inputs
    y, = outputs
    rank = len(op.strides)
    if not served(x, kernel, y) or not kernel.fixed or rank > 3:
        return False
    if y.size == 0:
        return True
    size, out = kernel.shape[:rank], y.shape[1:-1]
    pads = transposed_pads(op, x.shape[1:-1], size, out)
    wide = haloed(x, pads, builder)
    finish = decode(epilogue.program, extras, y.shape) if epilogue is not None else Finish()
    for chosen in itertools.product(*[phases(op, axis, size[axis], out[axis]) for axis in range(rank)]):
        starts = (0, *[first for first, _ in chosen], 0)

        def cut(v: Operand, starts: tuple[int, ...] = starts) -> Operand:
            return v.slice(starts, v.shape, (1, *op.strides, 1))
        _lower_phase(chosen, wide, pads, kernel, cut(y), part(finish, y.shape, cut), builder)
    return True


def _lower_phase(chosen: tuple[Phase, ...], wide: Operand, pads: Pads, kernel: Operand, y: Operand, finish: Finish,
                 builder: Builder) -> None:
    spatial = wide.strides[1:-1]
    axes = [[(offset + before) * stride for _, offset in taps]
            for (_, taps), (before, _), stride in zip(chosen, pads, spatial, strict=True)]
    offsets, run = runs(axes, wide.shape[-1])
    k, columns = run * len(offsets), y.shape[-1]
    elements = tuple([tuple([element for element, _ in taps]) for _, taps in chosen])

    def arrange(value: np.ndarray) -> np.ndarray:
        return np.swapaxes(value[np.ix_(*elements)], -1, -2).reshape(k, columns)
    w = constant_weights(kernel, 1, ("transposed", elements), arrange, builder) if offsets else None
    done = add_sum(Sum(wide, wide.strides[:-1], w, (0,) * (len(y.shape) - 1), k * WIDTH, WIDTH, offsets, run), y, finish, builder)
    assert done, "a phase has as many axes as the convolution"


def required_halo(op: Any, x_shape: tuple[int, ...], kernel_shape: tuple[int, ...]) -> Pads | None:
    """The zeros around all axes of x that a convolution reads where it finds them; None where it reads none.

    Example:

        >>> required_halo(Conv((1, 1), "same"), (2, 9, 9, 4), (3, 3, 4, 8))
        ((0, 0), (1, 1), (1, 1), (0, 0))
    """
    if isinstance(op, Conv | DepthwiseConv):
        pads = pads_of(op, x_shape[1:-1], kernel_shape[:len(op.strides)])
    elif isinstance(op, ConvTranspose):
        size = kernel_shape[:-2]
        outputs = [(extent - 1) * s + 1 + sum(op.geometry(i, n)[:2]) - (n - 1) * d
                   for i, (extent, n, s, d) in enumerate(zip(x_shape[1:-1], size, op.strides, op.dilation, strict=True))]
        pads = transposed_pads(op, x_shape[1:-1], size, tuple(outputs))
    else:
        return None
    return ((0, 0), *pads, (0, 0)) if any(map(any, pads)) else None
