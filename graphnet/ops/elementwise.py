"""Functions of each element: arithmetic, comparisons, logic, exponentials. Operands broadcast; dtypes combine by Keras's rules."""
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from graphnet import dtypes
from graphnet.graph import Spec, Tensor, Variable
from graphnet.op import Elementwise, Op, public


def promote(*values: Any) -> list[Any]:
    """The operands, all of the dtype that they combine to; Python numbers and lists become arrays."""
    values_ = [v if isinstance(v, (Tensor, Variable, np.ndarray, int, float)) else dtypes.as_array(v) for v in values]
    dtype = dtypes.result_type(*[dtypes.dtype_of(v) for v in values_])
    return [cast(v, dtype) for v in values_]


def cast(x: Any, dtype: Any) -> Any:
    """x with its elements converted to `dtype`: a tensor, or an array where x is not symbolic."""
    dtype = dtypes.standardize_dtype(dtype)
    if isinstance(x, (Tensor, Variable)):
        return x if x.dtype == dtype else Cast(dtype)(x)
    return dtypes.as_array(x, dtype)


def floating(x: Any) -> Any:
    """x as floats: integers become the default float type."""
    x = x if isinstance(x, (Tensor, Variable)) else dtypes.as_array(x)
    return x if str(x.dtype) in dtypes.FLOATS else cast(x, dtypes.floatx())


def _quiet(function: Any) -> Any:
    """numpy's function without warnings for infinities and NaN, whose values say enough."""
    def run(*arrays: Any, **kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*arrays, **kwargs)
    return run


def elementwise(name: str, formula: str, function: Any, doc: str, result: str = "same") -> type[Elementwise]:
    """The Op class of an elementwise numpy function."""
    arity = sum(f"{{{i}}}" in formula for i in range(3))

    def reference(self: Op, *arrays: Any) -> Any:
        out = _quiet(function)(*arrays)
        dtype = self.result_dtype(*[a.dtype.name for a in arrays])  # type: ignore[attr-defined]
        return np.asarray(out, dtype)

    members = {"__doc__": doc, "formula": formula, "reference": reference, "result": result, "arity": arity, "__module__": __name__}
    return dataclass(frozen=True)(type(name, (Elementwise,), members))


def _erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf, otypes=[x.dtype])(x) if x.size else x


def _sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(np.isnan(x), x, np.where(x >= 0, 1 / (1 + e), e / (1 + e)))


Add = elementwise("Add", "{0} + {1}", np.add, "x + y.")
Subtract = elementwise("Subtract", "{0} - {1}", np.subtract, "x - y.")
Multiply = elementwise("Multiply", "{0} * {1}", np.multiply, "x * y.")
Divide = elementwise("Divide", "{0} / {1}", np.true_divide, "x / y, of floats.", "float")
FloorDivide = elementwise("FloorDivide", "floor({0} / {1})", np.floor_divide, "The largest whole number not above x / y.")
Mod = elementwise("Mod", "{0} - floor({0} / {1}) * {1}", np.mod, "The rest of x / y, with the sign of y.")
Power = elementwise("Power", "pow({0}, {1})", np.power, "x to the power y.")
Maximum = elementwise("Maximum", "at_least({0}, {1})", np.maximum, "The larger; NaN where either is NaN.")
Minimum = elementwise("Minimum", "at_most({0}, {1})", np.minimum, "The smaller; NaN where either is NaN.")
Arctan2 = elementwise("Arctan2", "arctan2({0}, {1})", np.arctan2, "The angle of the point (y, x).", "float")

