"""Adam and AdamW: moving averages of the gradient and its square, corrected for beginning at 0."""
from typing import Any

from graphnet import ops
from graphnet.optimizers.rule import Moments, power
from graphnet.registry import builtin


def corrected_rate(lr: Any, beta_1: float, beta_2: float, step: Any, dtype: str) -> Any:
    """learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)."""
    return lr * ops.sqrt(1 - power(beta_2, step, dtype)) / (1 - power(beta_1, step, dtype))


@builtin("optimizers", "adam")
class Adam(Moments):
    """m and v are moving averages of g and g^2; w - alpha * m / (sqrt(v) + epsilon).

    alpha = learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) in step t.

    Args:
        learning_rate: see `Optimizer`, as for the arguments that are not named here.
        beta_1: how much of m stays in a step.
        beta_2: how much of v stays in a step.
        epsilon: keeps the root away from 0; as Keras's, it stands beside the uncorrected root.
        amsgrad: whether the largest v so far stands in place of v.

    Source: https://arxiv.org/abs/1412.6980, https://keras.io/api/optimizers/adam/

    Example:

        >>> import numpy as np
        >>> from graphnet import Variable, optimizers
        >>> w = Variable([1.0, 1.0])
        >>> optimizers.Adam(0.25).apply([np.array([2.0, -3.0], "float32")], [w])
        >>> w.numpy().round(4)
        array([0.75, 1.25], dtype=float32)
    """

    arguments = (*Moments.arguments, "amsgrad")

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
                 amsgrad: bool = False, *common: Any, **kwargs: Any) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, *common, **kwargs)
        self.amsgrad = amsgrad

    def slot_groups(self) -> list[dict[str, Any]]:
        return super().slot_groups() + [{"velocity_hat": "zeros"}] * self.amsgrad

    def scalars(self, lr: Any, dtype: str) -> tuple[Any, ...]:
        return (corrected_rate(lr, self.beta_1, self.beta_2, self.step(dtype), dtype),)

    def update(self, w: Any, g: Any, slots: dict[str, Any], alpha: Any) -> None:
        m, v = slots["momentum"], slots["velocity"]
        self.approach(m, g, 1 - self.beta_1)
        self.approach(v, ops.square(g), 1 - self.beta_2)
        if self.amsgrad:
            largest = slots["velocity_hat"]
            self.assign(largest, ops.maximum(largest, v))
            v = largest
        self.assign_sub(w, m * alpha / (ops.sqrt(v) + self.epsilon))


@builtin("optimizers", "adamw")
class AdamW(Adam):
    """Adam with weight decay: before each step w becomes w - w * weight_decay * learning_rate.

    Raises ValueError for weight_decay=None. Source: https://arxiv.org/abs/1711.05101, https://keras.io/api/optimizers/adamw/

    Example:

        >>> import numpy as np
        >>> from graphnet import Variable, optimizers
        >>> w = Variable([1.0])
        >>> optimizers.AdamW(0.25, weight_decay=0.5).apply([np.array([2.0], "float32")], [w])
        >>> w.numpy().round(4)
        array([0.625], dtype=float32)
    """

    def __init__(self, learning_rate: Any = 0.001, weight_decay: float = 0.004, beta_1: float = 0.9, beta_2: float = 0.999,
                 epsilon: float = 1e-7, amsgrad: bool = False, *common: Any, **kwargs: Any) -> None:
        if weight_decay is None:
            raise ValueError("AdamW expects weight_decay to be a float; received None. Without decay it is Adam.")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, *common, **kwargs)
