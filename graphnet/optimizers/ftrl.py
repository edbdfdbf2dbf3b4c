"""Ftrl: follow the regularized leader, which makes weights exactly 0."""
from typing import Any

from graphnet import initializers, ops
from graphnet.optimizers.rule import Rule
from graphnet.registry import builtin


def _power(x: Any, exponent: float) -> Any:
    return ops.sqrt(x) if exponent == 0.5 else ops.power(x, exponent)


@builtin("optimizers", "ftrl")
class Ftrl(Rule):
    """w = (clip(z, -l1, l1) - z) / (a'^p / learning_rate + 2 * l2').

    a' = a + g^2; z = z + g' - (a'^p - a^p) / learning_rate * w before;
    p = -learning_rate_power, g' = g + 2 * l2_shrinkage * w, l2' = l2 + beta / (2 * learning_rate).

    Args:
        learning_rate: see `Optimizer`, as for the arguments that are not named here.
        learning_rate_power: at most 0; with 0 the rate does not shrink.
        initial_accumulator_value: where the sums a begin; not below 0.
        l1_regularization_strength: not below 0.
        l2_regularization_strength: not below 0.
        l2_shrinkage_regularization_strength: a penalty on the size of w that acts through the gradient; not below 0.
        beta: of the paper.

    Raises ValueError for arguments out of range.
    Source: https://research.google.com/pubs/archive/41159.pdf, https://keras.io/api/optimizers/ftrl/

    Example:

        >>> import numpy as np
        >>> from graphnet import Variable, optimizers
        >>> w = Variable([1.0])
        >>> optimizers.Ftrl(0.5, initial_accumulator_value=0.0).apply([np.array([2.0], "float32")], [w])
        >>> w.numpy().round(4)
        array([0.5], dtype=float32)
    """

    arguments = ("learning_rate_power", "initial_accumulator_value", "l1_regularization_strength", "l2_regularization_strength",
                 "l2_shrinkage_regularization_strength", "beta")

    def __init__(self, learning_rate: Any = 0.001, learning_rate_power: float = -0.5, initial_accumulator_value: float = 0.1,
                 l1_regularization_strength: float = 0.0, l2_regularization_strength: float = 0.0,
                 l2_shrinkage_regularization_strength: float = 0.0, beta: float = 0.0, *common: Any, **kwargs: Any) -> None:
        super().__init__(learning_rate, *common, **kwargs)
        self.learning_rate_power, self.beta = learning_rate_power, beta
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        if learning_rate_power > 0:
            raise ValueError(f"Ftrl expects learning_rate_power of at most 0; received {learning_rate_power!r}.")
        for name in self.arguments[1:5]:
            if getattr(self, name) < 0:
                raise ValueError(f"Ftrl expects {name} not below 0; received {getattr(self, name)!r}.")

    def slot_groups(self) -> list[dict[str, Any]]:
        return [{"accumulator": initializers.Constant(self.initial_accumulator_value), "linear": "zeros"}]

    def scalars(self, lr: Any, dtype: str) -> tuple[Any, ...]:
        return 1.0 / lr, 2 * (self.l2_regularization_strength + self.beta / (2.0 * lr))

    def update(self, w: Any, g: Any, slots: dict[str, Any], over_lr: Any, twice_l2: Any) -> None:
        a, z, p, l1 = slots["accumulator"], slots["linear"], -self.learning_rate_power, float(self.l1_regularization_strength)
        total = a + ops.square(g)
        grown = _power(total, p)
        if self.l2_shrinkage_regularization_strength:
            g = g + 2 * self.l2_shrinkage_regularization_strength * w
        self.assign_add(z, g - (grown - _power(a, p)) * over_lr * w)
        self.assign(w, (ops.clip(z, -l1, l1) - z) / (grown * over_lr + twice_l2))
        self.assign(a, total)
