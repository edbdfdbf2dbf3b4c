"""Conv1DTranspose, Conv2DTranspose, Conv3DTranspose: convolutions backwards, which enlarge."""
from typing import Any, ClassVar

from graphnet.layers.arguments import whole_numbers
from graphnet.layers.convolutional.base import Convolution
from graphnet.ops.convert import promote
from graphnet.ops.convolution import ConvTranspose
from graphnet.registry import builtin


class BaseConvTranspose(Convolution):
    """``activation(conv_transpose(x, kernel) + bias)`` over `rank` spatial axes."""

    def __init__(self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", output_padding: Any = None,
                 data_format: str | None = None, dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
                 kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
                 bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
                 bias_constraint: Any = None, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._take_window(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias)
        self._refuse_strided_dilation()
        if not isinstance(filters, int) or filters <= 0:
            raise ValueError(f"{self._who} expects filters to be a positive whole number; received filters={filters!r}.")
        self.filters = filters
        self.output_padding = (
            None if output_padding is None else whole_numbers(output_padding, self.rank, "output_padding", self._who, zero=True)
        )
        if self.output_padding is not None and any(p >= s for p, s in zip(self.output_padding, self.strides, strict=True)):
            raise ValueError(f"{self._who} expects output_padding to be less than strides={self.strides} on each axis; "
                             f"received output_padding={self.output_padding}.")
        self._take_options(locals(), "kernel", "bias")
        self.kernel: Any = None

    def build(self, input_shape: Any) -> None:
        self.kernel = self._make_weight("kernel", (*self.kernel_size, self.filters, self._channels(input_shape)))
        if self.use_bias:
            self.bias = self._make_weight("bias", (self.filters,))

    def convolve(self, x: Any) -> Any:
        return ConvTranspose(self.strides, self.padding, self.output_padding, self.dilation_rate)(*promote(x, self.kernel))

    def get_config(self) -> dict[str, Any]:
        config = self._config({"filters": self.filters}, {}, "kernel", "bias")
        order = list(config)
        order.insert(order.index("padding") + 1, "output_padding")
        return {name: self.output_padding if name == "output_padding" else config[name] for name in order}


@builtin("layers", "Convolution1DTranspose")
class Conv1DTranspose(BaseConvTranspose):
    """The transpose of `Conv1D`: each input step adds a window times its value to the output.

    Arguments: ``filters`` (outputs), ``kernel_size``, ``strides`` (by which the axis grows), ``padding``, ``output_padding``
    (what is added to one side, less than strides; None chooses it), and those of `Conv1D` but for groups.
    Shapes: (N, T, C) -> (N, T', filters), T' = T * strides for "same", T * strides + max(kernel_size - strides, 0) for "valid";
    kernel (kernel_size, filters, C), bias (filters,). Raises ShapeError where the input's ndim or channels do not fit.
    Source: https://keras.io/api/layers/convolution_layers/convolution1d_transpose/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Conv1DTranspose(4, 3, strides=2, padding="same")(graphnet.Input((10, 2))).shape
        (None, 20, 4)
    """

    rank: ClassVar[int] = 1


@builtin("layers", "Convolution2DTranspose")
class Conv2DTranspose(BaseConvTranspose):
    """The transpose of `Conv2D`: each input pixel adds a window times its value to the output.

    Arguments: ``filters`` (outputs), ``kernel_size``, ``strides`` (by which the axes grow), ``padding``, ``output_padding``
    (what is added to one side, less than strides; None chooses it), and those of `Conv2D` but for groups.
    Shapes: (N, H, W, C) -> (N, H', W', filters), H' = H * strides for "same", H * strides + max(kernel_size - strides, 0) for
    "valid"; kernel (*kernel_size, filters, C), bias (filters,). Raises ShapeError where the input's ndim or channels do not
    fit.
    Source: https://keras.io/api/layers/convolution_layers/convolution2d_transpose/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Conv2DTranspose(4, 3, strides=2, padding="same")(graphnet.Input((7, 7, 2))).shape
        (None, 14, 14, 4)
    """

    rank: ClassVar[int] = 2


@builtin("layers", "Convolution3DTranspose")
class Conv3DTranspose(BaseConvTranspose):
    """The transpose of `Conv3D`: each input cell adds a window times its value to the output.

    Arguments and errors are those of `Conv2DTranspose`, with three spatial axes; by position, ``data_format`` comes before
    ``output_padding`` here, as in Keras. Shapes: (N, D, H, W, C) -> (N, D', H', W', filters); kernel (*kernel_size, filters,
    C), bias (filters,).
    Source: https://keras.io/api/layers/convolution_layers/convolution3d_transpose/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Conv3DTranspose(2, 3)(graphnet.Input((4, 4, 4, 1))).shape
        (None, 6, 6, 6, 2)
    """

    rank: ClassVar[int] = 3

    def __init__(self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
                 output_padding: Any = None, dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
                 kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
                 bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
                 bias_constraint: Any = None, **kwargs: Any) -> None:
        super().__init__(filters, kernel_size, strides, padding, output_padding, data_format, dilation_rate, activation,
                         use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
                         activity_regularizer, kernel_constraint, bias_constraint, **kwargs)
