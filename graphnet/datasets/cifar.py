"""Reading the files of CIFAR-10 and CIFAR-100."""
import pathlib
import tempfile
from typing import Any

import numpy as np

from graphnet import config
from graphnet.datasets.sources import Split, given, read_npz, unpickle
from graphnet.errors import FileFormatError
from graphnet.utils.archives import unpack
from graphnet.utils.files import get_file

Part = tuple[np.ndarray, np.ndarray]


def load(path: Any, name: str, inner: str, origin: str, sha256: str, train: list[str], test: str, label_key: str) -> Split:
    """Training and test data of the files ``train`` and ``test`` in the folder ``inner`` of an archive, or of what path is."""
    place = None if path is None else given(path) or pathlib.Path(path)
    if place is None:
        place = pathlib.Path(get_file(name, origin=origin, extract=True, file_hash=sha256))
    if place.suffix == ".npz":
        x, y, x_test, y_test = read_npz(place, "x_train", "y_train", "x_test", "y_test")
        return (x, y.reshape(-1, 1)), (x_test, y_test.reshape(-1, 1))
    if not place.is_file():
        return _read(place, inner, train, test, label_key)
    with tempfile.TemporaryDirectory() as folder:
        if not unpack(place, pathlib.Path(folder, "data")):
            raise FileFormatError(f"{str(place)!r} is no archive; expected the one from {origin}.")
        return _read(pathlib.Path(folder, "data"), inner, train, test, label_key)


def _read(folder: pathlib.Path, inner: str, train: list[str], test: str, label_key: str) -> Split:
    folder = folder / inner if (folder / inner).is_dir() else folder
    parts = [_read_batch(folder / name, label_key) for name in train]
    x, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return (x, y), _read_batch(folder / test, label_key)


def _read_batch(path: pathlib.Path, label_key: str) -> Part:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r}, a part of the data set.")
    with open(path, "rb") as file:
        found = unpickle(file, path, encoding="bytes")
    try:
        x = np.asarray(found[b"data"]).reshape(-1, 3, 32, 32)
        y = np.asarray(found[label_key.encode()]).reshape(-1, 1)
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"{str(path)!r} is no part of the data set: {error!r}.") from None
    if config.image_data_format() == "channels_last":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    return x, y
