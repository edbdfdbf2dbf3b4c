"""GRU: gated recurrent units."""
from collections.abc import Sequence
from typing import Any

from graphnet.layers.input_spec import InputSpec
from graphnet.layers.rnn.cell import RecurrentCell, times
from graphnet.layers.rnn.rnn import FromCell, OneCell
from graphnet.ops import recurrent
from graphnet.ops.elementwise import add, multiply, subtract
from graphnet.ops.linalg import matmul
from graphnet.ops.shape import split
from graphnet.registry import builtin


@builtin("layers")
class GRUCell(RecurrentCell):
    """One step of a `GRU`. Arguments: as of GRU. Shapes: inputs (batch, features), state (batch, units).

    Source: https://keras.io/api/layers/recurrent_layers/gru_cell/

    Example:

        >>> import numpy as np, graphnet
        >>> output, states = graphnet.layers.GRUCell(4)(np.ones((2, 3), "float32"), [np.zeros((2, 4), "float32")])
        >>> output.shape, states[0].shape
        ((2, 4), (2, 4))
    """

    functions = ("activation", "recurrent_activation")
    op_kind = recurrent.GRU

    def __init__(self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
                 kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
                 bias_initializer: Any = "zeros", kernel_regularizer: Any = None, recurrent_regularizer: Any = None,
                 bias_regularizer: Any = None, kernel_constraint: Any = None, recurrent_constraint: Any = None,
                 bias_constraint: Any = None, dropout: float = 0.0, recurrent_dropout: float = 0.0, reset_after: bool = True,
                 seed: int | None = None, **kwargs: Any) -> None:
        options = locals()
        kwargs.pop("implementation", None)
        super().__init__(**kwargs)
        self._take(options)
        self.reset_after = bool(reset_after)

    def bias_shape(self, columns: int) -> tuple[int, ...]:
        return (2, columns) if self.reset_after else (columns,)

    def _op_fields(self) -> dict[str, Any]:
        return {"reset_after": self.reset_after}

    def step(self, inputs: Any, states: Sequence[Any], noise: Any) -> tuple[Any, list[Any]]:
        old, units = states[0], self.units
        state = times(old, noise[1])
        x = matmul(times(inputs, noise[0]), self.kernel)
        if self.bias is not None:
            x = add(x, self.bias[0] if self.reset_after else self.bias)
        x_z, x_r, x_h = split(x, 3, axis=-1)
        if self.reset_after:
            inner = matmul(state, self.recurrent_kernel)
            inner = inner if self.bias is None else add(inner, self.bias[1])
        else:
            inner = matmul(state, self.recurrent_kernel[:, :2 * units])
        z = self.recurrent_activation(add(x_z, inner[:, :units]))
        r = self.recurrent_activation(add(x_r, inner[:, units:2 * units]))
        if self.reset_after:
            share = multiply(r, inner[:, 2 * units:])
        else:
            share = matmul(multiply(r, state), self.recurrent_kernel[:, 2 * units:])
        candidate = self.activation(add(x_h, share))
        h = add(multiply(z, old), multiply(subtract(1, z), candidate))
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reset_after": self.reset_after}


@builtin("layers")
class GRU(OneCell):
    """Gated recurrent unit: h' = z h + (1 - z) candidate, with gates z and r computed from input and state.

    Arguments: ``units``; ``activation`` of the candidate and ``recurrent_activation`` of the gates; ``use_bias``; initializers,
    regularizers and constraints of kernel, recurrent_kernel and bias; ``dropout``, ``recurrent_dropout`` in training;
    ``reset_after``: the gate r acts behind the product with recurrent_kernel (True), or before it; flags and call arguments as
    of `RNN`; ``use_cudnn`` changes nothing.
    Shapes: (batch, steps, features) -> (batch, units), or (batch, steps, units); kernel (features, 3 units), recurrent_kernel
    (units, 3 units), bias (2, 3 units), or (3 units) without reset_after. Source: https://arxiv.org/abs/1406.1078

    Example:

        >>> import graphnet
        >>> graphnet.layers.GRU(4, return_sequences=True)(graphnet.Input((None, 3))).shape
        (None, None, 4)
    """

    def __init__(self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
                 kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
                 bias_initializer: Any = "zeros", kernel_regularizer: Any = None, recurrent_regularizer: Any = None,
                 bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
                 recurrent_constraint: Any = None, bias_constraint: Any = None, dropout: float = 0.0,
                 recurrent_dropout: float = 0.0, seed: int | None = None, return_sequences: bool = False,
                 return_state: bool = False, go_backwards: bool = False, stateful: bool = False, unroll: bool = False,
                 reset_after: bool = True, use_cudnn: Any = "auto", **kwargs: Any) -> None:
        kwargs.pop("implementation", None)
        cell = GRUCell(
            units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint,
            bias_constraint,
            dropout, recurrent_dropout, reset_after, seed, dtype=kwargs.get("dtype"), trainable=kwargs.get("trainable", True),
            name="gru_cell")
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful, unroll,
                         activity_regularizer=activity_regularizer, **kwargs)
        self.use_cudnn = use_cudnn
        self.input_spec = InputSpec(ndim=3)

    units, activation, recurrent_activation, use_bias = FromCell(), FromCell(), FromCell(), FromCell()
    dropout, recurrent_dropout, reset_after = FromCell(), FromCell(), FromCell()
