"""Files: those that Keras recorded, and damaged ones, of which each gives one clear error and changes nothing."""
import io
import json
import shutil
import zipfile

import h5py
import numpy as np
import pytest

import graphnet as gn
from graphnet import layers
from graphnet.errors import FileFormatError, UnsupportedError

REAL = ["chars2vec_eng_50.keras", "chars2vec_eng_50_pair.keras", "circuit_gru.h5", "fer2013_mini_XCEPTION.102-0.66.hdf5", "mtcnn_pnet.keras"]
REFERENCE = ["autoencoder_nested.legacy.h5", "bidirectional_gru.keras", "conv1d_net.keras", "shared_embedding.keras", "toy_resnet.keras"]


def recorded(path):
    """The inputs and outputs that the real Keras recorded beside a file."""
    stem = path.name.split(".legacy")[0].removesuffix(".keras").removesuffix(".hdf5").removesuffix(".h5")
    beside = next(p for p in (path.with_name(f"{stem}.npz"), path.with_name(f"{stem}.ref.npz")) if p.exists())
    with np.load(beside) as file:
        inputs = [file[k] for k in file.files if k.startswith("in/")]
        return inputs[0] if len(inputs) == 1 else inputs, [file[k] for k in file.files if k.startswith("out/")]


def check(model, path):
    inputs, wanted = recorded(path)
    for got, want in zip(gn.tree.flatten(model.predict(inputs, verbose=0)), wanted, strict=True):
        assert np.abs(got - want).max() <= 1e-5 * np.abs(want).max()


@pytest.mark.parametrize("name", [f"real/{n}" for n in REAL] + [f"keras_reference/{n}" for n in REFERENCE])
def test_recorded_models(shared, name):
    path = shared / "models" / name
    check(gn.models.load_model(path), path)


@pytest.mark.parametrize("name", ["autoencoder_nested", "ticket_triage", "bidirectional_gru", "toy_resnet"])
def test_weights_alone(shared, name):
    folder = shared / "models" / "keras_reference"
    model = gn.models.load_model(folder / f"{name}.keras")
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    model.load_weights(folder / f"{name}.weights.h5")
    check(model, folder / f"{name}.keras")
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    model.load_weights(folder / f"{name}.keras")
    check(model, folder / f"{name}.keras")


def test_weights_of_keras_2_for_a_model_built_again(shared):
    folder = shared / "models" / "real"
    x = gn.Input((None, 59))
    model = gn.Model(x, layers.LSTM(50)(layers.LSTM(50, return_sequences=True)(x)))
    with pytest.raises(FileFormatError, match=r"weights alone.*load_weights"):
        gn.models.load_model(folder / "chars2vec_eng_50.legacy_weights.h5")
    model.load_weights(folder / "chars2vec_eng_50.legacy_weights.h5")
    check(model, folder / "chars2vec_eng_50.keras")


def test_a_model_is_compiled_as_its_file_says(shared):
    path = shared / "models" / "keras_reference" / "mnist_mlp_fit.trained.keras"
    model = gn.models.load_model(path)
    with zipfile.ZipFile(path) as file:
        written = json.loads(file.read("config.json"))["compile_config"]
    assert model.get_compile_config() == written
    assert model.optimizer.built and int(model.optimizer.iterations) > 0 and model.metrics[0].name == "loss"
    plain = gn.models.load_model(path, compile=False)
    assert not plain.compiled and plain.get_compile_config() == {}


# ---- files of our own: legacy HDF5 written here

def small(name="small"):
    x = gn.Input((3,), name="x")
    return gn.Model(x, layers.BatchNormalization(name="norm")(layers.Dense(4, name="first")(x)), name=name)


def write_legacy(path, weights, nested=None, **attributes):
    """A file of Keras 2: {layer: [(name, array)]}."""
    with h5py.File(path, "w") as file:
        root = file if nested is None else file.create_group(nested)
        root.attrs["layer_names"] = [name.encode() for name in weights]
        for name, arrays in weights.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{n}:0".encode() for n, _ in arrays]
            for n, array in arrays:
                group[f"{name}/{n}:0"] = array
        for key, value in attributes.items():
            file.attrs[key] = value
    return path


