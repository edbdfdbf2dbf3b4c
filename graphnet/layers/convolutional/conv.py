"""Conv1D, Conv2D, Conv3D: windows over all channels."""
from typing import Any, ClassVar

from graphnet.errors import ShapeError
from graphnet.layers.convolutional.base import Convolution
from graphnet.ops.convert import promote
from graphnet.ops.convolution import Conv
from graphnet.registry import builtin


class BaseConv(Convolution):
    """``activation(conv(x, kernel) + bias)`` over `rank` spatial axes."""

    def __init__(self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
                 dilation_rate: Any = 1, groups: int = 1, activation: Any = None, use_bias: bool = True,
                 kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
                 bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
                 bias_constraint: Any = None, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._take_window(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
                          causal=self.rank == 1)
        self._refuse_strided_dilation()
        if not isinstance(filters, int) or filters <= 0:
            raise ValueError(f"{self._who} expects filters to be a positive whole number; received filters={filters!r}.")
        if not isinstance(groups, int) or groups <= 0 or filters % groups:
            raise ValueError(f"{self._who} expects groups to be a positive whole number that divides filters={filters}; "
                             f"received groups={groups!r}.")
        self.filters, self.groups = filters, groups
        self._take_options(locals(), "kernel", "bias")
        self.kernel: Any = None

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        if channels % self.groups:
            raise ShapeError(f"{self._who} expects a number of input channels that groups={self.groups} divides; received "
                             f"{channels} channels (shape {tuple(input_shape)}).")
        self._check_extents(input_shape)
        self.kernel = self._make_weight("kernel", (*self.kernel_size, channels // self.groups, self.filters))
        if self.use_bias:
            self.bias = self._make_weight("bias", (self.filters,))

    def convolve(self, x: Any) -> Any:
        before = self.dilation_rate[0] * (self.kernel_size[0] - 1)
        padding: Any = ((before, 0),) if self.padding == "causal" else self.padding
        return Conv(self.strides, padding, self.dilation_rate, self.groups)(*promote(x, self.kernel))

    def get_config(self) -> dict[str, Any]:
        return self._config({"filters": self.filters}, {"groups": self.groups}, "kernel", "bias")


@builtin("layers", "Convolution1D")
class Conv1D(BaseConv):
    """``activation(conv(x, kernel) + bias)`` over one axis, such as time.

    y[n, t, o] = sum over k, c of x[n, t * strides + k * dilation_rate - before, c] * kernel[k, c, o].

    Arguments: ``filters`` (outputs), ``kernel_size``, ``strides``, ``padding`` ("valid", "same", or "causal": y[t] sees no x
    behind t), ``data_format``, ``dilation_rate``, ``groups`` (channels are split into so many parts, each with filters of its
    own), ``activation``, ``use_bias``; initializers, regularizers and constraints of kernel and bias.
    Shapes: (N, T, C) -> (N, T', filters); kernel (kernel_size, C / groups, filters), bias (filters,).
    Raises ShapeError where the input's ndim or channels do not fit, or the window is longer than the input.
    Source: https://keras.io/api/layers/convolution_layers/convolution1d/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Conv1D(4, 3, padding="causal")(graphnet.Input((10, 2))).shape
        (None, 10, 4)
    """

    rank: ClassVar[int] = 1


@builtin("layers", "Convolution2D")
class Conv2D(BaseConv):
    """``activation(conv(x, kernel) + bias)`` over two axes, such as those of an image.

    y[n, i, j, o] = sum over k, l, c of x[n, i * strides + k * dilation_rate - before, (the same of j, l), c] * kernel[k, l, c,
    o].

    Arguments: ``filters`` (outputs), ``kernel_size``, ``strides``, ``padding`` ("valid" or "same"), ``data_format``,
    ``dilation_rate``, ``groups`` (channels are split into so many parts, each with filters of its own), ``activation``,
    ``use_bias``; initializers, regularizers and constraints of kernel and bias.
    Shapes: (N, H, W, C) -> (N, H', W', filters); kernel (*kernel_size, C / groups, filters), bias (filters,).
    Raises ShapeError where the input's ndim or channels do not fit, or the window is larger than the input.
    Source: https://keras.io/api/layers/convolution_layers/convolution2d/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Conv2D(8, 3, strides=2, activation="relu")(graphnet.Input((28, 28, 1))).shape
        (None, 13, 13, 8)
    """

    rank: ClassVar[int] = 2


@builtin("layers", "Convolution3D")
class Conv3D(BaseConv):
    """``activation(conv(x, kernel) + bias)`` over three axes, such as those of a volume or a film.

    Arguments, weights and errors are those of `Conv2D`, with three spatial axes.
    Shapes: (N, D, H, W, C) -> (N, D', H', W', filters); kernel (*kernel_size, C / groups, filters), bias (filters,).
    Source: https://keras.io/api/layers/convolution_layers/convolution3d/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Conv3D(2, 3, padding="same")(graphnet.Input((8, 8, 8, 1))).shape
        (None, 8, 8, 8, 2)
    """

    rank: ClassVar[int] = 3
