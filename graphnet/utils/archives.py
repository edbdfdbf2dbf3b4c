"""Archives, unpacked so that nothing lands outside of their folder."""
import gzip
import lzma
import os
import pathlib
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

from graphnet.errors import FileFormatError
from graphnet.saving.limits import limited, take

# what the packages for archives raise for damaged ones; a full disk is no such thing
FAULTY = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError, RuntimeError,
          UnicodeError, OverflowError)


def unpack(archive: Any, folder: pathlib.Path, kinds: Any = "auto") -> bool:
    """Unpacks a tar or zip file into a folder, which takes its name when all is there; False where it is neither.

    ``kinds`` is "auto", "tar", "zip" or a list of them. Members with absolute names, with "..", links and devices are refused
    with FileFormatError, as are archives that are damaged, or hold far more than their size; nothing is left behind.
    """
    kinds = ("tar", "zip") if kinds == "auto" else (kinds,) if isinstance(kinds, str) else tuple(kinds or ())
    unknown = [kind for kind in kinds if kind not in ("tar", "zip")]
    if unknown:
        raise ValueError(f'archive_format expects "auto", "tar", "zip", None or a list of them; received {unknown[0]!r}.')
    try:
        with limited(f"The archive {str(archive)!r}", os.path.getsize(archive)):
            tar = _opened_tar(archive) if "tar" in kinds else None
            if tar is not None:
                with tar:
                    _write(_tar_members(tar, archive), folder)
            elif "zip" in kinds and zipfile.is_zipfile(archive):
                with zipfile.ZipFile(archive) as packed:
                    _write(_zip_members(packed, archive), folder)
            else:
                return False
    except FAULTY as error:
        raise FileFormatError(f"The archive {str(archive)!r} is damaged ({str(error) or type(error).__name__}). Nothing was "
                              "written.") from error
    return True


Member = tuple[pathlib.PurePosixPath, IO[bytes] | None]  # its name below the folder, and what it holds; None: it is a folder


class _Tar(tarfile.TarFile):
    """A tar file whose headers count as what it holds: the package reads names of any length, and keeps all members."""

    def next(self) -> tarfile.TarInfo | None:
        file = self.fileobj
        self.fileobj = _Headers(file)  # type: ignore[assignment]
        try:
            return super().next()
        finally:
            self.fileobj = file


class _Headers:
    """A file while headers are read from it."""

    def __init__(self, file: Any) -> None:
        self.file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size: int) -> bytes:
        if size < 0:
            raise tarfile.ReadError("a header has a negative length")
        take(size, "a header")
        return self.file.read(size)  # type: ignore[no-any-return]


def _opened_tar(archive: Any) -> _Tar | None:
    """None for a file that is no tar file."""
    try:
        return _Tar.open(archive)
    except tarfile.TarError:
        return None


def _tar_members(tar: tarfile.TarFile, archive: Any) -> Iterator[Member]:
    for member in tar:
        if not (member.isfile() or member.isdir()):
            raise FileFormatError(
                f"The archive {str(archive)!r} holds {member.name!r}, a link or device, which is not unpacked. "
                "Nothing was written."
            )
        if member.size < 0:
            raise tarfile.ReadError(f"{member.name!r} has a negative length")
        take(member.size, repr(member.name))
        yield _checked(member.name, archive), tar.extractfile(member) if member.isfile() else None


def _zip_members(packed: zipfile.ZipFile, archive: Any) -> Iterator[Member]:
    for member in packed.infolist():
        if member.external_attr >> 28 == 0o12:
            raise FileFormatError(f"The archive {str(archive)!r} holds {member.filename!r}, a link, which is not unpacked. "
                                  "Nothing was written.")
        take(member.file_size, repr(member.filename))
        yield _checked(member.filename, archive), None if member.is_dir() else packed.open(member)


def _checked(name: str, archive: Any) -> pathlib.PurePosixPath:
    path = pathlib.PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0]):
        raise FileFormatError(
            f"The archive {str(archive)!r} holds {name!r}, which points outside of its folder. Nothing was written."
        )
    return path


def _write(members: Iterator[Member], folder: pathlib.Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = pathlib.Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        inside = beside / "all"
        inside.mkdir()
        for name, content in members:
            target = inside / name
            (target if content is None else target.parent).mkdir(parents=True, exist_ok=True)
            if content is not None:
                with content, open(target, "wb") as file:
                    shutil.copyfileobj(content, file)
        if folder.exists():
            os.replace(folder, beside / "before")
        os.replace(inside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
