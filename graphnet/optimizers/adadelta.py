"""Adadelta: steps in the units of the variable, from the recent sizes of gradients and of steps."""
from typing import Any

from graphnet import ops
from graphnet.optimizers.rule import Rule
from graphnet.registry import builtin


@builtin("optimizers", "adadelta")
class Adadelta(Rule):
    """d = -g * sqrt(s + epsilon) / sqrt(a + epsilon); w + learning_rate * d.

    a = rho * a + (1 - rho) * g^2 before, and s = rho * s + (1 - rho) * d^2 behind it.

    Args:
        learning_rate: see `Optimizer`, as for the arguments that are not named here. The paper's is 1.0.
        rho: how much of the mean squares a and s stays in a step.
        epsilon: keeps the roots away from 0.

    Source: https://arxiv.org/abs/1212.5701, https://keras.io/api/optimizers/adadelta/

    Example:

        >>> import numpy as np
        >>> from graphnet import Variable, optimizers
        >>> w = Variable([1.0])
        >>> optimizers.Adadelta(1.0, rho=0.75, epsilon=0.25).apply([np.array([1.0], "float32")], [w])
        >>> w.numpy().round(4)
        array([0.2929], dtype=float32)
    """

    arguments = ("rho", "epsilon")

    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, *common: Any,
                 **kwargs: Any) -> None:
        super().__init__(learning_rate, *common, **kwargs)
        self.rho, self.epsilon = rho, epsilon

    def slot_groups(self) -> list[dict[str, Any]]:
        return [{"accumulated_grad": "zeros", "accumulated_delta_var": "zeros"}]

    def update(self, w: Any, g: Any, slots: dict[str, Any], lr: Any) -> None:
        a, s, rho = slots["accumulated_grad"], slots["accumulated_delta_var"], self.rho
        self.assign(a, rho * a + (1 - rho) * ops.square(g))
        delta = -(ops.sqrt(s + self.epsilon) * g / ops.sqrt(a + self.epsilon))
        self.assign(s, rho * s + (1 - rho) * ops.square(delta))
        self.assign_add(w, lr * delta)
