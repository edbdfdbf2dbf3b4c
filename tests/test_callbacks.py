"""Callbacks: what each does over sequences of hooks, alone and against the real Keras."""
import csv
import io
import json
import types

import numpy as np
import pytest

from graphnet import Variable
from graphnet import callbacks as ours
from graphnet.callbacks import CallbackList


class Optimizer:
    """As much of an optimizer as the callbacks ask for."""

    built, use_ema, name = True, False, "sgd"

    def __init__(self, rate=1.0):
        self.learning_rate, self.iterations = rate, 0


class Model:
    """As much of a model as the callbacks ask for; it notes what is done to it."""

    built, name, metrics = True, "fake", ()

    def __init__(self):
        self.stop_training, self.optimizer, self.weights, self.done = False, Optimizer(), [np.zeros(2)], []

    def get_weights(self):
        return [w.copy() for w in self.weights]

    def set_weights(self, weights):
        self.weights = [w.copy() for w in weights]

    def save(self, path, overwrite):
        self.done.append(("save", str(path)))

    def save_weights(self, path, overwrite):
        self.done.append(("save_weights", str(path)))


def train(callbacks, losses, steps=1, name="loss"):
    """A fit's hooks; the model's weights are the epoch's number. The epochs that were run."""
    model = callbacks.model
    callbacks.on_train_begin()
    for epoch, loss in enumerate(losses):
        callbacks.on_epoch_begin(epoch)
        for step in range(steps):
            callbacks.on_train_batch_begin(step)
            model.weights = [np.full(2, epoch + 1.0)]
            callbacks.on_train_batch_end(step, {"loss": loss})
        callbacks.on_epoch_end(epoch, {name: loss})
        if model.stop_training:
            break
    callbacks.on_train_end()
    return epoch + 1


