"""Lambda: a function as a layer."""
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from graphnet.errors import UnsupportedError
from graphnet.layers.layer import Layer
from graphnet.registry import builtin


@builtin("layers")
class Lambda(Layer):
    """``function(inputs, **arguments)``: a function of tensors, in graphnet.ops, as a layer without weights.

    Arguments: ``function``, which may also take ``mask`` and ``training``; ``output_shape`` (not needed: the shape follows from
    a trace); ``mask``: the output's mask, or a function of (inputs, mask); ``arguments``: further ones of the function. A file
    never brings a function along: from_config raises UnsupportedError. Source: https://keras.io/api/layers/core_layers/lambda/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Lambda(lambda x: x[:, 0] * 2)(graphnet.Input((5, 3))).shape
        (None, 3)
    """

    def __init__(self, function: Callable[..., Any], output_shape: Any = None, mask: Any = None,
                 arguments: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"Lambda expects a function; received {function!r}.")
        self.function, self.mask, self.arguments = function, mask, dict(arguments or {})
        self.output_shape_argument = output_shape
        try:
            self._taken = frozenset(inspect.signature(function).parameters) & {"mask", "training"}
        except (TypeError, ValueError):  # a built-in function tells no signature
            self._taken = frozenset()

    def call(self, inputs: Any, mask: Any = None, training: Any = None) -> Any:
        given = {"mask": mask, "training": training}
        return self.function(inputs, **self.arguments, **{name: given[name] for name in self._taken})

    def _passes_masks(self) -> bool:
        return self.mask is not None

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "function": self.function, "arguments": self.arguments}
        if self.output_shape_argument is not None:
            config["output_shape"] = self.output_shape_argument
        return config if self.mask is None else {**config, "mask": self.mask}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Lambda":
        if not callable(config["function"]):
            raise UnsupportedError("A Lambda is not made from a file: graphnet runs no code that a file holds. Write the "
                                   "function as a Layer subclass "
                                   "with call(self, inputs), register it by graphnet.saving.register_keras_serializable(), and "
                                   "rebuild the model.")
        return cls(**config)
