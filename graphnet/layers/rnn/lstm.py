"""LSTM: long short-term memory."""
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphnet.layers.input_spec import InputSpec
from graphnet.layers.rnn.cell import RecurrentCell, times
from graphnet.layers.rnn.rnn import FromCell, OneCell
from graphnet.ops import recurrent
from graphnet.ops.elementwise import add, multiply
from graphnet.ops.linalg import matmul
from graphnet.ops.shape import split
from graphnet.registry import builtin


def forget_ones(start: Any, units: int) -> Any:
    """An initializer of a bias of four gates: that of the forget gate is 1, the others begin as `start` says."""
    def initialize(shape: Any, dtype: Any = None) -> np.ndarray:
        return np.concatenate([start((units,), dtype=dtype), np.ones(units, dtype), start((2 * units,), dtype=dtype)])
    return initialize


@builtin("layers")
class LSTMCell(RecurrentCell):
    """One step of an `LSTM`. Arguments: as of LSTM. Shapes: inputs (batch, features), two states (batch, units).

    Source: https://keras.io/api/layers/recurrent_layers/lstm_cell/

    Example:

        >>> import numpy as np, graphnet
        >>> zeros = np.zeros((2, 4), "float32")
        >>> output, (h, c) = graphnet.layers.LSTMCell(4)(np.ones((2, 3), "float32"), [zeros, zeros])
        >>> output.shape, c.shape
        ((2, 4), (2, 4))
    """

    functions = ("activation", "recurrent_activation")
    op_kind = recurrent.LSTM
    state_count = 2

    def __init__(self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
                 kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
                 bias_initializer: Any = "zeros", unit_forget_bias: bool = True, kernel_regularizer: Any = None,
                 recurrent_regularizer: Any = None, bias_regularizer: Any = None, kernel_constraint: Any = None,
                 recurrent_constraint: Any = None, bias_constraint: Any = None, dropout: float = 0.0,
                 recurrent_dropout: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        options = locals()
        kwargs.pop("implementation", None)
        super().__init__(**kwargs)
        self._take(options)
        self.unit_forget_bias = unit_forget_bias

    def _bias_start(self) -> Any:
        start = super()._bias_start()
        return forget_ones(start, self.units) if self.unit_forget_bias else start

    def step(self, inputs: Any, states: Sequence[Any], noise: Any) -> tuple[Any, list[Any]]:
        sums = add(matmul(times(inputs, noise[0]), self.kernel), matmul(times(states[0], noise[1]), self.recurrent_kernel))
        i, f, g, o = split(sums if self.bias is None else add(sums, self.bias), 4, axis=-1)
        gate, activation = self.recurrent_activation, self.activation
        c = add(multiply(gate(f), states[1]), multiply(gate(i), activation(g)))
        h = multiply(gate(o), activation(c))
        return h, [h, c]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "unit_forget_bias": self.unit_forget_bias}


@builtin("layers")
class LSTM(OneCell):
    """Long short-term memory: c' = f c + i activation(g), h' = o activation(c'), with gates i, f, o computed from input and
    state.

    Arguments: ``units``; ``activation`` and ``recurrent_activation`` of the gates; ``use_bias``; ``unit_forget_bias``: the
    forget gate's bias begins at 1; initializers, regularizers and constraints of kernel, recurrent_kernel and bias;
    ``dropout``, ``recurrent_dropout`` in training; flags and call arguments as of `RNN`; ``use_cudnn`` changes nothing. Shapes:
    (batch, steps, features) -> (batch, units), or (batch, steps, units); kernel (features, 4 units), recurrent_kernel (units, 4
    units), bias (4 units); the states are [h, c]. Source: https://doi.org/10.1162/neco.1997.9.8.1735

    Example:

        >>> import graphnet
        >>> output, h, c = graphnet.layers.LSTM(4, return_sequences=True, return_state=True)(graphnet.Input((None, 3)))
        >>> output.shape, c.shape
        ((None, None, 4), (None, 4))
    """

    def __init__(self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
                 kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
                 bias_initializer: Any = "zeros", unit_forget_bias: bool = True, kernel_regularizer: Any = None,
                 recurrent_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
                 kernel_constraint: Any = None, recurrent_constraint: Any = None, bias_constraint: Any = None,
                 dropout: float = 0.0, recurrent_dropout: float = 0.0, seed: int | None = None, return_sequences: bool = False,
                 return_state: bool = False, go_backwards: bool = False, stateful: bool = False, unroll: bool = False,
                 use_cudnn: Any = "auto", **kwargs: Any) -> None:
        kwargs.pop("implementation", None)
        cell = LSTMCell(
            units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            unit_forget_bias, kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint,
            recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed, dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True), name="lstm_cell")
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful, unroll,
                         activity_regularizer=activity_regularizer, **kwargs)
        self.use_cudnn = use_cudnn
        self.input_spec = InputSpec(ndim=3)

    units, activation, recurrent_activation, use_bias = FromCell(), FromCell(), FromCell(), FromCell()
    dropout, recurrent_dropout, unit_forget_bias = FromCell(), FromCell(), FromCell()
