"""Adamax: Adam with the largest recent gradient in place of the root of the mean square."""
from typing import Any

from graphnet import ops
from graphnet.optimizers.rule import Moments, power
from graphnet.registry import builtin


@builtin("optimizers", "adamax")
class Adamax(Moments):
    """w - learning_rate * m / ((1 - beta_1^t) * (u + epsilon)) in step t.

    m is the moving average of g, and u = max(beta_2 * u, |g|).

    Args:
        learning_rate: see `Optimizer`, as for the arguments that are not named here.
        beta_1: how much of m stays in a step.
        beta_2: how much of u stays in a step.
        epsilon: keeps the divisor away from 0.

    Source: https://arxiv.org/abs/1412.6980 (section 7), https://keras.io/api/optimizers/adamax/

    Example:

        >>> import numpy as np
        >>> from graphnet import Variable, optimizers
        >>> w = Variable([1.0])
        >>> optimizers.Adamax(0.25).apply([np.array([2.0], "float32")], [w])
        >>> w.numpy().round(4)
        array([0.75], dtype=float32)
    """

    second = "norm"

    def scalars(self, lr: Any, dtype: str) -> tuple[Any, ...]:
        return lr, 1 - power(self.beta_1, self.step(dtype), dtype)

    def update(self, w: Any, g: Any, slots: dict[str, Any], lr: Any, correction: Any) -> None:
        m, u = slots["momentum"], slots["norm"]
        self.approach(m, g, 1 - self.beta_1)
        self.assign(u, ops.maximum(self.beta_2 * u, ops.absolute(g)))
        self.assign_sub(w, lr * m / (correction * (u + self.epsilon)))
