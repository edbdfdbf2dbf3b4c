"""Images: resizing, colours, borders, patches, blur. Data is (N, H, W, C) or (H, W, C), or channels_first where told."""
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphnet import config
from graphnet.dims import Dim
from graphnet.errors import ShapeError
from graphnet.op import public
from graphnet.ops import elementwise as e
from graphnet.ops import reduction as r
from graphnet.ops.contraction import tensordot
from graphnet.ops.convert import cast, floating, shape, sized, to_tensor
from graphnet.ops.convolution import conv, depthwise_conv
from graphnet.ops.indexing import get_item
from graphnet.ops.sampling import KERNELS, REFLECTIONS, MapCoordinates, Resize
from graphnet.ops.shape import expand_dims, pad, reshape, squeeze, stack, transpose
from graphnet.tracing import announce


def channels_last(function: Callable[[Any], Any], images: Any, data_format: str | None) -> Any:
    """function(images) on channels_last images of 3 or 4 axes; channels_first ones are transposed there and back."""
    x = to_tensor(images)
    if x.ndim not in (3, 4):
        raise ShapeError(f"Images have 3 axes, or 4 with the batch; received shape {tuple(x.shape)}.")
    if config.standardize_data_format(data_format) == "channels_last":
        return function(x)
    there, back = ((1, 2, 0), (2, 0, 1)) if x.ndim == 3 else ((0, 2, 3, 1), (0, 3, 1, 2))
    return transpose(function(transpose(x, there)), back)


def _crop_box(height: int, width: int, target: tuple[int, int]) -> tuple[int, int, int, int]:
    """Top, left, height and width of the largest middle part with the target's ratio of sides."""
    h = max(min(height, int(width * target[0] / target[1])), 1)
    w = max(min(width, int(height * target[1] / target[0])), 1)
    return (height - h) // 2, (width - w) // 2, h, w


@public
def resize(images: Any, size: Any, interpolation: str = "bilinear", antialias: bool = False, crop_to_aspect_ratio: bool = False,
           pad_to_aspect_ratio: bool = False, fill_mode: str = "constant", fill_value: float = 0.0,
           data_format: str | None = None) -> Any:
    """Images brought to a (height, width), by "nearest", "bilinear", "bicubic", "lanczos3" or "lanczos5" interpolation.

    Shapes: (N, H, W, C) -> (N, *size, C); the dtype stays. Source: https://keras.io/api/ops/image/

    Example:

        >>> from graphnet import ops
        >>> ops.image.resize([[[1.0], [3.0]]], (1, 4))[0, :, 0]
        array([1. , 1.5, 2.5, 3. ], dtype=float32)
    """
    if interpolation != "nearest" and interpolation not in KERNELS:
        raise ValueError(f"resize expects interpolation 'nearest', {', '.join(map(repr, KERNELS))}; received "
                         f"interpolation={interpolation!r}.")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("resize expects at most one of crop_to_aspect_ratio and pad_to_aspect_ratio to be True.")
    if fill_mode != "constant":
        raise ValueError(f"resize expects fill_mode='constant'; received fill_mode={fill_mode!r}.")
    target = tuple(size)
    if len(target) != 2:
        raise ValueError(f"resize expects size=(height, width); received size={size!r}.")

    def run(x: Any) -> Any:
        if crop_to_aspect_ratio or pad_to_aspect_ratio:
            height, width = shape(x)[-3:-1]
            if isinstance(height, Dim) or isinstance(width, Dim):
                raise ShapeError("resize keeps the ratio of sides of images of known height and width only; received shape "
                                 f"{tuple(x.shape)}.")
            if crop_to_aspect_ratio:
                top, left, h, w = _crop_box(height, width, target)
                x = get_item(x, (..., slice(top, top + h), slice(left, left + w), slice(None)))
            else:
                rows = max(0, int(width * target[0] / target[1]) - height) // 2
                columns = max(0, int(height * target[1] / target[0]) - width) // 2
                x = pad(x, (*((0, 0),) * (x.ndim - 3), (rows, rows), (columns, columns), (0, 0)), "constant", fill_value)
        return sized(Resize(target, interpolation, bool(antialias)), x)
    return channels_last(run, images, data_format)


