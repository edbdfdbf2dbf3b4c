"""Convolutions of 3x3, stride 1, by Winograd: where that pays, and as which steps of a plan.

Either a task is a group of output tiles, whose patches, products and results stay in the second cache beside the transformed
weights; or, where the weights alone are larger than that or there is but one group, all patches of some images are
transformed by one step, multiplied by the next (each block of weights is then read once), and turned into results by a third.
The borders are no halo: a patch takes what lies outside of the image from a row of zeros.
"""
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graphnet.backends.cpu.cache import kernel
from graphnet.backends.cpu.encoding import encode_epilogue
from graphnet.backends.cpu.executor import call
from graphnet.backends.cpu.kernels.contraction import MADE, WORDS, Sum, Walk, add_sum, contract
from graphnet.backends.cpu.kernels.epilogue import Finish
from graphnet.backends.cpu.kernels.winograd_transforms import (
    HEAD,
    OUTPUT_WORDS,
    PATCH_WORDS,
    POINTS,
    TABLE,
    WEIGHTS_WORDS,
    winograd_outputs,
    winograd_patches,
    winograd_weights,
)
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES, put_word, word
from graphnet.backends.cpu.tiles import MOST, WIDTH
from graphnet.backends.cpu.weights import aligned

X_AT, Y_AT, SPOTS_AT, WIDTH_AT, TILES_AT = (WORDS.index(name) for name in ("x", "y", "spots", "width", "tiles"))
COUNT = len(WORDS)


# ---- groups

GROUP_WORDS = """tiles groups patches patches_row outputs outputs_row contract contract_row positions
    v_at z_at rest_at v_step z_step""".split()


@kernel
def winograd_groups(row, begin, end, scratch):
    """A task is a group of tiles: their patches to scratch, products there, and from there the results.

    Scratch: the head and table of `winograd_patches` and its zeros, patches, products, what `contract` and
    `winograd_outputs` need.
    """
    tiles, groups, patches, patches_row = word(row, 0), word(row, 1), word(row, 2), word(row, 3)
    outputs, outputs_row, multiply, multiply_row = word(row, 4), word(row, 5), word(row, 6), word(row, 7)
    positions, v, z, rest = word(row, 8), scratch + word(row, 9), scratch + word(row, 10), scratch + word(row, 11)
    for g in range(begin, end):
        first, last = g * tiles // groups, (g + 1) * tiles // groups
        size = last - first
        lines = (size + MOST - 1) // MOST
        put_word(scratch, 0, v - 4 * first * word(row, 12))
        put_word(scratch, 1, z - 4 * first * word(row, 13))
        call(patches, patches_row, first, last, scratch)
        for k in range(COUNT):
            put_word(rest, k, word(multiply_row, k))
        put_word(rest, X_AT, v)
        put_word(rest, Y_AT, z)
        put_word(rest, WIDTH_AT, size)
        put_word(rest, TILES_AT, lines)
        put_word(rest, SPOTS_AT, lines)
        call(multiply, rest, 0, positions * lines, rest + 8 * COUNT)
        call(outputs, outputs_row, first, last, scratch)


# ---- which way
#
# Costs are multiply-adds of a product at full speed. What was measured on a Zen 5 server, one thread, in direct-equivalent
# GFLOP/s, 3x3, "same" (direct / F(2) / F(3) / F(4), and how: the tiles of a group, or of three steps, s):
#   56x56 64->64, batch 8    221 / 336 14 / 424 28 / 473 14, 467 28, 427 98s     weights, as transformed for F(4), 0.6 MB
#   112x112 128->128         219 /    -   /    -   / 584 14, 590 56, 509 98s     2.4 MB
#   56x56 128->256           229 /    -   /    -   / 644 14, 596 56, 577 98s     4.7 MB
#   56x56 256->256           223 /    -   /    -   / 631 14, 618 56, 642 196s    9.4 MB
#   28x28 512->512           225 /    -   / 518s   / 394 14, 603 56, 664 196s    38 MB, batch 8: 711 98s, 736 196s, 753 392s
#   14x14 512->512           223 / 389s   / 397s   / 395s, batch 8: 188 / 432s / 509s / 562s
#   14x14 256->256           219 / 350s   / 376s   / 350s, 296 14
#   7x7 512->512             193 / 224s   / 214s   / 185s, batch 8: 224 / 328s / 352s / 490s
#   9x9 64->64, batch 32     218 / 232 14 / 307 14 (9 is three tiles of 3)
# From these: a tile and position costs C O + 25 (C + O). Weights come out of the memory while others are multiplied, which
# leaves of each as much as 4 multiply-adds, but in no less time than 13 take.

