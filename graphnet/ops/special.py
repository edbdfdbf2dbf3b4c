"""Functions of each element that have no vector formula: numpy computes them, and they run between two stretches of kernels."""
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from graphnet import dtypes
from graphnet.errors import DTypeError
from graphnet.graph import Spec
from graphnet.op import Elementwise, Op, Samples, broadcast
from graphnet.ops.elementwise import (
    TWO_BY_ROOT_PI,
    binary,
    equal,
    exp,
    flat,
    greater,
    isnan,
    less,
    logical_or,
    shared,
    sigmoid,
    unary,
    where,
)


class _Special(Op):
    """An elementwise numpy function, of operands that broadcast."""

    function: ClassVar[Callable[..., Any]]
    derivative: ClassVar[Callable[..., Any] | None]
    result: ClassVar[str] = "float"  # "same", "bool" or "float", as for `Elementwise`; "bits" for whole numbers only
    arity: ClassVar[int] = 1

    def infer(self, *specs: Spec) -> Spec:
        names = [s.dtype for s in specs]
        if self.result == "bits" and any(n in dtypes.FLOATS for n in names):
            raise DTypeError(f"{self.name} expects whole numbers or booleans; received {', '.join(names)}. Cast the operands "
                             "first.")
        return Spec(broadcast([s.shape for s in specs], self.name), self.result_dtype(*names))

    def result_dtype(self, *names: str) -> str:
        if self.result == "bits":
            return dtypes.result_type(*names)
        return Elementwise.result_dtype(self, *names)  # type: ignore[arg-type]

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        dtype = self.infer(*[Spec(a.shape, a.dtype.name) for a in arrays]).dtype
        with np.errstate(all="ignore"):
            return np.asarray(type(self).function(*arrays), dtype)

    def vjp(self, g: Any, y: Any, *xs: Any) -> list[Any]:
        if type(self).derivative is None:
            return super().vjp(g, y, *xs)
        with np.errstate(all="ignore"):
            out = type(self).derivative(g, y, *xs)
        return list(out) if isinstance(out, tuple) else [out]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        for shapes in (((5, 7), (5, 7)), ((3, 1, 17), (4, 1)), ((0, 3), (3,)), ((), ())):
            if cls.result == "bits":
                yield cls(), [rng.integers(0, 8, s).astype("int32") for s in shapes[:cls.arity]]
            else:
                yield cls(), [rng.uniform(0.1, 0.9, s).astype("float32") for s in shapes[:cls.arity]]


def special(name: str, arity: int, function: Callable[..., Any], derivative: Callable[..., Any] | None, doc: str,
            result: str = "float") -> type[Op]:
    """The Op class of such a function; `derivative(g, y, *xs)` is its vjp, if it has one."""
    members = {"__doc__": doc, "function": staticmethod(function), "derivative": derivative and staticmethod(derivative),
               "result": result, "arity": arity, "__module__": __name__}
    return dataclass(frozen=True)(type(name, (_Special,), members))


