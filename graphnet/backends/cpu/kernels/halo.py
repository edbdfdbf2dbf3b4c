"""The zeros around a buffer, written anew in each call because others use their place meanwhile."""
import functools
import math

import numpy as np

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.operand import Buffer, Operand, packed_strides
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES, full, store, store_part, word

ZERO = np.float32(0)


@jit
def zeros(start, count):
    """Writes so many zeros."""
    whole = count // LANES * LANES
    for i in range(0, whole, LANES):
        store(start, i, full(ZERO))
    if whole < count:
        store_part(start, whole, count - whole, full(ZERO))


@kernel
def zero_halo(row, begin, end, scratch):
    """A task is an image. 0 first image, 1 elements of one, 2 runs of zeros, 3 their table: first element, elements"""
    first, size, runs, table = word(row, 0), word(row, 1), word(row, 2), word(row, 3)
    for task in range(begin, end):
        image = first + 4 * task * size
        for r in range(runs):
            zeros(image + 4 * word(table, 2 * r), word(table, 2 * r + 1))


@functools.lru_cache(maxsize=512)
def runs(shape: tuple[int, ...], halo: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    """Of one image (*S, C) and the room around each axis but the last: first pixel and length of each run of pixels in the halo.

    Example:

        >>> runs((2, 3, 8), ((1, 0), (1, 1), (0, 0)))  # lines of 5 pixels: the first, then what is right and left of the others
        (0, 6, 9, 2, 14, 1)
    """
    wide = [before + extent + after for extent, (before, after) in zip(shape[:-1], halo, strict=False)]
    outside = np.ones(wide, np.int8)
    outside[tuple(slice(before, before + extent) for extent, (before, _) in zip(shape[:-1], halo, strict=False))] = 0
    edges = np.flatnonzero(np.diff(outside.ravel(), prepend=0, append=0))
    found = np.stack([edges[::2], np.diff(edges)[::2]], -1)
    return tuple(found.ravel().tolist())


def clear(builder: Builder, buffer: Buffer) -> None:
    """Adds the step that zeroes a float32 buffer's halo, which lies around the axes between the first and the last."""
    shape, halo, dtype = buffer.halo  # type: ignore[misc]
    assert dtype == "float32" and not any((*halo[0], *halo[-1])), "what convolutions and pools ask for"
    wide = tuple([before + extent + after for extent, (before, after) in zip(shape, halo, strict=True)])
    whole = Operand(buffer, 0, wide, packed_strides(wide), dtype)
    found = [pixels * shape[-1] for pixels in runs(tuple(shape[1:]), tuple(halo[1:]))]
    image = math.prod(wide[1:])
    builder.step(zero_halo, [whole, image, len(found) // 2, builder.table(found)], wide[0], float(shape[0] * sum(found[1::2])), [], [whole])
