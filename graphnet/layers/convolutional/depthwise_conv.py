"""DepthwiseConv1D, DepthwiseConv2D: a window over each channel by itself."""
from typing import Any, ClassVar

from graphnet.layers.convolutional.base import Convolution
from graphnet.ops.convert import promote
from graphnet.ops.convolution import DepthwiseConv
from graphnet.registry import builtin


class BaseDepthwiseConv(Convolution):
    """``activation(depthwise_conv(x, kernel) + bias)`` over `rank` spatial axes."""

    def __init__(self, kernel_size: Any, strides: Any = 1, padding: str = "valid", depth_multiplier: int = 1,
                 data_format: str | None = None, dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
                 depthwise_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros",
                 depthwise_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
                 depthwise_constraint: Any = None, bias_constraint: Any = None, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._take_window(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias)
        if not isinstance(depth_multiplier, int) or depth_multiplier <= 0:
            raise ValueError(f"{self._who} expects depth_multiplier to be a positive whole number; received "
                             f"{depth_multiplier!r}.")
        self.depth_multiplier = depth_multiplier
        self._take_options(locals(), "depthwise", "bias")
        self.kernel: Any = None

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self._check_extents(input_shape)
        self.kernel = self._make_weight("depthwise", (*self.kernel_size, channels, self.depth_multiplier), "kernel")
        if self.use_bias:
            self.bias = self._make_weight("bias", (channels * self.depth_multiplier,))

    def convolve(self, x: Any) -> Any:
        return DepthwiseConv(self.strides, self.padding, self.dilation_rate)(*promote(x, self.kernel))

    def get_config(self) -> dict[str, Any]:
        return self._config({"depth_multiplier": self.depth_multiplier}, {}, "depthwise", "bias")


@builtin("layers")
class DepthwiseConv1D(BaseDepthwiseConv):
    """``activation(depthwise_conv(x, kernel) + bias)`` over one axis: each channel gives depth_multiplier channels of its own.

    Arguments: ``kernel_size``, ``strides``, ``padding``, ``depth_multiplier``, ``data_format``, ``dilation_rate``,
    ``activation``, ``use_bias``; initializers, regularizers and constraints of the kernel (``depthwise_...``) and the bias.
    Shapes: (N, T, C) -> (N, T', C * depth_multiplier); kernel (kernel_size, C, depth_multiplier), bias (C * depth_multiplier,).
    Raises ShapeError where the input's ndim or channels do not fit.
    Source: https://keras.io/api/layers/convolution_layers/depthwise_convolution1d/

    Example:

        >>> import graphnet
        >>> graphnet.layers.DepthwiseConv1D(3, depth_multiplier=2)(graphnet.Input((10, 4))).shape
        (None, 8, 8)
    """

    rank: ClassVar[int] = 1


@builtin("layers")
class DepthwiseConv2D(BaseDepthwiseConv):
    """``activation(depthwise_conv(x, kernel) + bias)`` over two axes: each channel gives depth_multiplier channels of its own.

    y[n, i, j, c * M + m] = sum over k, l of x[n, i * strides + k * dilation_rate - before, (the same of j, l), c] * kernel[k,
    l, c, m].

    Arguments: ``kernel_size``, ``strides``, ``padding``, ``depth_multiplier`` (M), ``data_format``, ``dilation_rate``,
    ``activation``, ``use_bias``; initializers, regularizers and constraints of the kernel (``depthwise_...``) and the bias.
    Shapes: (N, H, W, C) -> (N, H', W', C * M); kernel (*kernel_size, C, M), bias (C * M,).
    Raises ShapeError where the input's ndim or channels do not fit.
    Source: https://keras.io/api/layers/convolution_layers/depthwise_convolution2d/

    Example:

        >>> import graphnet
        >>> graphnet.layers.DepthwiseConv2D(3, padding="same")(graphnet.Input((8, 8, 4))).shape
        (None, 8, 8, 4)
    """

    rank: ClassVar[int] = 2
