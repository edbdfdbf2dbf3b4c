"""Sums of outer products: what a convolution's kernel and a dense layer's weights get back, x^T g.

y[r, o] is the sum over positions p of x[p, r] g[p, o]. At each position the r are runs of adjacent elements of x (all
channels of a row of the window), and the o the channels of g, so that neither is packed: a register tile takes some scalars of
x and two vectors of g and goes along the positions. Positions are counted in lines, along which x and g have one step each; a
unit is so many lines, or such a part of one, that what the tiles read of it stays in the second cache while all of a task's
tiles go over it. A task is a chunk of the units and a part of the tiles; chunks are added in order by a step of their own.
"""
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from graphnet.backends.cpu.cache import Kernel, jit, kernel
from graphnet.backends.cpu.encoding import add_tape
from graphnet.backends.cpu.kernels.contraction import TASKS
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import SERIAL, Builder
from graphnet.backends.cpu.simd import LANES, load, load_part, put_word, store, store_part, word
from graphnet.backends.cpu.tiles import HALF, MOST, NARROW, VECTORS, WIDTH, outer_product
from graphnet.passes.fuse import run

UNIT = 384 << 10  # bytes of x and g in a unit
LONGEST = 512  # positions of a unit at most: more would not make the sums' way to memory and back any cheaper
HELD = 384 << 10  # bytes of sums that a task may go through for each unit: they stay in the second cache
MOST_LINES = 512  # of a unit: its table lies in scratch
SHORT = 4  # positions below which another axis is taken to go along
PIECE = 4096  # elements that a task of `add_chunks` sums
LOAD_WORK = 4  # multiply-adds that take as long as one of them
PARTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 18, 24, 32, 48, 64)  # numbers of parts that are looked at


@jit
def lines_of(row, unit, scratch):
    """How many lines a unit has and how many positions each; where they begin in x and in g goes to scratch."""
    positions, portions, per_plane, per_image = word(row, 21), word(row, 22), word(row, 11), word(row, 12)
    first, portion = unit // portions * word(row, 23), unit % portions
    start = portion * positions // portions
    count = min(word(row, 23), word(row, 10) - first)
    for i in range(count):
        image, at = (first + i) // per_image, (first + i) % per_image
        plane, line = at // per_plane, at % per_plane
        x = image * word(row, 13) + plane * word(row, 14) + line * word(row, 15) + start * word(row, 16)
        g = image * word(row, 17) + plane * word(row, 18) + line * word(row, 19) + start * word(row, 20)
        put_word(scratch, 2 * i, x)
        put_word(scratch, 2 * i + 1, g)
    return count, (portion + 1) * positions // portions - start


