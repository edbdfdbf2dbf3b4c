"""Arithmetic, comparisons and casts of whole numbers and booleans: labels, positions, counters, seeds.

Elements are read into blocks of int64 in scratch, computed with there, and written in the result's dtype; leading bits are
dropped, as numpy does. One kernel serves all dtypes and ops; such arrays are small.
"""
from typing import Any

import numpy as np
from llvmlite import ir

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder, Word
from graphnet.backends.cpu.simd import (
    F32,
    I8,
    I32,
    I64,
    REAL,
    VOID,
    A,
    byte,
    define,
    number,
    pointer,
    put_number,
    put_word,
    word,
    word32,
)
from graphnet.ops import elementwise as e

BLOCK = 512  # elements
WORK = 4.0  # multiply-adds that take as long as an element
I16 = ir.IntType(16)
BOOL, UINT8, INT8, INT16, UINT16, INT32, UINT32, INT64, FLOAT32 = range(9)
KINDS = {"bool": BOOL, "uint8": UINT8, "int8": INT8, "int16": INT16, "uint16": UINT16, "int32": INT32, "uint32": UINT32,
         "int64": INT64, "uint64": INT64, "float32": FLOAT32}
COPY, ADD, SUBTRACT, MULTIPLY, SMALLER, LARGER, QUOTIENT, REST, EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, AND, OR, CHOICE = range(15)
# op -> (operation, whether its first two operands are exchanged)
OPERATIONS: dict[type, tuple[int, bool]] = {
    e.Cast: (COPY, False), e.Add: (ADD, False), e.Subtract: (SUBTRACT, False), e.Multiply: (MULTIPLY, False),
    e.Minimum: (SMALLER, False), e.Maximum: (LARGER, False), e.FloorDivide: (QUOTIENT, False), e.Mod: (REST, False),
    e.Equal: (EQUAL, False), e.NotEqual: (NOT_EQUAL, False), e.Less: (LESS, False), e.LessEqual: (LESS_EQUAL, False),
    e.Greater: (LESS, True), e.GreaterEqual: (LESS_EQUAL, True), e.LogicalAnd: (AND, False), e.LogicalOr: (OR, False),
    e.LogicalXor: (NOT_EQUAL, False), e.LogicalNot: (EQUAL, False), e.Where: (CHOICE, False)}
ANY_SIGN = {COPY, ADD, SUBTRACT, MULTIPLY, EQUAL, NOT_EQUAL, AND, OR, CHOICE}  # the same bits, signed or not

LEAST = -2**63


def _reader(name: str, kind: Any, signed: bool) -> Any:
    return define(name, A, (A, A), lambda b, p, i: (b.sext if signed else b.zext)(
        b.load(pointer(b, p, i, kind, kind), align=1), I64))


def _writer(name: str, kind: Any) -> Any:
    return define(name, VOID, (A, A, A), lambda b, p, i, x: b.store(
        b.trunc(x, kind), pointer(b, p, i, kind, kind), align=1))


int8, int16, uint16 = _reader("int8", I8, True), _reader("int16", I16, True), _reader("uint16", I16, False)
uint32 = _reader("uint32", I32, False)
write8, write16, write32 = (_writer(f"write{n}", kind) for n, kind in ((8, I8), (16, I16), (32, I32)))
to_float = define("whole_to_float", REAL, (A,), lambda b, x: b.sitofp(x, F32))
to_whole = define("float_to_whole", A, (REAL,), lambda b, x: b.fptosi(x, I64))


@jit
def whole_number(at, kind, i):
    """Element i at an address, as int64."""
    if kind == INT64:
        return word(at, i)
    if kind == INT32:
        return word32(at, i)
    if kind == UINT32:
        return uint32(at, i)
    if kind == FLOAT32:
        x = number(at, i)
        return to_whole(x) if abs(x) < np.float32(2.0**63) else LEAST  # as the processor, and numpy, have it
    if kind == INT8:
        return int8(at, i)
    if kind == INT16:
        return int16(at, i)
    return uint16(at, i) if kind == UINT16 else byte(at, i)


@jit
def read_whole(to, at, kind, step, n):
    """n elements as int64; the same one for a step of 0."""
    if step == 0:
        value = whole_number(at, kind, 0)
        for i in range(n):
            put_word(to, i, value)
    elif kind == INT64:
        for i in range(n):
            put_word(to, i, word(at, i))
    elif kind == INT32:
        for i in range(n):
            put_word(to, i, word32(at, i))
    else:
        for i in range(n):
            put_word(to, i, whole_number(at, kind, i))


