"""What attention layers share: which step may see which, and softmax over what may be seen."""
from typing import Any

from graphnet.errors import UnsupportedError
from graphnet.layers.activations.softmax import masked
from graphnet.ops.convert import cast, shape
from graphnet.ops.creation import arange, tri
from graphnet.ops.elementwise import absolute, less, logical_and, subtract, where
from graphnet.ops.scaling import softmax
from graphnet.ops.shape import expand_dims, reshape


def causal(queries: Any, keys: Any) -> Any:
    """A mask (1, queries, keys): no step sees a later one."""
    return expand_dims(tri(queries, keys, dtype="bool"), 0)


def window(queries: Any, keys: Any, width: int) -> Any:
    """A mask (1, queries, keys): each step sees those less than `width` steps away."""
    apart = subtract(reshape(arange(queries, dtype="int32"), (1, queries, 1)),
                     reshape(arange(keys, dtype="int32"), (1, 1, keys)))
    return less(absolute(apart), width)


def both(a: Any, b: Any) -> Any:
    """Two masks in one; either may be None."""
    return b if a is None else a if b is None else logical_and(a, b)


def joined(query: Any, value: Any, query_mask: Any, value_mask: Any, key_mask: Any, attention_mask: Any, use_causal_mask: bool,
           sliding_window: int | None) -> Any:
    """All that limits which query sees which value, as one mask (batch or 1, queries, values); None where nothing does."""
    mask = None if query_mask is None else expand_dims(cast(query_mask, "bool"), -1)
    for other in (value_mask, key_mask):
        mask = both(mask, None if other is None else expand_dims(cast(other, "bool"), -2))
    lengths = shape(query)[1], shape(value)[1]
    if use_causal_mask:
        mask = both(mask, causal(*lengths))
    if sliding_window is not None:
        mask = both(mask, window(*lengths, sliding_window))
    return both(None if attention_mask is None else cast(attention_mask, "bool"), mask)


def weights(scores: Any, mask: Any, zeros: bool) -> Any:
    """Softmax of the scores over their last axis; what the mask hides gets 0.

    A row in which all is hidden gets equal weights, or with `zeros` none.
    """
    if mask is None:
        return softmax(scores, -1)
    y = softmax(masked(scores, mask), -1)
    return where(mask, y, 0.0) if zeros else y


def refuse_window(sliding_window: Any, who: str) -> None:
    if sliding_window is not None and (not isinstance(sliding_window, int) or sliding_window <= 0):
        raise ValueError(f"{who} expects sliding_window to be a positive whole number or None; received "
                         f"sliding_window={sliding_window!r}.")


def refuse_flash(flash_attention: Any, dropout: float, who: str) -> None:
    """flash_attention asks for a kernel that graphnet needs no switch for; with dropout Keras refuses it, and so do we."""
    if flash_attention and dropout > 0:
        raise UnsupportedError(f"{who} does not combine flash_attention with dropout; received dropout={dropout}. Leave "
                               "flash_attention out.")
