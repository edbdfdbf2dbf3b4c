"""softmax(scale q k^T) v: a task is some tiles of queries of one head, whose scores stay in cache between the two products.

No more of the scores is kept than a tile's rows, in each thread's scratch. There each task also puts the keys, and the values
where these lie far apart, as the contraction kernel reads weights: that takes less than a step before this one would.
"""
from typing import Any

import numpy as np

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.kernels.copy import copy_run, copy_turned
from graphnet.backends.cpu.kernels.packing import FEW
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import (
    LANES,
    at_least,
    chosen,
    chosen_part,
    full,
    largest,
    load,
    load_part,
    only,
    real,
    store,
    store_part,
    total,
    word,
)
from graphnet.backends.cpu.tiles import HALF, MOST, NARROW, VECTORS, WIDTH, product
from graphnet.backends.cpu.vectormath import exp_below
from graphnet.ops.attention import Attend

ZERO, ONE = np.float32(0), np.float32(1)
LOWEST = np.float32(-np.inf)
WORK = 12  # multiply-adds that take as long as a score's exponential
TASKS = 8  # a step has so many tasks, where it can, for the threads to share
TILES = 16  # of a task: beside so many, the copies of keys and values take no time
# bits of `mode`: truth that chooses among scores, numbers that are added to them, no weight for what is not chosen
CHOICE, SUM, EMPTY = 1, 2, 4

WORDS = """q k v y offsets scale  heads steps sources features width tiles group groups  q_image q_head q_step
    k_image k_head k_step  v_image v_head v_step v_lies  y_image y_head y_step  row
    mask mode low m_image m_head m_step""".split()  # of the argument row


@jit
def attend_top(x, n):
    """The largest of n scores; a NaN may be passed over, as its exponential makes all of the row NaN."""
    whole, top = n // LANES * LANES, full(LOWEST)
    for i in range(0, whole, LANES):
        top = at_least(top, load(x, i))
    if whole < n:
        top = at_least(top, only(n - whole, load_part(x, whole, n - whole), full(LOWEST)))
    return largest(top)


@jit
def attend_row(x, n, top, scale):
    """exp(scale * (x - top)) of a row of n elements, in place; their sum."""
    whole, added = n // LANES * LANES, full(ZERO)
    for i in range(0, whole, LANES):
        e = exp_below((load(x, i) - top) * scale)
        added = added + e
        store(x, i, e)
    if whole < n:
        e = only(n - whole, exp_below((load_part(x, whole, n - whole) - top) * scale), full(ZERO))
        added = added + e
        store_part(x, whole, n - whole, e)
    return total(added)


@jit
def attend_softmax(rows, line, n, scale, shares, scratch):
    """Rows of n scores, `line` elements apart, become exponentials; vectors of 1 / their sums go to `shares`.

    First all largest ones, then all exponentials: a row would else wait for its largest score.
    """
    for m in range(rows):
        store(shares, m * LANES, full(attend_top(scratch + 4 * m * line, n)))
    for m in range(rows):
        added = attend_row(scratch + 4 * m * line, n, load(shares, m * LANES), scale)
        store(shares, m * LANES, full(ONE / added))


@jit
def attend_limits(rows, line, n, mask, step, mode, scale, low, scratch):
    """Rows of n scores times the scale, plus what is added to them, or `low` where the mask does not choose them."""
    for m in range(rows):
        x, given = scratch + 4 * m * line, mask + m * step
        for i in range(0, n, LANES):
            v = load(x, i) * scale
            if mode & SUM:
                v = v + load_part(given, i, n - i)
            elif n - i >= LANES:
                v = chosen(given, i, v, low)
            else:
                v = chosen_part(given, i, n - i, v, low)
            store(x, i, v)


@jit
def attend_hidden(rows, line, n, mask, step, scratch):
    """No weight for what the mask does not choose: that counts where it chooses nothing of a row."""
    for m in range(rows):
        x, given = scratch + 4 * m * line, mask + m * step
        for i in range(0, n, LANES):
            store(x, i, chosen_part(given, i, n - i, load(x, i), ZERO))


@jit
def attend_columns(size, n, given, bounds):
    """A tile of a product, of at most WIDTH columns, without an epilogue."""
    if n > HALF:
        product(size, VECTORS, given, bounds)
    else:
        product(size, NARROW, given, bounds)


@jit
def attend_keys(to, k, step, sources, features):
    """Keys as columns: blocks of WIDTH of them."""
    for c in range(0, sources, WIDTH):
        copy_turned(to + 4 * c * features, 4 * WIDTH, k + 4 * c * step, 4 * step, features, min(WIDTH, sources - c))


@jit
def attend_values(to, v, step, sources, width):
    """Values in blocks of WIDTH columns."""
    for c in range(0, width, WIDTH):
        for s in range(sources):
            copy_run(to + 4 * (c * sources + s * WIDTH), v + 4 * (s * step + c), min(WIDTH, width - c), 4)


