"""Joining, cutting and turning, as compositions of views and concatenation; and what is only for arrays."""
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphnet.dims import Dim
from graphnet.errors import ShapeError
from graphnet.op import public
from graphnet.ops.convert import by_value, normalize_axes, normalize_axis, promote, shape, to_tensor
from graphnet.ops.shape import BroadcastTo, Reshape, concatenate, cut, expand_dims, flip, reshape, split, swapaxes, transpose


def _raised(xs: Sequence[Any], ndim: int) -> list[Any]:
    """Operands with at least that many axes, put in before (for ndim 3 the last one behind), as numpy does."""
    out = []
    for x in promote(*xs):
        if x.ndim < min(ndim, 2):
            x = reshape(x, (1,) * (min(ndim, 2) - x.ndim) + tuple(shape(x)))
        out.append(expand_dims(x, -1) if ndim == 3 and x.ndim == 2 else x)
    return out


@public
def append(x1: Any, x2: Any, axis: int | None = None) -> Any:
    """x2 behind x1 along `axis`; both flattened for None. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.append([1, 2], [[3]])
        array([1, 2, 3], dtype=int32)
    """
    xs = [reshape(to_tensor(x), (-1,)) for x in (x1, x2)] if axis is None else [x1, x2]
    return concatenate(xs, axis or 0)


@public
def hstack(xs: Sequence[Any]) -> Any:
    """Operands side by side: along the second axis, of rows along the first. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.hstack([[1, 2], [3]])
        array([1, 2, 3], dtype=int32)
    """
    xs = _raised(xs, 1)
    return concatenate(xs, 0 if xs[0].ndim == 1 else 1)


@public
def vstack(xs: Sequence[Any]) -> Any:
    """Operands one below the other, along the first axis. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.vstack([[1, 2], [3, 4]])
        array([[1, 2],
               [3, 4]], dtype=int32)
    """
    return concatenate(_raised(xs, 2), 0)


@public
def dstack(xs: Sequence[Any]) -> Any:
    """Operands one behind the other, along the third axis. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.dstack([[1, 2], [3, 4]])
        array([[[1, 3],
                [2, 4]]], dtype=int32)
    """
    return concatenate(_raised(xs, 3), 2)


@public
def array_split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """x cut along `axis` into so many parts, the first ones longer by one where they cannot be equal. Source:
    https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.array_split([1, 2, 3], 2)
        [array([1, 2], dtype=int32), array([3], dtype=int32)]
    """
    x = to_tensor(x)
    extent = shape(x)[normalize_axis(axis, x.ndim, "array_split")]
    if not isinstance(indices_or_sections, int):
        return split(x, indices_or_sections, axis)
    if isinstance(extent, Dim):
        raise ShapeError(f"array_split expects a known extent on axis={axis}; received shape {tuple(x.shape)}. Give indices "
                         "instead.")
    size, longer = divmod(extent, indices_or_sections)
    return split(x, [i * size + min(i, longer) for i in range(1, indices_or_sections)], axis)


@public
def vsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Any]:
    """x cut along the first axis. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.vsplit([[1], [2]], 2)[1]
        array([[2]], dtype=int32)
    """
    return split(x, indices_or_sections, 0)


@public
def hsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Any]:
    """x cut along the second axis; a row along its only one. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.hsplit([[1, 2]], 2)[1]
        array([[2]], dtype=int32)
    """
    x = to_tensor(x)
    return split(x, indices_or_sections, min(1, x.ndim - 1))


@public
def dsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Any]:
    """x cut along the third axis. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.dsplit([[[1, 2]]], 2)[1]
        array([[[2]]], dtype=int32)
    """
    return split(x, indices_or_sections, 2)


