"""What a checkpoint's files hold: NAME.data-00000-of-0000N arrays, NAME.index what they are. See `docs/checkpoints.md`.

Both are safetensors files. A checkpoint is there once its index is, and the index knows length and checksum of all it needs.
"""
import json
import math
import os
import re
import zlib
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from graphnet.errors import FileFormatError

FORMAT, VERSION = "graphnet.checkpoint", 1
LARGEST_HEADER = 100_000_000  # bytes, as the package has it
KINDS = {"BOOL": np.dtype(bool), **{f"{code[0].upper()}{8 * int(code[1])}": np.dtype(f"<{code}")
                                    for code in "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8".split()}}
GRAPH, CHECKSUM = "_CHECKPOINTABLE_OBJECT_GRAPH", "_CRC32"


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


def data_files(folder: str, name: str) -> list[str]:
    pattern = re.compile(re.escape(name) + r"\.data-\d{5,}-of-\d{5,}")
    return [other for other in os.listdir(folder) if pattern.fullmatch(other)]


def contents_of(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def header(tensors: list[tuple[str, np.ndarray]]) -> bytes:
    """The header of a safetensors file: its length, and JSON that says kind, shape and place of each array.

    Source: https://github.com/huggingface/safetensors#format
    """
    found: dict[str, Any] = {"__metadata__": {"format": FORMAT}}
    end = 0
    for key, array in tensors:
        begin, end = end, end + array.nbytes
        kind = "BOOL" if array.dtype == bool else f"{array.dtype.kind.upper()}{8 * array.itemsize}"
        found[key] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(found, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def arrays_of(data: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file in memory, as parts of that memory: the package's `load` would copy them.

    Checked is all that the format asks for: the arrays lie behind each other, without gaps, to the end of the file. Raises ValueError.
    """
    begin = 8 + int.from_bytes(data[:8].tobytes(), "little")
    if len(data) < 8 or begin > min(len(data), LARGEST_HEADER):
        raise ValueError("its header is cut off, or too large")
    body = json.loads(data[8:begin].tobytes())
    if not isinstance(body, dict) or not isinstance(body.pop("__metadata__", {}), dict):
        raise ValueError("its header is no object")
    found: dict[str, np.ndarray] = {}
    end = 0
    for key, entry in sorted(body.items(), key=lambda item: item[1]["data_offsets"]):
        dtype, shape, (first, last) = KINDS[entry["dtype"]], entry["shape"], entry["data_offsets"]
        if not all(type(number) is int and number >= 0 for number in (*shape, first, last)):
            raise ValueError(f"{key!r} has no shape or no place")
        if first != end or last - first != math.prod(shape) * dtype.itemsize or begin + last > len(data):
            raise ValueError(f"{key!r} does not lie where it should")
        found[key] = data[begin + first:begin + last].view(dtype).reshape(shape)
        end = last
    if begin + end != len(data):
        raise ValueError("there is more than its header says")
    return found


def loosened(arrays: dict[Any, np.ndarray]) -> dict[Any, np.ndarray]:
    """The arrays, those of them copied that are parts of a file in memory of which most is not among them, and would stay for them."""
    used: Counter[int] = Counter()
    for array in arrays.values():
        used[id(array.base)] += array.nbytes
    return {key: array.copy() if array.base is not None and 2 * used[id(array.base)] < array.base.nbytes else array
            for key, array in arrays.items()}


def index_blob(index: Index) -> bytes:
    body = {"format": FORMAT, "version": VERSION, "nodes": index.nodes, "shards": [asdict(s) for s in index.shards],
            "tensors": {key: [e.shard, e.dtype, list(e.shape)] for key, e in index.tensors.items()}}
    text = json.dumps(body, separators=(",", ":")).encode()
    return save({GRAPH: np.frombuffer(text, "uint8"), CHECKSUM: np.array([zlib.crc32(text)], "uint32")})


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
    for number, shard in enumerate(shards):  # each has its own number in its name: no file is read as two of them
        own = re.escape(shard_name("", number, len(shards)))
        if shard.staged is not None and not re.fullmatch(rf"\.[^/\\\0]*{own}\.[0-9a-f]+", shard.staged):
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
