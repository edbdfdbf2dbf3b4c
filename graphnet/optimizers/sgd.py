"""SGD: gradient descent, with momentum if wanted."""
from typing import Any

from graphnet.optimizers.rule import Rule
from graphnet.registry import builtin


@builtin("optimizers", "sgd")
class SGD(Rule):
    """w - learning_rate * g; with momentum w + m, where m = momentum * m - learning_rate * g.

    With nesterov it is w + momentum * m - learning_rate * g, with the new m.

    Args:
        learning_rate: see `Optimizer`, as for the arguments that are not named here.
        momentum: a float between 0 and 1, else ValueError.
        nesterov: whether the step looks ahead along the momentum.

    Source: https://keras.io/api/optimizers/sgd/

    Example:

        >>> import numpy as np
        >>> from graphnet import Variable, optimizers
        >>> w, step = Variable([1.0]), optimizers.SGD(0.5, momentum=0.5)
        >>> for _ in range(2):
        ...     step.apply([np.ones(1, "float32")], [w])
        >>> w.numpy()
        array([-0.25], dtype=float32)
    """

    arguments = ("momentum", "nesterov")

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, *common: Any,
                 **kwargs: Any) -> None:
        super().__init__(learning_rate, *common, **kwargs)
        if not isinstance(momentum, float) or not 0 <= momentum <= 1:
            raise ValueError(f"SGD expects momentum to be a float between 0 and 1; received {momentum!r}.")
        self.momentum, self.nesterov = momentum, nesterov

    def slot_groups(self) -> list[dict[str, Any]]:
        return [{"momentum": "zeros"}] if self.momentum else []

    def update(self, w: Any, g: Any, slots: dict[str, Any], lr: Any) -> None:
        step = g * lr
        if not self.momentum:
            self.assign_sub(w, step)
            return
        m = slots["momentum"]
        self.assign(m, m * self.momentum - step)
        self.assign_add(w, m * self.momentum - step if self.nesterov else m)
