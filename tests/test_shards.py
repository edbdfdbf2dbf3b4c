"""Weights in several files with an index, and models as folders: written whole, read back, and nothing read from elsewhere."""
import errno
import json
import os
import threading

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphnet as gn
from graphnet import layers
from graphnet.errors import FileFormatError
from graphnet.saving import shards

GIB = 1 << 30


def net(size=8, start="glorot_uniform"):
    shared = layers.Dense(size, "tanh", kernel_initializer=start)
    x = gn.Input((size,))
    inner = gn.Sequential([gn.Input((size,)), layers.Dense(3, kernel_initializer=start), layers.BatchNormalization(), layers.Dropout(0.1)])
    model = gn.Model(x, layers.Dense(2, kernel_initializer=start)(inner(shared(shared(x)))))
    model.compile("adam", "mse")
    return model


def trained(**options):
    model = net(**options)
    model.train_on_batch(np.ones((4, 8), "float32"), np.ones((4, 2), "float32"))
    return model


def values(model):
    return [v.value.copy() for v in [*model.variables, *model.optimizer.variables]]


def same(a, b):
    return len(a) == len(b) and all(map(np.array_equal, a, b))


def shard_files(folder):
    return sorted(name for name in os.listdir(folder) if name.endswith(".weights.h5"))


@given(st.integers(256, 5000))
@settings(max_examples=12, deadline=None)
def test_any_size_gives_the_same_weights(tmp_path_factory, size):
    folder, model, other = tmp_path_factory.mktemp("shards"), trained(), net()
    model.save_weights(folder / "m.weights.json", max_shard_size=size / GIB)
    other.load_weights(folder / "m.weights.json")
    assert same(values(model), values(other))
    index = json.loads((folder / "m.weights.json").read_text())
    held, total = {}, 0
    for name in shard_files(folder):
        with h5py.File(folder / name) as file:
            arrays = []
            file.visititems(lambda path, thing: arrays.append((path, thing.nbytes)) if isinstance(thing, h5py.Dataset) else None)  # noqa: B023 - it is called within the turn of the loop
        assert sum(count for _, count in arrays) <= size
        total += sum(count for _, count in arrays)
        for path, _ in arrays:
            held.setdefault("/" + path.rpartition("/")[0], {})[name] = None
    assert {key: [found] if isinstance(found, str) else found for key, found in index["weight_map"].items()} == {k: list(v) for k, v in held.items()}
    assert index["metadata"]["total_size"] == total


def test_it_is_written_over(tmp_path):
    path, model, other = tmp_path / "m.weights.json", net(), net()
    (tmp_path / "m_00001.weights.h5").write_bytes(b"somebody else's")
    for number in range(4):
        model.set_weights([np.full_like(w, number) for w in model.get_weights()])
        model.save_weights(path, max_shard_size=(300 + 100 * number) / GIB)
        other.load_weights(path)
        assert same(model.get_weights(), other.get_weights())
        names = set(json.loads(path.read_text())["weight_map"].values())
        assert set(shard_files(tmp_path)) == names | {"m_00000.weights.h5", "m_00001.weights.h5"}
    assert (tmp_path / "m_00001.weights.h5").read_bytes() == b"somebody else's"
    with h5py.File(tmp_path / "m_00000.weights.h5") as file:  # Keras opens it first, and finds nothing that is old
        assert not list(file)
    with pytest.warns(UserWarning, match=r"ends in \.json: 'n\.weights\.json'"):
        model.save_weights(tmp_path / "n.weights.h5", max_shard_size=1)
    other.load_weights(tmp_path / "n.weights.json")


@pytest.mark.parametrize("lost", [slice(1, 2), slice(None)], ids=["one", "all"])
def test_it_is_written_over_where_files_are_lost(tmp_path, lost):
    path, model, other = tmp_path / "m.weights.json", net(), net()
    model.save_weights(path, max_shard_size=300 / GIB)
    for name in shard_files(tmp_path)[lost]:
        (tmp_path / name).unlink()
    model.save_weights(path, max_shard_size=300 / GIB)
    other.load_weights(path)
    assert same(model.get_weights(), other.get_weights())


