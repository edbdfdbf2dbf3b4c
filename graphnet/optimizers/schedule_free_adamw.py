"""ScheduleFreeAdamW: Adam that averages its path, in place of a learning rate that decays."""
from typing import Any

from graphnet import ops
from graphnet.graph import Variable
from graphnet.optimizers.rule import Moments, power
from graphnet.registry import builtin


@builtin("optimizers", "schedulefreeadamw")
class ScheduleFreeAdamW(Moments):
    """w = (1 - beta_1) * z + beta_1 * x, where z is a path of Adam's steps, and x its mean.

    z - learning_rate * g / (sqrt(v / (1 - beta_2^t)) + epsilon) in step t, where v is the moving average of g^2.
    x is not kept: it is what w and z of before say.

    Args:
        learning_rate: see `Optimizer`, as for the arguments that are not named here.
        beta_1: how near to the mean w lies.
        beta_2: how much of v stays in a step.
        epsilon: keeps the root away from 0.
        warmup_steps: the learning rate rises linearly within so many steps.

    Source: https://arxiv.org/abs/2405.15682, https://keras.io/api/optimizers/

    Example:

        >>> import numpy as np
        >>> from graphnet import Variable, optimizers
        >>> w = Variable([1.0])
        >>> optimizers.ScheduleFreeAdamW(0.25).apply([np.array([2.0], "float32")], [w])
        >>> w.numpy().round(4)
        array([0.75], dtype=float32)
    """

    arguments = (*Moments.arguments, "warmup_steps")

    def __init__(self, learning_rate: Any = 0.0025, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8,
                 warmup_steps: int = 0, *common: Any, **kwargs: Any) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, *common, **kwargs)
        self.warmup_steps = warmup_steps

    def add_variable_from_reference(self, reference_variable: Variable, name: str | None = None,
                                    initializer: Any = "zeros") -> Variable:
        """The path begins where the variable is."""
        return super().add_variable_from_reference(reference_variable, name,
                                                   reference_variable.value.copy() if name == "momentum" else initializer)

    def scalars(self, lr: Any, dtype: str) -> tuple[Any, ...]:
        t = self.step(dtype)
        if self.warmup_steps > 0:
            lr = lr * ops.minimum(t / ops.cast(self.warmup_steps, dtype), 1.0)
        weight = 1.0 / t
        return lr, 1.0 / (1 - power(self.beta_2, t, dtype)), weight, 1 - weight

    def update(self, w: Any, g: Any, slots: dict[str, Any], lr: Any, over_v: Any, weight: Any, rest: Any) -> None:
        z, v = slots["momentum"], slots["velocity"]
        beta_1, share = ops.cast(self.beta_1, w.dtype), 1 - ops.cast(self.beta_1, w.dtype)
        self.approach(v, ops.square(g), 1 - ops.cast(self.beta_2, w.dtype))
        mean = (w - share * z) * (1.0 / beta_1)
        self.assign_sub(z, lr * g / (ops.sqrt(v * over_v) + self.epsilon))
        mean = rest * mean + weight * z
        self.assign(w, share * z + beta_1 * mean)
