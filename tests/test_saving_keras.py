"""Files between the real Keras and graphnet, both ways: outputs, the places of arrays, training that goes on."""
import os

import h5py
import numpy as np
import pytest

import graphnet as gn

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras", reason="exchanges files with the real Keras, which is not installed here", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("ignore")  # Keras's and jax's own


def sequences(L):
    """Layers that take (batch, steps, features)."""
    return [
        L.Dense(3), L.EinsumDense("abc,cd->abd", (6, 3), bias_axes="d"), L.BatchNormalization(), L.LayerNormalization(),
        L.GroupNormalization(2), L.RMSNormalization(), L.UnitNormalization(), L.PReLU(),
        L.Conv1D(3, 2), L.Conv1DTranspose(3, 2), L.DepthwiseConv1D(2), L.SeparableConv1D(3, 2), L.SimpleRNN(3), L.LSTM(3),
        L.GRU(3), L.GRU(3, reset_after=False, use_bias=False), L.RNN([L.LSTMCell(3), L.GRUCell(2)], return_sequences=True),
        L.RNN(L.SimpleRNNCell(2)), L.Bidirectional(L.LSTM(2)), L.Bidirectional(L.GRU(2, return_sequences=True), merge_mode="sum"),
        L.TimeDistributed(L.Dense(2)), L.Normalization(mean=1.0, variance=4.0),
        L.Reshape((2, 12)), L.Dropout(0.0), L.LeakyReLU(), L.ELU(), L.Softmax(), L.GlobalMaxPooling1D(), L.Permute((2, 1)),
    ]


def images(L):
    return [
        L.Conv2D(3, 2), L.Conv2D(4, 3, groups=2, use_bias=False), L.Conv2DTranspose(3, 2), L.DepthwiseConv2D(2, depth_multiplier=2),
        L.SeparableConv2D(3, 2), L.BatchNormalization(axis=1, scale=False), L.ConvLSTM1D(2, 2), L.TimeDistributed(L.Conv1D(2, 2)),
        L.MaxPooling2D(), L.UpSampling2D(), L.ZeroPadding2D(), L.Flatten(),
    ]


def volumes(L):
    return [L.Conv3D(2, 2), L.Conv3DTranspose(2, 2), L.ConvLSTM2D(2, 2), L.AveragePooling3D(2)]


def trained_otherwise(L):
    """Layers whose training differs from Keras's: Keras normalizes each step by itself, and takes further powers of the kernel."""
    return [L.SpectralNormalization(L.Dense(2)), L.TimeDistributed(L.BatchNormalization())]


def branches(table, shape):
    """One model with all layers of a table beside each other, and those that take several inputs."""
    L = keras.layers
    x = keras.Input(shape)
    ends = [layer(x) for layer in table(L)]
    if table is sequences:
        words = L.Embedding(5, 4)(L.Flatten()(x))
        attended = [L.MultiHeadAttention(2, 3)(x, x), L.GroupQueryAttention(4, 2, 1)(x, x), L.Attention(use_scale=True)([x, x]),
                    L.AdditiveAttention()([x, x])]
        inner = keras.Sequential([L.Dense(3), keras.Model(i := keras.Input((6, 3)), L.Dense(2)(L.Dense(2)(i)))])
        ends += [words, *attended, inner(x)]
    y = L.Dense(2)(L.Concatenate()([L.Flatten()(end) for end in ends]))
    return keras.Model(x, y)


def arrays(path):
    """What an HDF5 file holds, but for the states of generators of seeds: early Keras 3 wrote them, today's does not."""
    found = {}

    def note(name, thing):
        if isinstance(thing, h5py.Dataset) and "seed_generator" not in name:
            found[name] = thing.dtype.str, thing[()].tolist()
    with h5py.File(path) as file:
        file.visititems(note)
    return found