@kernel
def attend(row, begin, end, scratch):
    """Tasks run over images, heads, groups of tiles; scratch holds the scores, a block of the result, shares, keys, values."""
    heads, steps, sources, features, width = word(row, 6), word(row, 7), word(row, 8), word(row, 9), word(row, 10)
    tiles, group, groups, line, offsets = word(row, 11), word(row, 12), word(row, 13), word(row, 27), word(row, 4)
    scale, mode = real(row, 5), word(row, 29)
    bounds = (ZERO, ZERO, ZERO, ZERO)
    narrow = steps // tiles
    wide = steps - narrow * tiles  # so many tiles are one row longer
    made = scratch + 4 * MOST * line
    shares = made + 4 * MOST * WIDTH
    keys = shares + 4 * MOST * LANES
    for task in range(begin, end):
        image, head, first = task // groups // heads, task // groups % heads, task % groups * group
        attend_keys(keys, word(row, 1) + 4 * (image * word(row, 17) + head * word(row, 18)), word(row, 19), sources, features)
        v, v_step, v_block = word(row, 2) + 4 * (image * word(row, 20) + head * word(row, 21)), word(row, 22), WIDTH
        if not word(row, 23):
            values = keys + 4 * features * line
            attend_values(values, v, v_step, sources, width)
            v, v_step, v_block = values, WIDTH, WIDTH * sources
        for t in range(first, min(first + group, tiles)):
            j, size = t * narrow + min(t, wide), narrow + 1 if t < wide else narrow
            q = word(row, 0) + 4 * (image * word(row, 14) + head * word(row, 15) + j * word(row, 16))
            y = word(row, 3) + 4 * (image * word(row, 24) + head * word(row, 25) + j * word(row, 26))
            mask = word(row, 28) + image * word(row, 31) + head * word(row, 32) + j * word(row, 33)
            for c in range(0, sources, WIDTH):
                b = keys + 4 * c * features
                given = (q, word(row, 16), offsets, 1, features, b, WIDTH, scratch + 4 * c, line, 0, 0, 0, 0, b, 0)
                attend_columns(size, sources - c, given, bounds)
            if mode:
                attend_limits(size, line, sources, mask, word(row, 33), mode, scale, real(row, 30), scratch)
            attend_softmax(size, line, sources, ONE if mode else scale, shares, scratch)
            if mode & EMPTY:
                attend_hidden(size, line, sources, mask, word(row, 33), scratch)
            for c in range(0, width, WIDTH):
                b = v + 4 * (c // WIDTH) * v_block
                given = (scratch, line, offsets, 1, sources, b, v_step, made, WIDTH, 0, 0, 0, 0, b, 0)
                attend_columns(size, width - c, given, bounds)
                for m in range(size):
                    share = load(shares, m * LANES)
                    for n in range(0, min(WIDTH, width - c), LANES):
                        store_part(y, m * word(row, 26) + c + n, width - c - n, load(made, m * WIDTH + n) * share)


@lowers(Attend)
def lower_attend(op: Attend, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                 epilogue: Any = None) -> bool | None:
    """Attention of float32, with a mask of truth or numbers or none."""
    (q, k, v, *masks), (y,) = inputs, outputs
    if any(x.dtype != "float32" for x in (q, k, v, y)) or y.strides[-1] != 1:
        return False
    heads, steps, sources, features, width = q.shape[1], q.shape[2], v.shape[2], q.shape[3], v.shape[3]
    q, k, v = (x if x.strides[-1] == 1 or x.shape[-1] == 1 else builder.contiguous(x) for x in (q, k, v))
    tiles, line = -(-steps // MOST), -(-sources // WIDTH) * WIDTH
    lies = (width == HALF or width % WIDTH == 0) and (steps <= FEW or v.strides[2] == WIDTH)
    groups = -(-tiles // max(1, min(TILES, q.shape[0] * heads * tiles // TASKS)))
    group = -(-tiles // groups)
    groups = -(-tiles // group)
    named: dict[str, Any] = dict(
        q=q, k=k, v=v, y=y, offsets=builder.table((0,)), scale=float(op.scale), heads=heads, steps=steps, sources=sources,
        features=features, width=width, tiles=tiles, group=group, groups=groups, v_lies=int(lies), row=line,
        low=float(op.low),
        **_mask_words(op, masks, (q.shape[0], heads, steps, sources), builder))
    for name, x, axes in (("q", q, "image head step"), ("k", k, "image head step"), ("v", v, "image head step"),
                          ("y", y, "image step head")):
        named.update({f"{name}_{axis}": stride for axis, stride in zip(axes.split(), x.strides[:3], strict=True)})
    scores = q.shape[0] * heads * steps * sources
    held = features * line + (0 if lies else sources * -(-width // WIDTH) * WIDTH)
    reads = [q, k, v, *([named["mask"]] if masks else [])]
    builder.step(attend, [named[name] for name in WORDS], q.shape[0] * heads * groups, scores * (features + width + WORK), reads,
                 [y], scratch=4 * (MOST * (line + WIDTH + LANES) + held))
    return None


def _mask_words(op: Attend, masks: list[Operand], shape: tuple[int, ...], builder: Builder) -> dict[str, Any]:
    """Where the mask lies, and what it does; the distances are in bytes."""
    if not masks:
        return dict(mask=0, mode=0, m_image=0, m_head=0, m_step=0)
    mask, = masks
    along = mask.broadcast((*mask.shape[:-1], shape[-1]))
    mask = along if along.strides[-1] == 1 or shape[-1] == 1 else builder.contiguous(along)
    strides = [mask.itemsize * stride for stride in mask.broadcast(shape).strides]
    mode = SUM if mask.dtype != "bool" else CHOICE | (EMPTY if op.empty else 0)
    return dict(mask=mask, mode=mode, m_image=strides[0], m_head=strides[1], m_step=strides[2])
