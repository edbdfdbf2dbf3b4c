"""ModelCheckpoint: keeps the model, or its weights, in files while it trains."""
import os
import re
import warnings
from typing import Any

import numpy as np

from graphnet.callbacks.monitor import MonitorCallback
from graphnet.callbacks.steps import StepCounter
from graphnet.visualization.progress import message


class ModelCheckpoint(MonitorCallback):
    """Writes the model, or its weights, after each epoch or every ``save_freq`` batches. A file is whole or it is not there.

    Arguments:
        filepath: where to; it may hold fields: ``"{epoch:02d}-{val_loss:.2f}.keras"`` (epochs and batches count from 1
            there). It ends in ``.keras``, or in ``.weights.h5`` with ``save_weights_only=True``.
        monitor: name in the logs, for ``save_best_only``.
        verbose: 1 says what it writes.
        save_best_only: writes only when ``monitor`` is better than ever before.
        save_weights_only: ``model.save_weights(filepath)`` instead of ``model.save(filepath)``.
        mode: "min", "max" or "auto" (from the name).
        save_freq: "epoch" or a number of batches.
        initial_value_threshold: the value to beat at first.

    Raises ValueError for another ending or ``save_freq``, KeyError for a field that the logs lack, OSError where
    ``filepath`` is a folder.
    Source: https://keras.io/api/callbacks/model_checkpoint/

    Example:

        >>> import graphnet, os, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = os.path.join(folder.name, "{epoch:02d}.weights.h5")
        >>> best = graphnet.callbacks.ModelCheckpoint(path, "loss", save_best_only=True, save_weights_only=True)
        >>> class Model:
        ...     def save_weights(self, path, overwrite):
        ...         print("writes", os.path.basename(path))
        >>> callbacks = graphnet.callbacks.CallbackList([best], model=Model())
        >>> for epoch, loss in enumerate([0.5, 0.75, 0.25]):
        ...     callbacks.on_epoch_end(epoch, {"loss": loss})
        writes 01.weights.h5
        writes 03.weights.h5
        >>> folder.cleanup()
    """

    def __init__(self, filepath: Any, monitor: str = "val_loss", verbose: int = 0, save_best_only: bool = False,
                 save_weights_only: bool = False, mode: str = "auto", save_freq: Any = "epoch",
                 initial_value_threshold: float | None = None) -> None:
        super().__init__(monitor, mode, baseline=initial_value_threshold)
        self.filepath, self.verbose = os.fspath(filepath), verbose
        self.save_best_only, self.save_weights_only, self.save_freq = save_best_only, save_weights_only, save_freq
        self._steps = StepCounter(save_freq, "ModelCheckpoint")
        self._current_epoch = 0
        endings = (".weights.h5",) if save_weights_only else (".keras", ".h5")
        if not self.filepath.endswith(endings):
            raise ValueError(f"ModelCheckpoint with save_weights_only={save_weights_only} expects a filepath that ends in "
                             f"{endings[0]}; received filepath={self.filepath!r}.")

    @property
    def wants_batch_logs(self) -> bool:
        return self.save_freq != "epoch"

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._current_epoch = epoch
        self._steps.new_epoch()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._steps.due(batch):
            self._save(self._current_epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, None, logs or {})

    def _save(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> None:
        path = self._path(epoch, batch, logs)
        if not self._wanted(epoch, logs, path):
            return
        if os.path.isdir(path):
            raise IsADirectoryError(f"ModelCheckpoint expects filepath to name a file; {path!r} is a folder.")
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path, overwrite=True)
        if self.verbose > 0:
            message(f"\nEpoch {epoch + 1}: finished saving model to {path}")

    def _wanted(self, epoch: int, logs: dict[str, Any], path: str) -> bool:
        """Whether to write; says so, and takes note of the best value."""
        said = f"\nEpoch {epoch + 1}: saving model to {path}"
        if self.save_best_only:
            current = logs.get(self.monitor)
            if current is None or np.ndim(current):
                received = "is not available" if current is None else f"is no single number: {current!r}"
                warnings.warn(f"ModelCheckpoint with save_best_only=True monitors {self.monitor!r}, which {received}; so it "
                              f"saves each time. Available: {', '.join(logs) or 'nothing'}.", stacklevel=2)
                return True
            best = "None" if self.best is None else f"{self.best:.5f}"
            if not self.is_improvement(current, self.best):
                if self.verbose > 0:
                    message(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {best}")
                return False
            said = f"\nEpoch {epoch + 1}: {self.monitor} improved from {best} to {current:.5f}, saving model to {path}"
            self.best = current
        if self.verbose > 0:
            message(said)
        return True

    def _path(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> str:
        fields = {"epoch": epoch + 1, **({} if batch is None else {"batch": batch + 1}), **logs}
        try:
            return self.filepath.format(**fields)
        except KeyError as error:
            names = sorted(set(re.findall(r"{([^}:!]*)", self.filepath)) - set(fields))
            raise KeyError(f"ModelCheckpoint cannot fill in {', '.join(names)} in filepath={self.filepath!r}. "
                           f"Known here: {', '.join(fields)}.") from error
