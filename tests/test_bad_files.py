"""Files that are damaged or of another kind: one clear error, and nothing is changed."""
import json
import pathlib
import zipfile

import h5py
import numpy as np
import pytest

import graphnet
from graphnet import layers
from graphnet.errors import FileFormatError, UnsupportedError

GOOD = pathlib.Path(__file__).resolve().parents[1] / "examples" / "data" / "mini_xception.hdf5"


@pytest.fixture(scope="module")
def model():
    return graphnet.models.load_model(GOOD)


def unchanged(model, action, error, words):
    """The action raises that error, with these words, and leaves all weights as they were."""
    before = [w.tobytes() for w in model.get_weights()]
    with pytest.raises(error) as caught:
        action()
    for word in words:
        assert word in str(caught.value), caught.value
    assert [w.tobytes() for w in model.get_weights()] == before


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated(model, tmp_path, share):
    data = GOOD.read_bytes()
    path = tmp_path / "cut.h5"
    path.write_bytes(data[:int(len(data) * share)])
    unchanged(model, lambda: model.load_weights(path), FileFormatError, ["cut.h5"])
    with pytest.raises(FileFormatError, match=r"cut\.h5"):
        graphnet.models.load_model(path)


def test_not_there_a_folder_and_another_kind(model, tmp_path):
    unchanged(model, lambda: model.load_weights(tmp_path / "none.h5"), FileNotFoundError, ["none.h5"])
    unchanged(model, lambda: model.load_weights(tmp_path), FileFormatError, ["folder"])
    text = tmp_path / "text.keras"
    text.write_text("not a model")
    unchanged(model, lambda: model.load_weights(text), FileFormatError, ["text.keras"])
    empty = tmp_path / "empty.h5"
    with h5py.File(empty, "w"):
        pass
    unchanged(model, lambda: model.load_weights(empty), FileFormatError, ["empty.h5"])


def test_an_archive_without_a_model(tmp_path):
    path = tmp_path / "bare.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(FileFormatError, match=r"config\.json"):
        graphnet.models.load_model(path)


def test_a_weight_of_the_wrong_shape(model, tmp_path):
    path = tmp_path / "shape.h5"
    path.write_bytes(GOOD.read_bytes())
    with h5py.File(path, "r+") as file:
        group = file["model_weights/conv2d_5"]
        name, = [n for n in group.attrs["weight_names"]]
        del group[name]
        group[name] = np.zeros((2, 2, 2, 2), "float32")
    unchanged(model, lambda: model.load_weights(path), FileFormatError, ["conv2d_5", "(2, 2, 2, 2)"])


def test_a_missing_weight(model, tmp_path):
    path = tmp_path / "missing.h5"
    path.write_bytes(GOOD.read_bytes())
    with h5py.File(path, "r+") as file:
        group = file["model_weights/conv2d_5"]
        del group[group.attrs["weight_names"][0]]
    unchanged(model, lambda: model.load_weights(path), FileFormatError, ["missing.h5"])


def test_weights_of_another_model(tmp_path):
    x = graphnet.Input((4,))
    other = graphnet.Model(x, layers.Dense(2)(x))
    unchanged(other, lambda: other.load_weights(GOOD), FileFormatError, ["layers"])


def archive(path, config, version="3.15.1"):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", json.dumps(config))
        file.writestr("metadata.json", json.dumps({"keras_version": version}))
        file.writestr("model.weights.h5", b"")
    return path


def test_a_file_of_a_version_to_come(tmp_path):
    with pytest.raises(FileFormatError, match="Keras 4"):
        graphnet.models.load_model(archive(tmp_path / "new.keras", {"class_name": "Functional", "config": {}}, "4.0.0"))


@pytest.mark.parametrize("layer, words", [
    ({"module": "keras.layers", "class_name": "Lambda", "config": {"name": "twice", "function": {"class_name": "__lambda__", "config": {"value": "4wEA"}}}},
     ["twice", "Lambda", "Layer"]),
    ({"module": "mine", "class_name": "Gate", "config": {"name": "gate"}, "registered_name": "mine>Gate"}, ["gate", "Gate", "custom_objects"]),
])
def test_what_cannot_be_rebuilt_is_named(tmp_path, layer, words):
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "chain", "layers": [
        {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 3], "name": "x"}}, layer]}}
    path = tmp_path / "odd.keras"
    archive(path, config)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_group("layers")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", json.dumps(config))
        file.writestr("model.weights.h5", (tmp_path / "w.h5").read_bytes())
    with pytest.raises(UnsupportedError) as caught:
        graphnet.models.load_model(path)
    for word in words:
        assert word in str(caught.value)
