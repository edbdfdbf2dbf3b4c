"""Decompositions and solutions of linear algebra, of matrices on the last two axes; numpy computes them."""
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from graphnet.errors import ShapeError, UnsupportedError
from graphnet.graph import Spec
from graphnet.op import Op, Samples, public
from graphnet.ops.contraction import MatMul, matmul
from graphnet.ops.convert import floating, promote, shape, shown
from graphnet.ops.creation import eye, tril, triu, zeros_like
from graphnet.ops.elementwise import add, divide, equal, multiply, negative, reciprocal, square, subtract, where
from graphnet.ops.shape import concatenate, expand_dims, swapaxes

Shape = tuple[Any, ...]


def _matrix(n: int = 4, m: int | None = None) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, n, m or n)).astype("float32")


def _positive() -> np.ndarray:
    a = _matrix()
    return a @ np.swapaxes(a, -1, -2) + 4 * np.eye(4, dtype="float32")


def _t(x: Any) -> Any:
    return swapaxes(x, -1, -2)


def _symmetric(x: Any) -> Any:
    return multiply(add(x, _t(x)), 0.5)


def _half(x: Any) -> Any:
    """The lower triangle, its diagonal halved."""
    return multiply(add(tril(x), tril(x, -1)), 0.5)


def _as_matrix(x: Any) -> Any:
    return expand_dims(x, (-2, -1))


def _reciprocal(x: Any) -> Any:
    """1 / x, and 0 at 0."""
    return where(equal(x, 0.0), 0.0, reciprocal(where(equal(x, 0.0), 1.0, x)))


def _sum(x: Any, y: Any) -> Any:
    return y if x is None else add(x, y)


def _known(op: Op, a: Any) -> tuple[int, int]:
    """The extents of a matrix, whose gradient depends on which is larger."""
    rows, columns = shape(a)[-2:]
    if type(rows) is not int or type(columns) is not int:
        raise UnsupportedError(f"The gradient of {op.name!r} expects matrices of known extents; received shape "
                               f"{shown(shape(a))}. Give both extents in Input(shape=...).")
    return rows, columns


class _Decomposition(Op):
    """A function of numpy.linalg; `square` says that it takes square matrices only."""

    square: ClassVar[bool] = True

    def infer(self, a: Spec, *others: Spec) -> Any:
        rows, columns = a.shape[-2:] if len(a.shape) >= 2 else (0, 1)
        if len(a.shape) < 2 or (self.square and type(rows) is int and type(columns) is int and rows != columns):
            raise ShapeError(f"{self.name} expects {'square ' if self.square else ''}matrices on the last two axes; received "
                             f"shape {shown(a.shape)}.")
        out = [Spec(s, a.dtype) for s in self.shapes(a.shape, *[o.shape for o in others])]
        return out[0] if len(out) == 1 else tuple(out)

    def shapes(self, a: Shape, *others: Shape) -> list[Shape]:
        """The shapes of the results."""
        return [a]

    def compute(self, *arrays: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} lacks compute")

    def reference(self, *arrays: np.ndarray) -> Any:
        with np.errstate(all="ignore"):
            out = self.compute(*arrays)
        if isinstance(out, tuple):
            return tuple([np.asarray(part, arrays[0].dtype) for part in out])
        return np.asarray(out, arrays[0].dtype)

    @classmethod
    def samples(cls) -> Samples:
        yield cls(), [_positive()]
        yield cls(), [_positive()[0]]


@dataclass(frozen=True)
class Cholesky(_Decomposition):
    """The lower triangular L with L L^T = a (the upper one if told); NaN where a is not positive definite."""

    upper: bool = False

    def compute(self, a: np.ndarray) -> np.ndarray:
        try:
            lower = np.linalg.cholesky(a)
        except np.linalg.LinAlgError:
            return np.full_like(a, np.nan)
        return np.swapaxes(lower, -1, -2) if self.upper else lower

    def vjp(self, g: Any, y: Any, a: Any) -> list[Any]:
        """L^-T half(L^T g) L^-1, made symmetric: https://arxiv.org/abs/1602.07527."""
        up, g = (y, _t(g)) if self.upper else (_t(y), g)
        middle = _half(MatMul()(up, g))
        solve_up = Solve("upper")
        return [_symmetric(_t(solve_up(up, _t(solve_up(up, middle)))))]