def _wide(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function computed in float64: numpy's own for float32 miss exact results, as log10(1000) = 3."""
    return lambda x: function(np.asarray(x, np.float64))


# Wichura's algorithm AS 241 for the normal quantile function, https://doi.org/10.2307/2347330: a ratio of polynomials for the
# middle,
# for the near tails and for the far tails, lowest power first
_MIDDLE = ((3.3871328727963666080, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
            4.5921953931549871457e4,
            6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
           (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3, 2.1213794301586595867e4,
            3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3))
_NEAR = ((1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504, 1.27045825245236838258,
          2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
         (1.0, 2.05319162663775882187, 1.67638483018380384940, 6.89767334985100004550e-1, 1.48103976427480074590e-1,
          1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9))
_FAR = ((6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580, 2.96560571828504891230e-1,
         2.65321895265761230930e-2,
         1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
        (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2, 7.86869131145613259100e-4,
         1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15))


def _ratio(coefficients: Any, t: np.ndarray) -> np.ndarray:
    above, below = [np.full(t.shape, row[-1]) for row in coefficients]
    for p, q in zip(coefficients[0][-2::-1], coefficients[1][-2::-1], strict=True):
        above *= t
        above += p
        below *= t
        below += q
    return np.divide(above, below, out=above)


def erfinv_values(y: np.ndarray) -> np.ndarray:
    """The x with erf(x) = y, in float64; infinite at -1 and 1, NaN beyond."""
    q = np.asarray(y, np.float64).reshape(-1) / 2.0
    x = q * _ratio(_MIDDLE, 0.180625 - q * q)
    tails = np.flatnonzero(np.abs(q) > 0.425)
    r = np.sqrt(-np.log(np.maximum(0.5 - np.abs(q[tails]), 1e-300)))
    x[tails] = np.copysign(np.where(r <= 5.0, _ratio(_NEAR, r - 1.6), _ratio(_FAR, r - 5.0)), q[tails])
    x = np.where(np.abs(q) < 0.5, x * np.sqrt(0.5), np.where(np.abs(q) == 0.5, np.copysign(np.inf, q), np.nan))
    return x.reshape(np.shape(y))


def bessel_i1_values(x: np.ndarray) -> np.ndarray:
    """The mean of exp(x cos t) cos t over a circle. The error of N equidistant points is the Bessel function of order N - 1:
    below rounding at 512 points, up to where it overflows.
    """
    total = np.zeros(x.shape)
    for cosine in np.cos(np.arange(1, 256) * (math.pi / 256)):  # of the upper half: the lower one mirrors it
        total += np.exp(x * cosine) * cosine
    return (2.0 * total + np.exp(x) - np.exp(-x)) / 512


def _hypot_vjp(g: Any, z: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Nothing flows at the origin."""
    t = where(greater(z, 0.0), g / z, 0.0)
    return t * x, t * y


LN2, LN10, HALF_ROOT_PI = math.log(2.0), math.log(10.0), math.sqrt(math.pi) / 2.0

# A row: name, number of operands, numpy's function, its vjp (cotangents of the operands for g, that of the result), meaning.

Erfinv = special("Erfinv", 1, erfinv_values, lambda g, y, x: g * exp(y * y) * HALF_ROOT_PI, "The inverse of erf.")
Erfc = special("Erfc", 1, np.vectorize(math.erfc, otypes=[np.float64]), lambda g, y, x: -g * exp(-x * x) * TWO_BY_ROOT_PI,
               "1 - erf(x), without cancellation.")
Log2 = special("Log2", 1, _wide(np.log2), lambda g, y, x: g / (x * LN2), "The logarithm to base 2.")
Log10 = special("Log10", 1, _wide(np.log10), lambda g, y, x: g / (x * LN10), "The logarithm to base 10.")
Exp2 = special("Exp2", 1, _wide(np.exp2), lambda g, y, x: g * y * LN2, "2 to the power x.")
Cbrt = special("Cbrt", 1, _wide(np.cbrt), lambda g, y, x: g / (3.0 * y * y), "The cube root.")
Hypot = special("Hypot", 2, np.hypot, _hypot_vjp, "sqrt(x * x + y * y), without overflow.")
Logaddexp = special("Logaddexp", 2, np.logaddexp, lambda g, z, x, y: ((t := g * sigmoid(x - y)), g - t),
                    "log(exp(x) + exp(y)), without overflow.")
Logaddexp2 = special("Logaddexp2", 2, np.logaddexp2, lambda g, z, x, y: ((t := g * sigmoid((x - y) * LN2)), g - t),
                     "log2(2**x + 2**y), without overflow.")
Nextafter = special("Nextafter", 2, np.nextafter, None, "The next float after x towards y.")
Fmod = special("Fmod", 2, np.fmod, lambda g, z, x, y: (g, -g * trunc(x / y)),
               "What is left of x / y, with the sign of x.", "same")
Fmax = special("Fmax", 2, np.fmax, lambda g, z, x, y: shared(g, logical_or(greater(x, y), isnan(y)), equal(x, y)),
               "The larger; where one is NaN, the other.", "same")
Fmin = special("Fmin", 2, np.fmin, lambda g, z, x, y: shared(g, logical_or(less(x, y), isnan(y)), equal(x, y)),
               "The smaller; where one is NaN, the other.", "same")
Trunc = special("Trunc", 1, np.trunc, flat, "x without what is behind the point.", "same")
Signbit = special("Signbit", 1, np.signbit, flat, "Whether the sign is a minus.", "bool")
BesselI0 = special("BesselI0", 1, _wide(np.i0), lambda g, y, x: g * BesselI1()(x),
                   "The modified Bessel function of the first kind, order 0.")
BesselI1 = special("BesselI1", 1, _wide(bessel_i1_values),
                   lambda g, y, x: g * (BesselI0()(x) - where(equal(x, 0.0), 0.5, y / x)),  # y / x tends to 1 / 2
                   "The modified Bessel function of the first kind, order 1.")
BitwiseAnd = special("BitwiseAnd", 2, np.bitwise_and, flat, "The bits that both have.", "bits")
BitwiseOr = special("BitwiseOr", 2, np.bitwise_or, flat, "The bits that either has.", "bits")
BitwiseXor = special("BitwiseXor", 2, np.bitwise_xor, flat, "The bits in which they differ.", "bits")
BitwiseNot = special("BitwiseNot", 1, np.invert, flat, "All bits flipped.", "bits")
LeftShift = special("LeftShift", 2, np.left_shift, flat, "The bits moved to higher places.", "bits")
RightShift = special("RightShift", 2, np.right_shift, flat, "The bits moved to lower places.", "bits")
Gcd = special("Gcd", 2, np.gcd, flat, "The greatest common divisor.", "bits")
Lcm = special("Lcm", 2, np.lcm, flat, "The least common multiple.", "bits")


# ---- public functions

erfc = unary("erfc", Erfc, "1 - erf(x), without cancellation.", "erfc([0.0])", "array([1.], dtype=float32)")
erfinv = unary("erfinv", Erfinv, "The x with erf(x) = y; infinite at -1 and 1.", "erfinv([0.0, 1.0])",
               "array([ 0., inf], dtype=float32)")
log2 = unary("log2", Log2, "The logarithm to base 2.", "log2([8.0])", "array([3.], dtype=float32)")
log10 = unary("log10", Log10, "The logarithm to base 10.", "log10([1000.0])", "array([3.], dtype=float32)")
exp2 = unary("exp2", Exp2, "2 to the power x.", "exp2([3.0])", "array([8.], dtype=float32)")
cbrt = unary("cbrt", Cbrt, "The cube root.", "cbrt([27.0, -8.0])", "array([ 3., -2.], dtype=float32)")
trunc = unary("trunc", Trunc, "x without what is behind the point.", "trunc([1.7, -1.7])", "array([ 1., -1.], dtype=float32)")
signbit = unary("signbit", Signbit, "Whether the sign is a minus.", "signbit([1.0, -0.0])", "array([False,  True])")
i0 = unary("i0", BesselI0, "The modified Bessel function of the first kind, order 0.", "i0([0.0])",
           "array([1.], dtype=float32)")
hypot = binary("hypot", Hypot, "sqrt(x1**2 + x2**2), without overflow.", "hypot([3.0], [4.0])", "array([5.], dtype=float32)")
logaddexp = binary("logaddexp", Logaddexp, "log(exp(x1) + exp(x2)), without overflow.", "logaddexp([-200.0], [200.0])",
                   "array([200.], dtype=float32)")
logaddexp2 = binary("logaddexp2", Logaddexp2, "log2(2**x1 + 2**x2), without overflow.", "logaddexp2([1.0], [1.0])",
                    "array([2.], dtype=float32)")
nextafter = binary("nextafter", Nextafter, "The next float after x1 towards x2.", "nextafter([1.0], [2.0])",
                   "array([1.0000001], dtype=float32)")
fmod = binary("fmod", Fmod, "What is left of x1 / x2, with the sign of x1.", "fmod([7, -7], 3)", "array([ 1, -1], dtype=int32)")
fmax = binary("fmax", Fmax, "The larger; where one is NaN, the other.", 'fmax([1.0, float("nan")], 0.5)',
              "array([1. , 0.5], dtype=float32)")
fmin = binary("fmin", Fmin, "The smaller; where one is NaN, the other.", 'fmin([1.0, float("nan")], 0.5)',
              "array([0.5, 0.5], dtype=float32)")
bitwise_and = binary("bitwise_and", BitwiseAnd, "The bits that both have.", "bitwise_and([6], [3])", "array([2], dtype=int32)")
bitwise_or = binary("bitwise_or", BitwiseOr, "The bits that either has.", "bitwise_or([6], [3])", "array([7], dtype=int32)")
bitwise_xor = binary("bitwise_xor", BitwiseXor, "The bits in which they differ.", "bitwise_xor([6], [3])",
                     "array([5], dtype=int32)")
bitwise_not = unary("bitwise_not", BitwiseNot, "All bits flipped; of booleans the opposite.", "bitwise_not([6])",
                    "array([-7], dtype=int32)")
bitwise_invert = unary("bitwise_invert", BitwiseNot, "All bits flipped; of booleans the opposite.", "bitwise_invert([6])",
                       "array([-7], dtype=int32)")
left_shift = binary("left_shift", LeftShift, "The bits of x1 moved x2 places up.", "left_shift([6], [1])",
                    "array([12], dtype=int32)")
bitwise_left_shift = binary("bitwise_left_shift", LeftShift, "The bits of x1 moved x2 places up.", "bitwise_left_shift([6], [1])",
                            "array([12], dtype=int32)")
right_shift = binary("right_shift", RightShift, "The bits of x1 moved x2 places down.", "right_shift([6], [1])",
                     "array([3], dtype=int32)")
bitwise_right_shift = binary("bitwise_right_shift", RightShift, "The bits of x1 moved x2 places down.",
                             "bitwise_right_shift([6], [1])",
                             "array([3], dtype=int32)")
gcd = binary("gcd", Gcd, "The greatest common divisor.", "gcd([12], [18])", "array([6], dtype=int32)")
lcm = binary("lcm", Lcm, "The least common multiple.", "lcm([4], [6])", "array([12], dtype=int32)")

__all__ = [
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
    "cbrt", "erfc", "erfinv", "exp2", "fmax", "fmin", "fmod", "gcd", "hypot", "i0", "lcm", "left_shift", "log10", "log2", "logaddexp",
    "logaddexp2", "nextafter", "right_shift", "signbit", "trunc",
]
