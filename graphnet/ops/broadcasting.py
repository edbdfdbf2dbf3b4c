"""The way back from a broadcast: a cotangent summed to the shape of the operand that was broadcast."""
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet.dims import Dim
from graphnet.errors import ShapeError
from graphnet.graph import Spec
from graphnet.op import Op, Samples
from graphnet.ops.convert import bound, shape, shown
from graphnet.ops.reduction import Sum
from graphnet.ops.shape import BroadcastTo, Reshape


@dataclass(frozen=True)
class SumTo(Op):
    """The sum over the axes along which `target` is shorter: for extents of which it is not known yet whether they differ."""

    target: tuple[Any, ...]

    def infer(self, g: Spec) -> Spec:
        behind = g.shape[len(g.shape) - len(self.target):]
        if any(type(a) is type(b) is int and a not in (1, b) for a, b in zip(self.target, behind, strict=True)):
            raise ShapeError(f"sum_to: expected a shape that broadcasts to {shown(g.shape)}; received {shown(self.target)}.")
        return Spec(self.target, g.dtype)

    def axes(self, given: tuple[int, ...]) -> tuple[int, ...]:
        """The axes to sum over, of an operand of that shape."""
        lead = len(given) - len(self.target)
        return tuple(i for i, extent in enumerate(given) if i < lead or extent != self.target[i - lead])

    def reference(self, g: np.ndarray) -> np.ndarray:
        return np.asarray(g.sum(self.axes(g.shape), keepdims=True, dtype=g.dtype).reshape(self.target))

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        lead = len(shape(x)) - len(self.target)
        return [BroadcastTo(shape(x))(Reshape((1,) * lead + self.target)(g))]

    def bind(self, extents: Any) -> "SumTo":
        return SumTo(bound(self.target, extents))

    @classmethod
    def samples(cls) -> Samples:
        x = np.random.default_rng(0).standard_normal((3, 5, 7)).astype("float32")
        for target in ((3, 5, 7), (5, 1), (1, 5, 7), (7,), ()):
            yield cls(target), [x]


def unbroadcast(g: Any, x: Any) -> Any:
    """A cotangent summed to the shape of x, which was broadcast to that of g.

    Example:

        >>> import numpy as np
        >>> from graphnet.ops.broadcasting import unbroadcast
        >>> unbroadcast(np.ones((4, 3)), np.zeros((1, 3)))
        array([[4., 4., 4.]])
    """
    wanted, given = shape(x), shape(g)
    if wanted == given:
        return g
    if any(isinstance(extent, Dim) for extent in (*wanted, *given)):
        lead = len(given) - len(wanted)
        pairs = list(zip(wanted, given[lead:], strict=True))
        if any(a != b and not (type(a) is int and a == 1) for a, b in pairs):
            return SumTo(wanted)(g)
    axes = SumTo(wanted).axes(given)
    return Reshape(wanted)(Sum(axes, False)(g)) if axes else g
