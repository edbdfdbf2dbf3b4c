"""Shapes: views of the same elements, and what joins, cuts, pads and repeats tensors, under Keras's names."""
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphnet.dims import Dim
from graphnet.errors import ShapeError
from graphnet.graph import Tensor
from graphnet.op import public
from graphnet.ops.convert import normalize_axes, normalize_axis, promote, shape, shown, sized, to_tensor
from graphnet.ops.layout import BroadcastTo, Concatenate, Pad, Repeat, Reshape, Slice, Transpose, cut


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
