"""A 1x1 convolution into many channels, a depthwise one, and a 1x1 convolution out of them: the many channels exist for no more
lines at a time than a window sees, which stay in the cache.

A task is some lines of the result. The lines in between lie in a ring, as many as a window is high: before a line of the
result is computed, the ring's oldest lines give way to the next ones. Only the first lines of a task are computed twice, as
the task before has them too. All three kernels are called by address, as in `separable`.
"""
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphnet.backends.cpu.cache import kernel
from graphnet.backends.cpu.kernels.contraction import CACHE, SHORT, TASKS, WORDS, contract
from graphnet.backends.cpu.kernels.convolution import required_halo, window_pads
from graphnet.backends.cpu.kernels.depthwise import add_depthwise
from graphnet.backends.cpu.kernels.epilogue import Finish, decode
from graphnet.backends.cpu.kernels.halo import zeros
from graphnet.backends.cpu.kernels.separable import (
    COUNT,
    NARROW,
    X,
    Y,
    copy_row,
    goes_by_lines,
    is_small,
    lower_op,
    lower_separable,
    run_line,
)
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder, Step, Table, Word
from graphnet.backends.cpu.simd import put_word, word
from graphnet.graph import Spec
from graphnet.passes.fuse import Epilogue
from graphnet.passes.fuse_bottleneck import Bottleneck

OFFSETS = WORDS.index("offsets")
LARGEST = 384 << 10  # bytes of a ring: it stays in the second cache beside the weights
TWICE = 4  # a task has so many lines for each that is computed twice, as near as a power of two of tasks allows


