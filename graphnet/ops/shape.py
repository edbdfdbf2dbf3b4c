"""Shapes: views of the same elements (reshape, transpose, slice, broadcast), and what joins, pads and repeats them."""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet import dims, dtypes
from graphnet.dims import Dim
from graphnet.errors import ShapeError
from graphnet.graph import Spec, Tensor
from graphnet.op import Op, Samples, View, broadcast, public
from graphnet.ops.convert import bound, normalize_axes, normalize_axis, promote, shape, shown, sized, to_tensor


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

    def bind(self, extents: Any) -> "Reshape":
        return Reshape(bound(self.shape, extents))

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.reshape(x, self.infer(Spec(x.shape, x.dtype.name)).shape)

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

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.transpose(x, self.axes)

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

    def bind(self, extents: Any) -> "Slice":
        starts = bound(self.starts, extents)
        for axis, (start, value) in enumerate(zip(self.starts, starts, strict=True)):
            if type(start) is Dim and value < 0:
                raise ShapeError(f"slice: expected an input large enough for a start of {start} on axis {axis}; "
                                 f"with this input it is {value}.")
        return Slice(starts, bound(self.stops, extents), self.steps)

    def reference(self, x: np.ndarray) -> np.ndarray:
        return x[tuple(map(slice, self.starts, self.stops, self.steps))]

    @classmethod
    def samples(cls) -> Samples:
        yield Slice((1, None), (4, None), (2, -1)), [_sample(5, 9)]
        yield Slice((None, -3), (None, None), (1, 1)), [_sample(5, 9)]


@dataclass(frozen=True)
class BroadcastTo(View):
    """x repeated along axes of extent 1, as numpy broadcasts."""

    shape: tuple[Any, ...] = ()

    def infer(self, x: Spec) -> Spec:
        known = all(type(s) is int for s in (*x.shape, *self.shape))
        if broadcast([x.shape, self.shape], "broadcast_to") != self.shape and known:
            raise ShapeError(f"broadcast_to cannot make shape {self.shape} out of {x.shape}: its extents must be 1 or equal.")
        return Spec(self.shape, x.dtype)

    def bind(self, extents: Any) -> "BroadcastTo":
        return BroadcastTo(bound(self.shape, extents))

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.broadcast_to(x, self.shape)

    @classmethod
    def samples(cls) -> Samples:
        yield BroadcastTo((4, 3, 5)), [_sample(3, 1)]


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

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        return np.concatenate(arrays, self.axis)

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

    @classmethod
    def samples(cls) -> Samples:
        for axis in range(3):
            yield Repeat(3, axis), [_sample(2, 5, 7)]


# ---- public functions

@public
def reshape(x: Any, newshape: Sequence[Any] | int) -> Any:
    """The elements of x in the same order under `newshape`; one extent may be -1. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.reshape([1, 2, 3, 4], (2, -1))
        array([[1, 2],
               [3, 4]], dtype=int32)
    """
    newshape = (newshape,) if isinstance(newshape, (int, Dim)) else tuple(newshape)
    if sum(type(s) is int and s == -1 for s in newshape) > 1:
        raise ShapeError(f"reshape expects at most one -1; received newshape={newshape}.")
    x = to_tensor(x)
    if None in newshape and isinstance(x, Tensor):
        newshape = tuple([x.spec.shape[i] if s is None else s for i, s in enumerate(newshape)])
    return Reshape(tuple([int(s) if isinstance(s, np.integer) else s for s in newshape]))(x)


@public
def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """The axes of x in the given order; reversed for None. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.transpose([[1, 2]])
        array([[1],
               [2]], dtype=int32)
    """
    x = to_tensor(x)
    axes = range(x.ndim)[::-1] if axes is None else axes
    return Transpose(tuple([normalize_axis(a, x.ndim, "transpose") for a in axes]))(x)


@public
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Axes of x moved from `source` to `destination`, the others in their order. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.moveaxis(ops.zeros((2, 3, 4)), 0, -1).shape
        (3, 4, 2)
    """
    x = to_tensor(x)
    sources = [normalize_axis(a, x.ndim, "moveaxis") for a in ([source] if isinstance(source, int) else source)]
    targets = [normalize_axis(a, x.ndim, "moveaxis") for a in ([destination] if isinstance(destination, int) else destination)]
    order = [i for i in range(x.ndim) if i not in sources]
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return Transpose(tuple(order))(x)


@public
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Two axes of x exchanged. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.swapaxes([[1, 2]], 0, 1)
        array([[1],
               [2]], dtype=int32)
    """
    x = to_tensor(x)
    order = list(range(x.ndim))
    a, b = normalize_axis(axis1, x.ndim, "swapaxes"), normalize_axis(axis2, x.ndim, "swapaxes")
    order[a], order[b] = b, a
    return Transpose(tuple(order))(x)


@public
def expand_dims(x: Any, axis: int | Sequence[int]) -> Any:
    """x with axes of extent 1 put in, at their places in the result. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.expand_dims([1, 2], 0)
        array([[1, 2]], dtype=int32)
    """
    x = to_tensor(x)
    listed = [axis] if isinstance(axis, int) else list(axis)
    axes = normalize_axes(listed, x.ndim + len(listed), "expand_dims")
    rest = iter(shape(x))
    return Reshape(tuple([1 if i in axes else next(rest) for i in range(x.ndim + len(axes))]))(x)


