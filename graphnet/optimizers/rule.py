"""Rule: an optimizer whose step is one formula for each variable, over slots: what it keeps beside the variable."""
from typing import Any, ClassVar

import numpy as np

from graphnet import ops
from graphnet.graph import Tensor, Variable
from graphnet.optimizers.optimizer import Optimizer


class Rule(Optimizer):
    """Base of graphnet's own optimizers.

    What a class says: `arguments`, its own constructor arguments, kept as attributes; `slot_groups`; `scalars`, what a step
    computes once for all variables of a dtype; and `update`, the formula. The order of operations within a formula is Keras's,
    so that results are the same to the last bits; like XLA, it multiplies by the reciprocal of a scalar that it divides by.
    """

    arguments: ClassVar[tuple[str, ...]] = ()

    def __init__(self, learning_rate: Any, *common: Any, **kwargs: Any) -> None:
        super().__init__(learning_rate, *common, **kwargs)
        self.slots: dict[str, list[Variable | None]] = {}
        self._scalars: dict[str, tuple[Any, ...]] = {}

    def slot_groups(self) -> list[dict[str, Any]]:
        """Names and initializers of the slots; a group's slots are made for one variable after the other."""
        return []

    def build(self, variables: Any) -> None:
        if self.built:
            return
        super().build(variables)
        for group in self.slot_groups():
            made = self.add_optimizer_variables(variables, list(group), list(group.values()))
            self.slots.update(zip(group, made, strict=True))

    def scalars(self, lr: Any, dtype: str) -> tuple[Any, ...]:
        """What `update` gets behind the slots."""
        return (lr,)

    def update(self, w: Variable, g: Any, slots: dict[str, Any], *scalars: Any) -> None:
        """Changes the variable w, and its slots, by the gradient g."""
        raise NotImplementedError

    def _update_variables(self, grads: list[Any], variables: list[Variable], learning_rate: Any) -> None:
        self._scalars = {d: self._scalars_of(learning_rate, d) for d in dict.fromkeys(v.dtype for v in variables)}
        try:
            super()._update_variables(grads, variables, learning_rate)
        finally:
            self._scalars = {}

    def _scalars_of(self, learning_rate: Any, dtype: str) -> tuple[Any, ...]:
        return self.scalars(ops.cast(learning_rate, dtype), dtype)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        at, dtype = self._index(variable), variable.dtype
        scalars = self._scalars.get(dtype) or self._scalars_of(learning_rate, dtype)
        self.update(variable, ops.cast(gradient, dtype), {name: made[at] for name, made in self.slots.items()}, *scalars)

    def step(self, dtype: str, ahead: int = 1) -> Any:
        """The number of this step, from 1 on; `ahead` 2 is that of the next."""
        return ops.cast(self.iterations + ahead, dtype)

    def approach(self, slot: Variable, x: Any, share: Any) -> None:
        """slot + (x - slot) * share: a moving average."""
        self.assign_add(slot, (x - slot) * share)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {name: getattr(self, name) for name in self.arguments}


class Moments(Rule):
    """Base of Adam and its kin: moving averages of the gradient and of its size, which begin at 0."""

    arguments: ClassVar[tuple[str, ...]] = ("beta_1", "beta_2", "epsilon")
    second: ClassVar[str] = "velocity"  # the name of the slot beside the momentum

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
                 *common: Any, **kwargs: Any) -> None:
        super().__init__(learning_rate, *common, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def slot_groups(self) -> list[dict[str, Any]]:
        return [{"momentum": "zeros", self.second: "zeros"}]


def power(base: float, exponent: Any, dtype: str) -> Any:
    """base ** exponent for a number and a scalar.

    Bias corrections 1 - beta ** step magnify an error of the last bit by 1000. The kernel's power and XLA's have none there,
    but numpy's has in float32, so that on arrays it is taken in float64 and rounded once.
    """
    rounded = np.asarray(base, dtype)
    if isinstance(exponent, Tensor):
        return ops.power(rounded, exponent)
    return np.asarray(np.power(np.float64(rounded), np.float64(exponent)), dtype)
