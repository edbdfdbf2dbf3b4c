"""Matrix products and direct convolutions of any number of axes: one kernel.

Every output element is a sum over `segments` runs of `run` adjacent elements of x: one run for a matrix product, one for each
kernel row of a convolution whose channels of adjacent pixels lie side by side, one for each kernel element where they do
not (groups, dilation). Where the runs begin is a table, so that the kernel knows neither axes nor dilation.
The output is cut into tiles of up to MOST rows (positions along one axis) by WIDTH columns (channels); a line of
n positions into ceil(n / MOST) tiles whose sizes differ by at most one, so that no extent has a slow remainder. A task is
one tile of rows and `share` blocks of columns; what x holds for it stays in the first cache, the weights in the second.
Weights that several tiles pass over come from the memory while the tiles before work: each asks for a part of the next ones.
"""
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphnet.backends.cpu.cache import Kernel, jit, kernel
from graphnet.backends.cpu.encoding import Encoded, add_tape, encode_epilogue
from graphnet.backends.cpu.kernels.epilogue import Finish
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES, at_least, at_most, load, load_part, real, store_part, word
from graphnet.backends.cpu.tape import run_tile
from graphnet.backends.cpu.tiles import BIAS, CLIP, CLIP_AGAIN, HALF, MOST, NARROW, RESIDUAL, VECTORS, WIDTH, product
from graphnet.passes.fuse import run

CACHE = 384 << 10  # bytes of weights that a task may go through: they stay in the second cache beside what x has there
TASKS = 16  # a step has so many tasks, where it can, for the threads to share
STORE = 8  # multiply-adds that take as long as writing an element
SHORT = 4  # rows of a tile below which the weights' way from the second cache is longer than the sums take
MADE = 4 * MOST * WIDTH  # bytes of scratch for a tile that ends within a vector; a tape's scratch follows


# ---- the kernel

WORDS = """x w bias y residual tape mode low high low_again high_again  spots lines width tiles
    x_image x_plane x_line x_step  y_image y_plane y_line y_step  r_image r_plane r_line r_step  w_image w_plane w_block w_step
    offsets segments run  x_group columns blocks share shares parts sweep passes""".split()  # of the argument row, in order


@jit
def edge(rows, columns, made, y, y_step, mode, bias, residual, r_step, low, high, low_again, high_again):
    """The epilogue of a tile that ends within a vector: from `made`, rows WIDTH apart, to y."""
    for m in range(rows):
        for n in range(0, columns, LANES):
            left = columns - n
            v = load(made, m * WIDTH + n)
            if mode & BIAS:
                v = v + load_part(bias, n, left)
            if mode & CLIP:
                v = at_most(at_least(v, low), high)
            if mode & RESIDUAL:
                v = v + load_part(residual, m * r_step + n, left)
            if mode & CLIP_AGAIN:
                v = at_most(at_least(v, low_again), high_again)
            store_part(y, m * y_step + n, left, v)


@kernel
def contract(row, begin, end, scratch):
    """A task is a tile of rows and `share` blocks of columns; tasks run over images (in sweeps), parts, planes, lines, tiles."""
    x, w, bias, y, residual = word(row, 0), word(row, 1), word(row, 2), word(row, 3), word(row, 4)
    tape, mode = word(row, 5), word(row, 6)
    low, high, low_again, high_again = real(row, 7), real(row, 8), real(row, 9), real(row, 10)
    spots, lines, width, tiles = word(row, 11), word(row, 12), word(row, 13), word(row, 14)
    x_step, y_step, r_step = word(row, 18), word(row, 22), word(row, 26)
    w_block, w_step, offsets, segments, run = word(row, 29), word(row, 30), word(row, 31), word(row, 32), word(row, 33)
    columns, blocks, share, shares = word(row, 35), word(row, 36), word(row, 37), word(row, 38)
    parts, sweep, passes = word(row, 39), word(row, 40), word(row, 41)
    bounds, narrow = (low, high, low_again, high_again), width // tiles
    wide = width - narrow * tiles  # so many tiles are one row longer
    ahead_step = (4 * WIDTH + passes - 1) // passes if passes else 0  # each product asks for its piece of the next task's weights
    piece = 4 * WIDTH * segments * run // passes if passes else 0
    rest, spot = begin // spots, begin % spots  # found by division once: later places follow from the one before
    plane, line, t = spot // tiles // lines, spot // tiles % lines, spot % tiles
    image = group = first = -1
    for _ in range(begin, end):
        if image < 0 or spot == 0:
            image, part = rest // sweep // parts * sweep + rest % sweep, rest // sweep % parts
            group, first = part // shares, part % shares * share
        j, size = t * narrow + min(t, wide), narrow + 1 if t < wide else narrow
        a = x + 4 * (image * word(row, 15) + plane * word(row, 16) + line * word(row, 17) + j * x_step + group * word(row, 34))
        to = y + 4 * (image * word(row, 19) + plane * word(row, 20) + line * word(row, 21) + j * y_step)
        more = residual + 4 * (image * word(row, 23) + plane * word(row, 24) + line * word(row, 25) + j * r_step)
        weights = w + 4 * (image * word(row, 27) + plane * word(row, 28) + group * blocks * w_block)
        ahead = weights + 4 * (first + share) * w_block + (rest % sweep * spots + spot) * share * piece
        for block in range(first, min(first + share, blocks)):
            left, c = columns - block * WIDTH, group * columns + block * WIDTH
            b, d, e, z = weights + 4 * block * w_block, bias + 4 * c, more + 4 * c, to + 4 * c
            whole = left >= WIDTH or left == HALF
            made, step, now = (z, y_step, mode) if whole else (scratch, WIDTH, 0)
            given = (a, x_step, offsets, segments, run, b, w_step, made, step, now, d, e, r_step, ahead, ahead_step)
            ahead += piece
            if left > HALF:
                product(size, VECTORS, given, bounds)
            else:
                product(size, NARROW, given, bounds)
            if not whole:
                edge(size, min(left, WIDTH), scratch, z, y_step, mode, d, e, r_step, *bounds)
            if tape:
                run_tile(tape, scratch + MADE, image, plane, line, j, size, c, min(left, WIDTH))
        spot, t = spot + 1, t + 1
        if t == tiles:
            line, t = line + 1, 0
            if line == lines:
                plane, line = plane + 1, 0
                if spot == spots:
                    rest, spot, plane = rest + 1, 0, 0


