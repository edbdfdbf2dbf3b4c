"""Files that are whole or not there, whenever the process ends: written beside, synced to the disk, renamed."""
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

import numpy as np

_PIECE = 1 << 18  # bytes: a copy of so few stays in the cache until it is written


@contextmanager
def whole_file(path: Any, mode: str = "wb") -> Iterator[IO[Any]]:
    """A file to write to, which has the name ``path`` once the block has ended without an error; else nothing has changed.

    It is written under another name in the same folder; of two writers at once the last one's file stays, whole. Where a
    process is killed within the block, its beginning stays there as ``.<name>.<random>.pending``, to be deleted.

    Raises OSError, with the file of before left as it was, where the disk is full or the folder cannot be written to.

    Example:

        >>> import os, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> with whole_file(os.path.join(folder.name, "a.txt"), "w") as file:
        ...     count = file.write("hello")
        >>> os.listdir(folder.name)
        ['a.txt']
        >>> folder.cleanup()
    """
    path = os.path.realpath(path)  # a link stays one
    folder, name = os.path.split(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"A file cannot be written at {path!r}: it is a folder.")
    pending = os.path.join(folder, f".{beginning(name)}.{secrets.token_hex(8)}.pending")
    known = os.path.exists(path)
    # the system takes off what a new file's rights lack; none but the owner reads in advance what replaces a private file
    descriptor = os.open(pending, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600 if known else 0o666)
    try:
        with os.fdopen(descriptor, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            if known:
                with suppress(FileNotFoundError):
                    shutil.copymode(path, pending)
        commit(pending, path)
    except BaseException:
        with suppress(OSError):
            os.remove(pending)
        raise


def commit(pending: str, path: str) -> None:
    """Gives a file that is written its name, once it is on the disk; on return the name is there too."""
    sync(pending)
    os.replace(pending, path)
    sync(os.path.dirname(path) or ".")


def sync(path: str) -> None:
    """Puts a file, or the names in a folder, on the disk."""
    if os.name != "posix" and os.path.isdir(path):
        return  # elsewhere folders cannot be synced
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)  # Windows syncs what may be written to
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def beginning(name: str) -> str:
    """The first letters of a name, so few that more may stand behind them: systems count its bytes, of which it has at most 255."""
    return name.encode("utf-8", "ignore")[:100].decode("utf-8", "ignore")


def unfinished(folder: str) -> list[str]:
    """The beginnings of files that processes left in a folder when they were killed within `whole_file`."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return [os.path.join(folder, name) for name in names if name.startswith(".") and name.endswith(".pending")]


def write_whole(path: Any, text: str) -> None:
    """Writes a text as `whole_file` does; folders are made where they are not there."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with whole_file(path, "w") as file:
        file.write(text)


def open_plain(path: Any) -> IO[bytes]:
    """Opens a file that is read because another one names it: no link is followed, and nothing but a file is opened. Raises OSError.

    Example:

        >>> import os
        >>> open_plain(os.curdir)
        Traceback (most recent call last):
        OSError: [Errno 22] it is a link, or no file: '.'
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC")))
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EISDIR):
            raise
        raise OSError(errno.EINVAL, "it is a link, or no file", path) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is a link, or no file", path)
    return open(descriptor, "rb")


def pieces(array: np.ndarray) -> Iterator[memoryview]:
    """The bytes of an array, each piece as it was at one moment; it is to be used before the next is asked for.

    Whatever changes the array meanwhile - a step of training in another thread - checksum and file are of the same bytes.

    Example:

        >>> import numpy as np
        >>> b"".join(pieces(np.array([1, 2], "<i2")))
        b'\\x01\\x00\\x02\\x00'
    """
    flat = np.ascontiguousarray(array).reshape(-1).view("uint8")
    piece = np.empty(min(_PIECE, len(flat)), "uint8")
    for at in range(0, len(flat), _PIECE):
        part = flat[at:at + _PIECE]
        piece[:len(part)] = part
        yield piece.data[:len(part)]
