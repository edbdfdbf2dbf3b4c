"""Keras's activations: functions of a tensor, or of an array.

Most are those of `graphnet.ops`; some take other defaults here.
"""
import math
from typing import Any

from graphnet import ops
from graphnet.ops import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    tanh,
    tanh_shrink,
    threshold,
)
from graphnet.ops.convert import to_tensor
from graphnet.ops.elementwise import Clip


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """min(max(x, 0), max_value); below `threshold` it is negative_slope * (x - threshold).

    Source: https://keras.io/api/layers/activations/

    Example:

        >>> from graphnet import activations
        >>> activations.relu([-10.0, -5.0, 5.0, 10.0], negative_slope=0.5, max_value=6.0)
        array([-5. , -2.5,  5. ,  6. ], dtype=float32)
    """
    x = to_tensor(x)
    if threshold == 0 and negative_slope == 0:
        return ops.relu(x) if max_value is None else ops.relu6(x) if max_value == 6 else Clip(0.0, float(max_value))(x)
    top = math.inf if max_value is None else float(max_value)
    above = ops.where(ops.greater(x, threshold), Clip(-math.inf, top)(x) if max_value is not None else x, 0.0)
    if negative_slope == 0:
        return above
    return ops.subtract(above, ops.multiply(ops.relu(ops.subtract(threshold, x)), negative_slope))


def gelu(x: Any, approximate: bool = False) -> Any:
    """x / 2 * (1 + erf(x / sqrt(2))), or its approximation by tanh. Source: https://arxiv.org/abs/1606.08415

    Example:

        >>> from graphnet import activations
        >>> activations.gelu([0.0, 10.0])
        array([ 0., 10.], dtype=float32)
    """
    return ops.gelu(x, approximate)


def softmax(x: Any, axis: Any = -1) -> Any:
    """exp(x) / sum(exp(x)) along an axis, or over several: each slice becomes positive and adds up to 1.

    Example:

        >>> from graphnet import activations
        >>> activations.softmax([[0.0, 0.0]])
        array([[0.5, 0.5]], dtype=float32)
    """
    return ops.softmax(x, axis)


def exponential(x: Any) -> Any:
    """exp(x).

    Example:

        >>> from graphnet import activations
        >>> activations.exponential([0.0])
        array([1.], dtype=float32)
    """
    return ops.exp(x)


def linear(x: Any) -> Any:
    """x itself.

    Example:

        >>> from graphnet import activations
        >>> activations.linear(3.0)
        3.0
    """
    return x


swish, hard_swish = silu, hard_silu
FUNCTIONS = (celu, elu, exponential, gelu, glu, hard_shrink, hard_sigmoid, hard_silu, hard_tanh, leaky_relu, linear,
             log_sigmoid,
             log_softmax, mish, relu, relu6, selu, sigmoid, silu, soft_shrink, softmax, softplus, softsign, sparse_plus,
             sparse_sigmoid,
             sparsemax, squareplus, tanh, tanh_shrink, threshold)