# ---- its argument row

@dataclass(frozen=True)
class Sum:
    """What `contract` is to compute at each position of the output: y's axes but the last are positions, the last columns.

    Args:
        x: begins at the first element that the first position may need.
        x_steps, w_steps: strides of x and of w along the positions; only matrix products have others than 0 for w.
        w: (groups * blocks) pieces `w_block` elements apart, each (K, WIDTH) with rows `w_step` apart; None where K is 0.
        offsets: where in x, from its beginning, the runs of `run` adjacent elements lie.
        groups: of columns; the next one reads x `x_group` elements further on.
        kernel: `contract`, or another one that reads the same argument row, whose tasks have up to `most` rows.
        share: blocks of columns of its tasks, 0 for as many as the weights' place in the caches says.
        made: bytes of its scratch before a tape's.
    """

    x: Operand
    x_steps: tuple[int, ...]
    w: Operand | None
    w_steps: tuple[int, ...]
    w_block: int
    w_step: int
    offsets: tuple[int, ...]
    run: int
    groups: int = 1
    x_group: int = 0
    kernel: Kernel = contract
    most: int = MOST
    share: int = 0
    made: int = MADE


def runs(axes: Sequence[Sequence[int]], run: int) -> tuple[tuple[int, ...], int]:
    """Offsets of the elements of a window, and how many adjacent ones lie at each, as few offsets as may be.

    Args:
        axes: offsets along each axis of the window.
        run: adjacent elements at each.

    Example:

        >>> runs([[0, 100], [0, 8, 16]], 8), runs([[0, 100], [0, 16]], 8)
        (((0, 100), 24), ((0, 16, 100, 116), 8))
    """
    offsets = [sum(parts) for parts in itertools.product(*axes)]
    count = next((i for i in range(1, len(offsets)) if offsets[i] != offsets[i - 1] + run), len(offsets))
    pieces = [offsets[i:i + count] for i in range(0, len(offsets), count)] if count else []
    if all(piece == [piece[0] + i * run for i in range(count)] for piece in pieces):
        return tuple([piece[0] for piece in pieces]), run * max(count, 1)
    return tuple(offsets), run


@dataclass(frozen=True)
class Walk:
    """How the positions of an output are walked through: which of its axes, merged, are image, plane, line and row."""

    shape: tuple[int, ...]
    slots: tuple[tuple[int, ...], ...]

    def extents(self) -> list[int]:
        return [math.prod(self.shape[a] for a in axes) for axes in self.slots]

    def strides(self, strides: Sequence[int]) -> list[int]:
        """Of something with strides along the output's axes, those of image, plane, line and row."""
        return [strides[axes[-1]] if axes else 0 for axes in self.slots]

    def view(self, x: Operand) -> Operand | None:
        """An operand of the output's shape under the kernel's five axes; None where its axes do not merge that way."""
        merges = all(x.strides[a] == self.shape[b] * x.strides[b] for axes in self.slots for a, b in itertools.pairwise(axes))
        return x.view(0, (*self.extents(), self.shape[-1]), (*self.strides(x.strides), x.strides[-1])) if merges else None


