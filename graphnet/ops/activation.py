"""Activations, as compositions of elementwise ops: fusion makes one loop of each."""
import math
from typing import Any

from graphnet.errors import ShapeError
from graphnet.op import public
from graphnet.ops.convert import floating, normalize_axis, promote, shape, to_tensor
from graphnet.ops.elementwise import (
    Clip,
    Softplus,
    absolute,
    add,
    divide,
    erf,
    expm1,
    greater,
    greater_equal,
    less_equal,
    maximum,
    minimum,
    multiply,
    negative,
    sigmoid,
    sqrt,
    square,
    subtract,
    tanh,
    where,
)
from graphnet.ops.shape import split

RELU, RELU6, HARD_TANH, SOFTPLUS = Clip(0.0, math.inf), Clip(0.0, 6.0), Clip(-1.0, 1.0), Softplus()
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717  # https://arxiv.org/abs/1706.02515


@public
def relu(x: Any) -> Any:
    """max(x, 0), elementwise. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.relu([-1.0, 2.0])
        array([0., 2.], dtype=float32)
    """
    return RELU(to_tensor(x))


@public
def relu6(x: Any) -> Any:
    """min(max(x, 0), 6), elementwise. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.relu6([-1.0, 2.0, 9.0])
        array([0., 2., 6.], dtype=float32)
    """
    return RELU6(floating(x))


@public
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """x where x >= 0, else negative_slope * x. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.leaky_relu([-1.0, 2.0], 0.5)
        array([-0.5,  2. ], dtype=float32)
    """
    x = floating(x)
    return where(greater_equal(x, 0.0), x, multiply(x, negative_slope))


@public
def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where x > 0, else alpha * (exp(x) - 1). Source: https://arxiv.org/abs/1511.07289

    Example:

        >>> from graphnet import ops
        >>> ops.elu([float("-inf"), 2.0])
        array([-1.,  2.], dtype=float32)
    """
    x = floating(x)
    above = greater(x, 0.0)
    below = expm1(where(above, 0.0, x))  # at 0 the slope of this side counts, whole: with a minimum it would be shared
    return where(above, x, below if alpha == 1 else multiply(below, alpha))


@public
def selu(x: Any) -> Any:
    """scale * elu(x, alpha), with the constants that keep mean 0 and variance 1. Source: https://arxiv.org/abs/1706.02515

    Example:

        >>> from graphnet import ops
        >>> ops.selu([0.0, 1.0])
        array([0.      , 1.050701], dtype=float32)
    """
    return multiply(elu(x, SELU_ALPHA), SELU_SCALE)


@public
def celu(x: Any, alpha: float = 1.0) -> Any:
    """max(x, 0) + min(0, alpha * (exp(x / alpha) - 1)). Source: https://arxiv.org/abs/1704.07483

    Example:

        >>> from graphnet import ops
        >>> ops.celu([float("-inf"), 2.0])
        array([-1.,  2.], dtype=float32)
    """
    x = floating(x)
    below = multiply(expm1(divide(minimum(x, 0.0), alpha)), alpha)
    return add(maximum(x, 0.0), below)


@public
def gelu(x: Any, approximate: bool = True) -> Any:
    """x * P(X <= x) of a normal X: x / 2 * (1 + erf(x / sqrt(2))), or its approximation by tanh. Source: https://arxiv.org/abs/1606.08415

    Example:

        >>> from graphnet import ops
        >>> ops.gelu([0.0, 10.0])
        array([ 0., 10.], dtype=float32)
    """
    x = floating(x)
    if approximate:
        cubic = add(x, multiply(multiply(square(x), x), 0.044715))
        gate = tanh(multiply(cubic, math.sqrt(2.0 / math.pi)))
    else:
        gate = erf(multiply(x, math.sqrt(0.5)))
    return multiply(multiply(x, 0.5), add(gate, 1.0))


@public
def silu(x: Any) -> Any:
    """x * sigmoid(x), also called swish. Source: https://arxiv.org/abs/1710.05941

    Example:

        >>> from graphnet import ops
        >>> ops.silu([0.0, 100.0])
        array([  0., 100.], dtype=float32)
    """
    x = floating(x)
    return multiply(x, sigmoid(x))


swish = silu


@public
def softplus(x: Any) -> Any:
    """log(1 + exp(x)), without overflow. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.softplus([-200.0, 200.0])
        array([  0., 200.], dtype=float32)
    """
    return SOFTPLUS(floating(x))


@public
def softsign(x: Any) -> Any:
    """x / (1 + |x|). Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.softsign([-1.0, 1.0])
        array([-0.5,  0.5], dtype=float32)
    """
    x = floating(x)
    return divide(x, add(absolute(x), 1.0))


@public
def mish(x: Any) -> Any:
    """x * tanh(softplus(x)). Source: https://arxiv.org/abs/1908.08681

    Example:

        >>> from graphnet import ops
        >>> ops.mish([0.0, 100.0])
        array([  0., 100.], dtype=float32)
    """
    x = floating(x)
    return multiply(x, tanh(softplus(x)))


@public
def hard_sigmoid(x: Any) -> Any:
    """relu6(x + 3) / 6, a sigmoid of straight lines. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.hard_sigmoid([-3.0, 0.0, 3.0])
        array([0. , 0.5, 1. ], dtype=float32)
    """
    return divide(RELU6(add(floating(x), 3.0)), 6.0)


@public
def hard_silu(x: Any) -> Any:
    """x * hard_sigmoid(x), also called hard swish. Source: https://arxiv.org/abs/1905.02244

    Example:

        >>> from graphnet import ops
        >>> ops.hard_silu([-3.0, 0.0, 3.0])
        array([-0.,  0.,  3.], dtype=float32)
    """
    x = floating(x)
    return multiply(x, hard_sigmoid(x))


hard_swish = hard_silu


@public
def hard_tanh(x: Any) -> Any:
    """min(max(x, -1), 1). Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.hard_tanh([-3.0, 0.5, 3.0])
        array([-1. ,  0.5,  1. ], dtype=float32)
    """
    return HARD_TANH(to_tensor(x))


@public
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x where |x| > threshold, else 0. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.hard_shrink([-0.5, 1.0])
        array([0., 1.], dtype=float32)
    """
    x = floating(x)
    return where(greater(absolute(x), threshold), x, 0.0)


