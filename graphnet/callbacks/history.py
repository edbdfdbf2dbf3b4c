"""History: the logs of all epochs."""
from typing import Any

from graphnet.callbacks.callback import Callback


class History(Callback):
    """What ``fit`` returns: ``history.history["loss"]`` is the list of the epochs' losses, ``history.epoch`` their numbers.

    Source: https://keras.io/api/callbacks/

    Example:

        >>> from graphnet.callbacks import CallbackList
        >>> callbacks = CallbackList(add_history=True)
        >>> callbacks.on_train_begin()
        >>> callbacks.on_epoch_end(0, {"loss": 0.5, "accuracy": 0.75})
        >>> callbacks.history.history
        {'accuracy': [0.75], 'loss': [0.5]}
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        if self.model is not None:
            self.model.history = self
