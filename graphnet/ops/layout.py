"""How elements are laid out: views of the same elements (reshape, transpose, slice, broadcast), and what joins, pads, repeats."""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet import dims, dtypes
from graphnet.dims import Dim
from graphnet.errors import ShapeError
from graphnet.graph import Spec
from graphnet.op import Op, Samples, View, broadcast
from graphnet.ops.convert import bound, shape, shown


def _sample(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


@dataclass(frozen=True)
class Reshape(View):
    """The elements in the same order under another shape; one extent may be -1: what is left."""

    shape: tuple[Any, ...] = ()

    def infer(self, x: Spec) -> Spec:
        if -1 not in self.shape:
            target = self.shape
        else:
            known = dims.product(s for s in self.shape if not (type(s) is int and s == -1))
            total = dims.product(x.shape)
            if type(known) is int and known == 0:
                raise ShapeError(f"reshape cannot tell what -1 stands for in {shown(self.shape)}: another extent is 0.")
            target = tuple([total // known if type(s) is int and s == -1 else s for s in self.shape])
        before, after = dims.product(x.shape), dims.product(target)
        if type(before) is int and type(after) is int and before != after:
            raise ShapeError(f"reshape expects a target of {before} elements for an operand of shape {shown(x.shape)}; "
                             f"received the target shape {shown(self.shape)}. The product of the extents must stay the same.")
        return Spec(target, x.dtype)

    def by_rows(self, *specs: Any) -> bool:
        return True

    def bind(self, extents: Any) -> "Reshape":
        return Reshape(bound(self.shape, extents))

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.reshape(x, self.infer(Spec(x.shape, x.dtype.name)).shape)

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        return [Reshape(shape(x))(g)]

    @classmethod
    def samples(cls) -> Samples:
        yield Reshape((3, -1)), [_sample(5, 3, 4)]
        yield Reshape((0, 4)), [_sample(2, 0, 4)]


@dataclass(frozen=True)
class Transpose(View):
    """The axes in another order."""

    axes: tuple[int, ...] = ()

    def infer(self, x: Spec) -> Spec:
        if sorted(self.axes) != list(range(len(x.shape))):
            raise ShapeError(f"transpose expects each of the axes 0..{len(x.shape) - 1} once (ndim={len(x.shape)}); received "
                             f"axes={self.axes}.")
        return Spec(tuple([x.shape[a] for a in self.axes]), x.dtype)

    def by_rows(self, *specs: Any) -> bool:
        return True

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.transpose(x, self.axes)

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        return [Transpose(tuple(sorted(range(len(self.axes)), key=self.axes.__getitem__)))(g)]

    @classmethod
    def samples(cls) -> Samples:
        yield Transpose((2, 0, 1)), [_sample(5, 3, 17)]
        yield Transpose((1, 0)), [_sample(33, 20)]


def _length(extent: Any, start: Any, stop: Any, step: int) -> Any:
    """The extent of extent[start:stop:step]; slices that may overrun an unknown extent are taken not to, and checked later."""
    if type(extent) is int and not isinstance(start, Dim) and not isinstance(stop, Dim):
        return len(range(*slice(start, stop, step).indices(extent)))
    if step < 0:
        if start is not None or stop is not None:
            raise ShapeError("A slice with a negative step over an unknown extent takes the whole axis: x[::-1]; received "
                             "bounds too.")
        return (extent + (-step - 1)) // -step
    start = 0 if start is None else start + extent if type(start) is int and start < 0 else start
    stop = extent if stop is None else stop + extent if type(stop) is int and stop < 0 else stop
    length = stop - start
    return (length + (step - 1)) // step if step != 1 else length


@dataclass(frozen=True)
class Slice(View):
    """x[starts:stops:steps] on each axis, with Python's meaning of None and of negative bounds."""

    starts: tuple[Any, ...] = ()
    stops: tuple[Any, ...] = ()
    steps: tuple[int, ...] = ()

    def infer(self, x: Spec) -> Spec:
        return Spec(tuple([s if a is None and b is None and c == 1 else _length(s, a, b, c)
                           for s, a, b, c in zip(x.shape, self.starts, self.stops, self.steps, strict=True)]), x.dtype)

    def by_rows(self, *specs: Any) -> bool:
        whole = (self.starts[0], self.stops[0], self.steps[0]) == (None, None, 1)
        return whole and not any(isinstance(bound, Dim) for bound in (*self.starts, *self.stops))

    def bind(self, extents: Any) -> "Slice":
        starts = bound(self.starts, extents)
        for axis, (start, value) in enumerate(zip(self.starts, starts, strict=True)):
            if type(start) is Dim and type(value) is int and value < 0:
                raise ShapeError(f"slice: expected an input large enough for a start of {start} on axis {axis}; "
                                 f"with this input it is {value}.")
        return Slice(starts, bound(self.stops, extents), self.steps)

    def reference(self, x: np.ndarray) -> np.ndarray:
        return x[tuple(map(slice, self.starts, self.stops, self.steps))]

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        """Zeros, with g at the places that were taken: what ran backwards is turned, what was skipped is put between."""
        places = [_places(*parts) for parts in zip(shape(x), shape(g), self.starts, self.stops, self.steps, strict=True)]
        g = turned(g, [axis for axis, step in enumerate(self.steps) if step < 0])
        for axis, step in enumerate(self.steps):
            if step not in (1, -1):
                g = _spaced(g, axis, abs(step))
        g = Pad(tuple([(before, after) for before, after in places]))(g)
        if all(abs(step) == 1 for step in self.steps):
            return [g]
        return [Slice((None,) * len(places), shape(x), (1,) * len(places))(g)]  # zeros may stand behind the last place

    @classmethod
    def samples(cls) -> Samples:
        yield Slice((1, None), (4, None), (2, -1)), [_sample(5, 9)]
        yield Slice((None, -3), (None, None), (1, 1)), [_sample(5, 9)]
        yield Slice((None, 7, 2), (None, 1, 2), (3, -2, 2)), [_sample(7, 9, 4)]
        yield Slice((None, -3), (None, 20), (-2, 2)), [_sample(6, 9)]


@dataclass(frozen=True)
class BroadcastTo(View):
    """x repeated along axes of extent 1, as numpy broadcasts."""

    shape: tuple[Any, ...] = ()

    def infer(self, x: Spec) -> Spec:
        known = all(type(s) is int for s in (*x.shape, *self.shape))
        if broadcast([x.shape, self.shape], "broadcast_to") != self.shape and known:
            raise ShapeError(f"broadcast_to cannot make shape {self.shape} out of {x.shape}: its extents must be 1 or equal.")
        return Spec(self.shape, x.dtype)

    def by_rows(self, *specs: Any) -> bool:
        return len(specs[0].shape) == len(self.shape)

    def bind(self, extents: Any) -> "BroadcastTo":
        return BroadcastTo(bound(self.shape, extents))

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.broadcast_to(x, self.shape)

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        return [g]

    @classmethod
    def samples(cls) -> Samples:
        yield BroadcastTo((4, 3, 5)), [_sample(3, 1)]


@dataclass(frozen=True)
class StopGradient(View):
    """x itself: a place at which gradients end."""

    def infer(self, x: Spec) -> Spec:
        return x

    def reference(self, x: np.ndarray) -> np.ndarray:
        return x

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        return [None]

    @classmethod
    def samples(cls) -> Samples:
        yield StopGradient(), [_sample(2, 3)]


@dataclass(frozen=True)
class Concatenate(Op):
    """The operands one behind the other along an axis."""

    axis: int = -1

    def infer(self, *specs: Spec) -> Spec:
        out = list(specs[0].shape)
        for spec in specs[1:]:
            if len(spec.shape) != len(out):
                raise ShapeError("concatenate expects operands of one ndim; received shapes "
                                 f"{', '.join(str(shown(s.shape)) for s in specs)}.")
            for axis, extent in enumerate(spec.shape):
                if axis == self.axis:
                    out[axis] = out[axis] + extent
                elif isinstance(out[axis], Dim) and type(extent) is int:
                    out[axis] = extent
                elif type(out[axis]) is int and type(extent) is int and out[axis] != extent:
                    raise ShapeError(f"concatenate along axis={self.axis} expects operands that agree on every other axis; "
                                     "received shapes "
                                     f"{', '.join(str(shown(s.shape)) for s in specs)}, which differ on axis {axis}: "
                                     f"{out[axis]} and {extent}.")
        return Spec(tuple(out), dtypes.result_type(*[s.dtype for s in specs]))

    def by_rows(self, *specs: Any) -> bool:
        return self.axis % len(specs[0].shape) != 0 and len({spec.shape[0] for spec in specs}) == 1

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        return np.concatenate(arrays, self.axis)

    def vjp(self, g: Any, y: Any, *xs: Any) -> list[Any]:
        found, start = [], 0
        for x in xs:
            stop = start + shape(x)[self.axis]
            found.append(cut(g, self.axis, start, stop))
            start = stop
        return found

    @classmethod
    def samples(cls) -> Samples:
        yield Concatenate(1), [_sample(3, 2, 5), _sample(3, 7, 5), _sample(3, 0, 5)]
        yield Concatenate(0), [_sample(1, 5), _sample(2, 5)]
        yield Concatenate(2), [_sample(2, 3, 1), _sample(2, 3, 17)]


@dataclass(frozen=True)
class Pad(Op):
    """Elements added before and behind each axis. Modes: "constant", "reflect", "symmetric"."""

    widths: tuple[tuple[int, int], ...] = ()
    mode: str = "constant"
    value: float = 0.0

    def infer(self, x: Spec) -> Spec:
        return Spec(tuple([s + a + b for s, (a, b) in zip(x.shape, self.widths, strict=True)]), x.dtype)

    def by_rows(self, *specs: Any) -> bool:
        return self.widths[0] == (0, 0) and all(type(width) is int for pair in self.widths for width in pair)

    def bind(self, extents: Any) -> "Pad":
        widths = bound(self.widths, extents)
        if self.mode == "constant" and any(isinstance(w, Dim) and v < 0 for pair, values in zip(self.widths, widths, strict=True)
                                           for w, v in zip(pair, values, strict=True)):
            raise ShapeError(f"pad expects widths of 0 or more; for these inputs {self.widths} is {widths}. The gradient of a slice, "
                             "or of a pad that mirrors, needs an operand that is as long as what it takes.")
        return Pad(widths, self.mode, self.value)

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        """What belongs to the inside; mirrored parts are turned back and added to what they are copies of."""
        edge = {"constant": None, "reflect": 1, "symmetric": 0}[self.mode]
        for axis, ((before, after), extent) in enumerate(zip(self.widths, shape(x), strict=True)):
            inside = cut(g, axis, before, before + extent)
            if edge is None or before == after == 0:
                g = inside
            elif type(extent) is int and max(before, after) > extent - edge:  # mirrored more than once
                g = _mirrored_back(g, axis, extent, (before, after), self.mode)
            else:
                first, last = turned(cut(g, axis, 0, before), [axis]), turned(cut(g, axis, before + extent, None), [axis])
                rest = extent - edge
                for part, widths in ((first, (edge, rest - before)), (last, (rest - after, edge))):
                    inside = inside + Pad(tuple([widths if i == axis else (0, 0) for i in range(len(self.widths))]))(part)
                g = inside
        return [g]

    def reference(self, x: np.ndarray) -> np.ndarray:
        extra = {"constant_values": self.value} if self.mode == "constant" else {}
        return np.pad(x, self.widths, self.mode, **extra)  # type: ignore[call-overload]

    @classmethod
    def samples(cls) -> Samples:
        for mode in ("constant", "reflect", "symmetric"):
            yield Pad(((0, 0), (1, 2), (3, 0)), mode), [_sample(2, 5, 7)]


@dataclass(frozen=True)
class Repeat(Op):
    """Each element `repeats` times in a row along an axis."""

    repeats: int = 1
    axis: int = 0

    def infer(self, x: Spec) -> Spec:
        return Spec(tuple([s * self.repeats if i == self.axis else s for i, s in enumerate(x.shape)]), x.dtype)

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.repeat(x, self.repeats, self.axis)

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        from graphnet.ops.reduction import Sum  # that file needs this one
        extents = shape(x)
        after = self.axis + 1
        return [Sum((after,))(Reshape((*extents[:after], self.repeats, *extents[after:]))(g))]

    @classmethod
    def samples(cls) -> Samples:
        for axis in range(3):
            yield Repeat(3, axis), [_sample(2, 5, 7)]


# ---- pieces of gradients

def cut(x: Any, axis: int, start: Any, stop: Any) -> Any:
    """x[..., start:stop, ...] on one axis."""
    none = [None] * x.ndim
    return Slice((*none[:axis], start, *none[axis + 1:]), (*none[:axis], stop, *none[axis + 1:]), (1,) * x.ndim)(x)


def turned(x: Any, axes: Sequence[int]) -> Any:
    """x in reverse order along the axes; x itself where there are none."""
    none = (None,) * len(shape(x))
    return Slice(none, none, tuple([-1 if i in axes else 1 for i in range(len(none))]))(x) if axes else x


def _places(extent: Any, length: Any, start: Any, stop: Any, step: int) -> tuple[Any, Any]:
    """How far the zeros reach before and behind what a slice took, counted forwards, with `step` places for each element."""
    if type(extent) is int and not isinstance(start, Dim) and not isinstance(stop, Dim):
        taken = range(*slice(start, stop, step).indices(extent))
        first = min(taken, default=0)
        return first, max(extent - first - abs(step) * len(taken), 0)
    if step < 0:  # the whole axis: others are refused by `_length`
        return extent - 1 - (length - 1) * -step, -step - 1
    first = 0 if start is None else start + extent if type(start) is int and start < 0 else start
    return first, extent - first - length if step == 1 else extent - first


def _spaced(x: Any, axis: int, step: int) -> Any:
    """x with step - 1 zeros behind each element of an axis."""
    extents = shape(x)
    apart = Reshape((*extents[:axis + 1], 1, *extents[axis + 1:]))(x)
    padded = Pad(tuple([(0, step - 1 if i == axis + 1 else 0) for i in range(len(extents) + 1)]))(apart)
    return Reshape(tuple([s * step if i == axis else s for i, s in enumerate(extents)]))(padded)


def _mirrored_back(g: Any, axis: int, extent: int, widths: tuple[int, int], mode: str) -> Any:
    """Each element of a padded axis added to the one that it is a copy of."""
    from graphnet.ops.indexing import TakeGrad  # that file needs this one
    return TakeGrad(extent, axis)(g, np.pad(np.arange(extent, dtype="int32"), widths, mode))  # type: ignore[call-overload]
