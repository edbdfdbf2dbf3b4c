"""EarlyStopping: ends training when a quantity no longer gets better."""
from typing import Any

from graphnet.callbacks.monitor import MonitorCallback
from graphnet.visualization.progress import message


class EarlyStopping(MonitorCallback):
    """Ends training after ``patience`` epochs without improvement.

    Arguments:
        monitor: name in the logs.
        min_delta: least change that is an improvement.
        patience: epochs without one after which training ends.
        verbose: 1 says when it acts.
        mode: "min", "max" or "auto" (from the name).
        baseline: value to beat: epochs that do not are without improvement.
        restore_best_weights: whether the model ends with the weights of its best epoch; else with the last.
        start_from_epoch: epochs before this one are not looked at.

    Warns where the logs lack ``monitor``. Source: https://keras.io/api/callbacks/early_stopping/

    Example:

        >>> import types
        >>> from graphnet.callbacks import CallbackList, EarlyStopping
        >>> model = types.SimpleNamespace(stop_training=False)
        >>> callbacks = CallbackList([EarlyStopping("loss", patience=2)], model=model)
        >>> callbacks.on_train_begin()
        >>> for epoch, loss in enumerate([3.0, 2.0, 2.5, 2.25, 1.0]):
        ...     callbacks.on_epoch_end(epoch, {"loss": loss})
        ...     if model.stop_training:
        ...         break
        >>> epoch
        3
    """

    def __init__(self, monitor: str = "val_loss", min_delta: float = 0, patience: int = 0, verbose: int = 0, mode: str = "auto",
                 baseline: float | None = None, restore_best_weights: bool = False, start_from_epoch: int = 0) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self._reset()

    def _reset(self) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = None
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.direction()  # an error where it cannot be told, in the first epoch already
        current = self.get_monitor_value(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:  # the first epoch's are the best, even if it gave NaN
            self._remember(epoch)
        self.wait += 1
        if self.is_improvement(current, self.best):
            self.best, self.best_epoch = current, epoch
            if self.restore_best_weights:
                self._remember(epoch)
            if self.baseline is None or self.is_improvement(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            message(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                message(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def _remember(self, epoch: int) -> None:
        self.best_weights, self.best_epoch = self.model.get_weights(), epoch
