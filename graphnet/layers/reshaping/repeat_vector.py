"""RepeatVector: one vector as a sequence."""
from typing import Any

from graphnet.layers.input_spec import InputSpec
from graphnet.layers.layer import Layer
from graphnet.ops.shape import expand_dims, repeat
from graphnet.registry import builtin


@builtin("layers")
class RepeatVector(Layer):
    """Each vector ``n`` times in a row: (N, F) -> (N, n, F).

    Raises TypeError or ValueError where n is no positive whole number, ShapeError where the input's ndim is not 2.
    Source: https://keras.io/api/layers/reshaping_layers/repeat_vector/

    Example:

        >>> import graphnet
        >>> graphnet.layers.RepeatVector(3)(graphnet.Input((32,))).shape
        (None, 3, 32)
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(n, int) or isinstance(n, bool):
            raise TypeError(f"Layer {self.name!r} (RepeatVector) expects n to be a whole number; received {n!r} "
                            f"({type(n).__name__}).")
        if n <= 0:
            raise ValueError(f"Layer {self.name!r} (RepeatVector) expects n to be positive; received n={n}.")
        self.n = n
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        return repeat(expand_dims(inputs, 1), self.n, 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}
