"""Circle loss: embeddings of one class drawn together, those of others apart."""
from typing import Any

from graphnet import ops
from graphnet.errors import ShapeError
from graphnet.losses.loss import KIND, LossFunctionWrapper
from graphnet.masking import set_mask
from graphnet.ops.convert import shown
from graphnet.registry import builtin

_NOTHING = -1e9  # the logarithm of what a pair that is left out adds: finite, so that samples without pairs have gradients


def _pairs(labels: Any, others: Any, remove_diagonal: bool) -> tuple[Any, Any]:
    """Which pairs have one label (without each with itself, if so asked), and which have not."""
    labels, others = (ops.reshape(x, (-1,)) for x in (labels, others))
    same = ops.equal(ops.expand_dims(labels, 1), ops.expand_dims(others, 0))
    different = ops.logical_not(same)
    if remove_diagonal:
        row, column = (ops.arange(ops.shape(x)[0]) for x in (labels, others))
        own = ops.equal(ops.expand_dims(row, 1), ops.expand_dims(column, 0))
        same = ops.logical_and(same, ops.logical_not(own))
    return same, different


@builtin(KIND)
def circle(y_true: Any, y_pred: Any, ref_labels: Any = None, ref_embeddings: Any = None, remove_diagonal: bool = True,
           gamma: float = 80, margin: float = 0.4) -> Any:
    """softplus(logsumexp over pairs of one class + logsumexp over pairs of two) for each sample, from cosine distances d.

    A pair of one class counts -gamma * max(margin + d, 0) * (margin - d), one of two gamma * max(1 + margin - d, 0) * (1 -
    margin - d).
    Arguments: class numbers (N,) or (N, 1); embeddings (N, D) of length 1; others to compare with, by default the same;
    ``remove_diagonal`` leaves out the pairs of a sample with itself. Result (N,), masked where it is 0.
    Raises ShapeError for other shapes. Source: https://arxiv.org/abs/2002.10857

    Example:

        >>> from graphnet import losses
        >>> losses.circle([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])[0] < 1e-6
        np.True_
    """
    y_pred, y_true = ops.convert_to_tensor(y_pred), ops.cast(y_true, "int32")
    if len(y_pred.shape) != 2:
        raise ShapeError(f"circle expects embeddings y_pred of shape (batch, dimension); received {shown(ops.shape(y_pred))}.")
    others = y_pred if ref_embeddings is None else ops.convert_to_tensor(ref_embeddings)
    same, different = _pairs(y_true, y_true if ref_labels is None else ops.cast(ref_labels, "int32"), remove_diagonal)
    d = ops.maximum(ops.subtract(1.0, ops.matmul(y_pred, ops.transpose(others))), 0.0)

    def gathered(which: Any, weight: Any, distance: Any, sign: float) -> Any:
        value = ops.multiply(ops.multiply(ops.maximum(weight, 0.0), distance), sign * gamma)
        return ops.logsumexp(ops.where(which, value, _NOTHING), 1)
    near = gathered(same, ops.add(d, margin), ops.subtract(margin, d), -1.0)
    far = gathered(different, ops.subtract(1.0 + margin, d), ops.subtract(1.0 - margin, d), 1.0)
    values = ops.softplus(ops.add(near, far))
    set_mask(values, ops.greater(values, 0.0))
    return values


@builtin(KIND)
class Circle(LossFunctionWrapper):
    """Draws embeddings of one class together and those of others apart: see `circle` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.Circle()([0, 1], [[1.0, 0.0], [0.0, 1.0]])
        array(0., dtype=float32)
    """

    def __init__(self, gamma: float = 80.0, margin: float = 0.4, remove_diagonal: bool = True,
                 reduction: str | None = "sum_over_batch_size", name: str | None = "circle", dtype: Any = None) -> None:
        super().__init__(circle, reduction, name, dtype, gamma=gamma, margin=margin, remove_diagonal=remove_diagonal)


__all__ = ["Circle", "circle"]
