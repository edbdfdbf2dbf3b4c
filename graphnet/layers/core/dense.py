"""Dense: a matrix product over the last axis."""
from typing import Any

from graphnet import activations, constraints, initializers, regularizers
from graphnet.layers.input_spec import InputSpec
from graphnet.layers.layer import Layer
from graphnet.ops.elementwise import add
from graphnet.ops.linalg import matmul
from graphnet.registry import builtin


@builtin("layers")
class Dense(Layer):
    """``activation(inputs @ kernel + bias)``, over the last axis.

    Arguments: ``units`` outputs; ``activation``; ``use_bias``; initializers, regularizers and constraints of kernel and bias.
    Shapes: (..., K) -> (..., units); kernel (K, units), bias (units,). Raises ShapeError where K differs from the first call's.
    Source: https://keras.io/api/layers/core_layers/dense/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Dense(4, activation="relu")(graphnet.Input((3,))).shape
        (None, 4)
    """

    supports_masking = True

    def __init__(self, units: int, activation: Any = None, use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
                 bias_initializer: Any = "zeros", kernel_regularizer: Any = None, bias_regularizer: Any = None,
                 activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
                 lora_rank: int | None = None, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if not isinstance(units, int) or units <= 0:
            raise ValueError(f"Dense expects units to be a positive whole number; received units={units!r}.")
        if lora_rank is not None:
            raise ValueError("Dense expects lora_rank=None: graphnet does not train low-rank adapters yet; received "
                             f"{lora_rank}.")
        self.units, self.activation, self.use_bias = units, activations.get(activation), use_bias
        self.kernel_initializer, self.bias_initializer = (
            initializers.get(kernel_initializer),
            initializers.get(bias_initializer),
        )
        self.kernel_regularizer, self.bias_regularizer = (
            regularizers.get(kernel_regularizer),
            regularizers.get(bias_regularizer),
        )
        self.kernel_constraint, self.bias_constraint = constraints.get(kernel_constraint), constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)
        self.kernel: Any = None
        self.bias: Any = None

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight((input_shape[-1], self.units), self.kernel_initializer, name="kernel",
                                      regularizer=self.kernel_regularizer, constraint=self.kernel_constraint)
        if self.use_bias:
            self.bias = self.add_weight((self.units,), self.bias_initializer, name="bias",
                                        regularizer=self.bias_regularizer, constraint=self.bias_constraint)
        self.input_spec = InputSpec(min_ndim=2, axes={-1: input_shape[-1]})

    def call(self, inputs: Any, training: Any = None) -> Any:
        x = matmul(inputs, self.kernel)
        if self.bias is not None:
            x = add(x, self.bias)
        return self.activation(x)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(), "units": self.units, "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
