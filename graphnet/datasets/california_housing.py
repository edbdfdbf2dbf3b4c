"""House prices in California."""
from typing import Any

from graphnet.datasets.housing import shuffled_split
from graphnet.datasets.sources import BUCKET, Split, check_fraction, locate, read_npz

_SHA256 = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"
_SMALL = 600


def load_data(version: str = "large", path: Any = "california_housing.npz", test_split: float = 0.2, seed: int = 113) -> Split:
    """The districts of the census of 1990: ``(x_train, y_train), (x_test, y_test)``, of shapes (n, 8) and (n,).

    y is the median price in dollars; x are income, age of houses, rooms, bedrooms, population, occupation, latitude and
    longitude. ``version`` "large" has 20,640 rows, "small" the first 600; ``test_split`` of them, in an order drawn from
    ``seed``, are for tests; ``path`` is a file, or a name in the caches, else it is downloaded. Raises ValueError,
    FileNotFoundError, FileFormatError. Source: https://keras.io/api/datasets/california_housing/

    Example:

        >>> (x_train, y_train), (x_test, y_test) = graphnet.datasets.california_housing.load_data("small")  # doctest: +SKIP
    """
    check_fraction(test_split)
    if version not in ("small", "large"):
        raise ValueError(f'load_data expects version to be "small" or "large"; received {version!r}.')
    x, y = read_npz(locate(path, f"{BUCKET}california_housing.npz", _SHA256), "x", "y")
    count = _SMALL if version == "small" else len(x)
    return shuffled_split(x[:count], y[:count], test_split, seed)


__all__ = ["load_data"]
