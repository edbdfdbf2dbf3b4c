"""Data sets that make their batches from single samples, by number."""
import math
from typing import Any

import numpy as np

from graphnet.errors import DataError, UnsupportedError
from graphnet.training.data import PyDataset


class Samples(PyDataset):
    """A PyDataset of numbered samples, in order or in one that is drawn anew for each epoch; `batch` makes some of them.

    ``batch_size=None`` gives single samples.
    """

    def __init__(self, order: np.ndarray, batch_size: int | None, shuffle: bool, seed: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if batch_size is not None and batch_size < 1:
            raise DataError(f"batch_size expects a positive whole number or None; received {batch_size!r}.")
        self.order, self.batch_size, self.shuffle = order, batch_size, shuffle
        self._random = np.random.RandomState(seed)

    def batch(self, numbers: np.ndarray) -> Any:
        """x, or (x, y), of the samples with these numbers."""
        raise NotImplementedError

    def __len__(self) -> int:
        return math.ceil(len(self.order) / (self.batch_size or 1))

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"There are {len(self)} batches; received index {index}.")
        size, index = self.batch_size or 1, index % len(self)
        found = self.batch(self.order[index * size:(index + 1) * size])
        if self.batch_size is not None:
            return found
        return tuple(part[0] for part in found) if isinstance(found, tuple) else found[0]

    def __iter__(self) -> Any:
        yield from super().__iter__()
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Draws the order of the next epoch."""
        if self.shuffle:
            self.order = self._random.permutation(self.order)


def check_format(who: str, given: str | None) -> None:
    """Refuses Keras's choice of a framework for the data set."""
    if given is not None:
        raise UnsupportedError(f"{who} gives a graphnet.utils.PyDataset; received format={given!r}. Leave it out.")


def drawn_seed(seed: int | None) -> int:
    """The seed, or one drawn from numpy's generator as in Keras."""
    return int(np.random.randint(10**6)) if seed is None else seed
