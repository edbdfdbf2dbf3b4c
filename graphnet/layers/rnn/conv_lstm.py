"""ConvLSTM: an LSTM over sequences of images, its products being convolutions."""
from collections.abc import Sequence
from typing import Any, ClassVar

from graphnet import config
from graphnet.errors import ShapeError
from graphnet.layers.arguments import whole_numbers, window_padding
from graphnet.layers.input_spec import InputSpec
from graphnet.layers.rnn.cell import RecurrentCell, times
from graphnet.layers.rnn.lstm import forget_ones
from graphnet.layers.rnn.rnn import FromCell, OneCell
from graphnet.layers.rnn.sequence import Walk
from graphnet.ops import recurrent
from graphnet.ops.convert import shape
from graphnet.ops.convolution import Conv, window_extent
from graphnet.ops.creation import zeros
from graphnet.ops.elementwise import add, multiply
from graphnet.ops.shape import moveaxis, split
from graphnet.registry import builtin


class ConvLSTMCell(RecurrentCell):
    """One step of a convolutional LSTM over ``rank`` spatial axes. Arguments: as of ConvLSTM2D.

    Source: https://arxiv.org/abs/1506.04214
    """

    functions = ("activation", "recurrent_activation")
    op_kind = recurrent.ConvLSTM
    state_count = 2

    def __init__(self, rank: int, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
                 data_format: str | None = None, dilation_rate: Any = 1, activation: Any = "tanh",
                 recurrent_activation: Any = "sigmoid", use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
                 recurrent_initializer: Any = "orthogonal", bias_initializer: Any = "zeros", unit_forget_bias: bool = True,
                 kernel_regularizer: Any = None, recurrent_regularizer: Any = None, bias_regularizer: Any = None,
                 kernel_constraint: Any = None, recurrent_constraint: Any = None, bias_constraint: Any = None,
                 dropout: float = 0.0, recurrent_dropout: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        options = {**locals(), "units": filters}
        super().__init__(**kwargs)
        self._take(options)
        self.rank, self.filters, self.unit_forget_bias = rank, filters, unit_forget_bias
        self.state_size = [-1, -1]  # two states; their extents follow from the input
        who = f"ConvLSTM{rank}D"
        self.kernel_size = whole_numbers(kernel_size, rank, "kernel_size", who)
        self.strides = whole_numbers(strides, rank, "strides", who)
        self.dilation_rate = whole_numbers(dilation_rate, rank, "dilation_rate", who)
        self.padding, self.data_format = window_padding(padding, who), config.standardize_data_format(data_format)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(f"{who} expects strides or dilation_rate to be 1, as Keras does; received strides={self.strides} "
                             "and "
                             f"dilation_rate={self.dilation_rate}.")

    def build(self, input_shape: Any) -> None:
        axis = -1 if self.data_format == "channels_last" else 1
        channels = input_shape[axis]
        if channels is None:
            raise ShapeError(f"ConvLSTM{self.rank}D expects a known number of channels; received frames of shape "
                             f"{tuple(input_shape)}.")
        self._spatial = tuple(input_shape[1:-1] if axis == -1 else input_shape[2:])
        self.kernel = self._make_weight("kernel", (*self.kernel_size, channels, 4 * self.filters))
        self.recurrent_kernel = self._make_weight("recurrent", (*self.kernel_size, self.filters, 4 * self.filters),
                                                  name="recurrent_kernel")
        if self.use_bias:
            start = self._bias_start()
            start = forget_ones(start, self.filters) if self.unit_forget_bias else start
            self.bias = self.add_weight((4 * self.filters,), start, name="bias", regularizer=self.bias_regularizer,
                                        constraint=self.bias_constraint)

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        if None in self._spatial:
            raise ShapeError(f"ConvLSTM{self.rank}D expects known spatial extents where it keeps states or runs step by step; "
                             f"received {self._spatial}.")
        out = [window_extent(*v, self.padding)
               for v in zip(self._spatial, self.kernel_size, self.strides, self.dilation_rate, strict=True)]
        extents = (batch_size, *out, self.filters) if self.data_format == "channels_last" else (batch_size, self.filters, *out)
        return [zeros(extents, self.dtype) for _ in range(2)]

    def _last(self, x: Any, axis: int = 1) -> Any:
        """x with its channels, that lie on an axis, moved to the end."""
        return x if self.data_format == "channels_last" else moveaxis(x, axis, -1)

    def _back(self, x: Any, axis: int = 1) -> Any:
        return x if self.data_format == "channels_last" else moveaxis(x, -1, axis)

    def draw_noise(self, inputs: Any, states: Any, training: Any) -> tuple[Any, Any] | None:
        if not training or not (0 < self.dropout < 1 or 0 < self.recurrent_dropout < 1):
            return None
        return self._factors(shape(inputs), self.dropout), self._factors(shape(states[0]), self.recurrent_dropout)

    def step(self, inputs: Any, states: Sequence[Any], noise: Any) -> tuple[Any, list[Any]]:
        ones = (1,) * self.rank
        x = Conv(self.strides, self.padding, self.dilation_rate)(self._last(times(inputs, noise[0])), self.kernel)
        sums = add(x, Conv(ones, "same", ones)(self._last(times(states[0], noise[1])), self.recurrent_kernel))
        i, f, g, o = split(sums if self.bias is None else add(sums, self.bias), 4, axis=-1)
        gate, activation = self.recurrent_activation, self.activation
        c = add(multiply(gate(f), self._last(states[1])), multiply(gate(i), activation(g)))
        h, c = self._back(multiply(gate(o), activation(c))), self._back(c)
        return h, [h, c]

    def whole(self, x: Any, states: list[Any] | None, mask: Any, walk: Walk) -> tuple[Any, list[Any]]:
        if walk.training and 0 < self.dropout < 1:
            x = multiply(x, self._factors((shape(x)[0], 1, *shape(x)[2:]), self.dropout))
        x, states = self._last(x, 2), None if states is None else [self._last(s) for s in states]
        y, finals = self._run_op(x, states, self._state_noise(x, walk), mask, walk)
        return self._back(y, 2 if walk.return_sequences else 1), [self._back(s) for s in finals]

    def _state_extents(self, x: Any) -> tuple[Any, ...]:
        n, _, *spatial, _ = shape(x)
        windows = zip(spatial, self.kernel_size, self.strides, self.dilation_rate, strict=True)
        return n, *[window_extent(*v, self.padding) for v in windows], self.filters

    def _op_fields(self) -> dict[str, Any]:
        return {"strides": self.strides, "padding": self.padding, "dilation": self.dilation_rate}

    def get_config(self) -> dict[str, Any]:
        window = {name: getattr(self, name)
                  for name in ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate",
                               "unit_forget_bias")}
        inherited = super().get_config()
        del inherited["units"]
        return {**inherited, **window}


