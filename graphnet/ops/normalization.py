"""Moments, and what is scaled by them or by norms."""
import functools
import math
from collections.abc import Sequence
from typing import Any

from graphnet import config
from graphnet.errors import ShapeError
from graphnet.op import public
from graphnet.ops import elementwise as e
from graphnet.ops import reduction as r
from graphnet.ops.contraction import matmul
from graphnet.ops.convert import floating, normalize_axes, normalize_axis, shape, shown
from graphnet.ops.creation import tri
from graphnet.ops.moments import Moments
from graphnet.ops.scaling import Normalize, softmax
from graphnet.ops.shape import broadcast_to, expand_dims, moveaxis, reshape, squeeze


@public
def moments(x: Any, axes: int | Sequence[int], keepdims: bool = False, synchronized: bool = False) -> tuple[Any, Any]:
    """The mean and the variance of x over `axes`. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.moments([1.0, 3.0], 0)
        (array(2., dtype=float32), array(1., dtype=float32))
    """
    if synchronized:
        raise ValueError("moments expects synchronized=False: graphnet runs on one machine. Leave the argument out.")
    x = floating(x)
    mean, variance = Moments(normalize_axes(axes, x.ndim, "moments"), bool(keepdims))(x)
    return mean, variance


def _along(parameter: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """A parameter whose axes are those of x named by `axes`, shaped so that it broadcasts with x."""
    parameter = floating(parameter)
    extents = iter(shape(parameter))
    if parameter.ndim != len(axes):
        raise ShapeError(f"expected a parameter with ndim={len(axes)} for axis={axes} of an operand of shape {shown(shape(x))}; "
                         f"received shape {shown(shape(parameter))}.")
    target = [next(extents) if i in axes else 1 for i in range(x.ndim)]
    return parameter if x.ndim == len(axes) else reshape(parameter, target)


@functools.partial(public, class_name="BatchNorm")
def batch_normalization(x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None,
                        epsilon: float = 1e-3) -> Any:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset; the four have one number for each place of `axis`.

    Source: https://arxiv.org/abs/1502.03167

    Example:

        >>> from graphnet import ops
        >>> ops.batch_normalization([[1.0, 5.0]], [1.0, 3.0], [1.0, 4.0], axis=-1, epsilon=0.0)
        array([[0., 1.]], dtype=float32)
    """
    x = floating(x)
    axes = (normalize_axis(axis, x.ndim, "batch_normalization"),)
    factor = e.rsqrt(e.add(_along(variance, x, axes), epsilon))
    factor = factor if scale is None else e.multiply(factor, _along(scale, x, axes))
    shift = e.negative(e.multiply(_along(mean, x, axes), factor))
    shift = shift if offset is None else e.add(shift, _along(offset, x, axes))
    return e.add(e.multiply(x, factor), shift)


@functools.partial(public, class_name="LayerNorm")
def layer_normalization(x: Any, gamma: Any = None, beta: Any = None, axis: int | Sequence[int] = -1,
                        epsilon: float | None = None) -> Any:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, with the moments of x over `axis`. Source:
    https://arxiv.org/abs/1607.06450

    Example:

        >>> from graphnet import ops
        >>> ops.layer_normalization([[1.0, 3.0]], epsilon=0.0)
        array([[-1.,  1.]], dtype=float32)
    """
    x = floating(x)
    axes = normalize_axes(axis, x.ndim, "layer_normalization")
    y = Normalize(axes, config.epsilon() if epsilon is None else float(epsilon))(x)
    y = y if gamma is None else e.multiply(y, _along(gamma, x, axes))
    return y if beta is None else e.add(y, _along(beta, x, axes))


@functools.partial(public, class_name="RMSNorm")
def rms_normalization(x: Any, scale: Any = None, axis: int | Sequence[int] = -1, epsilon: float | None = None) -> Any:
    """x / sqrt(mean(x^2) + epsilon) * scale, with the mean over `axis`. Source: https://arxiv.org/abs/1910.07467

    Example:

        >>> from graphnet import ops
        >>> ops.rms_normalization([[3.0, -3.0]], epsilon=0.0)
        array([[ 1., -1.]], dtype=float32)
    """
    x = floating(x)
    axes = normalize_axes(axis, x.ndim, "rms_normalization")
    small = config.epsilon() if epsilon is None else float(epsilon)
    y = e.multiply(x, e.rsqrt(e.add(r.mean(e.square(x), axes, True), small)))
    return y if scale is None else e.multiply(y, _along(scale, x, axes))


@public
def normalize(x: Any, axis: int | Sequence[int] = -1, order: float = 2, epsilon: float | None = None) -> Any:
    """x divided by its norm of that order over `axis`, or by epsilon where that is larger. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.normalize([[3.0, 4.0]])
        array([[0.6, 0.8]], dtype=float32)
    """
    if not isinstance(order, (int, float)) or order < 1:
        raise ValueError(f"normalize expects order >= 1; received order={order!r}.")
    x = floating(x)
    small = config.epsilon() if epsilon is None else float(epsilon)
    axes = normalize_axes(axis, x.ndim, "normalize")
    if order == 2:
        return e.multiply(x, e.rsqrt(e.maximum(r.sum(e.square(x), axes, True), small * small)))
    return e.divide(x, e.maximum(vector_norm(x, order, axes, True), small))


def vector_norm(x: Any, order: float, axes: tuple[int, ...], keepdims: bool) -> Any:
    """The norm of the elements over axes: (sum |x|^order)^(1 / order)."""
    if order == 2:
        return e.sqrt(r.sum(e.square(x), axes, keepdims))
    size = e.absolute(x)
    if order == math.inf:
        return r.max(size, axes, keepdims)
    if order == -math.inf:
        return r.min(size, axes, keepdims)
    if order == 0:
        return r.sum(e.cast(e.not_equal(x, 0.0), x.dtype), axes, keepdims)
    if order == 1:
        return r.sum(size, axes, keepdims)
    return e.power(r.sum(e.power(size, float(order)), axes, keepdims), 1.0 / order)


@public
def norm(x: Any, ord: Any = None, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """The norm of vectors (one axis) or matrices (two axes); None with all axes: of all elements.

    ``ord``: a number, inf, -inf; of matrices 1, -1, inf, -inf or "fro". Source: https://keras.io/api/ops/linalg/

    Example:

        >>> from graphnet import ops
        >>> ops.norm([3.0, 4.0])
        array(5., dtype=float32)
    """
    x = floating(x)
    axes = tuple(range(x.ndim)) if axis is None else tuple(
        [normalize_axis(a, x.ndim, "norm") for a in ([axis] if isinstance(axis, int) else axis)])
    if ord is None or (ord == "fro" and len(axes) == 2):
        return vector_norm(x, 2, axes, keepdims)
    if len(axes) == 1 and isinstance(ord, (int, float)):
        return vector_norm(x, ord, axes, keepdims)
    if len(axes) == 2 and ord in (1, -1, math.inf, -math.inf):
        inner, outer = axes if abs(ord) == 1 else axes[::-1]  # sums along the rows' axis, then the extreme along the other
        sums = r.sum(e.absolute(x), inner, True)
        out = (r.max if ord > 0 else r.min)(sums, outer, True)
        return out if keepdims else squeeze(out, axes)
    raise ValueError(f"norm expects ord None, a number for one axis, or 1, -1, inf, -inf or 'fro' for two; received ord={ord!r} "
                     f"for axis={axes}.")


@public
def dot_product_attention(query: Any, key: Any, value: Any, bias: Any = None, mask: Any = None, scale: float | None = None,
                          is_causal: bool = False,
                          flash_attention: bool | None = None, attn_logits_soft_cap: float | None = None) -> Any:
    """softmax(scale * query key^T + bias) value, for each head; where the mask is False the weight is 0.

    Shapes: query (N, T, H, D), key and value (N, S, K, D) with K a divisor of H -> (N, T, H, D); bias and mask broadcast to
    (N, H, T, S).
    Source: https://arxiv.org/abs/1706.03762

    Example:

        >>> from graphnet import ops
        >>> x = ops.ones((1, 2, 1, 4))
        >>> ops.dot_product_attention(x, x, x)[0, :, 0, 0]
        array([1., 1.], dtype=float32)
    """
    q, k, v = floating(query), floating(key), floating(value)
    for name, operand in (("query", q), ("key", k), ("value", v)):
        if operand.ndim != 4:
            raise ShapeError(f"dot_product_attention expects {name} of shape (batch, steps, heads, features); received "
                             f"{shown(shape(operand))}.")
    heads, groups = shape(q)[2], shape(k)[2]
    if heads != groups:
        k, v = repeat_heads(k, heads // groups), repeat_heads(v, heads // groups)
    scale = 1.0 / math.sqrt(shape(q)[3]) if scale is None else scale
    logits = e.multiply(matmul(moveaxis(q, 2, 1), moveaxis(k, (2, 3), (1, 2))), scale)
    if attn_logits_soft_cap is not None:
        logits = e.multiply(e.tanh(e.divide(logits, attn_logits_soft_cap)), attn_logits_soft_cap)
    if bias is not None:
        logits = e.add(logits, bias)
    low = -0.7 * 3.4e38 if logits.dtype != "float16" else -3e4
    if mask is not None:
        logits = e.where(mask, logits, low)
    if is_causal:
        steps, sources = shape(logits)[-2:]
        logits = e.where(tri(steps, sources, dtype="bool"), logits, low)
    return moveaxis(matmul(softmax(logits, -1), moveaxis(v, 2, 1)), 1, 2)


def repeat_heads(x: Any, times: int) -> Any:
    """Heads that several queries share, once for each of them: (N, S, K, D) -> (N, S, K * times, D)."""
    extents = shape(x)
    wide = broadcast_to(expand_dims(x, 3), (*extents[:3], times, extents[3]))
    return reshape(wide, (*extents[:2], extents[2] * times, extents[3]))


__all__ = ["batch_normalization", "dot_product_attention", "layer_normalization", "moments", "norm", "normalize",
           "rms_normalization"]
