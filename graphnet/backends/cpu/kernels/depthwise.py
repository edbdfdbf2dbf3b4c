"""Depthwise convolutions over 1 or 2 spatial axes, channels innermost: each channel by itself, so vectors lie along the channels.

Windows are clipped where they leave x, so that padding needs no halo. Windows of 3 x 3 inside of x keep their nine weights in
registers along a row of the output; those of other sizes, and those at the border, load them.
"""
import math
from typing import Any

import numpy as np

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.kernels.epilogue import FREE, Finish, decode
from graphnet.backends.cpu.lowering import lowering_of, lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES, at_least, at_most, fma, full, load, load_part, real, store, store_part, word
from graphnet.backends.cpu.tiles import BIAS, CLIP, RESIDUAL
from graphnet.ops.convolution import DepthwiseConv, pads_of
from graphnet.passes.fuse import Tape

ZERO = np.float32(0)


@jit
def depthwise_rows_3(x, row_step, column, stride, w, w_step, bias, y, y_step, pixels, low, high):
    """A vector of channels of so many pixels in a row, their windows of 3 x 3 inside of x."""
    a, b, c = load(w, 0), load(w, w_step), load(w, 2 * w_step)
    d, e, f = load(w, 3 * w_step), load(w, 4 * w_step), load(w, 5 * w_step)
    g, h, i = load(w, 6 * w_step), load(w, 7 * w_step), load(w, 8 * w_step)
    start = load(bias, 0) if bias else full(ZERO)
    for p in range(pixels):
        top = x + 4 * p * stride
        middle, bottom = top + 4 * row_step, top + 8 * row_step
        u = fma(load(top, 0), a, start)
        v = load(top, column) * b
        u = fma(load(top, 2 * column), c, u)
        v = fma(load(middle, 0), d, v)
        u = fma(load(middle, column), e, u)
        v = fma(load(middle, 2 * column), f, v)
        u = fma(load(bottom, 0), g, u)
        v = fma(load(bottom, column), h, v)
        u = fma(load(bottom, 2 * column), i, u)
        store(y, p * y_step, at_most(at_least(u + v, low), high))


@jit
def depthwise_pixel(x, rows, columns, row_step, column, w, w_row, w_step, bias, y, n, low, high):
    """At most a vector of channels of one pixel; the window may be clipped."""
    v = load_part(bias, 0, n) if bias else full(ZERO)
    for i in range(rows):
        for j in range(columns):
            v = fma(load_part(x, i * row_step + j * column, n), load_part(w, i * w_row + j * w_step, n), v)
    store_part(y, 0, n, at_most(at_least(v, low), high))


