"""The parts of a `.keras` archive: read in memory and never unpacked, each for what it is declared to be."""
import functools
import io
import json
import os
import pathlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, BinaryIO

import h5py
import numpy as np

from graphnet.errors import FileFormatError
from graphnet.meanwhile import meanwhile
from graphnet.saving.limits import take

DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, ValueError, AttributeError, EOFError, OSError, RuntimeError, RecursionError,
           MemoryError, OverflowError)
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
LINK = 0o12  # the kind of a file in the rights that an archive records


_LOCAL = 30  # bytes of the header before a part, without its name and what else is noted there
_WORTH, _PIECE = 1 << 20, 1 << 30  # bytes of weights that are read while the model is built; that one call reads


@contextmanager
def opened_archive(path: pathlib.Path) -> Iterator[tuple[dict[str, Any], Any, "Weights"]]:
    """Configuration, version of Keras and weights, which are read meanwhile. Raises FileFormatError."""
    with path.open("rb") as file:
        with telling(path), zipfile.ZipFile(file) as archive:
            names = _checked_names(archive)
            if CONFIG not in names or WEIGHTS not in names:
                raise FileFormatError(f"{path}: expected a .keras archive with config.json and model.weights.h5; it holds "
                                      f"{', '.join(names[:5]) or 'nothing'}.")
            config, version = configuration(path, read_part(archive, CONFIG), read_part(archive, METADATA) if METADATA in names else b"{}")
            weights = Weights(path, file, archive)
        with weights:
            yield config, version, weights


@contextmanager
def telling(path: pathlib.Path) -> Iterator[None]:
    """Whatever is wrong with a model's files becomes one FileFormatError that names them."""
    try:
        yield
    except FileFormatError as error:
        raise error if str(error).startswith(str(path)) else FileFormatError(f"{path}: {error}") from None
    except DAMAGED as error:  # type: ignore[misc]
        raise FileFormatError(f"{path}: the {'folder' if path.is_dir() else 'archive'} is damaged ({error}). Copy or save it again.") from error


def configuration(path: pathlib.Path, config: bytes, metadata: bytes) -> tuple[dict[str, Any], Any]:
    """What the two texts of a model say: its configuration, and the version of Keras. Raises FileFormatError, ValueError."""
    found, about = parse(config), parse(metadata)
    if not isinstance(found, dict):
        raise FileFormatError(f"{path}: config.json is not a model's configuration but {str(found)[:60]!r}.")
    return found, about.get("keras_version", "3") if isinstance(about, dict) else "3"


class Weights:
    """The weights of an archive: a HDF5 file in memory.

    Within a ``with``, those that are not packed, as Keras writes them, are read and checked by a thread of their own while the model
    is built, as Python is not needed for either; `opened` waits for them.
    """

    def __init__(self, path: pathlib.Path, file: BinaryIO, archive: zipfile.ZipFile) -> None:
        self.path, self._file, self._failure = path, file, ""
        self._reading: Callable[[], None] | None = None
        self._ended: Callable[[], None] = lambda: None
        info = archive.getinfo(WEIGHTS)
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.file_size < _WORTH:
            self.buffer = np.frombuffer(read_part(archive, WEIGHTS), "uint8")
            return
        take(info.file_size, WEIGHTS)
        archive.open(info).close()  # looks for what is wrong with the header
        file.seek(info.header_offset)
        header = file.read(_LOCAL)
        begin = info.header_offset + _LOCAL + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        if begin + info.file_size > os.fstat(file.fileno()).st_size:
            raise EOFError(f"{WEIGHTS} is cut off")
        file.seek(begin)
        self.buffer = np.empty(info.file_size, "uint8")
        self._failure = f"{WEIGHTS} was not read"  # until it is: whatever ends the thread, nothing unchecked is taken
        self._reading = functools.partial(self._read, info.CRC)

    def _read(self, checksum: int) -> None:
        try:
            found = 0
            for at in range(0, len(self.buffer), _PIECE):  # few and large: between two of them Python is waited for
                piece = self.buffer.data[at:at + _PIECE]
                if self._file.readinto(piece) != len(piece):  # type: ignore[attr-defined]
                    raise EOFError(f"{WEIGHTS} is cut off")
                found = zlib.crc32(piece, found)
            self._failure = "" if found == checksum else f"Bad CRC-32 for file {WEIGHTS!r}"
        except (OSError, ValueError, EOFError) as error:  # ValueError where the file was closed by an interrupt
            self._failure = str(error)

    def opened(self) -> h5py.File:
        """The HDF5 file, once it is all there and its checksum is right. Raises FileFormatError."""
        self._ended()
        if self._failure:
            raise FileFormatError(f"{self.path}: the archive is damaged ({self._failure}). Copy or save it again.")
        try:
            return h5py.File(_Memory(self.buffer), "r")
        except (*DAMAGED, TypeError, LookupError) as error:
            raise FileFormatError(f"{self.path}: {WEIGHTS}: not an HDF5 file, or a truncated one ({error}).") from error

    def __enter__(self) -> "Weights":
        if self._reading is not None:
            self._ended = meanwhile(self._reading, "graphnet-weights")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended()  # the file is about to be closed


class _Memory(io.RawIOBase):
    """Bytes in memory as a file to be read; `io.BytesIO` would copy them first."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.at = data.data, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: len(self.data)}[whence]
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, into: Any) -> int:
        found = self.data[self.at:self.at + len(into)]
        into[:len(found)] = found
        self.at += len(found)
        return len(found)


def _checked_names(archive: zipfile.ZipFile) -> list[str]:
    """The names of the parts. Nothing is unpacked, but what has such names was made to do harm to someone who does."""
    names: list[str] = []
    for info in archive.infolist():
        path = pathlib.PurePosixPath(info.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0]) or info.external_attr >> 28 == LINK:
            raise FileFormatError(f"the archive holds {info.filename!r}, which leads out of it. Nothing was changed.")
        names.append(info.filename)
    twice = next((name for name in (CONFIG, METADATA, WEIGHTS) if names.count(name) > 1), None)
    if twice:
        raise FileFormatError(f"the archive holds {twice!r} more than once. Nothing was changed.")
    return names


def read_part(archive: zipfile.ZipFile, name: str) -> bytes:
    """A part, up to its declared size and one byte further, which tells that more is packed than was declared.

    Raises FileFormatError, and what zipfile raises (`DAMAGED`).
    """
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others cannot be unpacked piece by piece
        raise FileFormatError(f"{name} is packed in another way than zip's deflate. Nothing was changed.")
    declared = info.file_size
    take(declared, name)
    info.file_size += 1
    with archive.open(info) as part:
        data = part.read(declared + 1)
    if len(data) != declared:
        raise FileFormatError(f"{name} is declared to have {declared} bytes, and has {'more' if len(data) > declared else len(data)}: the file is "
                              "damaged. Copy or save it again.")
    return data


def parse(text: str | bytes) -> Any:
    """What JSON means. Raises ValueError, also for a key that stands twice: readers differ in which one counts."""
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in one object")
    return found
