"""Windows over spatial axes: how many there are, what padding they see, and which elements each of them holds."""
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from graphnet.errors import ShapeError

Pads = str | tuple[tuple[int, int], ...]


def window_extent(extent: Any, size: int, stride: int, dilation: int, padding: Any, who: str = "convolution",
                  axis: int = 0) -> Any:
    """The number of windows along an axis; padding is "same", "valid" or (before, after)."""
    if padding == "same":
        return (extent + (stride - 1)) // stride
    before, after = (0, 0) if padding == "valid" else padding
    reach = (size - 1) * dilation + 1
    if type(extent) is int and extent + before + after < reach:
        raise ShapeError(f"{who}: expected a spatial extent of at least {reach - before - after} on spatial axis {axis} (kernel "
                         f"{size}, dilation {dilation}); "
                         f"received {extent}. Use padding='same', a smaller kernel, or a larger input.")
    return (extent + (before + after - reach)) // stride + 1


def same_pads(extent: int, size: int, stride: int, dilation: int) -> tuple[int, int]:
    """What "same" adds before and behind an axis: the smaller half before."""
    total = max((-(-extent // stride) - 1) * stride + (size - 1) * dilation + 1 - extent, 0)
    return total // 2, total - total // 2


def pads_of(op: Any, spatial: Sequence[int], size: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """The padding of a convolution for known extents, as pairs."""
    if op.padding == "same":
        return tuple([same_pads(*v) for v in zip(spatial, size, op.strides, op.dilation, strict=True)])
    if op.padding == "valid":
        return ((0, 0),) * len(spatial)
    return op.padding


def windows(x: np.ndarray, size: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> np.ndarray:
    """A view of x (N, *S, C) as (N, *out, C, *size): each window of the spatial axes."""
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    axes = tuple(range(1, 1 + len(size)))
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axes)
    keep = (slice(None), *(slice(None, None, s) for s in strides), slice(None), *(slice(None, None, d) for d in dilation))
    return view[keep]


def padded(x: np.ndarray, pads: Sequence[tuple[int, int]], fill: Any = 0) -> np.ndarray:
    """x (N, *S, C) with its spatial axes padded; negative padding behind an axis cuts off what no window reads."""
    x = np.pad(x, ((0, 0), *[(before, max(after, 0)) for before, after in pads], (0, 0)), constant_values=fill)
    return x[(slice(None), *[slice(min(after, 0) or None) for _, after in pads])]


def unpadded(x: np.ndarray, spatial: Sequence[int], pads: Sequence[tuple[int, int]]) -> np.ndarray:
    """What `padded` had, of the extents `spatial`."""
    return x[(slice(None), *[slice(before, before + s) for (before, _), s in zip(pads, spatial, strict=True)])]


def taps(op: Any, size: Sequence[int], outputs: Sequence[int]) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Each element of a window, and what of the padded spatial axes it meets in the windows of all outputs."""
    for at in np.ndindex(*size):
        yield at, tuple([slice(k * d, k * d + (n - 1) * s + 1 if n else k * d, s)
                         for k, d, n, s in zip(at, op.dilation, outputs, op.strides, strict=True)])


def blank(n: int, spatial: Sequence[int], pads: Sequence[tuple[int, int]], channels: int, dtype: Any) -> np.ndarray:
    """Zeros of the padded extents, for sums over windows to be added up in."""
    return np.zeros((n, *[a + s + max(b, 0) for (a, b), s in zip(pads, spatial, strict=True)], channels), dtype)
