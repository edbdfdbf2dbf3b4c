"""Files from the network: shown as they come, summed, written beside their place and renamed."""
import hashlib
import os
import pathlib
import urllib.error
import urllib.request
from typing import Any

from graphnet.errors import FileFormatError
from graphnet.visualization.progress import Progbar, message

_CHUNK = 1 << 18
_PATIENCE = 60.0  # seconds without a byte after which a server counts as gone


def hasher(algorithm: str, file_hash: str | None) -> tuple[str, Any]:
    """The name of the sum that is meant and its computation; "auto" goes by the length: 64 digits are sha256, 32 are md5."""
    name = algorithm
    if algorithm == "auto":
        name = "sha256" if file_hash is None or len(file_hash) == 64 else "md5"
    if name not in ("sha256", "md5"):
        raise ValueError(f'hash_algorithm expects "auto", "sha256" or "md5"; received {algorithm!r}.')
    return name, hashlib.new(name, usedforsecurity=name != "md5")


def is_intact(path: Any, file_hash: str | None, algorithm: str = "auto") -> bool:
    """Whether a file has the sum; True where none is known."""
    if file_hash is None:
        return True
    total = hasher(algorithm, file_hash)[1]
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            total.update(chunk)
    return total.hexdigest() == file_hash.lower()


def download(origin: str, path: pathlib.Path, file_hash: str | None = None, algorithm: str = "auto") -> None:
    """Brings the file at a URL to a path, or leaves the path as it was.

    Raises FileNotFoundError where the server cannot be reached, has no such file or breaks off, and FileFormatError where the
    sum is another than ``file_hash``. Both say what to put where by hand.
    """
    message(f"Downloading data from {origin}")
    name, total = hasher(algorithm, file_hash)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            _receive(origin, beside, total)
        except (OSError, EOFError, ValueError) as error:
            raise FileNotFoundError(
                f"{origin} cannot be downloaded: {_reason(error)}. Get the file {path.name!r} on another machine and put it at "
                f"{str(path)!r}.") from error
        if file_hash is not None and total.hexdigest() != file_hash.lower():
            raise FileFormatError(
                f"The file from {origin} is not the one that is meant: its {name} is {total.hexdigest()}, expected "
                f"{file_hash}. It may have changed, or the download was tampered with; nothing was kept. Put the right one at "
                f"{str(path)!r}."
            )
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _receive(origin: str, path: pathlib.Path, total: Any) -> None:
    with urllib.request.urlopen(origin, timeout=_PATIENCE) as answer, open(path, "wb") as file:
        size = answer.headers.get("Content-Length")
        due = int(size) if size and size.isdigit() else None
        bar, done = Progbar(due, unit_name="byte"), 0
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            total.update(chunk)
            done += len(chunk)
            bar.update(done, finalize=done == due)
        if due is None:
            bar.update(done, finalize=True)
        elif done < due:
            raise EOFError(f"it ended after {done} of {due} bytes")
        file.flush()
        os.fsync(file.fileno())


def _reason(error: BaseException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} ({error.reason})"
    return str(getattr(error, "reason", "") or error or type(error).__name__)
