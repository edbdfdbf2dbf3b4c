"""Event files, read back with the real tensorboard package."""
import builtins
import io
import json
import pathlib

import numpy as np
import pytest

import graphnet
from graphnet import layers
from graphnet.callbacks import CallbackList, TensorBoard
from graphnet.errors import ShapeError
from graphnet.visualization import events
from graphnet.visualization.event_graph import graph_def
from graphnet.visualization.events import EventWriter, png


@pytest.fixture
def read():
    """Reads a folder's event files, whole."""
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator",
                                 reason="reads event files with the package tensorboard, which is not installed")

    def reader(folder):
        everything = dict.fromkeys((module.SCALARS, module.HISTOGRAMS, module.IMAGES, module.TENSORS), 0)
        return module.EventAccumulator(str(folder), size_guidance=everything).Reload()
    return reader


def points(run, tag):
    return [(event.step, event.value) for event in run.Scalars(tag)]


def test_scalars_histograms_text(read, tmp_path):
    values = np.random.default_rng(0).normal(size=(40, 5)).astype("float32")
    with EventWriter(tmp_path) as writer:
        for step in range(3):
            writer.scalar("loss", np.float32(0.5) / (step + 1), step)
        writer.histogram("weights", values, 7)
        writer.histogram("spoiled", np.array([np.nan, 2.0, np.inf]), 7)
        writer.histogram("empty", np.zeros(0), 7)
        writer.text("note", "*grey*", 1)
    run = read(tmp_path)
    assert points(run, "loss") == [(0, 0.5), (1, 0.25), (2, pytest.approx(0.5 / 3))]
    histogram = run.Histograms("weights")[0].histogram_value
    wide = values.astype("float64")
    assert (histogram.num, histogram.min, histogram.max) == (200, wide.min(), wide.max())
    np.testing.assert_allclose((histogram.sum, histogram.sum_squares), (wide.sum(), (wide ** 2).sum()))
    rights = np.array(histogram.bucket_limit)
    below = np.array([(wide <= right + 1e-12).sum() for right in rights])  # counted another way
    assert len(rights) == 30 and np.cumsum(histogram.bucket).tolist() == below.tolist()
    assert run.Histograms("spoiled")[0].histogram_value.num == 1 and run.Histograms("empty")[0].histogram_value.num == 0
    assert run.Tensors("note")[0].tensor_proto.string_val[0] == b"*grey*"


def test_images(read, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="reads pictures with Pillow, which is not installed")
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 3)).astype("uint8")
    with EventWriter(tmp_path) as writer:
        writer.image("colours", pixels, 0)
        writer.image("grey", np.array([[0.0, 0.5], [1.0, 3.0]]), 0)
        with pytest.raises(ShapeError, match=r"received shape \(2, 2, 2\)"):
            writer.image("two", np.zeros((2, 2, 2)), 0)
    run = read(tmp_path)

    def picture(tag):
        return np.asarray(image.open(io.BytesIO(run.Images(tag)[0].encoded_image_string)))
    assert (picture("colours") == pixels).all()
    assert picture("grey").tolist() == [[0, 128], [255, 255]]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png(channels):
    image = pytest.importorskip("PIL.Image", reason="reads pictures with Pillow, which is not installed")
    pixels = np.random.default_rng(channels).integers(0, 256, (3, 4, channels)).astype("uint8")
    assert (np.asarray(image.open(io.BytesIO(png(pixels)))).reshape(pixels.shape) == pixels).all()


def test_a_file_cut_short_keeps_what_came_before(read, tmp_path):
    writer = EventWriter(tmp_path)
    for step in range(4):
        writer.scalar("loss", step, step)
    writer.close()
    writer.close()
    path = pathlib.Path(writer.path)
    path.write_bytes(path.read_bytes()[:-5])
    assert points(read(tmp_path), "loss") == [(step, step) for step in range(3)]


def two_towers():
    """Two inputs, a shared nested model, an op, a layer with two outputs (an LSTM's state), activations."""
    graphnet.utils.clear_session()  # the op is the first of its name
    x = layers.Input((6, 4), name="x")
    h, state, _ = layers.LSTM(3, return_state=True, name="lstm")(x)
    both = layers.Concatenate(name="both")([h, state])
    tower = graphnet.Model(x, layers.Dense(4, activation="relu", name="hidden")(both), name="tower")
    a, b = layers.Input((6, 4), name="a"), layers.Input((6, 4), name="b")
    y = layers.Activation("softmax", name="last")(layers.Dense(2, name="out")(tower(a) - tower(b)))
    return graphnet.Model([a, b], y, name="towers")


