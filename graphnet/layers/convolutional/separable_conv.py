"""SeparableConv1D, SeparableConv2D: a depthwise convolution, then a mix of channels at each place."""
from typing import Any, ClassVar

from graphnet.layers.convolutional.base import Convolution
from graphnet.ops.convert import promote
from graphnet.ops.convolution import Conv, DepthwiseConv
from graphnet.registry import builtin


class BaseSeparableConv(Convolution):
    """``activation(conv(depthwise_conv(x, depthwise_kernel), pointwise_kernel) + bias)`` over `rank` spatial axes."""

    def __init__(self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
                 dilation_rate: Any = 1, depth_multiplier: int = 1, activation: Any = None, use_bias: bool = True,
                 depthwise_initializer: Any = "glorot_uniform", pointwise_initializer: Any = "glorot_uniform",
                 bias_initializer: Any = "zeros", depthwise_regularizer: Any = None, pointwise_regularizer: Any = None,
                 bias_regularizer: Any = None, activity_regularizer: Any = None, depthwise_constraint: Any = None,
                 pointwise_constraint: Any = None, bias_constraint: Any = None, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._take_window(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias)
        for name, value in (("filters", filters), ("depth_multiplier", depth_multiplier)):
            if not isinstance(value, int) or value <= 0:
                raise ValueError(f"{self._who} expects {name} to be a positive whole number; received {name}={value!r}.")
        self.filters, self.depth_multiplier = filters, depth_multiplier
        self._take_options(locals(), "depthwise", "pointwise", "bias")
        self.depthwise_kernel: Any = None
        self.pointwise_kernel: Any = None

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self._check_extents(input_shape)
        self.depthwise_kernel = self._make_weight("depthwise", (*self.kernel_size, channels, self.depth_multiplier),
                                                  "depthwise_kernel")
        self.pointwise_kernel = self._make_weight("pointwise",
                                                  (*(1,) * self.rank, channels * self.depth_multiplier, self.filters),
                                                  "pointwise_kernel")
        if self.use_bias:
            self.bias = self._make_weight("bias", (self.filters,))

    def convolve(self, x: Any) -> Any:
        ones = (1,) * self.rank
        x = DepthwiseConv(self.strides, self.padding, self.dilation_rate)(*promote(x, self.depthwise_kernel))
        return Conv(ones, "valid", ones)(*promote(x, self.pointwise_kernel))

    def get_config(self) -> dict[str, Any]:
        return self._config({"depth_multiplier": self.depth_multiplier, "filters": self.filters}, {}, "depthwise", "pointwise",
                            "bias")


@builtin("layers", "SeparableConvolution1D")
class SeparableConv1D(BaseSeparableConv):
    """A depthwise convolution over one axis, then a mix of the channels at each step: ``activation(pointwise(depthwise(x)) +
    bias)``.

    Arguments: ``filters`` (outputs), ``kernel_size``, ``strides``, ``padding``, ``data_format``, ``dilation_rate``,
    ``depth_multiplier`` (M, channels between the two for each input channel), ``activation``, ``use_bias``; initializers,
    regularizers and constraints of ``depthwise_...``, ``pointwise_...`` and ``bias_...``.
    Shapes: (N, T, C) -> (N, T', filters); depthwise_kernel (kernel_size, C, M), pointwise_kernel (1, C * M, filters), bias
    (filters,).
    Raises ShapeError where the input's ndim or channels do not fit.
    Source: https://keras.io/api/layers/convolution_layers/separable_convolution1d/

    Example:

        >>> import graphnet
        >>> graphnet.layers.SeparableConv1D(6, 3)(graphnet.Input((10, 4))).shape
        (None, 8, 6)
    """

    rank: ClassVar[int] = 1


@builtin("layers", "SeparableConvolution2D")
class SeparableConv2D(BaseSeparableConv):
    """A depthwise convolution over two axes, then a mix of the channels at each pixel: ``activation(pointwise(depthwise(x)) +
    bias)``.

    Arguments: ``filters`` (outputs), ``kernel_size``, ``strides``, ``padding``, ``data_format``, ``dilation_rate``,
    ``depth_multiplier`` (M, channels between the two for each input channel), ``activation``, ``use_bias``; initializers,
    regularizers and constraints of ``depthwise_...``, ``pointwise_...`` and ``bias_...``.
    Shapes: (N, H, W, C) -> (N, H', W', filters); depthwise_kernel (*kernel_size, C, M), pointwise_kernel (1, 1, C * M,
    filters), bias (filters,). Raises ShapeError where the input's ndim or channels do not fit.
    Source: https://keras.io/api/layers/convolution_layers/separable_convolution2d/

    Example:

        >>> import graphnet
        >>> graphnet.layers.SeparableConv2D(6, 3, padding="same")(graphnet.Input((8, 8, 4))).shape
        (None, 8, 8, 6)
    """

    rank: ClassVar[int] = 2
