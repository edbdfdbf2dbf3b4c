"""Compositions of elementwise ops, with numpy's names."""
import math
from typing import Any

import numpy as np

from graphnet import dtypes
from graphnet.op import public
from graphnet.ops import elementwise as e
from graphnet.ops.convert import cast, floating, promote, to_tensor
from graphnet.ops.layout import StopGradient
from graphnet.ops.reduction import all


@public
def divide_no_nan(x1: Any, x2: Any) -> Any:
    """x1 / x2, and 0 where x2 is 0. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.divide_no_nan([1.0, 1.0], [2.0, 0.0])
        array([0.5, 0. ], dtype=float32)
    """
    a, b = promote(floating(x1), floating(x2))
    none = e.equal(b, 0.0)
    return e.where(none, 0.0, e.divide(a, e.where(none, 1.0, b)))


@public
def deg2rad(x: Any) -> Any:
    """Degrees as radians. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.deg2rad([180.0])
        array([3.1415927], dtype=float32)
    """
    return e.multiply(floating(x), math.pi / 180.0)


@public
def rad2deg(x: Any) -> Any:
    """Radians as degrees. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.rad2deg([0.0])
        array([0.], dtype=float32)
    """
    return e.multiply(floating(x), 180.0 / math.pi)


@public
def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether |x1 - x2| <= atol + rtol * |x2|; infinities of one sign are close. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.isclose([1.0, 1.0], [1.0, 1.1])
        array([ True, False])
    """
    a, b = promote(floating(x1), floating(x2))
    near = e.less_equal(e.absolute(e.subtract(a, b)), e.add(e.multiply(e.absolute(b), rtol), atol))
    out = e.logical_or(e.logical_and(near, e.isfinite(b)), e.equal(a, b))
    return e.logical_or(out, e.logical_and(e.isnan(a), e.isnan(b))) if equal_nan else out


@public
def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether all elements are close, as `isclose` has it. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> bool(ops.allclose([1.0, 2.0], [1.0, 2.0]))
        True
    """
    return all(isclose(x1, x2, rtol, atol, equal_nan))


@public
def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """x with NaN and the infinities replaced: by `nan`, and by the largest and smallest floats unless told. Source:
    https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.nan_to_num([float("nan"), 1.0, float("inf")], posinf=9.0)
        array([0., 1., 9.], dtype=float32)
    """
    x = to_tensor(x)
    if str(x.dtype) not in dtypes.FLOATS:
        return x
    info = np.finfo(str(x.dtype))
    x = e.where(e.isnan(x), nan, x)
    x = e.where(e.equal(x, math.inf), float(info.max) if posinf is None else posinf, x)
    return e.where(e.equal(x, -math.inf), float(info.min) if neginf is None else neginf, x)


@public
def heaviside(x1: Any, x2: Any) -> Any:
    """0 where x1 < 0, 1 where x1 > 0, x2 at 0. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.heaviside([-1.0, 0.0, 1.0], 0.5)
        array([0. , 0.5, 1. ], dtype=float32)
    """
    a, b = promote(floating(x1), floating(x2))
    return e.where(e.less(a, 0.0), 0.0, e.where(e.greater(a, 0.0), 1.0, e.where(e.equal(a, 0.0), b, a)))


@public
def sinc(x: Any) -> Any:
    """sin(pi x) / (pi x), and 1 at 0. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.sinc([0.0])
        array([1.], dtype=float32)
    """
    x = e.multiply(floating(x), math.pi)
    none = e.equal(x, 0.0)
    return e.where(none, 1.0, e.divide(e.sin(x), e.where(none, 1.0, x)))


@public
def ldexp(x1: Any, x2: Any) -> Any:
    """x1 * 2**x2. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.ldexp([3.0], [2])
        array([12.], dtype=float32)
    """
    x1 = floating(x1)
    return e.multiply(x1, e.power(2.0, cast(x2, x1.dtype)))


@public
def fabs(x: Any) -> Any:
    """|x|, in floats. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.fabs([-1, 2])
        array([1., 2.], dtype=float32)
    """
    return e.absolute(floating(x))


@public
def isposinf(x: Any) -> Any:
    """Whether x is positive infinity.

    Example:

        >>> from graphnet import ops
        >>> ops.isposinf([float("inf"), float("-inf")])
        array([ True, False])
    """
    return e.equal(floating(x), math.inf)


@public
def isneginf(x: Any) -> Any:
    """Whether x is negative infinity.

    Example:

        >>> from graphnet import ops
        >>> ops.isneginf([float("inf"), float("-inf")])
        array([False,  True])
    """
    return e.equal(floating(x), -math.inf)


@public
def saturate_cast(x: Any, dtype: Any) -> Any:
    """x converted to `dtype`, values beyond its range brought to its ends. Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.saturate_cast([-5.0, 300.0], "uint8")
        array([  0, 255], dtype=uint8)
    """
    dtype, x = dtypes.standardize_dtype(dtype), to_tensor(x)
    if dtype not in dtypes.INTS:
        return cast(x, dtype)
    info = np.iinfo(dtype)
    x = e.clip(cast(x, "float32") if str(x.dtype) == "float16" else x, int(info.min), int(info.max))  # float16 ends at 65,504
    floats = str(x.dtype) in dtypes.FLOATS
    if floats and info.max.bit_length() > np.finfo(str(x.dtype)).nmant + 1:  # the float next to the largest int is larger
        return e.where(e.greater_equal(x, float(info.max)), np.asarray(info.max, dtype), e.Cast(dtype)(x))
    return cast(x, dtype)


@public
def stop_gradient(variable: Any) -> Any:
    """The value itself, through which no gradient flows. Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.stop_gradient([1.0])
        array([1.], dtype=float32)
    """
    return StopGradient()(to_tensor(variable))


@public
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """Of each place the choice whose condition is the first true one, else the default. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.select([[True, False], [True, True]], [[1, 2], [3, 4]], 5)
        array([1, 4], dtype=int32)
    """
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(f"select expects as many conditions as choices, at least one; received {len(condlist)} and "
                         f"{len(choicelist)}.")
    *choices, out = promote(*choicelist, default)
    for condition, choice in zip(reversed(list(condlist)), reversed(choices), strict=True):
        out = e.where(condition, choice, out)
    return out


__all__ = [
    "allclose", "deg2rad", "divide_no_nan", "fabs", "heaviside", "isclose", "isneginf", "isposinf", "ldexp",
    "nan_to_num", "rad2deg",
    "saturate_cast", "select", "sinc", "stop_gradient",
]