def small_weights(rng):
    return {"x": [], "first": [("kernel", rng.random((3, 4))), ("bias", rng.random(4))],
            "norm": [(n, rng.random(4)) for n in ("gamma", "beta", "moving_mean", "moving_variance")]}


def test_legacy_weights_by_order_and_by_name(tmp_path):
    weights = small_weights(np.random.default_rng(0))
    model = small()
    model.load_weights(write_legacy(tmp_path / "a.h5", weights))
    for got, (_, want) in zip(model.get_weights(), [*weights["first"], *weights["norm"]], strict=True):
        np.testing.assert_array_equal(got, want.astype("float32"))
    other = small()
    some = {"unknown": [("kernel", np.ones((7, 7)))], "norm": weights["norm"]}
    kept = other.get_layer("first").get_weights()
    with pytest.raises(FileFormatError, match=r"shape|expects"):
        other.load_weights(write_legacy(tmp_path / "b.h5", some))
    other.load_weights(tmp_path / "b.h5", by_name=True)
    np.testing.assert_array_equal(other.get_layer("norm").get_weights()[2], weights["norm"][2][1].astype("float32"))
    np.testing.assert_array_equal(other.get_layer("first").get_weights()[0], kept[0])
    with pytest.raises(FileFormatError, match="no layer of the model has the name"):
        other.load_weights(write_legacy(tmp_path / "c.h5", {"unknown": [("kernel", np.ones((7, 7)))]}), by_name=True)


class Scaled(gn.Model):
    """A model with variables of its own beside a layer's."""

    def __init__(self):
        super().__init__()
        self.scale, self.dense = self.add_weight((2,), name="scale"), layers.Dense(2, name="inner")
        self.count = self.add_weight((), name="count", initializer="zeros", trainable=False)

    def call(self, x):
        return self.dense(x) * self.scale


def test_legacy_weights_of_the_model_itself(tmp_path):
    model, other = Scaled(), Scaled()
    for one in (model, other):
        one(np.ones((1, 3), "float32"))
    model.set_weights([np.full_like(w, number) for number, w in enumerate(model.get_weights())])
    model.save_weights(tmp_path / "m.h5")
    other.load_weights(tmp_path / "m.h5")
    assert all(map(np.array_equal, model.get_weights(), other.get_weights()))
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file["top_level_model_weights"].attrs["weight_names"] = file["top_level_model_weights"].attrs["weight_names"][:1]
    with pytest.raises(FileFormatError, match="top_level_model_weights: the model has 2 weights there .*the file has 1"):
        other.load_weights(tmp_path / "m.h5")
    other.load_weights(tmp_path / "m.h5", by_name=True)
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        del file["top_level_model_weights"]  # Keras did not always write it
    other.load_weights(tmp_path / "m.h5")


def test_names_in_parts(tmp_path):
    """HDF5 attributes end at 64 KB: Keras 2 cut longer lists of names."""
    path = write_legacy(tmp_path / "a.h5", small_weights(np.random.default_rng(0)))
    with h5py.File(path, "r+") as file:
        names = list(file.attrs["layer_names"])
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:1], names[1:]
    small().load_weights(path)


def test_skip_mismatch_leaves_out_what_does_not_fit(tmp_path):
    rng = np.random.default_rng(0)
    weights = small_weights(rng)
    weights["first"][1] = ("bias", rng.random(5))
    model = small()
    path = write_legacy(tmp_path / "a.h5", weights)
    before = model.get_weights()
    with pytest.raises(FileFormatError, match=r"first/bias.*\(4,\).*\(5,\).*skip_mismatch"):
        model.load_weights(path)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    with pytest.warns(UserWarning, match="first/bias") as told:
        model.load_weights(path, skip_mismatch=True)
    assert told[0].filename == __file__
    np.testing.assert_array_equal(model.get_weights()[0], weights["first"][0][1].astype("float32"))
    np.testing.assert_array_equal(model.get_weights()[1], before[1])


def test_skip_mismatch_for_keras_3(shared):
    path = shared / "models" / "keras_reference" / "mnist_mlp.weights.h5"
    x = gn.Input((784,))
    model = gn.Model(x, layers.Dense(7)(layers.Dense(64)(layers.Dense(64)(x))))
    with pytest.raises(FileFormatError, match="kernel"):
        model.load_weights(path)
    with pytest.warns(UserWarning, match="left out"):
        model.load_weights(path, skip_mismatch=True)
    assert model.layers[1].get_weights()[0].std() > 0 and model.layers[3].get_weights()[1].tolist() == [0.0] * 7
    with pytest.raises(ValueError, match="by_name"):
        model.load_weights(path, by_name=True)


