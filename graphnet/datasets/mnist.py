"""Handwritten digits."""
from typing import Any

from graphnet.datasets.sources import BUCKET, Split, locate, read_npz

_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


def load_data(path: Any = "mnist.npz") -> Split:
    """60,000 images of digits to train on and 10,000 to test with: ``(x_train, y_train), (x_test, y_test)``.

    Images are uint8 of shape (n, 28, 28), labels uint8 of shape (n,). ``path`` is a file, or a name without folder: one in
    GRAPHNET_HOME/datasets or Keras's cache, else it is downloaded. Raises FileNotFoundError, FileFormatError.
    Source: https://keras.io/api/datasets/mnist/

    Example:

        >>> (x_train, y_train), (x_test, y_test) = graphnet.datasets.mnist.load_data()  # doctest: +SKIP
    """
    x, y, x_test, y_test = read_npz(locate(path, f"{BUCKET}mnist.npz", _SHA256), "x_train", "y_train", "x_test", "y_test")
    return (x, y), (x_test, y_test)


__all__ = ["load_data"]
