"""Sums of few columns, as dot products: vectors go along what is summed, where a tile's would have most of its lanes idle.

The walk, the argument row and the epilogue are those of `contraction`; weights are (columns, K), one column behind the other.
"""
from graphnet.backends.cpu.cache import kernel
from graphnet.backends.cpu.crosswise import dots_of_column, dots_of_columns
from graphnet.backends.cpu.kernels.contraction import MADE, Sum, edge
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES, number, put_number, real, word
from graphnet.backends.cpu.tape import run_tile
from graphnet.backends.cpu.tiles import BIAS, HALF, MOST, RESIDUAL, WIDTH

PACE = 50 / LANES  # elements of a dot product that take as long as a multiply-add of a tile
FOLD = 24  # elements of a dot product that take as long as adding up its lanes
BEGUN = 16  # multiply-adds of a tile that take as long as beginning and storing its row
POSITIONS = 512  # of a task


def few(columns: int, k: int, run: int) -> bool:
    """Whether dot products of k elements, in runs, take less than tiles do for so many columns, of which HALF have room."""
    return run >= LANES and columns <= HALF and columns * (k + FOLD) < PACE * (k + BEGUN)


@kernel
def dots(row, begin, end, scratch):
    """A task is a run of positions along a line; the argument row is that of `contract`.

    Where results lie side by side, all columns of a position before those of the next, the epilogue takes them for one long row.
    """
    bias, mode, tape, bounds = word(row, 2), word(row, 6), word(row, 5), (real(row, 7), real(row, 8), real(row, 9), real(row, 10))
    spots, lines, width, tiles = word(row, 11), word(row, 12), word(row, 13), word(row, 14)
    x_step, y_step, r_step, columns = word(row, 18), word(row, 22), word(row, 26), word(row, 35)
    w_step, offsets, segments, run = word(row, 30), word(row, 31), word(row, 32), word(row, 33)
    dense = y_step == columns and tape == 0 and (r_step == columns or mode & RESIDUAL == 0)
    spread, made, narrow = scratch + 4 * WIDTH, scratch + 4 * HALF, width // tiles
    wide = width - narrow * tiles  # so many tasks are one position longer
    if dense and mode & BIAS:
        for i in range(LANES + columns - 1):
            put_number(spread, i, number(bias, i % columns))
    for task in range(begin, end):
        image, plane, line, t = task // spots, task % spots // tiles // lines, task % spots // tiles % lines, task % tiles
        j, size = t * narrow + min(t, wide), narrow + 1 if t < wide else narrow
        x = word(row, 0) + 4 * (image * word(row, 15) + plane * word(row, 16) + line * word(row, 17) + j * x_step)
        w = word(row, 1) + 4 * (image * word(row, 27) + plane * word(row, 28))
        y = word(row, 3) + 4 * (image * word(row, 19) + plane * word(row, 20) + line * word(row, 21) + j * y_step)
        more = word(row, 4) + 4 * (image * word(row, 23) + plane * word(row, 24) + line * word(row, 25) + j * r_step)
        position = column = 0
        for at in range(0, size * columns if dense else 0, LANES):
            count = min(LANES, size * columns - at)
            given = (x + 4 * position * x_step, x_step, columns, column, count, offsets, segments, run, w, w_step, scratch)
            if columns == 1:
                dots_of_column(given)
            else:
                dots_of_columns(given)
            edge(1, count, scratch, y + 4 * at, 0, mode, spread + 4 * column, more + 4 * at, 0, *bounds)
            position, column = position + (column + LANES) // columns, (column + LANES) % columns
        for m in range(0, 0 if dense else size, MOST):
            rows = min(MOST, size - m)
            for c in range(columns):
                for n in range(0, rows, LANES):
                    count = min(LANES, rows - n)
                    dots_of_column((x + 4 * (m + n) * x_step, x_step, 1, 0, count, offsets, segments, run, w + 4 * c * w_step, 0, made))
                    for i in range(count):
                        put_number(scratch, (n + i) * WIDTH + c, number(made, i))
            edge(rows, columns, scratch, y + 4 * m * y_step, y_step, mode, bias, more + 4 * m * r_step, r_step, *bounds)
            if tape:
                run_tile(tape, scratch + MADE, image, plane, line, j + m, rows, 0, columns)


def sum_of_dots(x: Operand, x_steps: tuple[int, ...], w: Operand, offsets: tuple[int, ...], run: int, builder: Builder) -> Sum:
    """The sum for `add_sum`, with weights (*K, columns) of any strides, the same at all positions."""
    axes = len(w.shape) - 1
    by_column = builder.contiguous(w.transpose((axes, *range(axes))))
    return Sum(x, x_steps, by_column, (0,) * len(x_steps), 0, by_column.strides[0], offsets, run, kernel=dots, most=POSITIONS)
