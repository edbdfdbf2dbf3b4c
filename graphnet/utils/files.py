"""get_file: a file of graphnet's or Keras's cache, or from the network."""
import os
import pathlib
import urllib.parse
import warnings
from typing import Any

from graphnet.settings import settings
from graphnet.utils.archives import unpack
from graphnet.utils.download import download, is_intact
from graphnet.visualization.progress import message


def keras_home() -> pathlib.Path:
    """Where Keras keeps its files: KERAS_HOME, or .keras in the user's home."""
    return pathlib.Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()


def get_file(
    fname: Any = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: Any = None,
    force_download: bool = False,
) -> str:
    """The path of a file, which is downloaded where no cache has it.

    Looked for in ``cache_dir``; without one in GRAPHNET_HOME (default ``.graphnet`` in the user's home) and in Keras's own
    cache (KERAS_HOME or ``.keras``), each under ``cache_subdir``. A download is shown, summed, written beside its place and
    renamed.

    Arguments: ``fname`` its name there (by default that of ``origin``, a URL); ``file_hash`` its sha256 or md5
    (``hash_algorithm`` "auto", "sha256", "md5"): a file in a cache with another sum is passed over; ``extract`` unpacks an
    archive (``archive_format`` "auto", "tar", "zip" or a list) and gives the path of its folder: ``fname`` without an ending,
    or what stands before its first dot with "_extracted"; ``force_download`` takes none of a cache. ``untar`` and
    ``md5_hash`` are older names. Raises ValueError, FileNotFoundError where the download fails, FileFormatError for a wrong
    sum or an unsafe archive. Source: https://keras.io/api/utils/python_utils/#getfile-function

    Example:

        >>> import graphnet, pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = pathlib.Path(folder, "datasets").mkdir(), pathlib.Path(folder, "datasets/a.txt").write_text("there")
        ...     path = graphnet.utils.get_file("a.txt", "http://localhost/a.txt", cache_dir=folder)
        ...     print(pathlib.Path(path).read_text())
        there
    """
    name = _name(fname, origin)
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    own = pathlib.Path(cache_dir or settings.home).expanduser() / cache_subdir
    caches = [own] if cache_dir else [own, keras_home() / cache_subdir]
    archive, folder = _archive_names(name, bool(fname)) if extract or untar else (name, "")
    path = None if force_download else _cached(archive, caches, file_hash, hash_algorithm)
    fresh = path is None
    if path is None:
        path = own / archive
        _make_folder(own, archive)
        download(str(origin), path, file_hash, hash_algorithm)
    if not folder:
        return str(path)
    unpacked = path.parent / folder
    if fresh or not unpacked.is_dir():
        unpacked = own / folder
    if (fresh or not unpacked.is_dir()) and not unpack(path, unpacked, "tar" if untar and not extract else archive_format):
        warnings.warn(
            f"get_file: {str(path)!r} is no archive of the kind {archive_format!r}; nothing was unpacked.", stacklevel=2
        )
    return str(unpacked)


def _name(fname: Any, origin: Any) -> str:
    if not origin:
        raise ValueError("get_file expects origin, the URL of the file; received none.")
    name = os.fspath(fname) if fname else os.path.basename(urllib.parse.urlsplit(origin).path)
    if not name or "/" in name or os.sep in name or name in (".", ".."):
        raise ValueError(
            f"get_file expects fname to be a name without folders, as 'data.npz'; received {name!r}. The folder is given by "
            "cache_dir and cache_subdir."
        )
    return name


def _archive_names(name: str, given: bool) -> tuple[str, str]:
    """The names of an archive and of the folder it is unpacked into, as Keras chooses them."""
    if given and "." in name:
        return name, name[:name.find(".")] + "_extracted"
    return f"{name}_archive", name


def _cached(name: str, caches: list[pathlib.Path], file_hash: str | None, algorithm: str) -> pathlib.Path | None:
    for cache in caches:
        if (cache / name).is_file():
            if is_intact(cache / name, file_hash, algorithm):
                return cache / name
            message(f"{cache / name} is not the file that is meant: its sum is not {file_hash}. It is passed over.")
    return None


def _make_folder(folder: pathlib.Path, name: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileNotFoundError(
            f"There is no folder {str(folder)!r} to put {name!r} into, and it cannot be made ({error.strerror}). "
            "Set GRAPHNET_HOME to a folder that can be written."
        ) from error
