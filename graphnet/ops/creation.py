"""Tensors from shapes and numbers alone. With an unknown extent the result belongs to the graph that the extent comes from."""
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet import dims, dtypes
from graphnet.dims import Dim
from graphnet.errors import ShapeError, UnsupportedError
from graphnet.graph import Spec, Tensor, Variable
from graphnet.op import Op, Samples, public
from graphnet.ops.convert import bound, cast, floating, promote, shape, shown, sized, to_tensor
from graphnet.ops.elementwise import add, divide, equal, greater_equal, multiply, power, subtract, where
from graphnet.ops.shape import BroadcastTo, expand_dims, moveaxis, reshape, stack
from graphnet.tracing import announce


@dataclass(frozen=True)
class Arange(Op):
    """0, 1, 2, ... up to an extent."""

    count: Any = 0
    dtype: str = "int32"

    def infer(self) -> Spec:
        return Spec((self.count,), self.dtype)

    def reference(self) -> np.ndarray:
        return np.arange(self.count, dtype=self.dtype)

    def bind(self, extents: Any) -> "Arange":
        return Arange(bound(self.count, extents), self.dtype)

    def vjp(self, g: Any, y: Any) -> list[Any]:
        return []

    @classmethod
    def samples(cls) -> Samples:
        for count in (0, 1, 17):
            yield cls(count, "int32"), []
        yield cls(5, "float32"), []


def _extents(value: Any) -> tuple[Any, ...]:
    """A shape given as an extent or a sequence of them."""
    listed = (value,) if isinstance(value, (int, np.integer, Dim)) else tuple(value)
    if any(s is None for s in listed):
        raise ShapeError(f"A shape for new tensors expects ints, or extents taken from graphnet.ops.shape(x); received {listed}.")
    return tuple([s if isinstance(s, Dim) else int(s) for s in listed])


def convert_to_tensor(x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None) -> Any:
    """x as a tensor or array of `dtype`; a list may hold symbolic tensors. Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.convert_to_tensor([1, 2])
        array([1, 2], dtype=int32)
    """
    if sparse or ragged:
        raise UnsupportedError("convert_to_tensor expects sparse=None and ragged=None: graphnet has dense tensors only. Leave "
                               "the arguments out.")
    if isinstance(x, (list, tuple)) and any(isinstance(v, (Tensor, Variable, Dim, list, tuple)) for v in x):
        parts = [convert_to_tensor(v) for v in x]
        x = stack(parts) if any(isinstance(p, Tensor) for p in parts) else dtypes.as_array(x)
    x = to_tensor(x)
    return x if dtype is None else cast(x, dtype)


def convert_to_numpy(x: Any) -> np.ndarray:
    """The value of x as a numpy array; a symbolic tensor has none. Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.convert_to_numpy([1.0])
        array([1.], dtype=float32)
    """
    return x.numpy() if isinstance(x, Variable) else np.asarray(to_tensor(x))


def array(x: Any, dtype: Any = None) -> Any:
    """x as a tensor or array of `dtype`. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.array([1, 2], "float32")
        array([1., 2.], dtype=float32)
    """
    return convert_to_tensor(x, dtype)


def ndim(x: Any) -> int:
    """The number of axes of x.

    Example:

        >>> from graphnet import ops
        >>> ops.ndim([[1, 2]])
        2
    """
    return len(shape(x))


def size(x: Any) -> Any:
    """The number of elements of x: an int, or an extent where it is not known before the model runs.

    Example:

        >>> from graphnet import ops
        >>> ops.size([[1, 2]])
        2
    """
    return dims.product(shape(x))


def dtype(x: Any) -> str:
    """The name of x's dtype.

    Example:

        >>> from graphnet import ops
        >>> ops.dtype(ops.zeros(3))
        'float32'
    """
    return str(to_tensor(x).dtype)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """A tensor of a shape, filled with a value that broadcasts to it. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.full((2, 2), 7.0)
        array([[7., 7.],
               [7., 7.]], dtype=float32)
    """
    extents = _extents(shape)
    value = cast(fill_value, dtypes.standardize_dtype(dtype))
    if isinstance(value, np.ndarray) and not any(isinstance(s, Dim) for s in extents):
        announce(extents, value.dtype.name, "full")
        return np.full(extents, value, value.dtype)
    return sized(BroadcastTo(extents), value)


def zeros(shape: Any, dtype: Any = None) -> Any:
    """A tensor of zeros. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.zeros((2,))
        array([0., 0.], dtype=float32)
    """
    return full(shape, 0, dtypes.standardize_dtype(dtype))


def ones(shape: Any, dtype: Any = None) -> Any:
    """A tensor of ones. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.ones((2,))
        array([1., 1.], dtype=float32)
    """
    return full(shape, 1, dtypes.standardize_dtype(dtype))


empty = zeros


@public
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """A tensor of x's shape, filled with a value. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.full_like([1, 2], 5)
        array([5, 5], dtype=int32)
    """
    x = to_tensor(x)
    return full(shape(x), fill_value, dtype or x.dtype)


@public
def zeros_like(x: Any, dtype: Any = None) -> Any:
    """A tensor of zeros of x's shape. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.zeros_like([1, 2])
        array([0, 0], dtype=int32)
    """
    return full_like(x, 0, dtype)


@public
def ones_like(x: Any, dtype: Any = None) -> Any:
    """A tensor of ones of x's shape. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.ones_like([1, 2])
        array([1, 1], dtype=int32)
    """
    return full_like(x, 1, dtype)


