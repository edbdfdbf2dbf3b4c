"""Lion: steps of one size, along the sign of a momentum."""
from typing import Any

from graphnet import ops
from graphnet.optimizers.rule import Rule
from graphnet.registry import builtin


@builtin("optimizers", "lion")
class Lion(Rule):
    """w - learning_rate * sign(beta_1 * m + (1 - beta_1) * g); then m = beta_2 * m + (1 - beta_2) * g.

    Args:
        learning_rate: see `Optimizer`, as for the arguments that are not named here. A tenth of Adam's is a good beginning.
        beta_1: the share of m in the step; above 0 and at most 1, else ValueError.
        beta_2: how much of m stays in a step.

    Source: https://arxiv.org/abs/2302.06675, https://keras.io/api/optimizers/lion/

    Example:

        >>> import numpy as np
        >>> from graphnet import Variable, optimizers
        >>> w = Variable([1.0, 1.0])
        >>> optimizers.Lion(0.25).apply([np.array([2.0, -0.1], "float32")], [w])
        >>> w.numpy()
        array([0.75, 1.25], dtype=float32)
    """

    arguments = ("beta_1", "beta_2")

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, *common: Any,
                 **kwargs: Any) -> None:
        super().__init__(learning_rate, *common, **kwargs)
        if not 0 < beta_1 <= 1:
            raise ValueError(f"Lion expects beta_1 above 0 and at most 1 (at 0 it would be the sign of the gradient "
                             f"alone); received {beta_1!r}.")
        self.beta_1, self.beta_2 = beta_1, beta_2

    def slot_groups(self) -> list[dict[str, Any]]:
        return [{"momentum": "zeros"}]

    def update(self, w: Any, g: Any, slots: dict[str, Any], lr: Any) -> None:
        m, beta_1, beta_2 = slots["momentum"], ops.cast(self.beta_1, w.dtype), ops.cast(self.beta_2, w.dtype)
        self.assign_sub(w, lr * ops.sign(m * beta_1 + g * (1.0 - beta_1)))
        self.assign(m, m * beta_2 + g * (1.0 - beta_2))
