"""Functions of float32 vectors: what formulas of ops may use, besides ``+ - * /`` and what `simd` has.

Measured against float64: relative errors of at most 4e-7 (most below 2e-7), over the whole range, with denormal results;
NaN propagates, infinities and signed zeros are numpy's. The polynomials' coefficients are minimax fits (Lawson's iteration,
weighted for relative error, rounded to float32 one after another). Arguments are reduced by integer arithmetic on the bits or
with fused products, so that results are the same bytes on every processor with fused multiply-add.
"""
from typing import Any

import numpy as np
from llvmlite import ir

from graphnet.backends.cpu.cache import jit
from graphnet.backends.cpu.simd import (
    IVEC,
    LANES,
    VEC,
    V,
    above,
    absolute,
    at_least,
    at_most,
    below,
    called,
    copysign,
    define,
    fma,
    full,
    fused,
    isnan,
    power,
    sqrt,
)
from graphnet.backends.cpu.simd import equal as where_equal

f = np.float32
ZERO, HALF, ONE, TWO, INF, NAN = f(0), f(0.5), f(1), f(2), f(np.inf), f(np.nan)
LN2, LN2_LOW, LOG2E = f(np.log(2)), f(np.log(2) - float(f(np.log(2)))), f(1 / np.log(2))
MAGIC = f(1.5 * 2**23)  # n + MAGIC holds a whole n in its last bits
TINY, SCALE, SCALED = f(2.0**-126), f(2.0**24), f(24)  # below TINY numbers are denormal
PI, HALF_PI = f(np.pi), f(np.pi / 2)
PI_LOW, HALF_PI_LOW = f(np.pi - float(PI)), f(np.pi / 2 - float(HALF_PI))
EXP_LOW, EXP_HIGH = f(-104.0), f(89.0)  # beyond them exp is 0 and infinite
EXP_FADED = f(-87.0)  # below it exp is denormal, or 0


# ---- pieces of LLVM code

def polynomial(name: str, *coefficients: float) -> Any:
    """The intrinsic of a polynomial, the coefficient of x**0 first, by Horner's rule with fused products."""
    def build(builder: Any, x: Any) -> Any:
        y = ir.Constant(VEC, [f(coefficients[-1])] * LANES)
        for c in coefficients[-2::-1]:
            y = fused(builder, y, x, ir.Constant(VEC, [f(c)] * LANES))
        return y
    return define(f"polynomial_{name}", V, (V,), build)


def _int(value: int) -> Any:
    return ir.Constant(IVEC, [value] * LANES)


def _bits(x: np.float32) -> int:
    return int(np.asarray(x).view(np.int32))


def _power(builder: Any, n: Any) -> Any:
    return builder.bitcast(builder.shl(builder.add(n, _int(127)), _int(23)), VEC)


def _scaled(builder: Any, y: Any, shifted: Any) -> Any:
    """y * 2**n in two steps, as 2**n alone may be out of range; shifted = n + MAGIC."""
    n = builder.sub(builder.bitcast(shifted, IVEC), _int(_bits(MAGIC)))
    half = builder.ashr(n, _int(1))
    y = builder.fmul(y, _power(builder, half))
    return builder.fmul(y, _power(builder, builder.sub(n, half)))


def _exponent(builder: Any, x: Any) -> Any:
    return builder.ashr(builder.sub(builder.bitcast(x, IVEC), _int(_bits(f(np.sqrt(0.5))))), _int(23))


def _log_mantissa(builder: Any, x: Any) -> Any:
    shift = builder.shl(_exponent(builder, x), _int(23))
    return builder.bitcast(builder.sub(builder.bitcast(x, IVEC), shift), VEC)


scaled = define("scaled", V, (V, V), _scaled)
# of a positive normal x = mantissa * 2**exponent with the mantissa from sqrt(1/2) to sqrt(2)
log_exponent = define("log_exponent", V, (V,), lambda b, x: b.sitofp(_exponent(b, x), VEC))
log_mantissa = define("log_mantissa", V, (V,), _log_mantissa)
# scaled_down(x, e): x * 2**-e, for whole e of log_exponent
scaled_down = define("scaled_down", V, (V, V), lambda b, x, e: _scaled(
    b, x, b.fsub(ir.Constant(VEC, [MAGIC] * LANES), e)))