empty_like = zeros_like


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """start, start + step, ... below stop; 0, 1, ... where only one is given. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.arange(1, 7, 2)
        array([1, 3, 5], dtype=int32)
    """
    start, stop, step = (0, start, step) if stop is None else (start, stop, step)
    step = 1 if step is None else step
    if any(isinstance(v, (Tensor, Variable)) for v in (start, stop, step)):
        raise UnsupportedError("arange expects numbers or extents: with a tensor its shape would depend on values. Use "
                               "graphnet.ops.shape(x)[i].")
    if dtype is None:
        dtype = dtypes.result_type(*[dtypes.dtype_of(0 if isinstance(v, Dim) else v) for v in (start, stop, step)])
    dtype = dtypes.standardize_dtype(dtype)
    if not any(isinstance(v, Dim) for v in (start, stop, step)):
        announce(((stop - start) // step,), "int64", "arange")
        return np.arange(start, stop, step).astype(dtype)
    row = sized(Arange((stop - start + (step - 1)) // step, dtype))
    row = row if step == 1 else multiply(row, step)
    return row if isinstance(start, int) and start == 0 else cast(add(row, start), dtype)


@public
def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
             axis: int = 0) -> Any:
    """`num` values at equal distances from start to stop. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.linspace(0, 1, 5)
        array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    a, b = promote(floating(start), floating(stop))
    parts = num - 1 if endpoint else num
    step = divide(subtract(b, a), max(parts, 1))
    row = reshape(arange(num, dtype=str(a.dtype)), (-1, *(1,) * max(ndim(a), ndim(b))))
    out = add(a, multiply(row, step))
    if endpoint and num > 1:  # the end itself, without rounding
        out = where(equal(row, num - 1), b, out)
    out = moveaxis(out, 0, axis) if axis else out
    out = out if dtype is None else cast(out, dtype)
    return (out, step) if retstep else out


@public
def logspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: float = 10, dtype: Any = None,
             axis: int = 0) -> Any:
    """`num` values at equal ratios from base**start to base**stop. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.logspace(0, 2, 3)
        array([  1.,  10., 100.], dtype=float32)
    """
    out = power(base, linspace(start, stop, num, endpoint, axis=axis))
    return out if dtype is None else cast(out, dtype)


def eye(N: Any, M: Any = None, k: int = 0, dtype: Any = None) -> Any:
    """N rows and M columns, ones on the k-th diagonal. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.eye(2)
        array([[1., 0.],
               [0., 1.]], dtype=float32)
    """
    return cast(_grid(equal, N, N if M is None else M, k), dtypes.standardize_dtype(dtype))


def identity(n: Any, dtype: Any = None) -> Any:
    """The identity matrix of n rows. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.identity(2, "int32")
        array([[1, 0],
               [0, 1]], dtype=int32)
    """
    return eye(n, dtype=dtype)


def tri(N: Any, M: Any = None, k: int = 0, dtype: Any = None) -> Any:
    """N rows and M columns, ones on and below the k-th diagonal. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.tri(2)
        array([[1., 0.],
               [1., 1.]], dtype=float32)
    """
    return cast(_grid(greater_equal, N, N if M is None else M, k), dtypes.standardize_dtype(dtype))


def _grid(compare: Any, rows: Any, columns: Any, k: int) -> Any:
    """compare(row + k, column) for each place of a matrix, bool."""
    return compare(expand_dims(arange(k, rows + k) if k else arange(rows), 1), arange(columns))


@public
def tril(x: Any, k: int = 0) -> Any:
    """x with zeros above the k-th diagonal of its last two axes. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.tril([[1, 2], [3, 4]])
        array([[1, 0],
               [3, 4]], dtype=int32)
    """
    x = _matrix(x, "tril")
    return where(_grid(greater_equal, shape(x)[-2], shape(x)[-1], k), x, 0)


@public
def triu(x: Any, k: int = 0) -> Any:
    """x with zeros below the k-th diagonal of its last two axes. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.triu([[1, 2], [3, 4]])
        array([[1, 2],
               [0, 4]], dtype=int32)
    """
    x = _matrix(x, "triu")
    return where(_grid(greater_equal, shape(x)[-2], shape(x)[-1], k - 1), 0, x)


def _matrix(x: Any, who: str) -> Any:
    x = to_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"{who} expects an operand with ndim >= 2; received shape {shown(shape(x))}.")
    return x


@public
def meshgrid(*x: Any, indexing: str = "xy") -> list[Any]:
    """The coordinates of a grid's points: each row x[i] broadcast over the axes of the others. Source:
    https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.meshgrid([1, 2], [3, 4])[0]
        array([[1, 2],
               [1, 2]], dtype=int32)
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid expects indexing 'xy' or 'ij'; received indexing={indexing!r}.")
    rows = [reshape(to_tensor(v), (-1,)) for v in x]
    places = [1, 0, *range(2, len(rows))] if indexing == "xy" and len(rows) > 1 else list(range(len(rows)))
    extents = [shape(rows[places[i]])[0] for i in range(len(rows))]
    return [sized(BroadcastTo(tuple(extents)), reshape(row, [-1 if i == at else 1 for i in range(len(rows))]))
            for row, at in zip(rows, places, strict=True)]


@public
def copy(x: Any) -> Any:
    """x; arrays are copied. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.copy([1, 2])
        array([1, 2], dtype=int32)
    """
    x = to_tensor(x)
    return x.copy() if isinstance(x, np.ndarray) else x


__all__ = ["arange", "array", "convert_to_numpy", "convert_to_tensor", "copy", "dtype", "empty", "empty_like", "eye", "full",
           "full_like",
           "identity", "linspace", "logspace", "meshgrid", "ndim", "ones", "ones_like", "size", "tri", "tril", "triu", "zeros",
           "zeros_like"]
