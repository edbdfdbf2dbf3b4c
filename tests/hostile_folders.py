"""Saved models and checkpoints that ask for too much: see `hostile_base`."""
import json
import zlib

import numpy as np
from hostile_amounts import CASES
from hostile_base import case, small, write_all
from safetensors.numpy import save

from graphnet.train.layout import Entry, Index, Shard, index_blob

__all__ = ["CASES", "saved", "small", "write_all"]  # of the files of all modules, which are known now

MEGABYTE = 1 << 20


def saved(path, change):
    """A saved model of one variable of 4 MB whose text was changed, with a checksum that is right again."""
    import graphnet
    module = graphnet.Module()
    module.v = graphnet.Variable(np.zeros(MEGABYTE, "float32"))
    graphnet.saved_model.save(module, path)
    text = path / "saved_model.json"
    head, body = text.read_text().split('"body":\n')
    data = json.loads(body.rstrip()[:-1])
    change(data)
    new = json.dumps(data)
    header = {**json.loads(head + '"body":0}'), "crc32": zlib.crc32(new.encode())}
    text.write_text(json.dumps({k: header[k] for k in ("format", "version", "crc32")})[:-1] + ', "body":\n' + new + "}\n")


@case("model")
def variables_of_one_value(path):
    saved(path, lambda body: body.update(variables=body["variables"] * 1000))


@case("model")
def lists_of_nothing(path):
    saved(path, lambda body: body["objects"].extend([{"kind": "list", "length": MEGABYTE - 1}] * 100))


def extent(path, dim):
    """A saved model with a graph whose input has that extent."""
    saved(path, lambda body: body["graphs"].append({"name": "g", "symbols": [f"n{i}" for i in range(8)], "nodes": [], "outputs": [0], "updates": [],
                                                    "inputs": [[[[{"dim": dim}], "float32"], "x"]]}))


@case("model")
def extent_of_powers_of_a_sum(path):
    total = {"dim": [[1, i] for i in range(8)]}
    extent(path, [[1, *[["max", total, total]] * 63]])


@case("model")
def extent_of_powers_of_a_quotient(path):
    total = {"dim": [[1, i] for i in range(8)]}
    extent(path, [[1, *[["//", total, 1]] * 63]])


@case("model")
def extent_of_large_numbers(path):
    extent(path, [[1, *[["max", {"dim": [[1 << 60, 0]]}, {"dim": [[1 << 60, 0]]}]] * 63]])


@case("checkpoint")
def data_files_that_are_one(path):
    """A hundred data files of 8 MB, which are the same; of each one small array is kept, and the file's memory with it."""
    path.mkdir()
    names = [f"v{i}" for i in range(100)]
    data = save({**{name: np.zeros(1, "float32") for name in names}, "more": np.zeros(2 * MEGABYTE, "float32")})
    (path / ".x.data-00000-of-00001.a").write_bytes(data)
    shards = [Shard(len(data), zlib.crc32(data), ".x.data-00000-of-00001.a") for _ in names]
    nodes = [{"children": {name: 1 + i for i, name in enumerate(names)}}, *({"value": name} for name in names)]
    (path / "x.index").write_bytes(index_blob(Index(nodes, {name: Entry(i, "float32", (1,)) for i, name in enumerate(names)}, shards)))
