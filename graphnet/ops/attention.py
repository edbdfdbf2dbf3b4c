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
from graphnet.ops.elementwise import add, multiply, where
from graphnet.ops.scaling import Softmax, SoftmaxGrad
from graphnet.ops.shape import Transpose

HEADS_LAST = (0, 2, 1, 3)


@dataclass(frozen=True)
class Attend(Op):
    """softmax(scale q k^T) v over the last two axes, heads moved behind the steps.

    A fourth input, `mask`, is added to the scaled scores where it is of numbers; of truth, it chooses: where it is False the
    score is `low`. With `empty`, what it hides gets no weight at all, not even where it hides all of a row.
    Shapes: q (N, H, T, D), k (N, H, S, D), v (N, H, S, E), mask one that broadcasts to (N, H, T, S) -> (N, T, H, E). The scale
    is above 0.
    Source: https://arxiv.org/abs/1706.03762
    """

    scale: float = 1.0
    low: float = -1e9
    empty: bool = False

    def infer(self, q: Spec, k: Spec, v: Spec, *masks: Spec) -> Spec:
        (n, heads, steps, features), (*_, sources, width) = q.shape, v.shape
        for expected, x in (((n, heads, sources, features), k), ((n, heads, sources, width), v)):
            if any(type(a) is int and type(b) is int and a != b for a, b in zip(expected, x.shape, strict=True)):
                raise ShapeError("attend expects q (N, H, T, D), k (N, H, S, D) and v (N, H, S, E); received shapes "
                                 f"{', '.join(str(shown(s.shape)) for s in (q, k, v))}.")
        for mask in masks:
            if mask.ndim != 4 or not covers(mask.shape, (n, heads, steps, sources)):
                raise ShapeError(f"attend expects a mask that broadcasts to {shown((n, heads, steps, sources))}; received "
                                 f"shape {shown(mask.shape)}.")
        return Spec((n, steps, heads, width), dtypes.result_type(dtypes.result_type(q.dtype, k.dtype), v.dtype))

    def work(self, q: Spec, k: Spec, v: Spec, *masks: Spec) -> Any:
        return dims.product(q.shape[:3]) * k.shape[2] * (q.shape[3] + v.shape[3])

    def by_rows(self, *specs: Any) -> bool:
        return len({spec.shape[0] for spec in specs[:3]}) == 1 and specs[-1].shape[0] in (1, specs[0].shape[0])

    def _weights(self, q: Any, k: Any, *masks: Any) -> Any:
        """Softmax of the scores: of arrays and of tensors."""
        scores = multiply(MatMul(transpose_b=True)(q, k), self.scale)
        for mask in masks:
            scores = where(mask, scores, self.low) if mask.dtype == "bool" else add(scores, mask)
        weights = Softmax(-1)(scores)
        return where(masks[0], weights, 0.0) if self.empty else weights

    def reference(self, q: np.ndarray, k: np.ndarray, v: np.ndarray, *masks: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.ascontiguousarray(MatMul().reference(self._weights(q, k, *masks), v).transpose(HEADS_LAST))

    def vjp(self, g: Any, y: Any, q: Any, k: Any, v: Any, *masks: Any) -> list[Any]:
        """The scores are computed again, which takes less than keeping them would."""
        g, weights = Transpose(HEADS_LAST)(g), self._weights(q, k, *masks)
        scores = SoftmaxGrad(3)(MatMul(transpose_b=True)(g, v), weights)
        if any(mask.dtype == "bool" for mask in masks):
            scores = where(masks[0], scores, 0.0)
        scaled = multiply(scores, self.scale)
        return [MatMul()(scaled, k), MatMul(transpose_a=True)(scaled, q), MatMul(transpose_a=True)(weights, g),
                *[None if mask.dtype == "bool" else scores for mask in masks]]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)

        def operands(n: int, heads: int, steps: int, sources: int, features: int, width: int) -> list[np.ndarray]:
            shapes = (n, heads, steps, features), (n, heads, sources, features), (n, heads, sources, width)
            return [rng.standard_normal(shape).astype("float32") for shape in shapes]
        for *extents, scale in ((2, 3, 5, 7, 4, 6, 0.5), (1, 2, 17, 40, 32, 32, 1.0), (1, 1, 1, 1, 1, 1, 2.0),
                                (1, 2, 29, 65, 16, 48, 0.25)):
            yield cls(scale), operands(*extents)
        for shape, empty in (((2, 1, 5, 7), False), ((1, 3, 5, 1), True), ((2, 1, 1, 7), True)):
            mask = rng.random(shape) < 0.6
            mask[0, 0, 0] = False
            yield cls(0.5, empty=empty), [*operands(2, 3, 5, 7, 4, 6), mask]
        yield cls(0.5), [*operands(1, 2, 17, 33, 8, 16), np.tri(17, 33, dtype=bool).reshape(1, 1, 17, 33)]
        yield cls(0.5), [*operands(2, 3, 5, 7, 4, 6), rng.standard_normal((1, 3, 5, 7)).astype("float32")]


def covers(extents: tuple[Any, ...], shape: tuple[Any, ...]) -> bool:
    """Whether extents broadcast to a shape of as many axes, as far as that is known."""
    return all(a in (1, b) or not (type(a) is int and type(b) is int) for a, b in zip(extents, shape, strict=True))
