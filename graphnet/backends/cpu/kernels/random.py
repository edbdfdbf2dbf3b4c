"""Random bits, uniform and normal numbers, dropout's factors: Philox4x64-10, eight 32-bit words for each value of its counter.

Any element is computed by itself, so the numbers are those of the reference bit for bit, however tasks are shared. Source:
Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (https://doi.org/10.1145/2063384.2063405).
"""
import math
from typing import Any

import numpy as np
from llvmlite import ir

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder, Word
from graphnet.backends.cpu.simd import (
    DOUBLE,
    I64,
    IVEC,
    LANES,
    VEC,
    A,
    V,
    below,
    define,
    full,
    load,
    load_part,
    put_number,
    put_word,
    real,
    store,
    store_part,
    word,
    word32,
)
from graphnet.ops.random import RandomBits, RandomFactors, RandomNormal, RandomUniform

BLOCK = 1024  # elements of a task
GROUP = 8  # words that one value of the counter gives
WORK, NORMAL_WORK = 10.0, 100.0  # multiply-adds that take as long as a word, and a normal number
ROUNDS = 10
BITS, UNIFORM, FACTORS = range(3)
I128 = ir.IntType(128)
ZERO = np.float32(0)


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


FIRST, SECOND = _signed(0xD2E7470EE14C6C93), _signed(0xCA5A826395121157)  # multipliers
BUMP, OTHER_BUMP = _signed(0x9E3779B97F4A7C15), _signed(0xBB67AE8584CAA73B)  # what each round adds to the keys

# the upper half of a product of unsigned words; the lower one is that of signed words
upper = define("upper", A, (A, A), lambda b, x, y: b.trunc(
    b.lshr(b.mul(b.zext(x, I128), b.zext(y, I128)), ir.Constant(I128, 64)), I64))


def _fraction(builder: Any, x: Any) -> Any:
    """The leading 24 of 32 bits, times 2**-24."""
    bits = builder.lshr(builder.bitcast(x, IVEC), ir.Constant(IVEC, [8] * LANES))
    return builder.fmul(builder.sitofp(bits, VEC), ir.Constant(VEC, [2.0**-24] * LANES))


fraction = define("fraction", V, (V,), _fraction)


@jit
def philox(to, count, key, other_key):
    """The four words of 64 bits for a value of the counter."""
    a, b, c, d = count, 0, 0, 0
    for _ in range(ROUNDS):
        high, low, high_c, low_c = upper(FIRST, a), FIRST * a, upper(SECOND, c), SECOND * c
        a, b, c, d = high_c ^ b ^ key, low_c, high ^ d ^ other_key, low
        key, other_key = key + BUMP, other_key + OTHER_BUMP
    put_word(to, 0, a)
    put_word(to, 1, b)
    put_word(to, 2, c)
    put_word(to, 3, d)


@jit
def keys_of(seed, size):
    """The two words of a seed, of 4 or 8 bytes each."""
    if size == 4:
        return word(seed, 0) & 0xFFFFFFFF, (word(seed, 0) >> 32) & 0xFFFFFFFF
    return word(seed, 0), word(seed, 1)


@jit
def converted(bits, mode, rate, scale):
    """A vector of words as what is drawn."""
    if mode == BITS:
        return bits
    u = fraction(bits)
    return u if mode == UNIFORM else below(u, rate, full(ZERO), scale)


