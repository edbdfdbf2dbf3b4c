"""Files without detours: nothing is drawn in vain, arrays of a file become the variables' memory where that is safe; none is copied to save it."""
import errno
import io
import os
import resource
import threading
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest

import graphnet as gn
from graphnet import layers
from graphnet.errors import FileFormatError

WIDE = 640  # a kernel of 1.6 MB: such weights are read by a thread of their own


@pytest.fixture
def draws(monkeypatch):
    """The shapes that were drawn."""
    found, draw = [], gn.initializers.GlorotUniform.__call__
    monkeypatch.setattr(gn.initializers.GlorotUniform, "__call__", lambda self, shape, dtype=None: found.append(shape) or draw(self, shape, dtype))
    return found


def wide(*more):
    return gn.Sequential([gn.Input((WIDE,)), layers.Dense(WIDE, use_bias=False), layers.Dense(WIDE, "tanh"), *more])


def same(model, other):
    return all(map(np.array_equal, model.get_weights(), other.get_weights()))


def rewritten(path, change, **options):
    """The archive with its weights changed."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        change(file)
    parts["model.weights.h5"] = weights.getvalue()
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_no_weight_is_drawn_in_vain(tmp_path, draws, ending):
    model = wide()
    model.save(tmp_path / f"m.{ending}")
    draws.clear()
    again = gn.saving.load_model(tmp_path / f"m.{ending}")
    assert draws == [] and same(model, again)
    first = again.layers[0].kernel
    first.assign_add(np.ones((WIDE, WIDE), "float32"))
    np.testing.assert_array_equal(first.numpy(), model.layers[0].kernel.numpy() + 1)
    assert np.array_equal(again.layers[1].kernel.numpy(), model.layers[1].kernel.numpy())
    x = np.ones((1, WIDE), "float32")
    assert again.predict(x, verbose=0).shape == (1, WIDE)


def test_what_the_file_has_no_value_for_is_drawn(tmp_path, draws):
    @gn.saving.register_keras_serializable("memory")
    class Kept(layers.Dense):
        def save_own_variables(self, store):
            store["bias"] = self.bias.numpy()

        def load_own_variables(self, store):
            self.bias.assign(store["bias"])
    model = wide(Kept(3, bias_initializer="ones"))
    model.layers[-1].bias.assign([1.0, 2.0, 3.0])
    model.save(tmp_path / "m.keras")
    draws.clear()
    again = gn.saving.load_model(tmp_path / "m.keras")
    assert draws == [(WIDE, 3)] and again.layers[-1].kernel.numpy().std() > 0
    assert again.layers[-1].bias.numpy().tolist() == [1.0, 2.0, 3.0]


def test_code_of_the_users_may_look_at_what_it_makes(tmp_path):
    seen = []

    @gn.saving.register_keras_serializable("memory")
    class Curious(layers.Layer):
        def build(self, input_shape):
            self.kernel = self.add_weight((input_shape[-1], 2), "glorot_uniform")
            self.memory = self.kernel.value
            seen.append(float(self.kernel.numpy().std()))

        def call(self, x):
            return x @ self.kernel
    model = wide(Curious())
    model.save(tmp_path / "m.keras")
    again = gn.saving.load_model(tmp_path / "m.keras")
    assert seen[1] > 0 and again.layers[-1].memory is again.layers[-1].kernel.value and same(model, again)


def test_the_files_memory_is_kept_for_variables_alone(tmp_path):
    """Not where it holds more beside, such as an optimizer's state."""
    model = wide()
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((1, WIDE), "float32"), np.ones((1, WIDE), "float32"))
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "weights.keras", include_optimizer=False)
    for name, owns in ("m.keras", True), ("weights.keras", False):
        again = gn.saving.load_model(tmp_path / name, compile=False)
        assert same(model, again) and (again.layers[0].kernel.value.base is None) == owns
    assert gn.saving.load_model(tmp_path / "m.keras").optimizer.variables[2].numpy().any()


def test_variables_never_share_memory(tmp_path):
    wide().save(tmp_path / "m.keras")

    def link(file):
        group = file["layers"]
        del group["dense_1/vars/0"]
        group["dense_1/vars/0"] = group["dense/vars/0"]
    rewritten(tmp_path / "m.keras", link)
    again = gn.saving.load_model(tmp_path / "m.keras")
    first, second = (layer.kernel for layer in again.layers)
    assert np.array_equal(first.numpy(), second.numpy()) and not np.shares_memory(first.value, second.value)


@pytest.mark.parametrize("kind", [">f4", "<f2", "<f8", "packed", "chunked", "odd"])
def test_arrays_that_lie_otherwise_in_the_file(tmp_path, kind):
    model = wide()
    model.layers[0].kernel.assign(np.round(model.layers[0].kernel.numpy() * 64))
    model.save(tmp_path / "m.keras")

    def change(file):
        values = file["layers/dense/vars/0"][()]
        del file["layers/dense/vars/0"]
        if kind == "chunked":
            file.create_dataset("layers/dense/vars/0", data=values, chunks=(64, 64), compression="gzip", shuffle=True)
        elif kind == "odd":  # 32 bits of another meaning
            odd = h5py.h5t.IEEE_F32LE.copy()
            odd.set_ebias(130)
            space = h5py.h5s.create_simple(values.shape)
            made = h5py.h5d.create(file["layers/dense/vars"].id, b"0", odd, space)
            made.write(h5py.h5s.ALL, h5py.h5s.ALL, values)
        else:
            file["layers/dense/vars/0"] = values.astype("<f4" if kind == "packed" else kind)
    rewritten(tmp_path / "m.keras", change, **({"compression": zipfile.ZIP_DEFLATED} if kind == "packed" else {}))
    assert same(model, gn.saving.load_model(tmp_path / "m.keras"))


