"""CheckpointManager: numbered checkpoints in a folder, of which the latest are kept."""
import os
import time
from collections.abc import Callable
from typing import Any

from graphnet.train.checkpoint import Checkpoint
from graphnet.train.folder import State, read_state
from graphnet.train.reading import exists
from graphnet.train.writing import SHARD_SIZE, delete


class CheckpointManager:
    """Saves a checkpoint under numbered names in a folder, and deletes older ones.

    Arguments: ``checkpoint``; ``directory``, made where it is not there; ``max_to_keep`` how many checkpoints stay, None for
    all; ``keep_checkpoint_every_n_hours``: one in so many hours stays beside these, for good; ``checkpoint_name`` what the
    files' names begin with; ``step_counter`` a variable or number, and ``checkpoint_interval``: `save` does nothing until the
    counter is so much higher than when it last did something; ``init_fn`` called by `restore_or_initialize` where there is no
    checkpoint; ``max_shard_size`` as in `Checkpoint.write`.
    What another manager has saved in the folder is taken over. Raises ValueError for arguments that make no sense,
    FileFormatError where the folder's file ``checkpoint`` is damaged.
    Source: https://www.tensorflow.org/api_docs/python/tf/train/CheckpointManager

    Example:

        >>> import graphnet, os, tempfile
        >>> step = graphnet.Variable(0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     manager = graphnet.train.CheckpointManager(graphnet.train.Checkpoint(step=step), folder, max_to_keep=2)
        ...     saved = [manager.save() for _ in range(3)]
        ...     [os.path.basename(path) for path in manager.checkpoints]
        ['ckpt-2', 'ckpt-3']
    """

    def __init__(self, checkpoint: Checkpoint, directory: Any, max_to_keep: int | None,
                 keep_checkpoint_every_n_hours: float | None = None, checkpoint_name: str = "ckpt", step_counter: Any = None,
                 checkpoint_interval: int | None = None, init_fn: Callable[[], Any] | None = None,
                 max_shard_size: int = SHARD_SIZE) -> None:
        if not isinstance(checkpoint, Checkpoint):
            raise ValueError(f"CheckpointManager expects a graphnet.train.Checkpoint; received {checkpoint!r}.")
        if max_to_keep is not None and (type(max_to_keep) is not int or max_to_keep < 1):
            raise ValueError("CheckpointManager expects max_to_keep to be a whole number from 1, or None to keep all; "
                             f"received {max_to_keep!r}.")
        if checkpoint_interval is not None and step_counter is None:
            raise ValueError("CheckpointManager expects a step_counter, as it received checkpoint_interval, which counts its "
                             "steps.")
        if os.path.basename(checkpoint_name) != checkpoint_name or not checkpoint_name:
            raise ValueError("CheckpointManager expects checkpoint_name to be the beginning of files' names; received "
                             f"{checkpoint_name!r}.")
        self.checkpoint, self.directory = checkpoint, os.path.expanduser(os.fspath(directory))
        self.checkpoint_interval = checkpoint_interval
        self._max_to_keep, self._hours, self._name = max_to_keep, keep_checkpoint_every_n_hours, checkpoint_name
        self._step_counter, self._init_fn, self._max_shard_size = step_counter, init_fn, max_shard_size
        self._last_step: int | None = None
        state = read_state(self.directory) or State({})
        self._times = {name: saved for name, saved in state.names.items() if exists(self._path(name))}
        self._doomed = state.doomed
        self._preserved = time.time() if state.preserved is None else state.preserved
        os.makedirs(self.directory, exist_ok=True)

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    @property
    def checkpoints(self) -> list[str]:
        """The paths of those that are kept, oldest first; those that stay for good are not among them."""
        return [self._path(name) for name in self._times]

    @property
    def latest_checkpoint(self) -> str | None:
        """The path of the last one, None where there is none."""
        return next(reversed(self.checkpoints), None)

    def save(self, checkpoint_number: Any = None, check_interval: bool = True) -> str | None:
        """Saves, deletes what is not to be kept any more, and gives the path; None where the interval is not over.

        Arguments: ``checkpoint_number`` in place of the checkpoint's `save_counter`, which goes on all the same;
        ``check_interval`` False saves in any case. Whatever happens, what the folder's file ``checkpoint`` names is there,
        whole.
        """
        step = None if self._step_counter is None else int(self._step_counter)
        if check_interval and self.checkpoint_interval is not None and self._last_step is not None and step is not None \
                and step - self._last_step < self.checkpoint_interval:
            return None
        counter = self.checkpoint.save_counter
        counter.assign_add(1)
        try:
            name = f"{self._name}-{int(counter if checkpoint_number is None else checkpoint_number)}"
            path = self.checkpoint.write(self._path(name), self._max_shard_size)
        except BaseException:
            counter.assign_sub(1)
            raise
        self._times.pop(name, None)
        self._times[name] = time.time()
        self._doomed = tuple([old for old in (*self._doomed, *self._sweep()) if old not in self._times])
        State(dict(self._times), self._preserved, self._doomed).write(self.directory)
        for old in self._doomed:
            delete(self._path(old))
        self._doomed = ()
        self._last_step = step
        return path

    def _sweep(self) -> list[str]:
        """Takes those that are too many off the list; gives those of them that are to be deleted."""
        doomed = []
        while self._max_to_keep is not None and len(self._times) > self._max_to_keep:
            name = next(iter(self._times))
            saved = self._times.pop(name)
            if self._hours is not None and saved - self._hours * 3600 >= self._preserved:
                self._preserved = saved
            else:
                doomed.append(name)
        return doomed

    def restore_or_initialize(self) -> str | None:
        """Restores the latest checkpoint and gives its path; where there is none, calls `init_fn` and gives None."""
        path = self.latest_checkpoint
        if path is None:
            if self._init_fn is not None:
                self._init_fn()
            return None
        self.checkpoint.restore(path)
        if self._step_counter is not None:
            self._last_step = int(self._step_counter)
        return path