@jit
def write_whole(at, kind, source, n):
    """n int64 numbers as elements of a kind."""
    for i in range(n):
        value = word(source, i)
        if kind == INT64:
            put_word(at, i, value)
        elif kind == FLOAT32:
            put_number(at, i, to_float(value))
        elif kind == INT32 or kind == UINT32:
            write32(at, i, value)
        elif kind == INT16 or kind == UINT16:
            write16(at, i, value)
        else:
            write8(at, i, value if kind != BOOL else 1 if value != 0 else 0)


@jit
def combined(operation, a, b, c):
    """One result; the operation is the same for all elements, so the processor guesses the branches right."""
    if operation == ADD:
        return a + b
    if operation == SUBTRACT:
        return a - b
    if operation == MULTIPLY:
        return a * b
    if operation == EQUAL:
        return np.int64(a == b)
    if operation == NOT_EQUAL:
        return np.int64(a != b)
    if operation == LESS:
        return np.int64(a < b)
    if operation == LESS_EQUAL:
        return np.int64(a <= b)
    if operation == SMALLER:
        return min(a, b)
    if operation == LARGER:
        return max(a, b)
    if operation == AND:
        return np.int64(a != 0 and b != 0)
    if operation == OR:
        return np.int64(a != 0 or b != 0)
    if operation == CHOICE:
        return b if a != 0 else c
    if b == 0:  # as numpy has it
        return 0
    quotient = -a if b == -1 else a // b
    return quotient if operation == QUOTIENT else a - quotient * b


@kernel
def integers(row, begin, end, scratch):
    """A task is a block. 0 y, 1 its kind, 2 elements, 3 operation, 4 operands; from 5 operands: address, kind, bytes of an
    element (0: one for all); 14 bytes of an element of y"""
    operation, count = word(row, 3), word(row, 4)
    a, b, c = scratch, scratch + 8 * BLOCK, scratch + 16 * BLOCK
    size = word(row, 14)
    for task in range(begin, end):
        first = task * BLOCK
        n = min(BLOCK, word(row, 2) - first)
        for k in range(count):
            step = word(row, 7 + 3 * k)
            read_whole(scratch + 8 * BLOCK * k, word(row, 5 + 3 * k) + first * step, word(row, 6 + 3 * k), step, n)
        if operation != COPY:
            for i in range(n):
                put_word(a, i, combined(operation, word(a, i), word(b, i), word(c, i)))
        write_whole(word(row, 0) + first * size, word(row, 1), a, n)


def _serves(op: Any, dtypes: list[str], output: str) -> bool:
    """Whether the kernel does an op on these dtypes: whole numbers and booleans, of one sign where that matters."""
    if type(op) not in OPERATIONS or any(d not in KINDS for d in (*dtypes, output)):
        return False
    if isinstance(op, e.Cast):
        kinds = {*dtypes, output}
        return kinds != {"float32"} and kinds != {"float32", "bool"} and not ("uint64" in kinds and "float32" in kinds)
    if "float32" in (*dtypes, output) or op.result_dtype(*dtypes) != output:
        return False
    if isinstance(op, e.LogicalAnd | e.LogicalOr | e.LogicalXor | e.LogicalNot):
        return all(d == "bool" for d in dtypes)
    given = dtypes[1:] if isinstance(op, e.Where) else dtypes
    return len(set(given)) == 1 and ("uint64" not in given or OPERATIONS[type(op)][0] in ANY_SIGN)


def add_integers(op: Any, inputs: list[Operand], output: Operand, builder: Builder) -> bool:
    """Adds the step of an elementwise op on whole numbers or booleans; False, before anything is added, for another one."""
    if not _serves(op, [x.dtype for x in inputs], output.dtype):
        return False
    operation, exchanged = OPERATIONS[type(op)]
    y = output if output.contiguous else builder.temporary(output.shape, output.dtype)
    if isinstance(op, e.LogicalNot):
        inputs = [*inputs, builder.constant(np.zeros((), "bool"))]
    operands = [x if x.size == 1 else builder.contiguous(x.broadcast(y.shape)) for x in (inputs[::-1] if exchanged else inputs)]
    words: list[Word] = [y, KINDS[y.dtype], y.size, operation, len(operands)]
    for x in operands:
        words += [x, KINDS[x.dtype], x.itemsize if x.size > 1 else 0]
    words += [0] * (14 - len(words)) + [y.itemsize]
    builder.step(integers, words, -(-y.size // BLOCK), WORK * y.size, operands, [y], scratch=24 * BLOCK)
    builder.copy(y, output)
    return True