@public
def roll(x: Any, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Any:
    """The elements moved along `axis`, those beyond the end come in at the start; of the flat x for None.

    Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.roll([1, 2, 3], 1)
        array([3, 1, 2], dtype=int32)
    """
    x = to_tensor(x)
    if axis is None:
        if not isinstance(shift, int):
            raise ValueError(f"roll expects an int shift where axis is None; received shift={shift!r}.")
        return reshape(roll(reshape(x, (-1,)), shift, 0), shape(x))
    axes = [axis] if isinstance(axis, int) else list(axis)
    shifts = [shift] * len(axes) if isinstance(shift, int) else list(shift)
    for amount, a in zip(shifts, axes, strict=True):
        a = normalize_axis(a, x.ndim, "roll")
        extent = shape(x)[a]
        amount = amount if isinstance(extent, Dim) else amount % extent if extent else 0
        if amount:
            x = concatenate([cut(x, a, -amount, None), cut(x, a, None, -amount)], a)
    return x


@public
def rot90(array: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """x turned k times by 90 degrees, from the first towards the second axis. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.rot90([[1, 2], [3, 4]])
        array([[2, 4],
               [1, 3]], dtype=int32)
    """
    x = to_tensor(array)
    a, b = (normalize_axis(v, x.ndim, "rot90") for v in axes)
    if a == b:
        raise ValueError(f"rot90 expects two axes; received axes={axes}.")
    turns = k % 4
    if turns == 0:
        return x
    if turns == 2:
        return flip(x, (a, b))
    return flip(swapaxes(x, a, b), a) if turns == 1 else swapaxes(flip(x, a), a, b)


@public
def tile(x: Any, repeats: int | Sequence[int]) -> Any:
    """x as a whole, repeated so many times along each axis. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.tile([1, 2], 2)
        array([1, 2, 1, 2], dtype=int32)
    """
    x = to_tensor(x)
    repeats = [repeats] if isinstance(repeats, int) else list(repeats)
    extents = [1] * (len(repeats) - x.ndim) + list(shape(x))
    repeats = [1] * (len(extents) - len(repeats)) + repeats
    x = Reshape(tuple([e for s in extents for e in (1, s)]))(x)
    x = BroadcastTo(tuple([e for s, r in zip(extents, repeats, strict=True) for e in (r, s)]))(x)
    return Reshape(tuple([r * s for s, r in zip(extents, repeats, strict=True)]))(x)


@public
def ravel(x: Any) -> Any:
    """The elements of x in one row. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.ravel([[1], [2]])
        array([1, 2], dtype=int32)
    """
    return Reshape((-1,))(to_tensor(x))


@public
def fliplr(x: Any) -> Any:
    """x with the elements of its second axis in reverse order. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.fliplr([[1, 2]])
        array([[2, 1]], dtype=int32)
    """
    return flip(x, 1)


@public
def flipud(x: Any) -> Any:
    """x with the elements of its first axis in reverse order. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.flipud([1, 2])
        array([2, 1], dtype=int32)
    """
    return flip(x, 0)


@public
def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Channels spread over blocks of pixels: (N, H, W, B * B * C) -> (N, H * B, W * B, C). Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.depth_to_space([[[[1, 2, 3, 4]]]], 2)[0, :, :, 0]
        array([[1, 2],
               [3, 4]], dtype=int32)
    """
    x, b = to_tensor(x), block_size
    if data_format == "channels_first":
        return transpose(depth_to_space(transpose(x, (0, 2, 3, 1)), b), (0, 3, 1, 2))
    n, h, w, c = shape(x)
    if isinstance(c, int) and c % (b * b):
        raise ShapeError(f"depth_to_space expects channels that {b * b} divides; received {c}.")
    x = transpose(reshape(x, (n, h, w, b, b, c // (b * b))), (0, 1, 3, 2, 4, 5))
    return reshape(x, (n, h * b, w * b, c // (b * b)))


@public
def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Blocks of pixels gathered in the channels: (N, H * B, W * B, C) -> (N, H, W, B * B * C). Source:
    https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.space_to_depth([[[[1], [2]], [[3], [4]]]], 2)[0, 0, 0]
        array([1, 2, 3, 4], dtype=int32)
    """
    x, b = to_tensor(x), block_size
    if data_format == "channels_first":
        return transpose(space_to_depth(transpose(x, (0, 2, 3, 1)), b), (0, 3, 1, 2))
    n, h, w, c = shape(x)
    for extent in (h, w):
        if isinstance(extent, int) and extent % b:
            raise ShapeError(f"space_to_depth expects heights and widths that {b} divides; received shape {tuple(x.shape)}.")
    x = transpose(reshape(x, (n, h // b, b, w // b, b, c)), (0, 1, 3, 2, 4, 5))
    return reshape(x, (n, h // b, w // b, b * b * c))


# ---- whose results have shapes that depend on values

@public
def nonzero(x: Any) -> tuple[Any, ...]:
    """Where the elements of an array are not zero: a row of positions for each axis. Not in a graph: use `where`.

    Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.nonzero([0, 5, 7])
        (array([1, 2], dtype=int32),)
    """
    found = np.nonzero(by_value(x, "nonzero", "Use graphnet.ops.where(condition, x, 0), or graphnet.ops.top_k with a fixed "
                                              "size."))
    return tuple([at.astype("int32") for at in found])


@public
def unique(x: Any, sorted: bool = True, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
           axis: int | None = None, size: int | None = None, fill_value: Any = None) -> Any:
    """The distinct elements of an array, in rising order; cut or filled up to `size` of them. Not in a graph.

    Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.unique([3, 1, 3])
        array([1, 3], dtype=int32)
    """
    x = by_value(x, "unique", "Use graphnet.ops.sort, or compute it outside of the model.")
    values, *extra = np.unique(x, True, True, True, axis=axis)
    if size is not None:
        at = 0 if axis is None else normalize_axes(axis, x.ndim, "unique")[0]
        values = np.take(values, np.arange(min(size, values.shape[at])), at)
        widths = [(0, size - s if i == at else 0) for i, s in enumerate(values.shape)]
        values = np.pad(values, widths, constant_values=np.min(x) if fill_value is None else fill_value)
    chosen = [np.asarray(v, "int32") for v, wanted in zip(extra, (return_index, return_inverse, return_counts),
                                                          strict=True) if wanted]
    return (values, *chosen) if chosen else values


__all__ = [
    "append", "array_split", "depth_to_space", "dsplit", "dstack", "fliplr", "flipud", "hsplit", "hstack", "nonzero", "ravel",
    "roll", "rot90", "space_to_depth", "tile", "unique", "vsplit", "vstack",
]