truncated = define("truncated", V, (V,), lambda b, x: called(b, "trunc", ir.FunctionType(VEC, [VEC]), [x]))
# from_int32(x): x's bits are int32 numbers
from_int32 = define("from_int32", V, (V,), lambda b, x: b.sitofp(b.bitcast(x, IVEC), VEC))
negative = define("negative", V, (V,), lambda b, x: b.fneg(x))


def _indicator(name: str, relation: str, ordered: bool = True) -> Any:
    """relation(x, y) as 1.0 or 0.0."""
    def build(builder: Any, x: Any, y: Any) -> Any:
        compare = builder.fcmp_ordered if ordered else builder.fcmp_unordered
        return builder.uitofp(compare(relation, x, y), VEC)
    return define(name, V, (V, V), build)


equal, not_equal = _indicator("is_equal", "=="), _indicator("is_not_equal", "!=", ordered=False)
less, less_equal = _indicator("is_less", "<"), _indicator("is_less_equal", "<=")
greater, greater_equal = _indicator("is_greater", ">"), _indicator("is_greater_equal", ">=")

_exp_tail = polynomial("exp", 0.49999994, 0.166665211, 0.041668281, 0.0083686905, 0.00138195115)  # (exp(r) - 1 - r) / r**2
_log_tail = polynomial("log", 0.333333313, -0.250008196, 0.200012431, -0.166234106, 0.142015398, -0.131595537,
                       0.127624914, -0.0763693526)  # (log(1 + r) - r + r**2 / 2) / r**3
_atanh_tail = polynomial("atanh", 0.666667759, 0.399775684, 0.298714697)  # (log((1 + t) / (1 - t)) - 2t) / t**3 of t**2
_sinh_tail = polynomial("sinh", 0.166667163, 0.00833027437, 0.000203728327)  # (sinh(r) - r) / r**3 of r**2, |r| < 1
_arctan_tail = polynomial("arctan", -0.333331525, 0.199937686, -0.142110243, 0.106658928, -0.0755199343, 0.0432094261,
                          -0.0163665209, 0.00292035984)  # (arctan(r) - r) / r**3 of r**2, |r| < 1
_arcsin_tail = polynomial("arcsin", 0.166667536, 0.0749525204, 0.0454760417, 0.0241520926, 0.0422117971)  # ... |r| < 1/2
_erf_slope = polynomial("erf", 0.128379167, -0.376122385, 0.112793915, -0.0266865157, 0.00488581415,
                        -0.000548952317)  # erf(r) / r - 1 of r**2, |r| < 0.95
_log_erfc = polynomial("log_erfc", -0.000244713592, -1.12747502, -0.637516856, -0.103640564, 0.0220878199, -0.00300860056,
                       0.000192434629)  # of r from 0.95 to 4
_tanh_over = polynomial("tanh_over", 1.0, 0.13381029665470123, 0.003495592623949051, 2.0609155399142765e-05,
                        1.3354753747307768e-08)  # tanh(r) / r = over / under of r**2, |r| < 9
_tanh_under = polynomial("tanh_under", 1.0, 0.4671434462070465, 0.025876998901367188, 0.0003285642305854708,
                         7.776598067721352e-07)


# ---- exponentials

@jit
def exp(x):
    """e**x: 2**n times a polynomial of what is left."""
    x = at_most(at_least(x, EXP_LOW), EXP_HIGH)
    t = fma(x, LOG2E, MAGIC)
    n = t - MAGIC
    r = fma(n, -LN2_LOW, fma(n, -LN2, x))
    return scaled(fma(r * r, _exp_tail(r), r) + ONE, t)


@jit
def exp_below(x):
    """e**x of x <= 0; 0 where it would be denormal, which would take twice the time. A NaN stays."""
    within = at_least(x, EXP_FADED)
    t = fma(within, LOG2E, MAGIC)
    n = t - MAGIC
    r = fma(n, -LN2_LOW, fma(n, -LN2, within))
    return below(x, EXP_FADED, full(ZERO), (fma(r * r, _exp_tail(r), r) + ONE) * power(n))


@jit
def expm1(x):
    """e**x - 1; half of it is made first, as 2**n may be infinite where the result is not."""
    given, x = x, at_most(at_least(x, f(-20)), EXP_HIGH)
    t = fma(x, LOG2E, MAGIC)
    n = t - MAGIC
    r = fma(n, -LN2_LOW, fma(n, -LN2, x))
    half = scaled(full(HALF), t)
    y = fma(half, fma(r * r, _exp_tail(r), r), half - HALF) * TWO
    return where_equal(given, ZERO, given, y)


