"""How labels, predictions and weights are brought to fit, and what is said where they do not."""
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from graphnet import dtypes, ops
from graphnet.dims import Dim
from graphnet.errors import ShapeError
from graphnet.graph import Tensor
from graphnet.op import NAMES, broadcast
from graphnet.ops.convert import shown
from graphnet.tracing import current

_PROBABILITIES, _LINEAR = {"softmax", "sigmoid"}, {"mat_mul", "conv"}


def automatic_name(kind: type) -> str:
    """Keras's name for an object that was given none: MeanMetricWrapper -> mean_metric_wrapper, mean_metric_wrapper_1, ..."""
    words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", kind.__name__)
    return NAMES.unique(re.sub("([a-z])([A-Z])", r"\1_\2", words).lower())


def compute_dtype(dtype: Any) -> str:
    """The dtype in which a loss or a metric computes: that of a name, of a policy ("mixed_float16"), or of a policy's
    config."""
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name")
    dtype = getattr(dtype, "compute_dtype", dtype)
    return dtypes.standardize_dtype(dtype.removeprefix("mixed_") if isinstance(dtype, str) else dtype)


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Nodes made within carry this name, so that reports and drawings say whose they are."""
    trace = current()
    if trace is None:
        yield
        return
    trace.scope.append(name)
    try:
        yield
    finally:
        trace.scope.pop()


def squeeze_or_expand_to_same_rank(x1: Any, x2: Any, expand_rank_1: bool = True) -> tuple[Any, Any]:
    """Two operands whose ranks differ by one, brought to one rank where the longer ends in an axis of extent 1.

    That axis is dropped, or added to the other operand where this is a row and `expand_rank_1` allows it.
    """
    longer, shorter = (x1, x2) if len(x1.shape) > len(x2.shape) else (x2, x1)
    if len(longer.shape) == len(shorter.shape) + 1 and longer.shape[-1] == 1:
        if len(shorter.shape) == 1 and expand_rank_1:
            shorter = ops.expand_dims(shorter, -1)
        else:
            longer = ops.squeeze(longer, -1)
    return (longer, shorter) if len(x1.shape) > len(x2.shape) else (shorter, longer)


def operands(who: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Labels and predictions as tensors of the predictions' dtype and, where that is possible, of one rank.

    Raises ShapeError where they do not fit.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true, y_pred = squeeze_or_expand_to_same_rank(ops.cast(y_true, y_pred.dtype), y_pred)
    expect_broadcast(who, y_true, y_pred)
    return y_true, y_pred


def expect_broadcast(who: str, y_true: Any, y_pred: Any, names: str = "y_true and y_pred") -> None:
    """ShapeError where the two do not broadcast."""
    a, b = ops.shape(y_true), ops.shape(y_pred)
    try:
        if len(b) > len(a) > 0 and names == "values and sample_weight":
            raise ShapeError("more weights than values")
        broadcast([a, b])
    except ShapeError:
        raise ShapeError(f"{who} expects {names} of shapes that fit each other; received {shown(a)} and {shown(b)}. Each axis "
                         "of "
                         "the labels has the extent that the model's output has there: compare y.shape with model.output_shape."
                         if names == "y_true and y_pred" else
                         f"{who} expects {names} that fit each other; received shapes {shown(a)} and {shown(b)}. "
                         "A weight for each sample has shape (batch,); one for each of the values has the values' "
                         "shape.") from None


def expect_same_shape(who: str, y_true: Any, y_pred: Any, mend: str = "") -> None:
    """ShapeError where the two have different shapes; unknown extents fit any other."""
    a, b = ops.shape(y_true), ops.shape(y_pred)
    if len(a) != len(b) or any(type(i) is int and type(j) is int and i != j for i, j in zip(a, b, strict=True)):
        raise ShapeError(f"{who} expects y_true and y_pred of one shape; received {shown(a)} and {shown(b)}. "
                         + (mend or "Compare y.shape with model.output_shape."))


def expect_logits(who: str, y_pred: Any, from_logits: bool) -> None:
    """Warns where a traced graph shows that predictions are not what `from_logits` says of them."""
    if type(y_pred) is not Tensor:
        return
    maker = y_pred.node.op.name
    before = [t.node.op.name for t in y_pred.node.inputs] if maker == "add" else []  # what a bias was added to
    if from_logits and maker in _PROBABILITIES:
        warnings.warn(f"{who} received from_logits=True, but y_pred comes from a {maker}: these are probabilities already. Use "
                      "from_logits=False, or leave the activation out of the last layer.", stacklevel=2)
    if not from_logits and _LINEAR.intersection([maker, *before]):
        warnings.warn(f"{who} received from_logits=False, but y_pred comes from a layer without an activation, so it may be "
                      "negative "
                      "and is no probability. Use from_logits=True, or give the last layer activation='softmax' or 'sigmoid'.",
                      stacklevel=2)


def holds_none(shape: tuple[Any, ...]) -> bool:
    """Whether a tensor of that shape is known to be empty."""
    return any(type(s) is not Dim and s == 0 for s in shape)
