"""The cotangent of a 3x3 kernel, stride 1, by Winograd: a sum over tiles of outer products, for each position of a patch.

Where outputs are A ((G w G^T) * (B d B^T)) A^T, the cotangent of the transformed weights is the sum over tiles of
(A^T g A) (B d B^T), g the tile's cotangent, an outer product over channels; G^T u G makes that of w of it. Where these sums fit
the second cache, a task goes through groups of tiles, whose patches and cotangents stay there too; else all are made before.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphnet.backends.cpu.cache import kernel
from graphnet.backends.cpu.executor import call
from graphnet.backends.cpu.kernels.outer import LOAD_WORK, PIECE, Outer, add_chunks, add_outer, outer_sums
from graphnet.backends.cpu.kernels.winograd import MOVED, Shape, Window, padded, patch_scratch, patch_words, plain, shape_of
from graphnet.backends.cpu.kernels.winograd_transforms import KERNEL_WORDS, POINTS, winograd_kernels, winograd_patches
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES, put_word, word
from graphnet.backends.cpu.tiles import MOST

# Milliseconds of one thread on a shared Zen 5 server, medians (direct / all beforehand / in groups of 56):
#   9x9 64->64, batch 32, F(3)       1.36 / 0.98 / 0.58 to 0.70; batch 4: 0.13 / 0.07 / 0.07; valid, F(4): 0.57 / 0.61 / 0.35
#   30x30 32->64 valid, batch 32     5.7 / F(4) 7.8 / F(4) 4.1          16x16 32->32, batch 32: 1.0 / - / F(4) 0.7
#   56x56 64->64, batch 8            10.7 / F(4) 8.6 / F(4) 5.9
#   28x28 128->128, batch 8          17.7 / F(4) 7.9 / -               14x14 256->256: 19.7 / 7.3 / -
#   7x7 512->512, batch 8            21.5 / F(4) 10.7 / -
GROUPED, STAGED = 45, 85  # multiply-adds that a channel of a tile costs besides, at each position, in groups or beforehand
FINAL = 20  # multiply-adds that an element of the sums costs after them
ROOM = 48 << 20  # bytes that patches and cotangents may take together
HELD = 640 << 10  # bytes of sums that stay in the second cache beside a group
GROUP = 56  # tiles of a group: fewer would make the sums' way to memory and back too dear
CHUNKS = 8  # tasks at most: each has sums of its own
OUTER_WORDS, POSITIONS, ADDED = 31, 21, 30  # of a row of `outer_sums`: how many, the positions of a line, whether it adds

GROUP_WORDS = """tiles groups chunks patches x_row g_row outer outer_row positions
    v_at h_at rest_at v_step h_step u chunk""".split()


@kernel
def winograd_kernel_groups(row, begin, end, scratch):
    """A task is a chunk of the groups of tiles: patches and cotangents to scratch, and their outer products to its own sums."""
    tiles, groups, chunks, patches = word(row, 0), word(row, 1), word(row, 2), word(row, 3)
    x_row, g_row, outer, outer_row, positions = word(row, 4), word(row, 5), word(row, 6), word(row, 7), word(row, 8)
    v, h, rest = scratch + word(row, 9), scratch + word(row, 10), scratch + word(row, 11)
    for k in range(OUTER_WORDS):
        put_word(rest, k, word(outer_row, k))
    put_word(rest, 0, v)
    put_word(rest, 1, h)
    for chunk in range(begin, end):
        start, stop = chunk * groups // chunks, (chunk + 1) * groups // chunks
        put_word(rest, 2, word(row, 14) + 4 * chunk * word(row, 15))
        for group in range(start, stop):
            first, last = group * tiles // groups, (group + 1) * tiles // groups
            put_word(scratch, 0, v - 4 * first * word(row, 12))
            call(patches, x_row, first, last, scratch)
            put_word(scratch, 0, h - 4 * first * word(row, 13))
            call(patches, g_row, first, last, scratch)
            put_word(rest, POSITIONS, last - first)
            put_word(rest, ADDED, int(group != start))
            call(outer, rest, 0, positions, rest + 8 * OUTER_WORDS)


def _held(shape: Shape, m: int) -> bool:
    return 4 * (m + 2) ** 2 * shape.channels * shape.columns <= HELD


def choose_gradient(op: Any, x_shape: Sequence[int], g_shape: Sequence[int]) -> int | None:
    """The fastest m for a `ConvGradKernel`; None where a direct sum is faster, or the only way.

    Example:

        >>> from graphnet.ops.convolution import ConvGradKernel
        >>> op = ConvGradKernel((3, 3), (1, 1), "same")
        >>> choose_gradient(op, (32, 9, 9, 64), (32, 9, 9, 64)), choose_gradient(op, (32, 28, 28, 3), (32, 28, 28, 32))
        (3, None)
    """
    if not plain(op, op.size):
        return None
    shape = shape_of(x_shape, g_shape)
    both, channels = shape.channels * shape.columns, shape.channels + shape.columns
    costs = {0: 9 * both * shape.images * shape.height * shape.width}
    for m in POINTS:
        held, positions, tiles = _held(shape, m), (m + 2) ** 2, shape.tiles(m)
        if held or 4 * positions * tiles * channels <= ROOM:
            costs[m] = positions * (tiles * (both + (GROUPED if held else STAGED) * channels) + FINAL * both)
    return min(costs, key=lambda m: costs[m]) or None


def add_gradient(x: Operand, g: Operand, window: Window, m: int, y: Operand, builder: Builder) -> None:
    """Adds the steps that compute the cotangent y (3, 3, C, O) of a kernel.

    Args:
        x: (N, H, W, C), float32.
        g: (N, H', W', O), the cotangent of the convolution's result.
        window: where windows begin.
        y: the last axis contiguous.
    """
    x, g = (v if v.strides[-1] == 1 or v.shape[-1] == 1 else builder.contiguous(v) for v in (x, g))
    job = Job(x, g, window, m, shape_of(x.shape, g.shape), builder)
    job.finish(job.groups() if _held(job.shape, m) else job.stages(), y)


@dataclass(frozen=True)
class Job:
    """One cotangent on its way into a plan; `sums` of it is that of the transformed weights."""

    x: Operand
    g: Operand
    window: Window
    m: int
    shape: Shape
    builder: Builder

    @property
    def positions(self) -> int:
        return (self.m + 2) ** 2

    @property
    def sums(self) -> tuple[int, int, int]:
        """The shape of the cotangent of the transformed weights."""
        return self.positions, self.shape.channels, self.shape.columns

    def rows(self, v: Operand | None, h: Operand | None, distances: Sequence[int]) -> list[list[Any]]:
        """The argument rows that transform x and g."""
        m, apart = self.m, Window(0, 0)
        return [patch_words(self.x, self.shape, m, m + 2, self.window, v, distances[0]),
                patch_words(self.g, self.shape, m, m, apart, h, distances[1])]

    def distances(self, tiles: int) -> list[int]:
        """From one position to the next of so many patches, and of so many cotangents."""
        return [tiles * padded(channels) + LANES for channels in self.sums[1:]]

    def items(self, distances: Sequence[int]) -> list[tuple[int, int, int]]:
        """Where the sum of each position begins in patches, cotangents and sums."""
        return [(p * distances[0], p * distances[1], p * self.sums[1] * self.sums[2]) for p in range(self.positions)]

    def stages(self) -> Operand:
        """All patches and cotangents, then their products."""
        b, tiles, (positions, channels, columns) = self.builder, self.shape.tiles(self.m), self.sums
        distances = self.distances(tiles)
        v, h = (b.temporary((positions, distance)) for distance in distances)
        for source, to, words in zip((self.x, self.g), (v, h), self.rows(v, h, distances), strict=True):
            work = MOVED * positions * tiles * source.shape[-1]
            b.step(winograd_patches, words, tiles, work, [source], [to], patch_scratch(source.shape[-1]))
        u = b.temporary(self.sums)
        add_outer(Outer(v, h, (tiles,), (padded(channels),), (padded(columns),), (0,), channels, columns,
                        tuple(self.items(distances))), u, columns, b)
        return u

    def groups(self) -> Operand:
        """Group by group, in a few chunks that have sums of their own."""
        b, tiles, (positions, channels, columns) = self.builder, self.shape.tiles(self.m), self.sums
        groups = -(-tiles // GROUP)
        chunks = 1
        while chunks < CHUNKS and 2 * chunks <= groups:
            chunks *= 2
        distances = self.distances(-(-tiles // groups))
        v_at = -(-patch_scratch(max(channels, columns)) // 64) * 64
        h_at = v_at + 4 * positions * distances[0]
        rest_at = h_at + 4 * positions * distances[1]
        u = b.temporary(self.sums)
        parts = u if chunks == 1 else b.temporary((chunks, *self.sums))
        table = b.table([start for item in self.items(distances) for start in item])
        outer: list[Any] = [0] * OUTER_WORDS
        outer[3:13] = [table, b.table([0]), 1, channels, -(-channels // MOST), columns, columns, 1, 1, 1]
        outer[16], outer[20] = padded(channels), padded(columns)
        outer[22:30] = [1, 1, 1, 1, 0, 1, 1, 1]
        x_row, g_row = (b.table(words) for words in self.rows(None, None, distances))
        words: dict[str, Any] = dict(
            tiles=tiles, groups=groups, chunks=chunks, patches=winograd_patches, x_row=x_row, g_row=g_row, outer=outer_sums,
            outer_row=b.table(outer), positions=positions, v_at=v_at, h_at=h_at, rest_at=rest_at, v_step=padded(channels),
            h_step=padded(columns), u=parts, chunk=u.size)
        work = float(tiles * positions * (channels * columns + MOVED * (channels + columns)))
        b.step(winograd_kernel_groups, [words[name] for name in GROUP_WORDS], chunks, work, [self.x, self.g], [parts],
               rest_at + 8 * OUTER_WORDS + 64)
        if chunks > 1:
            work = float(LOAD_WORK * u.size * chunks)
            b.step(add_chunks, [parts, u, chunks, u.size], -(-u.size // PIECE), work, [parts], [u])
        return u

    def finish(self, u: Operand, y: Operand) -> None:
        """From the cotangent of the transformed weights to that of the weights."""
        (_, channels, columns), (w_row, w_tap, w_channel, _) = self.sums, y.strides
        named: dict[str, Any] = dict(u=u, w=y, m=self.m, w_row=w_row, w_tap=w_tap, w_channel=w_channel, columns=columns,
                                     position=channels * columns)
        self.builder.step(winograd_kernels, [named[name] for name in KERNEL_WORDS], channels, MOVED * u.size, [u], [y])
