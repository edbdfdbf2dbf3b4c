"""Small photographs of a hundred kinds of things."""
from typing import Any

from graphnet.datasets.cifar import load
from graphnet.datasets.sources import Split

_ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
_SHA256 = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"


def load_data(label_mode: str = "fine", path: Any = None) -> Split:
    """50,000 photographs to train on and 10,000 to test with: ``(x_train, y_train), (x_test, y_test)``.

    Images are uint8 of shape (n, 32, 32, 3), labels int64 of shape (n, 1): one of 100 kinds for ``label_mode`` "fine", of 20
    groups of them for "coarse". ``path`` is the archive, its folder, or an .npz file with x_train, y_train, x_test, y_test; by
    default the data set is that in GRAPHNET_HOME/datasets or Keras's cache, else it is downloaded (169 MB). Raises ValueError,
    FileNotFoundError, FileFormatError. Source: https://keras.io/api/datasets/cifar100/

    Example:

        >>> (x_train, y_train), (x_test, y_test) = graphnet.datasets.cifar100.load_data()  # doctest: +SKIP
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f'load_data expects label_mode to be "fine" or "coarse"; received {label_mode!r}.')
    return load(
        path, "cifar-100-python-target", "cifar-100-python", _ORIGIN, _SHA256, ["train"], "test", f"{label_mode}_labels"
    )


__all__ = ["load_data"]
