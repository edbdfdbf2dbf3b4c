"""Writing a checkpoint, and deleting one: whatever happens in between, there is the one of before or the new one, whole."""
import itertools
import os
import re
import secrets
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphnet.errors import FileFormatError
from graphnet.files import commit, pieces, whole_file
from graphnet.train.folder import alone, remove
from graphnet.train.layout import (
    Entry,
    Index,
    Shard,
    contents_of,
    data_files,
    header,
    index_blob,
    index_path,
    parse,
    shard_name,
)

SHARD_SIZE = 1 << 30


def write(prefix: str, nodes: list[dict[str, Any]], tensors: Mapping[str, np.ndarray], shard_size: int = SHARD_SIZE) -> None:
    """Writes a checkpoint; whatever happens, the one of that name before stays whole, or the new one is.

    The rename of the index is the moment at which the new one is there. Where there was none, the data files have their names
    by then. Where there was one, its data files must stay as they are until that moment: the new ones lie beside under the
    names that the index calls staged, and get their own names behind it. A reader takes them by either.
    """
    folder, name = os.path.split(os.path.abspath(prefix))
    os.makedirs(folder, exist_ok=True)
    groups = _groups(tensors, shard_size)
    with alone(folder) as sure:
        if sure:
            _tidy(folder, name)
        beside = f".{secrets.token_hex(8)}" if os.path.lexists(index_path(prefix)) or not sure else None
        names = [shard_name(name, number, len(groups)) for number in range(len(groups))]
        written = [f".{final}{beside}" if beside else final for final in names]
        blob = None
        try:
            shards = []
            for group, at in zip(groups, written, strict=True):
                size, checksum = _write_file(os.path.join(folder, at), {key: tensors[key] for key in group})
                shards.append(Shard(size, checksum, at if beside else None))
            entries = {key: Entry(number, tensors[key].dtype.name, tensors[key].shape)
                       for number, group in enumerate(groups) for key in group}
            blob = index_blob(Index(nodes, entries, shards))
            with whole_file(index_path(prefix)) as file:
                file.write(blob)
        except BaseException:
            if blob is None or contents_of(index_path(prefix)) != blob:  # else it is renamed, and needs them
                remove(folder, written)
            raise
        if beside:
            for at, final in zip(written, names, strict=True):
                commit(os.path.join(folder, at), os.path.join(folder, final))
        remove(folder, [other for other in data_files(folder, name) if other not in names])


def _groups(tensors: Mapping[str, np.ndarray], shard_size: int) -> list[list[str]]:
    """The keys of each data file: in order, as many as fit; an array is never cut."""
    groups: list[list[str]] = [[]]
    filled = 0
    for key in sorted(tensors):
        size = tensors[key].nbytes
        if groups[-1] and filled + size > shard_size:
            groups.append([])
            filled = 0
        groups[-1].append(key)
        filled += size
    return groups


def _write_file(path: str, tensors: dict[str, np.ndarray]) -> tuple[int, int]:
    """Writes a data file; its length and checksum.

    The arrays go from where they are to the file: the package's `save` would make a copy of all of them in memory first, which
    takes longer than the write.
    """
    keys = sorted(tensors, key=lambda key: (-tensors[key].itemsize, key))  # so that each lies at a multiple of its itemsize
    begin = memoryview(header([(key, tensors[key]) for key in keys]))
    size = checksum = 0
    with whole_file(path) as file:
        for part in itertools.chain([begin], *(pieces(np.asarray(tensors[key], tensors[key].dtype.newbyteorder("<"))) for key in keys)):
            file.write(part)
            checksum = zlib.crc32(part, checksum)
            size += len(part)
    return size, checksum


def _tidy(folder: str, name: str) -> None:
    """Ends what a writer that was killed left: data files of the index get their names, what no index knows is deleted."""
    try:
        shards = parse(contents_of(os.path.join(folder, index_path(name))) or b"", name).shards
    except FileFormatError:
        shards = []
    for number, shard in enumerate(shards):
        if shard.staged and os.path.exists(os.path.join(folder, shard.staged)):
            commit(os.path.join(folder, shard.staged), os.path.join(folder, shard_name(name, number, len(shards))))
    left = re.compile(rf"\.{re.escape(name)}\.data-[\d]+-of-[\d]+\.\w+|\.\.?{re.escape(name)}\.(data-.*|index\..*)\.pending")
    remove(folder, [other for other in os.listdir(folder) if left.fullmatch(other)])


def delete(prefix: str) -> None:
    """Deletes a checkpoint: its index first, so that what is left of an interrupted deletion is none."""
    folder, name = os.path.split(os.path.abspath(prefix))
    with alone(folder) as sure:
        remove(folder, [index_path(name)])
        if sure:
            _tidy(folder, name)
        remove(folder, data_files(folder, name))
