"""timeseries_dataset_from_array: windows that slide over a series."""
from typing import Any

import numpy as np

from graphnet.utils.samples import Samples, check_format, drawn_seed


class _Windows(Samples):
    def __init__(self, data: Any, targets: Any, steps: np.ndarray, first: int, *args: Any) -> None:
        super().__init__(*args)
        self.data, self.targets, self.steps, self.first = data, targets, steps, first

    def batch(self, numbers: np.ndarray) -> Any:
        starts = numbers + self.first
        x = self.data[starts[:, None] + self.steps]
        return x if self.targets is None else (x, self.targets[starts])


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str | None = None,
) -> Samples:
    """A PyDataset of windows that slide over a series, ``x[k] = data[p + k * sampling_rate]`` for k below sequence_length.

    Arguments: ``data`` of shape (steps, ...), also in a mapped file; ``targets`` (steps, ...) or None: ``targets[p]`` goes
    with the window that begins at p; ``sequence_stride`` between two windows' beginnings; ``batch_size`` windows at once,
    None for single ones; ``shuffle`` the windows by ``seed``, anew for each epoch; ``start_index`` up to, without,
    ``end_index`` the steps that are used. Batches are x of shape (n, sequence_length, ...), or (x, y). Raises ValueError.
    Source: https://keras.io/api/data_loading/timeseries/

    Example:

        >>> import graphnet, numpy
        >>> series = numpy.arange(10)
        >>> windows = graphnet.utils.timeseries_dataset_from_array(series[:-3], series[3:], sequence_length=3, batch_size=2)
        >>> x, y = windows[0]
        >>> x.tolist(), y.tolist()
        ([[0, 1, 2], [1, 2, 3]], [3, 4])
    """
    who = "timeseries_dataset_from_array"
    check_format(who, format)
    data, targets = np.asarray(data), None if targets is None else np.asarray(targets)
    first, end = start_index or 0, len(data) if end_index is None else end_index
    for name, value, low, high in (
        ("start_index", start_index, 0, len(data)),
        ("end_index", end_index, first + 1, len(data)),
        ("sampling_rate", sampling_rate, 1, len(data)),
        ("sequence_stride", sequence_stride, 1, len(data)),
        ("sequence_length", sequence_length, 1, len(data) + 1),
    ):
        if value is not None and not low <= value < high:
            raise ValueError(f"{who} expects {name} from {low} to {high - 1} for {len(data)} steps; received {value!r}.")
    count = end - first - (sequence_length - 1) * sampling_rate
    if targets is not None:
        count = min(count, len(targets) - first)
    if count < 1:
        raise ValueError(
            f"{who} expects enough steps for a window; received {end - first} steps for windows of {sequence_length} steps, "
            f"each {sampling_rate} apart" + ("." if targets is None else f", and {len(targets)} targets.")
        )
    order, seed = np.arange(0, count, sequence_stride), drawn_seed(seed) if shuffle else 0
    if shuffle:
        np.random.RandomState(seed).shuffle(order)
    steps = np.arange(sequence_length) * sampling_rate
    return _Windows(data, targets, steps, first, order, batch_size, shuffle, seed)