@kernel
def bottleneck(row, begin, end, scratch):
    """A task is some lines of an image. 0 first kernel, 1 its row, 2, 3 second, 4, 5 third, 6 lines of the ring, 7 elements of one,
    8 zeros that it begins with, 9 its own elements, 10 lines of zeros above an image, 11 its lines, 12 stride, 13 lines of a
    result, 14 tasks of it, 15 table of a window's offsets for each line of the ring that it may begin at, 16 words for each,
    17 bytes of the ring, 18 bytes of a line behind the window
    """
    first, second, third = word(row, 0), word(row, 2), word(row, 4)
    high, length, left, own = word(row, 6), word(row, 7), word(row, 8), word(row, 9)
    above, height, stride, lines, tasks = word(row, 10), word(row, 11), word(row, 12), word(row, 13), word(row, 14)
    made = scratch + word(row, 17)
    one = made + word(row, 18)
    two, three = one + 8 * COUNT, one + 16 * COUNT
    rest = one + 24 * COUNT
    copy_row(word(row, 1), one)
    copy_row(word(row, 3), two)
    copy_row(word(row, 5), three)
    put_word(two, X, scratch)
    put_word(two, Y, made)
    put_word(three, X, made)
    for i in range(high):
        zeros(scratch + 4 * i * length, left)
        zeros(scratch + 4 * (i * length + left + own), length - left - own)
    for task in range(begin, end):
        image, part = task // tasks, task % tasks
        upcoming = 0
        for line in range(part * lines // tasks, (part + 1) * lines // tasks):
            top = line * stride
            for q in range(max(upcoming, top), top + high):
                place = scratch + 4 * (q % high * length + left)
                if above <= q < above + height:
                    put_word(one, Y, place)
                    run_line(first, one, image * height + q - above, rest)
                else:
                    zeros(place, own)
            upcoming = top + high
            put_word(two, OFFSETS, word(row, 15) + 8 * (top % high) * word(row, 16))
            run_line(second, two, 0, rest)
            run_line(third, three, image * lines + line, rest)


@dataclass(frozen=True)
class Ring:
    """The lines between the first two kernels.

    Args:
        high: lines that a window sees.
        left, own, length: elements of a line: zeros that it begins with, its pixels', and all with zeros behind.
        above: lines of zeros above an image.
    """

    high: int
    left: int
    own: int
    length: int
    above: int

    @classmethod
    def of(cls, op: Any, shape: tuple[int, ...], size: Sequence[int]) -> "Ring":
        """That of a depthwise convolution of images of a shape, by a window of so many elements."""
        (above, _), (left, right) = window_pads(op, shape[1:-1], size)
        width, channels = shape[2:]
        length = -(-(left + width + right) * channels // 16) * 16
        return cls((size[0] - 1) * op.dilation[0] + 1, left * channels, width * channels, length, above)

    @property
    def nbytes(self) -> int:
        """Bytes of all lines."""
        return 4 * self.high * self.length


@lowers(Bottleneck)
def lower_bottleneck(op: Bottleneck, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> None:
    """Some lines at a time where that pays, else one convolution behind the other."""
    given, others, (y,) = inputs[:op.arity], inputs[op.arity:], outputs
    shape: Any = op.before.infer(*[Spec(x.shape, x.dtype) for x in given]).shape  # type: ignore[arg-type, union-attr]
    if not (_pays(op, given, others, shape) and _in_one_step(op, given, others, shape, y, builder)):
        halo = required_halo(op.after.producer, shape, others[0].shape)
        middle = builder.temporary(shape, halo=halo)
        lower_op(op.before, given, middle, builder)
        lower_separable(op.after, [middle, *others], outputs, builder)


def _finish(op: Any, extras: Sequence[Operand], shape: tuple[int, ...]) -> Finish:
    """What follows a convolution whose result has a shape."""
    return decode(op.program, extras, shape) if isinstance(op, Epilogue) else Finish()


def _pays(op: Bottleneck, given: Sequence[Operand], others: Sequence[Operand], shape: tuple[int, ...]) -> bool:
    """Whether all weights, the ring and a line behind it stay in the second cache, and tiles are as large as without lines."""
    window, (weights, again) = others[0], (given[1], others[op.after.arity - 1])
    if any(x.dtype != "float32" for x in (given[0], window, weights, again)) or not (weights.fixed and again.fixed):
        return False
    before, middle = _finish(op.before, given[2:], shape), _finish(op.after.first, others[1:op.after.arity - 1], shape)
    # what a tape computes is written where its operands lie, and no residual has lines at one place
    single = not before.rest and not middle.rest and middle.residual is None and window.shape[-1] == 1
    ring = Ring.of(op.after.producer, shape, window.shape[:2])
    small = 4 * (weights.size + again.size) <= CACHE and is_small(window) and ring.nbytes <= LARGEST
    return single and small and shape[2] >= NARROW


def _in_one_step(op: Bottleneck, given: Sequence[Operand], others: Sequence[Operand], shape: tuple[int, ...], y: Operand,
                 builder: Builder) -> bool:
    """Adds the one step; False, before it has added any, where a convolution of single pixels is not one that goes line by line."""
    before, mark, scratch, window, arity = len(builder.steps), builder.mark(), builder.scratch, others[0], op.after.arity - 1
    depthwise: Any = op.after.producer
    ring, channels = Ring.of(depthwise, shape, window.shape[:2]), shape[-1]
    made, at_one_place = (*y.shape[:-1], channels), (0, 0, channels, 1)  # where a line is, the kernel says

    def anywhere(extents: tuple[int, ...]) -> Operand:
        return Operand(y.buffer, y.offset, extents, at_one_place, y.dtype)
    builder.scratch = 0
    lower_op(op.before, given, anywhere(shape), builder)
    middle = len(builder.steps)
    lower_op(op.after.second, [anywhere(made), *others[arity:]], y, builder)
    first, third = builder.steps[before:middle], builder.steps[middle:]
    fits = y.shape[2] >= SHORT and all(
        len(steps) == 1 and steps[0].kernel is contract and goes_by_lines(steps[0], extents, builder)
        for steps, extents in ((first, shape), (third, made)))
    if not fits:
        builder.undo(mark)
    else:
        del builder.steps[before:]
        rows, columns = ([i * d * step for i in range(n)] for n, d, step in
                         zip(window.shape, depthwise.dilation, (ring.length, channels), strict=False))
        steps, w = (0, 0, depthwise.strides[1] * channels), builder.contiguous(window).reshape((math.prod(window.shape[:2]), channels))
        finish = _finish(op.after.first, others[1:arity], made)
        add_depthwise(anywhere(shape), steps, [rows, columns], w, anywhere(made), finish, builder)
        second = builder.steps.pop()
        offsets = [(r + row) % (ring.high * ring.length) + column for r in range(0, ring.high * ring.length, ring.length)
                   for row in rows for column in columns]
        _add([first[0], second, third[0]], ring, depthwise.strides[0], builder.table(offsets), len(rows) * len(columns), shape, y,
             builder)
    builder.scratch = max(scratch, builder.scratch)
    return fits


def _add(steps: Sequence[Step], ring: Ring, stride: int, offsets: Table, count: int, shape: tuple[int, ...], y: Operand,
         builder: Builder) -> None:
    images, lines, width, _ = y.shape
    tasks = _tasks(images, lines, ring.high, stride)
    size = -(-4 * width * shape[-1] // 64) * 64
    words: list[Word] = [v for step in steps for v in (step.kernel, Table(step.row))]
    words += [ring.high, ring.length, ring.left, ring.own, ring.above, shape[1], stride, lines, tasks, offsets, count, ring.nbytes,
              size]
    reads = [*steps[0].reads, *(x for step in steps[1:] for x in step.reads[1:])]
    scratch = ring.nbytes + size + 24 * COUNT + builder.scratch
    builder.step(bottleneck, words, images * tasks, sum(step.work for step in steps), reads, [y], scratch)


def _tasks(images: int, lines: int, high: int, stride: int) -> int:
    """The tasks of an image: a power of two, so that they come out even among threads, but not more than there are lines.

    Example:

        >>> _tasks(1, 56, 3, 2), _tasks(1, 56, 3, 1), _tasks(32, 56, 3, 2)
        (16, 8, 1)
    """
    twice = max(0, high - stride)
    wanted = min(lines * stride / (TWICE * twice) if twice else lines, TASKS / images)
    return int(min(lines, 2 ** max(0, round(math.log2(wanted)))))
