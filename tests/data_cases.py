"""What the tests of data share: rows, the batches of an epoch, the threads that make them, and things that give batches."""
import threading

import numpy as np

from graphnet.training.data import PyDataset


def rows(n, width=3, dtype="float32"):
    return np.arange(n * width, dtype=dtype).reshape(n, width)


def taken(batches):
    """The batches of one epoch, with the hooks around it as fit calls them."""
    batches.on_epoch_begin()
    found = list(batches.epoch())
    batches.on_epoch_end()
    return found


def workers():
    return [t for t in threading.enumerate() if t.name.startswith("graphnet-batches")]


class Numbers(PyDataset):
    """Four batches that hold their own number."""

    def __init__(self, count=4, fails_at=None, **kwargs):
        super().__init__(**kwargs)
        self.count, self.fails_at, self.calls = count, fails_at, []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index == self.fails_at:
            raise RuntimeError(f"batch {index} is broken")
        return np.full((2, 3), index, "float64"), np.full((2,), index)

    def on_epoch_begin(self):
        self.calls.append("begin")

    def on_epoch_end(self):
        self.calls.append("end")


class Loader:
    """Iterates as PyTorch's DataLoader does: lists of tensors, a length, anew for each epoch."""

    def __len__(self):
        return 2

    def __iter__(self):
        for i in range(2):
            yield [TorchLike(rows(4) + i), TorchLike(np.arange(4))]


DataLoader = type("DataLoader", (Loader,), {})


class TorchLike:
    def __init__(self, value, dtype="torch.float32"):
        self.value, self.dtype = value, dtype

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return self.value