@dataclass(frozen=True)
class Inv(_Decomposition):
    """The inverse matrix."""

    def compute(self, a: np.ndarray) -> np.ndarray:
        return np.linalg.inv(a)

    def vjp(self, g: Any, y: Any, a: Any) -> list[Any]:
        return [negative(MatMul(False, True)(MatMul(True, False)(y, g), y))]


@dataclass(frozen=True)
class Det(_Decomposition):
    """The determinant."""

    def shapes(self, a: Shape, *others: Shape) -> list[Shape]:
        return [a[:-2]]

    def compute(self, a: np.ndarray) -> np.ndarray:
        return np.linalg.det(a)

    def vjp(self, g: Any, y: Any, a: Any) -> list[Any]:
        return [multiply(_as_matrix(multiply(g, y)), _t(Inv()(a)))]


@dataclass(frozen=True)
class Slogdet(_Decomposition):
    """The sign of the determinant, and the logarithm of its size."""

    def shapes(self, a: Shape, *others: Shape) -> list[Shape]:
        return [a[:-2], a[:-2]]

    def compute(self, a: np.ndarray) -> Any:
        return tuple(np.linalg.slogdet(a))

    def vjp(self, g: Any, y: Any, a: Any) -> list[Any]:
        return [None if g[1] is None else multiply(_as_matrix(g[1]), _t(Inv()(a)))]  # the sign moves in steps


