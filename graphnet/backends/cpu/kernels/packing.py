"""Weights as the contraction kernel reads them: blocks of WIDTH columns, each (K, WIDTH), one behind the other."""
from typing import Any

import numpy as np

from graphnet.backends.cpu.kernels.copy import copy_all
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.tiles import HALF, MOST, WIDTH
from graphnet.backends.cpu.weights import aligned

FAR = 2048  # bytes between rows from which reading weights where they lie wears out pages and sets of the caches
FEW = 2 * MOST  # rows of x for which packing would take about as long as the product


def packed_columns(w: np.ndarray, groups: int = 1) -> np.ndarray:
    """(..., K, groups * columns) -> (..., groups * blocks, K, WIDTH), the last block of a group filled up with zeros.

    Example:

        >>> packed_columns(np.ones((3, 2 * WIDTH + 1))).shape == (3, 3, WIDTH)
        True
    """
    *outer, k, n = w.shape
    columns, whole = n // groups, n // groups // WIDTH
    blocks = -(-columns // WIDTH)
    by_group = np.moveaxis(w.reshape(*outer, k, groups, columns), -2, -3)
    packed = aligned((*outer, groups, blocks, k, WIDTH), w.dtype)
    full = by_group[..., :whole * WIDTH].reshape(*outer, groups, k, whole, WIDTH)
    packed[..., :whole, :, :] = np.moveaxis(full, -2, -3)
    if blocks > whole:
        packed[..., whole, :, :columns - whole * WIDTH] = by_group[..., whole * WIDTH:]
    return packed.reshape(*outer, groups * blocks, k, WIDTH)


def constant_weights(w: Operand, groups: int, recipe: tuple[Any, ...], arrange: Any, builder: Builder) -> Operand:
    """`packed_columns` of a weight or constant, which `arrange` first turns into (..., K, columns); kept for all plans."""
    return builder.packed(w, ("contraction", WIDTH, groups, *recipe), lambda value: packed_columns(arrange(value), groups))


def computed_weights(w: Operand, groups: int, rows: int, builder: Builder) -> tuple[Operand, int, int]:
    """Weights (..., K, columns) that a call computes: where they lie if that serves, else copied into blocks by the plan.

    Args:
        rows: how many rows are multiplied with them.

    Returns:
        the operand, the distance of its blocks and of their rows. What a copied last block is filled up with is undefined.
    """
    *outer, k, n = w.shape
    columns = n // groups
    fits = columns == HALF or columns % WIDTH == 0
    if fits and w.strides[-1] == 1 and (rows <= FEW or 4 * w.strides[-2] < FAR):
        return w, min(columns, WIDTH), w.strides[-2]
    by_group = w.view(0, (*outer, k, groups, columns), (*w.strides[:-1], columns * w.strides[-1], w.strides[-1]))
    axes = len(outer)
    by_group = by_group.transpose((*range(axes), axes + 1, axes, axes + 2))
    return blocks_in_plan(by_group, axes + 1, builder), k * WIDTH, WIDTH


def blocks_in_plan(w: Operand, outer: int, builder: Builder) -> Operand:
    """(*outer, *K, columns) of any strides, copied by a step of the plan to (*outer, blocks, *K, WIDTH).

    What the last block is filled up with is undefined.
    """
    lead, inner, columns, step = w.shape[:outer], w.shape[outer:-1], w.shape[-1], w.strides[-1]
    blocks, whole = -(-columns // WIDTH), columns // WIDTH
    to, axes, pairs = builder.temporary((*lead, blocks, *inner, WIDTH)), len(w.shape) - 1, []
    if whole:
        source = w.view(0, (*w.shape[:-1], whole, WIDTH), (*w.strides[:-1], WIDTH * step, step))
        source = source.transpose((*range(outer), axes, *range(outer, axes), axes + 1))
        pairs.append((source, to.slice((0,) * len(to.shape), (*lead, whole, *inner, WIDTH))))
    if columns > whole * WIDTH:
        rest = (*w.shape[:-1], columns - whole * WIDTH)
        last = to.view(whole * to.strides[outer], rest, (*to.strides[:outer], *to.strides[outer + 1:]))
        pairs.append((w.view(whole * WIDTH * step, rest, w.strides), last))
    copy_all(builder, pairs)
    return to
