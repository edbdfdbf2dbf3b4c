"""Reading a checkpoint: all of it is checked against its index before anything is given out."""
import os
import zlib
from contextlib import suppress

import numpy as np

from graphnet.errors import FileFormatError
from graphnet.identifiers import did_you_mean
from graphnet.train.layout import Index, arrays_of, contents_of, data_files, index_path, parse, shard_name

_ATTEMPTS = 5


def exists(prefix: str) -> bool:
    """Whether there is a checkpoint of that name."""
    return os.path.isfile(index_path(prefix))


def _index_bytes(prefix: str) -> bytes:
    blob = contents_of(index_path(prefix))
    if blob is not None:
        return blob
    folder, name = os.path.split(os.path.abspath(prefix))
    if os.path.isdir(folder) and data_files(folder, name):
        raise FileFormatError(f"Checkpoint {prefix}: its data files are there, but {name}.index is missing: it was not "
                              "written to its end, or not copied whole. Nothing was changed. Take another checkpoint.")
    raise FileNotFoundError(f"There is no checkpoint {prefix}: {index_path(prefix)} does not exist. Pass the path that save "
                            "or write gave: without .index, and without .data-00000-of-0000N.")


def read_index(prefix: str) -> Index:
    """The index of a checkpoint. Raises FileNotFoundError, FileFormatError."""
    return parse(_index_bytes(prefix), prefix)


def read(prefix: str, only: str | None = None) -> tuple[Index, dict[str, np.ndarray]]:
    """The index and the arrays, all of them or those that lie with the one of key `only`; each file's checksum holds.

    Raises FileNotFoundError where there is no checkpoint, FileFormatError where one is damaged or not all there, ValueError
    where it has no such key.
    """
    for attempt in range(_ATTEMPTS):
        blob = _index_bytes(prefix)
        try:
            index = parse(blob, prefix)
            if only is not None and only not in index.tensors:
                raise ValueError(f"Checkpoint {prefix} has no value {only!r}.{did_you_mean(only, index.tensors)} See "
                                 "list_variables.")
            keys: dict[int, list[str]] = {number: [] for number in range(len(index.shards))}
            for key, entry in index.tensors.items():
                keys[entry.shard].append(key)
            wanted = keys if only is None else [index.tensors[only].shard]
            return index, {key: value for number in wanted for key, value in _read_shard(prefix, index, number, keys[number]).items()}
        except FileFormatError:
            if attempt + 1 == _ATTEMPTS or contents_of(index_path(prefix)) == blob:
                raise  # else another writer has replaced the checkpoint meanwhile
    raise AssertionError("the last attempt raises")


def _read_shard(prefix: str, index: Index, number: int, keys: list[str]) -> dict[str, np.ndarray]:
    folder, name = os.path.split(os.path.abspath(prefix))
    shard, final = index.shards[number], shard_name(name, number, len(index.shards))

    def damaged(what: str) -> FileFormatError:
        return FileFormatError(f"Checkpoint {prefix}: its data file {final} {what}. Nothing was changed. Take another "
                               "checkpoint.")
    data = None
    for at in filter(None, (shard.staged, final)):  # in this order: a staged file may get its name in between
        path = os.path.join(folder, at)
        with suppress(FileNotFoundError), open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != shard.bytes:
                raise damaged(f"has {size} bytes; its index says {shard.bytes}")
            data = np.empty(size, "uint8")
            data = data[:file.readinto(data.data)]
            break
    if data is None:
        raise damaged("is missing")
    if len(data) != shard.bytes or zlib.crc32(data.data) != shard.crc32:
        raise damaged("is damaged: its checksum is not the one that the index has")
    try:
        tensors = arrays_of(data)
    except (KeyError, ValueError, TypeError, IndexError, RecursionError) as error:
        raise damaged(f"is no safetensors file ({error})") from error
    for key in keys:
        entry, found = index.tensors[key], tensors.get(key)
        if found is None or found.shape != entry.shape or found.dtype.name != entry.dtype:
            raise damaged(f"does not hold {key!r} as the index has it")
    return {key: tensors[key] for key in keys}