@jit
def sigmoid(x):
    """1 / (1 + exp(-x)), of the exponential that cannot overflow."""
    e = exp(negative(absolute(x)))
    return below(x, ZERO, e, full(ONE)) / (ONE + e)


@jit
def tanh(x):
    a = absolute(x)
    s = a * a
    y = at_most(a * _tanh_over(s) / _tanh_under(s), ONE)
    return copysign(above(a, f(9), full(ONE), y), x)


@jit
def silu(x):
    return x * sigmoid(x)


@jit
def softplus(x):
    """log(1 + exp(x)), of the exponential that cannot overflow."""
    return larger(x, ZERO) + log1p(exp(negative(absolute(x))))


@jit
def sinh(x):
    a, s = absolute(x), x * x
    h = exp(a * HALF)
    return above(a, ONE, copysign(fma(h * HALF, h, negative(HALF / (h * h))), x), fma(x * s, _sinh_tail(s), x))


@jit
def cosh(x):
    h = exp(absolute(x) * HALF)
    return fma(h * HALF, h, HALF / (h * h))


# ---- logarithms and powers

@jit
def log(x):
    given = x
    x = below(x, TINY, x * SCALE, x)
    e = log_exponent(x) - below(given, TINY, full(SCALED), full(ZERO))
    y = log_sum(log_mantissa(x) - ONE, e)
    y = where_equal(given, ZERO, full(-INF), below(given, ZERO, full(NAN), y))
    return above(given, f(3.4028235e38), given, isnan(given, given, y))


@jit
def log_sum(r, e):
    """log(1 + r) + e log(2) for r from sqrt(1/2) - 1 to sqrt(2) - 1."""
    s = r * r
    y = fma(e, LN2_LOW, r * s * _log_tail(r))
    return fma(e, LN2, r + fma(s, -HALF, y))


@jit
def log1p(x):
    """log(1 + x): the exponent is that of 1 + x, but what is left of x is scaled by itself and loses no digits."""
    e = log_exponent(x + ONE)
    down = scaled_down(full(ONE), e)
    y = log_sum(scaled_down(x, e) + (down - ONE), e)
    y = where_equal(x, -ONE, full(-INF), below(x, -ONE, full(NAN), y))
    y = where_equal(x, ZERO, x, y)
    return above(x, f(3.4028235e38), x, isnan(x, x, y))


@jit
def power_of(x, y):
    """x**y of x > 0: the logarithm has a second float32 for its rounding error, as y may enlarge it by 1000."""
    small = below(x, TINY, full(SCALED), full(ZERO))
    x = below(x, TINY, x * SCALE, x)
    e, m = log_exponent(x) - small, log_mantissa(x)
    over, under = m - ONE, m + ONE
    t = over / under
    t_low = (fma(negative(t), under, over) - t * (m - (under - ONE))) / under
    s = t * t
    high = e * LN2
    low = fma(e, LN2, negative(high)) + e * LN2_LOW  # exact product and its error
    twice = t * TWO
    total = high + twice
    low = low + ((high - total) + twice) + fma(t * s, _atanh_tail(s), t_low * TWO)
    whole = total + low
    low = (total - whole) + low
    product = y * whole
    rest = fma(y, whole, negative(product)) + y * low
    bounded = at_most(at_least(product, EXP_LOW), EXP_HIGH)
    shifted = fma(bounded, LOG2E, MAGIC)
    n = shifted - MAGIC
    rest = below(absolute(product), f(1000), rest, full(ZERO))
    r = fma(n, -LN2, bounded) + fma(n, -LN2_LOW, rest)
    return scaled(fma(r * r, _exp_tail(r), r) + ONE, shifted)


@jit
def pow(x, y):
    """x**y with C's rules: 1 for y = 0 and for x = 1, NaN for a negative x unless y is whole."""
    a = absolute(x)
    z = power_of(a, y)
    grows = above(a, ONE, y, negative(y))  # its sign says whether a**y goes to infinity, where a or y is extreme
    extreme = above(grows, ZERO, full(INF), full(ZERO))
    z = where_equal(a, ZERO, extreme, where_equal(a, INF, extreme, where_equal(absolute(y), INF, extreme, z)))
    whole, half = where_equal(truncated(y), y, full(ONE), full(ZERO)), y * HALF
    odd = where_equal(truncated(half), half, full(ZERO), whole)
    z = below(copysign(ONE, x), ZERO, above(odd, ZERO, negative(z), z), z)
    z = below(x, ZERO, above(whole, ZERO, z, where_equal(a, INF, z, full(NAN))), z)
    z = where_equal(a, ONE, where_equal(absolute(y), INF, full(ONE), z), z)
    z = isnan(x, x, isnan(y, y, z))
    return where_equal(y, ZERO, full(ONE), where_equal(x, ONE, full(ONE), z))


