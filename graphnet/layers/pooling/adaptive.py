"""AdaptiveMaxPooling and AdaptiveAveragePooling over 1 to 3 axes: windows chosen so that the output has a given extent."""
from typing import Any, ClassVar

from graphnet import config
from graphnet.errors import UnsupportedError
from graphnet.layers.arguments import whole_numbers
from graphnet.layers.input_spec import InputSpec
from graphnet.layers.layer import Layer
from graphnet.ops.convert import shape, shown
from graphnet.ops.convolution import channels_last
from graphnet.ops.pooling import average_pool, max_pool
from graphnet.ops.reduction import max as largest
from graphnet.ops.reduction import mean
from graphnet.ops.shape import concatenate
from graphnet.registry import builtin


class BaseAdaptivePooling(Layer):
    """Output i along an axis reduces the inputs from floor(i * extent / size) up to ceil((i + 1) * extent / size)."""

    rank: ClassVar[int] = 2
    reduce: ClassVar[Any] = staticmethod(largest)
    pool: ClassVar[Any] = staticmethod(max_pool)

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_size = whole_numbers(output_size, self.rank, "output_size", f"Layer {self.name!r} ({type(self).__name__})")
        self.data_format = config.standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return channels_last(self._pooled, inputs, self.data_format)

    def _pooled(self, x: Any) -> Any:
        extents = shape(x)[1:-1]
        if not all(isinstance(e, int) for e in extents):
            raise UnsupportedError(f"Layer {self.name!r} ({type(self).__name__}) chooses its windows by the input's extents, "
                                   "so it expects them to be "
                                   f"known; received shape {shown(shape(x))}. Give them in Input(shape=...).")
        if all(e % size == 0 for e, size in zip(extents, self.output_size, strict=True)):
            return self.pool(x, tuple([e // size for e, size in zip(extents, self.output_size, strict=True)]))
        for axis, (extent, size) in enumerate(zip(extents, self.output_size, strict=True), 1):
            before = (slice(None),) * axis
            parts = [x[*before, i * extent // size:-(-(i + 1) * extent // size)] for i in range(size)]
            x = concatenate([self.reduce(part, axis, True) for part in parts], axis)
        return x

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output_size": self.output_size, "data_format": self.data_format}


class BaseAdaptiveAveragePooling(BaseAdaptivePooling):
    """The mean of each window."""

    reduce: ClassVar[Any] = staticmethod(mean)
    pool: ClassVar[Any] = staticmethod(average_pool)


_DOC = """The {what} of each of `output_size` windows along {axes}; neighbours overlap where the extent cannot be split evenly.

    Output i reduces the inputs from floor(i * extent / output_size) up to ceil((i + 1) * extent / output_size).
    Arguments: ``output_size``, one number or one an axis; ``data_format``. Shapes: {shape} -> (N, *output_size, C).
    Raises ShapeError where the input's ndim does not fit, UnsupportedError where its spatial extents are unknown.
    Source: https://keras.io/api/layers/pooling_layers/

    Example:

        >>> import graphnet
        >>> graphnet.layers.{name}(3)(graphnet.Input({given})).shape
        {result}
    """
_AXES = {
    1: ("one axis", "(N, T, C)", (10, 2), (None, 3, 2)),
    2: ("each of two axes", "(N, H, W, C)", (8, 8, 2), (None, 3, 3, 2)),
    3: ("each of three axes", "(N, D, H, W, C)", (4, 4, 4, 2), (None, 3, 3, 3, 2)),
}


def _document(kind: type[BaseAdaptivePooling]) -> type[BaseAdaptivePooling]:
    axes, extents, given, result = _AXES[kind.rank]
    averages = issubclass(kind, BaseAdaptiveAveragePooling)
    kind.__doc__ = _DOC.format(what="mean" if averages else "largest element", axes=axes, shape=extents, name=kind.__name__,
                               given=given, result=result)
    return kind


@builtin("layers")
@_document
class AdaptiveMaxPooling1D(BaseAdaptivePooling):
    rank: ClassVar[int] = 1


@builtin("layers")
@_document
class AdaptiveMaxPooling2D(BaseAdaptivePooling):
    rank: ClassVar[int] = 2


@builtin("layers")
@_document
class AdaptiveMaxPooling3D(BaseAdaptivePooling):
    rank: ClassVar[int] = 3


@builtin("layers")
@_document
class AdaptiveAveragePooling1D(BaseAdaptiveAveragePooling):
    rank: ClassVar[int] = 1


@builtin("layers")
@_document
class AdaptiveAveragePooling2D(BaseAdaptiveAveragePooling):
    rank: ClassVar[int] = 2


@builtin("layers")
@_document
class AdaptiveAveragePooling3D(BaseAdaptiveAveragePooling):
    rank: ClassVar[int] = 3