@pytest.mark.parametrize("at, said", [(0.5, "damaged.*Bad CRC-32 for file 'model.weights.h5'"), (None, "damaged")])
def test_damage_to_large_weights(tmp_path, at, said):
    path = tmp_path / "m.keras"
    wide().save(path)
    data = bytearray(path.read_bytes())
    if at is None:
        del data[len(data) // 3:2 * len(data) // 3]
    else:
        data[int(at * len(data))] ^= 1
    path.write_bytes(data)
    model = wide()
    before = model.get_weights()
    for read in (gn.saving.load_model, model.load_weights):
        with pytest.raises(FileFormatError, match=said):
            read(path)
    assert all(map(np.array_equal, before, model.get_weights()))


# ---- saving

SAVES = {"m.keras": gn.Model.save, "m.h5": gn.Model.save, "m.weights.h5": gn.Model.save_weights}


@pytest.mark.parametrize("name", SAVES)
def test_a_save_takes_little_memory(tmp_path, name):
    model = wide(*[layers.Dense(WIDE) for _ in range(4)])
    SAVES[name](model, tmp_path / name)
    tracemalloc.start()
    try:
        SAVES[name](model, tmp_path / name)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 0.2 * sum(value.nbytes for value in model.get_weights())


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int32", "int64", "uint8", "uint64", "bool"])
def test_arrays_of_each_kind(tmp_path, dtype):
    """Also those of no axes and no elements, whose places in a file are others; read by h5py alone."""
    @gn.saving.register_keras_serializable("memory")
    class Several(layers.Layer):
        def build(self, input_shape):
            for number, shape in enumerate([(), (0, 3), (1,), (300, 401), (7,)]):
                values = np.random.default_rng(number).integers(0, 2 if dtype == "bool" else 100, shape).astype(dtype)
                self.add_weight(shape, lambda shape, dtype, values=values: values, dtype, trainable=False)

        def call(self, x):
            return x
    model = gn.Sequential([gn.Input((3,)), Several()])
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5") as file:
        group = file["layers/several/vars"]
        for number, expected in enumerate(model.get_weights()):
            assert group[str(number)].dtype == expected.dtype and group[str(number)].shape == expected.shape
            np.testing.assert_array_equal(group[str(number)][()], expected)


@pytest.mark.parametrize("name", SAVES)
@pytest.mark.parametrize("part", [0.01, 0.5, 0.99, 1.0])
def test_a_full_disk_at_any_place(tmp_path, name, part):
    model = wide()
    SAVES[name](model, tmp_path / name)
    before = (tmp_path / name).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(part * len(before)) - 1, limits[1]))
    try:
        with pytest.raises(OSError) as error:
            SAVES[name](model, tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.errno == errno.EFBIG
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize("write", [gn.Model.save, lambda model, path: gn.train.Checkpoint(model).write(path)])
def test_a_file_is_whole_whatever_changes_the_weights_meanwhile(tmp_path, write):
    """Its checksum is of the bytes that were written."""
    model, going = wide(), True
    kernel = model.layers[0].kernel.value

    def change():
        while going:
            kernel[...] = -kernel
    other = threading.Thread(target=change)
    other.start()
    try:
        for number in range(5):
            write(model, tmp_path / f"m{number}.keras")
    finally:
        going = False
        other.join()
    for number in range(5):
        path = tmp_path / f"m{number}.keras"
        if path.exists():
            assert gn.saving.load_model(path).built
        else:
            gn.train.Checkpoint(wide()).read(path)


def test_a_saved_model_of_known_classes_is_loaded_without_its_graphs(tmp_path, draws, monkeypatch):
    model = wide(layers.Dropout(0.5))
    model.compile("adam", "mse", metrics=["mae"])
    model.train_on_batch(np.ones((2, WIDE), "float32"), np.ones((2, WIDE), "float32"))
    model.save(tmp_path / "m")
    draws.clear()
    monkeypatch.setattr("graphnet.saved_model.reader.decode_graph", None)
    again = gn.saving.load_model(tmp_path / "m")
    assert draws == [] and same(model, again)
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(again.optimizer.variables, model.optimizer.variables, strict=True))
    x = np.ones((2, WIDE), "float32")
    assert again.train_on_batch(x, x) == model.train_on_batch(x, x)


def test_losses_that_layers_add_are_not_lost_in_silence(tmp_path):
    class Adding(layers.Layer):
        def call(self, x):
            self.add_loss(gn.ops.sum(x))
            return x
    inputs = gn.Input((3,))
    model = gn.Model(inputs, layers.Dense(2, activity_regularizer="l2", name="last")(Adding(name="adding")(inputs)))
    model.compile("sgd", "mse")
    model.save(tmp_path / "m")
    with pytest.warns(UserWarning, match=r"Layers adding, last added losses.*custom_objects.*compile=False"):
        gn.saving.load_model(tmp_path / "m")
    gn.saving.load_model(tmp_path / "m", compile=False)
    again = gn.saving.load_model(tmp_path / "m", custom_objects={"Adding": Adding})
    x, y = np.ones((4, 3), "float32"), np.ones((4, 2), "float32")
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