class Recorder(ours.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(("epoch", epoch, logs))

    def on_batch_end(self, batch, logs=None):
        self.seen.append(("batch", batch, logs))


# ---- the list

def test_logs_are_python_numbers_in_one_dict_for_all():
    first, second = Recorder(), Recorder()
    callbacks = CallbackList([first, [second]])
    callbacks.on_epoch_end(0, {"loss": np.float32(0.5), "auc": {"b": np.array(2), "a": 1}, "per_class": np.ones(2)})
    logs = first.seen[0][2]
    assert list(logs) == ["a", "b", "loss", "per_class"] and logs["loss"] == 0.5 and logs is second.seen[0][2]
    assert [type(logs[name]) for name in ("a", "b", "loss")] == [float] * 3 and logs["per_class"].tolist() == [1, 1]


def test_older_names_of_batch_hooks():
    recorder = Recorder()
    callbacks = CallbackList([recorder])
    callbacks.on_train_batch_end(3, {"loss": 1.0})
    assert recorder.seen == [("batch", 3, {"loss": 1.0})]
    recorder.on_train_batch_end(4, {"loss": 2.0})  # called by a loop of one's own, without a list
    assert recorder.seen[1:] == [("batch", 4, {"loss": 2.0})]


def test_hooks_that_nobody_overrides_are_told_to_nobody():
    callbacks = CallbackList([Recorder(), ours.EarlyStopping("loss"), ours.History()])
    assert {hook for hook, told in callbacks._told.items() if told} == {
        "on_train_begin", "on_train_end", "on_epoch_end", "on_train_batch_end", "on_batch_end"}


@pytest.mark.parametrize("callback, wants", [
    (ours.EarlyStopping("loss"), False), (ours.ModelCheckpoint("m.keras"), False),
    (ours.ModelCheckpoint("m.keras", save_freq=2), True), (ours.BackupAndRestore("b", save_freq=2), False),
    (ours.TerminateOnNaN(), True), (Recorder(), True),
    (ours.LambdaCallback(on_train_batch_end=print), True), (ours.LambdaCallback(on_epoch_end=print), False)])
def test_wants_batch_logs(callback, wants):
    assert CallbackList([callback]).wants_batch_logs is wants
    assert CallbackList([callback]).wants_test_batch_logs is False


def test_progress_wants_logs_when_it_draws(capsys):
    callbacks = CallbackList(add_progbar=True, verbose=1, epochs=1, steps=3)
    callbacks.on_epoch_begin(0)
    assert callbacks.wants_batch_logs
    callbacks.on_train_batch_end(0, {"loss": 1.0})
    assert not callbacks.wants_batch_logs  # within 0.05 s
    quiet = CallbackList(add_progbar=True, verbose=2, epochs=1, steps=3)
    quiet.on_epoch_begin(0)
    assert not quiet.wants_batch_logs


def test_history_and_progbar_are_added_once():
    model, history = Model(), ours.History()
    callbacks = CallbackList([history], add_history=True, add_progbar=True, model=model, verbose=0, epochs=2, steps=1)
    assert [type(c) for c in callbacks.callbacks] == [ours.History, ours.ProgbarLogger]
    train(callbacks, [3.0, 2.0])
    assert model.history is history and history.history == {"loss": [3.0, 2.0]} and history.epoch == [0, 1]
    assert history.params == {"verbose": 0, "epochs": 2, "steps": 1}
    train(callbacks, [1.0])
    assert history.history == {"loss": [3.0, 2.0, 1.0]} and history.epoch == [0]  # as Keras's


def test_what_is_no_callback():
    with pytest.raises(TypeError, match=r"Make an object of it: EarlyStopping\(\)"):
        CallbackList([ours.EarlyStopping])
    with pytest.raises(TypeError, match="LambdaCallback"):
        CallbackList([print])
    with pytest.raises(TypeError, match="received 3"):
        CallbackList().append(3)


def test_an_end_without_a_beginning():
    callbacks = CallbackList([Recorder()])
    callbacks.on_train_begin()
    callbacks.on_train_end()
    with pytest.raises(ValueError, match="on_train_end expects that on_train_begin came before"):
        callbacks.on_train_end()


def test_release_reaches_all(tmp_path):
    class Bad(ours.Callback):
        def release(self):
            raise OSError("disk")
    log = ours.CSVLogger(tmp_path / "log.csv")
    callbacks = CallbackList([Bad(), log])
    callbacks.on_train_begin()
    file = log.csv_file
    with pytest.raises(OSError, match="disk"):
        callbacks.release()
    assert file.closed
    with pytest.raises(ValueError):
        callbacks.on_train_end()  # the run has ended


def test_keras_callbacks_are_taken():
    keras = pytest.importorskip("keras", reason="compares with the real Keras, which is not installed")
    theirs = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs))
    seen = []
    CallbackList([theirs], model=Model()).on_epoch_end(0, {"loss": 1.0})
    assert seen == [{"loss": 1.0}]


# ---- quantities that are watched

SEQUENCES = {
    "falls": [5.0, 4.0, 3.0, 2.5, 2.0, 1.5, 1.25, 1.0],
    "plateau": [5.0, 4.0, 4.0, 4.00005, 3.99995, 4.0, 3.9, 4.0, 4.0, 4.0, 4.0, 4.0],
    "nan": [float("nan"), 2.0, float("nan"), 1.0, float("nan"), float("nan"), float("nan"), 0.5],
    "rises": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    "wobbles": [1.0, 0.5, 0.75, 0.45, 0.6, 0.45, 0.44, 0.6, 0.3, 0.3, 0.3, 0.3, 0.3],
}
STOPPING = [
    {}, {"patience": 2}, {"patience": 3, "restore_best_weights": True}, {"patience": 1, "min_delta": 0.2},
    {"patience": 2, "baseline": 0.5}, {"patience": 1, "start_from_epoch": 3, "restore_best_weights": True},
    {"mode": "max", "patience": 2, "min_delta": 0.01}]
REDUCING = [
    {"patience": 1}, {"patience": 2, "cooldown": 2}, {"patience": 1, "factor": 0.5, "min_lr": 0.3},
    {"patience": 1, "min_delta": 0.1}, {"mode": "max", "patience": 2}, {"patience": 0}]