GROUP = max(1, 14 // MOST) * MOST  # tiles of a group
BESIDE = 5 << 20  # bytes of transformed weights up to which groups are fastest, although they read them again and again
CHUNK = 196  # tiles of three steps: more would take too much memory for patches and products
LARGE = 1 << 20  # bytes of weights that no cache of one processor holds
LESS, MUCH_LESS = 9 / 10, 5 / 6  # of the cost, for which larger weights are worth their memory: than those of a smaller m; than direct ones
MOVED = 8.0  # multiply-adds that take as long as transforming an element of a patch or a product
ALONE = 4_000_000  # multiply-adds from which one group is split into three steps, which threads share


@dataclass(frozen=True)
class Way:
    """How a convolution is computed: by tiles of m x m, so many in a group, or in three steps if it is `staged`."""

    m: int
    group: int
    staged: bool = False


@dataclass(frozen=True)
class Shape:
    """A 3x3 convolution of stride 1: the images, the output's height and width, channels of x and of y."""

    images: int
    height: int
    width: int
    channels: int
    columns: int

    def tiles(self, m: int) -> int:
        """How many tiles of m x m."""
        return self.images * -(-self.height // m) * -(-self.width // m)

    def cost(self, m: int) -> int:
        """Of F(m x m, 3 x 3), or of a direct sum (m = 0)."""
        both = self.channels * self.columns
        positions, rows = (m + 2) ** 2 if m else 9, self.tiles(m or 1)
        work, weights = positions * rows * (both + (25 * (self.channels + self.columns) if m else 0)), positions * both
        return work if 4 * weights <= LARGE else max(work + 4 * weights, 13 * weights)


def shape_of(x_shape: Sequence[int], y_shape: Sequence[int]) -> Shape:
    """Of a convolution from x (N, H, W, C) to y (N, H', W', O)."""
    images, height, width, columns = y_shape
    return Shape(images, height, width, x_shape[-1], columns)


def choose(shape: Shape, fixed: bool = False) -> Way | None:
    """The fastest way; None for a direct sum.

    Args:
        shape: of the convolution.
        fixed: whether the weights are transformed once for all plans. The way then depends on one image alone, so that
            another number of them needs no other weights.

    Example:

        >>> choose(Shape(32, 9, 9, 64, 64)).m, choose(Shape(1, 56, 56, 64, 64)).m
        (3, 4)
        >>> choose(Shape(1, 224, 224, 3, 64)) is None
        True
    """
    seen = replace(shape, images=1) if fixed else shape
    costs = {m: seen.cost(m) for m in (0, *POINTS)}
    m = 0
    for larger in POINTS:
        if costs[larger] < (LESS if m else MUCH_LESS) * costs[m]:
            m = larger
    if m == 0:
        return None
    if 4 * (m + 2) ** 2 * shape.channels * shape.columns > BESIDE or (shape.tiles(m) <= 2 * GROUP and shape.cost(m) > ALONE):
        return Way(m, CHUNK, True)
    return Way(m, GROUP)


# ---- the steps

@dataclass(frozen=True)
class Window:
    """How windows lie: so many rows and columns before x is where the first begins; the kernel is turned around or not."""

    top: int
    left: int
    turned: bool = False


def plain(op: Any, size: Sequence[int]) -> bool:
    """Whether a convolution is one of 3x3, stride 1, neither dilated nor in groups."""
    return tuple(size) == (3, 3) and set(op.strides) | set(op.dilation) == {1} and getattr(op, "groups", 1) == 1


def winograd(op: Any, size: Sequence[int], before: Sequence[int], shape: Shape, fixed: bool,
             turned: bool = False) -> tuple[Window, Way] | None:
    """How a convolution goes by Winograd; None where it cannot, or where a direct sum is faster.

    Args:
        op: a convolution, a transposed one, or the cotangent of a convolution's input.
        size: of its kernel.
        before: rows and columns of zeros before x, as the convolution from x to y sees it.
        fixed: whether the weights are transformed once for all plans.
        turned: whether the kernel is turned around, its channels and columns exchanged.
    """
    way = choose(shape, fixed) if plain(op, size) else None
    return None if way is None else (Window(before[0], before[1], turned), way)


def add_winograd(x: Operand, kernel: Operand, window: Window, way: Way, y: Operand, finish: Finish, builder: Builder) -> bool:
    """Adds the steps of a 3x3 convolution of stride 1 and what follows it; False, before any, where that has no kernels.

    Args:
        x: (N, H, W, C), float32.
        kernel: (3, 3, C, O), or (3, 3, O, C) if it is turned around.
        window, way: see `winograd`.
        y: (N, H', W', O), the last axis contiguous.
        finish: see there; its operands broadcast to y.
    """
    encoded = None
    if finish.rest:
        encoded = encode_epilogue(finish.rest, finish.extras, y, builder, Walk(y.shape, ((0,), (), (1,), (2,))).view)
        if encoded is None:
            return False
    shape = shape_of(x.shape, y.shape)
    if x.strides[-1] != 1 and x.shape[-1] != 1:
        x = builder.contiguous(x)
    u = _weights(kernel, window.turned, way.m, builder)
    job = Job(x, u, y, shape, way.m, window, finish, encoded, builder)
    total = shape.tiles(way.m)
    if way.staged:
        parts = -(-total // way.group)
        for part in range(parts):
            job.stages(part * total // parts, (part + 1) * total // parts)
    else:
        job.groups(-(-total // way.group))
    return True


def padded(channels: int) -> int:
    """Channels as patches and products have them: whole vectors."""
    return -(-channels // LANES) * LANES


def _tiling(shape: Shape, m: int) -> dict[str, Any]:
    return {"m": m, "across": -(-shape.width // m), "down": -(-shape.height // m)}


def patch_scratch(channels: int) -> int:
    """Bytes of scratch that `winograd_patches` needs."""
    return HEAD + 2 * TABLE + 4 * padded(channels)


def patch_words(x: Operand, shape: Shape, m: int, side: int, window: Window, v: Operand | None, position: int,
                first: int = 0) -> list[Any]:
    """The argument row of `winograd_patches`, whose patches have so many elements to a side and begin m apart."""
    _, height, width, channels = x.shape
    image, row, step, _ = x.strides
    named = dict(x=x, v=v, **_tiling(shape, m), top=window.top, left=window.left, height=height, width=width, x_image=image,
                 x_row=row, x_step=step, position=position, step=padded(channels), channels=channels, first=first, side=side)
    return [named[name] for name in PATCH_WORDS]


@dataclass(frozen=True)
class Job:
    """One convolution on its way into a plan: its operands, and `u`, the transformed weights."""

    x: Operand
    u: Operand
    y: Operand
    shape: Shape
    m: int
    window: Window
    finish: Finish
    encoded: Any
    builder: Builder

    @property
    def positions(self) -> int:
        return (self.m + 2) ** 2

    @property
    def steps(self) -> tuple[int, int]:
        """From one tile to the next in patches, and in products."""
        return padded(self.shape.channels), padded(self.shape.columns)

    @property
    def works(self) -> tuple[float, float]:
        """Multiply-adds that take as long as transforming a patch, and a result."""
        return MOVED * self.positions * self.shape.channels, MOVED * self.positions * self.shape.columns

    @property
    def output_scratch(self) -> int:
        return HEAD + (self.encoded.scratch if self.encoded else 0)

    def patch_words(self, v: Operand | None, position: int, first: int = 0) -> list[Any]:
        return patch_words(self.x, self.shape, self.m, self.m + 2, self.window, v, position, first)

    def output_words(self, z: Operand | None, position: int, first: int = 0) -> list[Any]:
        y, finish = self.y, self.finish
        residual = None if finish.residual is None else finish.residual.broadcast(y.shape)
        named: dict[str, Any] = dict(
            z=z, y=y, bias=finish.bias, residual=residual, tape=self.encoded and self.encoded.table,
            **_tiling(self.shape, self.m), height=y.shape[1], width=y.shape[2], position=position, step=self.steps[1],
            columns=y.shape[3], first=first)
        named.update(zip(("mode", "low", "high", "low_again", "high_again"), finish.words, strict=True))
        for name, strides in (("y", y.strides), ("r", residual.strides if residual else y.strides)):
            named.update(zip((f"{name}_image", f"{name}_row", f"{name}_step"), strides, strict=False))
        return [named[name] for name in OUTPUT_WORDS]

    def output_reads(self) -> list[Operand]:
        return [*self.finish.reads, *(self.encoded.reads if self.encoded else ())]

    def stages(self, first: int, last: int) -> None:
        """Tiles first to last - 1 in three steps."""
        b, shape, size, positions = self.builder, self.shape, last - first, self.positions
        (v_step, z_step), (before, after) = self.steps, self.works
        distances = [size * step + LANES for step in self.steps]  # no multiples of a page, which share sets of the cache
        v, z = (b.temporary((positions, distance)) for distance in distances)
        b.step(winograd_patches, self.patch_words(v, distances[0], first), size, size * before, [self.x], [v],
               patch_scratch(self.shape.channels))
        products = Sum(v, (distances[0], v_step), self.u, (self.u.strides[0], 0), shape.channels * WIDTH, WIDTH, (0,),
                       shape.channels)
        done = add_sum(products, z.view(0, (positions, size, shape.columns), (distances[1], z_step, 1)), Finish(), b)
        assert done, "three axes are few enough"
        b.step(winograd_outputs, self.output_words(z, distances[1], first), size, size * after, [z, *self.output_reads()],
               [self.y], self.output_scratch)

    def groups(self, count: int) -> None:
        """All tiles, in so many groups."""
        b, shape, positions = self.builder, self.shape, self.positions
        (v_step, z_step), total = self.steps, shape.tiles(self.m)
        most = -(-total // count)
        v_distance, z_distance = most * v_step + LANES, most * z_step + LANES
        blocks = -(-shape.columns // WIDTH)
        named: dict[str, Any] = dict.fromkeys(WORDS, 0)
        named.update(w=self.u, lines=1, x_image=v_distance, x_step=v_step, y_image=z_distance, y_step=z_step,
                     w_image=self.u.strides[0], w_block=shape.channels * WIDTH, w_step=WIDTH, offsets=b.table([0]), segments=1,
                     run=shape.channels, columns=shape.columns, blocks=blocks, share=blocks, shares=1, parts=1, sweep=1)
        named.update(zip(("mode", "low", "high", "low_again", "high_again"), Finish().words, strict=True))
        v_at = -(-max(patch_scratch(self.shape.channels), self.output_scratch) // 64) * 64
        z_at = v_at + 4 * positions * v_distance
        rest_at = z_at + 4 * positions * z_distance
        rows = [b.table(words) for words in (self.patch_words(None, v_distance), self.output_words(None, z_distance),
                                             [named[name] for name in WORDS])]
        words: dict[str, Any] = dict(
            tiles=total, groups=count, patches=winograd_patches, patches_row=rows[0], outputs=winograd_outputs,
            outputs_row=rows[1], contract=contract, contract_row=rows[2], positions=positions, v_at=v_at, z_at=z_at,
            rest_at=rest_at, v_step=v_step, z_step=z_step)
        work = total * (sum(self.works) + positions * shape.channels * shape.columns)
        b.step(winograd_groups, [words[name] for name in GROUP_WORDS], count, work, [self.x, self.u, *self.output_reads()],
               [self.y], rest_at + 8 * COUNT + MADE)


def _weights(kernel: Operand, turned: bool, m: int, builder: Builder) -> Operand:
    """G g G^T of a kernel: (positions, blocks * channels * WIDTH) and LANES more between positions."""
    if turned:
        kernel = kernel.transpose((0, 1, 3, 2))
    if kernel.fixed:
        return builder.packed(kernel, ("winograd", WIDTH, LANES, m, turned), lambda value: transformed(value, turned, m))
    if kernel.strides[-1] != 1:
        kernel = builder.contiguous(kernel)
    u = builder.temporary(_size(kernel.shape, m))
    _add_transform(kernel, turned, m, u, builder)
    return u


def _size(shape: Sequence[int], m: int) -> tuple[int, int]:
    _, _, channels, columns = shape
    return (m + 2) ** 2, -(-columns // WIDTH) * channels * WIDTH + LANES


def transformed(value: np.ndarray, turned: bool, m: int) -> np.ndarray:
    """The transformed weights of a kernel (3, 3, C, O), its taps turned around or not.

    By a plan of one step: numpy would take a hundred times as long, seconds for a large network.
    """
    builder = Builder()
    kernel, u = builder.input(value.shape), builder.output(_size(value.shape, m))
    _add_transform(kernel, turned, m, u, builder)
    made = aligned(u.shape)  # what fills up the last block is not written
    builder.finish().instantiate(1).run([np.ascontiguousarray(value)], [made])
    return made


def _add_transform(kernel: Operand, turned: bool, m: int, u: Operand, builder: Builder) -> None:
    g_row, g_tap, g_channel, _ = kernel.strides
    _, _, channels, columns = kernel.shape
    first = kernel
    if turned:
        first, g_row, g_tap = kernel.view(2 * (g_row + g_tap), kernel.shape, kernel.strides), -g_row, -g_tap
    named: dict[str, Any] = dict(g=first, u=u, m=m, g_row=g_row, g_tap=g_tap, g_channel=g_channel, channels=channels,
                                 columns=columns, position=u.shape[1], block=channels * WIDTH)
    work = 3.0 * (m + 2) ** 2 * channels * columns
    builder.step(winograd_weights, [named[name] for name in WEIGHTS_WORDS], channels, work, [kernel], [u])
