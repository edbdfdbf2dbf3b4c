"""Initializer: what first values a variable gets."""
import functools
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphnet import dtypes
from graphnet.errors import ShapeError
from graphnet.registry import builtin


@functools.lru_cache(1024)
def _arguments(kind: Any) -> list[str]:
    """The names of what a class takes; a model that is saved asks for those of the same few classes hundreds of times."""
    return [name for name in inspect.signature(kind.__init__).parameters if name != "self"]


class Initializer:
    """Base of initializers; called with a shape and a dtype, it gives an array.

    Source: https://keras.io/api/layers/initializers/

    A class of one's own defines ``__call__(self, shape, dtype=None)`` and, to be saved, ``get_config(self)``.

    Example:

        >>> from graphnet import initializers
        >>> initializers.Ones()((2,))
        array([1., 1.], dtype=float32)
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} expects a method __call__(self, shape, dtype=None) that gives an "
                                  "array.")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer; those of a class of one's own too, where attributes bear their names.
        """
        kind: Any = type(self)
        return {name: getattr(self, name) for name in _arguments(kind) if hasattr(self, name)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Initializer":
        return cls(**config)

    def clone(self) -> "Initializer":
        """An initializer of the same configuration."""
        return type(self).from_config(self.get_config())


@builtin("initializers", "zeros", "zero")
class Zeros(Initializer):
    """Zeros.

    Example:

        >>> from graphnet import initializers
        >>> initializers.Zeros()((2,))
        array([0., 0.], dtype=float32)
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        return np.zeros(shape, dtypes.standardize_dtype(dtype))


@builtin("initializers", "ones", "one")
class Ones(Initializer):
    """Ones.

    Example:

        >>> from graphnet import initializers
        >>> initializers.Ones()((2,), "int32")
        array([1, 1], dtype=int32)
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        return np.ones(shape, dtypes.standardize_dtype(dtype))


@builtin("initializers", "constant")
class Constant(Initializer):
    """One value everywhere, or an array that broadcasts to the shape.

    Example:

        >>> from graphnet import initializers
        >>> initializers.Constant(3.0)((2,))
        array([3., 3.], dtype=float32)
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        return np.full(shape, self.value, dtypes.standardize_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value.tolist() if isinstance(self.value, np.ndarray) else self.value}


@builtin("initializers", "identity", "IdentityInitializer")
class Identity(Initializer):
    """gain on the diagonal of a matrix, zeros elsewhere. Raises ShapeError for other than two axes.

    Example:

        >>> from graphnet import initializers
        >>> initializers.Identity()((2, 2))
        array([[1., 0.],
               [0., 1.]], dtype=float32)
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        if len(shape) != 2:
            raise ShapeError(f"Identity makes matrices, so it expects a shape of two extents; received shape={tuple(shape)}.")
        dtype = dtypes.standardize_dtype(dtype)
        return (self.gain * np.eye(shape[0], shape[1])).astype(dtype)