def steps(model, x, y, count=3):
    return [np.asarray(model.train_on_batch(x, y), "float64") for _ in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("table,shape", [(sequences, (6, 4)), (images, (5, 5, 4)), (volumes, (4, 5, 5, 2)), (trained_otherwise, (6, 4))])
def test_every_layer(table, shape, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.random((4, *shape), "float32"), rng.random((4, 2), "float32")
    theirs = branches(table, shape)
    theirs.compile(keras.optimizers.Adam(0.01, use_ema=True), "mse", metrics=["mae"])
    steps(theirs, x, y, 1)
    theirs.save(tmp_path / "theirs.keras")
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours = gn.saving.load_model(tmp_path / "theirs.keras")
    ours.save(tmp_path / "ours.keras")
    ours.save(tmp_path / "ours.h5")
    ours.save_weights(tmp_path / "ours.weights.h5")
    assert arrays(tmp_path / "ours.weights.h5") == arrays(tmp_path / "theirs.weights.h5")
    wanted = theirs.predict(x, verbose=0)
    again, old = keras.saving.load_model(tmp_path / "ours.keras"), keras.saving.load_model(tmp_path / "ours.h5")
    for model in (again, old, ours, gn.saving.load_model(tmp_path / "ours.h5")):
        np.testing.assert_allclose(model.predict(x, verbose=0), wanted, rtol=1e-5, atol=1e-5)
    wanted = steps(theirs, x, y)
    for model in (again, *([] if table is trained_otherwise else [ours, gn.saving.load_model(tmp_path / "ours.h5")])):
        np.testing.assert_allclose(steps(model, x, y), wanted, rtol=1e-4)
    theirs.load_weights(tmp_path / "ours.weights.h5")
    np.testing.assert_allclose(steps(theirs, x, y), wanted, rtol=1e-5)


def scaled(kit):
    """A model with a variable of its own beside a layer's; with two of them Keras fails to save it, as it compares arrays."""
    class Scaled(kit.Model):
        def __init__(self):
            super().__init__()
            self.inner = kit.layers.Dense(2, name="inner")
            self.scale = self.add_weight(shape=(2,), name="scale", initializer="random_uniform")

        def call(self, x):
            return self.inner(x) * self.scale
    model = Scaled()
    model(np.ones((1, 3), "float32"))
    return model


def test_legacy_weights_of_the_model_itself(tmp_path):
    x, (theirs, ours) = np.ones((2, 3), "float32"), (scaled(kit) for kit in (keras, gn))
    theirs.save(tmp_path / "theirs.h5")
    ours.load_weights(tmp_path / "theirs.h5")
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-6)
    ours.save_weights(tmp_path / "ours.h5")
    again = scaled(keras)
    again.load_weights(tmp_path / "ours.h5")
    np.testing.assert_allclose(again(x), theirs(x), rtol=1e-6)


REFERENCE = ["mnist_mlp_fit.trained.keras", "toy_resnet_fit.trained.keras"]


@pytest.mark.parametrize("name", REFERENCE)
def test_training_goes_on(shared, name, tmp_path):
    path = shared / "models" / "keras_reference" / name
    ours, theirs = gn.saving.load_model(path), keras.saving.load_model(path)
    ours.save(tmp_path / "ours.keras")
    again = keras.saving.load_model(tmp_path / "ours.keras")
    rng = np.random.default_rng(0)
    x = rng.random((8, *theirs.input_shape[1:]), "float32")
    sparse = "Sparse" in theirs.get_compile_config()["loss"]["class_name"]
    labels = rng.integers(0, 10, 8)
    wanted = steps(theirs, x, labels if sparse else np.eye(10)[labels])
    for model in (ours, again):
        np.testing.assert_allclose(steps(model, x, labels if sparse else np.eye(10)[labels]), wanted, rtol=1e-4)


OPTIMIZERS = ["Adadelta", "Adafactor", "Adagrad", "Adam", "Adamax", "AdamW", "Ftrl", "Lamb", "Lion", "Nadam", "RMSprop", "SGD"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*OPTIMIZERS, "LossScaleOptimizer"])
def test_optimizers(name, tmp_path):
    x, y = np.random.default_rng(0).random((8, 3), "float32"), np.random.default_rng(1).random((8, 2), "float32")

    def make(library):
        rate = library.optimizers.schedules.ExponentialDecay(0.05, 2, 0.9) if name in ("Adam", "SGD") else 0.05
        if name == "LossScaleOptimizer":
            return library.optimizers.LossScaleOptimizer(library.optimizers.SGD(0.05, momentum=0.9))
        return getattr(library.optimizers, name)(rate, clipnorm=1.0, **({"momentum": 0.9} if name in ("SGD", "RMSprop") else {}))
    ours = gn.Sequential([gn.Input((3,)), gn.layers.Dense(4, "tanh"), gn.layers.Dense(2)])
    ours.compile(make(gn), gn.losses.LogCosh(), metrics=[gn.metrics.MeanAbsoluteError(name="error"), "mse"], loss_weights=0.5)
    steps(ours, x, y)
    ours.save(tmp_path / "ours.keras")
    theirs = keras.saving.load_model(tmp_path / "ours.keras")
    theirs.save(tmp_path / "theirs.keras")
    assert [v.shape for v in theirs.optimizer.variables] == [v.shape for v in ours.optimizer.variables]
    wanted = steps(ours, x, y)
    np.testing.assert_allclose(steps(theirs, x, y), wanted, rtol=1e-4)
    np.testing.assert_allclose(steps(gn.saving.load_model(tmp_path / "theirs.keras"), x, y), wanted, rtol=1e-4)