@dataclass(frozen=True)
class Solve(_Decomposition):
    """The x with a x = b: b holds columns, or is one vector where its ndim is one less. Of a triangular a only that half is
    read.
    """

    half: str = "both"

    def shapes(self, a: Shape, *others: Shape) -> list[Shape]:
        return [others[0]]

    def compute(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a = np.tril(a) if self.half == "lower" else np.triu(a) if self.half == "upper" else a
        return np.linalg.solve(a, b[..., None])[..., 0] if b.ndim == a.ndim - 1 else np.linalg.solve(a, b)

    def vjp(self, g: Any, y: Any, a: Any, b: Any) -> list[Any]:
        to_b = Solve({"lower": "upper", "upper": "lower"}.get(self.half, self.half))(_t(a), g)
        columns = b.ndim == a.ndim - 1
        left, right = (expand_dims(to_b, -1), expand_dims(y, -1)) if columns else (to_b, y)
        to_a = negative(MatMul(False, True)(left, right))
        return [tril(to_a) if self.half == "lower" else triu(to_a) if self.half == "upper" else to_a, to_b]

    @classmethod
    def samples(cls) -> Samples:
        for half in ("both", "lower", "upper"):
            yield cls(half), [_positive(), _matrix(4, 3)]
            yield cls(half), [_positive()[0], _matrix()[0, 0]]


@dataclass(frozen=True)
class Qr(_Decomposition):
    """q with orthogonal columns and r upper triangular, q r = a. Modes: "reduced", "complete"."""

    mode: str = "reduced"
    square: ClassVar[bool] = False

    def shapes(self, a: Shape, *others: Shape) -> list[Shape]:
        *rest, rows, columns = a
        middle = rows if self.mode == "complete" else min(rows, columns)
        return [(*rest, rows, middle), (*rest, middle, columns)]

    def compute(self, a: np.ndarray) -> Any:
        return tuple(np.linalg.qr(a, self.mode))  # type: ignore[call-overload]

    def vjp(self, g: Any, y: Any, a: Any) -> list[Any]:
        """Of a tall a: (g_q + q sym(r g_r^T - g_q^T q)) r^-T, where sym mirrors the lower triangle.

        Source: https://arxiv.org/abs/1710.08717. Of a wide one, the columns behind the square add to g_q, and get q g_r
        themselves.
        """
        rows, columns = _known(self, a)
        (q, r), (to_q, to_r) = y, g
        if self.mode == "complete" and rows > columns:
            if to_q is not None:
                raise UnsupportedError("qr: with mode='complete' q has columns that x does not determine, and they have no "
                                       f"gradient; received matrices of shape ({rows}, {columns}). Use mode='reduced'.")
            q, r, to_r = q[..., :columns], r[..., :columns, :], to_r[..., :columns, :]
        to_q = zeros_like(q) if to_q is None else to_q
        to_r = zeros_like(r) if to_r is None else to_r
        if rows >= columns:
            return [self._tall(to_q, to_r, q, r)]
        core, rest = to_r[..., :rows], to_r[..., rows:]
        to_q = add(to_q, MatMul(False, True)(a[..., rows:], rest))
        return [concatenate([self._tall(to_q, core, q, r[..., :rows]), MatMul()(q, rest)], -1)]

    @staticmethod
    def _tall(to_q: Any, to_r: Any, q: Any, r: Any) -> Any:
        middle = subtract(MatMul(False, True)(r, to_r), MatMul(True, False)(to_q, q))
        mirrored = add(tril(middle), _t(tril(middle, -1)))
        return _t(Solve("upper")(r, _t(add(to_q, MatMul()(q, mirrored)))))

    @classmethod
    def samples(cls) -> Samples:
        for mode in ("reduced", "complete"):
            yield cls(mode), [_matrix(4, 3)]
            yield cls(mode), [_matrix(3, 4)]


@dataclass(frozen=True)
class Svd(_Decomposition):
    """u, s, v with u diag(s) v = a."""

    full_matrices: bool = True
    square: ClassVar[bool] = False

    def shapes(self, a: Shape, *others: Shape) -> list[Shape]:
        *rest, rows, columns = a
        least = min(rows, columns)
        left, right = (rows, columns) if self.full_matrices else (least, least)
        return [(*rest, rows, left), (*rest, least), (*rest, right, columns)]

    def compute(self, a: np.ndarray) -> Any:
        return tuple(np.linalg.svd(a, self.full_matrices))

    def vjp(self, g: Any, y: Any, a: Any) -> list[Any]:
        """u (F (u^T g_u - g_u^T u) s + s F (v g_v^T - g_v v^T) + g_s) v, and what leads out of the spans of u and of v.

        Source: https://j-towns.github.io/papers/svd-derivative.pdf. F is 1 / (s_j^2 - s_i^2), 0 where two singular
        values are equal.
        """
        (to_u, to_s, to_v), (u, s, v) = g, y
        rows, columns = _known(self, a)
        least = min(rows, columns)
        if self.full_matrices and (to_u if rows > columns else to_v if rows < columns else None) is not None:
            raise UnsupportedError("svd: with full_matrices=True there are vectors that x does not determine, and they have no "
                                   f"gradient; received matrices of shape ({rows}, {columns}). Use full_matrices=False.")
        u, v = u[..., :least], v[..., :least, :]
        size, squares = expand_dims(s, -2), square(s)
        gaps = _reciprocal(subtract(expand_dims(squares, -2), expand_dims(squares, -1)))
        middle = None if to_s is None else multiply(eye(least, dtype=s.dtype), expand_dims(to_s, -2))
        outside = []
        if to_u is not None:
            inner = MatMul(True, False)(u, to_u)
            middle = _sum(middle, multiply(multiply(gaps, subtract(inner, _t(inner))), size))
            outside.append(MatMul()(divide(subtract(to_u, MatMul()(u, inner)), size), v))
        if to_v is not None:
            inner = MatMul(False, True)(v, to_v)
            middle = _sum(middle, multiply(expand_dims(s, -1), multiply(gaps, subtract(inner, _t(inner)))))
            beyond = subtract(to_v, MatMul(True, False)(inner, v))
            outside.append(MatMul()(u, divide(beyond, expand_dims(s, -1))))
        return [functools.reduce(add, outside, MatMul()(u, MatMul()(middle, v)))]

    @classmethod
    def samples(cls) -> Samples:
        for full in (True, False):
            for rows, columns in ((4, 3), (3, 4), (4, 4)):
                yield cls(full), [_matrix(rows, columns)]


@dataclass(frozen=True)
class Eigh(_Decomposition):
    """Eigenvalues, rising, and eigenvectors, as columns, of symmetric matrices."""

    def shapes(self, a: Shape, *others: Shape) -> list[Shape]:
        return [a[:-1], a]

    def compute(self, a: np.ndarray) -> Any:
        return tuple(np.linalg.eigh(a))

    def vjp(self, g: Any, y: Any, a: Any) -> list[Any]:
        """v (g_w + F (v^T g_v)) v^T, made symmetric; F is 1 / (w_j - w_i), 0 where two eigenvalues are equal."""
        (to_w, to_v), (w, v) = g, y
        middle = None if to_w is None else multiply(eye(shape(w)[-1], dtype=w.dtype), expand_dims(to_w, -2))
        if to_v is not None:
            gaps = _reciprocal(subtract(expand_dims(w, -2), expand_dims(w, -1)))
            middle = _sum(middle, multiply(gaps, MatMul(True, False)(v, to_v)))
        return [_symmetric(MatMul(False, True)(MatMul()(v, middle), v))]


@dataclass(frozen=True)
class Pinv(_Decomposition):
    """The pseudo-inverse: singular values below rcond times the largest count as 0."""

    rcond: float | None = None
    square: ClassVar[bool] = False

    def shapes(self, a: Shape, *others: Shape) -> list[Shape]:
        return [(*a[:-2], a[-1], a[-2])]

    def compute(self, a: np.ndarray) -> np.ndarray:
        rcond = 10.0 * max(a.shape[-2:]) * float(np.finfo(a.dtype).eps) if self.rcond is None else self.rcond
        return np.linalg.pinv(a, rcond)

    def vjp(self, g: Any, y: Any, a: Any) -> list[Any]:
        """-y^T g y^T + (1 - a y) g^T y y^T + y^T y g^T (1 - y a), for a of constant rank: https://doi.org/10.1137/0710036."""
        product = MatMul()
        inverse = MatMul(False, True)(MatMul(True, False)(y, g), y)
        left = MatMul(False, True)(MatMul(True, False)(g, y), y)
        right = MatMul(True, False)(y, MatMul(False, True)(y, g))
        left, right = subtract(left, product(a, product(y, left))), subtract(right, product(product(right, y), a))
        return [subtract(add(left, right), inverse)]

    @classmethod
    def samples(cls) -> Samples:
        yield cls(), [_matrix(4, 3)]
        yield cls(), [_matrix(3, 4)]


def _function(name: str, doc: str, source: str, call: str, result: str, run: Callable[..., Any]) -> Any:
    """A public function of matrices in floats."""
    text = f"""{doc} Matrices are on the last two axes. Source: https://keras.io/api/ops/{source}/

    Raises ShapeError where an operand is no matrix, or must be square and is not.

    Example:

        >>> from graphnet import ops
        >>> ops.{call}
        {result}
    """
    run.__name__ = run.__qualname__ = name
    run.__doc__ = text
    return public(run, {"svd": "SVD"}.get(name))


def _cholesky(x: Any, upper: bool = False) -> Any:
    return Cholesky(bool(upper))(floating(x))


def _cholesky_inverse(x: Any, upper: bool = False) -> Any:
    half = Inv()(floating(x))
    other = swapaxes(half, -1, -2)
    return matmul(half, other) if upper else matmul(other, half)


def _solve(a: Any, b: Any) -> Any:
    return Solve()(*promote(floating(a), floating(b)))


def _solve_triangular(a: Any, b: Any, lower: bool = False) -> Any:
    return Solve("lower" if lower else "upper")(*promote(floating(a), floating(b)))


def _qr(x: Any, mode: str = "reduced") -> Any:
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr expects mode 'reduced' or 'complete'; received mode={mode!r}.")
    return Qr(mode)(floating(x))


def _svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    u, s, v = Svd(bool(full_matrices))(floating(x))
    return (u, s, v) if compute_uv else s


def _lstsq(a: Any, b: Any, rcond: float | None = None) -> Any:
    a, b = promote(floating(a), floating(b))
    return matmul(Pinv(rcond)(a), b)


cholesky = _function("cholesky", "The lower triangular L with L L^T = x (the upper one if told).", "linalg", "cholesky([[4.0]])",
                     "array([[2.]], dtype=float32)", _cholesky)
cholesky_inverse = _function("cholesky_inverse", "The inverse of the matrix whose Cholesky factor is x.", "linalg",
                             "cholesky_inverse([[2.0]])",
                             "array([[0.25]], dtype=float32)", _cholesky_inverse)
inv = _function("inv", "The inverse matrix.", "linalg", "inv([[2.0]])", "array([[0.5]], dtype=float32)",
                lambda x: Inv()(floating(x)))
det = _function("det", "The determinant.", "linalg", "det([[2.0, 0.0], [0.0, 3.0]])", "array(6., dtype=float32)",
                lambda x: Det()(floating(x)))
slogdet = _function("slogdet", "The sign of the determinant, and the logarithm of its size.", "linalg", "slogdet([[1.0]])",
                    "(array(1., dtype=float32), array(0., dtype=float32))", lambda x: Slogdet()(floating(x)))
logdet = _function("logdet", "The logarithm of the determinant of a positive definite matrix.", "linalg", "logdet([[1.0]])",
                   "array(0., dtype=float32)", lambda x: Slogdet()(floating(x))[1])
solve = _function("solve", "The x with a x = b.", "linalg", "solve([[2.0]], [[6.0]])", "array([[3.]], dtype=float32)", _solve)
solve_triangular = _function("solve_triangular", "The x with a x = b, of a triangular a.", "linalg",
                             "solve_triangular([[2.0]], [[6.0]])",
                             "array([[3.]], dtype=float32)", _solve_triangular)
qr = _function("qr", "q with orthogonal columns and r upper triangular, q r = x.", "linalg",
               "qr([[1.0, 0.0], [0.0, 1.0]])[1].shape", "(2, 2)", _qr)
svd = _function("svd", "u, s, v with u diag(s) v = x; s alone unless compute_uv.", "linalg", "svd([[3.0]], compute_uv=False)",
                "array([3.], dtype=float32)", _svd)
eigh = _function("eigh", "Eigenvalues, rising, and eigenvectors, as columns, of symmetric matrices.", "linalg",
                 "eigh([[1.0, 0.0], [0.0, 2.0]])[0]", "array([1., 2.], dtype=float32)", lambda x: Eigh()(floating(x)))
pinv = _function("pinv", "The pseudo-inverse.", "linalg", "pinv([[2.0]])", "array([[0.5]], dtype=float32)",
                 lambda x, rcond=None: Pinv(rcond)(floating(x)))
lstsq = _function("lstsq", "The x of least |a x - b|.", "linalg", "lstsq([[2.0]], [[6.0]])", "array([[3.]], dtype=float32)",
                  _lstsq)

__all__ = ["cholesky", "cholesky_inverse", "det", "eigh", "inv", "logdet", "lstsq", "pinv", "qr", "slogdet", "solve",
           "solve_triangular", "svd"]
