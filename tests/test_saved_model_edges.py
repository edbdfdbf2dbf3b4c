"""Saved models at the edges: large numbers, long lists, a process that ends, a directory that is replaced while it is read."""
import subprocess
import sys
import threading

import numpy as np
import pytest

import graphnet
from graphnet import ops, saved_model
from graphnet.errors import FileFormatError
from graphnet.saved_model import reader
from graphnet.saved_model.graphs import Constants, read_constants
from graphnet.saved_model.values import LARGEST, PLACES, Decoder, Encoder, Malformed, Unsaved


def holding(number, size=100):
    """A module whose function needs a variable and a constant, both full of one number."""
    module = graphnet.Module()
    module.w, constant = graphnet.Variable(np.full(size, number, "float32")), np.full(size, number, "float32")
    module.f = graphnet.function(lambda: module.w * constant, input_signature=[])
    return module


# ---- what cannot be loaded is not saved

@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_the_largest_whole_numbers(tmp_path, dtype):
    module = graphnet.Module()
    module.f = graphnet.function(lambda x: ops.saturate_cast(x, dtype), input_signature=[((None,), "float32")])
    saved_model.save(module, tmp_path / "m")
    x = np.array([1e30, -1e30, 3.0], "float32")
    np.testing.assert_array_equal(saved_model.load(tmp_path / "m").f(x), module.f(x))


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint64"])
def test_constants_are_of_all_numbers_of_their_dtype_and_no_others(dtype):
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    constants = Constants()
    constants.number(np.array([least, most], dtype))
    np.testing.assert_array_equal(read_constants(constants.entries, {})[0], np.array([least, most], dtype))
    for wrong in (least - 1, most + 1):
        with pytest.raises(Malformed, match=f"not from {least} to {most}"):
            read_constants([{"dtype": dtype, "shape": [1], "values": [wrong]}], {})


def test_whole_numbers_that_are_refused_are_not_written(tmp_path):
    for number in (-LARGEST, LARGEST - 1):
        assert Decoder()(Encoder()(number)) == number
    for number in (-LARGEST - 1, LARGEST, np.uint64(2**64 - 1)):
        with pytest.raises(Unsaved, match="whole numbers from"):
            Encoder()(number)
    module = graphnet.Module()
    module.f = graphnet.function(lambda x, seed: x + 1.0)
    for seed in (3, 2**63):
        module.f(np.ones(2, "float32"), seed)
    with pytest.warns(UserWarning, match=f"left out.*received {2**63}"):
        saved_model.save(module, tmp_path / "m")
    loaded = saved_model.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.f(np.ones(2, "float32"), 3), [2, 2])


def test_long_lists(tmp_path):
    module = holding(2)
    module.words, module.pair = ["word"] * PLACES, (module.w, "name")
    saved_model.save(module, tmp_path / "m")
    loaded = saved_model.load(tmp_path / "m")
    assert loaded.words == [] and loaded.pair == (loaded.w, None)
    module.words.append(graphnet.Variable(1.0))
    with pytest.raises(ValueError, match=f"fewer than {PLACES} places.*the longest {PLACES + 1}"):
        saved_model.save(module, tmp_path / "m")
    assert float(saved_model.load(tmp_path / "m").w.value[0]) == 2


# ---- threads

AT_THE_END = """
import atexit, sys, numpy as np, graphnet
module = graphnet.Module()
module.w = graphnet.Variable(np.ones(3, "float32"))
atexit.register(graphnet.saved_model.save, module, sys.argv[1])
"""


def test_saved_when_the_process_ends(tmp_path):
    done = subprocess.run([sys.executable, "-c", AT_THE_END, tmp_path / "m"], capture_output=True, text=True)
    assert (tmp_path / "m").is_dir(), done.stderr
    np.testing.assert_array_equal(saved_model.load(tmp_path / "m").w.value, [1, 1, 1])


def test_saved_without_further_threads(tmp_path, monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")
    monkeypatch.setattr(threading.Thread, "start", start)
    saved_model.save(holding(2), tmp_path / "m")
    assert saved_model.load(tmp_path / "m").f()[0] == 4


# ---- one is replaced while it is read

def replaced(monkeypatch, path, name, numbers):
    """Whenever that file has been read, another module takes the directory's place, as long as there are numbers."""
    read = reader.contents

    def contents(folder, file, *most):
        found = read(folder, file, *most)
        if file == name and numbers:
            saved_model.save(holding(*numbers.pop()), path)
        return found
    monkeypatch.setattr(reader, "contents", contents)


@pytest.mark.parametrize("new", [(3,), (3, 70)], ids=["of the same shapes", "of others"])
@pytest.mark.parametrize("name", ["saved_model.json", "constants.safetensors"])
def test_what_is_read_is_of_one_directory(tmp_path, monkeypatch, name, new):
    saved_model.save(holding(2), tmp_path / "m")
    replaced(monkeypatch, tmp_path / "m", name, [new])
    np.testing.assert_array_equal(saved_model.load(tmp_path / "m").f(), holding(*new).f())


def test_one_that_is_replaced_without_end(tmp_path, monkeypatch):
    saved_model.save(holding(2), tmp_path / "m")
    replaced(monkeypatch, tmp_path / "m", "constants.safetensors", [(3,), (2,)] * 5)
    with pytest.raises(FileFormatError, match="again and again"):
        saved_model.load(tmp_path / "m")
