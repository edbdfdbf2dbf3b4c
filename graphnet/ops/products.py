"""Products of vectors and matrices beyond `matmul`, and diagonals."""
import functools
from typing import Any

from graphnet.dims import Dim
from graphnet.errors import ShapeError
from graphnet.op import public
from graphnet.ops import elementwise as e
from graphnet.ops import reduction as r
from graphnet.ops.contraction import tensordot
from graphnet.ops.convert import floating, normalize_axis, promote, shape, shown, to_tensor
from graphnet.ops.creation import arange, eye
from graphnet.ops.indexing import get_item
from graphnet.ops.shape import Reshape, Slice, Transpose, expand_dims, flip, moveaxis, pad, reshape, stack


@public
def outer(x1: Any, x2: Any) -> Any:
    """The product of each element of x1 with each of x2, both flattened. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.outer([1, 2], [3, 4])
        array([[3, 4],
               [6, 8]], dtype=int32)
    """
    a, b = promote(x1, x2)
    return e.multiply(reshape(a, (-1, 1)), reshape(b, (1, -1)))


@public
def inner(x1: Any, x2: Any) -> Any:
    """The sum of products over the last axes of x1 and x2. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.inner([1.0, 2.0], [3.0, 4.0])
        array(11., dtype=float32)
    """
    a, b = promote(x1, x2)
    return e.multiply(a, b) if a.ndim == 0 or b.ndim == 0 else tensordot(a, b, ([a.ndim - 1], [b.ndim - 1]))


@public
def vdot(x1: Any, x2: Any) -> Any:
    """The sum of products of all elements, both flattened. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.vdot([1.0, 2.0], [3.0, 4.0])
        array(11., dtype=float32)
    """
    a, b = promote(x1, x2)
    return inner(reshape(a, (-1,)), reshape(b, (-1,)))


@public
def kron(x1: Any, x2: Any) -> Any:
    """The Kronecker product: x2 scaled by each element of x1, as blocks. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.kron([1, 2], [1, 1])
        array([1, 1, 2, 2], dtype=int32)
    """
    a, b = promote(x1, x2)
    rank = max(a.ndim, b.ndim)
    a_extents, b_extents = (1,) * (rank - a.ndim) + shape(a), (1,) * (rank - b.ndim) + shape(b)
    a = reshape(a, [s for extent in a_extents for s in (extent, 1)])
    b = reshape(b, [s for extent in b_extents for s in (1, extent)])
    return reshape(e.multiply(a, b), [p * q for p, q in zip(a_extents, b_extents, strict=True)])


@public
def cross(x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """The vector product of vectors of 3 (or of 2) elements. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.cross([1, 0, 0], [0, 1, 0])
        array([0, 0, 1], dtype=int32)
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = promote(x1, x2)
    a, b = moveaxis(a, axisa, 0), moveaxis(b, axisb, 0)
    for v in (a, b):
        if shape(v)[0] not in (2, 3):
            raise ShapeError(f"cross expects vectors of 2 or 3 elements; received shapes {shown(shape(a))} and "
                             f"{shown(shape(b))}, vectors first.")
    p, q = ([get_item(v, i) for i in range(shape(v)[0])] for v in (a, b))
    last = e.subtract(e.multiply(p[0], q[1]), e.multiply(p[1], q[0]))
    if len(p) == len(q) == 2:
        return last
    p, q = (v if len(v) == 3 else [*v, e.multiply(v[0], 0)] for v in (p, q))
    first = e.subtract(e.multiply(p[1], q[2]), e.multiply(p[2], q[1]))
    second = e.subtract(e.multiply(p[2], q[0]), e.multiply(p[0], q[2]))
    return moveaxis(stack([first, second, last], 0), 0, axisc)


@public
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal over two axes of known extents, as a new last axis; `offset` counts to the right. Source:
    https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.diagonal([[1, 2], [3, 4]])
        array([1, 4], dtype=int32)
    """
    x = to_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"diagonal expects an operand with ndim >= 2; received shape {shown(shape(x))}.")
    a, b = normalize_axis(axis1, x.ndim, "diagonal"), normalize_axis(axis2, x.ndim, "diagonal")
    x = Transpose((*[i for i in range(x.ndim) if i not in (a, b)], a, b))(x)
    *rest, rows, columns = shape(x)
    if isinstance(rows, Dim) or isinstance(columns, Dim):
        raise ShapeError(f"diagonal expects two axes of known extents; received shape {shown(shape(x))}, those axes last.")
    count = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    start = offset if offset >= 0 else -offset * columns
    flat, none = Reshape((*rest, rows * columns))(x), (None,) * len(rest)
    steps = (1,) * len(rest)
    stop = start + count * (columns + 1) - columns if count else start
    return Slice((*none, start), (*none, stop), (*steps, columns + 1))(flat)


@public
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of the diagonal over two axes. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.trace([[1, 2], [3, 4]])
        array(5, dtype=int32)
    """
    return r.sum(diagonal(x, offset, axis1, axis2), -1)


@public
def diag(x: Any, k: int = 0) -> Any:
    """Of a row the matrix with it on the k-th diagonal; of a matrix that diagonal. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.diag([1, 2])
        array([[1, 0],
               [0, 2]], dtype=int32)
    """
    x = to_tensor(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(f"diag expects a row or a matrix; received shape {shown(shape(x))}.")
    count = shape(x)[0] + abs(k)
    if k:
        x = pad(x, ((0, abs(k)),))
    return e.where(eye(count, k=k, dtype="bool"), expand_dims(x, 1 if k >= 0 else 0), 0)


@public
def diagflat(x: Any, k: int = 0) -> Any:
    """The matrix with the elements of x on its k-th diagonal. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.diagflat([[1], [2]])
        array([[1, 0],
               [0, 2]], dtype=int32)
    """
    return diag(reshape(to_tensor(x), (-1,)), k)


@public
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The powers of a row as columns: x^(N - 1), ..., x, 1. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.vander([2, 3])
        array([[2, 1],
               [3, 1]], dtype=int32)
    """
    x = to_tensor(x)
    powers = arange(shape(x)[0] if N is None else N, dtype=x.dtype)
    return e.power(expand_dims(x, 1), powers if increasing else flip(powers))


@functools.partial(public, class_name="CDist")
def cdist(x: Any, y: Any) -> Any:
    """The Euclidean distance of each row of x to each row of y. Shapes: (..., M, D), (..., N, D) -> (..., M, N).

    Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.cdist([[0.0, 0.0]], [[3.0, 4.0]])
        array([[5.]], dtype=float32)
    """
    a, b = promote(floating(x), floating(y))
    return e.sqrt(r.sum(e.square(e.subtract(expand_dims(a, -2), expand_dims(b, -3))), -1))


__all__ = ["cdist", "cross", "diag", "diagflat", "diagonal", "inner", "kron", "outer", "trace", "vander", "vdot"]