Equal = elementwise("Equal", "equal({0}, {1})", np.equal, "x == y.", "bool")
NotEqual = elementwise("NotEqual", "not_equal({0}, {1})", np.not_equal, "x != y.", "bool")
Less = elementwise("Less", "less({0}, {1})", np.less, "x < y.", "bool")
LessEqual = elementwise("LessEqual", "less_equal({0}, {1})", np.less_equal, "x <= y.", "bool")
Greater = elementwise("Greater", "greater({0}, {1})", np.greater, "x > y.", "bool")
GreaterEqual = elementwise("GreaterEqual", "greater_equal({0}, {1})", np.greater_equal, "x >= y.", "bool")
LogicalAnd = elementwise("LogicalAnd", "logical_and({0}, {1})", np.logical_and, "Both are true.", "bool")
LogicalOr = elementwise("LogicalOr", "logical_or({0}, {1})", np.logical_or, "At least one is true.", "bool")
LogicalXor = elementwise("LogicalXor", "logical_xor({0}, {1})", np.logical_xor, "Exactly one is true.", "bool")
LogicalNot = elementwise("LogicalNot", "logical_not({0})", np.logical_not, "Not true.", "bool")
Isnan = elementwise("Isnan", "isnan({0})", np.isnan, "Not a number.", "bool")
Isinf = elementwise("Isinf", "isinf({0})", np.isinf, "Positive or negative infinity.", "bool")
Isfinite = elementwise("Isfinite", "isfinite({0})", np.isfinite, "Neither infinite nor NaN.", "bool")

Negative = elementwise("Negative", "negative({0})", np.negative, "-x.")
Absolute = elementwise("Absolute", "absolute({0})", np.absolute, "|x|.")
Sign = elementwise("Sign", "sign({0})", np.sign, "-1, 0 or 1.")
Square = elementwise("Square", "{0} * {0}", np.square, "x * x.")
Reciprocal = elementwise("Reciprocal", "reciprocal({0})", lambda x: 1 / x, "1 / x.", "float")
Sqrt = elementwise("Sqrt", "sqrt({0})", np.sqrt, "The square root.", "float")
Rsqrt = elementwise("Rsqrt", "rsqrt({0})", lambda x: 1 / np.sqrt(x), "1 / sqrt(x).", "float")
Exp = elementwise("Exp", "exp({0})", np.exp, "e to the power x.", "float")
Expm1 = elementwise("Expm1", "expm1({0})", np.expm1, "exp(x) - 1, exact near 0.", "float")
Log = elementwise("Log", "log({0})", np.log, "The natural logarithm.", "float")
Log1p = elementwise("Log1p", "log1p({0})", np.log1p, "log(1 + x), exact near 0.", "float")
Sin = elementwise("Sin", "sin({0})", np.sin, "Sine, x in radians.", "float")
Cos = elementwise("Cos", "cos({0})", np.cos, "Cosine, x in radians.", "float")
Tan = elementwise("Tan", "tan({0})", np.tan, "Tangent, x in radians.", "float")
Arcsin = elementwise("Arcsin", "arcsin({0})", np.arcsin, "Inverse sine.", "float")
Arccos = elementwise("Arccos", "arccos({0})", np.arccos, "Inverse cosine.", "float")
Arctan = elementwise("Arctan", "arctan({0})", np.arctan, "Inverse tangent.", "float")
Sinh = elementwise("Sinh", "sinh({0})", np.sinh, "Hyperbolic sine.", "float")
Cosh = elementwise("Cosh", "cosh({0})", np.cosh, "Hyperbolic cosine.", "float")
Tanh = elementwise("Tanh", "tanh({0})", np.tanh, "Hyperbolic tangent.", "float")
Arcsinh = elementwise("Arcsinh", "arcsinh({0})", np.arcsinh, "Inverse hyperbolic sine.", "float")
Arccosh = elementwise("Arccosh", "arccosh({0})", np.arccosh, "Inverse hyperbolic cosine.", "float")
Arctanh = elementwise("Arctanh", "arctanh({0})", np.arctanh, "Inverse hyperbolic tangent.", "float")
Sigmoid = elementwise("Sigmoid", "sigmoid({0})", _sigmoid, "1 / (1 + exp(-x)).", "float")
Erf = elementwise("Erf", "erf({0})", _erf, "The error function.", "float")
Floor = elementwise("Floor", "floor({0})", np.floor, "The largest whole number not above x.", "float")
Ceil = elementwise("Ceil", "ceil({0})", np.ceil, "The smallest whole number not below x.", "float")
Round = elementwise("Round", "rounded({0})", np.rint, "The nearest whole number, halves to even.", "float")


