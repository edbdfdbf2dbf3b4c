"""BackupAndRestore: a run that was interrupted goes on where its last backup was made."""
import json
import os
from typing import Any

import h5py

from graphnet.callbacks.callback import Callback
from graphnet.callbacks.steps import StepCounter
from graphnet.errors import FileFormatError
from graphnet.files import commit, unfinished, write_whole
from graphnet.visualization.progress import message


class BackupAndRestore(Callback):
    """Backs up weights, the optimizer's state, epoch and batch; the next ``fit`` with the same folder goes on from there.

    A backup is one file, written beside, synced to the disk and renamed: whenever the process ends, ``latest.weights.h5``
    is a whole backup, of the weights and of the place in the run that belongs to them. At most one epoch is lost, or
    ``save_freq`` batches.

    Arguments:
        backup_dir: folder of this run's backup, and of nothing else.
        save_freq: "epoch" or a number of batches.
        double_checkpoint: whether the backup before the latest is kept, and taken where the latest cannot be read.
        delete_checkpoint: whether the backup is deleted when ``fit`` has come to its end.

    Raises ValueError for an empty folder's name, another ``save_freq``, or a model that is not built; FileFormatError for a
    file that is no backup. Source: https://keras.io/api/callbacks/backup_and_restore/

    Example:

        >>> import graphnet
        >>> backup = graphnet.callbacks.BackupAndRestore("backup", save_freq=100)
        >>> backup.resume_at is None
        True
    """

    def __init__(self, backup_dir: Any, save_freq: Any = "epoch", double_checkpoint: bool = False,
                 delete_checkpoint: bool = True) -> None:
        super().__init__()
        if not backup_dir:
            raise ValueError(f"BackupAndRestore expects backup_dir to name a folder; received {backup_dir!r}.")
        self.backup_dir, self.save_freq = os.fspath(backup_dir), save_freq
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        self.resume_at: tuple[int, int] | None = None  # epoch and batch with which fit goes on
        self._steps = StepCounter(save_freq, "BackupAndRestore")
        self._epoch = 0
        self._latest, self._previous, self._pending, self._place = (
            os.path.join(self.backup_dir, name) for name in
            ("latest.weights.h5", "previous.weights.h5", "pending.weights.h5", "training_metadata.json"))

    @property
    def wants_batch_logs(self) -> bool:
        return False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.resume_at = None
        if not self.model.built:
            raise ValueError(f"BackupAndRestore expects a model that is built, to restore its weights; model "
                             f"{self.model.name!r} is not. Give it an Input, or call it on a batch before fit.")
        self._sweep()
        backups = [path for path in (self._latest, self._previous) if os.path.exists(path)]
        for number, path in enumerate(backups):
            try:
                self.resume_at = self._restore(path)
                self.model._initial_epoch = self.resume_at[0]
                return
            except (OSError, FileFormatError) as error:
                if number == len(backups) - 1:
                    raise
                message(f"BackupAndRestore could not read {path} ({error}); it takes the backup before.")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        self._steps.new_epoch()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._steps.due(batch):
            over = batch + 1 == (self.params or {}).get("steps")
            self._save(self._epoch + over, 0 if over else batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch + 1, 0)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.resume_at = None
        if not self.delete_checkpoint or not os.path.isdir(self.backup_dir):
            return
        self._sweep()
        for path in (self._latest, self._previous, self._pending, self._place):
            if os.path.exists(path):
                os.remove(path)
        if not os.listdir(self.backup_dir):
            os.rmdir(self.backup_dir)

    def _sweep(self) -> None:
        """Removes beginnings of files that processes left when they were killed."""
        for path in unfinished(self.backup_dir):
            os.remove(path)

    def _save(self, epoch: int, batch: int) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        self.model.save_weights(self._pending, overwrite=True)
        with h5py.File(self._pending, "r+") as file:  # in the file itself: one rename makes weights and place known together
            file.attrs["epoch"], file.attrs["batch"] = epoch, batch
        if self.double_checkpoint and os.path.exists(self._latest):
            os.replace(self._latest, self._previous)
        commit(self._pending, self._latest)
        write_whole(self._place, json.dumps({"epoch": epoch, "batch": batch}))  # as Keras writes it, for people and for Keras

    def _restore(self, path: str) -> tuple[int, int]:
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is not None and not optimizer.built:
            optimizer.build(self.model.trainable_variables)  # its state has somewhere to go
        at = self._read_place(path)
        self.model.load_weights(path)
        return at

    def _read_place(self, path: str) -> tuple[int, int]:
        with h5py.File(path, "r") as file:
            if "epoch" in file.attrs:
                return int(file.attrs["epoch"]), int(file.attrs["batch"])
        try:
            with open(self._place) as file:  # a backup of Keras's, which goes on with the epoch that was under way
                return int(json.load(file)["epoch"]), 0
        except (OSError, KeyError, ValueError) as error:
            raise FileFormatError(f"BackupAndRestore expects {path} to be a backup of a run; it does not say of which epoch. "
                                  "Remove it to begin anew.") from error
