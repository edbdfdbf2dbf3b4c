"""Functions of float32 vectors that need float64 inside: the angle's reduction of sin, cos and tan, and exact remainders.

`sin`, `cos` and `tan` are good to a relative 3e-7 up to |x| = 1e6; the absolute error of `sin` and `cos` stays below 1e-6 up
to 1e9.
"""
from typing import Any

import numpy as np
from llvmlite import ir

from graphnet.backends.cpu.cache import jit
from graphnet.backends.cpu.simd import LANES, VEC, V, above, absolute, below, copysign, define, floor, fma, full
from graphnet.backends.cpu.simd import equal as where_equal
from graphnet.backends.cpu.vectormath import HALF, INF, NAN, ONE, ZERO, negative, polynomial

F64V = ir.VectorType(ir.DoubleType(), LANES)
PIO2_LOW = 6.123233995736766e-17  # pi / 2 less its float64
LAST, MIDDLE = np.float32(3), np.float32(1.5)  # of quarters 0 to 3


def _double(value: float) -> Any:
    return ir.Constant(F64V, [value] * LANES)


def _double_call(builder: Any, name: str, *args: Any) -> Any:
    kind = ir.FunctionType(F64V, [F64V] * len(args))
    full_name = f"llvm.{name}.v{LANES}f64"
    function = builder.module.globals.get(full_name) or ir.Function(builder.module, kind, full_name)
    return builder.call(function, args)


def _turns(builder: Any, x: Any) -> tuple[Any, Any]:
    """(x in float64, how many quarter turns it has)."""
    x = builder.fpext(x, F64V)
    return x, _double_call(builder, "rint", builder.fmul(x, _double(2 / np.pi)))


def _reduced(builder: Any, x: Any) -> Any:
    wide, n = _turns(builder, x)
    wide = _double_call(builder, "fma", n, _double(-np.pi / 2), wide)
    wide = _double_call(builder, "fma", n, _double(-PIO2_LOW), wide)
    return builder.fptrunc(wide, VEC)


def _quadrant(builder: Any, x: Any) -> Any:
    _, n = _turns(builder, x)
    return builder.fptrunc(builder.fsub(n, builder.fmul(_double(4.0), _double_call(
        builder, "floor", builder.fmul(n, _double(0.25))))), VEC)


def _remainder(builder: Any, x: Any, y: Any) -> Any:
    """The rest of x / y with y's sign. Each round is exact and takes 53 bits off the quotient, which has up to 277."""
    rest, by = builder.fpext(x, F64V), builder.fpext(y, F64V)
    for _ in range(6):
        quotient = _double_call(builder, "trunc", builder.fdiv(rest, by))
        rest = _double_call(builder, "fma", builder.fneg(quotient), by, rest)
    zero = _double(0.0)
    wrong = builder.xor(builder.fcmp_ordered("<", rest, zero), builder.fcmp_ordered("<", by, zero))
    wrong = builder.and_(wrong, builder.fcmp_unordered("!=", rest, zero))
    rest = builder.select(wrong, builder.fadd(rest, by), rest)
    return builder.fptrunc(rest, VEC)


reduced = define("reduced", V, (V,), _reduced)
quadrant = define("quadrant", V, (V,), _quadrant)
exact_rest = define("exact_rest", V, (V, V), _remainder)

_sin_tail = polynomial("sin", -0.166666552, 0.00833218917, -0.000195182773)  # (sin(r) - r) / r**3 of r**2
_cos_tail = polynomial("cos", 0.0416666456, -0.00138873013, 2.44306611e-05)  # (cos(r) - 1 + r**2 / 2) / r**4 of r**2


# ---- angles

@jit
def sin(x):
    return where_equal(x, ZERO, x, sin_quadrant(reduced(x), quadrant(x)))


@jit
def cos(x):
    q = quadrant(x) + ONE
    return sin_quadrant(reduced(x), above(q, LAST, full(ZERO), q))


@jit
def sin_quadrant(r, q):
    """sin(r + q quarter turns), q from 0 to 3."""
    s = r * r
    sine, cosine = fma(r * s, _sin_tail(s), r), fma(s * s, _cos_tail(s), fma(s, -HALF, ONE))
    y = where_equal(q, ONE, cosine, where_equal(q, LAST, cosine, sine))
    return above(q, MIDDLE, negative(y), y)


@jit
def tan(x):
    r, q = reduced(x), quadrant(x)
    s = r * r
    sine, cosine = fma(r * s, _sin_tail(s), r), fma(s * s, _cos_tail(s), fma(s, -HALF, ONE))
    odd = where_equal(q, ONE, full(ONE), where_equal(q, LAST, full(ONE), full(ZERO)))
    y = above(odd, HALF, negative(cosine), sine) / above(odd, HALF, sine, cosine)
    return where_equal(x, ZERO, x, y)


# ---- quotients

@jit
def modulo(x, y):
    """numpy.mod: the exact rest of x / y, with the sign of y."""
    by_infinity = below(x * copysign(ONE, y), ZERO, y, x)  # x itself, or y where the signs differ
    by_infinity = where_equal(absolute(x), INF, full(NAN), by_infinity)
    rest = where_equal(absolute(y), INF, by_infinity, exact_rest(x, y))
    return where_equal(rest, ZERO, copysign(ZERO, y), rest)


@jit
def floor_divide(x, y):
    """numpy.floor_divide: the whole number nearest to (x - rest) / y."""
    rest = modulo(x, y)
    quotient = (x - rest) / y
    whole = floor(quotient)
    whole = above(quotient - whole, HALF, whole + ONE, whole)
    by_infinity = where_equal(rest, INF, full(-ONE), where_equal(rest, -INF, full(-ONE), rest * ZERO))
    whole = where_equal(absolute(y), INF, by_infinity, whole)
    whole = where_equal(whole, ZERO, copysign(ZERO, x / y), whole)
    return where_equal(y, ZERO, x / y, whole)