@kernel
def outer_sums(row, begin, end, scratch):
    """0 x, 1 g, 2 y; 3 table of items (offsets in x, g, y); 4 table of runs' offsets in x, 5 how many, 6 a run's length, 7 its
    tiles; 8 columns, 9 y's row step; 10 lines, 11 of a plane, 12 of an image; x's steps 13-16 (image, plane, line, position),
    g's 17-20; 21 positions of a line, 22 portions of a line, 23 lines of a unit, 24 units, 25 chunks, 26 y from chunk to
    chunk, 27 parts of the tiles, 28 parts of the columns, 29 x from row to row of a run, 30 whether all is added to y. Tasks
    run over items, chunks, parts of columns, parts of tiles."""
    runs, length, tiles, columns, y_step = word(row, 5), word(row, 6), word(row, 7), word(row, 8), word(row, 9)
    units, chunks, row_parts, column_parts = word(row, 24), word(row, 25), word(row, 27), word(row, 28)
    x_step, g_step, blocks, every, short = word(row, 16), word(row, 20), -(-columns // WIDTH), runs * tiles, length // tiles
    long, added = length - short * tiles, word(row, 30)  # `long` tiles are one row longer
    for task in range(begin, end):
        rest, part = task // row_parts, task % row_parts
        chunk, across = rest // column_parts % chunks, rest % column_parts
        item = word(row, 3) + 24 * (rest // column_parts // chunks)
        x, g = word(row, 0) + 4 * word(item, 0), word(row, 1) + 4 * word(item, 1)
        y = word(row, 2) + 4 * (word(item, 2) + chunk * word(row, 26))
        start = chunk * units // chunks
        for unit in range(start, (chunk + 1) * units // chunks):
            count, size = lines_of(row, unit, scratch)
            for block in range(across * blocks // column_parts, (across + 1) * blocks // column_parts):
                c = block * WIDTH
                for tile in range(part * every // row_parts, (part + 1) * every // row_parts):
                    of_run, t = tile // tiles, tile % tiles
                    m, rows = t * short + min(t, long), short + 1 if t < long else short
                    given = (x + 4 * (word(word(row, 4), of_run) + m), x_step, scratch, count, size, g + 4 * c, g_step,
                             y + 4 * ((of_run * length + m) * y_step + c), y_step, int(unit == start and not added),
                             columns - c)
                    if columns - c > HALF:
                        outer_product(rows, VECTORS, given, ())
                    else:
                        outer_product(rows, NARROW, given, ())


@kernel
def add_chunks(row, begin, end, scratch):
    """A task is PIECE elements: 0 the chunks, 1 y, 2 how many chunks, 3 elements of y, of a chunk and from one to the next."""
    x, y, chunks, size = word(row, 0), word(row, 1), word(row, 2), word(row, 3)
    for task in range(begin, end):
        start, stop = task * PIECE, min((task + 1) * PIECE, size)
        whole = start + (stop - start) // LANES * LANES
        for i in range(start, whole, LANES):
            v = load(x, i)
            for chunk in range(1, chunks):
                v = v + load(x, chunk * size + i)
            store(y, i, v)
        if whole < stop:
            v = load_part(x, whole, stop - whole)
            for chunk in range(1, chunks):
                v = v + load_part(x, chunk * size + whole, stop - whole)
            store_part(y, whole, stop - whole, v)


# ---- its argument row

@dataclass(frozen=True)
class Cut:
    """How work is cut: portions of a line or lines of a unit, chunks of the units, parts of the tiles and of the columns."""

    portions: int
    together: int
    units: int
    chunks: int
    row_parts: int
    column_parts: int


@dataclass(frozen=True)
class Outer:
    """A sum of outer products over positions.

    Args:
        x, g: begin at the first element that the first position needs.
        shape: extents of the positions. x_steps, g_steps: strides of x and g along them.
        offsets: where in x, from a position's beginning, the runs of `run` rows lie; y's rows, in this order.
        columns: adjacent elements of g, and of y.
        items: offsets in x, g and y of independent sums (groups, batches).
        between: x from row to row of a run.
    """

    x: Operand
    g: Operand
    shape: tuple[int, ...]
    x_steps: tuple[int, ...]
    g_steps: tuple[int, ...]
    offsets: tuple[int, ...]
    run: int
    columns: int
    items: tuple[tuple[int, int, int], ...] = ((0, 0, 0),)
    between: int = 1
    kernel: ClassVar[Kernel] = outer_sums
    most: ClassVar[int] = MOST  # rows of a tile

    @property
    def tiles(self) -> int:
        """Tiles of a run."""
        return -(-self.run // self.most)

    @property
    def work(self) -> int:
        """Multiply-adds."""
        return math.prod(self.shape) * len(self.offsets) * self.run * self.columns * len(self.items)

    @property
    def goal(self) -> int:
        """Positions of a unit."""
        fresh = max(1, min(self.run, abs(self.x_steps[-1])))  # elements of a run that the position before has not read
        return max(1, min(LONGEST, UNIT // (4 * (len(self.offsets) * fresh + self.columns))))

    def axes(self) -> list[list[int]]:
        """The positions' axes as (extent, x's step, g's step), merged where they can be, the one to go along last."""
        merged: list[list[int]] = []
        for extent, x_step, g_step in zip(self.shape, self.x_steps, self.g_steps, strict=True):
            if extent == 1:
                continue
            if merged and merged[-1][1] == extent * x_step and merged[-1][2] == extent * g_step:
                merged[-1] = [merged[-1][0] * extent, x_step, g_step]
            else:
                merged.append([extent, x_step, g_step])
        if merged and merged[-1][0] < SHORT:
            merged.append(merged.pop(max(range(len(merged)), key=lambda i: merged[i][0])))
        return merged or [[1, 0, 0]]

    def cut(self, axes: list[list[int]]) -> Cut:
        """How to cut it for TASKS tasks, if there is enough to do; it depends on shapes alone."""
        along, lines = axes[-1][0], math.prod(extent for extent, *_ in axes[:-1])
        portions = -(-along // self.goal)
        together = min(lines, MOST_LINES, max(1, self.goal // along))
        units = portions * lines if portions > 1 else -(-lines // together)
        wanted = -(-TASKS // len(self.items)) if self.work >= SERIAL else 1
        return Cut(portions, together, units, *self.parts(units, wanted))

    def parts(self, units: int, wanted: int) -> tuple[int, int, int]:
        """Chunks, parts of the tiles and of the columns: those with the fewest bytes to move that give so many tasks."""
        runs, positions, blocks = len(self.offsets), math.prod(self.shape), -(-self.columns // WIDTH)
        every = runs * self.tiles
        wanted = min(wanted, every * blocks * units)
        x_bytes, g_bytes, y_bytes = 4 * positions * self.run, 4 * positions * self.columns, 4 * runs * self.run * self.columns

        def moved(cut: tuple[int, int, int]) -> int:
            chunks, row_parts, column_parts = cut
            passes = units if y_bytes / row_parts / column_parts > HELD else chunks
            added = 2 * y_bytes * chunks if chunks > 1 else 0
            return x_bytes * column_parts * min(row_parts, runs) + g_bytes * row_parts + 2 * y_bytes * passes + added

        def numbers(limit: int) -> list[int]:
            return [n for n in PARTS if n < limit] + ([limit] if limit <= PARTS[-1] else [])
        cuts = itertools.product(numbers(units), numbers(every), numbers(blocks))
        return min((c for c in cuts if math.prod(c) >= wanted), key=moved, default=(1, every, blocks))


def add_outer(s: Outer, y: Operand, y_step: int, builder: Builder) -> None:
    """Adds the steps that compute a sum of outer products.

    Args:
        y: float32, holds all items, which fill it.
        y_step: from one row of y to the next, were it contiguous; so are the items' offsets.
    """
    dense = y if y.contiguous else builder.temporary(y.shape)
    axes = s.axes()
    plan = s.cut(axes)
    to = dense if plan.chunks == 1 else builder.temporary((plan.chunks, *y.shape))
    (along, x_step, g_step), outer = axes[-1], [*[[1, 0, 0]] * (4 - len(axes)), *axes[:-1]]
    per_plane, per_image = outer[2][0], outer[1][0] * outer[2][0]
    words: list[Any] = [
        s.x, s.g, to, builder.table(list(itertools.chain(*s.items))), builder.table(s.offsets), len(s.offsets), s.run, s.tiles,
        s.columns, y_step, per_image * outer[0][0], per_plane, per_image, *[step for _, step, _ in outer], x_step,
        *[step for _, _, step in outer], g_step, along, plan.portions, plan.together, plan.units, plan.chunks, y.size,
        plan.row_parts, plan.column_parts, s.between, 0]
    tasks = len(s.items) * plan.chunks * plan.row_parts * plan.column_parts
    builder.step(s.kernel, words, tasks, float(s.work), [s.x, s.g], [to], 16 * plan.together)
    if plan.chunks > 1:
        work = float(LOAD_WORK * y.size * plan.chunks)
        builder.step(add_chunks, [to, dense, plan.chunks, y.size], -(-y.size // PIECE), work, [to], [dense])
    builder.copy(dense, y)


def add_epilogue(program: Any, made: Operand, extras: Sequence[Operand], y: Operand, builder: Builder) -> None:
    """Adds a step for a whole epilogue, behind a contraction whose kernel has none."""
    reads = [made, *extras]
    if not add_tape(program, reads, y, builder):
        builder.python_step(lambda *arrays: run(program, list(arrays)), reads, [y])