@public
def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """x without the given axes of extent 1; without all of them for None. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.squeeze([[1, 2]])
        array([1, 2], dtype=int32)
    """
    x = to_tensor(x)
    extents = shape(x)
    single = tuple(i for i, s in enumerate(extents) if type(s) is int and s == 1)
    axes = single if axis is None else normalize_axes(axis, x.ndim, "squeeze")
    for a in axes:
        if type(extents[a]) is int and extents[a] != 1:
            raise ShapeError(f"squeeze expects axes of extent 1; received axis={a} of an operand of shape {shown(extents)}.")
    return Reshape(tuple([s for i, s in enumerate(extents) if i not in axes]))(x)


@public
def broadcast_to(x: Any, shape: Sequence[Any]) -> Any:
    """x repeated along axes of extent 1 to `shape`, as numpy broadcasts. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.broadcast_to([1, 2], (2, 2))
        array([[1, 2],
               [1, 2]], dtype=int32)
    """
    return sized(BroadcastTo(tuple(shape)), to_tensor(x))


@public
def concatenate(xs: Sequence[Any], axis: int = 0) -> Any:
    """The operands one behind the other along `axis`; they agree on every other axis. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.concatenate([[1], [2, 3]])
        array([1, 2, 3], dtype=int32)
    """
    if not isinstance(xs, (list, tuple)) or not xs:
        raise ValueError(f"concatenate expects a list of tensors; received {xs!r}.")
    xs = promote(*xs)
    return Concatenate(normalize_axis(axis, xs[0].ndim, "concatenate"))(*xs)


@public
def stack(x: Sequence[Any], axis: int = 0) -> Any:
    """Operands of one shape, joined along a new axis. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.stack([[1, 2], [3, 4]])
        array([[1, 2],
               [3, 4]], dtype=int32)
    """
    xs = promote(*x)
    axis = normalize_axis(axis, xs[0].ndim + 1, "stack")
    return Concatenate(axis)(*[expand_dims(v, axis) for v in xs])


@public
def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """x cut along `axis`: into so many equal parts, or at the given indices. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.split([1, 2, 3, 4], 2)
        [array([1, 2], dtype=int32), array([3, 4], dtype=int32)]
    """
    x = to_tensor(x)
    axis = normalize_axis(axis, x.ndim, "split")
    extent = shape(x)[axis]
    if isinstance(indices_or_sections, int):
        if isinstance(extent, int) and extent % indices_or_sections:
            raise ShapeError(f"split expects an extent that {indices_or_sections} divides; received {extent} on axis={axis}.")
        size = extent // indices_or_sections
        cuts = [size * i for i in range(1, indices_or_sections)]
    else:
        cuts = list(indices_or_sections)
    return [cut(x, axis, a, b) for a, b in zip([None, *cuts], [*cuts, None], strict=True)]


def cut(x: Any, axis: int, start: Any, stop: Any) -> Any:
    none = [None] * x.ndim
    return Slice((*none[:axis], start, *none[axis + 1:]), (*none[:axis], stop, *none[axis + 1:]), (1,) * x.ndim)(x)


@public
def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    """The slices of x along `axis`, without that axis; its extent must be known. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.unstack([[1, 2], [3, 4]])
        [array([1, 2], dtype=int32), array([3, 4], dtype=int32)]
    """
    x = to_tensor(x)
    axis = normalize_axis(axis, x.ndim, "unstack")
    count = shape(x)[axis] if num is None else num
    if not isinstance(count, int):
        raise ShapeError(f"unstack expects an axis of known extent; axis={axis} of shape {shown(shape(x))} is not. Give `num`.")
    return [squeeze(cut(x, axis, i, i + 1), axis) for i in range(count)]


@public
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """x with elements added before and behind each axis: `pad_width` is an int, a pair, or a pair for each axis.

    Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.pad([1, 2], (1, 0))
        array([0, 1, 2], dtype=int32)
    """
    x = to_tensor(x)
    if mode not in ("constant", "reflect", "symmetric"):
        raise ValueError(f"pad expects mode 'constant', 'reflect' or 'symmetric'; received mode={mode!r}.")
    if isinstance(pad_width, int):
        pad_width = ((pad_width, pad_width),) * x.ndim
    elif isinstance(pad_width[0], int):
        pad_width = (tuple(pad_width),) * x.ndim if len(pad_width) == 2 else tuple((p, p) for p in pad_width)
    widths = tuple([(int(a), int(b)) for a, b in (pad_width * x.ndim if len(pad_width) == 1 else pad_width)])
    if len(widths) != x.ndim:
        raise ShapeError(f"pad expects a pair of widths for each of {x.ndim} axes; received {pad_width}.")
    return Pad(widths, mode, float(constant_values or 0.0))(x)


@public
def repeat(x: Any, repeats: int, axis: int | None = None) -> Any:
    """Each element of x `repeats` times in a row along `axis`; of the flat x for None. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.repeat([1, 2], 2)
        array([1, 1, 2, 2], dtype=int32)
    """
    x = to_tensor(x)
    if not isinstance(repeats, (int, np.integer)):
        raise ValueError(f"repeat expects a whole number of repeats; received {repeats!r}.")
    if axis is None:
        return Repeat(int(repeats), 0)(Reshape((-1,))(x))
    return Repeat(int(repeats), normalize_axis(axis, x.ndim, "repeat"))(x)


@public
def flip(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """The elements of x in reverse order along `axis`; along all axes for None. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.flip([1, 2])
        array([2, 1], dtype=int32)
    """
    x = to_tensor(x)
    axes, none = normalize_axes(axis, x.ndim, "flip"), (None,) * x.ndim
    return Slice(none, none, tuple([-1 if i in axes else 1 for i in range(x.ndim)]))(x)


__all__ = [
    "broadcast_to", "concatenate", "expand_dims", "flip", "moveaxis", "pad", "repeat", "reshape", "split", "squeeze",
    "stack", "swapaxes", "transpose", "unstack",
]
