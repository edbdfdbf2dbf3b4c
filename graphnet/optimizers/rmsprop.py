"""RMSprop: gradients over the root of their recent mean square."""
from typing import Any

from graphnet import ops
from graphnet.optimizers.rule import Rule
from graphnet.registry import builtin


@builtin("optimizers", "rmsprop")
class RMSprop(Rule):
    """v = rho * v + (1 - rho) * g^2; w - learning_rate * g / sqrt(v + epsilon).

    Args:
        learning_rate: see `Optimizer`, as for the arguments that are not named here.
        rho: how much of the mean square of before stays.
        momentum: if above 0, steps are gathered: m = momentum * m + step, w - m.
        epsilon: keeps the root away from 0.
        centered: whether the variance stands in place of the mean square: v - a^2, where a is the moving average of g.

    Source: https://keras.io/api/optimizers/rmsprop/

    Example:

        >>> import numpy as np
        >>> from graphnet import Variable, optimizers
        >>> w = Variable([1.0])
        >>> optimizers.RMSprop(0.5, rho=0.75).apply([np.full(1, 3.0, "float32")], [w])
        >>> w.numpy().round(4)
        array([0.], dtype=float32)
    """

    arguments = ("rho", "momentum", "epsilon", "centered")

    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7,
                 centered: bool = False, *common: Any, **kwargs: Any) -> None:
        super().__init__(learning_rate, *common, **kwargs)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered

    def slot_groups(self) -> list[dict[str, Any]]:
        names = ["velocity"] + ["momentum"] * (self.momentum > 0) + ["average_gradient"] * self.centered
        return [{name: "zeros"} for name in names]

    def update(self, w: Any, g: Any, slots: dict[str, Any], lr: Any) -> None:
        v, rho = slots["velocity"], self.rho
        self.assign(v, rho * v + (1 - rho) * ops.square(g))
        if self.centered:
            a = slots["average_gradient"]
            self.assign(a, rho * a + (1 - rho) * g)
            spread = v - ops.square(a) + self.epsilon
        else:
            spread = v + self.epsilon
        step = lr * g / ops.sqrt(spread)
        if self.momentum > 0:
            m = slots["momentum"]
            self.assign(m, self.momentum * m + step)
            step = m
        self.assign_sub(w, step)
