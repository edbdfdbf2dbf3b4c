"""A depthwise convolution and the 1x1 convolution behind it, line by line: what lies between never leaves the cache.

A task is a line of the result. It runs the task of the first kernel that computes this line, into scratch, and then those of
the second one that read it. Both kernels are called by address, each on a copy of its own argument row in which the line
stands for the whole of what lies between; so there is nothing here that either of them does, and nothing to compile for them.
"""
import math
from collections.abc import Sequence
from typing import Any

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.executor import call
from graphnet.backends.cpu.kernels.contraction import CACHE, WORDS, contract
from graphnet.backends.cpu.kernels.depthwise import depthwise, depthwise_strips
from graphnet.backends.cpu.kernels.epilogue import Finish, decode
from graphnet.backends.cpu.lowering import lowering_of, lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder, Step, Table, Word
from graphnet.backends.cpu.simd import put_word, word
from graphnet.backends.cpu.tiles import WIDTH as BLOCK
from graphnet.passes.fuse import Epilogue
from graphnet.passes.fuse_separable import Separable

COUNT = len(WORDS)  # words of an argument row
X, Y, SPOTS, WIDTH, TILES, PARTS = (WORDS.index(name) for name in ("x", "y", "spots", "width", "tiles", "parts"))
NARROW = 10  # pixels of a line below which the second kernel's tiles are too small
LINES = 8  # below which threads would wait for each other
LARGEST = 256 << 10  # bytes of a line in scratch: it stays in the second cache


@jit
def copy_row(row, to):
    """An argument row of a thread's own, in which it may change operands."""
    for i in range(COUNT):
        put_word(to, i, word(row, i))


@jit
def run_line(function, row, line, scratch):
    """The tasks of a kernel that compute one line of the whole batch's."""
    tiles, spots, parts = word(row, TILES), word(row, SPOTS), word(row, PARTS)
    lines = spots // tiles
    for part in range(parts):
        at = (line // lines * parts + part) * spots + line % lines * tiles
        call(function, row, at, at + tiles, scratch)


@kernel
def separable(row, begin, end, scratch):
    """A task is a line of pixels, all channels. 0 first kernel, 1 its row, 2 second kernel, 3 its row, 4 bytes of a line between"""
    first, second, size = word(row, 0), word(row, 2), word(row, 4)
    mine, other = scratch + size, scratch + size + 8 * COUNT
    copy_row(word(row, 1), mine)
    copy_row(word(row, 3), other)
    put_word(mine, Y, scratch)
    put_word(other, X, scratch)
    for task in range(begin, end):
        run_line(first, mine, task, other + 8 * COUNT)
        run_line(second, other, task, other + 8 * COUNT)


@lowers(Separable)
def lower_separable(op: Separable, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> None:
    """Line by line where that pays, else one step behind the other."""
    given, others, (y,) = inputs[:op.arity], inputs[op.arity:], outputs
    shape = (*y.shape[:-1], others[0].shape[-2])
    if not (_pays(op, given, others, shape) and _by_lines(op, given, others, shape, y, builder)):
        middle = builder.temporary(shape)
        lower_op(op.first, given, middle, builder)
        lower_op(op.second, [middle, *others], y, builder)


def _pays(op: Separable, given: Sequence[Operand], others: Sequence[Operand], shape: tuple[int, ...]) -> bool:
    """Whether all weights and a line stay in the second cache, and tiles are as large as without lines."""
    images, lines, width, channels = shape
    weights, kernel_ = others[0], given[1]
    finish = decode(op.first.program, given[2:], shape) if isinstance(op.first, Epilogue) else Finish()
    single = not finish.rest and finish.residual is None and kernel_.shape[-1] == 1
    floats = all(x.dtype == "float32" for x in (given[0], kernel_, weights))
    return (single and floats and weights.fixed and 4 * weights.size <= CACHE and is_small(kernel_)
            and 4 * width * channels <= LARGEST and width >= NARROW and images * lines >= LINES)


def is_small(window: Operand) -> bool:
    """Whether the weights of a depthwise convolution stay in the second cache: it does not go through all images by blocks of them."""
    return 4 * math.prod(window.shape[:2]) * -(-window.shape[2] // BLOCK) * BLOCK <= CACHE


def lower_op(op: Any, inputs: Sequence[Operand], y: Operand, builder: Builder) -> None:
    """The steps of an op within another one."""
    producer = op.producer if isinstance(op, Epilogue) else op
    lower = lowering_of(producer)
    if lower is None or lower(producer, list(inputs), [y], builder, op if isinstance(op, Epilogue) else None) is False:
        builder.python_step(op.reference, inputs, [y])


def _by_lines(op: Separable, given: Sequence[Operand], others: Sequence[Operand], shape: tuple[int, ...], y: Operand,
              builder: Builder) -> bool:
    """Adds the one step; False, before it has added any, where the second convolution is not one step that goes line by line."""
    before, mark, scratch, channels = len(builder.steps), builder.mark(), builder.scratch, shape[-1]
    line = (0, 0, channels, 1)  # strides by which all lines lie at one place: where it is, the kernel says
    builder.scratch = 0
    lower_op(op.second, [Operand(given[0].buffer, given[0].offset, shape, line, y.dtype), *others], y, builder)
    second = builder.steps[before:]
    fits = len(second) == 1 and second[0].kernel is contract and goes_by_lines(second[0], shape, builder)
    if not fits:
        builder.undo(mark)
    else:
        del builder.steps[before:]
        lower_op(op.first, given, Operand(y.buffer, y.offset, shape, line, y.dtype), builder)
        first = builder.steps.pop()  # behind a copy into a halo, where there is none
        assert first.kernel in (depthwise, *depthwise_strips.values()) and goes_by_lines(first, shape, builder), "as _pays has found"
        size = -(-4 * shape[2] * channels // 64) * 64
        words: list[Word] = [first.kernel, Table(first.row), second[0].kernel, Table(second[0].row), size]
        needed = size + 16 * COUNT + builder.scratch
        builder.step(separable, words, shape[0] * shape[1], first.work + second[0].work, [*first.reads, *second[0].reads[1:]], [y],
                     needed)
    builder.scratch = max(scratch, builder.scratch)
    return fits


def goes_by_lines(step: Step, shape: tuple[int, ...], builder: Builder) -> bool:
    """Whether a step's rows are lines of the image, and its tasks follow each other line by line."""
    words = dict(zip(WORDS, builder.words[step.row:step.row + COUNT], strict=True))
    return words["width"] == shape[2] and words["sweep"] == 1 and (words["tiles"] == 1 or step.kernel is contract)
