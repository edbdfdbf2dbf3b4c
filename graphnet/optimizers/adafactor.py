"""Adafactor: the mean squares of a matrix's gradients kept as one row and one column."""
from typing import Any

from graphnet import ops
from graphnet.graph import Variable
from graphnet.optimizers.optimizer import overwritten
from graphnet.optimizers.rule import Rule
from graphnet.registry import builtin


def _rms(x: Any) -> Any:
    return ops.sqrt(ops.mean(ops.square(x)))


@builtin("optimizers", "adafactor")
class Adafactor(Rule):
    """v = outer(r / mean(r), c), where r and c are moving averages of the rows' and columns' means of g^2 + epsilon_1.

    u = g / sqrt(v); w - alpha * u / max(1, rms(u) / clip_threshold), where in step t alpha = max(epsilon_2, rms(w)) *
    min(learning_rate, 1 / sqrt(t)), and averages keep the share 1 - t^beta_2_decay. A vector keeps v whole.

    Args:
        learning_rate: see `Optimizer`, as for the arguments that are not named here.
        beta_2_decay: the exponent above; below 0.
        epsilon_1: keeps the root away from 0.
        epsilon_2: keeps the size of a small variable's steps away from 0.
        clip_threshold: the size above which u is scaled down.
        relative_step: whether a learning rate that is a number is held below 1 / sqrt(t).

    Source: https://arxiv.org/abs/1804.04235, https://keras.io/api/optimizers/adafactor/

    Example:

        >>> import numpy as np
        >>> from graphnet import Variable, optimizers
        >>> w = Variable([1.0])
        >>> optimizers.Adafactor(0.25).apply([np.array([2.0], "float32")], [w])
        >>> w.numpy().round(4)
        array([0.75], dtype=float32)
    """

    arguments = ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step")

    def __init__(self, learning_rate: Any = 0.001, beta_2_decay: float = -0.8, epsilon_1: float = 1e-30,
                 epsilon_2: float = 0.001, clip_threshold: float = 1.0, relative_step: bool = True, *common: Any,
                 **kwargs: Any) -> None:
        super().__init__(learning_rate, *common, **kwargs)
        self.beta_2_decay, self.epsilon_1, self.epsilon_2 = beta_2_decay, epsilon_1, epsilon_2
        self.clip_threshold, self.relative_step = clip_threshold, relative_step

    def build(self, variables: Any) -> None:
        if self.built:
            return
        super().build(variables)
        self.slots = {"row": [], "column": [], "velocity": []}
        for w in variables:
            for slot, made in zip(self.slots.values(), self._made_for(w), strict=True):
                slot.append(made)

    def _made_for(self, w: Variable) -> tuple[Variable | None, Variable | None, Variable | None]:
        """Row, column and velocity of a variable; a vector has, as in Keras's files, two integers in place of the first two."""
        if w.ndim < 2:
            row, column = (self.add_variable((), dtype="int", name=w.name) for _ in range(2))
        elif overwritten(w):
            return None, None, None
        else:
            row = self.add_variable(w.shape[:-1], dtype=w.dtype, name=w.name)
            column = self.add_variable((*w.shape[:-2], w.shape[-1]), dtype=w.dtype, name=w.name)
        return row, column, None if overwritten(w) else self.add_variable_from_reference(w, "velocity")

    def scalars(self, lr: Any, dtype: str) -> tuple[Any, ...]:
        t = self.step(dtype)
        keep = 1 - ops.power(t, self.beta_2_decay)
        # where relative_step holds the rate below 1 / sqrt(t), this does so again: as in Keras, that argument changes nothing
        return ops.minimum(lr, 1 / ops.sqrt(t)), keep, 1 - keep

    def update(self, w: Any, g: Any, slots: dict[str, Any], rate: Any, keep: Any, share: Any) -> None:
        v, squares = slots["velocity"], ops.square(g) + self.epsilon_1
        alpha = ops.maximum(ops.cast(self.epsilon_2, w.dtype), _rms(w)) * rate
        if w.ndim >= 2:
            r, c = slots["row"], slots["column"]
            self.assign(r, keep * r + share * ops.mean(squares, axis=-1))
            self.assign(c, keep * c + share * ops.mean(squares, axis=-2))
            self.assign(v, ops.expand_dims(r / ops.mean(r, axis=-1, keepdims=True), -1) * ops.expand_dims(c, -2))
        else:
            self.assign(v, keep * v + share * squares)
        u = g / ops.sqrt(v)
        self.assign_sub(w, alpha * (u * (1.0 / ops.maximum(1.0, _rms(u) / self.clip_threshold))))
