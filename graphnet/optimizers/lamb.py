"""Lamb: Adam's step, scaled by the norm of each variable, for large batches."""
from typing import Any

from graphnet import ops
from graphnet.optimizers.rule import Moments, power
from graphnet.registry import builtin


@builtin("optimizers", "lamb")
class Lamb(Moments):
    """d = m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon) as in Adam; w - learning_rate * d * |w| / |d|.

    The ratio of the norms is 1 where either is 0.

    Args:
        learning_rate: see `Optimizer`, as for the arguments that are not named here.
        beta_1: how much of m stays in a step.
        beta_2: how much of v stays in a step.
        epsilon: keeps the root away from 0.

    Source: https://arxiv.org/abs/1904.00962, https://keras.io/api/optimizers/lamb/

    Example:

        >>> import numpy as np
        >>> from graphnet import Variable, optimizers
        >>> w = Variable([4.0])
        >>> optimizers.Lamb(0.25).apply([np.array([2.0], "float32")], [w])
        >>> w.numpy().round(4)
        array([3.], dtype=float32)
    """

    def scalars(self, lr: Any, dtype: str) -> tuple[Any, ...]:
        t = self.step(dtype)
        return lr, 1.0 / (1.0 - power(self.beta_1, t, dtype)), 1.0 / (1.0 - power(self.beta_2, t, dtype))

    def update(self, w: Any, g: Any, slots: dict[str, Any], lr: Any, over_1: Any, over_2: Any) -> None:
        m, v = slots["momentum"], slots["velocity"]
        self.approach(m, g, 1 - self.beta_1)
        self.approach(v, ops.square(g), 1 - self.beta_2)
        step = m * over_1 / (ops.sqrt(v * over_2) + self.epsilon)
        w_norm, norm = ops.sqrt(ops.sum(ops.square(w))), ops.sqrt(ops.sum(ops.square(step)))
        ratio = ops.where(ops.logical_and(ops.greater(w_norm, 0), ops.greater(norm, 0)), w_norm / norm, 1.0)
        self.assign_sub(w, ratio * lr * step)
