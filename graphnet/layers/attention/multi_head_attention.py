"""MultiHeadAttention: attention in several subspaces at once, between learned projections."""
import math
from collections.abc import Sequence
from typing import Any

from graphnet import dims, regularizers
from graphnet.errors import ShapeError
from graphnet.layers.arguments import WeightOptions
from graphnet.layers.attention.scores import joined, refuse_flash, refuse_window, weights
from graphnet.layers.core.einsum_dense import EinsumDense
from graphnet.layers.regularization.dropout import Dropout
from graphnet.masking import get_mask, set_mask
from graphnet.ops.convert import shape
from graphnet.ops.elementwise import multiply
from graphnet.ops.linalg import MatMul
from graphnet.ops.shape import broadcast_to, expand_dims, reshape, transpose
from graphnet.registry import builtin

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def projection(free: int, bound: int, made: int) -> tuple[str, str]:
    """The equation of a product that keeps `free` axes, sums over `bound` and makes `made` new ones; and the labels of its
    bias.
    """
    kept, summed, new = (LETTERS[a:b] for a, b in ((0, free), (free, free + bound), (free + bound, free + bound + made)))
    return f"{kept}{summed},{summed}{new}->{kept}{new}", new


def numbers(value: Any) -> tuple[int, ...]:
    """One whole number or several, as a tuple."""
    return (value,) if isinstance(value, int) else tuple(value)


class Projecting(WeightOptions):
    """What attention layers with projections share: arguments, projections, masks."""

    supports_masking = True
    use_bias: bool

    def project(self, name: str, equation: str, output_shape: Sequence[int | None], bias_axes: str,
                activation: Any = None) -> EinsumDense:
        """A layer that projects, with this layer's options; its initializer has a seed of its own."""
        options = {f"{role}_{what}": getattr(self, f"{role}_{what}") for role in ("kernel", "bias")
                   for what in ("regularizer", "constraint")}
        for role in ("kernel", "bias"):
            start = getattr(self, f"{role}_initializer")
            again = hasattr(start, "get_config")
            options[f"{role}_initializer"] = type(start).from_config(start.get_config()) if again else start
        return EinsumDense(equation, output_shape, activation=activation, bias_axes=bias_axes if self.use_bias else None,
                           name=name, dtype=self.dtype, activity_regularizer=self.activity_regularizer, **options)

    def _projection_config(self) -> dict[str, Any]:
        options = self._options_config("kernel", "bias")
        limits = {name: options.pop(name) for name in ("kernel_constraint", "bias_constraint")}
        return {**options, "activity_regularizer": regularizers.serialize(self.activity_regularizer), **limits}


