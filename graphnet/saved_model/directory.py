"""The directory of a saved model: written beside, synced and renamed as a whole; read with sizes known first, and no link followed."""
import ctypes
import errno
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from graphnet.errors import FileFormatError
from graphnet.files import beginning, open_plain, sync
from graphnet.saved_model.values import damaged
from graphnet.train.folder import alone

FORMAT, VERSION = "graphnet.saved_model", 1
TEXT, CONSTANTS, VARIABLES = "saved_model.json", "constants.safetensors", "variables"
OWN = {TEXT, CONSTANTS, VARIABLES}
LARGEST_TEXT = 1 << 28  # bytes; the text of a network of 10,000 ops has some 3 MB
_AT_CWD, _EXCHANGE = -100, 2


def is_saved_model(path: Any) -> bool:
    """Whether a path is the directory of a saved model."""
    return os.path.isfile(os.path.join(path, TEXT))


@contextmanager
def whole_directory(path: Any, own: Collection[str] = OWN, mark: str = TEXT) -> Iterator[str]:
    """An empty folder to be filled, which becomes the directory `path` at the end of the block, or goes away where that raises.

    A directory of its kind, which has a file ``mark`` and nothing but ``own``, is replaced: on Linux in one step, elsewhere by two
    renames. Raises FileExistsError where anything else is there.
    """
    path = os.path.realpath(os.path.expanduser(os.fspath(path)))  # a link stays one
    parent, name = os.path.split(path)
    os.makedirs(parent, exist_ok=True)
    with alone(parent) as sure:
        _expect_own(path, own, mark)
        if sure:
            _tidy(parent, name)
        pending = os.path.join(parent, f".{beginning(name)}.{secrets.token_hex(8)}.pending")
        os.mkdir(pending)
        try:
            yield pending
            _sync_all(pending)
            _put(pending, path)
        except BaseException:
            shutil.rmtree(pending, ignore_errors=True)
            raise
        sync(parent)
        shutil.rmtree(pending, ignore_errors=True)  # the one of before, after an exchange


def _expect_own(path: str, own: Collection[str], mark: str) -> None:
    if not os.path.lexists(path):
        return
    if not os.path.isdir(path):
        raise FileExistsError(errno.EEXIST, "the model is to be a directory, and a file of that name is there. Choose another name", path)
    others = sorted(name for name in set(os.listdir(path)) - set(own) if not _is_empty(os.path.join(path, name)))
    if others or (os.listdir(path) and not os.path.isfile(os.path.join(path, mark))):
        raise FileExistsError(errno.EEXIST, f"the directory holds other files ({', '.join(others[:4]) or f'no {mark}'}), which would be lost. "
                                            "Choose another name, or a directory below it", path)


def _is_empty(path: str) -> bool:
    """Whether it is a folder with nothing in it, as Keras leaves one for assets."""
    return os.path.isdir(path) and not os.path.islink(path) and not os.listdir(path)


def _tidy(parent: str, name: str) -> None:
    """Deletes what writers that were killed left."""
    left = re.compile(rf"\.{re.escape(beginning(name))}\.[0-9a-f]{{16}}\.pending")
    for other in os.listdir(parent):
        if left.fullmatch(other) and not os.path.islink(os.path.join(parent, other)):
            shutil.rmtree(os.path.join(parent, other), ignore_errors=True)


def _sync_all(folder: str) -> None:
    """All files below a folder, and their names, on the disk."""
    for where, _, files in os.walk(folder, topdown=False):
        for file in files:
            sync(os.path.join(where, file))
        sync(where)


def _put(pending: str, path: str) -> None:
    """Gives the new directory its name; the old one has the name `pending` then, or is gone."""
    if not os.path.lexists(path) or not os.listdir(path):
        with suppress(FileNotFoundError):
            os.rmdir(path)
        os.rename(pending, path)
    elif not _exchanged(pending, path):
        aside = pending + ".old"
        os.rename(path, aside)
        try:
            os.rename(pending, path)
        except BaseException:
            os.rename(aside, path)
            raise
        shutil.rmtree(aside, ignore_errors=True)


def _exchanged(a: str, b: str) -> bool:
    """Whether the system has exchanged two names in one step: Linux can, on most file systems."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return rename is not None and rename(_AT_CWD, os.fsencode(a), _AT_CWD, os.fsencode(b), _EXCHANGE) == 0


# ---- reading

def expect_plain(folder: str) -> None:
    """Raises FileFormatError where a part of the directory is a link or no file: nothing outside of it is read."""
    for where in (folder, os.path.join(folder, VARIABLES)):
        if not os.path.isdir(where):
            raise damaged(folder, f"its folder {VARIABLES!r} is missing")
        with os.scandir(where) as found:
            entries = list(found)
        for entry in entries:
            if where == folder and entry.name not in OWN:
                continue  # never opened
            mode = entry.stat(follow_symlinks=False).st_mode
            if not (stat.S_ISDIR(mode) if where == folder and entry.name == VARIABLES else stat.S_ISREG(mode)):
                raise damaged(folder, f"its part {entry.name[:60]!r} is a link, or no file")
            if entry.name.endswith(".index") and entry.stat().st_size > LARGEST_TEXT:
                raise damaged(folder, f"its part {entry.name[:60]!r} has {entry.stat().st_size} bytes; the most is {LARGEST_TEXT}")


def contents(folder: str, name: str, most: int | None = None) -> bytes:
    """The bytes of a file of the directory; its size is known before it is read. Raises FileFormatError."""
    try:
        file = open_plain(os.path.join(folder, name))
    except OSError as error:
        raise FileFormatError(f"Saved model {folder}: its file {name} cannot be opened ({error.strerror}). Nothing was loaded.") from error
    with file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise damaged(folder, f"its file {name} has {size} bytes; the most is {most}")
        return file.read(size)
