"""Functions of each element: arithmetic, comparisons, logic, exponentials. Operands broadcast, dtypes combine as Keras's do."""
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from graphnet import dtypes
from graphnet.op import Elementwise, Op, Samples, public
from graphnet.ops.convert import Cast as Cast
from graphnet.ops.convert import cast, floating, promote, to_tensor

_COUNTING = ("negative", "sign", "square")  # they take booleans as 0 and 1
TWO_BY_ROOT_PI = 2.0 / math.sqrt(math.pi)
_LOGICAL = ("LogicalAnd", "LogicalOr", "LogicalXor", "LogicalNot")


class _Function(Elementwise):
    """An elementwise numpy function; infinities and NaN say enough, so numpy does not warn of them."""

    function: ClassVar[Callable[..., Any]]
    derivative: ClassVar[Callable[..., Any]]

    def reference(self, *arrays: Any) -> Any:
        dtype = self.result_dtype(*[a.dtype.name for a in arrays])
        if self.result == "float":  # numpy would take the exponential of a boolean in half precision
            arrays = tuple([np.asarray(a, dtype) for a in arrays])
        with np.errstate(all="ignore"):
            return np.asarray(type(self).function(*arrays), dtype)

    def vjp(self, g: Any, y: Any, *xs: Any) -> list[Any]:
        with np.errstate(all="ignore"):
            out = type(self).derivative(g, y, *xs)
        return list(out) if isinstance(out, tuple) else [out]

    @classmethod
    def samples(cls) -> Samples:
        """Odd and empty extents, broadcasting, values at which all of the functions are defined."""
        rng = np.random.default_rng(0)
        low, high = (1.1, 3.0) if cls.__name__ == "Arccosh" else (0.1, 0.9)
        for shapes in (((5, 7), (5, 7)), ((3, 1, 17), (4, 1)), ((0, 3), (3,)), ((), ())):
            values = [rng.uniform(low, high, s).astype("float32") for s in shapes[:cls.arity]]
            yield cls(), [v > 0.5 for v in values] if cls.__name__ in _LOGICAL else values


def elementwise(name: str, formula: str, function: Callable[..., Any], derivative: Callable[..., Any], doc: str,
                result: str = "same") -> type[Elementwise]:
    """The Op class of an elementwise numpy function; `derivative(g, y, *xs)` is its vjp, one cotangent or a tuple of them."""
    arity = sum(f"{{{i}}}" in formula for i in range(3))
    members = {"__doc__": doc, "formula": formula, "function": staticmethod(function), "derivative": staticmethod(derivative),
               "result": result, "arity": arity, "__module__": __name__}
    return type(name, (_Function,), members)  # without fields of its own, it has the equality and hash of Op


def _erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf, otypes=[x.dtype])(x) if x.size else x


def _sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(np.isnan(x), x, np.where(x >= 0, 1 / (1 + e), e / (1 + e)))


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def flat(g: Any, y: Any, *xs: Any) -> tuple[None, ...]:
    """The derivative of steps: none at all."""
    return (None,) * len(xs)


def shared(g: Any, first: Any, tie: Any) -> tuple[Any, Any]:
    """A cotangent for the operand that was chosen; of two equal ones each has half, as in JAX."""
    to_first = where(first, g, where(tie, 0.5 * g, 0.0))
    return to_first, g - to_first