@kernel
def random_words(row, begin, end, scratch):
    """A task is BLOCK elements. 0 y, 1 elements, 2 mode, 3 the seed, 4 bytes of each of its two words, 5 rate, 6 factor of what
    is kept"""
    mode, rate, scale = word(row, 2), full(real(row, 5)), full(real(row, 6))
    key, other_key = keys_of(word(row, 3), word(row, 4))
    for task in range(begin, end):
        n = min(BLOCK, word(row, 1) - task * BLOCK)
        for i in range((n + GROUP - 1) // GROUP):
            philox(scratch + 4 * GROUP * i, task * (BLOCK // GROUP) + i + 1, key, other_key)
        y, whole = word(row, 0) + 4 * task * BLOCK, n // LANES * LANES
        for i in range(0, whole, LANES):
            store(y, i, converted(load(scratch, i), mode, rate, scale))
        if whole < n:
            store_part(y, whole, n - whole, converted(load_part(scratch, whole, n - whole), mode, rate, scale))


# ---- normal numbers, in float64 by the very operations of `graphnet.ops.random.normal_pairs`

LOGARITHM = [2.0 / (2 * k + 1) for k in range(12)]
SINE = [(-1.0) ** k / math.factorial(2 * k + 1) for k in range(10)]
COSINE = [(-1.0) ** k / math.factorial(2 * k) for k in range(10)]
ROOT, LN2, HALF_PI = math.sqrt(0.5), math.log(2.0), 0.5 * math.pi
F64 = ir.DoubleType()
HALF_BITS, MANTISSA = 1022 << 52, (1 << 52) - 1


def _series(name: str, coefficients: list[float]) -> Any:
    """The intrinsic of a polynomial, by Horner's rule without fused products."""
    def build(builder: Any, x: Any) -> Any:
        y = F64(coefficients[-1])
        for c in coefficients[-2::-1]:
            y = builder.fadd(builder.fmul(y, x), F64(c))
        return y
    return define(f"series_{name}", DOUBLE, (DOUBLE,), build)


logarithm, sine_of, cosine_of = _series("log", LOGARITHM), _series("sine", SINE), _series("cosine", COSINE)
bits_of = define("bits_of", A, (DOUBLE,), lambda b, x: b.bitcast(x, I64))
from_bits = define("from_bits", DOUBLE, (A,), lambda b, x: b.bitcast(x, F64))


@jit
def uniform_number(words, i):
    """Word i as a multiple of 2**-24 in [0, 1)."""
    return np.float64((word32(words, i) & 0xFFFFFFFF) >> 8) * 2.0**-24


@jit
def normal_pair(u, v):
    bits = bits_of(1.0 - u)
    exponent, mantissa = (bits >> 52) - 1022, from_bits(bits & MANTISSA | HALF_BITS)
    if mantissa < ROOT:
        exponent, mantissa = exponent - 1, mantissa + mantissa
    s = (mantissa - 1.0) / (mantissa + 1.0)
    radius = math.sqrt(-2.0 * (exponent * LN2 + s * logarithm(s * s)))
    quarter = math.floor(4.0 * v + 0.5)
    r, turn = (4.0 * v - quarter) * HALF_PI, np.int64(quarter) & 3
    sine, cosine = r * sine_of(r * r), cosine_of(r * r)
    if turn & 1:
        sine, cosine = cosine, sine
    return (-radius if turn == 1 or turn == 2 else radius) * cosine, (-radius if turn >= 2 else radius) * sine


@kernel
def random_normal(row, begin, end, scratch):
    """A task is BLOCK elements. 0 y, 1 elements, 2 the seed, 3 bytes of each of its two words"""
    key, other_key = keys_of(word(row, 2), word(row, 3))
    for task in range(begin, end):
        n, y = min(BLOCK, word(row, 1) - task * BLOCK), word(row, 0) + 4 * task * BLOCK
        for i in range((n + GROUP - 1) // GROUP):
            philox(scratch + 4 * GROUP * i, task * (BLOCK // GROUP) + i + 1, key, other_key)
        for i in range(0, n, 2):
            a, b = normal_pair(uniform_number(scratch, i), uniform_number(scratch, i + 1))
            put_number(y, i, np.float32(a))
            if i + 1 < n:
                put_number(y, i + 1, np.float32(b))


@lowers(RandomNormal)
def lower_normal(op: RandomNormal, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                 epilogue: Any = None) -> bool | None:
    """Normal numbers of float32."""
    (seed,), (out,) = inputs, outputs
    if out.dtype != "float32" or seed.dtype not in ("uint32", "uint64"):
        return False
    seed = builder.contiguous(seed)
    y = out if out.contiguous else builder.temporary(out.shape)
    builder.step(random_normal, [y, y.size, seed, seed.itemsize], -(-y.size // BLOCK), NORMAL_WORK * y.size, [seed], [y],
                 scratch=4 * BLOCK)
    builder.copy(y, out)
    return None


@lowers(RandomBits, RandomUniform, RandomFactors)
def lower_random(op: Any, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> bool | None:
    """32 bits an element: words of uint32, numbers of float32."""
    (seed,), (out,) = inputs, outputs
    if out.dtype != ("uint32" if isinstance(op, RandomBits) else "float32") or seed.dtype not in ("uint32", "uint64"):
        return False
    seed = builder.contiguous(seed)
    y = out if out.contiguous else builder.temporary(out.shape, out.dtype)
    mode, rate = BITS if isinstance(op, RandomBits) else UNIFORM, 0.0
    if isinstance(op, RandomFactors):
        mode, rate = FACTORS, op.rate
    words: list[Word] = [y, y.size, mode, seed, seed.itemsize, rate, 1.0 / (1.0 - rate)]
    builder.step(random_words, words, -(-y.size // BLOCK), WORK * y.size, [seed], [y], scratch=4 * BLOCK)
    builder.copy(y, out)
    return None
