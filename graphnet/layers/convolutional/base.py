"""What convolution layers share: the window, the bias, the activation, the data format."""
from typing import Any, ClassVar

from graphnet import activations, config, regularizers
from graphnet.errors import ShapeError
from graphnet.layers.arguments import WeightOptions, whole_numbers, window_padding
from graphnet.layers.input_spec import InputSpec
from graphnet.ops.convolution import channels_last, window_extent
from graphnet.ops.elementwise import add


class Convolution(WeightOptions):
    """A layer that slides a window over `rank` spatial axes: y = activation(convolve(x) + bias)."""

    rank: ClassVar[int] = 2

    def _take_window(self, kernel_size: Any, strides: Any, padding: Any, data_format: str | None, dilation_rate: Any,
                     activation: Any, use_bias: bool, causal: bool = False) -> None:
        who = self._who
        self.kernel_size = whole_numbers(kernel_size, self.rank, "kernel_size", who)
        self.strides = whole_numbers(strides, self.rank, "strides", who)
        self.dilation_rate = whole_numbers(dilation_rate, self.rank, "dilation_rate", who)
        self.padding = window_padding(padding, who, causal)
        self.data_format = config.standardize_data_format(data_format)
        self.activation, self.use_bias = activations.get(activation), use_bias
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.bias: Any = None

    @property
    def _who(self) -> str:
        return f"Layer {self.name!r} ({type(self).__name__})"

    def _refuse_strided_dilation(self) -> None:
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(f"{self._who} expects strides or dilation_rate to be 1, as Keras does; received "
                             f"strides={self.strides} and dilation_rate={self.dilation_rate}.")

    def _channels(self, input_shape: Any) -> int:
        """The input's number of channels, which later calls must have as well."""
        axis = -1 if self.data_format == "channels_last" else 1
        channels = input_shape[axis]
        if channels is None:
            raise ShapeError(f"{self._who} expects a known number of channels on axis {axis}; received shape "
                             f"{tuple(input_shape)}. Give it in Input(shape=...).")
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: channels})
        return int(channels)

    def _check_extents(self, input_shape: Any) -> None:
        """Raises ShapeError where a window does not fit into the input."""
        spatial = input_shape[1:-1] if self.data_format == "channels_last" else input_shape[2:]
        padding = self.padding if self.padding != "causal" else "same"
        for axis, (extent, size, stride, dilation) in enumerate(zip(spatial, self.kernel_size, self.strides, self.dilation_rate,
                                                                    strict=True)):
            if extent is not None:
                window_extent(extent, size, stride, dilation, padding, self._who, axis)

    def convolve(self, x: Any) -> Any:
        """The convolution of channels_last data, without bias."""
        raise NotImplementedError

    def call(self, inputs: Any) -> Any:
        def body(x: Any) -> Any:
            y = self.convolve(x)
            return y if self.bias is None else add(y, self.bias)
        return self.activation(channels_last(body, inputs, self.data_format))

    def _config(self, first: dict[str, Any], middle: dict[str, Any], *roles: str) -> dict[str, Any]:
        """The configuration, in Keras's order: what a kind has before the window, within and behind it."""
        options = self._options_config(*roles)
        behind = {name: options.pop(name) for name in [n for n in options if n.endswith("_constraint")]}
        window = {
            "kernel_size": self.kernel_size, "strides": self.strides, "padding": self.padding, "data_format": self.data_format,
            "dilation_rate": self.dilation_rate, **middle, "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
        }
        activity = {"activity_regularizer": regularizers.serialize(self.activity_regularizer)}
        return {**self._base_config(), **first, **window, **options, **activity, **behind}

    def _base_config(self) -> dict[str, Any]:
        return super().get_config()
