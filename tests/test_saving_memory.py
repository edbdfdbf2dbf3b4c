"""Files without detours: nothing is drawn in vain, arrays of a file become the variables' memory where that is safe; none is copied to save it."""
import errno
import io
import json
import os
import pathlib
import resource
import threading
import tracemalloc
import warnings
import zipfile
import zlib

import h5py
import numpy as np
import pytest
import safetensors.numpy

import graphnet as gn
from graphnet import layers
from graphnet.errors import FileFormatError
from graphnet.saving import archive
from graphnet.train.layout import arrays_of, header

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


# ---- the thread that reads weights

def waiting_threads():
    return [thread for thread in threading.enumerate() if thread.name == "graphnet-weights"]


def test_no_thread_is_left_where_no_model_can_be_built(tmp_path, monkeypatch):
    @gn.saving.register_keras_serializable("memory")
    class Refusing(layers.Layer):
        refuses = False

        def build(self, input_shape):
            if self.refuses:
                raise KeyboardInterrupt

        def call(self, x):
            return x
    files, opened = [], pathlib.Path.open
    wide(Refusing()).save(tmp_path / "m.keras")
    monkeypatch.setattr(pathlib.Path, "open", lambda *args, **kwargs: files.append(opened(*args, **kwargs)) or files[-1])
    monkeypatch.setattr(Refusing, "refuses", True)
    with pytest.raises(KeyboardInterrupt):
        gn.saving.load_model(tmp_path / "m.keras")
    assert files and all(file.closed for file in files) and not waiting_threads()


def test_a_process_that_may_have_no_more_threads(tmp_path, monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")
    model = wide()
    model.save(tmp_path / "m.keras")
    monkeypatch.setattr(threading.Thread, "start", start)
    assert same(model, gn.saving.load_model(tmp_path / "m.keras"))


@pytest.mark.parametrize("end", [lambda weights: None, lambda weights: weights._file.close()], ids=["at its beginning", "the file is closed"])
def test_weights_that_were_not_read_to_their_end_are_not_taken(tmp_path, monkeypatch, end):
    """Whatever has ended the thread."""
    read = archive.Weights._read
    monkeypatch.setattr(archive.Weights, "_read", lambda weights, checksum: end(weights) or (weights._file.closed and read(weights, checksum)))
    wide().save(tmp_path / "m.keras")
    with pytest.raises(FileFormatError, match="damaged.*(was not read|closed file)"):
        gn.saving.load_model(tmp_path / "m.keras")


def test_a_model_is_loaded_twice_while_another_thread_predicts(tmp_path):
    model = wide()
    for number in range(2):
        model.set_weights([np.full_like(w, number) for w in model.get_weights()])
        model.save_weights(tmp_path / f"{number}.weights.h5")
    x, going, results = np.ones((1, WIDE), "float32"), True, []

    def predict():
        while going:
            results.append(model.predict(x, verbose=0))
    other = threading.Thread(target=predict)
    other.start()
    try:
        for turn in range(10):
            model.load_weights(tmp_path / f"{turn % 2}.weights.h5")
    finally:
        going = False
        other.join()
    assert results and all(np.isfinite(result).all() for result in results)
    model.load_weights(tmp_path / "1.weights.h5")
    again = wide()
    again.load_weights(tmp_path / "1.weights.h5")
    np.testing.assert_array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))


@pytest.mark.parametrize("size", [3, WIDE])
def test_a_forked_process_loads(tmp_path, size):
    model = gn.Sequential([gn.Input((size,)), layers.Dense(size)])
    model.save(tmp_path / "m.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which the parent has
        child = os.fork()
    if not child:
        os._exit(0 if same(model, gn.saving.load_model(tmp_path / "m.keras")) else 1)
    assert os.waitpid(child, 0)[1] == 0


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


# ---- data files of checkpoints and saved models

def tensors():
    kinds = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]
    rng = np.random.default_rng(0)
    return {f"{kind}{shape}": np.asarray(rng.integers(0, 2, shape), kind) for kind in kinds for shape in [(), (0, 2), (3,), (2, 5)]}


