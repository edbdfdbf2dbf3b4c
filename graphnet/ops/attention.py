"""Attention in one piece: what a matrix product, a softmax and another product become where nothing else reads the scores."""
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet import dims, dtypes
from graphnet.errors import ShapeError
from graphnet.graph import Spec
from graphnet.op import Op, Samples
from graphnet.ops.contraction import MatMul
from graphnet.ops.convert import shown
from graphnet.ops.elementwise import multiply
from graphnet.ops.scaling import Softmax, SoftmaxGrad
from graphnet.ops.shape import Transpose

HEADS_LAST = (0, 2, 1, 3)


@dataclass(frozen=True)
class Attend(Op):
    """softmax(scale q k^T) v over the last two axes, heads moved behind the steps.

    Shapes: q (N, H, T, D), k (N, H, S, D), v (N, H, S, E) -> (N, T, H, E). The scale is above 0.
    Source: https://arxiv.org/abs/1706.03762
    """

    scale: float = 1.0

    def infer(self, q: Spec, k: Spec, v: Spec) -> Spec:
        (n, heads, steps, features), (*_, sources, width) = q.shape, v.shape
        for expected, x in (((n, heads, sources, features), k), ((n, heads, sources, width), v)):
            if any(type(a) is int and type(b) is int and a != b for a, b in zip(expected, x.shape, strict=True)):
                raise ShapeError("attend expects q (N, H, T, D), k (N, H, S, D) and v (N, H, S, E); received shapes "
                                 f"{', '.join(str(shown(s.shape)) for s in (q, k, v))}.")
        return Spec((n, steps, heads, width), dtypes.result_type(dtypes.result_type(q.dtype, k.dtype), v.dtype))

    def work(self, q: Spec, k: Spec, v: Spec) -> Any:
        return dims.product(q.shape[:3]) * k.shape[2] * (q.shape[3] + v.shape[3])

    def _weights(self, q: Any, k: Any) -> Any:
        return Softmax(-1)(multiply(MatMul(transpose_b=True)(q, k), self.scale))

    def by_rows(self, *specs: Any) -> bool:
        return len({spec.shape[0] for spec in specs}) == 1

    def reference(self, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
        scores = MatMul(transpose_b=True).reference(q, k) * q.dtype.type(self.scale)
        return np.ascontiguousarray(MatMul().reference(Softmax(-1).reference(scores), v).transpose(HEADS_LAST))

    def vjp(self, g: Any, y: Any, q: Any, k: Any, v: Any) -> list[Any]:
        """The scores are computed again, which takes less than keeping them would."""
        g, weights = Transpose(HEADS_LAST)(g), self._weights(q, k)
        scores = multiply(SoftmaxGrad(3)(MatMul(transpose_b=True)(g, v), weights), self.scale)
        return [MatMul()(scores, k), MatMul(transpose_a=True)(scores, q), MatMul(transpose_a=True)(weights, g)]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        for n, heads, steps, sources, features, width, scale in (
                (2, 3, 5, 7, 4, 6, 0.5), (1, 2, 17, 40, 32, 32, 1.0), (1, 1, 1, 1, 1, 1, 2.0), (1, 2, 29, 65, 16, 48, 0.25)):
            shapes = (n, heads, steps, features), (n, heads, sources, features), (n, heads, sources, width)
            yield cls(scale), [rng.standard_normal(shape).astype("float32") for shape in shapes]
