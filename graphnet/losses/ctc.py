"""Connectionist temporal classification: the likelihood of a row of labels, whatever steps of the output they fall to."""
from typing import Any

from graphnet import ops
from graphnet.errors import ShapeError, UnsupportedError
from graphnet.losses.loss import KIND, FunctionLoss
from graphnet.ops.convert import shown
from graphnet.registry import builtin

_NEVER = -1e5  # the logarithm of a probability of (nearly) nothing: finite, so that gradients stay finite
_BLANK = 0


@builtin(KIND)
def ctc(y_true: Any, y_pred: Any) -> Any:
    """-log of the sum, over all ways to spread the labels over the steps, of the product of their probabilities.

    Arguments: ``y_true`` (batch, labels) class numbers, 0 where a row ends before; ``y_pred`` (batch, steps, classes) logits,
    class
    0 is the blank between labels. Result (batch,).
    Raises ShapeError for other shapes, UnsupportedError where steps or labels are of unknown length: in a graph the recursion
    over
    steps has one stretch of nodes for each.
    Source: https://www.cs.toronto.edu/~graves/icml_2006.pdf

    Example:

        >>> import numpy as np
        >>> from graphnet import losses
        >>> losses.ctc([[1, 2]], np.zeros((1, 2, 3), "float32"))  # log(9)
        array([2.1972246], dtype=float32)
    """
    y_true, y_pred = ops.cast(y_true, "int32"), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) != 2 or len(y_pred.shape) != 3:
        raise ShapeError("ctc expects labels y_true of shape (batch, labels) and logits y_pred of shape (batch, steps, "
                         "classes); received "
                         f"{shown(ops.shape(y_true))} and {shown(ops.shape(y_pred))}.")
    if None in y_pred.shape[1:] or y_true.shape[1] is None:
        raise UnsupportedError("ctc expects a known number of steps, classes and labels; received y_true of shape "
                               f"{shown(ops.shape(y_true))} and y_pred of shape {shown(ops.shape(y_pred))}. Give the model's "
                               "Input its "
                               "number of steps, and pad the rows of labels to one length.")
    emitted, blank, repeats = _scores(y_true, y_pred)
    never = ops.full_like(ops.cast(y_true, y_pred.dtype), _NEVER)  # (batch, labels)
    # after each step: open[n], n labels are emitted and a blank (or nothing) came last; last[n], label n came last
    state = ops.pad(never, ((0, 0), (1, 0)), constant_values=0.0), never
    for t in range(y_pred.shape[1]):
        state = _step(state, emitted[:, t], blank[:, t:t + 1], repeats)
    opened = _raised(*state)
    count = ops.sum(ops.cast(ops.not_equal(y_true, _BLANK), "int32"), -1)
    return ops.negative(ops.sum(ops.multiply(opened, ops.one_hot(count, y_true.shape[1] + 1, dtype=opened.dtype)), -1))


def _scores(y_true: Any, y_pred: Any) -> tuple[Any, Any, Any]:
    """Logarithms of probabilities of each label at each step (B, T, N), of the blank (B, T), and where a label is followed by
    itself."""
    scores = ops.log_softmax(y_pred)
    chosen = ops.one_hot(y_true, y_pred.shape[-1], dtype=y_pred.dtype)
    emitted = ops.matmul(scores, ops.transpose(chosen, (0, 2, 1)))
    repeats = ops.pad(ops.cast(ops.equal(y_true[:, :-1], y_true[:, 1:]), y_pred.dtype), ((0, 0), (0, 1)))
    return emitted, scores[:, :, _BLANK], repeats


def _raised(opened: Any, added: Any) -> Any:
    """The open states, with what comes from the label before them."""
    return ops.concatenate([opened[:, :1], ops.logaddexp(opened[:, 1:], added)], -1)


def _step(state: tuple[Any, Any], emitted: Any, blank: Any, repeats: Any) -> tuple[Any, Any]:
    """The states after one more step: a label emitted, or the blank. Equal labels in a row need a blank between them."""
    opened, last = state
    ready = _raised(opened, ops.add(last, ops.multiply(repeats, _NEVER)))
    kept = ops.add(ops.add(last, blank), ops.multiply(ops.subtract(1.0, repeats), _NEVER))
    return _raised(ops.add(ready, blank), kept), ops.add(ops.logaddexp(ready[:, :-1], last), emitted)


@builtin(KIND)
class CTC(FunctionLoss):
    """Connectionist temporal classification of logits: see `ctc` and `Loss`.

    Example:

        >>> import numpy as np
        >>> from graphnet import losses
        >>> losses.CTC()([[1, 2]], np.zeros((1, 2, 3), "float32"))  # log(9)
        array(2.1972246, dtype=float32)
    """

    function = staticmethod(ctc)


__all__ = ["CTC", "ctc"]