def test_arrays_are_parts_of_a_data_files_memory():
    """The same as the package's own reader gives."""
    arrays = dict(sorted(tensors().items(), key=lambda item: -item[1].itemsize))
    data = np.frombuffer(header(list(arrays.items())) + b"".join(array.tobytes() for array in arrays.values()), "uint8").copy()
    found, expected = arrays_of(data), safetensors.numpy.load(data.tobytes())
    assert found.keys() == expected.keys() == arrays.keys()
    for key, array in found.items():
        assert array.dtype == expected[key].dtype == arrays[key].dtype and np.array_equal(array, arrays[key]) and array.shape == arrays[key].shape
        assert array.flags.carray and (array.size == 0 or np.shares_memory(array, data))


def described(text, data=b"12345678"):
    text = text.encode()
    return np.frombuffer(len(text).to_bytes(8, "little") + text + data, "uint8")


@pytest.mark.parametrize("data", [
    np.zeros(0, "uint8"), np.zeros(7, "uint8"), np.full(20, 255, "uint8"), described("[]"), described("{"), described("[" * 10_000), described("{}"),
    described('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'),
    *[described(f'{{"a":{{"dtype":{dtype},"shape":{shape},"data_offsets":{place}}}}}') for dtype, shape, place in [
        ('"F32"', "[3]", "[0,12]"), ('"F32"', "[1]", "[0,4]"), ('"F32"', "[1]", "[4,8]"), ('"F32"', "[1]", "[0,8]"), ('"F32"', "[-2]", "[0,-8]"),
        ('"F32"', "[2.0]", "[0,8]"), ('"F32"', "[true]", "[0,4]"), ('"F32"', "2", "[0,8]"), ('"F32"', "[2]", "[0]"), ('"O"', "[1]", "[0,8]"),
        ("[]", "[2]", "[0,8]"), ('"F32"', f"[{2 ** 62},{2 ** 62}]", "[0,8]")]],
], ids=range(20))
def test_damage_to_the_header_of_a_data_file(data):
    with pytest.raises((ValueError, KeyError, TypeError, IndexError, RecursionError)):
        arrays_of(data)


def test_a_restoration_that_waits_keeps_what_it_waits_for_alone(tmp_path):
    large, small = gn.Variable(np.ones(100_000, "float32")), gn.Variable(np.arange(3.0))
    path = gn.train.Checkpoint(large=large, small=small).write(tmp_path / "c")
    root = gn.train.Checkpoint(large=gn.Variable(np.zeros(100_000, "float32")))
    root.read(path).expect_partial()
    waiting = root.__dict__["_untracked_pending"].restoration._values
    assert [value.base for value in waiting.values()] == [None]
    root.small = gn.Variable(np.zeros(3))
    np.testing.assert_array_equal(root.small.numpy(), small.numpy())


def test_variables_of_a_saved_model_never_share_memory(tmp_path):
    """Not even where its text, changed by somebody, gives two of them the same value."""
    model = gn.Sequential([gn.Input((WIDE,)), layers.Dense(WIDE, use_bias=False), layers.Dense(WIDE, use_bias=False)])
    model.save(tmp_path / "m")
    path = tmp_path / "m" / "saved_model.json"
    head, _, body = path.read_text().partition('"body":\n')
    found = json.loads(body[:-2])
    found["variables"][1]["key"] = found["variables"][0]["key"]
    text, crc = json.dumps(found), json.loads(head + '"body":0}')["crc32"]
    path.write_text(f'{head.replace(str(crc), str(zlib.crc32(text.encode())))}"body":\n{text}}}\n')
    with pytest.raises(FileFormatError, match="its value, is named twice"):
        gn.saving.load_model(tmp_path / "m")


def test_the_memory_of_a_data_file_is_kept_for_variables_alone(tmp_path):
    model = wide()
    model.save(tmp_path / "weights")
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((1, WIDE), "float32"), np.ones((1, WIDE), "float32"))
    model.save(tmp_path / "all")
    for name, owns in ("all", True), ("weights", False):
        again = gn.saving.load_model(tmp_path / name, compile=False)
        assert (again.layers[0].kernel.value.base is None) == owns
    assert same(model, gn.saving.load_model(tmp_path / "all"))
