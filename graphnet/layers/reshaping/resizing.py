"""Resizing and CenterCrop: images brought to one size."""
from typing import Any

from graphnet import config
from graphnet.dims import Dim
from graphnet.layers.arguments import whole_numbers
from graphnet.layers.layer import Layer
from graphnet.ops.convert import cast, shape
from graphnet.ops.image import resize
from graphnet.ops.indexing import get_item
from graphnet.registry import builtin


class BaseSize(Layer):
    """Images (H, W, C) or (N, H, W, C) brought to a height and a width."""

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.height, self.width = whole_numbers(
            (height, width), 2, "height and width", f"Layer {self.name!r} ({type(self).__name__})"
        )
        self.data_format = config.standardize_data_format(data_format)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format, "height": self.height, "width": self.width}


@builtin("layers")
class Resizing(BaseSize):
    """Images at another size: (N, H, W, C) or (H, W, C) -> (..., height, width, C); whole numbers are rounded and stay whole
    numbers.

    Arguments: ``height``, ``width``, ``interpolation`` ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"),
    ``crop_to_aspect_ratio`` (the middle part with the ratio of sides asked for is resized), ``pad_to_aspect_ratio`` (borders of
    ``fill_value`` are added first; ``fill_mode`` is "constant"), ``antialias``, ``data_format``. Source:
    https://keras.io/api/layers/preprocessing_layers/image_preprocessing/resizing/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Resizing(64, 96)(graphnet.Input((None, None, 3))).shape
        (None, 64, 96, 3)
    """

    def __init__(self, height: int, width: int, interpolation: str = "bilinear", crop_to_aspect_ratio: bool = False,
                 pad_to_aspect_ratio: bool = False, fill_mode: str = "constant", fill_value: float = 0.0,
                 antialias: bool = False, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(height, width, data_format, **kwargs)
        self.interpolation, self.antialias = interpolation, bool(antialias)
        self.crop_to_aspect_ratio, self.pad_to_aspect_ratio = crop_to_aspect_ratio, pad_to_aspect_ratio
        self.fill_mode, self.fill_value = fill_mode, fill_value

    def call(self, inputs: Any) -> Any:
        return resize(inputs, (self.height, self.width), self.interpolation, self.antialias, self.crop_to_aspect_ratio,
                      self.pad_to_aspect_ratio, self.fill_mode, self.fill_value, self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "interpolation": self.interpolation, "crop_to_aspect_ratio": self.crop_to_aspect_ratio,
                "pad_to_aspect_ratio": self.pad_to_aspect_ratio, "fill_mode": self.fill_mode, "fill_value": self.fill_value,
                "antialias": self.antialias}


@builtin("layers")
class CenterCrop(BaseSize):
    """The middle of images: (N, H, W, C) or (H, W, C) -> (..., height, width, C), in floats.

    An image that is too small is resized, from its largest middle part with the ratio of sides asked for.
    Arguments: ``height``, ``width``, ``data_format``. Source:
    https://keras.io/api/layers/preprocessing_layers/image_preprocessing/center_crop/

    Example:

        >>> import graphnet
        >>> graphnet.layers.CenterCrop(64, 96)(graphnet.Input((100, 100, 3))).shape
        (None, 64, 96, 3)
    """

    def call(self, inputs: Any) -> Any:
        x = cast(inputs, self.dtype)
        first = self.data_format == "channels_first"
        height, width = shape(x)[-2:] if first else shape(x)[-3:-1]
        over = height - self.height, width - self.width
        if any(not isinstance(o, Dim) and o < 0 for o in over):
            return resize(x, (self.height, self.width), crop_to_aspect_ratio=True, data_format=self.data_format)
        rows, columns = (slice(o // 2, o // 2 + size) for o, size in zip(over, (self.height, self.width), strict=True))
        return get_item(x, (..., rows, columns) if first else (..., rows, columns, slice(None)))
