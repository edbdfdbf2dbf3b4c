"""Curves that fade a signal in and out; their length is a number."""
from typing import Any

import numpy as np

from graphnet import dtypes
from graphnet.ops.convert import by_value

_MEND = "Give its length as an int."


def _window(curve: Any, x: Any, who: str, *arguments: Any) -> np.ndarray:
    return curve(int(by_value(x, who, _MEND)), *arguments).astype(dtypes.floatx())


def bartlett(x: Any) -> np.ndarray:
    """A triangle of x points. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.bartlett(3)
        array([0., 1., 0.], dtype=float32)
    """
    return _window(np.bartlett, x, "bartlett")


def blackman(x: Any) -> np.ndarray:
    """Blackman's window of x points: 0.42 - 0.5 cos(t) + 0.08 cos(2 t), t from 0 to 2 pi. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.blackman(1)
        array([1.], dtype=float32)
    """
    return _window(np.blackman, x, "blackman")


def hamming(x: Any) -> np.ndarray:
    """Hamming's window of x points: 0.54 - 0.46 cos(t), t from 0 to 2 pi. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.hamming(3)
        array([0.08, 1.  , 0.08], dtype=float32)
    """
    return _window(np.hamming, x, "hamming")


def hanning(x: Any) -> np.ndarray:
    """Hann's window of x points: 0.5 - 0.5 cos(t), t from 0 to 2 pi. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.hanning(3)
        array([0., 1., 0.], dtype=float32)
    """
    return _window(np.hanning, x, "hanning")


def kaiser(x: Any, beta: float) -> np.ndarray:
    """Kaiser's window of x points; the larger beta, the narrower. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.kaiser(3, 0.0)
        array([1., 1., 1.], dtype=float32)
    """
    return _window(np.kaiser, x, "kaiser", float(beta))


__all__ = ["bartlett", "blackman", "hamming", "hanning", "kaiser"]
