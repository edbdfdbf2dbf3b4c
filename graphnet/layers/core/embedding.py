"""Embedding: rows of a table, chosen by integers."""
from typing import Any

from graphnet import constraints as limits
from graphnet import dtypes, initializers, regularizers
from graphnet.errors import OutOfRangeError
from graphnet.layers.layer import Layer
from graphnet.ops.convert import cast
from graphnet.ops.elementwise import not_equal
from graphnet.ops.indexing import take
from graphnet.registry import builtin


@builtin("layers")
class Embedding(Layer):
    """``table[inputs]``: a row of a trained table for each integer.

    Arguments: ``input_dim`` rows and ``output_dim`` columns of the table; initializer, regularizer and constraint of it;
    ``mask_zero``: 0 is padding, so the output carries the mask ``inputs != 0``; ``weights``: the table's first value. Shapes:
    any (*I) -> (*I, output_dim); inputs that are not integers are cast. Raises OutOfRangeError, naming the layer and the
    position, where an integer has no row. Source: https://keras.io/api/layers/core_layers/embedding/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Embedding(1000, 8)(graphnet.Input((None,), dtype="int32")).shape
        (None, None, 8)
    """

    def __init__(self, input_dim: int, output_dim: int, embeddings_initializer: Any = "uniform",
                 embeddings_regularizer: Any = None, embeddings_constraint: Any = None, mask_zero: bool = False,
                 weights: Any = None, lora_rank: int | None = None, **kwargs: Any) -> None:
        kwargs.pop("input_length", None)  # an argument of Keras 2, which says what the input's shape says
        super().__init__(**kwargs)
        for name, value in (("input_dim", input_dim), ("output_dim", output_dim)):
            if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                raise ValueError(f"Embedding expects {name} to be a positive whole number; received {name}={value!r}.")
        if lora_rank is not None:
            raise ValueError(f"Embedding expects lora_rank=None: low-rank adapters are not trained; received {lora_rank}.")
        self.input_dim, self.output_dim, self.mask_zero = input_dim, output_dim, bool(mask_zero)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = limits.get(embeddings_constraint)
        self.supports_masking, self.autocast = self.mask_zero, False
        self.embeddings: Any = None
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, list) and len(weights) == 1 else [weights])

    def build(self, input_shape: Any = None) -> None:
        if self.embeddings is None:
            self.embeddings = self.add_weight((self.input_dim, self.output_dim), self.embeddings_initializer, name="embeddings",
                                              regularizer=self.embeddings_regularizer, constraint=self.embeddings_constraint)

    def call(self, inputs: Any) -> Any:
        indices = inputs if str(inputs.dtype) in dtypes.INTS else cast(inputs, "int32")
        try:
            return take(self.embeddings, indices, axis=0)
        except OutOfRangeError as error:
            raise OutOfRangeError(f"layer {self.name!r}: {error}") from None

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return not_equal(inputs, 0) if self.mask_zero else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(), "input_dim": self.input_dim, "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "embeddings_constraint": limits.serialize(self.embeddings_constraint), "mask_zero": self.mask_zero,
        }
