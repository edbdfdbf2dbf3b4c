"""softmax(scale q k^T) v: a task is a tile of queries of one head, whose scores stay in cache between the two products.

No more of the scores is kept than that tile's rows, in each thread's scratch; keys lie as the contraction kernel reads weights.
"""
from typing import Any

import numpy as np

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.kernels.matmul import swapped
from graphnet.backends.cpu.kernels.packing import computed_weights
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES, at_least, full, largest, load, load_part, only, real, store, store_part, total, word
from graphnet.backends.cpu.tiles import HALF, MOST, NARROW, VECTORS, WIDTH, product
from graphnet.backends.cpu.vectormath import exp_below
from graphnet.ops.attention import Attend

ZERO, ONE = np.float32(0), np.float32(1)
LOWEST = np.float32(-np.inf)
WORK = 12  # multiply-adds that take as long as a score's exponential

WORDS = """q k v y offsets scale  heads steps sources features width tiles  q_image q_head q_step
    k_image k_head k_block k_step  v_image v_head v_block v_step  y_image y_head y_step  row""".split()  # of the argument row


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
def attend_columns(size, n, given, bounds):
    """A tile of a product, of at most WIDTH columns, without an epilogue."""
    if n > HALF:
        product(size, VECTORS, given, bounds)
    else:
        product(size, NARROW, given, bounds)


@kernel
def attend(row, begin, end, scratch):
    """Tasks run over images, heads, tiles of rows; scratch holds the scores, then a block of the result."""
    heads, steps, sources, features, width = word(row, 6), word(row, 7), word(row, 8), word(row, 9), word(row, 10)
    tiles, line, offsets, scale = word(row, 11), word(row, 26), word(row, 4), real(row, 5)
    bounds = (ZERO, ZERO, ZERO, ZERO)
    narrow = steps // tiles
    wide = steps - narrow * tiles  # so many tiles are one row longer
    made = scratch + 4 * MOST * line
    shares = made + 4 * MOST * WIDTH
    for task in range(begin, end):
        image, head, t = task // tiles // heads, task // tiles % heads, task % tiles
        j, size = t * narrow + min(t, wide), narrow + 1 if t < wide else narrow
        q = word(row, 0) + 4 * (image * word(row, 12) + head * word(row, 13) + j * word(row, 14))
        k = word(row, 1) + 4 * (image * word(row, 15) + head * word(row, 16))
        v = word(row, 2) + 4 * (image * word(row, 19) + head * word(row, 20))
        y = word(row, 3) + 4 * (image * word(row, 23) + head * word(row, 24) + j * word(row, 25))
        for c in range(0, sources, WIDTH):
            b = k + 4 * (c // WIDTH) * word(row, 17)
            given = (q, word(row, 14), offsets, 1, features, b, word(row, 18), scratch + 4 * c, line, 0, 0, 0, 0, b, 0)
            attend_columns(size, sources - c, given, bounds)
        attend_softmax(size, line, sources, scale, shares, scratch)
        for c in range(0, width, WIDTH):
            b = v + 4 * (c // WIDTH) * word(row, 21)
            given = (scratch, line, offsets, 1, sources, b, word(row, 22), made, WIDTH, 0, 0, 0, 0, b, 0)
            attend_columns(size, width - c, given, bounds)
            for m in range(size):
                share = load(shares, m * LANES)
                for n in range(0, min(WIDTH, width - c), LANES):
                    store_part(y, m * word(row, 25) + c + n, width - c - n, load(made, m * WIDTH + n) * share)


@lowers(Attend)
def lower_attend(op: Attend, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                 epilogue: Any = None) -> bool | None:
    """Attention of float32; keys are copied into blocks, values too where they do not lie so already."""
    (q, k, v), (y,) = inputs, outputs
    if any(x.dtype != "float32" for x in (q, k, v, y)) or y.strides[-1] != 1:
        return False
    heads, steps, sources, features, width = q.shape[1], q.shape[2], v.shape[2], q.shape[3], v.shape[3]
    q = q if q.strides[-1] == 1 or features == 1 else builder.contiguous(q)
    keys, k_block, k_step = computed_weights(swapped(k), 1, steps, builder)
    values, v_block, v_step = computed_weights(v, 1, steps, builder)
    tiles, line = -(-steps // MOST), -(-sources // WIDTH) * WIDTH
    named: dict[str, Any] = dict(
        q=q, k=keys, v=values, y=y, offsets=builder.table((0,)), scale=float(op.scale), heads=heads, steps=steps,
        sources=sources, features=features, width=width, tiles=tiles, k_block=k_block, k_step=k_step, v_block=v_block,
        v_step=v_step, row=line)
    for name, x, axes in (("q", q, "image head step"), ("k", keys, "image head"), ("v", values, "image head"),
                          ("y", y, "image step head")):
        named.update({f"{name}_{axis}": stride for axis, stride in zip(axes.split(), x.strides[:3], strict=False)})
    tasks, scores = q.shape[0] * heads * tiles, q.shape[0] * heads * steps * sources
    builder.step(attend, [named[name] for name in WORDS], tasks, scores * (features + width + WORK), [q, keys, values], [y],
                 scratch=4 * MOST * (line + WIDTH + LANES))
    return None