@builtin("layers")
class MultiHeadAttention(Projecting):
    """Attention in ``num_heads`` subspaces: softmax(q k^T / sqrt(key_dim)) v of projections q, k, v of query, key and value,
    projected back.

    Arguments: ``num_heads``, ``key_dim`` and ``value_dim`` (None: key_dim) features a head; ``dropout`` of the weights in
    training; ``use_bias``; ``output_shape`` features of the result (None: the query's); ``attention_axes`` (None: all but batch
    and features); ``sliding_window``; ``use_gate``: a sigmoid of the query multiplies the heads; initializers, regularizers,
    constraints of the projections; ``flash_attention`` changes nothing.
    Call arguments: ``query``, ``value``, ``key`` (None: value); ``attention_mask`` (batch, T, S) of which query sees which
    value; ``value_mask``, ``key_mask`` (batch, S); the masks that the tensors carry count as well; ``query_mask`` counts only
    if the query carries it, as in Keras; ``return_attention_scores``; ``use_causal_mask``: no step sees a later one.
    Shapes: query (batch, T, Q), value (batch, S, V) -> (batch, T, Q). Weights: query and key kernels (Q, heads, key_dim), value
    kernel (V, heads, value_dim), attention_output kernel (heads, value_dim, Q). Source: https://arxiv.org/abs/1706.03762

    Example:

        >>> import graphnet
        >>> x = graphnet.Input((None, 16))
        >>> graphnet.layers.MultiHeadAttention(num_heads=4, key_dim=8)(x, x, use_causal_mask=True).shape
        (None, None, 16)
    """

    def __init__(self, num_heads: int, key_dim: int, value_dim: int | None = None, dropout: float = 0.0, use_bias: bool = True,
                 output_shape: Any = None, attention_axes: Any = None, sliding_window: int | None = None,
                 flash_attention: bool | None = None, kernel_initializer: Any = "glorot_uniform",
                 bias_initializer: Any = "zeros", kernel_regularizer: Any = None, bias_regularizer: Any = None,
                 activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
                 use_gate: bool = False, seed: int | None = None, **kwargs: Any) -> None:
        options = locals()
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        for name, value in (("num_heads", num_heads), ("key_dim", key_dim),
                            ("value_dim", key_dim if value_dim is None else value_dim)):
            if not isinstance(value, int) or value <= 0:
                raise ValueError(f"MultiHeadAttention expects {name} to be a positive whole number; received {name}={value!r}.")
        refuse_window(sliding_window, "MultiHeadAttention")
        refuse_flash(flash_attention, dropout, "MultiHeadAttention")
        self.num_heads, self.key_dim, self.value_dim = num_heads, key_dim, value_dim or key_dim
        self.dropout, self.use_bias, self.use_gate, self.seed = dropout, use_bias, use_gate, seed
        self.sliding_window = sliding_window
        self.result_shape = numbers(output_shape) if output_shape else None
        self.attention_axes = None if attention_axes is None else numbers(attention_axes)
        self._take_options(options, "kernel", "bias")

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:  # type: ignore[override]
        key_shape = value_shape if key_shape is None else key_shape
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ShapeError(f"Layer {self.name!r} (MultiHeadAttention) expects value and key to have the same steps; received "
                             f"shapes {tuple(value_shape)} "
                             f"and {tuple(key_shape)}.")

        def heads(name: str, extents: Any, features: int, activation: Any = None) -> EinsumDense:
            equation, new = projection(len(extents) - 1, 1, 2)
            layer = self.project(name, equation, [None] * (len(extents) - 2) + [self.num_heads, features], new, activation)
            layer.build(extents)
            return layer
        self.query_dense = heads("query", query_shape, self.key_dim)
        self.key_dense = heads("key", key_shape, self.key_dim)
        if self.use_gate:
            self.gate_dense = heads("gate", query_shape, self.value_dim, "sigmoid")
        self.value_dense = heads("value", value_shape, self.value_dim)
        rank = len(query_shape)
        result = self.result_shape or (query_shape[-1],)
        equation, new = projection(rank - 1, 2, len(result))
        self.output_dense = self.project("attention_output", equation, [None] * (rank - 2) + list(result), new)
        self.output_dense.build((*query_shape[:-1], self.num_heads, self.value_dim))
        axes = range(1, rank - 1) if self.attention_axes is None else self.attention_axes
        self.attention_axes = tuple([axis % rank for axis in axes])
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype, name="dropout")

    def attend(self, query: Any, key: Any, value: Any, mask: Any, zeros: bool) -> tuple[Any, Any]:
        """(mixed values, weights): query (*B, *T, heads, key_dim), key and value (*B, *S, heads, ...); weights (*B, heads, *T,
        *S).
        """
        rank, axes = query.ndim, list(self.attention_axes)  # type: ignore[arg-type]
        batch = [i for i in range(rank - 1) if i not in axes]
        order = [*batch, *axes, rank - 1]
        lead = [shape(query)[i] for i in batch]
        steps, seen = ([shape(x)[i] for i in axes] for x in (query, key))

        def flat(x: Any) -> Any:
            """(*B, heads, steps, features), all attention axes as one."""
            moved = transpose(x, order)
            extents = shape(moved)
            return moved if len(axes) == 1 else reshape(moved,
                                                        (*extents[:len(batch)], dims.product(extents[len(batch):-1]),
                                                         extents[-1]))
        scores = MatMul(transpose_b=True)(flat(multiply(query, 1.0 / math.sqrt(self.key_dim))), flat(key))
        full = (*lead, *steps, *seen)
        if mask is not None:
            for _ in range(len(full) - mask.ndim):
                mask = expand_dims(mask, -2 * len(axes) - 1)
            mask = mask if len(axes) == 1 else reshape(broadcast_to(mask, full), shape(scores))
        parts = weights(scores, mask, zeros)
        mixed = reshape(MatMul()(self._dropout_layer(parts), flat(value)), (*lead, *steps, shape(value)[-1]))
        return transpose(mixed, [order.index(i) for i in range(rank)]), reshape(parts, full)

    def call(self, query: Any, value: Any, key: Any = None, query_mask: Any = None, value_mask: Any = None,
             key_mask: Any = None, attention_mask: Any = None, return_attention_scores: bool = False, training: Any = None,
             use_causal_mask: bool = False) -> Any:
        own_mask = get_mask(query)
        for x in (query, value, key):  # off the very tensors, as Keras's layer takes them: what reads these later sees no mask
            if get_mask(x) is not None:
                set_mask(x, None)
        key = value if key is None else key
        mask = joined(query, value, own_mask, value_mask, key_mask, attention_mask, use_causal_mask, self.sliding_window)
        q, k, v = self.query_dense(query), self.key_dense(key), self.value_dense(value)
        output, parts = self.attend(q, k, v, mask, self.dropout > 0 or return_attention_scores or q.ndim != 4)
        if self.use_gate:
            output = multiply(output, self.gate_dense(query))
        output = self.output_dense(output)
        if own_mask is not None:
            set_mask(output, own_mask)
        return (output, parts) if return_attention_scores else output

    def get_config(self) -> dict[str, Any]:
        names = ("num_heads", "key_dim", "value_dim", "dropout", "use_bias", "use_gate")
        return {
            **super().get_config(), **{name: getattr(self, name) for name in names}, "output_shape": self.result_shape,
            "attention_axes": self.attention_axes, "sliding_window": self.sliding_window, **self._projection_config(),
            "seed": self.seed,
        }
