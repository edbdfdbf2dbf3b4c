"""ZeroPadding1D, ZeroPadding2D, ZeroPadding3D: zeros around the spatial axes."""
from typing import Any, ClassVar

from graphnet import config
from graphnet.layers.arguments import margins, whole_numbers
from graphnet.layers.input_spec import InputSpec
from graphnet.layers.layer import Layer
from graphnet.ops.shape import pad
from graphnet.registry import builtin


class BaseZeroPadding(Layer):
    """Zeros before and behind each of `rank` spatial axes."""

    rank: ClassVar[int] = 2

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        who = f"Layer {self.name!r} ({type(self).__name__})"
        self.data_format = config.standardize_data_format(data_format)
        self.padding: Any = (
            whole_numbers(padding, 2, "padding", who, zero=True)
            if self.rank == 1
            else margins(padding, self.rank, "padding", who)
        )
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        none = ((0, 0),)
        widths = (self.padding,) if self.rank == 1 else self.padding
        return pad(inputs, none + widths + none if self.data_format == "channels_last" else none + none + widths)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding, "data_format": self.data_format}


@builtin("layers")
class ZeroPadding1D(BaseZeroPadding):
    """Zeros before and behind axis 1: (N, T, C) -> (N, before + T + behind, C).

    Arguments: ``padding`` (a number, or a pair before and behind), ``data_format``. Raises ShapeError where the input's ndim is
    not 3.
    Source: https://keras.io/api/layers/reshaping_layers/zero_padding1d/

    Example:

        >>> import graphnet
        >>> graphnet.layers.ZeroPadding1D((2, 0))(graphnet.Input((10, 4))).shape
        (None, 12, 4)
    """

    rank: ClassVar[int] = 1


@builtin("layers")
class ZeroPadding2D(BaseZeroPadding):
    """Zeros around an image: (N, H, W, C) -> (N, top + H + bottom, left + W + right, C).

    Arguments: ``padding`` (a number, one for each axis, or a pair for each axis), ``data_format``. Raises ShapeError where the
    input's ndim is not 4.
    Source: https://keras.io/api/layers/reshaping_layers/zero_padding2d/

    Example:

        >>> import graphnet
        >>> graphnet.layers.ZeroPadding2D(((1, 0), (2, 2)))(graphnet.Input((8, 8, 3))).shape
        (None, 9, 12, 3)
    """

    rank: ClassVar[int] = 2


@builtin("layers")
class ZeroPadding3D(BaseZeroPadding):
    """Zeros around a volume: each of the spatial axes of (N, D, H, W, C) grows by its pair.

    Arguments: ``padding`` (a number, one for each axis, or a pair for each axis), ``data_format``. Raises ShapeError where the
    input's ndim is not 5.
    Source: https://keras.io/api/layers/reshaping_layers/zero_padding3d/

    Example:

        >>> import graphnet
        >>> graphnet.layers.ZeroPadding3D(1)(graphnet.Input((4, 4, 4, 3))).shape
        (None, 6, 6, 6, 3)
    """

    rank: ClassVar[int] = 3
