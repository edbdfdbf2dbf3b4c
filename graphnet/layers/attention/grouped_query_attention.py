"""GroupedQueryAttention: several query heads share a head of keys and values."""
import math
from typing import Any

from graphnet.errors import ShapeError
from graphnet.layers.attention.multi_head_attention import Projecting
from graphnet.layers.attention.scores import joined, refuse_flash, refuse_window, weights
from graphnet.layers.core.einsum_dense import EinsumDense
from graphnet.layers.regularization.dropout import Dropout
from graphnet.masking import without_mask
from graphnet.ops.elementwise import multiply
from graphnet.ops.linalg import MatMul
from graphnet.ops.shape import expand_dims, repeat, transpose
from graphnet.registry import builtin


@builtin("layers", "GroupQueryAttention")
class GroupedQueryAttention(Projecting):
    """Multi-head attention in which ``num_query_heads`` share ``num_key_value_heads`` heads of keys and values.

    Arguments: ``head_dim`` features a head; ``num_query_heads``, a multiple of ``num_key_value_heads``; others and call
    arguments as of `MultiHeadAttention`.
    Shapes: query (batch, T, Q), value (batch, S, Q) -> (batch, T, Q). Weights: query kernel (Q, query heads, head_dim), key and
    value kernels (Q, key-value heads, head_dim), attention_output kernel (query heads, head_dim, Q).

    Source: https://arxiv.org/abs/2305.13245

    Example:

        >>> import graphnet
        >>> x = graphnet.Input((None, 16))
        >>> graphnet.layers.GroupedQueryAttention(head_dim=4, num_query_heads=4, num_key_value_heads=2)(x, x).shape
        (None, None, 16)
    """

    def __init__(self, head_dim: int, num_query_heads: int, num_key_value_heads: int, dropout: float = 0.0,
                 use_bias: bool = True, sliding_window: int | None = None, flash_attention: bool | None = None,
                 kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
                 bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
                 bias_constraint: Any = None, use_gate: bool = False, seed: int | None = None, **kwargs: Any) -> None:
        options = locals()
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if num_query_heads % num_key_value_heads:
            raise ValueError("GroupedQueryAttention expects num_query_heads to be a multiple of num_key_value_heads; received "
                             f"num_query_heads={num_query_heads} and num_key_value_heads={num_key_value_heads}.")
        refuse_window(sliding_window, "GroupedQueryAttention")
        refuse_flash(flash_attention, dropout, "GroupedQueryAttention")
        self.head_dim, self.num_query_heads, self.num_key_value_heads = head_dim, num_query_heads, num_key_value_heads
        self.use_bias, self.use_gate, self.dropout, self.seed = use_bias, use_gate, dropout, seed
        self.sliding_window = sliding_window
        self._take_options(options, "kernel", "bias")

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:  # type: ignore[override]
        key_shape = value_shape if key_shape is None else key_shape
        if query_shape[-1] != value_shape[-1] or tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ShapeError(f"Layer {self.name!r} (GroupedQueryAttention) expects query and value with equal features, value "
                             "and key with equal steps; "
                             f"received shapes {tuple(query_shape)}, {tuple(value_shape)} and {tuple(key_shape)}.")

        def heads(name: str, extents: Any, count: int, activation: Any = None) -> EinsumDense:
            layer = self.project(name, "abc,cde->abde", (None, count, self.head_dim), "de", activation)
            layer.build(extents)
            return layer
        self._query_dense = heads("query", query_shape, self.num_query_heads)
        self._key_dense = heads("key", key_shape, self.num_key_value_heads)
        if self.use_gate:
            self._gate_dense = heads("gate", query_shape, self.num_query_heads, "sigmoid")
        self._value_dense = heads("value", value_shape, self.num_key_value_heads)
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype, name="dropout")
        self._output_dense = self.project("attention_output", "abcd,cde->abe", (None, query_shape[-1]), "e")
        self._output_dense.build((None, None, self.num_query_heads, self.head_dim))

    def call(self, query: Any, value: Any, key: Any = None, query_mask: Any = None, value_mask: Any = None,
             key_mask: Any = None, attention_mask: Any = None, return_attention_scores: bool = False, training: Any = None,
             use_causal_mask: bool = False) -> Any:
        query, value, key = without_mask(query), without_mask(value), without_mask(value if key is None else key)
        mask = joined(query, value, query_mask, value_mask, key_mask, attention_mask, use_causal_mask, self.sliding_window)
        while mask is not None and mask.ndim < 4:
            mask = expand_dims(mask, -3)
        shared = self.num_query_heads // self.num_key_value_heads
        q = transpose(multiply(self._query_dense(query), 1.0 / math.sqrt(self.head_dim)), [0, 2, 1, 3])
        k, v = (transpose(repeat(dense(x), shared, axis=2), [0, 2, 1, 3]) for dense,
                x in ((self._key_dense, key), (self._value_dense, value)))
        parts = weights(MatMul(transpose_b=True)(q, k), mask, self.dropout > 0 or return_attention_scores)
        output = transpose(MatMul()(self._dropout_layer(parts), v), [0, 2, 1, 3])
        if self.use_gate:
            output = multiply(output, self._gate_dense(query))
        output = self._output_dense(output)
        return (output, parts) if return_attention_scores else output

    def get_config(self) -> dict[str, Any]:
        names = ("head_dim", "num_query_heads", "num_key_value_heads", "use_bias", "use_gate", "sliding_window", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}, **self._projection_config(),
                "seed": self.seed}
