"""The folder that checkpoints lie in: one writer at a time, and the file `checkpoint`, which says what there is."""
import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from graphnet.errors import FileFormatError
from graphnet.files import write_whole

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

FORMAT, VERSION, NAME = "graphnet.checkpoint_state", 1, "checkpoint"


@contextmanager
def alone(folder: str) -> Iterator[bool]:
    """Within the block this is the only writer of checkpoints in a folder; another one waits. The system frees it when a
    process ends, however it does.

    Gives False, and nothing holds, where folders cannot be locked: on Windows, and on some network file systems.
    """
    if fcntl is None:
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        locked = False
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            locked = True
        yield locked
        if locked:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # not by closing alone: a child process may have it open too
    finally:
        os.close(descriptor)


def remove(folder: str, names: Iterable[str]) -> None:
    """Deletes files of a folder, those that are there."""
    for name in names:
        with suppress(FileNotFoundError):
            os.remove(os.path.join(folder, name))


@dataclass
class State:
    """What the file `checkpoint` says: names of checkpoints in its folder, oldest first, and when each was saved."""

    names: dict[str, float]
    preserved: float | None = None  # when the last checkpoint that is to stay for good was saved
    doomed: tuple[str, ...] = ()  # those that are being deleted: where a process ends before, they go next time

    def write(self, folder: str, filename: str = NAME) -> None:
        """Writes the file, whole."""
        body = {"format": FORMAT, "version": VERSION, "latest": next(reversed(self.names), None),
                "all": [{"name": name, "time": time} for name, time in self.names.items()], "preserved": self.preserved,
                "doomed": self.doomed}
        with alone(folder) as sure:
            if sure:  # what a writer that was killed has left
                left = re.compile(rf"\.{re.escape(filename)}\..*\.pending")
                remove(folder, [name for name in os.listdir(folder) if left.fullmatch(name)])
            write_whole(os.path.join(folder, filename), json.dumps(body, indent=1) + "\n")


def read_state(folder: str, filename: str = NAME) -> State | None:
    """What the file says, None where there is none. Raises FileFormatError for any other file.

    Only plain names count: nothing outside of the folder is read, or deleted, because a file says so.
    """
    path = os.path.join(folder, filename)
    try:
        with open(path, "rb") as file:
            body = json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, RecursionError) as error:
        raise _malformed(path, "it is no JSON") from error
    if not isinstance(body, dict) or body.get("format") != FORMAT or type(body.get("version")) is not int:
        raise _malformed(path, f"its format is not {FORMAT}")
    if body["version"] > VERSION:
        raise _malformed(path, f"it has format {body['version']}, of a newer graphnet; this one reads formats up to {VERSION}")
    try:
        names = {_name(entry["name"]): _time(entry["time"]) for entry in body["all"]}
        preserved = None if body["preserved"] is None else _time(body["preserved"])
        return State(names, preserved, tuple([_name(name) for name in body["doomed"]]))
    except (KeyError, TypeError, ValueError) as error:
        raise _malformed(path, repr(error)) from error


def _name(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[^/\\\0]+", value) or value in (".", ".."):
        raise ValueError(f"{value!r} is no name of a checkpoint in this folder")
    return value


def _time(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no time")
    return float(value)


def _malformed(path: str, why: str) -> FileFormatError:
    return FileFormatError(f"{path} is expected to say which checkpoints its folder holds, and cannot be read: {why}. Delete "
                           "it to begin anew; the checkpoints stay, and can be restored by their paths.")
