"""Depthwise convolutions: each channel by itself, vectors over channels, several pixels a tile so that weights are read once.

The walk, the argument row and the epilogue are those of `contraction`, and so is padding: a halo of zeros. With a depth
multiplier above 1 the convolution is one of as many groups as channels.
"""
import itertools
import math
from typing import Any

import numpy as np

from graphnet.backends.cpu.cache import Kernel, jit, kernel
from graphnet.backends.cpu.kernels.contraction import MADE, SHORT, Sum, add_sum, edge
from graphnet.backends.cpu.kernels.convolution import haloed, lower_conv, served, window_pads
from graphnet.backends.cpu.kernels.epilogue import Finish, decode
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES, fma, full, load_part, real, store, word
from graphnet.backends.cpu.tape import run_tile
from graphnet.backends.cpu.tiles import HALF, LANE_MOST, NARROW, STRIPS, VECTORS, WIDTH, lane_product
from graphnet.ops.convolution import Conv, DepthwiseConv

LINE = 1 << 40  # pixels of a task: all of a line, as to find a task's place takes as long as a tile


@jit
def sum_part(size, x, x_step, offsets, segments, left, w, w_step, to):
    """The sums of channels that do not fill a vector; nothing behind them is read."""
    for m in range(size):
        c = full(np.float32(0))
        for s in range(segments):
            c = fma(load_part(x, word(offsets, s) + m * x_step, left), load_part(w, s * w_step, left), c)
        store(to, m * WIDTH, c)


def depthwise_kernel(name: str, product: Any) -> Kernel:
    """The kernel whose tiles are computed by `product`."""
    def along(row, begin, end, scratch):
        """A task is a line of pixels and `share` blocks of channels; the argument row is that of `contract`."""
        x, w, bias, y, residual = word(row, 0), word(row, 1), word(row, 2), word(row, 3), word(row, 4)
        tape, mode = word(row, 5), word(row, 6)
        low, high, low_again, high_again = real(row, 7), real(row, 8), real(row, 9), real(row, 10)
        spots, lines, width = word(row, 11), word(row, 12), word(row, 13)
        x_step, y_step, r_step = word(row, 18), word(row, 22), word(row, 26)
        w_step, offsets, segments = word(row, 30), word(row, 31), word(row, 32)
        channels, share, parts, sweep = word(row, 35), word(row, 37), word(row, 39), word(row, 40)
        bounds, tiles = (low, high, low_again, high_again), -(-width // LANE_MOST)
        narrow = width // tiles
        wide = width - narrow * tiles  # so many tiles are one pixel longer
        for task in range(begin, end):
            rest, plane, line = task // spots, task % spots // lines, task % spots % lines
            image, part = rest // sweep // parts * sweep + rest % sweep, rest // sweep % parts
            start = x + 4 * (image * word(row, 15) + plane * word(row, 16) + line * word(row, 17))
            there = y + 4 * (image * word(row, 19) + plane * word(row, 20) + line * word(row, 21))
            other = residual + 4 * (image * word(row, 23) + plane * word(row, 24) + line * word(row, 25))
            first = part * share * WIDTH
            last, j = min(first + share * WIDTH, channels), 0
            for t in range(tiles):
                size, c = narrow + 1 if t < wide else narrow, first
                a, to, more = start + 4 * j * x_step, there + 4 * j * y_step, other + 4 * j * r_step
                while c < last:
                    left, b, d, e, z = last - c, w + 4 * c, bias + 4 * c, more + 4 * c, to + 4 * c
                    given = (a + 4 * c, x_step, offsets, segments, 1, b, w_step, z, y_step, mode, d, e, r_step)
                    if left >= WIDTH:
                        product(size, VECTORS, given, bounds)
                        c += WIDTH
                    elif left >= HALF:
                        product(size, NARROW, given, bounds)
                        c += HALF
                    else:
                        sum_part(size, a + 4 * c, x_step, offsets, segments, left, b, w_step, scratch)
                        edge(size, min(left, LANES), scratch, z, y_step, mode, d, e, r_step, *bounds)
                        c += LANES
                if tape:
                    run_tile(tape, scratch + MADE, image, plane, line, j, size, first, last - first)
                j += size
    along.__name__ = along.__qualname__ = name
    return kernel(along)


depthwise = depthwise_kernel("depthwise", lane_product)
depthwise_strips = {kind: depthwise_kernel("depthwise_{}x{}".format(*kind), product) for kind, product in STRIPS.items()}


@lowers(DepthwiseConv)
def lower_depthwise(op: DepthwiseConv, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                    epilogue: Any = None) -> bool:
    """A depthwise convolution of 1 to 3 spatial axes, with strides and dilation."""
    x, kernel_, *extras = inputs
    y, = outputs
    rank = len(op.strides)
    size, (channels, multiplier) = kernel_.shape[:rank], kernel_.shape[rank:]
    if not served(x, kernel_, y) or rank > 3:
        return False
    if y.size == 0:
        return True
    w = builder.contiguous(kernel_).reshape((*size, 1, channels * multiplier))
    assert w is not None, "contiguous"
    if multiplier != 1:
        grouped = Conv(op.strides, op.padding, op.dilation, channels)
        return bool(lower_conv(grouped, [x, w, *extras], outputs, builder, epilogue))
    wide = haloed(x, window_pads(op, x.shape[1:-1], size), builder)
    spatial = wide.strides[1:-1]
    axes = [[i * d * s for i in range(n)] for n, d, s in zip(size, op.dilation, spatial, strict=True)]
    steps = (wide.strides[0], *[s * t for s, t in zip(op.strides, spatial, strict=True)])
    finish = decode(epilogue.program, extras, y.shape) if epilogue is not None else Finish()
    return add_depthwise(wide, steps, axes, w.reshape((math.prod(size), channels)), y, finish, builder)


def add_depthwise(x: Operand, steps: tuple[int, ...], axes: list[list[int]], w: Operand | None, y: Operand, finish: Finish,
                  builder: Builder) -> bool:
    """Adds the step that sums x times w over a window, channel by channel; False, before that, where the kernel cannot.

    Args:
        x: begins at the first element that the first position may need; steps: its strides along the positions.
        axes: offsets of the window's elements along each axis.
        w: (elements, channels), None where the window has no elements.
    """
    offsets = tuple([sum(parts) for parts in itertools.product(*axes)])
    w_step, row, step = w.strides[0] if w is not None else 0, axes[-1], steps[-1]
    chosen = depthwise
    if len(row) > 1 and y.shape[-2] >= SHORT:  # else a task may go along another axis
        unit = row[1] - row[0]
        if unit and step % unit == 0 and row == [row[0] + i * unit for i in range(len(row))]:
            chosen = depthwise_strips.get((len(row), step // unit), depthwise)
    s = Sum(x, steps, w, (0,) * len(steps), WIDTH, w_step, offsets, 1, kernel=chosen, most=LINE)
    return add_sum(s, y, finish, builder)