@kernel
def depthwise(row, begin, end, scratch):
    """A task is an output row. 0 x, 1 w, 2 bias, 3 y, 4 channels, 5 height, 6 width of y, 7 height, 8 width of x; elements to the next image 9,
    row 10, column 11 of x, and 12, 13, 14 of y; window 15, 16, stride 17, 18, dilation 19, 20, padding before 21, 22; bounds 23, 24; 25 weights' step"""
    channels, height, width, x_height, x_width = word(row, 4), word(row, 5), word(row, 6), word(row, 7), word(row, 8)
    x_row, x_column, y_column = word(row, 10), word(row, 11), word(row, 14)
    tall, broad, down, across = word(row, 15), word(row, 16), word(row, 17), word(row, 18)
    dilation, dilation_across, before, left = word(row, 19), word(row, 20), word(row, 21), word(row, 22)
    low, high, w_step = real(row, 23), real(row, 24), word(row, 25)
    first_inside = min(width, (left + across - 1) // across)  # pixels whose windows lie inside of x, from left to right
    room = x_width + left - (broad - 1) * dilation_across - 1
    last_inside = max(first_inside, min(width, room // across + 1 if room >= 0 else 0))
    for task in range(begin, end):
        image, i = task // height, task % height
        top = i * down - before
        skip = (dilation - 1 - top) // dilation if top < 0 else 0
        rows = min(tall, (x_height - top + dilation - 1) // dilation) - skip
        x = word(row, 0) + 4 * (image * word(row, 9) + (top + skip * dilation) * x_row)
        y = word(row, 3) + 4 * (image * word(row, 12) + i * word(row, 13))
        for c in range(0, channels, LANES):
            n, w, bias = channels - c, word(row, 1) + 4 * (c + skip * broad * w_step), word(row, 2) + 4 * c if word(row, 2) else 0
            quick = rows == 3 and tall == 3 and broad == 3 and n >= LANES
            if quick:
                depthwise_rows_3(x + 4 * ((first_inside * across - left) * x_column + c), dilation * x_row, dilation_across * x_column, across * x_column, w, w_step, bias,
                                 y + 4 * (first_inside * y_column + c), y_column, last_inside - first_inside, low, high)
            for j in range(width):
                if quick and first_inside <= j < last_inside:
                    continue
                start = j * across - left
                miss = (dilation_across - 1 - start) // dilation_across if start < 0 else 0
                columns = min(broad, (x_width - start + dilation_across - 1) // dilation_across) - miss
                depthwise_pixel(x + 4 * ((start + miss * dilation_across) * x_column + c), rows, columns, dilation * x_row, dilation_across * x_column,
                                w + 4 * miss * w_step, broad * w_step, w_step, bias, y + 4 * (j * y_column + c), n, low, high)


def _flat(kernel_value: np.ndarray) -> np.ndarray:
    """(*K, C, M) -> (*K, C * M)."""
    return kernel_value.reshape(*kernel_value.shape[:-2], -1)


def _repeated(x: Operand, multiplier: int, builder: Builder) -> Operand:
    """x with each channel so many times in a row."""
    if multiplier == 1:
        return x if x.shape[-1] == 1 or x.strides[-1] == 1 else builder.contiguous(x)
    wide = x.view(0, (*x.shape, multiplier), (*x.strides, 0))
    return builder.contiguous(wide).reshape((*x.shape[:-1], x.shape[-1] * multiplier))  # type: ignore[return-value]


def _two(values: tuple[int, ...], filler: int) -> tuple[int, ...]:
    return (filler, *values) if len(values) == 1 else values


@lowers(DepthwiseConv)
def lower_depthwise(op: Any, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> bool | None:
    """float32 over one or two spatial axes; what the kernel's bias and bounds do not do of the epilogue, a tape does."""
    x, w = inputs[:2]
    out, = outputs
    rank = len(op.strides)
    if any(v.dtype != "float32" for v in (x, w, out)) or rank > 2 or (out.shape[-1] > 1 and out.strides[-1] != 1):
        return False
    program = epilogue.program if epilogue is not None else ()
    finish = _one_clip(decode(program, inputs[2:], out.shape), program, inputs[2:])
    pads = pads_of(op, x.shape[1:-1], w.shape[:rank])
    source = _repeated(x, w.shape[-1], builder)
    weights = builder.packed(w, ("depthwise",), _flat) if w.constant is not None else builder.contiguous(w)
    bias = None
    if finish.bias is not None:
        bias = builder.contiguous(finish.bias.view(0, out.shape[-1:], finish.bias.strides[-1:]))
    extents = [_two(v, f) for v, f in ((out.shape[1:-1], 1), (source.shape[1:-1], 1), (w.shape[:rank], 1), (op.strides, 1), (op.dilation, 1))]
    (height, width), (x_height, x_width), window, strides, dilation = extents
    x_steps, y_steps = _two(source.strides[1:-1], 0), _two(out.strides[1:-1], 0)
    words = [source, weights, bias, out, out.shape[-1], height, width, x_height, x_width, source.strides[0], *x_steps, out.strides[0], *y_steps,
             *window, *strides, *dilation, *_two(tuple(before for before, _ in pads), 0), *map(float, finish.clip), out.shape[-1]]
    reads = [v for v in (source, weights, bias) if v is not None]
    builder.step(depthwise, words, out.shape[0] * height, 2.0 * out.size * math.prod(window), reads, [out])
    if finish.rest:
        tape = Tape(finish.rest)
        lower = lowering_of(tape)
        if lower is None or lower(tape, [out, *inputs[2:]], [out], builder) is False:
            builder.python_step(tape.reference, [out, *inputs[2:]], [out])
    return None


def _one_clip(finish: Finish, program: Any, extras: list[Operand]) -> Finish:
    """The epilogue of this kernel: a bias and bounds; anything with a residual is left to a tape as a whole."""
    if finish.mode & ~(BIAS | CLIP) or finish.mode & RESIDUAL:
        return Finish(None, FREE, None, FREE, tuple(program), tuple(extras))
    return finish