@functools.partial(public, class_name="RGBToGrayscale")
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Any:
    """0.2989 red + 0.587 green + 0.114 blue, as one channel. Source: https://keras.io/api/ops/image/

    Example:

        >>> from graphnet import ops
        >>> ops.image.rgb_to_grayscale([[[0.0, 1.0, 0.0]]])
        array([[[0.587]]], dtype=float32)
    """
    def run(x: Any) -> Any:
        gray = expand_dims(tensordot(floating(x), np.array([0.2989, 0.587, 0.114], str(floating(x).dtype)), 1), -1)
        return cast(gray, x.dtype)
    return channels_last(run, images, data_format)


@functools.partial(public, class_name="RGBToHSV")
def rgb_to_hsv(images: Any, data_format: str | None = None) -> Any:
    """Red, green and blue in [0, 1] as hue, saturation and value in [0, 1]. Source: https://keras.io/api/ops/image/

    Example:

        >>> from graphnet import ops
        >>> ops.image.rgb_to_hsv([[[0.0, 0.5, 0.0]]])[0, 0, 1:]
        array([1. , 0.5], dtype=float32)
    """
    def run(x: Any) -> Any:
        x = floating(x)
        red, green, blue = (get_item(x, (..., i)) for i in range(3))
        value, width = r.max(x, -1), e.subtract(r.max(x, -1), r.min(x, -1))
        gray, some = e.equal(width, 0.0), e.where(e.equal(width, 0.0), 1.0, width)

        def sixth(a: Any, b: Any, offset: float) -> Any:
            return e.add(e.divide(e.subtract(a, b), e.multiply(some, 6.0)), offset)
        hue = e.where(e.equal(red, value), sixth(green, blue, 0.0),
                      e.where(e.equal(green, value), sixth(blue, red, 1 / 3), sixth(red, green, 2 / 3)))
        hue = e.where(gray, 0.0, e.where(e.less(hue, 0.0), e.add(hue, 1.0), hue))
        saturation = e.where(e.greater(value, 0.0), e.divide(width, e.where(e.greater(value, 0.0), value, 1.0)), 0.0)
        return stack([hue, saturation, value], -1)
    return channels_last(run, images, data_format)


@functools.partial(public, class_name="HSVToRGB")
def hsv_to_rgb(images: Any, data_format: str | None = None) -> Any:
    """Hue, saturation and value in [0, 1] as red, green and blue in [0, 1]. Source: https://keras.io/api/ops/image/

    Example:

        >>> from graphnet import ops
        >>> ops.image.hsv_to_rgb([[[0.0, 1.0, 0.5]]])
        array([[[0.5, 0. , 0. ]]], dtype=float32)
    """
    def run(x: Any) -> Any:
        x = floating(x)
        hue, saturation, value = (get_item(x, (..., i)) for i in range(3))
        sixths = e.multiply(hue, 6.0)

        def part(low: float, centre: float, sign: float) -> Any:
            ramp = e.Clip(0.0, 1.0)(e.add(e.multiply(e.absolute(e.subtract(sixths, centre)), sign), low))
            return e.multiply(value, e.add(e.multiply(saturation, e.subtract(ramp, 1.0)), 1.0))
        return stack([part(-1.0, 3.0, 1.0), part(2.0, 2.0, -1.0), part(2.0, 4.0, -1.0)], -1)
    return channels_last(run, images, data_format)


def _margins(extent: Any, before: Any, after: Any, target: Any, what: str) -> tuple[Any, Any]:
    """What lies before and behind along an axis, where two of (before, after, target) are given."""
    if (before, after, target).count(None) != 1:
        raise ValueError(f"Expected exactly two of: {what} before, {what} behind and the target extent; received {before}, "
                         f"{after} and {target}.")
    change = None if target is None else (target - extent if what == "padding" else extent - target)
    return (change - after if before is None else before), (change - before if after is None else after)


