"""LossScaleOptimizer: another optimizer, with a loss scaled so that small gradients survive in float16."""
from collections.abc import Sequence
from typing import Any

from graphnet import initializers, ops
from graphnet.graph import Variable
from graphnet.optimizers.conditional import only_if
from graphnet.optimizers.optimizer import COMMON, Optimizer, overwritten
from graphnet.optimizers.wrapper import Wrapper, read, written
from graphnet.registry import builtin


@builtin("optimizers", "lossscaleoptimizer")
class LossScaleOptimizer(Wrapper):
    """Scales the loss up and the gradients down, and skips steps whose gradients are not finite.

    The scale is halved by such a step, and doubled after dynamic_growth_steps good ones in a row.

    Args:
        inner_optimizer: the optimizer that makes the steps; learning rate, clipping, averages and all else are its own.
        initial_scale: the scale at the beginning.
        dynamic_growth_steps: see above.
        name: its name.

    Raises ValueError for arguments that belong to the inner optimizer.
    Source: https://keras.io/api/optimizers/loss_scale_optimizer/

    Example:

        >>> import numpy as np
        >>> from graphnet import Variable, optimizers
        >>> w, step = Variable([1.0]), optimizers.LossScaleOptimizer(optimizers.SGD(0.5), initial_scale=4.0)
        >>> step.apply([np.array([4.0], "float32")], [w])
        >>> step.apply([np.array([np.inf], "float32")], [w])
        >>> w.numpy(), float(step.dynamic_scale)
        (array([0.5], dtype=float32), 2.0)
    """

    def __init__(self, inner_optimizer: Optimizer, initial_scale: float = 2.0 ** 15, dynamic_growth_steps: int = 2000,
                 name: str | None = None, **kwargs: Any) -> None:
        if not kwargs.pop("dynamic", True):
            raise ValueError("LossScaleOptimizer is always dynamic; for a fixed scale give the optimizer itself a "
                             "loss_scale_factor.")
        if not isinstance(inner_optimizer, Optimizer):
            raise TypeError(f"LossScaleOptimizer expects inner_optimizer to be an optimizer; received {inner_optimizer!r}.")
        plain = {n: {"use_ema": False, "ema_momentum": 0.99}.get(n) for n in COMMON}  # files of old have these, without effect
        wrong = [n for n, value in kwargs.items() if n not in plain or value != plain[n]]
        if wrong:
            raise ValueError(f"LossScaleOptimizer has no arguments {', '.join(wrong)}. Give them to its inner_optimizer.")
        super().__init__(0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale, self.dynamic_growth_steps = initial_scale, dynamic_growth_steps
        inner_optimizer.loss_scale_factor = None  # else gradients would be divided twice

    @property
    def optimizers(self) -> list[Optimizer]:
        """The inner optimizer, in a list."""
        return [self.inner_optimizer]

    def build(self, variables: Sequence[Variable]) -> None:
        if self.built:
            return
        self.step_counter: Any = self.add_variable((), dtype="int", name="step_counter")
        self.dynamic_scale: Any = self.add_variable((), initializers.Constant(self.initial_scale), "float32",
                                                    name="dynamic_scale")
        self.inner_optimizer.build(variables)
        super().build(variables)

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        if len(grads) == 0:
            return
        variables = self._known(trainable_variables)
        scale, counter, growth = self.dynamic_scale, self.step_counter, self.dynamic_growth_steps
        finite = self.check_finite(grads)
        unscaled = [g if g is None or overwritten(v) else ops.divide(g, scale)
                    for g, v in zip(grads, variables, strict=len(grads) == len(variables))]
        with only_if(finite, [*self.inner_optimizer.variables, *variables]):
            self.inner_optimizer.apply(unscaled, variables)
        full = ops.equal(counter, growth - 1)
        counts = ops.logical_and(finite, ops.logical_not(full))
        self.assign(scale, scale * ops.where(finite, ops.where(full, 2.0, 1.0), 0.5))
        self.assign(counter, ops.where(counts, counter + 1, 0))

    def check_finite(self, grads: Sequence[Any]) -> Any:
        """Whether no gradient holds an infinity or NaN."""
        return ops.all(ops.stack([ops.all(ops.isfinite(g)) for g in grads if g is not None]))

    @property
    def learning_rate(self) -> Any:
        """The inner optimizer's."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.inner_optimizer.learning_rate = learning_rate

    @property
    def iterations(self) -> Any:
        """The inner optimizer's: steps that were made."""
        return self.inner_optimizer.iterations

    def scale_loss(self, loss: Any) -> Any:
        """The loss times the present scale."""
        return ops.multiply(loss, self.dynamic_scale if self.built else self.initial_scale)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "inner_optimizer": written(self.inner_optimizer), "initial_scale": self.initial_scale,
                "dynamic_growth_steps": self.dynamic_growth_steps}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "LossScaleOptimizer":
        config = dict(config)
        return cls(read(config.pop("inner_optimizer"), custom_objects), **config)
