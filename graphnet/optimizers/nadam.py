"""Nadam: Adam that looks ahead along its momentum."""
from typing import Any

from graphnet import ops
from graphnet.dtypes import floatx
from graphnet.graph import Variable
from graphnet.optimizers.rule import Moments, power
from graphnet.registry import builtin

DECAY = 0.96  # of the momentum's schedule


@builtin("optimizers", "nadam")
class Nadam(Moments):
    """m and v are moving averages of g and g^2; w - learning_rate * m' / (sqrt(v / (1 - beta_2^t)) + epsilon) in step t.

    m' = u_next * m / (1 - p * u_next) + (1 - u) * g / (1 - p), where u = beta_1 * (1 - 0.96^t / 2) is the momentum of this
    step, u_next that of the next, and p the product of all u so far.

    Args:
        learning_rate: see `Optimizer`, as for the arguments that are not named here.
        beta_1: how much of m stays in a step.
        beta_2: how much of v stays in a step.
        epsilon: keeps the root away from 0.

    Source: http://cs229.stanford.edu/proj2015/054_report.pdf, https://keras.io/api/optimizers/Nadam/

    Example:

        >>> import numpy as np
        >>> from graphnet import Variable, optimizers
        >>> w = Variable([1.0])
        >>> optimizers.Nadam(0.25).apply([np.array([2.0], "float32")], [w])
        >>> bool(w.numpy()[0] < 0.76)
        True
    """

    def build(self, variables: Any) -> None:
        if self.built:
            return
        super().build(variables)
        self._product: Any = self.add_variable((), "ones", variables[0].dtype if variables else floatx())

    def _update_variables(self, grads: list[Any], variables: list[Variable], learning_rate: Any) -> None:
        p, dtype = self._product, self._product.dtype
        self.assign(p, p * self.beta_1 * (1.0 - 0.5 * power(DECAY, self.step(dtype), dtype)))
        super()._update_variables(grads, variables, learning_rate)

    def scalars(self, lr: Any, dtype: str) -> tuple[Any, ...]:
        t, beta_1 = self.step(dtype), ops.cast(self.beta_1, dtype)
        u = beta_1 * (1.0 - 0.5 * power(DECAY, t, dtype))
        u_next = beta_1 * (1.0 - 0.5 * power(DECAY, self.step(dtype, 2), dtype))
        p = ops.cast(self._product, dtype)
        return lr, u_next, 1.0 / (1 - p * u_next), 1 - u, 1.0 / (1 - p), 1.0 / (1 - power(self.beta_2, t, dtype))

    def update(self, w: Any, g: Any, slots: dict[str, Any], lr: Any, u_next: Any, over_next: Any, share: Any, over: Any,
               over_v: Any) -> None:
        m, v = slots["momentum"], slots["velocity"]
        self.approach(m, g, 1 - ops.cast(self.beta_1, w.dtype))  # of beta as rounded to the dtype, as Keras has it here
        self.approach(v, ops.square(g), 1 - ops.cast(self.beta_2, w.dtype))
        ahead = u_next * m * over_next + share * g * over
        self.assign_sub(w, ahead * lr / (ops.sqrt(v * over_v) + self.epsilon))
