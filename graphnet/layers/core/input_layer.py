"""Input: the symbolic tensor at which a functional model begins."""
from collections.abc import Sequence
from typing import Any

from graphnet import dtypes
from graphnet.errors import ShapeError, UnsupportedError
from graphnet.graph import Node, Tensor, user_line
from graphnet.layers.layer import Layer
from graphnet.registry import builtin
from graphnet.tracing import fresh_spec


@builtin("layers")
class InputLayer(Layer):
    """The layer behind an `Input`; it has no weights and gives what the model is called on.

    Source: https://keras.io/api/layers/core_layers/input/

    Example:

        >>> import graphnet
        >>> graphnet.layers.InputLayer((4,), batch_size=2).output.shape
        (2, 4)
    """

    def __init__(self, shape: Sequence[int | None] | None = None, batch_size: int | None = None, dtype: Any = None,
                 sparse: bool | None = None, ragged: bool | None = None, batch_shape: Sequence[int | None] | None = None,
                 input_tensor: Any = None, optional: bool = False, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name)
        if sparse or ragged:
            raise UnsupportedError(f"Input {self.name!r}: graphnet has no sparse or ragged tensors. Use a dense Input, padded "
                                   "where need be.")
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        if batch_shape is None:
            if shape is None:
                raise ValueError("Input expects a shape, as in Input(shape=(784,)), or a batch_shape; received neither.")
            batch_shape = (batch_size, *_checked(shape))
        elif shape is not None:
            raise ValueError(f"Input expects shape or batch_shape; received both, shape={shape} and batch_shape={batch_shape}.")
        self.batch_shape = _checked(batch_shape)
        self.dtype, self.built, self.optional = dtypes.standardize_dtype(dtype), True, bool(optional)
        spec = fresh_spec(self.batch_shape, self.dtype, self.name)
        self._node = Node(self, (), (spec,), self.name, "", ((), {}), (0, ()), user_line())
        self._untracked_calls.add(self._node)

    def call(self) -> Any:
        raise ShapeError(f"Input {self.name!r} is not called: it is a tensor already.")

    def get_config(self) -> dict[str, Any]:
        return {"batch_shape": self.batch_shape, "dtype": self.dtype, "sparse": False, "ragged": False,
                "optional": self.optional, "name": self.name}


def _checked(shape: Any) -> tuple[int | None, ...]:
    if isinstance(shape, int) or not isinstance(shape, Sequence):
        raise ValueError(f"Input expects its shape as a tuple of ints and None; received {shape!r}. For a vector of 32 numbers "
                         "write (32,).")
    for extent in shape:
        if extent is not None and (not hasattr(extent, "__index__") or int(extent) < 0):
            raise ValueError(f"Input expects each extent to be a whole number or None; received {extent!r} in {tuple(shape)}.")
    return tuple([None if s is None else int(s) for s in shape])


def Input(shape: Sequence[int | None] | None = None, batch_size: int | None = None, dtype: Any = None,
          sparse: bool | None = None, ragged: bool | None = None, batch_shape: Sequence[int | None] | None = None,
          name: str | None = None, tensor: Any = None, optional: bool = False) -> Tensor:
    """The symbolic tensor at which a functional model begins.

    Arguments: ``shape`` without the batch axis (None for extents that vary), ``batch_size``, ``dtype`` ("float32"),
    ``batch_shape`` (with the batch axis, in place of shape), ``name`` (by which data may be given). Shape out: (batch, *shape).
    Source: https://keras.io/api/layers/core_layers/input/

    Example:

        >>> import graphnet
        >>> graphnet.Input(shape=(784,)).shape
        (None, 784)
    """
    if tensor is not None:
        raise UnsupportedError("Input(tensor=...) wraps another framework's tensor, which graphnet cannot. Give shape and "
                               "dtype.")
    layer = InputLayer(shape=shape, batch_size=batch_size, dtype=dtype, sparse=sparse, ragged=ragged, batch_shape=batch_shape,
                       name=name, optional=optional)
    return Tensor(layer._node)