@jit
def rsqrt(x):
    return ONE / sqrt(x)


@jit
def reciprocal(x):
    return ONE / x


# ---- angles

@jit
def arctan(x):
    a = absolute(x)
    r = above(a, ONE, ONE / a, a)
    y = arctan_small(r)
    return copysign(above(a, ONE, HALF_PI - (y - HALF_PI_LOW), y), x)


@jit
def arctan_small(r):
    s = r * r
    return fma(r * s, _arctan_tail(s), r)


@jit
def arctan2(y, x):
    """The angle of the point (x, y), from -pi to pi."""
    a, b = absolute(x), absolute(y)
    big, small = above(b, a, b, a), above(b, a, a, b)
    r = where_equal(big, ZERO, full(ZERO), where_equal(small, INF, full(ONE), small / big))
    angle = arctan_small(r)
    angle = above(b, a, HALF_PI - (angle - HALF_PI_LOW), angle)
    angle = below(copysign(ONE, x), ZERO, PI - (angle - PI_LOW), angle)
    return isnan(x, x, isnan(y, y, copysign(angle, y)))


@jit
def arcsin_small(r):
    s = r * r
    return fma(r * s, _arcsin_tail(s), r)


@jit
def arcsin(x):
    a = absolute(x)
    r = above(a, HALF, sqrt((ONE - a) * HALF), a)
    y = arcsin_small(r)
    return copysign(above(a, HALF, HALF_PI - (y * TWO - HALF_PI_LOW), y), x)


@jit
def arccos(x):
    a = absolute(x)
    r = above(a, HALF, sqrt((ONE - a) * HALF), x)
    y = arcsin_small(r)
    beyond = below(x, ZERO, PI - (y * TWO - PI_LOW), y * TWO)
    return above(a, HALF, beyond, HALF_PI - (y - HALF_PI_LOW))


@jit
def arcsinh(x):
    a = absolute(x)
    s = a * a
    y = above(a, f(1e9), log(a) + LN2, log1p(a + s / (ONE + sqrt(s + ONE))))
    return copysign(y, x)


@jit
def arccosh(x):
    t = x - ONE
    y = above(x, f(1e9), log(x) + LN2, log1p(t + sqrt(t * (x + ONE))))
    return below(x, ONE, full(NAN), y)


@jit
def arctanh(x):
    a = absolute(x)
    return copysign(HALF * log1p(a * TWO / (ONE - a)), x)


@jit
def erf(x):
    a = absolute(x)
    near = fma(x, _erf_slope(x * x), x)
    return above(a, f(0.95), copysign(ONE - exp(_log_erfc(at_most(a, f(4)))), x), near)


# ---- choices; truth is 1.0 and 0.0

@jit
def larger(x, y):
    """The larger; NaN where either is NaN."""
    return isnan(y, y, at_least(x, y))


@jit
def smaller(x, y):
    """The smaller; NaN where either is NaN."""
    return isnan(y, y, at_most(x, y))


@jit
def where(condition, x, y):
    return where_equal(condition, ZERO, y, x)


@jit
def sign(x):
    return above(x, ZERO, full(ONE), below(x, ZERO, full(-ONE), x + ZERO))  # numpy's sign of -0 is 0


@jit
def is_nan(x):
    return isnan(x, ONE, ZERO)


@jit
def is_inf(x):
    return where_equal(absolute(x), INF, full(ONE), full(ZERO))


@jit
def is_finite(x):
    return below(absolute(x), INF, full(ONE), full(ZERO))


@jit
def logical_not(x):
    return equal(x, ZERO)


@jit
def logical_and(x, y):
    return not_equal(x, ZERO) * not_equal(y, ZERO)


@jit
def logical_or(x, y):
    return at_least(not_equal(x, ZERO), not_equal(y, ZERO))


@jit
def logical_xor(x, y):
    return not_equal(not_equal(x, ZERO), not_equal(y, ZERO))
