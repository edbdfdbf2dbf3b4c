"""Files that graphnet writes: what they hold, that they are whole or not there, and what is refused before anything is written."""
import errno
import fcntl
import json
import os
import resource
import subprocess
import sys
import threading
import types
import zipfile

import h5py
import numpy as np
import pytest

import graphnet as gn
from graphnet import files, layers
from graphnet.errors import FileFormatError, UnsupportedError
from graphnet.files import whole_file

REFERENCE = ["autoencoder_nested", "bidirectional_gru", "conv1d_net", "ensemble", "mnist_mlp_fit.trained", "shared_embedding", "ticket_triage",
             "toy_resnet_fit.trained"]


def line(optimizer="adam", loss="mean_squared_error", **options):
    model = gn.Sequential([gn.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(2)])
    model.compile(optimizer, loss, **options)
    return model


def batch(seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((8, 3), "float32"), rng.random((8, 2), "float32")


def steps(model, count=3):
    return [model.train_on_batch(*batch(i)) for i in range(count)]


def contents(source):
    """Each group's attributes and each array of an HDF5 file."""
    found = {}
    with h5py.File(source) as file:
        file.visititems(lambda name, thing: found.update({name: (thing[()].tobytes(), thing.dtype.str, thing.shape) if isinstance(thing, h5py.Dataset)
                                                          else dict(thing.attrs)}))
    return found


@pytest.mark.parametrize("name", REFERENCE)
def test_the_same_file_as_keras_writes(shared, name, tmp_path):
    path = shared / "models" / "keras_reference" / f"{name}.keras"
    gn.saving.load_model(path).save(tmp_path / "ours.keras")
    with zipfile.ZipFile(path) as theirs, zipfile.ZipFile(tmp_path / "ours.keras") as ours:
        assert ours.namelist() == theirs.namelist() and ours.testzip() is None
        configs = [json.loads(file.read("config.json")) for file in (ours, theirs)]
        assert configs[0]["class_name"] == configs[1]["class_name"] and (configs[0].get("compile_config") or {}) == (configs[1].get("compile_config") or {})
        assert contents(ours.open("model.weights.h5")) == contents(theirs.open("model.weights.h5"))


@pytest.mark.parametrize("ending", ["keras", "h5", "hdf5"])
def test_training_goes_on_from_a_file(tmp_path, ending):
    model = line(gn.optimizers.Adam(gn.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)), metrics=["mae"], loss_weights=0.5)
    steps(model)
    model.save(tmp_path / f"model.{ending}")
    again = gn.saving.load_model(tmp_path / f"model.{ending}")
    x = batch()[0]
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert again.optimizer.get_config() == model.optimizer.get_config() and int(again.optimizer.iterations) == 3
    assert steps(again) == steps(model)
    model.save(tmp_path / f"plain.{ending}", include_optimizer=False)
    assert not gn.saving.load_model(tmp_path / f"plain.{ending}").compiled
    assert os.path.getsize(tmp_path / f"plain.{ending}") < os.path.getsize(tmp_path / f"model.{ending}")


def test_weights_with_the_state_of_the_optimizer_and_of_dropout(tmp_path):
    def build(optimizer="adam"):
        model = gn.Sequential([gn.Input((3,)), layers.Dense(4), layers.Dropout(0.5), layers.Dense(2)])
        model.compile(optimizer, "mse")
        return model
    model, other = build(), build()
    steps(model)
    model.save_weights(tmp_path / "m.weights.h5")
    other.load_weights(tmp_path / "m.weights.h5")
    assert steps(other) == steps(model)
    with pytest.warns(UserWarning, match=r"state of optimizer 'sgd.*' begins anew: it has 2 variables, the file's, at .*optimizer, has 10"):
        build(gn.optimizers.SGD(name="sgd")).load_weights(tmp_path / "m.weights.h5")
    model.save_weights(tmp_path / "old.h5")
    other.load_weights(tmp_path / "old.h5")
    assert all(map(np.array_equal, model.get_weights(), other.get_weights()))
    with h5py.File(tmp_path / "old.h5") as file:
        assert [n.decode() for n in file.attrs["layer_names"]] == [layer.name for layer in model.layers]


