"""Callbacks that change the optimizer's learning rate from epoch to epoch."""
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from graphnet.callbacks.callback import Callback
from graphnet.callbacks.monitor import MonitorCallback
from graphnet.visualization.progress import message


def optimizers_of(model: Any) -> Iterator[tuple[Any, str]]:
    """A model's optimizer, or those that it is made of; with what goes behind "learning_rate" in the names in the logs."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    for part in getattr(optimizer, "optimizers", ()):
        yield part, f"_{part.name}"
    if optimizer is not None and not hasattr(optimizer, "optimizers"):
        yield optimizer, ""


def rate_of(optimizer: Any) -> float:
    """The learning rate as a Python number."""
    return float(np.asarray(optimizer.learning_rate))


def log_rates(model: Any, logs: dict[str, Any] | None) -> None:
    """Adds the learning rate to the logs, which callbacks that come later see."""
    if logs is not None:
        logs.update({f"learning_rate{suffix}": rate_of(optimizer) for optimizer, suffix in optimizers_of(model)})


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of each epoch: ``schedule(epoch, rate) -> rate``.

    Arguments: ``schedule`` a function of the epoch (from 0) and, if it takes two arguments, the present rate; ``verbose`` 1
    says what it sets. The logs get ``learning_rate``. Raises ValueError where the schedule returns no float, or the model has
    no optimizer.

    Source: https://keras.io/api/callbacks/learning_rate_scheduler/

    Example:

        >>> import types
        >>> from graphnet.callbacks import CallbackList, LearningRateScheduler
        >>> optimizer = types.SimpleNamespace(learning_rate=0.5)
        >>> halve = LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)
        >>> callbacks = CallbackList([halve], model=types.SimpleNamespace(optimizer=optimizer))
        >>> for epoch in range(3):
        ...     callbacks.on_epoch_begin(epoch)
        >>> optimizer.learning_rate
        0.125
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        found = list(optimizers_of(self.model))
        if not found or not all(hasattr(optimizer, "learning_rate") for optimizer, _ in found):
            raise ValueError("LearningRateScheduler expects a model with an optimizer that has a learning_rate; "
                             "compile the model first.")
        for optimizer, suffix in found:
            rate = self._scheduled(epoch, rate_of(optimizer))
            optimizer.learning_rate = rate
            if self.verbose > 0:
                name = f"{suffix[1:]} " if suffix else ""
                message(f"\nEpoch {epoch + 1}: LearningRateScheduler setting {name}learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        log_rates(self.model, logs)

    def _scheduled(self, epoch: int, rate: float) -> float:
        result = self.schedule(epoch, rate) if _takes_two(self.schedule) else self.schedule(epoch)
        if isinstance(result, (float, np.floating)) or (isinstance(result, np.ndarray) and result.ndim == 0):
            return float(result)
        raise ValueError(f"LearningRateScheduler expects schedule(epoch, rate) to return a float; received {result!r}.")


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # a function in C, whose arguments cannot be told
        return True
    return True


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by ``factor`` after ``patience`` epochs without improvement.

    Arguments:
        monitor: name in the logs, in which ``learning_rate`` too stands from then on.
        factor: below 1.
        patience: epochs without improvement before the rate falls.
        verbose: 1 says when it does.
        mode: "min", "max" or "auto" (from the name).
        min_delta: least change that is an improvement.
        cooldown: epochs after a fall in which nothing is counted.
        min_lr: the rate falls no lower.

    Raises ValueError for a factor of 1 or more; warns where the logs lack ``monitor``.
    Source: https://keras.io/api/callbacks/reduce_lr_on_plateau/

    Example:

        >>> import types
        >>> from graphnet.callbacks import CallbackList, ReduceLROnPlateau
        >>> optimizer = types.SimpleNamespace(learning_rate=1.0)
        >>> reduce = ReduceLROnPlateau("loss", factor=0.5, patience=2)
        >>> callbacks = CallbackList([reduce], model=types.SimpleNamespace(optimizer=optimizer))
        >>> callbacks.on_train_begin()
        >>> for epoch, loss in enumerate([3.0, 2.0, 2.5, 2.25]):
        ...     callbacks.on_epoch_end(epoch, {"loss": loss})
        >>> optimizer.learning_rate
        0.5
    """

    def __init__(self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10, verbose: int = 0, mode: str = "auto",
                 min_delta: float = 1e-4, cooldown: int = 0, min_lr: float = 0.0) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau expects a factor below 1; received factor={factor}.")
        self.factor, self.min_lr, self.patience, self.verbose, self.cooldown = factor, min_lr, patience, verbose, cooldown
        self.cooldown_counter = self.wait = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.best = None
        self.cooldown_counter = self.wait = 0

    def in_cooldown(self) -> bool:
        """Whether a fall of the rate is so recent that nothing is counted."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.direction()  # an error where it cannot be told, in the first epoch already
        logs = {} if logs is None else logs
        log_rates(self.model, logs)
        current = self.get_monitor_value(logs)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_improvement(current, self.best):
            self.best, self.wait = current, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and any([self._reduce(epoch, *found) for found in optimizers_of(self.model)]):
                self.cooldown_counter, self.wait = self.cooldown, 0

    def _reduce(self, epoch: int, optimizer: Any, suffix: str) -> bool:
        old = rate_of(optimizer)
        if old <= np.float32(self.min_lr):
            return False
        optimizer.learning_rate = new = max(old * self.factor, self.min_lr)
        if self.verbose > 0:
            name = f" {suffix[1:]}" if suffix else ""
            message(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing{name} learning rate to {new}.")
        return True
