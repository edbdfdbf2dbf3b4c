"""Matrix products."""
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet import dims, dtypes
from graphnet.dims import Dim
from graphnet.errors import ShapeError
from graphnet.graph import Spec
from graphnet.op import Contraction, Samples, broadcast, public
from graphnet.ops.convert import cast, promote, shape, shown
from graphnet.ops.elementwise import multiply
from graphnet.ops.shape import Reshape, Transpose, reshape


@dataclass(frozen=True)
class MatMul(Contraction):
    """y = a @ b over the last two axes, each operand's swapped first where its flag says so; the axes before them broadcast."""

    transpose_a: bool = False
    transpose_b: bool = False

    def infer(self, a: Spec, b: Spec) -> Spec:
        rows, inner = a.shape[-2:][::-1] if self.transpose_a else a.shape[-2:]
        other, columns = b.shape[-2:][::-1] if self.transpose_b else b.shape[-2:]
        if type(inner) is int and type(other) is int and inner != other:
            raise ShapeError(f"matmul expects the last axis of its first operand ({inner}, of shape {shown(a.shape)}) and the "
                             "last but one of its "
                             f"second ({other}, of shape {shown(b.shape)}) to be equal. Transpose or reshape one of them.")
        dtype = dtypes.result_type(a.dtype, b.dtype)
        return Spec((*broadcast([a.shape[:-2], b.shape[:-2]], "matmul"), rows, columns), dtype)

    def by_rows(self, *specs: Any) -> bool:
        return True  # a sum over the rows has none in its result

    def work(self, a: Spec, b: Spec) -> Any:
        return dims.product(self.infer(a, b).shape) * a.shape[-2 if self.transpose_a else -1]

    def reference(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.matmul(np.swapaxes(a, -1, -2) if self.transpose_a else a, np.swapaxes(b, -1, -2) if self.transpose_b else b)

    def vjp(self, g: Any, y: Any, a: Any, b: Any) -> list[Any]:
        """Of y = a b: g b^T and a^T g, the transposes by flags."""
        first = MatMul(self.transpose_b, True)(b, g) if self.transpose_a else MatMul(False, not self.transpose_b)(g, b)
        if len(shape(b)) == 2 < len(shape(a)) and not self.transpose_a:
            # all rows of a meet the same matrix: one product over all of them, rather than a sum of products
            a, g = [Reshape((dims.product(shape(v)[:-1]), shape(v)[-1]))(v) for v in (a, g)]
        second = MatMul(True, self.transpose_a)(g, a) if self.transpose_b else MatMul(not self.transpose_a, False)(a, g)
        return [first, second]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        for a, b in (((5, 7), (7, 33)), ((1, 64), (64, 10)), ((2, 3, 4, 5), (3, 5, 6)), ((0, 4), (4, 3)), ((3, 1), (1, 1))):
            yield MatMul(), [rng.standard_normal(a).astype("float32"), rng.standard_normal(b).astype("float32")]
        x, y = rng.standard_normal((2, 7, 5)), rng.standard_normal((2, 3, 7))
        yield MatMul(True, True), [x.astype("float32"), y.astype("float32")]
        yield MatMul(True, False), [x.astype("float32"), np.swapaxes(y, -1, -2)[0].astype("float32")]
        yield MatMul(False, True), [np.swapaxes(x, -1, -2).astype("float32"), y[0].astype("float32")]
        yield MatMul(), [np.swapaxes(x, -1, -2)[0].astype("float32"), np.swapaxes(y, -1, -2).astype("float32")]


@public
def matmul(x1: Any, x2: Any) -> Any:
    """The matrix product over the last two axes; a vector operand gets an axis for the product, as in numpy.

    Shapes: (..., M, K) @ (..., K, N) -> (..., M, N); leading axes broadcast. Raises ShapeError where K differs.

    Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.matmul([[1.0, 2.0]], [[3.0], [4.0]])
        array([[11.]], dtype=float32)
    """
    a, b = promote(x1, x2)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(f"matmul expects operands with ndim >= 1; received shapes {shown(shape(a))} and {shown(shape(b))}.")
    if a.dtype in ("bool", "int8", "uint8"):  # their sums need more bits
        a, b = cast(a, "int32"), cast(b, "int32")
    lift_a, lift_b = a.ndim == 1, b.ndim == 1
    if lift_a:
        a = Reshape((1, *shape(a)))(a)
    if lift_b:
        b = Reshape((*shape(b), 1))(b)
    y = MatMul()(a, b)
    if lift_a or lift_b:
        extents = shape(y)
        y = Reshape((*extents[:-2], *(() if lift_a else extents[-2:-1]), *(() if lift_b else extents[-1:])))(y)
    return y


@public
def dot(x1: Any, x2: Any) -> Any:
    """numpy.dot: the sum over the last axis of x1 and the last but one of x2, without broadcasting.

    Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.dot([1.0, 2.0], [3.0, 4.0])
        array(11., dtype=float32)
    """
    a, b = promote(x1, x2)
    if a.ndim == 0 or b.ndim == 0:
        return multiply(a, b)
    return tensordot(a, b, ([a.ndim - 1], [max(b.ndim - 2, 0)]))


@public
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """The sum of products over pairs of axes: the last `axes` of x1 with the first of x2, or ([axes of x1], [axes of x2]).

    Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.tensordot([1.0, 2.0], [3.0, 4.0], 1)
        array(11., dtype=float32)
    """
    a, b = promote(x1, x2)
    left, right = (list(range(a.ndim - axes, a.ndim)), list(range(axes))) if isinstance(axes, int) else (
        [v] if isinstance(v, int) else list(v) for v in axes)
    left, right = [v % a.ndim for v in left], [v % b.ndim for v in right]
    for i, j in zip(left, right, strict=True):
        p, q = shape(a)[i], shape(b)[j]
        if type(p) is int and type(q) is int and p != q:
            raise ShapeError(f"tensordot expects equal extents on axis {i} of {shown(shape(a))} and axis {j} of "
                             f"{shown(shape(b))}; they are {p} and {q}.")
    free_a, free_b = [i for i in range(a.ndim) if i not in left], [i for i in range(b.ndim) if i not in right]
    outer = [shape(a)[i] for i in free_a] + [shape(b)[i] for i in free_b]
    inner: Any = 1
    for j in right:
        inner = inner * shape(b)[j]
    if isinstance(inner, Dim):
        inner = -1
    a2 = Transpose(tuple(free_a + left))(a)
    b2 = Transpose(tuple(right + free_b))(b)
    columns: Any = 1
    for i in free_b:
        columns = columns * shape(b)[i]
    rows = (-1, inner) if inner != -1 else (_product(shape(a), free_a), -1)
    return reshape(MatMul()(Reshape(rows)(a2), Reshape((inner, columns))(b2)), outer)


def _product(extents: Any, axes: list[int]) -> Any:
    out: Any = 1
    for i in axes:
        out = out * extents[i]
    return out


__all__ = ["dot", "matmul", "tensordot"]
