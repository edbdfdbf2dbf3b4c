"""A checkpoint's files: NAME.data-00000-of-0000N with the arrays, NAME.index with what they are. `docs/checkpoints.md` is the
format.

Both are safetensors files. A checkpoint is there once its index is, and the index knows length and checksum of all it needs.
"""
import json
import os
import re
import secrets
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from graphnet.errors import FileFormatError
from graphnet.files import commit, whole_file
from graphnet.train.folder import alone

FORMAT, VERSION = "graphnet.checkpoint", 1
GRAPH, CHECKSUM = "_CHECKPOINTABLE_OBJECT_GRAPH", "_CRC32"
SHARD_SIZE = 1 << 30
_CHUNK = 1 << 23
_ATTEMPTS = 5


@dataclass(frozen=True)
class Entry:
    """Where an array lies, and what it is."""

    shard: int
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Shard:
    """A data file as the index knows it. `staged` is the name that it has until it gets its own: see `write`."""

    bytes: int
    crc32: int
    staged: str | None = None


@dataclass(frozen=True)
class Index:
    """What NAME.index holds: the objects as a list of nodes, the arrays by key, the data files."""

    nodes: list[dict[str, Any]]
    tensors: dict[str, Entry]
    shards: list[Shard]


def index_path(prefix: str) -> str:
    return prefix + ".index"


def shard_name(name: str, number: int, count: int) -> str:
    return f"{name}.data-{number:05d}-of-{count:05d}"


# ---- writing

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
            blob = _index_blob(Index(nodes, entries, shards))
            with whole_file(index_path(prefix)) as file:
                file.write(blob)
        except BaseException:
            if blob is None or _bytes_of(index_path(prefix)) != blob:  # else it is renamed, and needs them
                _remove(folder, written)
            raise
        if beside:
            for at, final in zip(written, names, strict=True):
                commit(os.path.join(folder, at), os.path.join(folder, final))
        _remove(folder, [other for other in _data_files(folder, name) if other not in names])


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
    """Writes a data file; its length and checksum."""
    data = memoryview(save(tensors, {"format": FORMAT}))
    checksum = 0
    with whole_file(path) as file:
        for at in range(0, len(data), _CHUNK):
            part = data[at:at + _CHUNK]
            file.write(part)
            checksum = zlib.crc32(part, checksum)
    return len(data), checksum


def _index_blob(index: Index) -> bytes:
    body = {"format": FORMAT, "version": VERSION, "nodes": index.nodes, "shards": [asdict(s) for s in index.shards],
            "tensors": {key: [e.shard, e.dtype, list(e.shape)] for key, e in index.tensors.items()}}
    text = np.frombuffer(json.dumps(body, separators=(",", ":")).encode(), "uint8")
    return save({GRAPH: text, CHECKSUM: np.array([zlib.crc32(text)], "uint32")})


def _data_files(folder: str, name: str) -> list[str]:
    pattern = re.compile(re.escape(name) + r"\.data-\d{5,}-of-\d{5,}")
    return [other for other in os.listdir(folder) if pattern.fullmatch(other)]


def _tidy(folder: str, name: str) -> None:
    """Ends what a writer that was killed left: data files of the index get their names, what no index knows is deleted."""
    try:
        shards = parse(_bytes_of(os.path.join(folder, index_path(name))) or b"", name).shards
    except FileFormatError:
        shards = []
    for number, shard in enumerate(shards):
        if shard.staged and os.path.exists(os.path.join(folder, shard.staged)):
            commit(os.path.join(folder, shard.staged), os.path.join(folder, shard_name(name, number, len(shards))))
    left = re.compile(rf"\.{re.escape(name)}\.data-[\d]+-of-[\d]+\.\w+|\.\.?{re.escape(name)}\.(data-.*|index\..*)\.pending")
    _remove(folder, [other for other in os.listdir(folder) if left.fullmatch(other)])


def _remove(folder: str, names: list[str]) -> None:
    for name in names:
        with suppress(FileNotFoundError):
            os.remove(os.path.join(folder, name))


def remove(prefix: str) -> None:
    """Deletes a checkpoint: its index first, so that what is left of an interrupted deletion is none."""
    folder, name = os.path.split(os.path.abspath(prefix))
    with alone(folder) as sure:
        with suppress(FileNotFoundError):
            os.remove(index_path(prefix))
        if sure:
            _tidy(folder, name)
        _remove(folder, _data_files(folder, name))


# ---- reading

