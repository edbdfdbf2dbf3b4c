"""UpSampling1D, UpSampling2D, UpSampling3D: spatial axes that grow by whole factors."""
from typing import Any, ClassVar

from graphnet import config
from graphnet.layers.arguments import whole_numbers
from graphnet.layers.input_spec import InputSpec
from graphnet.layers.layer import Layer
from graphnet.ops.convert import shape
from graphnet.ops.image import KERNELS, resize
from graphnet.ops.shape import repeat
from graphnet.registry import builtin


@builtin("layers")
class UpSampling1D(Layer):
    """Each step ``size`` times in a row: (N, T, C) -> (N, T * size, C).

    Raises TypeError or ValueError where size is no positive whole number, ShapeError where the input's ndim is not 3.
    Source: https://keras.io/api/layers/reshaping_layers/up_sampling1d/

    Example:

        >>> import graphnet
        >>> graphnet.layers.UpSampling1D(3)(graphnet.Input((10, 4))).shape
        (None, 30, 4)
    """

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(size, int) or isinstance(size, bool):
            raise TypeError(f"Layer {self.name!r} (UpSampling1D) expects size to be a whole number; received {size!r} "
                            f"({type(size).__name__}).")
        if size <= 0:
            raise ValueError(f"Layer {self.name!r} (UpSampling1D) expects size to be positive; received size={size}.")
        self.size = size
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        return repeat(inputs, self.size, 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


class BaseUpSampling(Layer):
    """Each cell repeated along `rank` spatial axes."""

    rank: ClassVar[int] = 2

    def __init__(self, size: Any = 2, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.size = whole_numbers(size, self.rank, "size", f"Layer {self.name!r} ({type(self).__name__})")
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        for axis, factor in enumerate(self.size, 1 if self.data_format == "channels_last" else 2):
            inputs = repeat(inputs, factor, axis)
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "data_format": self.data_format}


@builtin("layers")
class UpSampling2D(BaseUpSampling):
    """Images enlarged by whole factors: (N, H, W, C) -> (N, H * size[0], W * size[1], C).

    Arguments: ``size`` (a number, or one for each axis), ``data_format``, ``interpolation`` ("nearest": each pixel is repeated;
    "bilinear", "bicubic", "lanczos3", "lanczos5": a mean of neighbours). Raises ShapeError where the input's ndim is not 4.
    Source: https://keras.io/api/layers/reshaping_layers/up_sampling2d/

    Example:

        >>> import graphnet
        >>> graphnet.layers.UpSampling2D((2, 3))(graphnet.Input((8, 8, 3))).shape
        (None, 16, 24, 3)
    """

    rank: ClassVar[int] = 2

    def __init__(self, size: Any = 2, data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any) -> None:
        super().__init__(size, data_format, **kwargs)
        self.interpolation = interpolation.lower()
        if self.interpolation != "nearest" and self.interpolation not in KERNELS:
            raise ValueError(f"Layer {self.name!r} (UpSampling2D) expects interpolation to be one of nearest, "
                             f"{', '.join(KERNELS)}; received {interpolation!r}.")

    def call(self, inputs: Any) -> Any:
        if self.interpolation == "nearest":
            return super().call(inputs)
        height, width = shape(inputs)[1:3] if self.data_format == "channels_last" else shape(inputs)[2:]
        return resize(inputs, (height * self.size[0], width * self.size[1]), self.interpolation, data_format=self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "interpolation": self.interpolation}


@builtin("layers")
class UpSampling3D(BaseUpSampling):
    """Each cell of a volume repeated ``size`` times along each axis: every spatial extent of (N, D, H, W, C) grows by its
    factor.

    Arguments: ``size`` (a number, or one for each axis), ``data_format``. Raises ShapeError where the input's ndim is not 5.
    Source: https://keras.io/api/layers/reshaping_layers/up_sampling3d/

    Example:

        >>> import graphnet
        >>> graphnet.layers.UpSampling3D(2)(graphnet.Input((4, 4, 4, 3))).shape
        (None, 8, 8, 8, 3)
    """

    rank: ClassVar[int] = 3
