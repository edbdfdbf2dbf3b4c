"""Keras 3's weights in several files: the index, `m.weights.json`, says which of `m_00000.weights.h5`, `m_00001.weights.h5` ... hold what."""
import itertools
import json
import os
import pathlib
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import h5py

from graphnet.errors import FileFormatError
from graphnet.files import open_plain, whole_file
from graphnet.saving.archive import parse
from graphnet.saving.hdf5 import Joined
from graphnet.saving.outline import Outline
from graphnet.saving.weights_writer import Entry, write_entry
from graphnet.train.folder import alone, remove

GIB = 1 << 30  # what `max_shard_size` counts, in Keras as well
MOST = 512  # files: all are open while they are read, and a process may have some 1,000
LARGEST_INDEX = 1 << 26  # bytes
_ATTEMPTS = 5


def shard_name(path: pathlib.Path, number: int) -> str:
    return f"{path.stem.replace('.weights', '')}_{number:05}.weights.h5"


# ---- writing

def write_shards(path: pathlib.Path, entries: Iterable[Entry], max_shard_size: Any) -> None:
    """Writes weights as files of at most so many GiB of arrays, and their index.

    The rename of the index is the moment at which the new weights are there. Those of before stay until then: the files of the new
    ones have numbers that are free. Raises ValueError for an array that is larger, or a size that makes more than `MOST` files.
    """
    if isinstance(max_shard_size, bool) or not isinstance(max_shard_size, (int, float)) or not max_shard_size > 0:
        raise ValueError(f"save_weights expects max_shard_size to be a number of GiB above 0; received {max_shard_size!r}.")
    shards = _cut(entries, max_shard_size * GIB)
    if len(shards) > MOST:
        raise ValueError(f"save_weights(max_shard_size={max_shard_size}) would make {len(shards)} files, and at most {MOST} are read. Choose a "
                         "larger size.")
    folder = os.path.dirname(path) or "."
    os.makedirs(folder, exist_ok=True)
    with alone(folder):
        before = _own_names(path)
        there = set(os.listdir(folder))
        free = (name for name in map(lambda number: shard_name(path, number), itertools.count()) if name not in there)
        chosen = list(itertools.islice(free, len(shards)))
        before -= set(chosen)  # files that were gone already: their names are those of new ones
        text = _index(shards, chosen)
        try:
            for name, shard in zip(chosen, shards, strict=True):
                _write(os.path.join(folder, name), shard)
            with whole_file(path, "w") as file:
                file.write(text)
        except BaseException:
            if not path.is_file() or path.read_text("utf-8", "replace") != text:  # else it is renamed, and needs them
                remove(folder, chosen)
            raise
        with suppress(OSError):  # what cannot be deleted belongs to no index
            first = shard_name(path, 0)
            if first in before:  # Keras opens this one whatever the index says
                _write(os.path.join(folder, first), [])
            remove(folder, before - {first})


def _cut(entries: Iterable[Entry], limit: float) -> list[list[Entry]]:
    """What each file holds: as many arrays as fit, in order; an object's may be in several, an array is never cut."""
    shards: list[list[Entry]] = [[]]
    filled = 0
    for group, name, arrays in entries:
        here: dict[str, Any] = {}
        shards[-1].append((group, name, here))
        for key, value in arrays.items():
            if value.nbytes > limit:
                raise ValueError(f"save_weights expects max_shard_size to be at least that of the largest array; {group}/{key} of {name!r} has "
                                 f"{value.nbytes} bytes, of which {limit:.0f} fit. Choose a larger size.")
            if filled + value.nbytes > limit:
                here = {}
                shards.append([(group, name, here)])
                filled = 0
            here[key] = value
            filled += value.nbytes
    return shards


