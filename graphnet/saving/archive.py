"""The parts of a `.keras` archive: read in memory and never unpacked, each for what it is declared to be."""
import json
import pathlib
import zipfile
import zlib
from typing import Any

from graphnet.errors import FileFormatError
from graphnet.saving.limits import take

DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, ValueError, AttributeError, EOFError, OSError, RuntimeError, RecursionError,
           MemoryError, OverflowError)
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
LINK = 0o12  # the kind of a file in the rights that an archive records


def read_archive(path: pathlib.Path) -> tuple[dict[str, Any], Any, bytes]:
    """Configuration, version of Keras and weights. Raises FileFormatError."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = _checked_names(archive)
            if CONFIG not in names or WEIGHTS not in names:
                raise FileFormatError(f"{path}: expected a .keras archive with config.json and model.weights.h5; it holds "
                                      f"{', '.join(names[:5]) or 'nothing'}.")
            config = parse(read_part(archive, CONFIG))
            metadata = parse(read_part(archive, METADATA)) if METADATA in names else {}
            weights = read_part(archive, WEIGHTS)
    except FileFormatError as error:
        raise error if str(error).startswith(str(path)) else FileFormatError(f"{path}: {error}") from None
    except DAMAGED as error:  # type: ignore[misc]
        raise FileFormatError(f"{path}: the archive is damaged ({error}). Copy or save it again.") from error
    if not isinstance(config, dict):
        raise FileFormatError(f"{path}: config.json is not a model's configuration but {str(config)[:60]!r}.")
    return config, metadata.get("keras_version", "3") if isinstance(metadata, dict) else "3", weights


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
