"""Adagrad: each element's steps shrink with the sum of its squared gradients."""
from typing import Any

from graphnet import initializers, ops
from graphnet.optimizers.rule import Rule
from graphnet.registry import builtin


@builtin("optimizers", "adagrad")
class Adagrad(Rule):
    """a = a + g^2; w - learning_rate * g / sqrt(a + epsilon).

    Args:
        learning_rate: see `Optimizer`, as for the arguments that are not named here.
        initial_accumulator_value: where the sums a begin.
        epsilon: keeps the root away from 0.

    Source: https://www.jmlr.org/papers/volume12/duchi11a/duchi11a.pdf, https://keras.io/api/optimizers/adagrad/

    Example:

        >>> import numpy as np
        >>> from graphnet import Variable, optimizers
        >>> w = Variable([1.0])
        >>> optimizers.Adagrad(0.5, initial_accumulator_value=0.0).apply([np.array([2.0], "float32")], [w])
        >>> w.numpy().round(4)
        array([0.5], dtype=float32)
    """

    arguments = ("initial_accumulator_value", "epsilon")

    def __init__(self, learning_rate: Any = 0.001, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7, *common: Any,
                 **kwargs: Any) -> None:
        super().__init__(learning_rate, *common, **kwargs)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def slot_groups(self) -> list[dict[str, Any]]:
        return [{"accumulator": initializers.Constant(self.initial_accumulator_value)}]

    def update(self, w: Any, g: Any, slots: dict[str, Any], lr: Any) -> None:
        a = slots["accumulator"]
        self.assign_add(a, ops.square(g))
        self.assign_sub(w, lr * g / ops.sqrt(a + self.epsilon))
