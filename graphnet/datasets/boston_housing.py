"""House prices around Boston."""
from typing import Any

from graphnet.datasets.housing import shuffled_split
from graphnet.datasets.sources import BUCKET, Split, check_fraction, locate, read_npz

_SHA256 = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"


def load_data(path: Any = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> Split:
    """506 places around Boston: ``(x_train, y_train), (x_test, y_test)``, float64 of shapes (n, 13) and (n,).

    One of the columns ("B") rests on the idea that segregation by race sets prices; the data set serves to show such a fault,
    and `california_housing` is there for the rest. ``test_split`` of the rows, in an order drawn from ``seed``, are for tests;
    ``path`` is a file, or a name in the caches, else it is downloaded. Raises ValueError, FileNotFoundError, FileFormatError.
    Source: https://keras.io/api/datasets/boston_housing/

    Example:

        >>> (x_train, y_train), (x_test, y_test) = graphnet.datasets.boston_housing.load_data()  # doctest: +SKIP
    """
    check_fraction(test_split)
    x, y = read_npz(locate(path, f"{BUCKET}boston_housing.npz", _SHA256), "x", "y")
    return shuffled_split(x, y, test_split, seed)


__all__ = ["load_data"]