@pytest.mark.parametrize("after", range(9))
def test_a_full_disk_at_each_write(tmp_path, monkeypatch, after):
    path, model, other = tmp_path / "m.weights.json", net(), net()
    model.save_weights(path, max_shard_size=300 / GIB)
    before, there = model.get_weights(), sorted(os.listdir(tmp_path))
    model.set_weights([w + 1 for w in before])
    count, real = [after], os.replace

    def replace(*args):
        if not count[0]:
            raise OSError(errno.ENOSPC, "no space")
        count[0] -= 1
        real(*args)
    monkeypatch.setattr(os, "replace", replace)
    try:
        model.save_weights(path, max_shard_size=300 / GIB)
    except OSError:
        assert sorted(os.listdir(tmp_path)) == there
    else:
        before = model.get_weights()
    other.load_weights(path)
    assert same(before, other.get_weights())


def test_writers_and_a_reader_at_once(tmp_path):
    path, made = tmp_path / "m.weights.json", [net(start=start) for start in ("zeros", "ones")]

    def write(model):
        for _ in range(15):
            model.save_weights(path, max_shard_size=300 / GIB)
    write(made[0])
    threads, reader = [threading.Thread(target=write, args=[model]) for model in made], net()
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        reader.load_weights(path)
        kernels = [w for w in reader.get_weights() if w.ndim == 2]
        assert np.unique(np.concatenate([k.ravel() for k in kernels])).size == 1
    for thread in threads:
        thread.join()


def test_what_does_not_fit(tmp_path):
    path = tmp_path / "m.weights.json"
    trained().save_weights(path, max_shard_size=300 / GIB)
    other = net(size=9)
    with pytest.raises(FileFormatError, match="another architecture|expects shape"):
        other.load_weights(path)
    with pytest.warns(UserWarning, match="left out"):
        other.load_weights(path, skip_mismatch=True)
    with pytest.raises(FileFormatError, match="by_name=True is for legacy"):
        net().load_weights(path, by_name=True)


def hostile(folder, path, index, names):
    """Each changes the index, or a file, to what is refused; with what the error says."""
    def name(of, to):
        path.write_text(json.dumps(index).replace(of, to))
    secret = folder.parent / "secret.h5"
    for to in ("../secret.h5", str(secret), "a\\\\b.h5", "c:x.h5", ".h5", "x\\u0000.h5", "secret"):
        yield lambda to=to: name(names[1], to), r"names '.*, which is no HDF5 file in its folder"
    yield lambda: name(f'"{names[1]}"', "[[1]]"), "weight_map|no HDF5 file"
    yield lambda: name(f'"{names[1]}"', "7"), "weight_map"
    yield lambda: name(names[1], "m_00099.weights.h5"), r"m_00099\.weights\.h5 cannot be opened: No such file"
    yield lambda: path.write_text("["), "expected an index"
    yield lambda: path.write_text("[" * 100_000), "expected an index"
    yield lambda: path.write_text('{"weight_map": {}, "weight_map": {}}'), "twice"
    yield lambda: path.write_text('{"weight_map": {}}'), "holds neither"
    yield lambda: path.write_text(json.dumps({"weight_map": {str(i): f"m_{i:05}.h5" for i in range(600)}})), "names 600 files; at most 512"
    yield lambda: (folder / names[1]).write_bytes(b"\0" * 100), "not an HDF5 file"
    yield lambda: (folder / names[1]).write_bytes((folder / names[0]).read_bytes()), r"stands in 2 of the files"
    yield lambda: name(names[1], names[0]), "no values for"

    def linked(make):
        (folder / names[1]).unlink()
        make(folder / names[1])
    yield lambda: linked(lambda at: at.symlink_to(secret)), "a link, or no file"
    yield lambda: linked(os.mkfifo), "a link, or no file"
    yield lambda: linked(os.mkdir), "a link, or no file"