def test_weights_alone_leave_the_optimizer_as_it_is(tmp_path):
    model = line()
    gn.models.clone_model(model).save_weights(tmp_path / "m.weights.h5")
    model.load_weights(tmp_path / "m.weights.h5")
    assert not model.optimizer.built


# ---- compile

@gn.saving.register_keras_serializable("shop")
def worst(y_true, y_pred):
    return gn.ops.max(gn.ops.abs(y_true - y_pred), axis=-1)


@gn.saving.register_keras_serializable("shop")
class Cubed(gn.losses.Loss):
    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * gn.ops.mean(gn.ops.abs(y_true - y_pred) ** 3, axis=-1)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@gn.saving.register_keras_serializable("shop")
class Slow(gn.optimizers.SGD):
    pass


def unknown(y_true, y_pred):
    return gn.ops.mean(gn.ops.abs(y_true - y_pred), axis=-1)


COMPILED = [
    lambda: {"loss": Cubed(2.0), "metrics": [worst, "mse", gn.metrics.MeanMetricWrapper(worst, name="w")], "optimizer": Slow(0.1, momentum=0.5)},
    lambda: {"loss": worst, "weighted_metrics": [gn.losses.mean_squared_error, gn.metrics.AUC(num_thresholds=5)]},
    lambda: {"loss": gn.losses.Huber(0.5), "loss_weights": [2.0], "metrics": [["mae", worst]], "steps_per_execution": 2, "run_eagerly": True},
    lambda: {"loss": None, "optimizer": gn.optimizers.LossScaleOptimizer(gn.optimizers.SGD(0.1))},
    lambda: {"optimizer": None},
]


@pytest.mark.parametrize("number", range(len(COMPILED)))
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_what_compile_was_given(tmp_path, number, ending):
    options = COMPILED[number]()
    model = line(**options)
    written = model.get_compile_config()
    model.save(tmp_path / f"model.{ending}")
    again = gn.saving.load_model(tmp_path / f"model.{ending}")
    read = again.get_compile_config()
    assert json.dumps(read) == json.dumps(json.loads(json.dumps(written)))
    assert (again.run_eagerly, again.steps_per_execution) == (model.run_eagerly, model.steps_per_execution)
    if options.get("loss") is not None:
        again.set_weights(model.get_weights())
        assert steps(again, 2) == steps(model, 2)


def test_own_losses_without_registration(tmp_path):
    model = line(loss=unknown)
    model.save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedError, match=r"'unknown'.*custom_objects.*compile=False"):
        gn.saving.load_model(tmp_path / "m.keras")
    again = gn.saving.load_model(tmp_path / "m.keras", custom_objects={"unknown": unknown})
    assert again.loss is unknown and not gn.saving.load_model(tmp_path / "m.keras", compile=False).compiled


def test_a_compile_of_ones_own(tmp_path):
    @gn.saving.register_keras_serializable("shop")
    class Own(gn.Sequential):
        def compile(self, rate):
            super().compile(gn.optimizers.SGD(rate), "mse")

    model = Own([gn.Input((3,)), layers.Dense(2)])
    model.compile(0.5)
    model.save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="compile of its own"):
        assert not gn.saving.load_model(tmp_path / "m.keras").compiled


def test_layers_and_optimizers_that_keep_their_state_themselves(tmp_path):
    @gn.saving.register_keras_serializable("shop")
    class Counter(layers.Layer):
        def build(self, input_shape):
            self.factor, self.words = self.add_weight((), "ones"), ["none"]

        def call(self, x):
            return x * self.factor

        def save_own_variables(self, store):
            store["factor"], store["words"] = self.factor.numpy(), np.array([len(word) for word in self.words])

        def load_own_variables(self, store):
            self.factor.assign(store["factor"])
            self.words = ["x" * int(n) for n in store["words"]]
    model = gn.Sequential([gn.Input((3,)), Counter(), layers.Dense(2)])
    model.layers[0].factor.assign(2.5)
    model.layers[0].words = ["one", "three"]
    model.save(tmp_path / "m.keras")
    again = gn.saving.load_model(tmp_path / "m.keras").layers[0]
    assert float(again.factor.numpy()) == 2.5 and again.words == ["xxx", "xxxxx"]


# ---- nothing is half-written

