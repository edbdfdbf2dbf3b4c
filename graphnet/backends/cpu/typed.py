"""The types of kernels as numba knows them: a vector, a register tile, and the operators between vectors.

Imported when something is compiled, by that alone: whoever runs machine code needs no numba. Operators are lowered directly
(`infer_global`, `lower_builtin`), which costs no compilation of their own; `@overload` would compile a function an operator.
"""
import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import lower_builtin, models, register_model

from graphnet.backends.cpu.simd import LANES, VEC, spread

void, intp, float32, float64, Tuple = types.void, types.intp, types.float32, types.float64, types.Tuple


class Vector(types.Type):
    """LANES float32 values in one register."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


vector = Vector()


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, VEC)


class Tile(types.Type):
    """rows x vectors accumulators, `copies` times."""

    def __init__(self, rows: int, vectors: int, copies: int = 1) -> None:
        self.rows, self.vectors, self.copies = rows, vectors, copies
        super().__init__(name=f"tile{rows}x{vectors}x{copies}")


@register_model(Tile)
class TileModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, t: Any) -> None:
        super().__init__(dmm, t, ir.ArrayType(VEC, t.rows * t.vectors * t.copies))


def _operator(op: Callable[..., Any], method: str, flags: tuple[str, ...]) -> None:
    """+ - * / between vectors and float32 scalars."""
    @infer_global(op)
    class Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) == 2 and vector in args and all(a in (vector, float32) for a in args):
                return signature(vector, *args)
            return None

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        x, y = (a if t == vector else spread(builder, a) for a, t in zip(args, sig.args, strict=True))
        return getattr(builder, method)(x, y, flags=flags)

    for pair in ((vector, vector), (vector, float32), (float32, vector)):
        lower_builtin(op, *pair)(lower)


_operator(operator.add, "fadd", ("contract",))
_operator(operator.sub, "fsub", ("contract",))
_operator(operator.mul, "fmul", ("contract",))
_operator(operator.truediv, "fdiv", ())
