"""Small photographs of ten kinds of things."""
from typing import Any

import numpy as np

from graphnet.datasets.cifar import load
from graphnet.datasets.sources import Split

_ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"


def load_data(path: Any = None) -> Split:
    """50,000 photographs to train on and 10,000 to test with: ``(x_train, y_train), (x_test, y_test)``.

    Images are uint8 of shape (n, 32, 32, 3), labels uint8 of shape (n, 1): airplane, automobile, bird, cat, deer, dog, frog,
    horse, ship, truck. ``path`` is the archive, its folder, or an .npz file with x_train, y_train, x_test, y_test; by default
    the data set is that in GRAPHNET_HOME/datasets or Keras's cache, else it is downloaded (170 MB). Raises FileNotFoundError,
    FileFormatError. Source: https://keras.io/api/datasets/cifar10/

    Example:

        >>> (x_train, y_train), (x_test, y_test) = graphnet.datasets.cifar10.load_data()  # doctest: +SKIP
    """
    batches = [f"data_batch_{i}" for i in range(1, 6)]
    (x, y), (x_test, y_test) = load(
        path, "cifar-10-batches-py-target", "cifar-10-batches-py", _ORIGIN, _SHA256, batches, "test_batch", "labels"
    )
    return (x, y.astype(np.uint8)), (x_test, y_test.astype(np.uint8))


__all__ = ["load_data"]
