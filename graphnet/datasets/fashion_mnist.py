"""Pictures of clothes, in the form of MNIST."""
import gzip
import os
import pathlib
import zlib
from typing import Any

import numpy as np

from graphnet.datasets.sources import BUCKET, Split, given
from graphnet.errors import FileFormatError
from graphnet.utils.files import get_file

_FILES = {  # with the md5 sums that the data set's authors state
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}


def load_data(path: Any = None) -> Split:
    """60,000 pictures of ten kinds of clothes to train on and 10,000 to test with: ``(x_train, y_train), (x_test, y_test)``.

    Images are uint8 of shape (n, 28, 28), labels uint8 of shape (n,): T-shirt, trouser, pullover, dress, coat, sandal, shirt,
    sneaker, bag, ankle boot. ``path`` is a folder with the four files of the data set; by default they are those in
    GRAPHNET_HOME/datasets/fashion-mnist or Keras's cache, else they are downloaded. Raises FileNotFoundError, FileFormatError.
    Source: https://keras.io/api/datasets/fashion_mnist/

    Example:

        >>> (x_train, y_train), (x_test, y_test) = graphnet.datasets.fashion_mnist.load_data()  # doctest: +SKIP
    """
    folder = None if path is None else given(path)
    subdir = os.path.join("datasets", "fashion-mnist")
    if path is not None and folder is None:
        folder = pathlib.Path(path)
    places = [folder / name if folder else pathlib.Path(get_file(name, BUCKET + name, file_hash=md5, cache_subdir=subdir))
              for name, md5 in _FILES.items()]
    x, y, x_test, y_test = (_read_idx(place) for place in places)
    return (x, y), (x_test, y_test)


def _read_idx(path: pathlib.Path) -> np.ndarray:
    """A file of bytes: two zeros, 8 for bytes, the number of axes, the extents as big-endian words, the values."""
    try:
        with gzip.open(path, "rb") as file:
            data = file.read()
        axes = data[3]
        shape = tuple(int(n) for n in np.frombuffer(data, ">u4", axes, 4))
        if data[:3] != b"\0\0\x08":
            raise ValueError("its first bytes are others")
        return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape).copy()
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {str(path)!r}. The folder is to hold {', '.join(_FILES)}.") from None
    except (OSError, EOFError, IndexError, ValueError, zlib.error) as error:
        raise FileFormatError(f"{str(path)!r} is no file of Fashion-MNIST: {error}.") from None


__all__ = ["load_data"]