def test_gates_of_keras_1_and_of_cudnn(tmp_path):
    """Keras 1 kept an LSTM's gates apart in the order i, c, f, o; cuDNN's layers read each gate's matrix as (units, inputs), and had two biases."""
    rng = np.random.default_rng(0)
    plain = [rng.random((3, 8), "float32"), rng.random((2, 8), "float32"), rng.random(8, "float32")]
    x = gn.Input((5, 3))
    model = gn.Model(x, layers.LSTM(2, name="lstm")(x))
    apart = []
    for gate in "icfo":
        at = slice(2 * "ifco".index(gate), 2 * "ifco".index(gate) + 2)
        apart += [(f"W_{gate}", plain[0][:, at]), (f"U_{gate}", plain[1][:, at]), (f"b_{gate}", plain[2][at])]
    model.load_weights(write_legacy(tmp_path / "one.h5", {"lstm": apart}))
    for got, want in zip(model.get_weights(), plain, strict=True):
        np.testing.assert_array_equal(got, want)

    def as_cudnn(matrix):  # each gate (inputs, units), laid out as cuDNN reads it: (units, inputs)
        return np.concatenate([np.ascontiguousarray(g.T).reshape(g.shape) for g in np.split(matrix, 4, axis=1)], axis=1)
    half = rng.random(8, "float32")
    packed = [("kernel", as_cudnn(plain[0])), ("recurrent_kernel", as_cudnn(plain[1])), ("bias", np.concatenate([plain[2] - half, half]))]
    model.load_weights(write_legacy(tmp_path / "two.h5", {"lstm": packed}))
    for got, want in zip(model.get_weights(), plain, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)


def test_frozen_layers_in_old_files(tmp_path):
    """Old files hold the weights of a nested model in the order of its trainable flags: kernels and biases before statistics, or as they come."""
    def build(trainable):
        x = gn.Input((3,))
        inner = gn.Sequential([gn.Input((3,)), layers.Dense(3, name="a"), layers.BatchNormalization(name="b"), layers.Dense(5, name="c")], name="inner")
        inner.trainable = trainable
        return gn.Model(x, inner(x))
    rng = np.random.default_rng(0)
    for trainable in (True, False):
        model = build(trainable)
        inner = model.get_layer("inner")
        order = [*inner.trainable_weights, *inner.non_trainable_weights]
        arrays = [(f"{i}", rng.random(v.shape)) for i, v in enumerate(order)]
        model.load_weights(write_legacy(tmp_path / f"{trainable}.h5", {"inner": arrays}))
        for variable, (_, want) in zip(order, arrays, strict=True):
            np.testing.assert_array_equal(variable.numpy(), want.astype("float32"))


# ---- subclassed models