def test_graph(read, tmp_path):
    model = two_towers()
    with EventWriter(tmp_path) as writer:
        writer.graph(graph_def(model.graph))
        writer.keras_model(model.to_json())
    run = read(tmp_path)
    nodes = {node.name: node for node in run.Graph().node}
    assert {name: node.op for name, node in nodes.items() if not name.startswith("tower")} == {
        "a": "Placeholder", "b": "Placeholder", "subtract": "Sub", "out": "MatMul", "last": "Softmax"}
    assert (nodes["tower/hidden/MatMul"].op, nodes["tower.1/hidden/Relu"].op) == ("MatMul", "Relu")
    assert list(nodes["tower/both"].input) == ["tower/lstm", "tower/lstm:1"]  # two outputs of one call
    assert list(nodes["tower/lstm"].input) == ["a"] and list(nodes["tower.1/lstm"].input) == ["b"]
    assert list(nodes["subtract"].input) == ["tower/hidden/Relu", "tower.1/hidden/Relu"]
    assert [dim.size for dim in nodes["out"].attr["_output_shapes"].list.shape[0].dim] == [-1, 2]
    assert nodes["out"].attr["params"].i == 10
    named = {tensor.split(":")[0] for node in nodes.values() for tensor in node.input}
    assert named <= set(nodes)
    from tensorboard.plugins.graph import keras_util
    conceptual = keras_util.keras_model_to_graph_def(json.loads(run.Tensors("keras")[0].tensor_proto.string_val[0]))
    assert "towers/out" in {node.name for node in conceptual.node}


class Optimizer:
    """As much of an optimizer as the callbacks ask for."""

    built, iterations, learning_rate = True, 0, 0.125


def run(model, callback, epochs=2, steps=3):
    """A fit's hooks, in order."""
    callbacks = CallbackList([callback], model=model, epochs=epochs, steps=steps, verbose=0)
    try:
        hooks(callbacks, model, epochs, steps)
    except BaseException:
        callbacks.release()
        raise


def hooks(callbacks, model, epochs, steps):
    callbacks.on_train_begin()
    for epoch in range(epochs):
        callbacks.on_epoch_begin(epoch)
        for step in range(steps):
            callbacks.on_train_batch_begin(step)
            model.optimizer.iterations += 1
            callbacks.on_train_batch_end(step, {"loss": 10.0 * epoch + step} if callbacks.wants_batch_logs else None)
        callbacks.on_test_begin()
        callbacks.on_test_end({"loss": 5.0 + epoch})
        callbacks.on_epoch_end(epoch, {"loss": 1.0 + epoch, "val_loss": 5.0 + epoch})
    callbacks.on_train_end()


@pytest.fixture
def model():
    model = graphnet.Sequential([layers.Input((4,)), layers.Dense(3, name="dense"), layers.Dense(2, name="last")])
    model.optimizer = Optimizer()
    return model


def test_callback_writes_keras_tags(read, tmp_path, model):
    run(model, TensorBoard(tmp_path, histogram_freq=1, write_images=True, write_steps_per_second=True))
    train, validation = read(tmp_path / "train"), read(tmp_path / "validation")
    assert points(train, "epoch_loss") == [(0, 1.0), (1, 2.0)]
    assert points(train, "epoch_learning_rate") == [(0, 0.125), (1, 0.125)]
    assert set(train.Tags()["scalars"]) == {"epoch_loss", "epoch_learning_rate", "epoch_steps_per_second"}
    assert points(validation, "epoch_loss") == [(0, 5.0), (1, 6.0)]
    assert points(validation, "evaluation_loss_vs_iterations") == [(3, 5.0), (6, 6.0)]
    assert set(train.Tags()["histograms"]) == {f"{weight.path}/histogram" for weight in model.weights}
    assert len(train.Images(f"{model.weights[0].path}/image")) == 2
    kernel = model.get_layer("dense").weights[0].numpy()
    np.testing.assert_allclose(train.Histograms(f"{model.weights[0].path}/histogram")[0]
                               .histogram_value.sum, kernel.astype("float64").sum())
    assert train.Tags()["graph"] and {node.op for node in train.Graph().node} == {"Placeholder", "MatMul"}
    assert "keras" in train.Tags()["tensors"]


