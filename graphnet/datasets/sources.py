"""Where the files of data sets come from, and how they are read: data in, never code."""
import io
import math
import os
import pathlib
import pickle
import tokenize
import zipfile
from typing import Any

import numpy as np

from graphnet.errors import FileFormatError
from graphnet.saving.archive import DAMAGED, read_part
from graphnet.saving.limits import limited
from graphnet.utils.files import get_file

BUCKET = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
Split = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def given(path: Any) -> pathlib.Path | None:
    """The file or folder that a path with a folder in it names; None for a bare name, which is one in the caches."""
    place = pathlib.Path(path).expanduser()
    if place.name == str(path):
        return None
    if not place.exists():
        raise FileNotFoundError(
            f"load_data received path={str(path)!r}; there is no such file. A name without a folder means one in "
            "GRAPHNET_HOME or in Keras's cache, or else a download."
        )
    return place


def locate(path: Any, origin: str, file_hash: str) -> pathlib.Path:
    """The file that is given, or else the one of a cache or the network."""
    return given(path) or pathlib.Path(get_file(path, origin=origin, file_hash=file_hash))


def check_fraction(test_split: float) -> None:
    if not 0 <= test_split < 1:
        raise ValueError(f"load_data expects test_split to be a number from 0 up to, without, 1; received {test_split!r}.")


def read_npz(path: Any, *names: str) -> list[np.ndarray]:
    """The named arrays of an .npz file; those of objects may hold arrays, lists and numbers, and nothing else."""
    try:
        with limited(str(path), os.path.getsize(path)), zipfile.ZipFile(path) as archive:
            missing = [name for name in names if f"{name}.npy" not in archive.namelist()]
            if missing:
                raise FileFormatError(f"{str(path)!r} is not the data set that is asked for: it holds no {missing[0]!r}, only "
                                      f"{[name.removesuffix('.npy') for name in archive.namelist()]}.")
            return [_read_npy(io.BytesIO(read_part(archive, f"{name}.npy")), path) for name in names]
    except (FileFormatError, FileNotFoundError):
        raise
    except DAMAGED as error:  # type: ignore[misc]
        raise FileFormatError(f"{str(path)!r} is no .npz file, or a damaged one: "
                              f"{str(error) or type(error).__name__}.") from None


def _read_npy(file: io.BytesIO, path: Any) -> np.ndarray:
    try:
        major, _ = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
        if not dtype.hasobject:
            if math.prod(shape) * dtype.itemsize != len(file.getbuffer()) - file.tell():
                raise ValueError(f"an array of shape {shape} and dtype {dtype} was announced, which its bytes are not")
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
    # a header is a Python literal
    except (ValueError, EOFError, SyntaxError, TypeError, RecursionError, tokenize.TokenError) as error:
        raise FileFormatError(f"{str(path)!r} is damaged: {error}.") from None
    array = unpickle(file, path)
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise FileFormatError(f"{str(path)!r} is damaged: an array of shape {shape} was announced.")
    return array


def unpickle(file: Any, path: Any, encoding: str = "ASCII") -> Any:
    """What a pickle of arrays, lists, dicts, texts and numbers holds. Any other is refused unread: FileFormatError."""
    try:
        return _Unpickler(file, encoding=encoding).load()
    except (
        pickle.UnpicklingError,
        EOFError,
        AttributeError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
        MemoryError,
    ) as error:
        raise FileFormatError(f"{str(path)!r} cannot be read as plain data: {error}") from None


class _Class:
    """Stands for numpy.ndarray in a pickle, so that nothing can be called with arguments of the file's choice."""


def _empty_array(kind: Any, shape: Any, code: Any) -> np.ndarray:
    if kind is not _Class or tuple(shape) != (0,):
        raise pickle.UnpicklingError("an array that begins otherwise than numpy's do")
    return np.empty(0, "b")


def _latin(text: str, encoding: str) -> bytes:
    return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    """Knows the names that numpy's arrays are pickled with, and no others."""

    _known = {("numpy", "ndarray"): _Class, ("numpy", "dtype"): np.dtype, ("_codecs", "encode"): _latin,
              ("numpy.core.multiarray", "_reconstruct"): _empty_array, ("numpy._core.multiarray", "_reconstruct"): _empty_array}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._known[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is code and not data. Nothing was run.") from None