def refusals(tmp_path):
    """What is refused, with what the error says."""
    here = tmp_path / "m.keras"
    yield lambda: line(loss=lambda a, b: gn.ops.mean(a - b)).save(here), UnsupportedError, r"lambda.*compile\(loss=.*register"
    yield lambda: line(metrics=[lambda a, b: gn.ops.mean(a - b)]).save(here), UnsupportedError, r"lambda.*compile\(metrics="
    yield lambda: line().save(tmp_path / "m.onnx"), ValueError, r"ends in \.keras.*m\.onnx"
    yield lambda: line().save(here, zipped=False), ValueError, "folder"
    yield lambda: line().save(here, overwrite=False), FileExistsError, "overwrite=True"
    yield lambda: line().save(here, save_form="x"), ValueError, "save_form"
    yield lambda: line().save_weights(here), ValueError, r"\.weights\.h5"
    yield lambda: line().save_weights(tmp_path / "m.weights.json"), ValueError, "max_shard_size"
    yield lambda: line().save_weights(tmp_path / "m.json", max_shard_size=1), ValueError, r"\.weights\.json"
    yield lambda: line().save_weights(tmp_path / "m.weights.json", max_shard_size=1e-8), ValueError, r"largest array.*11 fit"
    yield lambda: line().save_weights(tmp_path / "m.weights.json", max_shard_size=0), ValueError, "above 0; received 0"
    yield lambda: gn.Sequential([layers.Dense(2)]).save_weights(tmp_path / "m.weights.h5"), ValueError, "no weights yet"
    yield lambda: line().save_weights(tmp_path / "folder.weights.h5"), IsADirectoryError, "folder"
    yield lambda: line().export(tmp_path / "x"), UnsupportedError, "save"


def test_what_is_refused(tmp_path):
    (tmp_path / "m.keras").write_bytes(b"before")
    (tmp_path / "folder.weights.h5").mkdir()
    for act, kind, said in refusals(tmp_path):
        with pytest.raises(kind, match=said):
            act()
        assert sorted(os.listdir(tmp_path)) == ["folder.weights.h5", "m.keras"] and (tmp_path / "m.keras").read_bytes() == b"before"


@pytest.mark.parametrize("answer, kept", [("n", True), ("y", False)])
def test_overwrite_asks(tmp_path, monkeypatch, answer, kept):
    path = tmp_path / "m.weights.h5"
    path.write_bytes(b"before")
    monkeypatch.setattr("builtins.input", lambda question: answer)
    line().save_weights(path, overwrite=False)
    assert (path.read_bytes() == b"before") == kept


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5"])
def test_a_full_disk(tmp_path, name):
    """As far as a process can see: its files may not grow any further."""
    model = gn.Sequential([gn.Input((64,)), layers.Dense(64)])
    save = model.save_weights if name.endswith("weights.h5") else model.save
    save(tmp_path / name)
    before = (tmp_path / name).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError) as error:
            save(tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.errno == errno.EFBIG
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_bytes() == before


def test_two_writers_at_once(tmp_path):
    models = [gn.Sequential([gn.Input((64,)), layers.Dense(64, kernel_initializer=start)]) for start in ("zeros", "ones")]
    path = tmp_path / "m.weights.h5"

    def write(model):
        for _ in range(20):
            model.save_weights(path)
    threads = [threading.Thread(target=write, args=[model]) for model in models]
    for thread in threads:
        thread.start()
    reader = models[0].__class__.from_config(models[0].get_config())
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            reader.load_weights(path)
            assert np.unique(reader.get_weights()[0]).size == 1
    for thread in threads:
        thread.join()
    assert os.listdir(tmp_path) == ["m.weights.h5"]


def test_whole_file_keeps_rights_and_links(tmp_path):
    (tmp_path / "real").write_text("before")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    with whole_file(tmp_path / "link", "w") as file:
        file.write("after")
    assert (tmp_path / "real").read_text() == "after" and (tmp_path / "link").is_symlink() and (tmp_path / "real").stat().st_mode & 0o777 == 0o640
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "real", "w") as file:
        file.write("half")
        raise KeyboardInterrupt
    assert (tmp_path / "real").read_text() == "after" and sorted(os.listdir(tmp_path)) == ["link", "real"]
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "nowhere" / "x"):
        pass


