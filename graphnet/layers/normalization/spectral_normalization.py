"""SpectralNormalization: a layer whose kernel is held at spectral norm 1 in training."""
from typing import Any

from graphnet import initializers
from graphnet.layers.core.wrapper import Wrapper
from graphnet.layers.input_spec import InputSpec
from graphnet.layers.layer import Layer
from graphnet.ops.convert import assign_in_trace, cast
from graphnet.ops.elementwise import divide, equal, minimum, multiply, rsqrt, square, where
from graphnet.ops.linalg import matmul
from graphnet.ops.reduction import all as every
from graphnet.ops.reduction import sum as total
from graphnet.ops.shape import reshape, transpose
from graphnet.registry import builtin


def _unit(x: Any) -> Any:
    return multiply(x, minimum(rsqrt(total(square(x), None, True)), 1e12))


@builtin("layers")
class SpectralNormalization(Wrapper):
    """Wraps a layer; with training=True its kernel is first divided by an estimate of its largest singular value.

    The estimate is u v^T from ``power_iterations`` steps v = unit(u W^T), u = unit(v W), with the kernel as a matrix W (...,
    outputs), and begins where the call before ended. A kernel of zeros stays. Arguments: ``layer`` (with a ``kernel`` or
    ``embeddings``), ``power_iterations``.
    Shapes: as the layer's; weight vector_u (1, outputs). Raises ValueError where the layer has no kernel.
    Source: https://arxiv.org/abs/1802.05957

    Example:

        >>> import graphnet
        >>> graphnet.layers.SpectralNormalization(graphnet.layers.Dense(4))(graphnet.Input((3,))).shape
        (None, 4)
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        if not isinstance(power_iterations, int) or power_iterations <= 0:
            raise ValueError(f"Layer {self.name!r} (SpectralNormalization) expects power_iterations to be a positive whole "
                             f"number; received {power_iterations!r}.")
        self.power_iterations = power_iterations
        self.kernel: Any = None
        self.vector_u: Any = None

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})
        found = [getattr(self.layer, name, None) for name in ("kernel", "embeddings")]
        self.kernel = next((weight for weight in found if weight is not None), None)
        if self.kernel is None:
            raise ValueError(f"Layer {self.name!r} (SpectralNormalization) expects a layer with a kernel or embeddings; "
                             f"received {self.layer.name!r} ({type(self.layer).__name__}), which has neither.")
        self.vector_u = self.add_weight((1, self.kernel.shape[-1]), initializers.TruncatedNormal(stddev=0.02), trainable=False,
                                        name="vector_u", dtype=self.kernel.dtype)

    def call(self, inputs: Any, training: Any = None) -> Any:
        if training:
            kernel = self.kernel
            matrix, u = reshape(kernel, (-1, kernel.shape[-1])), self.vector_u
            for _ in range(self.power_iterations):
                v = _unit(matmul(u, transpose(matrix)))
                u = _unit(matmul(v, matrix))
            sigma = reshape(matmul(matmul(v, matrix), transpose(u)), ())
            nothing = every(equal(kernel, 0.0))
            assign_in_trace(self.vector_u, where(nothing, self.vector_u, u))
            assign_in_trace(kernel, where(nothing, kernel, divide(kernel, sigma)))
        return cast(self.layer(inputs), inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power_iterations": self.power_iterations}