CHECKPOINTS = [
    {}, {"save_best_only": True}, {"save_best_only": True, "mode": "max"},
    {"save_best_only": True, "initial_value_threshold": 2.0}, {"save_freq": 2}, {"save_freq": 5},
    {"save_freq": 3, "filepath": "{epoch}-{batch}.keras"}]


def outcome(module, make, losses, capsys, steps=1):
    """What training with a callback of graphnet or of Keras comes to: epochs, weights, rate, calls, and what was printed."""
    model = Model()
    kind = CallbackList if module is ours else module.CallbackList
    epochs = train(kind([make(module)], model=model, verbose=1, epochs=len(losses), steps=steps), losses, steps)
    return epochs, model.weights[0].tolist(), model.optimizer.learning_rate, model.done, capsys.readouterr().out


@pytest.fixture
def keras_callbacks():
    keras = pytest.importorskip("keras", reason="compares with the real Keras, which is not installed")
    return keras.callbacks


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("arguments", STOPPING, ids=str)
def test_early_stopping_as_keras(keras_callbacks, capsys, name, arguments):
    def make(module):
        return module.EarlyStopping("loss", verbose=1, **arguments)
    losses = SEQUENCES[name]
    assert outcome(ours, make, losses, capsys) == outcome(keras_callbacks, make, losses, capsys)


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("arguments", REDUCING, ids=str)
def test_reduce_lr_as_keras(keras_callbacks, capsys, name, arguments):
    def make(module):
        return module.ReduceLROnPlateau("loss", verbose=1, **arguments)
    losses = SEQUENCES[name]
    assert outcome(ours, make, losses, capsys) == outcome(keras_callbacks, make, losses, capsys)


@pytest.mark.parametrize("name", ["plateau", "wobbles"])
@pytest.mark.parametrize("arguments", CHECKPOINTS, ids=str)
def test_checkpoint_as_keras(keras_callbacks, capsys, name, arguments):
    def make(module):
        return module.ModelCheckpoint(**{"filepath": "{epoch:02d}-{loss:.2f}.keras", **arguments}, monitor="loss", verbose=1)
    losses = SEQUENCES[name]
    assert outcome(ours, make, losses, capsys, steps=4) == outcome(keras_callbacks, make, losses, capsys, steps=4)


def test_early_stopping_alone():
    model = Model()
    stop = ours.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    assert train(CallbackList([stop], model=model), [3.0, 1.0, 2.0, 2.0, 0.0], name="val_loss") == 4
    assert model.weights[0].tolist() == [2.0, 2.0] and (stop.best_epoch, stop.stopped_epoch, stop.best) == (1, 3, 1.0)


def test_reduce_lr_alone():
    model, history = Model(), ours.History()
    train(CallbackList([ours.ReduceLROnPlateau("loss", factor=0.5, patience=2, min_lr=0.2), history], model=model), [1.0] * 9)
    assert history.history["learning_rate"] == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2]


@pytest.mark.parametrize("monitor, direction", [
    ("loss", -1), ("val_loss", -1), ("val_out_loss", -1), ("val_accuracy", 1), ("out_accuracy", 1), ("val_mse", -1)])
def test_direction_by_name(monitor, direction):
    model = Model()
    accuracy = types.SimpleNamespace(name="accuracy", _direction="up")
    mse = types.SimpleNamespace(name="mse", _direction="down")
    model.metrics = [types.SimpleNamespace(name="loss"), types.SimpleNamespace(name="holder", submodules=[accuracy]), mse]
    stop = ours.EarlyStopping(monitor)
    stop.set_model(model)
    assert stop.direction() == direction


def test_direction_that_cannot_be_told():
    callbacks = CallbackList([ours.EarlyStopping("val_speed")], model=Model())
    with pytest.raises(ValueError, match="Pass mode='max' or mode='min'"):
        callbacks.on_epoch_end(0, {"val_speed": 1.0})
    with pytest.warns(UserWarning, match="expects mode 'auto', 'min' or 'max'; received mode='least'"):
        ours.EarlyStopping("loss", mode="least")


