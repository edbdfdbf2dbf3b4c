"""SimpleRNN: each output is a function of the input and the last output."""
from collections.abc import Sequence
from typing import Any

from graphnet.layers.input_spec import InputSpec
from graphnet.layers.rnn.cell import RecurrentCell, times
from graphnet.layers.rnn.rnn import FromCell, OneCell
from graphnet.ops import recurrent
from graphnet.ops.elementwise import add
from graphnet.ops.linalg import matmul
from graphnet.registry import builtin


@builtin("layers")
class SimpleRNNCell(RecurrentCell):
    """One step of a `SimpleRNN`: h' = activation(x kernel + h recurrent_kernel + bias). Arguments: as of SimpleRNN.

    Shapes: inputs (batch, features), state (batch, units). Source:
    https://keras.io/api/layers/recurrent_layers/simple_rnn_cell/

    Example:

        >>> import numpy as np, graphnet
        >>> output, states = graphnet.layers.SimpleRNNCell(4)(np.ones((2, 3), "float32"), [np.zeros((2, 4), "float32")])
        >>> output.shape, states[0].shape
        ((2, 4), (2, 4))
    """

    op_kind = recurrent.SimpleRNN

    def __init__(self, units: int, activation: Any = "tanh", use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
                 recurrent_initializer: Any = "orthogonal", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
                 recurrent_regularizer: Any = None, bias_regularizer: Any = None, kernel_constraint: Any = None,
                 recurrent_constraint: Any = None, bias_constraint: Any = None, dropout: float = 0.0,
                 recurrent_dropout: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        options = locals()
        super().__init__(**kwargs)
        self._take(options)

    def step(self, inputs: Any, states: Sequence[Any], noise: Any) -> tuple[Any, list[Any]]:
        x = matmul(times(inputs, noise[0]), self.kernel)
        if self.bias is not None:
            x = add(x, self.bias)
        h = self.activation(add(x, matmul(times(states[0], noise[1]), self.recurrent_kernel)))
        return h, [h]


@builtin("layers")
class SimpleRNN(OneCell):
    """A recurrent layer in which h' = activation(x kernel + h recurrent_kernel + bias), step by step.

    Arguments: ``units``; ``activation``; ``use_bias``; initializers, regularizers and constraints of kernel, recurrent_kernel
    and bias; ``dropout`` of the inputs and ``recurrent_dropout`` of the state, in training; ``return_sequences``,
    ``return_state``, ``go_backwards``, ``stateful`` and the call arguments as of `RNN`. Shapes: (batch, steps, features) ->
    (batch, units), or (batch, steps, units); kernel (features, units), recurrent_kernel (units, units).
    Source: https://keras.io/api/layers/recurrent_layers/simple_rnn/

    Example:

        >>> import graphnet
        >>> graphnet.layers.SimpleRNN(4, return_sequences=True)(graphnet.Input((None, 3))).shape
        (None, None, 4)
    """

    outside = ("seed",)

    def __init__(self, units: int, activation: Any = "tanh", use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
                 recurrent_initializer: Any = "orthogonal", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
                 recurrent_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
                 kernel_constraint: Any = None, recurrent_constraint: Any = None, bias_constraint: Any = None,
                 dropout: float = 0.0, recurrent_dropout: float = 0.0, return_sequences: bool = False,
                 return_state: bool = False, go_backwards: bool = False, stateful: bool = False, unroll: bool = False,
                 seed: int | None = None, **kwargs: Any) -> None:
        cell = SimpleRNNCell(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, kernel_regularizer,
            recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint, bias_constraint, dropout,
            recurrent_dropout, seed, dtype=kwargs.get("dtype"), trainable=kwargs.get("trainable", True), name="simple_rnn_cell")
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful, unroll,
                         activity_regularizer=activity_regularizer, **kwargs)
        self.input_spec = InputSpec(ndim=3)

    units, activation, use_bias, dropout, recurrent_dropout = FromCell(), FromCell(), FromCell(), FromCell(), FromCell()
