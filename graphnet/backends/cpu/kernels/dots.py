"""Sums of few columns, as dot products: vectors go along what is summed, where a tile's would have most of its lanes idle.

The walk, the argument row and the epilogue are those of `contraction`; weights are (columns, K), one column behind the other.
"""
import numpy as np

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.kernels.contraction import MADE, Sum, edge
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES, fma, full, load, load_part, put_number, real, total, word
from graphnet.backends.cpu.tape import run_tile
from graphnet.backends.cpu.tiles import MOST, WIDTH

FOLD = 8  # vectors that take as long as adding the lanes of one
LINE = 1 << 40  # positions of a task: all of a line


def few(columns: int, k: int, run: int) -> bool:
    """Whether dot products of k elements, in runs, take less than tiles do for so many columns."""
    return run >= LANES and 2 * columns * (k // LANES + FOLD) < k


@jit
def dot(x, w, offsets, segments, run):
    """The sum over runs of x times w."""
    v, whole = full(np.float32(0)), run // LANES * LANES
    for s in range(segments):
        at = x + 4 * word(offsets, s)
        for i in range(0, whole, LANES):
            v = fma(load(at, i), load(w, i), v)
        if whole < run:
            v = fma(load_part(at, whole, run - whole), load_part(w, whole, run - whole), v)
        w += 4 * run
    return total(v)


@kernel
def dots(row, begin, end, scratch):
    """A task is a line of positions; the argument row is that of `contract`."""
    bounds = (real(row, 7), real(row, 8), real(row, 9), real(row, 10))
    spots, lines, width = word(row, 11), word(row, 12), word(row, 13)
    x_step, y_step, r_step, columns = word(row, 18), word(row, 22), word(row, 26), word(row, 35)
    for task in range(begin, end):
        image, plane, line = task // spots, task % spots // lines, task % spots % lines
        x = word(row, 0) + 4 * (image * word(row, 15) + plane * word(row, 16) + line * word(row, 17))
        w = word(row, 1) + 4 * (image * word(row, 27) + plane * word(row, 28))
        y = word(row, 3) + 4 * (image * word(row, 19) + plane * word(row, 20) + line * word(row, 21))
        more = word(row, 4) + 4 * (image * word(row, 23) + plane * word(row, 24) + line * word(row, 25))
        for j in range(0, width, MOST):
            size = min(MOST, width - j)
            for m in range(size):
                for c in range(columns):
                    made = dot(x + 4 * (j + m) * x_step, w + 4 * c * word(row, 30), word(row, 31), word(row, 32), word(row, 33))
                    put_number(scratch, m * WIDTH + c, made)
            to, other = y + 4 * j * y_step, more + 4 * j * r_step
            edge(size, columns, scratch, to, y_step, word(row, 6), word(row, 2), other, r_step, *bounds)
            if word(row, 5):
                run_tile(word(row, 5), scratch + MADE, image, plane, line, j, size, 0, columns)


def sum_of_dots(x: Operand, x_steps: tuple[int, ...], w: Operand, offsets: tuple[int, ...], run: int, builder: Builder) -> Sum:
    """The sum for `add_sum`, with weights (*K, columns) of any strides, the same at all positions."""
    axes = len(w.shape) - 1
    by_column = builder.contiguous(w.transpose((axes, *range(axes))))
    return Sum(x, x_steps, by_column, (0,) * len(x_steps), 0, by_column.strides[0], offsets, run, kernel=dots, most=LINE)
