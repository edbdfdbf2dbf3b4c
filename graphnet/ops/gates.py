"""Activations of recurrent gates by Keras 3's names, with their slopes: what a walk through time keeps of them to come back.

Of most activations the result says the slope (tanh: 1 - y**2), and is what the next step needs anyway. Where it does not, as
two arguments give one result (silu, mish, gelu), the argument is kept, and the result computed again from it.
"""
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from graphnet.ops.elementwise import Erf, Sigmoid

Array = np.ndarray
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al., https://arxiv.org/abs/1706.02515
_sigmoid = Sigmoid().reference


@dataclass(frozen=True)
class Gate:
    """An activation on arrays.

    Arguments: ``slope``: the derivative, as a function of what is kept; ``keeps_argument``: that is the argument, else the
    result.

    Example:

        >>> import numpy as np
        >>> from graphnet.ops.gates import ACTIVATIONS
        >>> tanh = ACTIVATIONS["tanh"]
        >>> tanh.slope(tanh.kept(np.zeros(2)))
        array([1., 1.])
    """

    function: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    keeps_argument: bool = False

    def __call__(self, x: Array) -> Array:
        return self.function(x)

    def kept(self, x: Array) -> Array:
        """What is kept of the argument x."""
        return x if self.keeps_argument else self.function(x)

    def value(self, kept: Array) -> Array:
        """The result, from what is kept."""
        return self.function(kept) if self.keeps_argument else kept


def _relu6(x: Array) -> Array:
    return np.clip(x, 0.0, 6.0)


def _elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _selu(x: Array) -> Array:
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0)))


def _softplus(x: Array) -> Array:
    return np.logaddexp(x, x.dtype.type(0))


def _hard_sigmoid(x: Array) -> Array:
    return _relu6(x + 3.0) / 6.0


def _normal(x: Array) -> Array:
    """The probability that a normal number is below x."""
    return 0.5 * (1.0 + Erf().reference(x / math.sqrt(2.0)))


def _inside(x: Array, low: float, high: float) -> Array:
    return ((x > low) & (x < high)).astype(x.dtype)


def _mish_slope(x: Array) -> Array:
    t = np.tanh(_softplus(x))
    return t + x * (1.0 - t * t) * _sigmoid(x)


# hard_sigmoid is Keras 3's, not the steeper one of Keras 2; at a corner the slope is that of JAX's comparison
ACTIVATIONS: dict[str, Gate] = {
    "tanh": Gate(np.tanh, lambda y: 1.0 - y * y),
    "sigmoid": Gate(_sigmoid, lambda y: y * (1.0 - y)),
    "relu": Gate(lambda x: np.maximum(x, 0), lambda y: (y > 0).astype(y.dtype)),
    "linear": Gate(lambda x: x, np.ones_like),
    "hard_sigmoid": Gate(_hard_sigmoid, lambda y: _inside(y, 0.0, 1.0) / 6.0),
    "hard_silu": Gate(lambda x: x * _hard_sigmoid(x), lambda x: _hard_sigmoid(x) + x * _inside(x, -3.0, 3.0) / 6.0, True),
    "relu6": Gate(_relu6, lambda y: _inside(y, 0.0, 6.0)),
    "leaky_relu": Gate(lambda x: np.where(x < 0, 0.2 * x, x), lambda y: np.where(y < 0, y.dtype.type(0.2), y.dtype.type(1))),
    "elu": Gate(_elu, lambda y: np.where(y > 0, y.dtype.type(1), y + 1.0)),
    "selu": Gate(_selu, lambda y: np.where(y > 0, y.dtype.type(SELU_SCALE), y + SELU_SCALE * SELU_ALPHA)),
    "softplus": Gate(_softplus, lambda y: -np.expm1(-y)),
    "softsign": Gate(lambda x: x / (1.0 + np.abs(x)), lambda y: np.square(1.0 - np.abs(y))),
    "exponential": Gate(np.exp, lambda y: y),
    "silu": Gate(lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) * (1.0 + x * (1.0 - _sigmoid(x))), True),
    "mish": Gate(lambda x: x * np.tanh(_softplus(x)), _mish_slope, True),
    "gelu": Gate(lambda x: x * _normal(x), lambda x: _normal(x) + x * np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi), True),
}
