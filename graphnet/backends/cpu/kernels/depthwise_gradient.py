"""The cotangents of depthwise convolutions' kernels: sums over positions of products, lane by lane; and of their inputs.

The sums go along the positions as those of outer products do, with the taps of a row of the window as a tile's rows and
channels in its lanes. The cotangent of an input is a depthwise convolution of g for each phase of the strides. With a
depth multiplier above 1 both are those of a convolution of as many groups as channels.
"""
import itertools
import math
from dataclasses import dataclass
from typing import Any, ClassVar

from graphnet.backends.cpu.cache import Kernel, kernel
from graphnet.backends.cpu.kernels.conv_gradient import lower_grad_kernel
from graphnet.backends.cpu.kernels.convolution import haloed, lower_transpose, served, transposed, window_pads
from graphnet.backends.cpu.kernels.depthwise import add_depthwise
from graphnet.backends.cpu.kernels.epilogue import Finish, decode, part
from graphnet.backends.cpu.kernels.outer import Outer, add_outer, lines_of
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import word
from graphnet.backends.cpu.tiles import HALF, LANE_MOST, NARROW, VECTORS, WIDTH, lane_outer_product
from graphnet.ops.convolution import ConvGradInput, ConvGradKernel, DepthwiseConvGradInput, DepthwiseConvGradKernel

POSITIONS = 128  # of a unit: what a block of channels reads of them stays in the first cache for all rows of the window