class Net(gn.Model):
    def __init__(self, width=3, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.blocks = [layers.Dense(width), layers.Dense(width)]
        self.parts = {"out": gn.Sequential([layers.Dense(2)])}

    def call(self, x):
        for block in self.blocks:
            x = block(x)
        return self.parts["out"](x)

    def get_config(self):
        return {**super().get_config(), "width": self.width}


def net_weights(path, rng, place=""):
    """The groups that Keras 3 gives such a model."""
    with h5py.File(path, "w") as file:
        for group, shape in (("blocks/dense", (4, 3)), ("blocks/dense_1", (3, 3)), ("parts/sequential/layers/dense", (3, 2))):
            inside = file.create_group(f"{place}{group}/vars")
            inside["0"], inside["1"] = rng.random(shape), rng.random(shape[1])
    return path


def test_weights_of_a_subclassed_model(tmp_path):
    path = net_weights(tmp_path / "net.weights.h5", np.random.default_rng(0))
    model = Net()
    with pytest.raises(ValueError, match="build"):
        model.load_weights(path)
    model.build((None, 4))
    model.load_weights(path)
    called = Net()
    called(np.zeros((1, 4), "float32"))
    called.load_weights(path)
    x = np.random.default_rng(1).random((2, 4), "float32")
    np.testing.assert_array_equal(model.predict(x, verbose=0), called.predict(x, verbose=0))
    with h5py.File(path) as file:
        np.testing.assert_array_equal(model.blocks[1].kernel.numpy(), file["blocks/dense_1/vars/0"][()].astype("float32"))


def archive(path, config, weights=None, **others):
    """A .keras file."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", config if isinstance(config, (str, bytes)) else json.dumps(config))
        file.writestr("metadata.json", json.dumps({"keras_version": "3.3.3"}))
        if weights is not None:
            file.writestr("model.weights.h5", weights)
        for name, text in others.items():
            file.writestr(name.replace("_json", ".json"), text)
    return path


def test_a_subclassed_model_in_an_archive(tmp_path):
    weights = net_weights(tmp_path / "net.weights.h5", np.random.default_rng(0)).read_bytes()
    config = {"module": None, "class_name": "Net", "config": {"name": "net", "width": 3}, "registered_name": "mine>Net",
              "build_config": {"input_shape": [None, 4]}}
    path = archive(tmp_path / "net.keras", config, weights)
    with pytest.raises(UnsupportedError, match="'net' is of class 'Net'.*custom_objects"):
        gn.models.load_model(path)
    model = gn.models.load_model(path, custom_objects={"Net": Net})
    assert type(model) is Net and model.predict(np.zeros((2, 4)), verbose=0).shape == (2, 2)


# ---- bad files

@pytest.fixture
def good(shared):
    return shared / "models" / "keras_reference" / "mnist_mlp.keras"


def damaged(good):
    """Bytes of bad .keras files, with what the error should say."""
    data = good.read_bytes()
    for share in (0, 1, 30, 1000, len(data) // 2, len(data) - 1000, len(data) - 30, len(data) - 1):
        yield f"cut at {share}", data[:share], ""
    middle = bytearray(data)
    middle[len(data) // 3:len(data) // 3 + 64] = bytes(64)
    yield "overwritten", bytes(middle), "damaged|holds|incomplete|truncated"
    with zipfile.ZipFile(good) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    config = json.loads(parts["config.json"])

    def packed(**changes):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as file:
            for name, content in {**parts, **{k.replace("__", "."): v for k, v in changes.items()}}.items():
                if content is not None:
                    file.writestr(name, content)
        return out.getvalue()
    yield "no config", packed(config__json=None), "config.json"
    yield "no weights", packed(**{"model__weights__h5": None}), "model.weights.h5"
    yield "config is no JSON", packed(config__json="{"), "damaged"
    yield "config is a list", packed(config__json="[]"), "configuration"
    yield "config without class", packed(config__json="{}"), "class_name"
    yield "no layers", packed(config__json=json.dumps({**config, "config": {"name": "m"}})), "configuration"
    yield "newer Keras", packed(metadata__json=json.dumps({"keras_version": "4.1.0"})), "4.1.0.*Update"
    yield "weights are text", packed(**{"model__weights__h5": b"hello"}), "HDF5"
    yield "weights are cut", packed(**{"model__weights__h5": parts["model.weights.h5"][:-5000]}), "HDF5|damaged"
    text = parts["config.json"].decode()
    for old, new in [('"units": 64', '"units": -64'), ('"units": 64', '"units": "many"'), ('"units": 64', '"units": 63'),
                     ('"batch_shape": [null, 784]', '"batch_shape": 784'),
                     ('"keras_history": ["dense"', '"keras_history": ["tense"'), ('"class_name": "Dense"', '"class_name": 7'),
                     ('["dense", 0, 0]', '["dense_1", 0, 0]'), ('["dense", 0, 0]', '["dense", 0, 3]'),
                     ('"inbound_nodes": [{', '"inbound_nodes": ["x", {'), ('"output_layers": [', '"output_layers": [3, ')]:
        if old in text:
            yield f"{old} -> {new}", packed(config__json=text.replace(old, new)), ""
    yield "deep", packed(config__json="[" * 100000), "damaged"


def test_damaged_archives(good, tmp_path):
    model = gn.models.load_model(good)
    before = model.get_weights()
    for what, data, said in damaged(good):
        path = tmp_path / "bad.keras"
        path.write_bytes(data)
        with pytest.raises(FileFormatError, match=said or "bad.keras") as error:
            gn.models.load_model(path)
        assert "bad.keras" in str(error.value), what
        try:
            model.load_weights(path)
        except FileFormatError:
            assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)), what


def test_damaged_hdf5(shared, tmp_path):
    good = shared / "models" / "keras_reference" / "mnist_mlp.legacy.h5"
    data = good.read_bytes()
    model = gn.models.load_model(good)
    before = model.get_weights()
    for size in [*range(0, 4000, 397), *range(4000, len(data), len(data) // 25)]:
        path = tmp_path / "bad.h5"
        path.write_bytes(data[:size])
        for read in (gn.models.load_model, model.load_weights):
            with pytest.raises(FileFormatError, match="bad.h5"):
                read(path)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_weights_missing_in_the_middle(shared, tmp_path):
    source = shared / "models" / "keras_reference" / "mnist_mlp.weights.h5"
    model = gn.models.load_model(source.with_name("mnist_mlp.keras"))
    before = model.get_weights()

    def broken(change):
        path = shutil.copy(source, tmp_path / "bad.weights.h5")
        (tmp_path / "bad.weights.h5").chmod(0o600)
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    def outside(file):
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(source), "layers/dense/vars/0")

    def virtual(file):
        del file["layers/dense/vars/0"]
        layout = h5py.VirtualLayout(shape=(784, 64), dtype="f4")
        layout[:] = h5py.VirtualSource(str(source), "layers/dense/vars/0", shape=(784, 64))
        file["layers/dense/vars"].create_virtual_dataset("0", layout)

    def huge(file):
        del file["layers/dense/vars/0"]
        file.create_dataset("layers/dense/vars/0", shape=(1 << 40, 1 << 10), chunks=(1 << 10, 1 << 10), dtype="f4")

    def words(file):
        del file["layers/dense/vars/1"]
        file["layers/dense/vars/1"] = [b"x"] * 64
    for change, said in [(lambda f: f.__delitem__("layers/dense_1"), "no values for 2"), (lambda f: f.__delitem__("layers/dense_1/vars/1"), "2 weights there"),
                         (outside, "not an array of this file"), (virtual, "not an array of this file"), (huge, r"\(784, 64\)"), (words, "not numbers"),
                         (lambda f: f.copy("layers/dense", "layers/dense_9"), "'dense_9'"), (lambda f: f.clear(), "neither")]:
        with pytest.raises(FileFormatError, match=said):
            model.load_weights(broken(change))
        assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_paths(tmp_path, good):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        gn.models.load_model(tmp_path / "nothing.keras")
    (tmp_path / "model.keras").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"there are model\.keras"):
        gn.models.load_model(tmp_path / "model.h5")
    with pytest.raises(FileFormatError, match="SavedModel"):
        gn.models.load_model(tmp_path)
    with pytest.raises(FileFormatError, match="not an HDF5 file"):
        gn.models.load_model(tmp_path / "model.keras")
    assert gn.models.load_model(str(good)).name and gn.saving.load_model(good).name


def test_nothing_in_a_file_is_executed(tmp_path):
    """A Lambda holds bytecode; names of classes lead nowhere but to the registry."""
    dense = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "d", "units": 2}, "registered_name": None}
    for layer, said in [
            ({"class_name": "Lambda", "module": "keras.layers",
              "config": {"name": "evil", "function": {"class_name": "__lambda__", "config": {"code": "4wEAAA=="}}}},
             "'s/evil' is a Lambda.*register"),
            ({"class_name": "system", "module": "os", "config": {"command": "touch here"}}, "'system'.*module os"),
            ({"class_name": "Dense", "module": "builtins", "config": {}}, "'Dense'.*module builtins"),
            ({**dense, "config": {"units": 2, "activation": {"class_name": "function", "module": "os", "config": "system"}}}, "system"),
            ({**dense, "config": {"units": 2, "kernel_initializer": {"class_name": "__lambda__", "config": {"value": "4wEAAA=="}}}}, "lambda")]:
        config = {"class_name": "Sequential", "module": "keras", "config": {"name": "s", "layers": [layer], "build_input_shape": [None, 3]}}
        path = archive(tmp_path / "evil.keras", config, b"")
        out = io.BytesIO()
        with h5py.File(out, "w"):
            pass
        archive(path, config, out.getvalue())
        with pytest.raises((FileFormatError, UnsupportedError), match=said):
            gn.models.load_model(path, safe_mode=False)
