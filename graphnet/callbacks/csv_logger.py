"""CSVLogger: the logs of all epochs as a table in a file."""
import csv
import os
from typing import Any, TextIO

import numpy as np

from graphnet.callbacks.callback import Callback


class CSVLogger(Callback):
    """Writes a line for each epoch into a CSV file: ``epoch`` and the logs, in the order of their names.

    Arguments: ``filename``; ``separator`` between the fields; ``append`` whether a file that is there is gone on with. A
    quantity that an epoch lacks is ``NA``; sequences are written as ``"[1, 2]"``. Each line is in the file when its epoch
    ends.

    Source: https://keras.io/api/callbacks/csv_logger/

    Example:

        >>> import pathlib, tempfile
        >>> from graphnet.callbacks import CallbackList, CSVLogger
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = pathlib.Path(folder.name, "log.csv")
        >>> callbacks = CallbackList([CSVLogger(path)])
        >>> callbacks.on_train_begin()
        >>> callbacks.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.75})
        >>> callbacks.on_train_end()
        >>> path.read_text().splitlines()
        ['epoch,loss,val_loss', '0,0.5,0.75']
        >>> folder.cleanup()
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename, self.sep, self.append = os.fspath(filename), separator, append
        self.keys: list[str] | None = None
        self.csv_file: TextIO | None = None
        self._writer: csv.DictWriter[str] | None = None
        self._header = True

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.release()
        self._header = not (self.append and os.path.exists(self.filename) and os.path.getsize(self.filename))
        self.csv_file = open(self.filename, "a" if self.append else "w", newline="")
        self.keys = self._writer = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        if self.csv_file is None:
            raise ValueError("CSVLogger.on_epoch_end expects on_train_begin before it, which opens the file.")
        if self._writer is None or self.keys is None:
            self.keys = sorted(logs)
            if not any(name.startswith("val_") for name in self.keys):  # validation may come in later epochs (validation_freq)
                self.keys += [f"val_{name}" for name in self.keys]
            self._writer = csv.DictWriter(self.csv_file, ["epoch", *self.keys], delimiter=self.sep)
            if self._header:
                self._writer.writeheader()
        self._writer.writerow({"epoch": epoch, **{name: _text(logs.get(name, "NA")) for name in self.keys}})
        self.csv_file.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.release()

    def release(self) -> None:
        if self.csv_file is not None:
            self.csv_file.close()
        self.csv_file = self._writer = None


def _text(value: Any) -> Any:
    return f'"[{", ".join(map(str, value))}]"' if not isinstance(value, str) and np.ndim(value) else value
