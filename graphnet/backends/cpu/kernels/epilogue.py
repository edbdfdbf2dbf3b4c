"""What follows a contraction: how much of its program the kernels' own epilogue does, and what is left to a tape.

On the sums in registers the kernels do: plus a vector over the last axis, clip, plus an operand of the output's shape, clip.
"""
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Word
from graphnet.backends.cpu.tiles import BIAS, CLIP, CLIP_AGAIN, RESIDUAL
from graphnet.ops.elementwise import Add, Clip

Program = tuple[tuple[Any, tuple[int, ...]], ...]
FREE = (-math.inf, math.inf)


@dataclass(frozen=True)
class Finish:
    """The kernel's epilogue, and the program that is left for a tape: operand 0 is the value so far, 1.. are `extras`."""

    bias: Operand | None = None
    clip: tuple[float, float] = FREE
    residual: Operand | None = None
    clip_again: tuple[float, float] = FREE
    rest: Program = ()
    extras: tuple[Operand, ...] = field(default=())

    @property
    def mode(self) -> int:
        """The kernels' bits."""
        return ((BIAS if self.bias else 0) | (CLIP if self.clip != FREE else 0) | (RESIDUAL if self.residual else 0)
                | (CLIP_AGAIN if self.clip_again != FREE else 0))

    @property
    def words(self) -> list[Word]:
        """mode and the four bounds."""
        return [self.mode, *map(float, (*self.clip, *self.clip_again))]

    @property
    def reads(self) -> list[Operand]:
        """The operands of the kernel's epilogue."""
        return [x for x in (self.bias, self.residual) if x is not None]


def decode(program: Program, extras: Sequence[Operand], shape: tuple[int, ...]) -> Finish:
    """The longest beginning of a program that the kernels do exactly.

    Args:
        program: operand 0 is the contraction's result, 1.. are `extras`, then come the instructions' results.
        extras: broadcast to the output's shape.
        shape: of the output.
    """
    first = 1 + len(extras)
    best = state = Finish(extras=tuple(extras))
    begun = done = current = 0  # how many instructions `best` does, and which result the last of them gives
    for k, (op, refs) in enumerate(program):
        taken = _absorbed(state, op, refs, current, extras, shape)
        if taken is None:
            break
        state, current = taken, first + k
        if all(r == current or 0 < r < first or r > current for _, later in program[k + 1:] for r in later):
            best, begun, done = state, k + 1, current
    if begun == len(program):
        return best
    rest = tuple([(op, tuple([_moved(r, done, first) for r in refs])) for op, refs in program[begun:]]) if begun else program
    return replace(best, rest=rest)


def _moved(ref: int, current: int, first: int) -> int:
    """An operand's number once the result `current` is operand 0."""
    return 0 if ref == current else ref if ref < first else ref - (current - first + 1)


def _absorbed(state: Finish, op: Any, refs: tuple[int, ...], current: int, extras: Sequence[Operand],
              shape: tuple[int, ...]) -> Finish | None:
    """The epilogue with one more instruction, None where the kernels cannot do that after what they do already."""
    if isinstance(op, Clip) and refs == (current,):
        bounds = (float(op.low), float(op.high))
        if state.residual is None and state.clip == FREE:
            return replace(state, clip=bounds)
        return replace(state, clip_again=bounds) if state.clip_again == FREE else None
    if not isinstance(op, Add) or current not in refs or refs[0] == refs[1]:
        return None
    other = refs[0] + refs[1] - current
    if not 0 < other <= len(extras) or extras[other - 1].dtype != "float32":
        return None
    x = extras[other - 1].broadcast(shape)
    if x.strides[-1] != 1 and shape[-1] != 1:
        return None
    vector = all(stride == 0 or extent == 1 for stride, extent in zip(x.strides[:-1], shape[:-1], strict=True))
    if vector and state.mode == 0:
        return replace(state, bias=x)
    if state.residual is None and state.clip_again == FREE:
        return replace(state, residual=x)
    return None


def part(finish: Finish, shape: tuple[int, ...], cut: Any) -> Finish:
    """The epilogue of a part of the output, which `cut` takes of an operand of the output's shape."""
    def taken(x: Operand | None) -> Operand | None:
        return None if x is None else cut(x.broadcast(shape))
    return replace(finish, residual=taken(finish.residual), extras=tuple([cut(x.broadcast(shape)) for x in finish.extras]))
