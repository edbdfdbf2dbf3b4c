"""What happens to gradients before an optimizer uses them: checks, and clipping by value, by norm, by the norm of all."""
import warnings
from collections.abc import Sequence
from typing import Any

from graphnet import ops
from graphnet.errors import ShapeError
from graphnet.graph import Variable

Pairs = list[tuple[Any, Variable]]


def present(gradients: Sequence[Any], variables: Sequence[Variable], who: str) -> Pairs:
    """(gradient, variable) for each variable that has a gradient; one warning names those that have none.

    Raises ValueError where the numbers differ or no gradient is there, ShapeError where a gradient has not its variable's
    shape.
    """
    if len(gradients) != len(variables):
        raise ValueError(f"{who} expects one gradient for each of the {len(variables)} variables; received {len(gradients)}. "
                         "Give None for a variable that has none.")
    missing = [v.path for g, v in zip(gradients, variables, strict=True) if g is None]
    if len(missing) == len(variables):
        raise ValueError(f"{who} received no gradient for any of its {len(variables)} variables ({_few(missing)}): the loss "
                         "does not depend on them. Does the model's output reach the loss?")
    if missing:
        warnings.warn(f"{who}: no gradients for the variables {_few(missing)}; they stay as they are. The loss does "
                      "not depend on them: is an output without a loss, or are these layers to be frozen by trainable = False?",
                      stacklevel=4)
    pairs = [(ops.convert_to_tensor(g), v) for g, v in zip(gradients, variables, strict=True) if g is not None]
    for g, v in pairs:
        if tuple(g.shape) != v.shape:
            raise ShapeError(f"{who} expects a gradient of shape {v.shape} for variable {v.path!r}; received shape "
                             f"{tuple(g.shape)}. Gradients come in the order of the variables.")
    return pairs


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def clip_by_norm(gradients: Sequence[Any], limit: float) -> list[Any]:
    """Each gradient scaled down to a norm of `limit` where its own is larger: g * limit / max(|g|, limit)."""
    return [g * limit * (1.0 / ops.maximum(ops.sqrt(ops.sum(ops.square(g))), limit)) for g in gradients]


def global_norm(gradients: Sequence[Any]) -> Any:
    """sqrt(sum of the squares of all elements of all gradients)."""
    return ops.sqrt(ops.sum(ops.stack([ops.sum(ops.square(g)) for g in gradients])))


def clip_by_global_norm(gradients: Sequence[Any], limit: float) -> list[Any]:
    """All gradients scaled by one factor, limit * min(1 / norm, 1 / limit), where norm is that of all together.

    A norm that is infinite or NaN makes all of them NaN (norm - norm is NaN then), so that no step is half right.
    """
    norm = global_norm(gradients)
    scale = limit * ops.minimum(1.0 / norm, 1.0 / limit) + (norm - norm)
    return [g * scale for g in gradients]


def clip_by_value(gradients: Sequence[Any], limit: float) -> list[Any]:
    """Each element held between -limit and limit."""
    return [ops.clip(g, -float(limit), float(limit)) for g in gradients]
