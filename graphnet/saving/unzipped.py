"""A model as a folder: the parts of a `.keras` archive as files of their own, as `save(zipped=False)` of Keras and graphnet writes them."""
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import h5py

from graphnet.errors import FileFormatError
from graphnet.files import open_plain
from graphnet.saved_model.directory import LARGEST_TEXT, whole_directory
from graphnet.saving.archive import CONFIG, METADATA, WEIGHTS, configuration, telling

PARTS = (CONFIG, METADATA, WEIGHTS)
_ATTEMPTS = 5


def is_unzipped(path: pathlib.Path) -> bool:
    """Whether a path is such a folder."""
    return path.is_dir() and (path / CONFIG).is_file()


def write_folder(path: pathlib.Path, texts: Mapping[str, str], weights: Iterable[memoryview]) -> None:
    """Writes the folder, whole; one that is there already is replaced. Raises FileExistsError where it holds other files, OSError."""
    with whole_directory(path, PARTS, CONFIG) as folder:
        for name, text in texts.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        with open(os.path.join(folder, WEIGHTS), "wb") as binary:
            for block in weights:
                binary.write(block)


def size_of(path: pathlib.Path) -> int:
    """The bytes of the parts that are there."""
    return sum((path / name).stat().st_size for name in PARTS if (path / name).is_file())


@contextmanager
def opened_folder(path: pathlib.Path) -> Iterator[tuple[dict[str, Any], Any, h5py.File]]:
    """Configuration, version of Keras and weights. Raises FileFormatError, for a part that is a link as well."""
    with ExitStack() as opened:
        with telling(path):
            config, metadata, weights = _open(path, opened)
            found, version = configuration(path, config, metadata)
        try:
            file = opened.enter_context(h5py.File(weights, "r"))
        except (ValueError, TypeError, LookupError, OSError, RuntimeError, OverflowError) as error:
            raise FileFormatError(f"{path}: {WEIGHTS}: not an HDF5 file, or a truncated one ({error}).") from error
        yield found, version, file


def _open(path: pathlib.Path, opened: ExitStack) -> tuple[bytes, bytes, Any]:
    """The two texts, and the file of the weights, of one folder: another may take its place meanwhile."""
    for attempt in range(_ATTEMPTS):
        folder = path.stat()
        with ExitStack() as files:
            try:
                config, weights = [files.enter_context(open_plain(path / name)) for name in (CONFIG, WEIGHTS)]
                about = files.enter_context(open_plain(path / METADATA)) if os.path.lexists(path / METADATA) else None
                if os.path.samestat(folder, path.stat()):
                    texts = [_text(file) if file is not None else b"{}" for file in (config, about)]
                    opened.push(files.pop_all())
                    return *texts, weights  # type: ignore[return-value]
            except OSError as error:
                if attempt + 1 == _ATTEMPTS or os.path.samestat(folder, path.stat()):
                    name = pathlib.Path(str(error.filename)).name
                    raise FileFormatError(f"{path}: its part {name} cannot be opened: {error.strerror}.") from error
    raise FileFormatError(f"{path}: others replace the folder again and again while it is read.")


def _text(file: Any) -> bytes:
    size = os.fstat(file.fileno()).st_size
    if size > LARGEST_TEXT:
        raise FileFormatError(f"a text of it has {size} bytes; the most is {LARGEST_TEXT}.")
    return file.read(size)  # type: ignore[no-any-return]
