"""Operands: where a tensor of a plan lies. A view of a tensor is another operand on the same buffer, and costs nothing."""
import functools
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Shape = tuple[int, ...]
Kind = Literal["arena", "input", "output", "weight", "constant", "variable"]


@functools.cache
def itemsize(dtype: str) -> int:
    """Bytes of one element."""
    return np.dtype(dtype).itemsize


@dataclass(eq=False, slots=True)
class Buffer:
    """A piece of memory that operands lie in.

    Args:
        kind: ``arena`` (given a place by `memory.assign`), ``input`` or ``output`` (the caller's arrays, other ones at each
            call), ``weight`` or ``constant`` (arrays that outlive the plan's instances), ``variable`` (one that the plan writes).
        nbytes: its size.
        index: which input or output.
        source: of a weight, a constant or a variable what has ``.value`` and ``.version``.
        halo: of an arena buffer with a zero halo its geometry; the places of such buffers are shared among equals alone.
        cleared: the plan zeroes that halo anew in each call, so that its place may be shared with any.
    """

    kind: Kind
    nbytes: int
    index: int = 0
    source: Any = None
    halo: tuple[Any, ...] | None = None
    cleared: bool = False


def packed_strides(shape: Shape) -> Shape:
    """Strides, in elements, of a C-contiguous array.

    Example:

        >>> packed_strides((2, 3, 4))
        (12, 4, 1)
    """
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor of a plan: its buffer, the first element, shape and strides; offset and strides count elements.

    Example:

        >>> x = Operand(Buffer("arena", 96), 0, (4, 6), (6, 1), "float32")
        >>> x.transpose((1, 0)).strides, x.reshape((2, 12)).strides, x.contiguous
        ((1, 6), (12, 1), True)
    """

    buffer: Buffer
    offset: int
    shape: Shape
    strides: Shape
    dtype: str

    @property
    def size(self) -> int:
        """How many elements."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return itemsize(self.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return math.prod(self.shape) * itemsize(self.dtype)

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie one behind the other, in C order."""
        step = 1
        for extent, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if extent != 1 and stride != step:
                return self.size == 0
            step *= extent
        return True

    @property
    def fixed(self) -> bool:
        """Whether it is a weight or a constant: something that can be packed before the plan runs."""
        return self.buffer.kind in ("weight", "constant")

    @property
    def constant(self) -> np.ndarray | None:
        """The present value of a weight or a constant, read-only; None for what a call computes or changes."""
        if not self.fixed:
            return None
        view = self.on(self.buffer.source.value)
        view.flags.writeable = False
        return view

    def on(self, base: np.ndarray) -> np.ndarray:
        """This operand as an array, where `base`, contiguous, is the buffer's memory."""
        size = itemsize(self.dtype)
        if not math.prod(self.shape):
            return np.empty(self.shape, self.dtype)
        return np.ndarray(self.shape, self.dtype, base, self.offset * size, tuple([s * size for s in self.strides]))

    def view(self, offset: int, shape: Shape, strides: Shape) -> "Operand":
        """Another operand on this buffer, that begins `offset` elements behind this one's first."""
        return Operand(self.buffer, self.offset + offset, tuple(shape), tuple(strides), self.dtype)

    def transpose(self, axes: tuple[int, ...]) -> "Operand":
        """The axes in another order."""
        return self.view(0, tuple([self.shape[a] for a in axes]), tuple([self.strides[a] for a in axes]))

    def slice(self, starts: Shape, stops: Shape, steps: Shape | None = None) -> "Operand":
        """Elements starts to stops (after numpy's ``slice.indices``) by steps of each axis."""
        steps = steps or (1,) * len(starts)
        shape = tuple([len(range(*bounds)) for bounds in zip(starts, stops, steps, strict=True)])
        offset = sum(start * stride for start, stride in zip(starts, self.strides, strict=True)) if all(shape) else 0
        return self.view(offset, shape, tuple([s * t for s, t in zip(self.strides, steps, strict=True)]))

    def broadcast(self, shape: Shape) -> "Operand":
        """To a larger shape by numpy's rules: stride 0 along the new extents."""
        missing = len(shape) - len(self.shape)
        strides = (0,) * missing + tuple([
            0 if extent == 1 and wanted != 1 else stride
            for extent, stride, wanted in zip(self.shape, self.strides, shape[missing:], strict=True)])
        return self.view(0, shape, strides)

    def reshape(self, shape: Shape) -> "Operand | None":
        """The same elements, in C order, under another shape; None where strides cannot say it (make it contiguous first)."""
        if self.contiguous:
            return self.view(0, shape, packed_strides(shape))
        blocks: list[list[int]] = []  # extent and innermost stride of each run of axes that lie one behind the other
        for extent, stride in zip(self.shape, self.strides, strict=True):
            if extent == 1:
                continue
            if blocks and blocks[-1][1] == extent * stride:
                blocks[-1] = [blocks[-1][0] * extent, stride]
            else:
                blocks.append([extent, stride])
        strides: list[int] = []
        room, step = 1, 1
        for extent in reversed(shape):  # the innermost axis first, cut from the innermost block
            if extent != 1 and room == 1 and blocks:
                room, step = blocks.pop()
            if room % extent:
                return None
            strides.append(step)
            room, step = room // extent, step * extent
        return self.view(0, shape, tuple(reversed(strides)))
