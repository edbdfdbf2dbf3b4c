"""Pictures as arrays and arrays as pictures, by Pillow."""
import importlib
import io
import os
import pathlib
import warnings
from typing import Any

import numpy as np

from graphnet import config, dtypes
from graphnet.errors import DataError

_MODES = {"grayscale": ("L", "I;16", "I"), "rgb": ("RGB",), "rgba": ("RGBA",)}
_CHANNELS = {1: "L", 3: "RGB", 4: "RGBA"}
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def _pillow() -> Any:
    try:
        return importlib.import_module("PIL.Image")
    except ImportError:
        raise ImportError("Reading and writing pictures takes Pillow: pip install graphnet[images].") from None


def check_color_mode(color_mode: str) -> None:
    """ValueError for a color mode that there is not."""
    if color_mode not in _MODES:
        raise ValueError(f"color_mode expects one of {', '.join(map(repr, _MODES))}; received {color_mode!r}.")


def open_image(path: Any, color_mode: str) -> Any:
    """The picture in a file as Pillow's Image of a color mode; DataError where it is none."""
    check_color_mode(color_mode)
    pillow = _pillow()
    if not isinstance(path, (str, bytes, os.PathLike, io.BytesIO)):
        raise TypeError(f"load_img expects a path or io.BytesIO; received {path!r}.")
    try:
        with pillow.open(path) as image:
            image.load()
            return image.copy() if image.mode in _MODES[color_mode] else image.convert(_MODES[color_mode][0])
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise DataError(f"{path!r} is no picture that can be read: {error}") from error


def load_img(
    path: Any, color_mode: str = "rgb", target_size: Any = None, interpolation: str = "nearest", keep_aspect_ratio: bool = False
) -> Any:
    """The picture in a file as Pillow's Image.

    Arguments: ``path`` or an io.BytesIO; ``color_mode`` "grayscale", "rgb", "rgba"; ``target_size`` (height, width);
    ``interpolation`` "nearest", "bilinear", "bicubic", "hamming", "box", "lanczos"; with ``keep_aspect_ratio`` the middle
    part of the target's form is taken. Raises ValueError, FileNotFoundError, DataError. Source:
    https://keras.io/api/data_loading/image/

    Example:

        >>> import graphnet, io, numpy
        >>> file = io.BytesIO()
        >>> graphnet.utils.save_img(file, numpy.ones((4, 6, 3)), file_format="png")
        >>> graphnet.utils.load_img(file, target_size=(2, 3)).size
        (3, 2)
    """
    image = open_image(path, color_mode)
    if target_size is None or image.size == (target_size[1], target_size[0]):
        return image
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(
            f"load_img expects interpolation to be one of {', '.join(_INTERPOLATIONS)}; received {interpolation!r}."
        )
    resample = getattr(_pillow().Resampling, interpolation.upper())
    height, width = target_size
    if not keep_aspect_ratio:
        return image.resize((width, height), resample)
    inner = min(image.width, image.height * width // height), min(image.height, image.width * height // width)
    left, top = (image.width - inner[0]) // 2, (image.height - inner[1]) // 2
    return image.resize((width, height), resample, box=(left, top, left + inner[0], top + inner[1]))


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """A picture as an array of shape (height, width, channels), or (channels, height, width) for "channels_first".

    ``dtype`` is the default float type, if None. Raises ValueError. Source: https://keras.io/api/data_loading/image/

    Example:

        >>> import graphnet, numpy
        >>> image = graphnet.utils.array_to_img(numpy.ones((4, 6, 1)))
        >>> graphnet.utils.img_to_array(image).shape
        (4, 6, 1)
    """
    array = np.asarray(img, dtype or dtypes.floatx())
    if array.ndim not in (2, 3):
        raise ValueError(f"img_to_array expects a picture with 2 or 3 axes; received shape {array.shape}.")
    array = array if array.ndim == 3 else array[..., None]
    return array.transpose(2, 0, 1) if config.standardize_data_format(data_format) == "channels_first" else array


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """An array of shape (height, width, 1, 3 or 4) as Pillow's Image.

    With ``scale`` the least number becomes black and the largest white; else numbers from 0 to 255 are expected. Raises
    ValueError. Source: https://keras.io/api/data_loading/image/

    Example:

        >>> import graphnet, numpy
        >>> graphnet.utils.array_to_img(numpy.zeros((4, 6, 3))).mode
        'RGB'
    """
    array = np.asarray(x, dtype or dtypes.floatx())
    if array.ndim != 3:
        raise ValueError(f"array_to_img expects one picture, an array with 3 axes; received shape {array.shape}.")
    if config.standardize_data_format(data_format) == "channels_first":
        array = array.transpose(1, 2, 0)
    if array.shape[2] not in _CHANNELS:
        raise ValueError(f"array_to_img expects 1, 3 or 4 channels; received shape {array.shape}.")
    if scale:
        array = array - np.min(array)
        largest = np.max(array)
        array = (array / largest if largest != 0 else array) * 255
    plain = array[..., 0] if array.shape[2] == 1 else array
    deep = array.shape[2] == 1 and np.max(array) > 255
    return _pillow().fromarray(np.ascontiguousarray(plain.astype("int32" if deep else "uint8")))


def save_img(
    path: Any, x: Any, data_format: str | None = None, file_format: str | None = None, scale: bool = True, **kwargs: Any
) -> None:
    """Writes an array as a picture, in the format of the path's ending or ``file_format``; ``kwargs`` go to Pillow's `save`.

    Other arguments as for `array_to_img`. Source: https://keras.io/api/data_loading/image/

    Example:

        >>> import graphnet, io, numpy
        >>> file = io.BytesIO()
        >>> graphnet.utils.save_img(file, numpy.ones((4, 6, 3)), file_format="png")
        >>> file.getvalue()[1:4]
        b'PNG'
    """
    kind = file_format or (pathlib.Path(path).suffix[1:] if isinstance(path, (str, pathlib.Path)) else None)
    kind = "jpeg" if kind and kind.lower() == "jpg" else kind
    image = array_to_img(x, data_format, scale)
    if image.mode == "RGBA" and kind and kind.lower() == "jpeg":
        warnings.warn("save_img: JPEG has no transparency; it is left out.", stacklevel=2)
        image = image.convert("RGB")
    image.save(path, format=kind, **kwargs)