@dataclass(frozen=True)
class Clip(Elementwise):
    """x held between two bounds; relu is Clip(0, inf). A NaN stays."""

    low: float
    high: float
    formula: ClassVar[str] = "at_most(at_least({0}, low), high)"

    def reference(self, x: np.ndarray) -> np.ndarray:
        if x.dtype.kind in "iub":
            info = np.iinfo(x.dtype) if x.dtype.kind != "b" else np.iinfo(np.uint8)
            return np.clip(x, max(self.low, info.min), min(self.high, info.max)).astype(x.dtype)
        return np.clip(x, x.dtype.type(self.low), x.dtype.type(self.high))


@dataclass(frozen=True)
class Cast(Elementwise):
    """The elements converted to another dtype."""

    dtype: str
    formula: ClassVar[str] = "{0}"

    def result_dtype(self, *names: str) -> str:
        return self.dtype

    def reference(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(x).astype(self.dtype)


@dataclass(frozen=True)
class Where(Elementwise):
    """x where the condition is true, else y."""

    formula: ClassVar[str] = "where({0}, {1}, {2})"
    arity: ClassVar[int] = 3

    def result_dtype(self, *names: str) -> str:
        return dtypes.result_type(*names[1:])

    def reference(self, condition: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(condition, x, y)


def elementwise_samples(op: Elementwise) -> Iterator[tuple[Op, list[np.ndarray]]]:
    """Inputs for any elementwise op: odd and empty extents, broadcasting, integers where they are due."""
    rng = np.random.default_rng(0)
    for shapes in (((5, 7), (5, 7), (5, 7)), ((3, 1, 17), (4, 1), (17,)), ((0, 3), (3,), (1,)), ((), (), ())):
        values = [rng.uniform(0.1, 0.9, s).astype("float32") for s in shapes[:op.arity]]
        if isinstance(op, Where):
            values[0] = values[0] > 0.5
        elif isinstance(op, (LogicalAnd, LogicalOr, LogicalXor, LogicalNot)):
            values = [v > 0.5 for v in values]
        elif isinstance(op, Arccosh):
            values = [v + 1 for v in values]
        yield op, values


Elementwise.samples = elementwise_samples  # type: ignore[method-assign,assignment]


# ---- public functions

def _unary(op_class: type[Op], name: str, doc: str) -> Any:
    op = op_class()

    def function(x: Any) -> Any:
        return op(x if isinstance(x, (Tensor, Variable)) else dtypes.as_array(x))
    function.__name__ = function.__qualname__ = name
    function.__module__ = __name__
    function.__doc__ = f"""{doc} Elementwise; the result has the shape of ``x``.

    Source: https://keras.io/api/ops/numpy/
    """
    return public(function)


def _binary(op_class: type[Op], name: str, doc: str) -> Any:
    op = op_class()

    def function(x1: Any, x2: Any) -> Any:
        return op(*promote(x1, x2))
    function.__name__ = function.__qualname__ = name
    function.__module__ = __name__
    function.__doc__ = f"""{doc} Elementwise; the shapes of ``x1`` and ``x2`` broadcast, their dtypes combine.

    Raises ShapeError where the shapes do not broadcast. Source: https://keras.io/api/ops/numpy/
    """
    return public(function)


add, subtract, multiply = _binary(Add, "add", "x1 + x2."), _binary(Subtract, "subtract", "x1 - x2."), _binary(Multiply, "multiply", "x1 * x2.")
divide, true_divide = _binary(Divide, "divide", "x1 / x2."), _binary(Divide, "true_divide", "x1 / x2.")
floor_divide, mod = _binary(FloorDivide, "floor_divide", "floor(x1 / x2)."), _binary(Mod, "mod", "The rest of x1 / x2.")
power, arctan2 = _binary(Power, "power", "x1 to the power x2."), _binary(Arctan2, "arctan2", "The angle of (x1, x2).")
maximum, minimum = _binary(Maximum, "maximum", "The larger of x1 and x2."), _binary(Minimum, "minimum", "The smaller of x1 and x2.")
equal, not_equal = _binary(Equal, "equal", "x1 == x2."), _binary(NotEqual, "not_equal", "x1 != x2.")
less, less_equal = _binary(Less, "less", "x1 < x2."), _binary(LessEqual, "less_equal", "x1 <= x2.")
greater, greater_equal = _binary(Greater, "greater", "x1 > x2."), _binary(GreaterEqual, "greater_equal", "x1 >= x2.")
logical_and, logical_or = _binary(LogicalAnd, "logical_and", "Both are true."), _binary(LogicalOr, "logical_or", "At least one is true.")
logical_xor = _binary(LogicalXor, "logical_xor", "Exactly one is true.")
logical_not, isnan = _unary(LogicalNot, "logical_not", "Not x."), _unary(Isnan, "isnan", "Whether x is NaN.")
isinf, isfinite = _unary(Isinf, "isinf", "Whether x is infinite."), _unary(Isfinite, "isfinite", "Whether x is finite.")
negative, absolute, abs = _unary(Negative, "negative", "-x."), _unary(Absolute, "absolute", "|x|."), _unary(Absolute, "abs", "|x|.")
sign, square, reciprocal = _unary(Sign, "sign", "The sign of x."), _unary(Square, "square", "x * x."), _unary(Reciprocal, "reciprocal", "1 / x.")
sqrt, rsqrt = _unary(Sqrt, "sqrt", "The square root."), _unary(Rsqrt, "rsqrt", "1 / sqrt(x).")
exp, expm1, log, log1p = _unary(Exp, "exp", "exp(x)."), _unary(Expm1, "expm1", "exp(x) - 1."), _unary(Log, "log", "The natural logarithm."), _unary(Log1p, "log1p", "log(1 + x).")
sin, cos, tan = _unary(Sin, "sin", "Sine."), _unary(Cos, "cos", "Cosine."), _unary(Tan, "tan", "Tangent.")
arcsin, arccos, arctan = _unary(Arcsin, "arcsin", "Inverse sine."), _unary(Arccos, "arccos", "Inverse cosine."), _unary(Arctan, "arctan", "Inverse tangent.")
sinh, cosh, tanh = _unary(Sinh, "sinh", "Hyperbolic sine."), _unary(Cosh, "cosh", "Hyperbolic cosine."), _unary(Tanh, "tanh", "Hyperbolic tangent.")
arcsinh, arccosh, arctanh = (_unary(Arcsinh, "arcsinh", "Inverse of sinh."), _unary(Arccosh, "arccosh", "Inverse of cosh."),
                             _unary(Arctanh, "arctanh", "Inverse of tanh."))
sigmoid, erf = _unary(Sigmoid, "sigmoid", "1 / (1 + exp(-x))."), _unary(Erf, "erf", "The error function.")
floor, ceil = _unary(Floor, "floor", "Rounded down."), _unary(Ceil, "ceil", "Rounded up.")


@public
def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """x held between `x_min` and `x_max`, numbers or tensors that broadcast."""
    if isinstance(x_min, (int, float)) and isinstance(x_max, (int, float)):
        return Clip(float(x_min), float(x_max))(x if isinstance(x, (Tensor, Variable)) else dtypes.as_array(x))
    return minimum(maximum(x, x_min), x_max)


@public
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """x1 where the condition is true, else x2; the three broadcast. Both x1 and x2 are due: a shape cannot depend on values."""
    if x1 is None or x2 is None:
        raise ValueError("where expects condition, x1 and x2; with the condition alone the result's shape would depend on values.")
    return Where()(cast(condition, "bool"), *promote(x1, x2))


@public
def round(x: Any, decimals: int = 0) -> Any:
    """x rounded to `decimals` places, halves to even."""
    return Round()(floating(x)) if decimals == 0 else divide(Round()(multiply(x, 10.0 ** decimals)), 10.0 ** decimals)


cast = public(cast)
__all__ = [name for name, value in list(globals().items()) if hasattr(value, "prefix")]
_ = Spec