def test_what_is_refused(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    path, model = folder / "m.weights.json", net()
    net().save_weights(tmp_path / "secret.weights.h5")
    os.rename(tmp_path / "secret.weights.h5", tmp_path / "secret.h5")
    before = model.get_weights()
    count = len(list(hostile(folder, path, {}, ["", ""])))
    for number in range(count):
        for name in os.listdir(folder):
            (os.rmdir if (folder / name).is_dir() else os.remove)(folder / name)
        trained().save_weights(path, max_shard_size=300 / GIB)
        index = json.loads(path.read_text())
        act, said = list(hostile(folder, path, index, shard_files(folder)))[number]
        act()
        with pytest.raises(FileFormatError, match=said):
            model.load_weights(path)
        assert same(before, model.get_weights())


def test_groups_without_end_in_several_files(tmp_path):
    """Files whose groups hold each other have as many paths as two numbers have pairs: none is followed twice."""
    path, model = tmp_path / "m.weights.json", net()
    for number, period in enumerate((2, 3, 5, 7, 11, 13)):
        with h5py.File(tmp_path / f"m_{number:05}.weights.h5", "w") as file:
            groups = [file.create_group(f"layers/x{i}") for i in range(period)]
            for i, group in enumerate(groups):
                group["a"], group["b"] = groups[(i + 1) % period], groups[i - 1]
    path.write_text(json.dumps({"weight_map": {str(i): f"m_{i:05}.weights.h5" for i in range(6)}}))
    with pytest.raises(FileFormatError, match="reached by several ways"):
        model.load_weights(path)


def test_so_many_files(monkeypatch, tmp_path):
    monkeypatch.setattr(shards, "MOST", 1)
    with pytest.raises(ValueError, match="at most 1 are read"):
        net().save_weights(tmp_path / "m.weights.json", max_shard_size=256 / GIB)
    assert not os.listdir(tmp_path)


# ---- folders

def test_a_folder(tmp_path):
    path, model = tmp_path / "model", trained()
    for _ in range(2):
        model.save(path, zipped=False)
        assert sorted(os.listdir(path)) == ["config.json", "metadata.json", "model.weights.h5"] and os.listdir(tmp_path) == ["model"]
        again = gn.saving.load_model(path)
        assert same(values(again), values(model))
        model.train_on_batch(np.ones((4, 8), "float32"), np.ones((4, 2), "float32"))
    with pytest.raises(FileFormatError, match="is a folder. Weights are read from a file"):
        model.load_weights(path)
    (path / "assets").mkdir()  # Keras leaves one
    model.save(path, zipped=False)
    (path / "assets").mkdir()
    (path / "assets" / "words.txt").write_text("x")
    for act in (lambda: model.save(path, zipped=False), lambda: model.save(path)):
        with pytest.raises(FileExistsError, match="assets"):
            act()


def test_folders_that_are_refused(tmp_path):
    path, model = tmp_path / "model", net()
    model.save(tmp_path / "secret", zipped=False)

    def linked(name):
        (path / name).unlink()
        (path / name).symlink_to(tmp_path / "secret" / name)
    cases = [(lambda: linked("config.json"), r"config\.json cannot be opened: it is a link"),
             (lambda: linked("model.weights.h5"), r"model\.weights\.h5 cannot be opened: it is a link"),
             (lambda: linked("metadata.json"), r"metadata\.json cannot be opened: it is a link"),
             (lambda: (path / "model.weights.h5").unlink(), r"model\.weights\.h5 cannot be opened: No such file"),
             (lambda: (path / "config.json").write_text("{"), "the folder is damaged"),
             (lambda: (path / "config.json").write_text("[]"), "not a model's configuration"),
             (lambda: (path / "metadata.json").write_text('{"keras_version": "%s"}' % ("9" * 5000)), "written by Keras 9999"),
             (lambda: os.truncate(path / "config.json", 1 << 29), "has 536870912 bytes; the most is"),
             (lambda: (path / "model.weights.h5").write_bytes(b"x"), "not an HDF5 file")]
    for act, said in cases:
        model.save(path, zipped=False)
        act()
        with pytest.raises(FileFormatError, match=said):
            gn.saving.load_model(path)
        for name in os.listdir(path):
            os.remove(path / name)


def test_a_folder_is_whole_or_not_there(tmp_path, monkeypatch):
    path, model = tmp_path / "model", net()

    def full(*_):
        raise OSError(errno.ENOSPC, "no space")
    for there in (False, True):
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="no space"):
                model.save(path, zipped=False)
        assert os.listdir(tmp_path) == (["model"] if there else [])
        model.save(path, zipped=False)
        assert same(gn.saving.load_model(path).get_weights(), model.get_weights())