def _power_vjp(g: Any, z: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """0 to the power 0 has the derivatives 0 and 0, as in JAX; the logarithm of a base below 0 is NaN."""
    return g * y * power(x, where(equal(y, 0.0), 1.0, y - 1.0)), g * z * log(where(equal(x, 0.0), 1.0, x))


# A row: name, vector formula, numpy's function, its vjp (cotangents of the operands for g, that of the result), meaning.

Add = elementwise("Add", "{0} + {1}", np.add, lambda g, z, x, y: (g, g), "x + y.")
Subtract = elementwise("Subtract", "{0} - {1}", np.subtract, lambda g, z, x, y: (g, -g), "x - y.")
Multiply = elementwise("Multiply", "{0} * {1}", np.multiply, lambda g, z, x, y: (g * y, g * x), "x * y.")
Divide = elementwise("Divide", "{0} / {1}", np.true_divide, lambda g, z, x, y: (t := g / y, -t * z), "x / y, of floats.",
                     "float")
FloorDivide = elementwise("FloorDivide", "floor_divide({0}, {1})", np.floor_divide, flat,
                          "The largest whole number not above x / y.")
Mod = elementwise("Mod", "modulo({0}, {1})", np.mod, lambda g, z, x, y: (g, -g * floor_divide(x, y)),
                  "The rest of x / y, with the sign of y.")
Power = elementwise("Power", "pow({0}, {1})", np.power, _power_vjp, "x to the power y.")
Maximum = elementwise("Maximum", "larger({0}, {1})", np.maximum, lambda g, z, x, y: shared(g, greater(x, y), equal(x, y)),
                      "The larger; NaN where either is NaN.")
Minimum = elementwise("Minimum", "smaller({0}, {1})", np.minimum, lambda g, z, x, y: shared(g, less(x, y), equal(x, y)),
                      "The smaller; NaN where either is NaN.")
Arctan2 = elementwise("Arctan2", "arctan2({0}, {1})", np.arctan2, lambda g, z, y, x: ((t := g / (x * x + y * y)) * x, -t * y),
                      "The angle of the point (y, x).", "float")

Equal = elementwise("Equal", "equal({0}, {1})", np.equal, flat, "x == y.", "bool")
NotEqual = elementwise("NotEqual", "not_equal({0}, {1})", np.not_equal, flat, "x != y.", "bool")
Less = elementwise("Less", "less({0}, {1})", np.less, flat, "x < y.", "bool")
LessEqual = elementwise("LessEqual", "less_equal({0}, {1})", np.less_equal, flat, "x <= y.", "bool")
Greater = elementwise("Greater", "greater({0}, {1})", np.greater, flat, "x > y.", "bool")
GreaterEqual = elementwise("GreaterEqual", "greater_equal({0}, {1})", np.greater_equal, flat, "x >= y.", "bool")
LogicalAnd = elementwise("LogicalAnd", "logical_and({0}, {1})", np.logical_and, flat, "Both are true.", "bool")
LogicalOr = elementwise("LogicalOr", "logical_or({0}, {1})", np.logical_or, flat, "At least one is true.", "bool")
LogicalXor = elementwise("LogicalXor", "logical_xor({0}, {1})", np.logical_xor, flat, "Exactly one is true.", "bool")
LogicalNot = elementwise("LogicalNot", "logical_not({0})", np.logical_not, flat, "Not true.", "bool")
Isnan = elementwise("Isnan", "isnan({0})", np.isnan, flat, "Not a number.", "bool")
Isinf = elementwise("Isinf", "isinf({0})", np.isinf, flat, "Positive or negative infinity.", "bool")
Isfinite = elementwise("Isfinite", "isfinite({0})", np.isfinite, flat, "Neither infinite nor NaN.", "bool")

Negative = elementwise("Negative", "negative({0})", np.negative, lambda g, y, x: -g, "-x.")
Absolute = elementwise("Absolute", "absolute({0})", np.absolute, lambda g, y, x: where(greater_equal(x, 0.0), g, -g),
                       "|x|.")  # at 0 its slope is 1, as in JAX
Sign = elementwise("Sign", "sign({0})", np.sign, flat, "-1, 0 or 1.")
Square = elementwise("Square", "{0} * {0}", np.square, lambda g, y, x: 2.0 * g * x, "x * x.")
Reciprocal = elementwise("Reciprocal", "reciprocal({0})", lambda x: 1 / x, lambda g, y, x: -g * y * y, "1 / x.", "float")
Sqrt = elementwise("Sqrt", "sqrt({0})", np.sqrt, lambda g, y, x: 0.5 * g / y, "The square root.", "float")
Rsqrt = elementwise("Rsqrt", "rsqrt({0})", lambda x: 1 / np.sqrt(x), lambda g, y, x: -0.5 * g * y / x, "1 / sqrt(x).", "float")
Exp = elementwise("Exp", "exp({0})", np.exp, lambda g, y, x: g * y, "e to the power x.", "float")
Expm1 = elementwise("Expm1", "expm1({0})", np.expm1, lambda g, y, x: g * (y + 1.0), "exp(x) - 1, exact near 0.", "float")
Log = elementwise("Log", "log({0})", np.log, lambda g, y, x: g / x, "The natural logarithm.", "float")
Log1p = elementwise("Log1p", "log1p({0})", np.log1p, lambda g, y, x: g / (x + 1.0), "log(1 + x), exact near 0.", "float")
Sin = elementwise("Sin", "sin({0})", np.sin, lambda g, y, x: g * cos(x), "Sine, x in radians.", "float")
Cos = elementwise("Cos", "cos({0})", np.cos, lambda g, y, x: -g * sin(x), "Cosine, x in radians.", "float")
Tan = elementwise("Tan", "tan({0})", np.tan, lambda g, y, x: g * (1.0 + y * y), "Tangent, x in radians.", "float")
Arcsin = elementwise("Arcsin", "arcsin({0})", np.arcsin, lambda g, y, x: g * rsqrt(1.0 - x * x), "Inverse sine.", "float")
Arccos = elementwise("Arccos", "arccos({0})", np.arccos, lambda g, y, x: -g * rsqrt(1.0 - x * x), "Inverse cosine.", "float")
Arctan = elementwise("Arctan", "arctan({0})", np.arctan, lambda g, y, x: g / (1.0 + x * x), "Inverse tangent.", "float")
Sinh = elementwise("Sinh", "sinh({0})", np.sinh, lambda g, y, x: g * cosh(x), "Hyperbolic sine.", "float")
Cosh = elementwise("Cosh", "cosh({0})", np.cosh, lambda g, y, x: g * sinh(x), "Hyperbolic cosine.", "float")
Tanh = elementwise("Tanh", "tanh({0})", np.tanh, lambda g, y, x: g * (1.0 - y * y), "Hyperbolic tangent.", "float")
Arcsinh = elementwise("Arcsinh", "arcsinh({0})", np.arcsinh, lambda g, y, x: g * rsqrt(x * x + 1.0),
                      "Inverse hyperbolic sine.", "float")
Arccosh = elementwise("Arccosh", "arccosh({0})", np.arccosh, lambda g, y, x: g * rsqrt((x - 1.0) * (x + 1.0)),
                      "Inverse hyperbolic cosine.", "float")
Arctanh = elementwise("Arctanh", "arctanh({0})", np.arctanh, lambda g, y, x: g / (1.0 - x * x),
                      "Inverse hyperbolic tangent.", "float")
Sigmoid = elementwise("Sigmoid", "sigmoid({0})", _sigmoid, lambda g, y, x: g * y * (1.0 - y), "1 / (1 + exp(-x)).", "float")
Softplus = elementwise("Softplus", "softplus({0})", _softplus, lambda g, y, x: g * sigmoid(x),
                       "log(1 + exp(x)), without overflow.", "float")
Erf = elementwise("Erf", "erf({0})", _erf, lambda g, y, x: g * exp(-x * x) * TWO_BY_ROOT_PI, "The error function.", "float")
Floor = elementwise("Floor", "floor({0})", np.floor, flat, "The largest whole number not above x.", "float")
Ceil = elementwise("Ceil", "ceil({0})", np.ceil, flat, "The smallest whole number not below x.", "float")
Round = elementwise("Round", "rounded({0})", np.rint, flat, "The nearest whole number, halves to even.", "float")


def _whole(limit: float, info: Any, rounded: Callable[[float], int]) -> int:
    """A bound as a whole number of a dtype: floats would round what 64 bits hold."""
    return int(info.min) if limit <= info.min else int(info.max) if limit >= info.max else rounded(limit)


@dataclass(frozen=True)
class Clip(Elementwise):
    """x held between two bounds; relu is Clip(0, inf). A NaN stays."""

    low: float
    high: float
    formula: ClassVar[str] = "at_most(at_least({0}, low), high)"

    def reference(self, x: np.ndarray) -> np.ndarray:
        if x.dtype.kind in "iub":
            info = np.iinfo(x.dtype) if x.dtype.kind != "b" else np.iinfo(np.uint8)
            low, high = _whole(self.low, info, math.ceil), _whole(self.high, info, math.floor)
            return np.clip(x, low, high).astype(x.dtype)
        return np.clip(x, x.dtype.type(self.low), x.dtype.type(self.high))

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        """Nothing flows at a bound: relu has the derivative 0 at 0."""
        if self.high == math.inf:
            inside = greater(y, self.low)
        elif self.low == -math.inf:
            inside = less(y, self.high)
        else:
            inside = logical_and(greater(y, self.low), less(y, self.high))
        return [where(inside, g, 0.0)]

    @classmethod
    def samples(cls) -> Samples:
        x = np.random.default_rng(0).normal(0, 4, (5, 17)).astype("float32")
        for low, high in ((0.0, math.inf), (0.0, 6.0), (-math.inf, 1.0)):
            yield cls(low, high), [x]
        yield cls(0.0, math.inf), [np.array([[-3, 0, 200]], "int32")]
        yield cls(0.0, math.inf), [x[:0]]


@dataclass(frozen=True)
class Where(Elementwise):
    """x where the condition is true, else y."""

    formula: ClassVar[str] = "where({0}, {1}, {2})"
    arity: ClassVar[int] = 3

    def result_dtype(self, *names: str) -> str:
        return dtypes.result_type(*names[1:])

    def reference(self, condition: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(condition, x, y)

    def vjp(self, g: Any, z: Any, condition: Any, x: Any, y: Any) -> list[Any]:
        return [None, where(condition, g, 0.0), where(condition, 0.0, g)]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        for shapes in (((5, 7), (5, 7), (5, 7)), ((3, 1, 17), (4, 1), (17,)), ((0, 3), (3,), (1,)), ((), (), ())):
            condition, x, y = [rng.standard_normal(s).astype("float32") for s in shapes]
            yield cls(), [condition > 0, x, y]


# ---- public functions

_DOC = """{doc} Elementwise{broadcast}. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.{call}
        {result}
    """


def document(function: Any, name: str, doc: str, call: str, result: str, broadcast: str) -> Any:
    """The function as a public op, under its name and with its text."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = _DOC.format(doc=doc, broadcast=broadcast, call=call, result=result)
    return public(function, {"abs": "Absolute"}.get(name))


def unary(name: str, op_class: type[Op], doc: str, call: str, result: str) -> Any:
    """The public function of an op of one operand."""
    op = op_class()

    def function(x: Any) -> Any:
        x = to_tensor(x)
        return op(cast(x, "int32") if x.dtype == "bool" and name in _COUNTING else x)
    return document(function, name, doc, call, result, "; the result has the shape of ``x``")


def binary(name: str, op_class: type[Op], doc: str, call: str, result: str) -> Any:
    """The public function of an op of two operands."""
    op = op_class()

    def function(x1: Any, x2: Any) -> Any:
        return op(*promote(x1, x2))
    return document(function, name, doc, call, result, "; the shapes of ``x1`` and ``x2`` broadcast (else ShapeError), their "
                                                       "dtypes combine")


add = binary("add", Add, "x1 + x2.", "add([1.0, 2.0], 3.0)", "array([4., 5.], dtype=float32)")
subtract = binary("subtract", Subtract, "x1 - x2.", "subtract([1.0, 2.0], 3.0)", "array([-2., -1.], dtype=float32)")
multiply = binary("multiply", Multiply, "x1 * x2.", "multiply([1.0, 2.0], 3.0)", "array([3., 6.], dtype=float32)")
divide = binary("divide", Divide, "x1 / x2, in floats.", "divide([1, 2], 2)", "array([0.5, 1. ], dtype=float32)")
true_divide = binary("true_divide", Divide, "x1 / x2, in floats.", "true_divide([1, 2], 2)", "array([0.5, 1. ], dtype=float32)")
floor_divide = binary("floor_divide", FloorDivide, "floor(x1 / x2).", "floor_divide([7, -7], 2)", "array([ 3, -4], dtype=int32)")
mod = binary("mod", Mod, "What is left of x1 / x2, with the sign of x2.", "mod([7, -7], 3)", "array([1, 2], dtype=int32)")
power = binary("power", Power, "x1 to the power x2.", "power([2.0, 3.0], 2)", "array([4., 9.], dtype=float32)")
arctan2 = binary("arctan2", Arctan2, "The angle of the point (x2, x1).", "arctan2([0.0], [1.0])", "array([0.], dtype=float32)")
maximum = binary("maximum", Maximum, "The larger of x1 and x2; NaN where either is NaN.", "maximum([1.0, 5.0], 3.0)",
                 "array([3., 5.], dtype=float32)")
minimum = binary("minimum", Minimum, "The smaller of x1 and x2; NaN where either is NaN.", "minimum([1.0, 5.0], 3.0)",
                 "array([1., 3.], dtype=float32)")
equal = binary("equal", Equal, "Whether x1 == x2.", "equal([1, 2], 2)", "array([False,  True])")
not_equal = binary("not_equal", NotEqual, "Whether x1 != x2.", "not_equal([1, 2], 2)", "array([ True, False])")
less = binary("less", Less, "Whether x1 < x2.", "less([1, 2], 2)", "array([ True, False])")
less_equal = binary("less_equal", LessEqual, "Whether x1 <= x2.", "less_equal([1, 2], 2)", "array([ True,  True])")
greater = binary("greater", Greater, "Whether x1 > x2.", "greater([1, 2], 1)", "array([False,  True])")
greater_equal = binary("greater_equal", GreaterEqual, "Whether x1 >= x2.", "greater_equal([1, 2], 2)", "array([False,  True])")
logical_and = binary("logical_and", LogicalAnd, "Whether both are true.", "logical_and([True, False], True)",
                     "array([ True, False])")
logical_or = binary("logical_or", LogicalOr, "Whether at least one is true.", "logical_or([True, False], True)",
                    "array([ True,  True])")
logical_xor = binary("logical_xor", LogicalXor, "Whether exactly one is true.", "logical_xor([True, False], True)",
                     "array([False,  True])")
logical_not = unary("logical_not", LogicalNot, "Whether x is false.", "logical_not([True, False])", "array([False,  True])")
isnan = unary("isnan", Isnan, "Whether x is not a number.", 'isnan([1.0, float("nan")])', "array([False,  True])")
isinf = unary("isinf", Isinf, "Whether x is infinite.", 'isinf([1.0, float("-inf")])', "array([False,  True])")
isfinite = unary("isfinite", Isfinite, "Whether x is neither infinite nor NaN.", 'isfinite([1.0, float("inf")])',
                 "array([ True, False])")
negative = unary("negative", Negative, "-x.", "negative([1.0, -2.0])", "array([-1.,  2.], dtype=float32)")
absolute = unary("absolute", Absolute, "The size of x without its sign.", "absolute([1.0, -2.0])",
                 "array([1., 2.], dtype=float32)")
abs = unary("abs", Absolute, "The size of x without its sign.", "abs([1.0, -2.0])", "array([1., 2.], dtype=float32)")
sign = unary("sign", Sign, "-1, 0 or 1.", "sign([3.0, 0.0, -2.0])", "array([ 1.,  0., -1.], dtype=float32)")
square = unary("square", Square, "x * x.", "square([3.0, -2.0])", "array([9., 4.], dtype=float32)")
reciprocal = unary("reciprocal", Reciprocal, "1 / x.", "reciprocal([2.0, 4.0])", "array([0.5 , 0.25], dtype=float32)")
sqrt = unary("sqrt", Sqrt, "The square root; NaN below 0.", "sqrt([4.0, 9.0])", "array([2., 3.], dtype=float32)")
rsqrt = unary("rsqrt", Rsqrt, "1 / sqrt(x).", "rsqrt([4.0, 16.0])", "array([0.5 , 0.25], dtype=float32)")
exp = unary("exp", Exp, "e to the power x.", "exp([0.0])", "array([1.], dtype=float32)")
expm1 = unary("expm1", Expm1, "exp(x) - 1, exact near 0.", "expm1([0.0, 1e-10])", "array([0.e+00, 1.e-10], dtype=float32)")
log = unary("log", Log, "The natural logarithm; -inf at 0, NaN below.", "log([1.0, 0.0])", "array([  0., -inf], dtype=float32)")
log1p = unary("log1p", Log1p, "log(1 + x), exact near 0.", "log1p([0.0, 1e-10])", "array([0.e+00, 1.e-10], dtype=float32)")
sin = unary("sin", Sin, "The sine, x in radians.", "sin([0.0])", "array([0.], dtype=float32)")
cos = unary("cos", Cos, "The cosine, x in radians.", "cos([0.0])", "array([1.], dtype=float32)")
tan = unary("tan", Tan, "The tangent, x in radians.", "tan([0.0])", "array([0.], dtype=float32)")
arcsin = unary("arcsin", Arcsin, "The inverse sine.", "arcsin([0.0])", "array([0.], dtype=float32)")
arccos = unary("arccos", Arccos, "The inverse cosine.", "arccos([1.0])", "array([0.], dtype=float32)")
arctan = unary("arctan", Arctan, "The inverse tangent.", "arctan([0.0])", "array([0.], dtype=float32)")
sinh = unary("sinh", Sinh, "The hyperbolic sine.", "sinh([0.0])", "array([0.], dtype=float32)")
cosh = unary("cosh", Cosh, "The hyperbolic cosine.", "cosh([0.0])", "array([1.], dtype=float32)")
tanh = unary("tanh", Tanh, "The hyperbolic tangent.", 'tanh([0.0, float("inf")])', "array([0., 1.], dtype=float32)")
arcsinh = unary("arcsinh", Arcsinh, "The inverse hyperbolic sine.", "arcsinh([0.0])", "array([0.], dtype=float32)")
arccosh = unary("arccosh", Arccosh, "The inverse hyperbolic cosine.", "arccosh([1.0])", "array([0.], dtype=float32)")
arctanh = unary("arctanh", Arctanh, "The inverse hyperbolic tangent.", "arctanh([0.0])", "array([0.], dtype=float32)")
sigmoid = unary("sigmoid", Sigmoid, "1 / (1 + exp(-x)).", 'sigmoid([0.0, float("-inf")])', "array([0.5, 0. ], dtype=float32)")
erf = unary("erf", Erf, "The error function.", "erf([0.0])", "array([0.], dtype=float32)")
floor = unary("floor", Floor, "The largest whole number not above x.", "floor([1.5, -1.5])", "array([ 1., -2.], dtype=float32)")
ceil = unary("ceil", Ceil, "The smallest whole number not below x.", "ceil([1.5, -1.5])", "array([ 2., -1.], dtype=float32)")


@public
def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """x held between `x_min` and `x_max`, numbers or tensors that broadcast. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.clip([-2.0, 0.5, 2.0], -1, 1)
        array([-1. ,  0.5,  1. ], dtype=float32)
    """
    if isinstance(x_min, (int, float)) and isinstance(x_max, (int, float)):
        whole = isinstance(x_min, int) and isinstance(x_max, int)
        x = to_tensor(x) if whole else floating(x)
        low, high = float(x_min), float(x_max)
        if str(x.dtype) in dtypes.INTS and (low != x_min or high != x_max):  # 64 bits hold more than floats
            info = np.iinfo(str(x.dtype))
            low, high = -math.inf if x_min <= info.min else x_min, math.inf if x_max >= info.max else x_max
        return Clip(low, high)(x)
    return minimum(maximum(x, x_min), x_max)


@public
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """x1 where the condition is true, else x2; the three broadcast. Both x1 and x2 are due: a shape cannot depend on values.

    Example:

        >>> from graphnet import ops
        >>> ops.where([True, False], [1.0, 2.0], 0.0)
        array([1., 0.], dtype=float32)
    """
    if x1 is None or x2 is None:
        raise ValueError("where expects condition, x1 and x2; with the condition alone the result's shape would depend on "
                         "values.")
    return Where()(cast(condition, "bool"), *promote(x1, x2))


@public
def round(x: Any, decimals: int = 0) -> Any:
    """x rounded to `decimals` places, halves to even. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.round([0.5, 1.5, 2.25], 1)
        array([0.5, 1.5, 2.2], dtype=float32)
    """
    x = to_tensor(x)
    if x.dtype in dtypes.INTS and decimals >= 0:
        return x
    return Round()(floating(x)) if decimals == 0 else divide(Round()(multiply(x, 10.0 ** decimals)), 10.0 ** decimals)


__all__ = [
    "abs", "absolute", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "ceil", "clip", "cos",
    "cosh", "divide", "equal", "erf", "exp", "expm1", "floor", "floor_divide", "greater", "greater_equal", "isfinite", "isinf",
    "isnan", "less", "less_equal", "log", "log1p", "logical_and", "logical_not", "logical_or", "logical_xor", "maximum",
    "minimum", "mod", "multiply", "negative", "not_equal", "power", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin",
    "sinh", "sqrt", "square", "subtract", "tan", "tanh", "true_divide", "where",
]