@pytest.mark.parametrize("update_freq, steps", [("batch", [1, 2, 3, 4, 5, 6]), (2, [2, 4, 6]), (1, [1, 2, 3, 4, 5, 6])])
def test_batches(read, tmp_path, model, update_freq, steps):
    run(model, TensorBoard(tmp_path, update_freq=update_freq, write_graph=False))
    losses = [0.0, 1.0, 2.0, 10.0, 11.0, 12.0]
    assert points(read(tmp_path / "train"), "batch_loss") == [(step, losses[step - 1]) for step in steps]


def test_evaluate_alone(read, tmp_path, model):
    callbacks = CallbackList([TensorBoard(tmp_path)], model=model)
    callbacks.on_test_begin()
    callbacks.on_test_end({"loss": 2.0})
    assert points(read(tmp_path / "validation"), "evaluation_loss_vs_iterations") == [(0, 2.0)]
    assert not (tmp_path / "train").exists()


def test_subclassed_model_has_no_graph(read, tmp_path):
    class Own(graphnet.Model):
        def call(self, x):
            return x
    model = Own()
    model.optimizer = Optimizer()
    run(model, TensorBoard(tmp_path))
    assert points(read(tmp_path / "train"), "epoch_loss") == [(0, 1.0), (1, 2.0)]


def test_graph_of_a_model_that_training_builds(read, tmp_path):
    model = graphnet.Sequential([layers.Dense(3)])
    model.optimizer = Optimizer()
    callbacks = CallbackList([TensorBoard(tmp_path)], model=model)
    callbacks.on_train_begin()
    model(np.zeros((2, 4), "float32"))
    callbacks.on_epoch_end(0, {"loss": 1.0})
    callbacks.on_epoch_end(1, {"loss": 1.0})
    callbacks.on_train_end()
    assert [node.op for node in read(tmp_path / "train").Graph().node] == ["Placeholder", "MatMul"]


def test_embeddings(read, tmp_path):
    from tensorboard.plugins.projector import projector_plugin
    model = graphnet.Sequential([layers.Input((5,), dtype="int32"), layers.Embedding(7, 3, name="words"), layers.Flatten()])
    model.optimizer = Optimizer()
    run(model, TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata={"words": "words.txt"}))
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert 'tensor_path: "words.tsv"' in config and 'metadata_path: "words.txt"' in config
    table = projector_plugin._read_tensor_tsv_file(str(tmp_path / "words.tsv"))
    assert (table == model.get_layer("words").embeddings.numpy()).all()
    with pytest.raises(ValueError, match="received letters. There are: words"):
        run(model, TensorBoard(tmp_path / "other", embeddings_freq=1, embeddings_metadata={"letters": "x"}))


def test_an_error_closes_the_files(read, tmp_path, model):
    callback = TensorBoard(tmp_path)
    callbacks = CallbackList([callback], model=model)
    callbacks.on_train_begin()
    callbacks.on_epoch_end(0, {"loss": 1.0})
    writer = callback._writers["train"]
    callbacks.release()
    assert writer._records.closed
    assert points(read(tmp_path / "train"), "epoch_loss") == [(0, 1.0)]


@pytest.mark.parametrize("arguments, error", [({"profile_batch": -2}, ValueError), ({"profile_batch": (3, 1)}, ValueError),
                                              ({"profile_batch": "2,x"}, ValueError), ({"profile_batch": (1, 2, 3)},
                                                                                       ValueError),
                                              ({"profile_batch": ()}, ValueError),
                                              ({"update_freq": "step"}, ValueError), ({"update_freq": 0}, ValueError)])
def test_arguments(read, arguments, error):
    with pytest.raises(error, match=f"TensorBoard expects {next(iter(arguments))}"):
        TensorBoard(**arguments)


def test_without_the_package(monkeypatch):
    load = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("tensorboard"):
            raise ImportError(name)
        return load(name, *args, **kwargs)
    monkeypatch.setattr(builtins, "__import__", missing)
    for make in (events.tensorboard_protocol, TensorBoard, lambda: EventWriter("nowhere")):
        with pytest.raises(ImportError, match=r"pip install graphnet\[tensorboard\]"):
            make()