@pytest.mark.parametrize("callback", [
    ours.EarlyStopping(), ours.ReduceLROnPlateau(), ours.ModelCheckpoint("m.keras", save_best_only=True)])
def test_a_quantity_that_is_not_there(callback):
    callbacks = CallbackList([callback], model=Model())
    with pytest.warns(UserWarning, match="monitors 'val_loss', which is not available.*Available: .*loss"):
        callbacks.on_epoch_end(0, {"loss": 1.0})


# ---- files

@pytest.mark.parametrize("arguments, error, says", [
    ({"filepath": "m.tf"}, ValueError, r"ends in \.keras"),
    ({"filepath": "m.h5", "save_weights_only": True}, ValueError, r"\.weights\.h5"),
    ({"filepath": "m.keras", "save_freq": "batch"}, ValueError, "save_freq='batch'"),
    ({"filepath": "m.keras", "save_freq": 0}, ValueError, "save_freq=0")])
def test_checkpoint_arguments(arguments, error, says):
    with pytest.raises(error, match=says):
        ours.ModelCheckpoint(**arguments)


def test_checkpoint_paths(tmp_path):
    model = Model()
    CallbackList([ours.ModelCheckpoint(tmp_path / "new" / "{epoch}.keras")], model=model).on_epoch_end(0, {"loss": 1.0})
    assert model.done == [("save", str(tmp_path / "new" / "1.keras"))] and (tmp_path / "new").is_dir()
    (tmp_path / "m.keras").mkdir()
    with pytest.raises(OSError, match="is a folder"):
        CallbackList([ours.ModelCheckpoint(tmp_path / "m.keras")], model=model).on_epoch_end(0, {})
    with pytest.raises(KeyError, match=r"cannot fill in mape .* Known here: epoch, loss"):
        CallbackList([ours.ModelCheckpoint("{mape:.2f}.keras")], model=model).on_epoch_end(0, {"loss": 1.0})


ROWS = [{"loss": 0.5, "accuracy": 0.25}, {"loss": 0.25, "accuracy": np.ones(2), "val_loss": 3.0}]


@pytest.mark.parametrize("append", [False, True])
def test_csv(tmp_path, append):
    path = tmp_path / "log.csv"
    for _ in range(2):
        callbacks = CallbackList([ours.CSVLogger(path, separator=";", append=append)])
        callbacks.on_train_begin()
        for epoch, logs in enumerate(ROWS):
            callbacks.on_epoch_end(epoch, logs)
        assert len(path.read_text().splitlines()) >= 3  # before the end already
        callbacks.on_train_end()
    rows = list(csv.reader(io.StringIO(path.read_text()), delimiter=";"))
    assert rows[0] == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"] and len(rows) == (5 if append else 3)
    assert rows[1] == ["0", "0.25", "0.5", "NA", "NA"] and rows[2] == ["1", '"[1.0, 1.0]"', "0.25", "NA", "3.0"]


def test_csv_as_keras(tmp_path, keras_callbacks):
    files = []
    for module in (ours, keras_callbacks):
        path = tmp_path / module.__name__
        log = module.CSVLogger(path)
        log.on_train_begin()
        for epoch, logs in enumerate(ROWS):
            log.on_epoch_end(epoch, logs)
        log.on_train_end()
        files.append(path.read_bytes())
    assert files[0] == files[1]


# ---- the small ones

def test_learning_rate_scheduler(capsys):
    model, history = Model(), ours.History()
    halve = ours.LearningRateScheduler(lambda epoch, rate: rate * 0.5, verbose=1)
    train(CallbackList([halve, history], model=model), [1.0, 1.0])
    assert history.history["learning_rate"] == [0.5, 0.25]
    assert capsys.readouterr().out.splitlines()[1] == "Epoch 1: LearningRateScheduler setting learning rate to 0.5."
    train(CallbackList([ours.LearningRateScheduler(lambda epoch: 0.125)], model=model), [1.0])
    assert model.optimizer.learning_rate == 0.125
    with pytest.raises(ValueError, match="received 'fast'"):
        train(CallbackList([ours.LearningRateScheduler(lambda epoch, rate: "fast")], model=model), [1.0])
    model.optimizer = None
    with pytest.raises(ValueError, match="compile the model first"):
        train(CallbackList([ours.LearningRateScheduler(lambda epoch, rate: rate)], model=model), [1.0])


