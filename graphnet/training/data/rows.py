"""One array of a data set, whose rows are read batch by batch: in memory, in a mapped file, or sparse."""
import mmap
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphnet import dtypes
from graphnet.errors import DataError

CAST_AT_ONCE = 1 << 30  # bytes; a larger array of another float type is cast batch by batch


class Rows:
    """The rows of a dense array; `rows[slice or indices]` is a batch of them in the due dtype."""

    def __init__(self, array: np.ndarray, dtype: np.dtype) -> None:
        self.mapped = is_mapped(array)
        if array.dtype != dtype and not self.mapped and array.nbytes <= CAST_AT_ONCE:
            array = array.astype(dtype)
        self.array, self.dtype = array, dtype
        self.contiguous = array.flags.c_contiguous and array.flags.aligned  # of any other, `take` copies the whole

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def row_bytes(self) -> int:
        return self.array[:1].size * self.dtype.itemsize

    def ready(self, shuffle: Any) -> bool:
        """Whether a batch is a view, which costs nothing to prepare."""
        return not (shuffle or self.mapped or self.array.dtype != self.dtype)

    def __getitem__(self, key: Any) -> np.ndarray:
        if type(key) is slice:
            part = self.array[key]
            return np.array(part, self.dtype) if self.mapped else part.astype(self.dtype, copy=False)
        part = self.array.take(key, 0) if self.contiguous else self.array[key]
        return part.astype(self.dtype, copy=False)

    def cut(self, start: int, stop: int) -> Any:
        """Some rows as an array over the same memory."""
        return self.array[start:stop]


class SparseRows:
    """The rows of a scipy sparse matrix, made dense batch by batch."""

    mapped = False

    def __init__(self, matrix: Any, dtype: np.dtype) -> None:
        self.matrix, self.dtype = matrix.tocsr(), dtype
        self.shape: tuple[int, ...] = self.matrix.shape

    @property
    def row_bytes(self) -> int:
        return self.shape[-1] * self.dtype.itemsize

    def ready(self, shuffle: Any) -> bool:
        return False

    def __getitem__(self, key: Any) -> np.ndarray:
        return self.matrix[key].toarray().astype(self.dtype, copy=False)

    def cut(self, start: int, stop: int) -> Any:
        """Some rows as a sparse matrix."""
        return self.matrix[start:stop]


def is_mapped(array: Any) -> bool:
    """Whether an array lies in a mapped file."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def convert(value: Any, label: str, who: str, parts: int = 1, floats: bool = True) -> Any:
    """The same structure with `Rows` in the place of each array, table, sparse matrix or nested list of numbers.

    ``parts`` is the number of arrays that a list of lists of numbers stands for. With ``floats`` other float types become
    the default one. Raises DataError, which names the place by ``label``.
    """
    if isinstance(value, Mapping):
        return {key: convert(part, f"{label}[{key!r}]", who, 1, floats) for key, part in value.items()}
    if isinstance(value, (list, tuple)) and not (_is_numbers(value) and not _lists_of_parts(value, parts)):
        if not value:
            raise DataError(f"{who} expects {label} to hold arrays; received {value!r}.")
        items = [convert(part, f"{label}[{i}]", who, 1, floats) for i, part in enumerate(value)]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return None if value is None else _leaf(value, label, who, floats)


def _is_numbers(value: Any) -> bool:
    """Whether nested lists hold numbers (or words), and so stand for one array."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (int, float, complex, str, bytes, np.generic))


def _lists_of_parts(value: Any, parts: int) -> bool:
    return parts > 1 and len(value) == parts and all(isinstance(part, (list, tuple)) for part in value)


def _leaf(value: Any, label: str, who: str, floats: bool) -> Rows | SparseRows:
    if type(value).__module__.startswith("scipy.sparse") and hasattr(value, "tocsr"):
        return SparseRows(value, _due(value.dtype, label, who, floats))
    array = _array(value, label, who)
    if array.ndim == 0:
        raise DataError(f"{who} expects {label} to have rows on its first axis; received {value!r}, which has no axis. "
                        f"A single row has shape (1, ...).")
    return Rows(array, _due(array.dtype, label, who, floats))


def _array(value: Any, label: str, who: str) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    if type(value).__module__.split(".")[0] == "pandas" and hasattr(value, "to_numpy"):
        return _table(value, label, who)
    if hasattr(value, "detach") and hasattr(value, "cpu"):  # a tensor of PyTorch
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
        return value.numpy()
    if not (hasattr(value, "__array__") or isinstance(value, (list, tuple, int, float))):
        raise DataError(f"{who} expects {label} to be an array; received {value!r} ({type(value).__name__}).")
    try:
        return dtypes.as_array(value)
    except ValueError:
        raise DataError(f"{who} expects {label} to be one array; received rows of several lengths, which are padded first "
                        "(graphnet.utils.pad_sequences).") from None


def _table(value: Any, label: str, who: str) -> np.ndarray:
    """A DataFrame or Series; where its columns are of several kinds, as floats."""
    kinds = dict(value.dtypes) if value.ndim == 2 else {value.name: value.dtype}
    words = [column for column, dtype in kinds.items() if getattr(dtype, "kind", "O") not in "fiub"]
    if words:
        raise DataError(f"{who} expects {label} to hold numbers; its columns {words} hold {[str(kinds[c]) for c in words]}. "
                        "Encode them first: as numbers (pandas.factorize), or one column each (pandas.get_dummies).")
    array = value.to_numpy()
    return array if array.dtype != object else value.to_numpy(dtype=dtypes.floatx(), na_value=np.nan)


def _due(dtype: np.dtype, label: str, who: str, floats: bool) -> np.dtype:
    """The dtype that batches shall have."""
    if dtype.name == "bfloat16" or (floats and dtype.kind == "f"):
        return np.dtype(dtypes.floatx())
    if dtype.kind not in "fiub":
        mend = "Encode words and categories as numbers first." if dtype.kind in "OUS" else "Convert it to numbers first."
        raise DataError(f"{who} expects {label} to hold numbers; received an array of dtype {dtype}. {mend}")
    return dtype.newbyteorder("=")