@pytest.mark.skipif(os.name != "posix", reason="rights of owners and others are POSIX's")
def test_the_process_keeps_its_mask_and_private_files_are_private_throughout(tmp_path, monkeypatch):
    def forbidden(mask):
        raise AssertionError("other threads would make files with these rights meanwhile")
    monkeypatch.setattr(os, "umask", forbidden)
    (tmp_path / "plain").write_text("")
    with whole_file(tmp_path / "new", "w") as file:
        file.write("text")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "new").chmod(0o600)
    with whole_file(tmp_path / "new", "w"):
        pending, = tmp_path.glob(".new.*.pending")
        assert pending.stat().st_mode & 0o777 == 0o600


def test_names_of_many_bytes(tmp_path):
    name = "模" * 84  # 252 bytes in 84 letters: a name of the system has at most 255 bytes
    with whole_file(tmp_path / name, "w") as file:
        file.write("text")
        pending, = os.listdir(tmp_path)
        assert pending.startswith("." + name[:33] + ".") and len(os.fsencode(pending)) < 255
    gn.saved_model.save(line(), tmp_path / name[1:])
    assert sorted(os.listdir(tmp_path)) == sorted([name, name[1:]])


def test_what_is_synced_elsewhere_is_open_for_writing(tmp_path, monkeypatch):
    rights = []

    def fsync(descriptor):
        rights.append(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE)
    monkeypatch.setattr(files, "os", types.SimpleNamespace(**{**vars(os), "name": "nt", "fsync": fsync}))
    with files.whole_file(tmp_path / "new", "w") as file:
        file.write("text")
    assert rights == [os.O_RDWR]


# ---- files that were made to do harm

def packed(path, **parts):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in parts.items():
            file.writestr(name, data)
    return path


def test_archives_that_unpack_to_far_more(tmp_path):
    path = packed(tmp_path / "bomb.keras", **{"config.json": b" " * (1 << 27), "model.weights.h5": b""})
    with pytest.raises(FileFormatError, match=r"config\.json claims 134217728 bytes.*fill the memory"):
        gn.saving.load_model(path)
    line().save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras", "a") as file:
        file.writestr("assets/note.txt", "x")
    assert gn.saving.load_model(tmp_path / "m.keras").built


@pytest.mark.parametrize("layout", ["m.weights.h5", "m.h5"])
def test_hdf5_files_that_lead_elsewhere(tmp_path, layout):
    model = line()
    model.save_weights(tmp_path / layout)
    model.save_weights(tmp_path / f"other.{layout}")
    before = model.get_weights()
    place = "layers/dense" if layout == "m.weights.h5" else model.layers[0].name
    for link in (h5py.ExternalLink(f"other.{layout}", place), h5py.SoftLink(f"/{place}")):
        with h5py.File(tmp_path / layout, "r+") as file:
            if place in file:
                del file[place]
            file[place] = link
        with pytest.raises(FileFormatError, match="leads out of the file|no values for|damaged"):
            model.load_weights(tmp_path / layout)
    with h5py.File(tmp_path / layout, "r+") as file:  # groups without end
        del file[place]
        file["layers/more" if layout == "m.weights.h5" else place] = file["/"]
    with pytest.raises(FileFormatError):
        model.load_weights(tmp_path / layout)
    assert all(map(np.array_equal, before, model.get_weights()))


def test_arrays_that_claim_far_more(tmp_path):
    x = gn.Input((1 << 13,))
    model = gn.Model(x, layers.Dense(1 << 12, use_bias=False, kernel_initializer="zeros")(x))
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "r+") as file:
        del file["layers/dense/vars/0"]
        file.create_dataset("layers/dense/vars/0", shape=(1 << 13, 1 << 12), chunks=(1 << 10, 1 << 10), dtype="f4")
    with pytest.raises(FileFormatError, match="claims 134217728 bytes"):
        model.load_weights(tmp_path / "m.weights.h5")


def test_a_file_from_another_process(tmp_path):
    """Nothing of this process is needed to read a file: names, counters and registrations are in it, or are the reader's."""
    model = line()
    steps(model)
    model.save(tmp_path / "m.keras")
    code = "import sys, graphnet; print(int(graphnet.saving.load_model(sys.argv[1]).optimizer.iterations))"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "m.keras")], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.stdout.strip() == "3"