@kernel
def lane_sums(row, begin, end, scratch):
    """A task is a chunk and a part of the channels; the argument row is that of `outer_sums`."""
    runs, length, tiles, columns, y_step = word(row, 5), word(row, 6), word(row, 7), word(row, 8), word(row, 9)
    units, chunks, column_parts, between = word(row, 24), word(row, 25), word(row, 28), word(row, 29)
    x_step, g_step, blocks, short = word(row, 16), word(row, 20), -(-columns // WIDTH), length // tiles
    long = length - short * tiles  # so many tiles are one row longer
    for task in range(begin, end):
        chunk, across = task // column_parts, task % column_parts
        start, y = chunk * units // chunks, word(row, 2) + 4 * chunk * word(row, 26)
        for unit in range(start, (chunk + 1) * units // chunks):
            count, size = lines_of(row, unit, scratch)
            for block in range(across * blocks // column_parts, (across + 1) * blocks // column_parts):
                c = block * WIDTH
                for tile in range(runs * tiles):
                    of_run, t = tile // tiles, tile % tiles
                    m, rows = t * short + min(t, long), short + 1 if t < long else short
                    given = (word(row, 0) + 4 * (word(word(row, 4), of_run) + m * between + c), x_step, scratch, count, size,
                             word(row, 1) + 4 * c, g_step, y + 4 * ((of_run * length + m) * y_step + c), y_step,
                             int(unit == start), columns - c, between)
                    if columns - c > HALF:
                        lane_outer_product(rows, VECTORS, given, ())
                    else:
                        lane_outer_product(rows, NARROW, given, ())


@dataclass(frozen=True)
class Lanes(Outer):
    """A sum of products lane by lane: of rows of x that lie `between` apart, each of as many columns as g has."""

    kernel: ClassVar[Kernel] = lane_sums
    most: ClassVar[int] = LANE_MOST

    @property
    def goal(self) -> int:
        return POSITIONS

    def parts(self, units: int, wanted: int) -> tuple[int, int, int]:
        chunks = min(units, wanted)
        return chunks, 1, min(-(-self.columns // WIDTH), -(-wanted // chunks))


@lowers(DepthwiseConvGradKernel)
def lower_depthwise_grad_kernel(op: DepthwiseConvGradKernel, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                                epilogue: Any = None) -> bool:
    """Of a depthwise convolution of 1 to 3 spatial axes, with strides and dilation."""
    x, g = inputs
    y, = outputs
    *size, channels, multiplier = y.shape
    if multiplier != 1:
        made = y if y.contiguous else builder.temporary(y.shape)
        grouped = ConvGradKernel(op.size, op.strides, op.padding, op.dilation, channels)
        done = lower_grad_kernel(grouped, inputs, [made.view(0, (*size, 1, channels * multiplier), _merged(made))], builder)
        if done:
            builder.copy(made, y)
        return done
    if not served(x, g, y) or len(size) > 3 or not x.size or not g.size:
        return False
    if g.strides[-1] != 1:
        g = builder.contiguous(g)
    wide = haloed(x, window_pads(op, x.shape[1:-1], op.size), builder)
    if wide.strides[-1] != 1 and channels > 1:
        return False
    spatial = wide.strides[1:-1]
    axes = [[i * d * s for i in range(n)] for n, d, s in zip(op.size[:-1], op.dilation, spatial, strict=False)]
    offsets = tuple([sum(parts) for parts in itertools.product(*axes)])
    steps = (wide.strides[0], *[s * t for s, t in zip(op.strides, spatial, strict=True)])
    between = op.dilation[-1] * spatial[-1]
    s = Lanes(wide, g, g.shape[:-1], steps, g.strides[:-1], offsets, op.size[-1], channels, between=between)
    add_outer(s, y, channels, builder)
    return True


def _merged(x: Operand) -> tuple[int, ...]:
    """The strides of a dense kernel (*K, C, M) seen as (*K, 1, C * M)."""
    return (*x.strides[:-2], x.shape[-2] * x.shape[-1], 1)


@lowers(DepthwiseConvGradInput)
def lower_depthwise_grad_input(op: DepthwiseConvGradInput, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                               epilogue: Any = None) -> bool:
    """Phase by phase, as a transposed convolution."""
    g, kernel_, *extras = inputs
    y, = outputs
    *size, channels, multiplier = kernel_.shape
    if not served(g, kernel_, y) or len(size) > 3:
        return False
    w = builder.contiguous(kernel_)
    if multiplier != 1:
        grouped = ConvGradInput(op.spatial, op.strides, op.padding, op.dilation, channels)
        w = w.view(0, (*size, 1, channels * multiplier), _merged(w))
        return lower_transpose(grouped, [g, w, *extras], outputs, builder, epilogue)
    way, out = transposed(op, size), y.shape[1:-1]
    pads = way.pads(g.shape[1:-1], size, out)
    wide = haloed(g, pads, builder)
    finish = decode(epilogue.program, extras, y.shape) if epilogue is not None else Finish()
    for chosen in itertools.product(*[way.phases(axis, n, out[axis]) for axis, n in enumerate(size)]):
        starts = (0, *[first for first, _ in chosen], 0)

        def cut(v: Operand, starts: tuple[int, ...] = starts) -> Operand:
            return v.slice(starts, v.shape, (1, *op.strides, 1))
        elements = [[element for element, _ in taps] for _, taps in chosen]
        axes = [[(offset + before) * stride for _, offset in taps]
                for (_, taps), (before, _), stride in zip(chosen, pads, wide.strides[1:-1], strict=True)]
        fitting = _taken(w, elements, builder)
        done = add_depthwise(wide, wide.strides[:-1], axes, fitting, cut(y), part(finish, y.shape, cut), builder)
        assert done, "a phase has as many axes as the convolution"
    return True


def _taken(w: Operand, elements: list[list[int]], builder: Builder) -> Operand | None:
    """Of a dense kernel (*K, C, 1) the elements of a phase, equally far apart along each axis, as (elements, C)."""
    if not all(elements):
        return None
    counts, channels = tuple(map(len, elements)), w.shape[-2]
    start = sum(along[0] * stride for along, stride in zip(elements, w.strides, strict=False))
    apart = [along[1] - along[0] if len(along) > 1 else 0 for along in elements]
    seen = w.view(start, (*counts, channels), (*[n * stride for n, stride in zip(apart, w.strides, strict=False)], 1))
    flat = (math.prod(counts), channels)
    return seen.reshape(flat) or builder.contiguous(seen).reshape(flat)
