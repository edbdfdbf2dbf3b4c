"""Learning rates as functions of the step. Each is called with the number of steps made, and gives a scalar."""
import math
from collections.abc import Sequence
from typing import Any

from graphnet import identifiers, ops, registry
from graphnet.registry import builtin

_KIND = "optimizers.schedules"


class LearningRateSchedule:
    """Base of schedules. Source: https://keras.io/api/optimizers/learning_rate_schedules/

    A class of one's own defines ``__call__(self, step)``, in ops, and, to be saved, ``get_config(self)``.

    Example:

        >>> from graphnet import optimizers
        >>> class Halving(optimizers.schedules.LearningRateSchedule):
        ...     def __call__(self, step):
        ...         return 1.0 / (step + 1)
        >>> float(optimizers.SGD(Halving()).learning_rate)
        1.0
    """

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} expects a method __call__(self, step) that gives the learning rate.")

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} expects a method get_config(self) -> dict, to be saved.")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LearningRateSchedule":
        return cls(**config)


class _Decay(LearningRateSchedule):
    """A schedule whose arguments are its attributes, and whose steps are counted in floats."""

    arguments: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.arguments}

    def _check_steps(self, name: str) -> None:
        steps = getattr(self, name)
        if steps <= 0:
            raise ValueError(f"{type(self).__name__} expects {name} above 0; received {name}={steps!r}.")

    def _number(self, x: Any) -> Any:
        """x in the dtype of the rate."""
        return ops.cast(x, ops.convert_to_tensor(self.initial_learning_rate).dtype)  # type: ignore[attr-defined]


class _ShareDecay(_Decay):
    """A decay by p = step / decay_steps, which `staircase` rounds down."""

    arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(self, initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False,
                 name: str | None = None) -> None:
        self.initial_learning_rate, self.decay_steps, self.decay_rate = initial_learning_rate, decay_steps, decay_rate
        self.staircase, self.name = staircase, type(self).__name__ if name is None else name
        self._check_steps("decay_steps")

    def _share(self, step: Any) -> Any:
        p = ops.divide(self._number(step), self._number(self.decay_steps))
        return ops.floor(p) if self.staircase else p


@builtin(_KIND)
class ExponentialDecay(_ShareDecay):
    """initial_learning_rate * decay_rate ** p, where p = step / decay_steps, rounded down if `staircase`.

    Example:

        >>> from graphnet import optimizers
        >>> float(optimizers.schedules.ExponentialDecay(1.0, decay_steps=10, decay_rate=0.5)(20))
        0.25
    """

    def __call__(self, step: Any) -> Any:
        factor = ops.power(self._number(self.decay_rate), self._share(step))
        return ops.multiply(self._number(self.initial_learning_rate), factor)


@builtin(_KIND)
class InverseTimeDecay(_ShareDecay):
    """initial_learning_rate / (1 + decay_rate * p), where p = step / decay_steps, rounded down if `staircase`.

    Example:

        >>> from graphnet import optimizers
        >>> float(optimizers.schedules.InverseTimeDecay(1.0, decay_steps=10, decay_rate=0.5)(20))
        0.5
    """

    def __call__(self, step: Any) -> Any:
        divisor = ops.add(1.0, ops.multiply(self._number(self.decay_rate), self._share(step)))
        return ops.divide(self._number(self.initial_learning_rate), divisor)


