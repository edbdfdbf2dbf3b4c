"""Cropping1D, Cropping2D, Cropping3D: the spatial axes without their borders."""
from typing import Any, ClassVar

from graphnet import config
from graphnet.errors import ShapeError
from graphnet.layers.arguments import margins, whole_numbers
from graphnet.layers.input_spec import InputSpec
from graphnet.layers.layer import Layer
from graphnet.ops.convert import shape, shown
from graphnet.ops.shape import Slice
from graphnet.registry import builtin


class BaseCropping(Layer):
    """Each of `rank` spatial axes without what lies before and behind."""

    rank: ClassVar[int] = 2

    def __init__(self, cropping: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        who = f"Layer {self.name!r} ({type(self).__name__})"
        self.data_format = config.standardize_data_format(data_format)
        self.cropping: Any = (
            whole_numbers(cropping, 2, "cropping", who, zero=True)
            if self.rank == 1
            else margins(cropping, self.rank, "cropping", who)
        )
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        extents = shape(inputs)
        pairs = (self.cropping,) if self.rank == 1 else self.cropping
        first = 1 if self.data_format == "channels_last" else 2
        starts: list[int | None] = [None] * len(extents)
        stops: list[int | None] = [None] * len(extents)
        for axis, (before, behind) in enumerate(pairs, first):
            if isinstance(extents[axis], int) and before + behind >= extents[axis]:
                raise ShapeError(f"Layer {self.name!r} ({type(self).__name__}) expects cropping to leave something; received "
                                 f"cropping={self.cropping} for an "
                                 f"input of shape {shown(extents)}: nothing is left of axis {axis}.")
            starts[axis], stops[axis] = before or None, -behind or None
        return Slice(tuple(starts), tuple(stops), (1,) * len(extents))(inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cropping": self.cropping, "data_format": self.data_format}


@builtin("layers")
class Cropping1D(BaseCropping):
    """Axis 1 without its ends: (N, T, C) -> (N, T - before - behind, C).

    Arguments: ``cropping`` (a number, or a pair before and behind). Raises ShapeError where nothing is left, or the input's
    ndim is not 3.
    Source: https://keras.io/api/layers/reshaping_layers/cropping1d/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Cropping1D((2, 1))(graphnet.Input((10, 4))).shape
        (None, 7, 4)
    """

    rank: ClassVar[int] = 1

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        super().__init__(cropping, "channels_last", **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {name: value for name, value in super().get_config().items() if name != "data_format"}


@builtin("layers")
class Cropping2D(BaseCropping):
    """An image without its borders: (N, H, W, C) -> (N, H - top - bottom, W - left - right, C).

    Arguments: ``cropping`` (a number, one for each axis, or a pair for each axis), ``data_format``.
    Raises ShapeError where nothing is left, or the input's ndim is not 4.
    Source: https://keras.io/api/layers/reshaping_layers/cropping2d/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Cropping2D(((1, 0), (2, 2)))(graphnet.Input((8, 8, 3))).shape
        (None, 7, 4, 3)
    """

    rank: ClassVar[int] = 2

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, data_format, **kwargs)


@builtin("layers")
class Cropping3D(BaseCropping):
    """A volume without its borders: each of the spatial axes of (N, D, H, W, C) loses its pair.

    Arguments: ``cropping`` (a number, one for each axis, or a pair for each axis), ``data_format``.
    Raises ShapeError where nothing is left, or the input's ndim is not 5.
    Source: https://keras.io/api/layers/reshaping_layers/cropping3d/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Cropping3D(1)(graphnet.Input((6, 6, 6, 3))).shape
        (None, 4, 4, 4, 3)
    """

    rank: ClassVar[int] = 3

    def __init__(self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, data_format, **kwargs)