def _bytes_of(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def exists(prefix: str) -> bool:
    """Whether there is a checkpoint of that name."""
    return os.path.isfile(index_path(prefix))


def _index_bytes(prefix: str) -> bytes:
    blob = _bytes_of(index_path(prefix))
    if blob is not None:
        return blob
    folder, name = os.path.split(os.path.abspath(prefix))
    if os.path.isdir(folder) and _data_files(folder, name):
        raise FileFormatError(f"Checkpoint {prefix}: its data files are there, but {name}.index is missing: it was not "
                              "written to "
                              "its end, or not copied whole. Nothing was changed. Take another checkpoint.")
    raise FileNotFoundError(f"There is no checkpoint {prefix}: {index_path(prefix)} does not exist. Pass the path that save "
                            "or write "
                            "gave: without .index, and without .data-00000-of-0000N.")


def parse(blob: bytes, source: str) -> Index:
    """The index that the bytes of a NAME.index mean; all of it is checked. Raises FileFormatError."""
    def damaged(what: str, cause: Exception | None = None) -> FileFormatError:
        error = FileFormatError(f"Checkpoint {source}: its index {what}. Nothing was changed. Take another checkpoint.")
        error.__cause__ = cause
        return error
    try:
        found = load(blob)
        text = found[GRAPH].tobytes()
        right = int(found[CHECKSUM][0]) == zlib.crc32(text)
        body = json.loads(text) if right else None
    except (SafetensorError, KeyError, ValueError, TypeError, IndexError, RecursionError) as error:
        raise damaged("is damaged, or no index of a checkpoint of graphnet's", error) from error
    if not right:
        raise damaged("is damaged: its checksum is not that of its contents")
    if not isinstance(body, dict) or body.get("format") != FORMAT or type(body.get("version")) is not int:
        raise damaged("is no index of a checkpoint of graphnet's")
    if body["version"] > VERSION:
        raise damaged(f"has format {body['version']}, of a newer graphnet; this one reads formats up to {VERSION}. Update "
                      "graphnet")
    try:
        return _checked(body)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise damaged(f"is malformed ({error!r})", error) from error


def _checked(body: dict[str, Any]) -> Index:
    def whole(value: Any, below: int | None = None) -> int:
        if type(value) is not int or value < 0 or (below is not None and value >= below):
            raise ValueError(f"{value!r} is out of range")
        return value

    shards = [Shard(whole(s["bytes"]), whole(s["crc32"]), s["staged"]) for s in body["shards"]]
    for shard in shards:
        if shard.staged is not None and not re.fullmatch(r"\.[^/\\\0]*\.data-\d+-of-\d+\.[0-9a-f]+", shard.staged):
            raise ValueError(f"{shard.staged!r} is no name of a file")
    tensors = {key: Entry(whole(shard, len(shards)), np.dtype(dtype).name, tuple([whole(extent) for extent in shape]))
               for key, (shard, dtype, shape) in body["tensors"].items()}
    nodes: list[dict[str, Any]] = []
    for node in body["nodes"]:
        children = {name: whole(child, len(body["nodes"])) for name, child in node.get("children", {}).items()}
        value, state = node.get("value"), node.get("state")
        if (value is not None and value not in tensors) or state not in (None, "str", "bytes"):
            raise ValueError(f"{node!r} is no node")
        nodes.append({"children": children, "value": value, "state": state})
    if not nodes:
        raise ValueError("there is no root")
    return Index(nodes, tensors, shards)


def read_index(prefix: str) -> Index:
    """The index of a checkpoint. Raises FileNotFoundError, FileFormatError."""
    return parse(_index_bytes(prefix), prefix)


def read(prefix: str, only: str | None = None) -> tuple[Index, dict[str, np.ndarray]]:
    """The index and the arrays, all of them or those that lie with the one of key `only`; each file's checksum holds.

    Raises FileNotFoundError where there is no checkpoint, FileFormatError where one is damaged or not all there.
    """
    for attempt in range(_ATTEMPTS):
        blob = _index_bytes(prefix)
        try:
            index = parse(blob, prefix)
            wanted = range(len(index.shards)) if only is None else [index.tensors[only].shard]
            return index, {key: value for number in wanted for key, value in _read_shard(prefix, index, number).items()}
        except FileFormatError:
            if attempt + 1 == _ATTEMPTS or _bytes_of(index_path(prefix)) == blob:
                raise  # else another writer has replaced the checkpoint meanwhile
    raise AssertionError("the last attempt raises")


def _read_shard(prefix: str, index: Index, number: int) -> dict[str, np.ndarray]:
    folder, name = os.path.split(os.path.abspath(prefix))
    shard, final = index.shards[number], shard_name(name, number, len(index.shards))

    def damaged(what: str) -> FileFormatError:
        return FileFormatError(f"Checkpoint {prefix}: its data file {final} {what}. Nothing was changed. Take another "
                               "checkpoint.")
    data = None
    for at in (shard.staged, final):  # in this order: a staged file may get its name in between
        path = os.path.join(folder, at) if at else ""
        with suppress(FileNotFoundError), open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != shard.bytes:
                raise damaged(f"has {size} bytes; its index says {shard.bytes}")
            data = file.read(size)
            break
    if data is None:
        raise damaged("is missing")
    if len(data) != shard.bytes or zlib.crc32(data) != shard.crc32:
        raise damaged("is damaged: its checksum is not the one that the index has")
    try:
        tensors = load(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise damaged(f"is no safetensors file ({error})") from error
    for key, entry in index.tensors.items():
        if entry.shard == number:
            found = tensors.get(key)
            if found is None or found.shape != entry.shape or found.dtype.name != entry.dtype:
                raise damaged(f"does not hold {key!r} as the index has it")
    return {key: value for key, value in tensors.items() if key in index.tensors and index.tensors[key].shard == number}