@public
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x brought nearer to 0 by threshold, and 0 where it would pass it. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.soft_shrink([-0.5, 1.0])
        array([0. , 0.5], dtype=float32)
    """
    x = floating(x)
    return where(greater(x, threshold), subtract(x, threshold), where(greater(-threshold, x), add(x, threshold), 0.0))


@public
def tanh_shrink(x: Any) -> Any:
    """x - tanh(x). Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.tanh_shrink([0.0, 100.0])
        array([ 0., 99.], dtype=float32)
    """
    x = floating(x)
    return subtract(x, tanh(x))


@public
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """x where x > threshold, else default_value. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.threshold([0.5, 2.0], 1.0, -1.0)
        array([-1.,  2.], dtype=float32)
    """
    x = to_tensor(x)
    return where(greater(x, threshold), x, default_value)


@public
def sparse_plus(x: Any) -> Any:
    """0 up to -1, x from 1 on, (x + 1)^2 / 4 between. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.sparse_plus([-2.0, 0.0, 3.0])
        array([0.  , 0.25, 3.  ], dtype=float32)
    """
    x = floating(x)
    return where(less_equal(x, -1.0), 0.0, where(greater_equal(x, 1.0), x, multiply(square(add(x, 1.0)), 0.25)))


@public
def sparse_sigmoid(x: Any) -> Any:
    """0 up to -1, 1 from 1 on, (x + 1) / 2 between. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.sparse_sigmoid([-2.0, 0.0, 3.0])
        array([0. , 0.5, 1. ], dtype=float32)
    """
    return Clip(0.0, 1.0)(multiply(add(floating(x), 1.0), 0.5))


@public
def squareplus(x: Any, b: float = 4) -> Any:
    """(x + sqrt(x^2 + b)) / 2. Source: https://arxiv.org/abs/2112.11687

    Example:

        >>> from graphnet import ops
        >>> ops.squareplus([0.0])
        array([1.], dtype=float32)
    """
    x = floating(x)
    return multiply(add(x, sqrt(add(square(x), float(b)))), 0.5)


@public
def log_sigmoid(x: Any) -> Any:
    """log(sigmoid(x)), without overflow. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.log_sigmoid([-200.0, 200.0])
        array([-200.,   -0.], dtype=float32)
    """
    return negative(softplus(negative(floating(x))))


@public
def glu(x: Any, axis: int = -1) -> Any:
    """a * sigmoid(b), where a and b are the two halves of x along `axis`. Raises ShapeError where its extent is odd.

    Source: https://arxiv.org/abs/1612.08083

    Example:

        >>> from graphnet import ops
        >>> ops.glu([3.0, 0.0])
        array([1.5], dtype=float32)
    """
    x = floating(x)
    axis = normalize_axis(axis, x.ndim, "glu")
    extent = shape(x)[axis]
    if isinstance(extent, int) and extent % 2:
        raise ShapeError(f"glu expects an even extent on axis={axis}, to halve it; received {extent}.")
    a, b = promote(*split(x, 2, axis))
    return multiply(a, sigmoid(b))


__all__ = [
    "celu", "elu", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu",
    "log_sigmoid", "mish", "relu", "relu6", "selu", "silu", "soft_shrink", "softplus", "softsign", "sparse_plus",
    "sparse_sigmoid", "squareplus", "swish", "tanh_shrink", "threshold",
]
