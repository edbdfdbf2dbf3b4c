"""Muon: momentum made orthogonal, for matrices; AdamW for all else."""
import math
import re
from collections.abc import Sequence
from typing import Any

from graphnet import ops
from graphnet.graph import Variable
from graphnet.optimizers.adam import corrected_rate
from graphnet.optimizers.optimizer import overwritten
from graphnet.optimizers.rule import Rule
from graphnet.registry import builtin


@builtin("optimizers", "muon")
class Muon(Rule):
    """m = momentum * m + g; w - learning_rate * rms_rate * sqrt(max(w.shape)) * orthogonal(g + momentum * m).

    orthogonal(x) comes near U V' of x = U S V', by ns_steps of Newton and Schulz: x = a x + (b x x' + c (x x')^2) x.
    Variables with other than two axes, embeddings, and those that `exclude_layers` names are changed as by AdamW.

    Args:
        learning_rate: see `Optimizer`, as for the arguments that are not named here.
        adam_beta_1: Adam's beta_1.
        adam_beta_2: Adam's beta_2.
        adam_weight_decay: the weight decay of the variables that Adam changes, or None.
        epsilon: Adam's epsilon.
        weight_decay: that of the others, or None.
        exclude_layers: regular expressions; a variable whose path holds one is changed by Adam.
        exclude_embeddings: whether variables with "embedding" in their path are changed by Adam.
        muon_a: a of the iteration above.
        muon_b: b of the iteration above.
        muon_c: c of the iteration above.
        adam_lr_ratio: Adam's learning rate over Muon's.
        momentum: how much of m stays in a step.
        ns_steps: the number of iterations.
        nesterov: whether the step looks ahead along the momentum; else orthogonal(m) is the step.
        rms_rate: see above; None leaves steps as they are.

    Source: https://github.com/KellerJordan/Muon, https://keras.io/api/optimizers/muon/

    Example:

        >>> import numpy as np
        >>> from graphnet import Variable, optimizers
        >>> w = Variable(np.eye(2, dtype="float32"))
        >>> optimizers.Muon(0.5, rms_rate=None).apply([np.array([[3.0, 0.0], [0.0, 3.0]], "float32")], [w])
        >>> bool(w.numpy()[0, 0] < 0.7), w.numpy()[0, 1] == 0
        (True, np.True_)
    """

    arguments = ("adam_beta_1", "adam_beta_2", "epsilon", "exclude_layers", "muon_a", "muon_b", "muon_c", "adam_lr_ratio",
                 "momentum", "ns_steps", "nesterov", "exclude_embeddings", "adam_weight_decay", "rms_rate")

    def __init__(self, learning_rate: Any = 0.001, adam_beta_1: float = 0.9, adam_beta_2: float = 0.999,
                 adam_weight_decay: float | None = 0.004, epsilon: float = 1e-7, weight_decay: float | None = 0.004,
                 clipnorm: float | None = None, clipvalue: float | None = None, global_clipnorm: float | None = None,
                 use_ema: bool = False, ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None,
                 loss_scale_factor: float | None = None, gradient_accumulation_steps: int | None = None,
                 name: str | None = None, exclude_layers: Sequence[str] | None = None, exclude_embeddings: bool = True,
                 muon_a: float = 3.4445, muon_b: float = -4.775, muon_c: float = 2.0315, adam_lr_ratio: float = 1,
                 momentum: float = 0.95, ns_steps: int = 5, nesterov: bool = True, rms_rate: float | None = 0.2,
                 **kwargs: Any) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
                         ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name, **kwargs)
        self.adam_beta_1, self.adam_beta_2, self.epsilon = adam_beta_1, adam_beta_2, epsilon
        self.adam_weight_decay = adam_weight_decay
        self.exclude_layers, self.exclude_embeddings = list(exclude_layers or []), exclude_embeddings
        self.muon_a, self.muon_b, self.muon_c, self.ns_steps = muon_a, muon_b, muon_c, ns_steps
        self.adam_lr_ratio, self.momentum, self.nesterov, self.rms_rate = adam_lr_ratio, momentum, nesterov, rms_rate

    def _by_adam(self, w: Variable) -> bool:
        return (w.ndim != 2 or (self.exclude_embeddings and "embedding" in w.path.lower())
                or any(re.search(pattern, w.path) for pattern in self.exclude_layers))

    def build(self, variables: Any) -> None:
        if self.built:
            return
        super().build(variables)
        self.slots = {"momentum": [], "velocity": []}
        for w in variables:
            makes = {"momentum": not overwritten(w), "velocity": not overwritten(w) and self._by_adam(w)}
            for name, slot in self.slots.items():
                slot.append(self.add_variable_from_reference(w, name) if makes[name] else None)

    def _decay_of(self, variable: Variable) -> float | None:
        return self.adam_weight_decay if self._by_adam(variable) else self.weight_decay

    def _scalars_of(self, learning_rate: Any, dtype: str) -> tuple[Any, ...]:
        adam = ops.cast(learning_rate * self.adam_lr_ratio, dtype)
        return ops.cast(learning_rate, dtype), corrected_rate(adam, self.adam_beta_1, self.adam_beta_2, self.step(dtype), dtype)

    def update(self, w: Any, g: Any, slots: dict[str, Any], lr: Any, alpha: Any) -> None:
        m, v = slots["momentum"], slots["velocity"]
        if v is not None:
            self.approach(m, g, 1 - self.adam_beta_1)
            self.approach(v, ops.square(g), 1 - self.adam_beta_2)
            self.assign_sub(w, m * alpha / (ops.sqrt(v) + self.epsilon))
            return
        self.assign_add(m, g + m * (self.momentum - 1))
        step = lr * self._orthogonal(g + self.momentum * m if self.nesterov else m)
        if self.rms_rate is not None:
            step = step * math.sqrt(max(w.shape)) * self.rms_rate
        self.assign_sub(w, step)

    def _orthogonal(self, x: Any) -> Any:
        tall = x.shape[0] > x.shape[1]
        x = ops.transpose(x) if tall else x
        x = x * (1.0 / (ops.sqrt(ops.sum(ops.square(x))) + 1e-7))
        for _ in range(self.ns_steps):
            square = ops.matmul(x, ops.transpose(x))
            x = self.muon_a * x + ops.matmul(self.muon_b * square + ops.matmul(self.muon_c * square, square), x)
        return ops.transpose(x) if tall else x