@public
def pad_images(images: Any, top_padding: int | None = None, left_padding: int | None = None, bottom_padding: int | None = None,
               right_padding: int | None = None, target_height: int | None = None, target_width: int | None = None,
               data_format: str | None = None) -> Any:
    """Images with borders of zeros: of top, bottom and target height two are given, and so for the width. Source:
    https://keras.io/api/ops/image/

    Example:

        >>> from graphnet import ops
        >>> ops.image.pad_images([[[7.0]]], 1, 0, target_height=2, target_width=2)[..., 0]
        array([[0., 0.],
               [7., 0.]], dtype=float32)
    """
    def run(x: Any) -> Any:
        h, w = shape(x)[-3:-1]
        rows = _margins(h, top_padding, bottom_padding, target_height, "padding")
        columns = _margins(w, left_padding, right_padding, target_width, "padding")
        return pad(x, (*((0, 0),) * (x.ndim - 3), rows, columns, (0, 0)))
    return channels_last(run, images, data_format)


@public
def crop_images(images: Any, top_cropping: int | None = None, left_cropping: int | None = None,
                bottom_cropping: int | None = None,
                right_cropping: int | None = None, target_height: int | None = None, target_width: int | None = None,
                data_format: str | None = None) -> Any:
    """Images without borders: of top, bottom and target height two are given, and so for the width. Source:
    https://keras.io/api/ops/image/

    Example:

        >>> from graphnet import ops
        >>> ops.image.crop_images([[[1.0], [2.0]]], 0, 1, target_height=1, target_width=1)
        array([[[2.]]], dtype=float32)
    """
    def run(x: Any) -> Any:
        h, w = shape(x)[-3:-1]
        top, bottom = _margins(h, top_cropping, bottom_cropping, target_height, "cropping")
        left, right = _margins(w, left_cropping, right_cropping, target_width, "cropping")
        return get_item(x, (..., slice(top, h - bottom), slice(left, w - right), slice(None)))
    return channels_last(run, images, data_format)


@public
def extract_patches(images: Any, size: Any, strides: Any = None, dilation_rate: Any = 1, padding: str = "valid",
                    data_format: str | None = None) -> Any:
    """Each window of the image as one pixel: (N, H, W, C) -> (N, H', W', height * width * C). Source:
    https://keras.io/api/ops/image/

    Example:

        >>> from graphnet import ops
        >>> ops.image.extract_patches([[[[1.0], [2.0], [3.0], [4.0]]]], (1, 2))[0, 0]
        array([[1., 2.],
               [3., 4.]], dtype=float32)
    """
    height, width = (size, size) if isinstance(size, int) else size

    def run(x: Any) -> Any:
        whole = x if x.ndim == 4 else expand_dims(x, 0)
        channels = shape(whole)[-1]
        announce((height * width * channels,) * 2, str(x.dtype), "extract_patches")
        kernel = np.eye(height * width * channels, dtype=str(x.dtype)).reshape(height, width, channels, -1)
        out = conv(whole, kernel, (height, width) if strides is None else strides, padding, "channels_last", dilation_rate)
        return out if x.ndim == 4 else squeeze(out, 0)
    return channels_last(run, images, data_format)


@public
def gaussian_blur(images: Any, kernel_size: Sequence[int] = (3, 3), sigma: Sequence[float] = (1.0, 1.0),
                  data_format: str | None = None) -> Any:
    """Images smoothed by a normal curve over each axis; beyond the borders lies 0. Source: https://keras.io/api/ops/image/

    Example:

        >>> from graphnet import ops
        >>> ops.image.gaussian_blur(ops.ones((1, 3, 3, 1)))[0, 1, 1]
        array([1.], dtype=float32)
    """
    def row(size: int, spread: float) -> np.ndarray:
        places = np.arange(size) - (size - 1) / 2
        values = np.exp(-0.5 * (places / spread) ** 2)
        return values / values.sum()

    def run(x: Any) -> Any:
        whole = x if x.ndim == 4 else expand_dims(x, 0)
        announce((*kernel_size, shape(x)[-1]), "float64", "gaussian_blur")
        window = np.outer(row(kernel_size[0], sigma[0]), row(kernel_size[1], sigma[1]))
        kernel = np.repeat(window[:, :, None, None], shape(x)[-1], 2).astype(str(x.dtype))
        out = depthwise_conv(whole, kernel, 1, "same", "channels_last")
        return out if x.ndim == 4 else squeeze(out, 0)
    return channels_last(run, images, data_format)


