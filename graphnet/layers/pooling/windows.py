"""MaxPooling and AveragePooling over 1 to 3 axes: one number for each window."""
from typing import Any, ClassVar

from graphnet import config
from graphnet.layers.arguments import whole_numbers, window_padding
from graphnet.layers.input_spec import InputSpec
from graphnet.layers.layer import Layer
from graphnet.ops.pooling import average_pool, max_pool
from graphnet.registry import builtin


class BasePooling(Layer):
    """A reduction of each window of `rank` spatial axes."""

    rank: ClassVar[int] = 2
    pool: ClassVar[Any] = staticmethod(max_pool)

    def __init__(self, pool_size: Any = 2, strides: Any = None, padding: str = "valid", data_format: str | None = None,
                 name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        who = f"Layer {self.name!r} ({type(self).__name__})"
        self.pool_size = whole_numbers(pool_size, self.rank, "pool_size", who)
        self.strides = self.pool_size if strides is None else whole_numbers(strides, self.rank, "strides", who)
        self.padding, self.data_format = window_padding(padding, who), config.standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.pool(inputs, self.pool_size, self.strides, self.padding, self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pool_size": self.pool_size, "padding": self.padding, "strides": self.strides,
                "data_format": self.data_format}


class BaseAveragePooling(BasePooling):
    """The mean of each window; padding holds no elements."""

    pool: ClassVar[Any] = staticmethod(average_pool)

    def __init__(self, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None,
                 name: str | None = None, **kwargs: Any) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


_DOC = """The {what} of each window of {axes}.

    Arguments: ``pool_size`` of the window{default}, ``strides`` (None: pool_size), ``padding`` ("valid" or "same", whose
    padding holds no elements), ``data_format``. Shapes: {shape} -> the same with (extent - pool_size) // strides + 1 for
    each spatial extent, or ceil(extent / strides) with padding="same". Raises ShapeError where the input's ndim does not
    fit, or a window is larger than the input.
    Source: https://keras.io/api/layers/pooling_layers/{page}/

    Example:

        >>> import graphnet
        >>> graphnet.layers.{name}(2)(graphnet.Input({given})).shape
        {result}
    """
_AXES = {
    1: ("one axis, such as time", "(N, T, C)", (10, 3), (None, 5, 3)),
    2: ("two axes, such as those of an image", "(N, H, W, C)", (8, 8, 3), (None, 4, 4, 3)),
    3: ("three axes, such as those of a volume", "(N, D, H, W, C)", (8, 8, 8, 3), (None, 4, 4, 4, 3)),
}


def _document(kind: type[BasePooling]) -> type[BasePooling]:
    axes, shape, given, result = _AXES[kind.rank]
    averages = issubclass(kind, BaseAveragePooling)
    kind.__doc__ = _DOC.format(what="mean" if averages else "largest element", axes=axes, default="" if averages else " (2)",
                               shape=shape, page=f"{'average' if averages else 'max'}_pooling{kind.rank}d", name=kind.__name__,
                               given=given, result=result)
    return kind


@builtin("layers", "MaxPool1D")
@_document
class MaxPooling1D(BasePooling):
    rank: ClassVar[int] = 1


@builtin("layers", "MaxPool2D")
@_document
class MaxPooling2D(BasePooling):
    rank: ClassVar[int] = 2


@builtin("layers", "MaxPool3D")
@_document
class MaxPooling3D(BasePooling):
    rank: ClassVar[int] = 3


@builtin("layers", "AvgPool1D")
@_document
class AveragePooling1D(BaseAveragePooling):
    rank: ClassVar[int] = 1


@builtin("layers", "AvgPool2D")
@_document
class AveragePooling2D(BaseAveragePooling):
    rank: ClassVar[int] = 2


@builtin("layers", "AvgPool3D")
@_document
class AveragePooling3D(BaseAveragePooling):
    rank: ClassVar[int] = 3