def _index(shards: list[list[Entry]], names: list[str]) -> str:
    """The text of the index."""
    places: dict[str, list[str]] = {}
    total = 0
    for shard, name in zip(shards, names, strict=True):
        for group, _, arrays in shard:
            if arrays:
                places.setdefault(f"/{group}", []).append(name)
                total += sum(array.nbytes for array in arrays.values())
    return json.dumps({"metadata": {"total_size": float(total)},
                       "weight_map": {group: found[0] if len(found) == 1 else found for group, found in places.items()}}, indent=4)


def _write(path: str, shard: list[Entry]) -> None:
    def fill(outline: Outline) -> None:
        for entry in shard:
            write_entry(outline, entry)
    with whole_file(path) as file:
        for block in Outline(fill).blocks():
            file.write(block)


def _own_names(path: pathlib.Path) -> set[str]:
    """The files of the weights that are there already: none but those with names as they are given here."""
    pattern = re.compile(re.escape(shard_name(path, 0)).replace("00000", r"\d{5,}"))
    try:
        return {name for name in _names(_index_bytes(path), path) if pattern.fullmatch(name)}
    except (FileFormatError, OSError):
        return set()


# ---- reading

@contextmanager
def opened_shards(path: pathlib.Path) -> Iterator[tuple[Joined, int]]:
    """The groups of all files as one, and the size of the files. Raises FileFormatError."""
    with ExitStack() as opened:
        found = _open(path, opened)
        groups = []
        for name, file in found.items():
            try:
                groups.append(opened.enter_context(h5py.File(file, "r")))
            except (ValueError, TypeError, LookupError, OSError, RuntimeError, OverflowError) as error:
                raise FileFormatError(f"{path}: {name}: not an HDF5 file, or a truncated one ({error}).") from error
        yield Joined(groups), sum(os.fstat(file.fileno()).st_size for file in found.values())


def _open(path: pathlib.Path, opened: ExitStack) -> dict[str, Any]:
    """The files of one index: another may take its place meanwhile."""
    for attempt in range(_ATTEMPTS):
        raw = _index_bytes(path)
        with ExitStack() as files:
            try:
                found = {name: files.enter_context(open_plain(path.with_name(name))) for name in _names(raw, path)}
            except OSError as error:
                if attempt + 1 < _ATTEMPTS and _index_bytes(path) != raw:
                    continue
                raise FileFormatError(f"{path}: its part {pathlib.Path(str(error.filename)).name} cannot be opened: {error.strerror}. Nothing was "
                                      "changed. Copy all files of the weights into one folder.") from error
            opened.push(files.pop_all())
            return found
    raise AssertionError("the last attempt raises")


def _index_bytes(path: pathlib.Path) -> bytes:
    with path.open("rb") as file:
        raw = file.read(LARGEST_INDEX + 1)
    if len(raw) > LARGEST_INDEX:
        raise FileFormatError(f"{path} has more than {LARGEST_INDEX} bytes, too many for an index of weights.")
    return raw


def _names(raw: bytes, path: pathlib.Path) -> list[str]:
    """The files that an index names, each once. Names that lead out of its folder are refused."""
    try:
        index = parse(raw)
        found = [[names] if isinstance(names, str) else names for names in index["weight_map"].values()]
        names = list(dict.fromkeys(itertools.chain.from_iterable(found)))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, MemoryError) as error:
        raise FileFormatError(f"{path}: expected an index of weights, as save_weights(max_shard_size=...) writes it: a JSON object with a "
                              f"\"weight_map\" ({type(error).__name__}: {str(error)[:200]}).") from error
    wrong = [name for name in names if not isinstance(name, str) or not re.fullmatch(r"[^/\\:\0.][^/\\:\0]*\.h5", name)]
    if wrong:
        raise FileFormatError(f"{path}: it names {str(wrong[0])[:80]!r}, which is no HDF5 file in its folder. Nothing was changed.")
    if len(names) > MOST:
        raise FileFormatError(f"{path}: it names {len(names)} files; at most {MOST} are read. Nothing was changed.")
    return names
