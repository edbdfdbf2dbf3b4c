"""Batches from generators, PyTorch's DataLoader, and any other iterable of batches."""
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from graphnet import dtypes, tree
from graphnet.errors import DataError
from graphnet.training.data.batches import Batch, Batches
from graphnet.training.data.rows import convert
from graphnet.training.data.weights import class_weights, match_weights

_WHOLE = slice(None)


class Standard:
    """Makes (x, y, sample_weight) of arrays from what a user's code gives as a batch: (x,), (x, y), (x, y, sample_weight) or x.

    ``pairs`` says that a list means the same as a tuple; elsewhere a list is x itself, which training refuses as ambiguous.
    """

    def __init__(
        self, who: str, pairs: bool, training: bool, class_weight: dict[int, float] | None, inputs: int, outputs: int
    ) -> None:
        self.who, self.pairs, self.training, self.class_weight = who, pairs, training, class_weight
        self.parts = (inputs, outputs, outputs)

    def __call__(self, item: Any) -> Batch:
        x, y, weight = self._split(item)
        if x is None:
            raise DataError(f"{self.who} expects batches with x; received {item!r}.")
        if not self.training:
            y = weight = None
        found = [self._arrays(part, i) for i, part in enumerate((x, y, weight))]
        if self.class_weight is not None:
            if weight is not None:
                raise DataError(f"{self.who} takes class_weight or sample_weight, not both; the batches hold sample_weight.")
            found[2] = class_weights(found[1], self.class_weight, self.who)
        else:
            found[2] = match_weights(found[2], found[1], self.who)
        check_rows(found, self.who + ", in a batch")
        return found[0], found[1], found[2]

    def _split(self, item: Any) -> Batch:
        if isinstance(item, list) and (self.pairs or self.training):
            if not self.pairs:
                raise DataError(
                    f"{self.who} expects batches as tuples, (x,), (x, y) or (x, y, sample_weight); received a list of "
                    f"{len(item)}, which may mean several inputs as well. Yield a tuple."
                )
            item = tuple(item)
        if not isinstance(item, tuple):
            return item, None, None
        if hasattr(item, "_fields") or 1 <= len(item) <= 3:
            return (*item, None, None)[:3]  # type: ignore[return-value]
        raise DataError(f"{self.who} expects batches (x,), (x, y) or (x, y, sample_weight); received a tuple of {len(item)}. "
                        "Several inputs go into one list or dict: ([a, b], y).")

    def _arrays(self, part: Any, place: int) -> Any:
        if type(part) is np.ndarray and part.ndim and (part.dtype.kind in "iub" or part.dtype.name == dtypes.floatx()):
            return part
        rows = convert(part, f"{('x', 'y', 'sample_weight')[place]} of a batch", self.who, self.parts[place], self.training)
        return tree.map_structure(lambda leaf: None if leaf is None else leaf[_WHOLE], rows)


class IterableBatches(Batches):
    """Batches of an iterable; each pass begins it anew. A generator has one pass, which further epochs go on with."""

    def __init__(self, who: str, items: Any, steps: int | None, standard: Callable[[Any], Batch]) -> None:
        super().__init__(who, steps, _length(items))
        self.items, self.standard = items, standard

    def one_pass(self) -> Iterator[Batch]:
        for item in self.items:
            yield self.standard(item)

    def on_epoch_begin(self) -> None:
        getattr(self.items, "on_epoch_begin", _nothing)()

    def on_epoch_end(self) -> None:
        getattr(self.items, "on_epoch_end", _nothing)()


def _nothing() -> None:
    """What a data set without such a method does."""


def _length(items: Any) -> int | None:
    try:
        return len(items)
    except TypeError:  # no __len__, or a DataLoader over an iterable data set, whose __len__ raises
        return None


def check_rows(parts: Any, who: str, hint: bool = False) -> int:
    """The number of rows on which all arrays agree; DataError with the counts where they do not."""
    counts = {label: leaf.shape[0] for name, part in zip(("x", "y", "sample_weight"), parts, strict=True)
              for label, leaf in _labelled(name, part)}
    if len(set(counts.values())) > 1:
        mend = (
            " Are these rows of one array? Those of several lengths are padded first."
            if hint and isinstance(parts[0], list)
            else ""
        )
        received = ", ".join(f"{label} has {n}" for label, n in counts.items())
        raise DataError(f"{who} expects arrays that agree on their first axis (rows); received: {received}.{mend}")
    return next(iter(counts.values()), 0)


def _labelled(label: str, part: Any) -> Iterator[tuple[str, Any]]:
    """The arrays in a structure with the names of their places."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            yield from _labelled(f"{label}[{key!r}]", value)
    elif isinstance(part, (list, tuple)):
        for i, value in enumerate(part):
            yield from _labelled(f"{label}[{i}]", value)
    elif part is not None:
        yield label, part