@public
def map_coordinates(inputs: Any, coordinates: Any, order: int, fill_mode: str = "constant", fill_value: float = 0.0) -> Any:
    """The inputs at coordinates (ndim, *shape); order 0 takes the nearest element, 1 goes linearly between neighbours.

    ``fill_mode``: "constant", "nearest", "wrap", "mirror" or "reflect". Source: https://keras.io/api/ops/image/

    Example:

        >>> from graphnet import ops
        >>> ops.image.map_coordinates([1.0, 3.0], [[0.5]], 1)
        array([2.], dtype=float32)
    """
    if order not in (0, 1):
        raise ValueError(f"map_coordinates expects order 0 or 1; received order={order!r}.")
    if fill_mode not in REFLECTIONS:
        raise ValueError(f"map_coordinates expects fill_mode {', '.join(map(repr, REFLECTIONS))}; received "
                         f"fill_mode={fill_mode!r}.")
    return MapCoordinates(order, fill_mode, float(fill_value))(to_tensor(inputs), floating(coordinates))


@public
def affine_transform(images: Any, transform: Any, interpolation: str = "bilinear", fill_mode: str = "constant",
                     fill_value: float = 0.0,
                     data_format: str | None = None) -> Any:
    """Images moved, turned and scaled: the pixel at (x, y) is the input's at (a0 x + a1 y + a2, b0 x + b1 y + b2).

    ``transform`` (N, 8) or (8,): a0, a1, a2, b0, b1, b2, 0, 0; the last two divide, as in a projection, and must be 0.
    Source: https://keras.io/api/ops/image/

    Example:

        >>> from graphnet import ops
        >>> ops.image.affine_transform([[[1.0], [2.0]]], [1, 0, 1, 0, 1, 0, 0, 0])[..., 0]
        array([[2., 0.]], dtype=float32)
    """
    if interpolation not in ("nearest", "bilinear"):
        raise ValueError("affine_transform expects interpolation 'nearest' or 'bilinear'; received "
                         f"interpolation={interpolation!r}.")
    order = 0 if interpolation == "nearest" else 1

    def run(x: Any) -> Any:
        whole = x if x.ndim == 4 else expand_dims(x, 0)
        n, h, w, c = shape(whole)
        if any(isinstance(s, Dim) for s in (n, h, w, c)):
            raise ShapeError(f"affine_transform expects images of known extents; received shape {tuple(x.shape)}.")
        a = reshape(floating(transform), (-1, 8, 1, 1, 1))
        announce((n, h, w, c, 6), "int64", "affine_transform")  # four of these, and four of half their size
        grid = np.meshgrid(np.arange(n), np.arange(h), np.arange(w), np.arange(c), indexing="ij")
        batch, row, column, channel = [v.astype("float32") for v in grid]
        a0, a1, a2, b0, b1, b2 = (get_item(a, (slice(None), i)) for i in range(6))
        across = e.add(e.add(e.multiply(a0, column), e.multiply(a1, row)), a2)
        down = e.add(e.add(e.multiply(b0, column), e.multiply(b1, row)), b2)
        out = map_coordinates(whole, stack([batch, down, across, channel], 0), order, fill_mode, fill_value)
        return out if x.ndim == 4 else squeeze(out, 0)
    return channels_last(run, images, data_format)


__all__ = ["affine_transform", "crop_images", "extract_patches", "gaussian_blur", "hsv_to_rgb", "map_coordinates", "pad_images",
           "resize",
           "rgb_to_grayscale", "rgb_to_hsv"]