@builtin(_KIND)
class PiecewiseConstantDecay(LearningRateSchedule):
    """values[i] for steps up to and including boundaries[i], which rise; values[-1] behind them.

    Raises ValueError unless there is one value more than boundaries.

    Example:

        >>> from graphnet import optimizers
        >>> rate = optimizers.schedules.PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.25])
        >>> [float(rate(step)) for step in (10, 11, 21)]
        [1.0, 0.5, 0.25]
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(f"PiecewiseConstantDecay expects one value more than boundaries; received {len(boundaries)} "
                             f"boundaries {boundaries} and {len(values)} values {values}.")
        self.boundaries, self.values, self.name = boundaries, values, name

    def __call__(self, step: Any) -> Any:
        step = ops.convert_to_tensor(step)
        rate = ops.convert_to_tensor(self.values[-1])
        for boundary, value in zip(reversed(self.boundaries), reversed(self.values[:-1]), strict=True):
            rate = ops.where(ops.less_equal(step, ops.cast(boundary, step.dtype)), value, rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}


@builtin(_KIND)
class PolynomialDecay(_Decay):
    """(initial - end) * (1 - step / decay_steps) ** power + end, constant behind decay_steps.

    With `cycle` the rate does not stay there: decay_steps is multiplied by the least whole number that brings it to step or
    above.

    Example:

        >>> from graphnet import optimizers
        >>> float(optimizers.schedules.PolynomialDecay(1.0, decay_steps=10, end_learning_rate=0.0, power=2.0)(5))
        0.25
    """

    arguments = ("initial_learning_rate", "decay_steps", "end_learning_rate", "power", "cycle", "name")

    def __init__(self, initial_learning_rate: float, decay_steps: int, end_learning_rate: float = 0.0001, power: float = 1.0,
                 cycle: bool = False, name: str = "PolynomialDecay") -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.end_learning_rate, self.power, self.cycle, self.name = end_learning_rate, power, cycle, name
        self._check_steps("decay_steps")

    def __call__(self, step: Any) -> Any:
        initial, end = self._number(self.initial_learning_rate), self._number(self.end_learning_rate)
        step, steps = self._number(step), self._number(self.decay_steps)
        if self.cycle:
            steps = ops.multiply(steps, ops.where(ops.equal(step, 0), 1.0, ops.ceil(ops.divide(step, self.decay_steps))))
        else:
            step = ops.minimum(step, steps)
        left = ops.subtract(1.0, ops.divide(step, steps))
        return ops.add(ops.multiply(ops.subtract(initial, end), ops.power(left, self._number(self.power))), end)


@builtin(_KIND)
class CosineDecay(_Decay):
    """initial * ((1 - alpha) * (1 + cos(pi * step / decay_steps)) / 2 + alpha), constant behind decay_steps.

    With a `warmup_target` the rate first rises to it from initial_learning_rate, linearly in warmup_steps, and decays from
    there. Source: https://arxiv.org/abs/1608.03983

    Example:

        >>> from graphnet import optimizers
        >>> rate = optimizers.schedules.CosineDecay(0.0, decay_steps=10, warmup_target=1.0, warmup_steps=10)
        >>> [round(float(rate(step)), 6) for step in (0, 5, 10, 15, 20)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """

    arguments = ("initial_learning_rate", "decay_steps", "alpha", "name", "warmup_target", "warmup_steps")

    def __init__(self, initial_learning_rate: float, decay_steps: int, alpha: float = 0.0, name: str = "CosineDecay",
                 warmup_target: float | None = None, warmup_steps: int = 0) -> None:
        self.initial_learning_rate, self.decay_steps, self.alpha, self.name = initial_learning_rate, decay_steps, alpha, name
        self.warmup_target, self.warmup_steps = warmup_target, warmup_steps
        self._check_steps("decay_steps")

    def _decayed(self, step: Any, start: Any) -> Any:
        share = ops.divide(step, self._number(self.decay_steps))
        cosine = ops.multiply(0.5, ops.add(1.0, ops.cos(ops.multiply(self._number(math.pi), share))))
        return ops.multiply(start, ops.add(ops.multiply(1 - self.alpha, cosine), self.alpha))

    def __call__(self, step: Any) -> Any:
        initial, step, steps = self._number(self.initial_learning_rate), self._number(step), self._number(self.decay_steps)
        if self.warmup_target is None:
            return self._decayed(ops.minimum(step, steps), initial)
        target, warmup = self._number(self.warmup_target), self._number(self.warmup_steps)
        step = ops.minimum(step, ops.add(steps, warmup))
        rising = ops.add(ops.multiply(ops.subtract(target, initial), ops.divide(step, warmup)), initial)
        return ops.where(ops.less(step, warmup), rising, self._decayed(ops.subtract(step, warmup), target))


@builtin(_KIND)
class CosineDecayRestarts(_Decay):
    """Cosine decays one after the other: each lasts t_mul times as long as the one before, and begins m_mul times as high.

    The first lasts first_decay_steps; alpha is the least rate, as a share of initial_learning_rate.
    Source: https://arxiv.org/abs/1608.03983

    Example:

        >>> from graphnet import optimizers
        >>> rate = optimizers.schedules.CosineDecayRestarts(1.0, first_decay_steps=10, t_mul=1.0, m_mul=0.5)
        >>> [round(float(rate(step)), 6) for step in (0, 5, 10, 15)]
        [1.0, 0.5, 0.5, 0.25]
    """

    arguments = ("initial_learning_rate", "first_decay_steps", "t_mul", "m_mul", "alpha", "name")

    def __init__(self, initial_learning_rate: float, first_decay_steps: int, t_mul: float = 2.0, m_mul: float = 1.0,
                 alpha: float = 0.0, name: str = "SGDRDecay") -> None:
        self.initial_learning_rate, self.first_decay_steps = initial_learning_rate, first_decay_steps
        self.t_mul, self.m_mul, self.alpha, self.name = t_mul, m_mul, alpha, name
        self._check_steps("first_decay_steps")

    def __call__(self, step: Any) -> Any:
        restarts, share = self._place(ops.divide(self._number(step), self._number(self.first_decay_steps)))
        alpha, height = self._number(self.alpha), ops.power(self._number(self.m_mul), restarts)
        cosine = ops.multiply(ops.multiply(0.5, height), ops.add(1.0, ops.cos(ops.multiply(self._number(math.pi), share))))
        decayed = ops.add(ops.multiply(ops.subtract(1.0, alpha), cosine), alpha)
        return ops.multiply(self._number(self.initial_learning_rate), decayed)

    def _place(self, done: Any) -> tuple[Any, Any]:
        """How many decays are done, and which share of the present one; `done` is in units of the first."""
        if self.t_mul == 1.0:
            restarts = ops.floor(done)
            return restarts, ops.subtract(done, restarts)
        factor = self._number(self.t_mul)
        rest = ops.subtract(1.0, factor)
        restarts = ops.floor(ops.divide(ops.log(ops.subtract(1.0, ops.multiply(done, rest))), ops.log(factor)))
        longer = ops.power(factor, restarts)
        return restarts, ops.divide(ops.subtract(done, ops.divide(ops.subtract(1.0, longer), rest)), longer)


def serialize(learning_rate_schedule: Any) -> Any:
    """What a file holds of a schedule.

    Example:

        >>> from graphnet import optimizers
        >>> optimizers.schedules.serialize(optimizers.schedules.ExponentialDecay(1.0, 10, 0.5))["class_name"]
        'ExponentialDecay'
    """
    return identifiers.serialize(_KIND, learning_rate_schedule)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The schedule that a file means.

    Example:

        >>> from graphnet import optimizers
        >>> rate = optimizers.schedules.ExponentialDecay(1.0, 10, 0.5)
        >>> optimizers.schedules.deserialize(optimizers.schedules.serialize(rate)).decay_rate
        0.5
    """
    with registry.custom_object_scope(custom_objects or {}):
        return identifiers.deserialize(_KIND, config)


__all__ = ["CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "LearningRateSchedule",
           "PiecewiseConstantDecay", "PolynomialDecay", "deserialize", "serialize"]