def test_several_optimizers():
    model = Model()
    parts = [Optimizer(1.0), Optimizer(2.0)]
    parts[1].name = "adam"
    model.optimizer = types.SimpleNamespace(inner_optimizer=types.SimpleNamespace(optimizers=parts))
    history = ours.History()
    train(CallbackList([ours.LearningRateScheduler(lambda epoch, rate: rate / 2), history], model=model), [1.0])
    assert history.history == {"loss": [1.0], "learning_rate_sgd": [0.5], "learning_rate_adam": [1.0]}


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_terminate_on_nan(loss, capsys):
    model = Model()
    assert train(CallbackList([ours.TerminateOnNaN()], model=model), [1.0, loss, 2.0]) == 2
    assert "Batch 0: Invalid loss" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="loss of batch 0 is"):
        train(CallbackList([ours.TerminateOnNaN(raise_error=True)], model=model), [loss])


def test_lambda_callback_names():
    with pytest.raises(TypeError, match="received on_epoch_over="):
        ours.LambdaCallback(on_epoch_over=print)
    seen = []
    callback = ours.LambdaCallback(on_test_end=seen.append, on_train_batch_begin=lambda batch, logs: seen.append(batch))
    callbacks = CallbackList([callback])
    callbacks.on_test_begin()
    callbacks.on_train_batch_begin(5)
    callbacks.on_test_end({"loss": 1})
    assert seen == [5, {"loss": 1.0}]


@pytest.fixture
def averaged():
    """A model with one weight, 4, whose average is 3."""
    model, weight, average = Model(), Variable([4.0]), Variable([3.0])
    model.optimizer = types.SimpleNamespace(use_ema=True, built=True, _trainable_variables=[weight], _averages=[average])
    return model, weight, average


def test_swap_ema_weights(averaged):
    model, weight, average = averaged
    callbacks = CallbackList([ours.SwapEMAWeights(swap_on_epoch=True)], model=model)
    callbacks.on_train_begin()
    for epoch in range(2):
        callbacks.on_epoch_begin(epoch)
        assert weight.numpy() == 4.0 + epoch
        callbacks.on_test_begin()
        assert weight.numpy() == 3.0
        callbacks.on_test_end()
        weight.assign([5.0])
        callbacks.on_epoch_end(epoch)
        assert (weight.numpy(), average.numpy()) == (3.0, 3.0)
    callbacks.on_train_end()
    callbacks.on_epoch_begin(0)
    assert weight.numpy() == 3.0  # training ended with the averages


def test_swap_ema_weights_after_an_error(averaged):
    model, weight, _ = averaged
    callbacks = CallbackList([ours.SwapEMAWeights()], model=model)
    callbacks.on_test_begin()
    callbacks.release()
    assert weight.numpy() == 4.0
    model.optimizer.use_ema = False
    with pytest.raises(ValueError, match="use_ema=True"):
        callbacks.on_predict_begin()


@pytest.mark.parametrize("as_json", [False, True])
def test_remote_monitor(as_json):
    pytest.importorskip("requests", reason="RemoteMonitor needs requests, which is not installed")
    import http.server
    import threading
    import urllib.parse
    bodies = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append((self.path, self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monitor = ours.RemoteMonitor(f"http://127.0.0.1:{server.server_port}", send_as_json=as_json)
        monitor.on_epoch_end(1, {"loss": np.float32(0.5), "each": np.ones(2)})
        server.shutdown()
    path, body = bodies[0]
    text = body if as_json else urllib.parse.parse_qs(body)["data"][0]
    assert path == "/publish/epoch/end/" and json.loads(text) == {"epoch": 1, "loss": 0.5, "each": [1.0, 1.0]}
    with pytest.warns(UserWarning, match="could not reach"):
        monitor.on_epoch_end(2, {})
