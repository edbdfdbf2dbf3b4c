"""Tapes: a group of elementwise ops as a list of block-kernel addresses, run block by block so that what lies between stays in
L1.

A tape is a table of int64 words, made once with the plan: operands, constants, instructions. Running it over a block (some
rows and columns, at most BLOCK elements) first gives each slot its address: of operands that lie contiguous in the block where
they lie, of others (vectors added to each row, scalars of a row, padded or transposed ones, booleans and int32) a copy in
scratch, made again only where another address or more elements are due. Then each instruction's kernel runs over the block.
A result whose place is not contiguous is written from scratch at the end. Each element is computed alike wherever it lies in a
block, so that results do not depend on how blocks are cut.

The word layout of a table (offsets in bytes from its start or from the scratch's start)::

    0 operands (the output first)   1 constants   2 temporaries   3 instructions
    4 where constants begin         5 where instructions begin    6 where blocks begin in scratch   7 where marks begin in scratch
    operands: address, strides of OUTER axes, row stride, column stride (bytes), kind
    constants: LANES float32 each
    instructions: kernel, slot of the result, slots of the operands

Scratch holds slots (address, step), marks (address, elements of the copy in scratch), an index of the outer axes, and blocks.
"""
from typing import Any

import numpy as np
from llvmlite import ir

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.executor import call
from graphnet.backends.cpu.simd import (
    F32,
    I8,
    LANES,
    REAL,
    VEC,
    VOID,
    A,
    V,
    byte,
    define,
    full,
    load,
    load_part,
    number,
    pointer,
    put_number,
    put_word,
    store,
    store_part,
    word,
    word32,
)
from graphnet.backends.cpu.vectormath import from_int32

BLOCK = 1024  # elements
BLOCK_BYTES = 4 * BLOCK + 192  # apart by no multiple of 4096, whose sets in the cache would be the same; room for a vector behind
OUTER = 6  # axes besides rows and columns
HEAD = 8  # words before the operands
RECORD = OUTER + 4  # words of an operand
INSTRUCTION = 8  # words
ROW_STEP, COLUMN_STEP, KIND = OUTER + 1, OUTER + 2, OUTER + 3
FLOAT, BYTE, INT = 0, 1, 2
OPERANDS, CONSTANTS, TEMPORARIES, INSTRUCTIONS, CONSTANTS_AT, INSTRUCTIONS_AT, BLOCKS_AT, MARKS_AT = range(HEAD)
INDEX_AT = 0  # the index of the outer axes is scratch's first words; slots follow
SLOTS_AT = 8 * 8

BYTES = ir.VectorType(I8, LANES)


def _byte_truth(builder: Any, x: Any) -> Any:
    return builder.zext(builder.fcmp_unordered("!=", x, ir.Constant(VEC, [0.0] * LANES)), BYTES)


load_bytes = define("load_bytes", V, (A, A), lambda b, p, i: b.uitofp(b.load(pointer(b, p, i, BYTES, I8), align=1), VEC))
store_truth = define("store_truth", VOID, (A, A, V), lambda b, p, i, x: b.store(
    _byte_truth(b, x), pointer(b, p, i, BYTES, I8), align=1))
put_truth = define("put_truth", VOID, (A, A, REAL), lambda b, p, i, x: b.store(
    b.zext(b.fcmp_unordered("!=", x, F32(0.0)), I8), pointer(b, p, i, I8, I8)))


# ---- between operands and scratch

@jit
def one_number(at, kind):
    """The element at an address, as float32."""
    if kind == BYTE:
        return np.float32(byte(at, 0))
    if kind == INT:
        return np.float32(word32(at, 0))
    return number(at, 0)


@jit
def gather_row(to, source, step, count, kind):
    """A row of `count` elements, `step` bytes apart, as contiguous float32; up to a vector behind them is written, too."""
    whole = count // LANES * LANES
    if step == 0:
        value = full(one_number(source, kind))
        for i in range(0, count, LANES):
            store(to, i, value)
    elif kind == FLOAT and step == 4:
        for i in range(0, whole, LANES):
            store(to, i, load(source, i))
        if whole < count:
            store(to, whole, load_part(source, whole, count - whole))
    elif kind == INT and step == 4:
        for i in range(0, whole, LANES):
            store(to, i, from_int32(load(source, i)))
        if whole < count:
            store(to, whole, from_int32(load_part(source, whole, count - whole)))
    else:
        start = whole if kind == BYTE and step == 1 else 0
        for i in range(0, start, LANES):
            store(to, i, load_bytes(source, i))
        for i in range(start, count):
            put_number(to, i, one_number(source + i * step, kind))


@jit
def scatter_row(to, step, source, count, kind):
    """Contiguous float32 to a row of elements, `step` bytes apart; as truth where they are bytes."""
    whole = count // LANES * LANES
    if kind == BYTE:
        start = whole if step == 1 else 0
        for i in range(0, start, LANES):
            store_truth(to, i, load(source, i))
        for i in range(start, count):
            put_truth(to + i * step, 0, number(source, i))
    elif step == 4:
        for i in range(0, whole, LANES):
            store(to, i, load(source, i))
        if whole < count:
            store_part(to, whole, count - whole, load_part(source, whole, count - whole))
    else:
        for i in range(count):
            put_number(to + i * step, 0, number(source, i))


