"""Products of few rows with large weights, which pass once from the memory where they lie, (K, columns), row by row.

Little is gained by packing them: each is used for so few sums that the memory is what bounds, and a packed copy would take as
much of it as the weights do. A task is a stretch of columns, whose sums stay in the first cache while some rows of the weights at a
time are added; the rows that come next are asked for meanwhile, because few processors foresee such a walk by themselves.
The walk, the argument row and the epilogue are those of `contraction`.
"""
from graphnet.backends.cpu.cache import kernel
from graphnet.backends.cpu.kernels.contraction import CACHE, Sum, edge
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.simd import LANES, full, real, store, word
from graphnet.backends.cpu.tape import run_tile
from graphnet.backends.cpu.tiles import STREAM_MOST, WIDTH, stream_product

LARGE = 16 << 20  # bytes of constant weights from which the time that a packed copy would spare is not worth its memory
LEAST, STRETCH = 256, 512  # columns of a task: a good part of a page at least, and no more sums than the first cache holds
STRETCHES = 8  # tasks for the threads to share, where there are columns enough
APART = STRETCH + LANES  # elements between rows of sums, by which they do not all fall into the same sets of the cache
ROOM = 4 * STREAM_MOST * APART  # bytes of scratch for them
PIECE = 8  # rows of the weights that are added at a time
AHEAD = 16  # rows of the weights between those that are added and those asked for


def streams(rows: int, w: Operand) -> bool:
    """Whether a product of so many rows should read its weights (K, columns) as they lie; else they are packed or copied."""
    lies = len(w.shape) == 2 and w.strides[-1] == 1 and w.shape[-1] > WIDTH
    return lies and rows <= STREAM_MOST and w.nbytes > (LARGE if w.fixed else CACHE)


@kernel
def stream(row, begin, end, scratch):
    """A task is a tile of rows and `share` blocks of columns; tasks run over images (in sweeps), parts, planes, lines, tiles."""
    mode, tape, bounds = word(row, 6), word(row, 5), (real(row, 7), real(row, 8), real(row, 9), real(row, 10))
    spots, lines, width, tiles = word(row, 11), word(row, 12), word(row, 13), word(row, 14)
    x_step, y_step, r_step, w_step, run = word(row, 18), word(row, 22), word(row, 26), word(row, 30), word(row, 33)
    columns, stretch, parts, sweep = word(row, 35), WIDTH * word(row, 37), word(row, 39), word(row, 40)
    narrow = width // tiles
    wide = width - narrow * tiles  # so many tiles are one row longer
    for task in range(begin, end):
        rest, spot = task // spots, task % spots
        plane, line, t = spot // tiles // lines, spot // tiles % lines, spot % tiles
        image, c = rest // sweep // parts * sweep + rest % sweep, rest // sweep % parts * stretch
        j, size, count = t * narrow + min(t, wide), narrow + 1 if t < wide else narrow, min(stretch, columns - c)
        x = word(row, 0) + 4 * (image * word(row, 15) + plane * word(row, 16) + line * word(row, 17) + j * x_step)
        y = word(row, 3) + 4 * (image * word(row, 19) + plane * word(row, 20) + line * word(row, 21) + j * y_step + c)
        more = word(row, 4) + 4 * (image * word(row, 23) + plane * word(row, 24) + line * word(row, 25) + j * r_step + c)
        w, bias = word(row, 1) + 4 * c, word(row, 2) + 4 * c
        for i in range(0, size * APART, LANES):
            store(scratch, i, full(0.0))
        for k in range(0, run, PIECE):
            given = (x + 4 * k, x_step, min(PIECE, run - k), w + 4 * k * w_step, w_step, scratch, APART, count, 4 * AHEAD * w_step)
            stream_product(size, 0, given, ())
        for m in range(size):
            edge(1, count, scratch + 4 * m * APART, y + 4 * m * y_step, 0, mode, bias, more + 4 * m * r_step, 0, *bounds)
        if tape:
            run_tile(tape, scratch + ROOM, image, plane, line, j, size, c, count)


def streamed(x: Operand, x_steps: tuple[int, ...], w: Operand) -> Sum:
    """The sum for `add_sum`, with weights (K, columns) whose columns lie side by side, the same at all positions."""
    k, columns = w.shape
    share = -(-min(STRETCH, max(LEAST, columns // STRETCHES)) // WIDTH)
    return Sum(x, x_steps, w, (0,) * len(x_steps), 0, w.strides[0], (0,), k, kernel=stream, most=STREAM_MOST, share=share, made=ROOM)
