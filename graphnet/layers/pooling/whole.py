"""GlobalMaxPooling and GlobalAveragePooling over 1 to 3 axes: one number for each channel."""
from typing import Any, ClassVar

from graphnet import config
from graphnet.layers.input_spec import InputSpec
from graphnet.layers.layer import Layer
from graphnet.ops.convert import cast
from graphnet.ops.elementwise import divide, where
from graphnet.ops.reduction import max as largest
from graphnet.ops.reduction import mean
from graphnet.ops.reduction import sum as total
from graphnet.ops.shape import expand_dims
from graphnet.registry import builtin


class BaseGlobalPooling(Layer):
    """A reduction over all `rank` spatial axes."""

    rank: ClassVar[int] = 2
    reduce: ClassVar[Any] = staticmethod(largest)

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format, self.keepdims = config.standardize_data_format(data_format), keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    @property
    def _axes(self) -> tuple[int, ...]:
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))

    def call(self, inputs: Any) -> Any:
        return self.reduce(inputs, self._axes, self.keepdims)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format, "keepdims": self.keepdims}


class BaseGlobalAveragePooling(BaseGlobalPooling):
    """The mean over the spatial axes."""

    reduce: ClassVar[Any] = staticmethod(mean)


_DOC = """The {what} of each channel, over {axes}.

    Arguments: ``data_format``, ``keepdims`` (the axes stay, with extent 1).
    Shapes: {shape} -> (N, C), or (N, {ones}, C) with keepdims. Raises ShapeError where the input's ndim does not fit.{mask}
    Source: https://keras.io/api/layers/pooling_layers/{page}/

    Example:

        >>> import graphnet
        >>> graphnet.layers.{name}()(graphnet.Input({given})).shape
        (None, 3)
    """
_AXES = {
    1: ("one axis, such as time", "(N, T, C)", (10, 3)),
    2: ("two axes, such as those of an image", "(N, H, W, C)", (8, 8, 3)),
    3: ("three axes, such as those of a volume", "(N, D, H, W, C)", (8, 8, 8, 3)),
}


def _document(kind: type[BaseGlobalPooling]) -> type[BaseGlobalPooling]:
    axes, shape, given = _AXES[kind.rank]
    averages = issubclass(kind, BaseGlobalAveragePooling)
    mask = " Steps that a mask (N, T) leaves out do not count;\n    the mask ends here." if averages and kind.rank == 1 else ""
    kind.__doc__ = _DOC.format(what="mean" if averages else "largest element", axes=axes, shape=shape,
                               ones=", ".join("1" * kind.rank), mask=mask,
                               page=f"global_{'average' if averages else 'max'}_pooling{kind.rank}d", name=kind.__name__,
                               given=given)
    return kind


@builtin("layers", "GlobalMaxPool1D")
@_document
class GlobalMaxPooling1D(BaseGlobalPooling):
    rank: ClassVar[int] = 1


@builtin("layers", "GlobalMaxPool2D")
@_document
class GlobalMaxPooling2D(BaseGlobalPooling):
    rank: ClassVar[int] = 2


@builtin("layers", "GlobalMaxPool3D")
@_document
class GlobalMaxPooling3D(BaseGlobalPooling):
    rank: ClassVar[int] = 3


@builtin("layers", "GlobalAvgPool1D")
@_document
class GlobalAveragePooling1D(BaseGlobalAveragePooling):
    rank: ClassVar[int] = 1
    supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return super().call(inputs)
        seen = cast(expand_dims(mask, 2 if self.data_format == "channels_last" else 1), "bool")
        counted = where(seen, inputs, 0)
        return divide(total(counted, self._axes, self.keepdims), total(cast(seen, counted.dtype), self._axes, self.keepdims))

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None


@builtin("layers", "GlobalAvgPool2D")
@_document
class GlobalAveragePooling2D(BaseGlobalAveragePooling):
    rank: ClassVar[int] = 2


@builtin("layers", "GlobalAvgPool3D")
@_document
class GlobalAveragePooling3D(BaseGlobalAveragePooling):
    rank: ClassVar[int] = 3