@jit
def prepare(table, scratch):
    """The slots that are the same for all blocks: constants and temporaries; and no copy in scratch is valid yet."""
    slot, blocks = scratch + SLOTS_AT + 16 * word(table, OPERANDS), scratch + word(table, BLOCKS_AT)
    constants = table + word(table, CONSTANTS_AT)
    for k in range(word(table, CONSTANTS)):
        put_word(slot, 2 * k, constants + 4 * LANES * k)
        put_word(slot, 2 * k + 1, 0)
    slot += 16 * word(table, CONSTANTS)
    for k in range(word(table, TEMPORARIES)):
        put_word(slot, 2 * k, blocks + BLOCK_BYTES * (word(table, OPERANDS) + k))
        put_word(slot, 2 * k + 1, 1)
    marks = scratch + word(table, MARKS_AT)
    for k in range(word(table, OPERANDS)):
        put_word(marks, 2 * k + 1, 0)


@jit
def resolve(record, slot, mark, held, address, rows, columns):
    """Gives an operand's slot the address of its elements of this block: where they lie, or their copy in `held`."""
    row_step, step, kind = word(record, ROW_STEP), word(record, COLUMN_STEP), word(record, KIND)
    if kind == FLOAT and step == 4 and (rows == 1 or row_step == 4 * columns):
        put_word(slot, 0, address)
        put_word(slot, 1, 1)
        return
    put_word(slot, 0, held)
    fixed = rows == 1 or row_step == 0
    count = LANES if fixed and step == 0 else rows * columns
    put_word(slot, 1, 0 if fixed and step == 0 else 1)
    if fixed and word(mark, 0) == address and word(mark, 1) >= count:
        return
    if fixed and step == 0:
        store(held, 0, full(one_number(address, kind)))
    else:
        for r in range(rows):
            gather_row(held + 4 * r * columns, address + r * row_step, step, columns, kind)
    put_word(mark, 0, address)
    put_word(mark, 1, count)


@jit
def run_block(table, scratch, outer, row, rows, column, columns):
    """Runs a tape over rows and columns; the index of the first `outer` axes is in scratch."""
    slots, blocks, marks = scratch + SLOTS_AT, scratch + word(table, BLOCKS_AT), scratch + word(table, MARKS_AT)
    place, scattered = 0, False
    for k in range(word(table, OPERANDS)):
        record = table + 8 * (HEAD + RECORD * k)
        address = word(record, 0) + row * word(record, ROW_STEP) + column * word(record, COLUMN_STEP)
        for axis in range(outer):
            address += word(scratch, axis) * word(record, 1 + axis)
        if k == 0:
            place, row_step = address, word(record, ROW_STEP)
            scattered = word(record, KIND) != FLOAT or word(record, COLUMN_STEP) != 4 or (rows > 1 and row_step != 4 * columns)
            put_word(slots, 0, blocks if scattered else place)
            put_word(slots, 1, 1)
        else:
            resolve(record, slots + 16 * k, marks + 16 * k, blocks + BLOCK_BYTES * k, address, rows, columns)
    instruction = table + word(table, INSTRUCTIONS_AT)
    for _ in range(word(table, INSTRUCTIONS)):
        call(word(instruction, 0), instruction, 0, rows * columns, slots)
        instruction += 8 * INSTRUCTION
    if scattered:
        record = table + 8 * HEAD
        for r in range(rows):
            scatter_row(place + r * word(record, ROW_STEP), word(record, COLUMN_STEP), blocks + 4 * r * columns, columns,
                        word(record, KIND))


@jit
def run_tile(table, scratch, image, plane, line, row, rows, column, columns):
    """Runs an epilogue's tape over a tile of its five axes: rows row..row+rows-1 by columns column..column+columns-1.

    Called from inside other kernels, after the tile has been stored. `scratch` is as large as `Tape.scratch` says, and
    not what the caller still needs.
    """
    prepare(table, scratch)
    put_word(scratch, 0, image)
    put_word(scratch, 1, plane)
    put_word(scratch, 2, line)
    for first_column in range(0, columns, BLOCK):
        wide = min(columns - first_column, BLOCK)
        lines = BLOCK // wide
        for first in range(0, rows, lines):
            run_block(table, scratch, 3, row + first, min(lines, rows - first), column + first_column, wide)


@jit
def run_row(table, scratch, i0, i1, i2, column, columns):
    """`run_tile` for columns of one row of an output of at most four axes."""
    run_tile(table, scratch, 0, i0, i1, i2, 1, column, columns)


@kernel
def tape_rows(row, begin, end, scratch):
    """A task is a block. Words: table, outer axes, rows, rows of a block, columns, columns of a block, blocks across, blocks of
    a line, the outer extents."""
    table, outer, rows, tall, columns, wide = word(row, 0), word(row, 1), word(row, 2), word(row, 3), word(row, 4), word(row, 5)
    across, blocks = word(row, 6), word(row, 7)
    prepare(table, scratch)
    for task in range(begin, end):
        rest, block = task // blocks, task % blocks
        for axis in range(outer - 1, -1, -1):
            extent = word(row, 8 + axis)
            put_word(scratch, axis, rest % extent)
            rest //= extent
        first, first_column = block // across * tall, block % across * wide
        run_block(table, scratch, outer, first, min(tall, rows - first), first_column, min(wide, columns - first_column))