class ConvLSTM(OneCell):
    """Base of ConvLSTM1D, ConvLSTM2D and ConvLSTM3D."""

    rank: ClassVar[int] = 2

    def __init__(self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
                 dilation_rate: Any = 1, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
                 kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
                 bias_initializer: Any = "zeros", unit_forget_bias: bool = True, kernel_regularizer: Any = None,
                 recurrent_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
                 kernel_constraint: Any = None, recurrent_constraint: Any = None, bias_constraint: Any = None,
                 dropout: float = 0.0, recurrent_dropout: float = 0.0, seed: int | None = None, return_sequences: bool = False,
                 return_state: bool = False, go_backwards: bool = False, stateful: bool = False, **kwargs: Any) -> None:
        cell = ConvLSTMCell(
            self.rank, filters, kernel_size, strides, padding, data_format, dilation_rate, activation, recurrent_activation,
            use_bias, kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias, kernel_regularizer,
            recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint, bias_constraint, dropout,
            recurrent_dropout, seed, dtype=kwargs.get("dtype"), name="conv_lstm_cell")
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful,
                         activity_regularizer=activity_regularizer, **kwargs)
        self.input_spec = InputSpec(ndim=self.rank + 3)

    filters, kernel_size, strides, padding, data_format = FromCell(), FromCell(), FromCell(), FromCell(), FromCell()
    dilation_rate, activation, recurrent_activation, use_bias = FromCell(), FromCell(), FromCell(), FromCell()
    dropout, recurrent_dropout, unit_forget_bias = FromCell(), FromCell(), FromCell()


@builtin("layers")
class ConvLSTM1D(ConvLSTM):
    """An LSTM over sequences of frames with one spatial axis: its products are convolutions.

    Arguments: ``filters``, ``kernel_size``, ``strides``, ``padding`` ("valid", "same"), ``data_format``, ``dilation_rate`` of
    the convolution of the input (that of the state keeps its extents); all others as of `LSTM`. Shapes: (batch, steps, *S,
    channels) -> (batch, *S', filters), or (batch, steps, *S', filters); kernel (*kernel_size, channels, 4 filters),
    recurrent_kernel (*kernel_size, filters, 4 filters), bias (4 filters).
    Source: https://arxiv.org/abs/1506.04214

    Example:

        >>> import graphnet
        >>> graphnet.layers.ConvLSTM1D(2, 3, padding="same")(graphnet.Input((None, 6, 1))).shape
        (None, 6, 2)
    """

    rank = 1


@builtin("layers")
class ConvLSTM2D(ConvLSTM):
    """An LSTM over sequences of frames with two spatial axes: its products are convolutions.

    Arguments: ``filters``, ``kernel_size``, ``strides``, ``padding`` ("valid", "same"), ``data_format``, ``dilation_rate`` of
    the convolution of the input (that of the state keeps its extents); all others as of `LSTM`. Shapes: (batch, steps, *S,
    channels) -> (batch, *S', filters), or (batch, steps, *S', filters); kernel (*kernel_size, channels, 4 filters),
    recurrent_kernel (*kernel_size, filters, 4 filters), bias (4 filters).
    Source: https://arxiv.org/abs/1506.04214

    Example:

        >>> import graphnet
        >>> graphnet.layers.ConvLSTM2D(2, 3, padding="same")(graphnet.Input((None, 6, 6, 1))).shape
        (None, 6, 6, 2)
    """

    rank = 2


@builtin("layers")
class ConvLSTM3D(ConvLSTM):
    """An LSTM over sequences of frames with three spatial axes: its products are convolutions.

    Arguments: ``filters``, ``kernel_size``, ``strides``, ``padding`` ("valid", "same"), ``data_format``, ``dilation_rate`` of
    the convolution of the input (that of the state keeps its extents); all others as of `LSTM`. Shapes: (batch, steps, *S,
    channels) -> (batch, *S', filters), or (batch, steps, *S', filters); kernel (*kernel_size, channels, 4 filters),
    recurrent_kernel (*kernel_size, filters, 4 filters), bias (4 filters).
    Source: https://arxiv.org/abs/1506.04214

    Example:

        >>> import graphnet
        >>> graphnet.layers.ConvLSTM3D(2, 3, padding="same")(graphnet.Input((None, 4, 4, 4, 1))).shape
        (None, 4, 4, 4, 2)
    """

    rank = 3
