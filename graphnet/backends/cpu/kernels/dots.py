"""Sums of few columns, as dot products: vectors go along what is summed, where a tile's would have most of its lanes idle.

The walk, the argument row and the epilogue are those of `contraction`; weights are (columns, K), one column behind the other.
"""
import numpy as np

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.kernels.contraction import MADE, Sum, edge
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES, fma, full, load, load_part, number, put_number, real, store, total, word
from graphnet.backends.cpu.tape import run_tile
from graphnet.backends.cpu.tiles import BIAS, MOST, RESIDUAL, WIDTH

FOLD = 4  # vectors that take as long as adding the lanes of one
BEGUN = 26  # elements that take a tile as long as it takes to begin and to store it
LINE = 1 << 40  # positions of a task: all of a line


def few(columns: int, k: int, run: int) -> bool:
    """Whether dot products of k elements, in runs, take less than tiles do for so many columns."""
    return run >= LANES and 3 * columns * (k // LANES + FOLD) < k + BEGUN


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


@jit
def four_dots(x, step, w, offsets, segments, run, made, apart):
    """Those of four positions, `step` elements apart, to `made`: the weights are read once, and no sum waits for another."""
    v0, v1, v2, v3 = full(np.float32(0)), full(np.float32(0)), full(np.float32(0)), full(np.float32(0))
    whole, left = run // LANES * LANES, run % LANES
    for s in range(segments):
        at = x + 4 * word(offsets, s)
        for i in range(0, whole, LANES):
            weights = load(w, i)
            v0, v1 = fma(load(at, i), weights, v0), fma(load(at, i + step), weights, v1)
            v2, v3 = fma(load(at, i + 2 * step), weights, v2), fma(load(at, i + 3 * step), weights, v3)
        if left:
            weights = load_part(w, whole, left)
            v0, v1 = fma(load_part(at, whole, left), weights, v0), fma(load_part(at, whole + step, left), weights, v1)
            v2 = fma(load_part(at, whole + 2 * step, left), weights, v2)
            v3 = fma(load_part(at, whole + 3 * step, left), weights, v3)
        w += 4 * run
    put_number(made, 0, total(v0))
    put_number(made, apart, total(v1))
    put_number(made, 2 * apart, total(v2))
    put_number(made, 3 * apart, total(v3))


@kernel
def dots(row, begin, end, scratch):
    """A task is a line of positions; the argument row is that of `contract`.

    Where positions lie side by side in one column, the epilogue takes them for columns.
    """
    mode, bias, tape, bounds = word(row, 6), word(row, 2), word(row, 5), (real(row, 7), real(row, 8), real(row, 9), real(row, 10))
    spots, lines, width = word(row, 11), word(row, 12), word(row, 13)
    x_step, y_step, r_step, columns = word(row, 18), word(row, 22), word(row, 26), word(row, 35)
    w_step, offsets, segments, run = word(row, 30), word(row, 31), word(row, 32), word(row, 33)
    beside = columns == 1 and y_step == 1 and tape == 0 and (r_step == 1 or mode & RESIDUAL == 0)
    reach, apart, spread = (WIDTH, 1, scratch + 4 * WIDTH) if beside else (MOST, WIDTH, bias)
    if beside and mode & BIAS:
        for i in range(0, WIDTH, LANES):
            store(spread, i, full(number(bias, 0)))
    for task in range(begin, end):
        image, plane, line = task // spots, task % spots // lines, task % spots % lines
        x = word(row, 0) + 4 * (image * word(row, 15) + plane * word(row, 16) + line * word(row, 17))
        w = word(row, 1) + 4 * (image * word(row, 27) + plane * word(row, 28))
        y = word(row, 3) + 4 * (image * word(row, 19) + plane * word(row, 20) + line * word(row, 21))
        more = word(row, 4) + 4 * (image * word(row, 23) + plane * word(row, 24) + line * word(row, 25))
        for j in range(0, width, reach):
            size = min(reach, width - j)
            for c in range(columns):
                for m in range(0, size - 3, 4):
                    to = scratch + 4 * (m * apart + c)
                    four_dots(x + 4 * (j + m) * x_step, x_step, w + 4 * c * w_step, offsets, segments, run, to, apart)
                for m in range(size // 4 * 4, size):
                    made = dot(x + 4 * (j + m) * x_step, w + 4 * c * w_step, offsets, segments, run)
                    put_number(scratch, m * apart + c, made)
            to, other = y + 4 * j * y_step, more + 4 * j * r_step
            if beside:
                edge(1, size, scratch, to, 0, mode, spread, other, 0, *bounds)
            else:
                edge(size, columns, scratch, to, y_step, mode, bias, other, r_step, *bounds)
            if tape:
                run_tile(tape, scratch + MADE, image, plane, line, j, size, 0, columns)


def sum_of_dots(x: Operand, x_steps: tuple[int, ...], w: Operand, offsets: tuple[int, ...], run: int, builder: Builder) -> Sum:
    """The sum for `add_sum`, with weights (*K, columns) of any strides, the same at all positions."""
    axes = len(w.shape) - 1
    by_column = builder.contiguous(w.transpose((axes, *range(axes))))
    return Sum(x, x_steps, by_column, (0,) * len(x_steps), 0, by_column.strides[0], offsets, run, kernel=dots, most=LINE)