def walk(shape: tuple[int, ...], strides: Sequence[Sequence[int]], w_steps: Sequence[int]) -> Walk | None:
    """The walk through an output whose operands have these strides; None where more axes are left than the kernel has.

    Rows are the last axis, or another one where that is short. Weights may differ along images and planes alone.
    """
    merged: list[list[int]] = []
    for a, extent in enumerate(shape[:-1]):
        if extent == 1:
            continue
        if merged and all(s[merged[-1][-1]] == extent * s[a] for s in (*strides, w_steps)):
            merged[-1].append(a)
        else:
            merged.append([a])
    free = [axes for axes in merged if w_steps[axes[-1]] == 0]
    row: list[int] = []
    if free:
        size = {axes[0]: math.prod(shape[a] for a in axes) for axes in free}
        row = free[-1] if size[free[-1][0]] >= SHORT else max(reversed(free), key=lambda axes: size[axes[0]])
    apart = [axes for axes in merged if w_steps[axes[-1]] != 0]
    rest = apart + [axes for axes in free if axes is not row]
    if len(rest) > 3 or len(apart) > 2:
        return None
    at = max(1, len(apart))
    rest = rest[:at] + [[]] * (3 - len(rest)) + rest[at:]
    return Walk(shape, tuple(map(tuple, (*rest, row))))


def add_sum(s: Sum, y: Operand, finish: Finish, builder: Builder) -> bool:
    """Adds the steps that compute a sum and what follows it; False, before it has added any, where the kernel cannot.

    Args:
        y: float32, of any strides along its positions, the last axis contiguous.
        finish: see there; its operands broadcast to y.
    """
    residual = None if finish.residual is None else finish.residual.broadcast(y.shape)
    kept = [x.broadcast(y.shape).strides for x in finish.extras] if finish.rest else []
    known = [s.x_steps, y.strides, *([residual.strides] if residual else [])]
    way = walk(y.shape, [*known, *kept], s.w_steps) or walk(y.shape, known, s.w_steps)
    if way is None:
        return False
    encoded = encode_epilogue(finish.rest, finish.extras, y, builder, way.view) if finish.rest else None
    if finish.rest and encoded is None:  # a tape that cannot be run tile by tile
        middle = builder.temporary(y.shape)
        if not add_sum(s, middle, Finish(finish.bias, finish.clip, residual, finish.clip_again), builder):
            return False
        reads = [middle, *finish.extras]
        if not add_tape(finish.rest, reads, y, builder):
            builder.python_step(lambda *arrays: run(finish.rest, list(arrays)), reads, [y])
        return True
    _add_step(s, y, finish, residual, encoded, way, builder)
    return True


def _add_step(s: Sum, y: Operand, finish: Finish, residual: Operand | None, encoded: Encoded | None, way: Walk,
              builder: Builder) -> None:
    images, planes, lines, width = way.extents()
    k, columns = s.run * len(s.offsets), y.shape[-1] // s.groups
    blocks, tiles = -(-columns // WIDTH), -(-width // s.most)
    spots = planes * lines * tiles
    shares = -(-blocks // max(1, CACHE // max(1, 4 * WIDTH * k)))
    shares = max(shares, min(blocks, -(-TASKS // max(1, images * spots * s.groups))))
    share = s.share or -(-blocks // shares)
    shares = -(-blocks // share)
    parts = s.groups * shares
    x_bytes, w_bytes = 4 * s.x.size // max(1, images), 4 * k * WIDTH * blocks * s.groups
    apart = images * ((w_bytes if w_bytes > CACHE else 0) + x_bytes * (shares if x_bytes > CACHE else 1))
    together = w_bytes + images * x_bytes * shares  # bytes that pass if a block of weights goes through all images at once
    sweep = images if together < apart and not any(way.strides(s.w_steps)) else 1
    passes = sweep * spots  # of tiles over a block of weights
    named: dict[str, Any] = dict(
        x=s.x, w=s.w, bias=finish.bias, y=y, residual=residual, tape=encoded and encoded.table, spots=spots, lines=lines,
        width=width, tiles=tiles, w_block=s.w_block, w_step=s.w_step, offsets=builder.table(s.offsets), segments=len(s.offsets),
        run=s.run, x_group=s.x_group, columns=columns, blocks=blocks, share=share, shares=shares, parts=parts, sweep=sweep,
        passes=passes if passes > 1 and s.w_block == k * s.w_step else 0)
    named.update(zip(("mode", "low", "high", "low_again", "high_again"), finish.words, strict=True))
    more = residual.strides if residual else y.strides
    for name, strides in (("x", s.x_steps), ("y", y.strides), ("r", more), ("w", s.w_steps)):
        for axis, stride in zip(("image", "plane", "line", "step"), way.strides(strides), strict=True):
            named.setdefault(f"{name}_{axis}", stride)
    reads = [s.x, *([s.w] if s.w else []), *finish.reads, *(encoded.reads if encoded else ())]
    scratch = s.made + (encoded.scratch if encoded else 0)
    builder.step(s.kernel, [named[name] for name in WORDS], images * spots * parts, y.size * (k + STORE), reads, [y], scratch)
