"""Checkpoint: the values of a tree of objects in files, by the paths of attributes that lead to them."""
import os
from typing import Any

from graphnet.graph import Variable
from graphnet.trackable import Trackable
from graphnet.train.folder import State
from graphnet.train.inspection import resolved
from graphnet.train.layout import index_path
from graphnet.train.parts import describe, is_container, is_leaf
from graphnet.train.reading import read
from graphnet.train.restoration import Restoration
from graphnet.train.status import COUNTER, NothingRestored, RestoreStatus
from graphnet.train.writing import SHARD_SIZE, write


class Checkpoint(Trackable):
    """Saves and restores the variables below some objects: modules, layers, models, optimizers, lists and dicts of them,
    variables, `PythonState`.

    Arguments: ``root``, an object whose parts are the checkpoint's own; further objects by name, under which the files have
    them. A value is found again by the path of attributes that leads to it (``model/dense_1/w``), whatever its variable is
    called, so that it fits objects that are made anew by the same code. Where a variable is not made yet, it gets its value
    when it is. Raises ValueError for what holds no variables. Source: https://www.tensorflow.org/guide/checkpoint

    Example:

        >>> import graphnet, os, tempfile
        >>> step, again = graphnet.Variable(3), graphnet.Variable(0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = graphnet.train.Checkpoint(step=step).save(os.path.join(folder, "run"))
        ...     status = graphnet.train.Checkpoint(step=again).restore(path).assert_consumed()
        >>> os.path.basename(path), int(again)
        ('run-1', 3)
    """

    def __init__(self, root: Any = None, **kwargs: Any) -> None:
        if root is not None and not isinstance(root, Trackable):
            raise ValueError(f"Checkpoint expects root to be a module, layer, model or optimizer; received {root!r} "
                             f"({type(root).__name__}). Give it a name: Checkpoint(name=value).")
        self._untracked_root = root
        self._untracked_counter: Variable | None = None
        taken = root._named_parts() if root is not None else {}
        for name, value in kwargs.items():
            if not (is_leaf(value) or is_container(value) or isinstance(value, Trackable)):
                raise ValueError(f"Checkpoint expects {name} to be a module, layer, model, optimizer, variable or "
                                 f"PythonState, or a list or dict of them; received {value!r} ({type(value).__name__}). A "
                                 "number becomes one by graphnet.Variable.")
            if name in taken and taken[name] is not value:
                raise ValueError(f"Checkpoint received {name}=, but its root has another attribute of that name. Choose "
                                 "another name.")
            setattr(self, name, value)

    def _named_parts(self) -> dict[str, Any]:
        parts = self._untracked_root._named_parts() if self._untracked_root is not None else {}
        parts |= super()._named_parts()
        return parts if self._untracked_counter is None else parts | {COUNTER: self._untracked_counter}

    @property
    def save_counter(self) -> Variable:
        """How many times `save` was called; restored with all else."""
        if self._untracked_counter is None:
            self._untracked_counter = Variable(0, dtype="int64", trainable=False, name=COUNTER)
        return self._untracked_counter

    def write(self, file_prefix: Any, max_shard_size: int = SHARD_SIZE) -> str:
        """Writes ``<file_prefix>.index`` and ``<file_prefix>.data-...``, and gives the prefix, which `read` and `restore` take.

        Arguments: ``max_shard_size``, bytes of arrays in a data file; there are as many files as needed, and no array is cut.
        Whatever happens, the checkpoint of that name before stays whole, or the new one is. Raises OSError, as where the disk
        is full.
        """
        prefix = _prefix(file_prefix)
        if type(max_shard_size) is not int or max_shard_size < 1:
            raise ValueError(f"max_shard_size expects a number of bytes, at least 1; received {max_shard_size!r}.")
        write(prefix, *describe(self), max_shard_size)
        return prefix

    def save(self, file_prefix: Any, max_shard_size: int = SHARD_SIZE) -> str:
        """Writes ``<file_prefix>-<number>``, one more each time, notes it as its folder's latest, and gives its path.

        Arguments and errors as for `write`; where it fails, the number is as it was.
        """
        prefix = _prefix(file_prefix)
        self.save_counter.assign_add(1)
        try:
            path = self.write(f"{prefix}-{int(self.save_counter)}", max_shard_size)
        except BaseException:
            self.save_counter.assign_sub(1)
            raise
        folder, name = os.path.split(os.path.abspath(path))
        State({name: os.stat(index_path(path)).st_mtime}).write(folder)
        return path

    def read(self, save_path: Any) -> RestoreStatus:
        """Gives variables the values of a checkpoint: now those that there are, the others when they are made.

        All is read and checked before the first is changed. Raises FileNotFoundError; FileFormatError where the checkpoint is
        damaged, or a shape or dtype is another: nothing is changed then.
        """
        path = resolved(save_path)
        restoration = Restoration(path, *read(path))
        restoration.bind(self, 0)
        restoration.watch()
        return RestoreStatus(self, restoration)

    def restore(self, save_path: Any) -> RestoreStatus | NothingRestored:
        """`read`, with `save_counter`, so that `save` counts on; None, as `latest_checkpoint` may give, restores nothing."""
        if save_path is None:
            return NothingRestored()
        before, self._untracked_counter = self._untracked_counter, self.save_counter  # made here, to be given its value
        try:
            return self.read(save_path)
        except BaseException:
            self._untracked_counter = before
            raise


def _prefix(path: Any) -> str:
    prefix = os.path.expanduser(os.fspath(path))
    if not isinstance(prefix, str) or os.path.basename(prefix) in ("", ".", ".."):
        raise ValueError(f"A checkpoint's path is expected to end in a name, to which .index is added; received {path!r}.")
    return prefix