def net(library):
    """A subclassed model with layers in lists, in dicts and in lists of lists, and variables of its own."""
    L = library.layers

    class _Net(library.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.blocks = [L.Dense(3), L.Dense(3)]
            self.parts = {"out": library.Sequential([L.Dense(2)]), "deep": [[L.Dense(2)], [L.Dense(2)]]}
            self.zeta = L.Dense(2)
            self._last = L.Dense(2)
            self.scale = self.add_weight(shape=(2,), initializer="ones", name="scale")
            self.offset = self.add_weight(shape=(2,), initializer="ones", trainable=False, name="offset")

        def call(self, x):
            for block in self.blocks:
                x = block(x)
            for part in (self.parts["out"], *self.parts["deep"][0], *self.parts["deep"][1], self.zeta, self._last):
                x = part(x)
            return x * self.scale + self.offset
    return _Net


def test_a_subclassed_model(tmp_path):
    x, y = np.random.default_rng(0).random((4, 3), "float32"), np.random.default_rng(1).random((4, 2), "float32")
    theirs = net(keras)()
    theirs.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse")
    steps(theirs, x, y, 1)
    theirs.save(tmp_path / "theirs.keras")
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours = gn.saving.load_model(tmp_path / "theirs.keras", custom_objects={"_Net": net(gn)})
    ours.save(tmp_path / "ours.keras")
    ours.save_weights(tmp_path / "ours.weights.h5")
    assert arrays(tmp_path / "ours.weights.h5") == arrays(tmp_path / "theirs.weights.h5")
    again = keras.saving.load_model(tmp_path / "ours.keras", custom_objects={"_Net": net(keras)})
    wanted = theirs.predict(x, verbose=0)
    for model in (ours, again):
        np.testing.assert_allclose(model.predict(x, verbose=0), wanted, rtol=1e-5, atol=1e-6)
    wanted = steps(theirs, x, y)
    for model in (ours, again):
        np.testing.assert_allclose(steps(model, x, y), wanted, rtol=1e-4)


def test_weights_in_several_files_and_folders(tmp_path):
    x, y = np.random.default_rng(0).random((4, 3), "float32"), np.random.default_rng(1).random((4, 2), "float32")

    def made(library):
        L = library.layers
        model = library.Sequential([library.Input((3,)), L.Dense(40), L.BatchNormalization(), L.Dropout(0.0), L.Dense(2)])
        model.compile(library.optimizers.Adam(0.01), "mse")
        return model
    for writer, reader in ((gn, keras), (keras, gn)):
        model, other = made(writer), made(reader)
        steps(other, x, y, 1)  # Keras's optimizer takes a state only once it has one
        for size in (500, 700, 1 << 20):  # written over twice
            steps(model, x, y, 1)
            model.save_weights(tmp_path / "m.weights.json", max_shard_size=size / 2 ** 30)
            other.load_weights(tmp_path / "m.weights.json")
            np.testing.assert_allclose(other.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
        model.save(tmp_path / writer.__name__, zipped=False)
        again = reader.saving.load_model(tmp_path / writer.__name__)
        wanted = steps(model, x, y)
        for continued in (other, again):
            np.testing.assert_allclose(steps(continued, x, y), wanted, rtol=1e-4)
        for name in os.listdir(tmp_path):
            if name.startswith("m"):
                os.remove(tmp_path / name)
