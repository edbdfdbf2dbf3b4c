"""Attention and AdditiveAttention: values, mixed by how well their keys fit a query; no projections."""
from typing import Any

from graphnet import random
from graphnet.errors import ShapeError
from graphnet.layers.attention.scores import causal
from graphnet.layers.layer import Layer
from graphnet.ops.convert import cast, shape
from graphnet.ops.elementwise import add, logical_and, logical_not, multiply, subtract, tanh, where
from graphnet.ops.linalg import matmul
from graphnet.ops.reduction import sum as total
from graphnet.ops.scaling import softmax
from graphnet.ops.shape import expand_dims, swapaxes
from graphnet.registry import builtin


@builtin("layers")
class Attention(Layer):
    """softmax(query key^T) value: values, mixed by the dot products of their keys with a query (Luong).

    Arguments: ``use_scale``: the scores get a trained factor; ``score_mode`` "dot", or "concat" for sum(tanh(query + key));
    ``dropout`` of the weights in training; ``seed``. Call arguments: ``inputs`` a list [query, value] or [query, value, key];
    ``mask`` a list [query_mask, value_mask] of the steps that count; ``return_attention_scores``; ``use_causal_mask``: no step
    sees a later one. Shapes: query (batch, Tq, dim), value (batch, Tv, dim) -> (batch, Tq, dim).
    Source: https://keras.io/api/layers/attention_layers/attention/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Attention()([graphnet.Input((5, 8)), graphnet.Input((7, 8))]).shape
        (None, 5, 8)
    """

    supports_masking = True

    def __init__(self, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0, seed: int | None = None,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ValueError(f"Attention expects score_mode 'dot' or 'concat'; received score_mode={score_mode!r}.")
        self.use_scale, self.score_mode, self.dropout, self.seed = use_scale, score_mode, dropout, seed
        if dropout > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.scale: Any = None
        self.concat_score_weight: Any = None

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def _check(self, inputs: Any, mask: Any = None) -> None:
        who = f"Layer {self.name!r} ({type(self).__name__})"
        if not isinstance(inputs, list) or not 2 <= len(inputs) <= 3:
            raise ShapeError(f"{who} expects a list of inputs, [query, value] or [query, value, key]; received {inputs!r}.")
        if mask is not None and (not isinstance(mask, list) or not 2 <= len(mask) <= 3):
            raise ShapeError(f"{who} expects mask to be a list [query_mask, value_mask]; received {mask!r}.")

    def scores(self, query: Any, key: Any) -> Any:
        """How well each key fits each query: (batch, Tq, Tv)."""
        if self.score_mode == "dot":
            fit = matmul(query, swapaxes(key, -2, -1))
            return fit if self.scale is None else multiply(fit, self.scale)
        pairs = add(expand_dims(query, -2), expand_dims(key, -3))
        pairs = pairs if self.scale is None else multiply(self.scale, pairs)
        return multiply(self.concat_score_weight, total(tanh(pairs), axis=-1))

    def call(self, inputs: Any, mask: Any = None, training: Any = False, return_attention_scores: bool = False,
             use_causal_mask: bool = False) -> Any:
        self._check(inputs, mask)
        query, value, key = inputs[0], inputs[1], inputs[-1]
        fit = self.scores(query, key)
        seen = mask[1] if mask else None
        if use_causal_mask:
            later = causal(*shape(fit)[-2:])
            seen = later if seen is None else logical_and(expand_dims(seen, -2), later)
        if seen is not None:
            hidden = logical_not(cast(seen, "bool"))
            hidden = expand_dims(hidden, -2) if hidden.ndim == 2 else hidden
            fit = where(hidden, subtract(fit, 65504.0 if str(fit.dtype) == "float16" else 1e9), fit)
        parts = softmax(fit, -1)
        if training and self.dropout > 0:
            parts = random.dropout(parts, self.dropout, seed=self.seed_generator)
        output = matmul(parts, value)
        if mask and mask[0] is not None:
            output = where(expand_dims(cast(mask[0], "bool"), -1), output, 0)
        return (output, parts) if return_attention_scores else output

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the query."""
        return mask[0] if mask else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "use_scale": self.use_scale, "score_mode": self.score_mode, "dropout": self.dropout,
                "seed": self.seed}


@builtin("layers")
class AdditiveAttention(Attention):
    """softmax(sum(scale * tanh(query + key))) value: values, mixed by a sum over features (Bahdanau).

    Arguments: ``use_scale``: a trained factor for each feature; ``dropout`` of the weights in training. Call arguments and
    shapes as of `Attention`; scale (dim).
    Source: https://keras.io/api/layers/attention_layers/additive_attention/

    Example:

        >>> import graphnet
        >>> graphnet.layers.AdditiveAttention()([graphnet.Input((5, 8)), graphnet.Input((7, 8))]).shape
        (None, 5, 8)
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((input_shape[0][-1],), "glorot_uniform", name="scale")

    def scores(self, query: Any, key: Any) -> Any:
        terms = tanh(add(expand_dims(query, -2), expand_dims(key, -3)))
        return total(terms if self.scale is None else multiply(self.scale, terms), axis=-1)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["score_mode"]
        return config
