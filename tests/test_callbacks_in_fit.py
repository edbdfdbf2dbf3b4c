"""Callbacks in real runs of fit, evaluate and predict."""
import csv

import numpy as np
import pytest

import graphnet
from graphnet import callbacks as ours
from graphnet import layers, optimizers


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 4)).astype("float32")
    return x, x @ np.array([[1.0], [-2.0], [0.5], [3.0]], "float32")


def linear(optimizer):
    graphnet.utils.set_random_seed(1)
    model = graphnet.Sequential([layers.Input((4,)), layers.Dense(1, name="line")])
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


class Weights(ours.Callback):
    """Keeps the weights after each epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.model.get_weights())


def same(one, other):
    return all((a == b).all() for a, b in zip(one, other, strict=True))


def test_early_stopping_restores_the_best_weights(data, tmp_path):
    model, weights = linear(optimizers.SGD(0.05)), Weights()

    def spoil(epoch, logs):
        if epoch >= 3:
            model.set_weights([10 * w for w in model.get_weights()])
    worse = ours.LambdaCallback(on_epoch_begin=spoil)
    stop = ours.EarlyStopping("loss", patience=2, restore_best_weights=True)
    history = model.fit(*data, epochs=10, verbose=0, callbacks=[worse, weights, stop, ours.CSVLogger(tmp_path / "log.csv")])
    assert len(history.epoch) == 5 and np.argmin(history.history["loss"]) == stop.best_epoch == 2
    assert same(model.get_weights(), weights.seen[2])
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == history.history["loss"] and rows[0]["val_loss"] == "NA"


def test_monitor_knows_the_compiled_metrics(data):
    model = linear("sgd")
    stop = ours.EarlyStopping("val_mae", patience=0, min_delta=1e9)
    history = model.fit(*data, epochs=4, verbose=0, validation_split=0.25, callbacks=[stop])
    assert stop.direction() == -1 and len(history.epoch) == 2


def test_the_rate_that_a_schedule_sets_is_used(data):
    model, weights = linear(optimizers.SGD(0.5)), Weights()
    rates = ours.LearningRateScheduler(lambda epoch, rate: 0.01 if epoch < 1 else 0.0)
    history = model.fit(*data, epochs=3, verbose=0, callbacks=[weights, rates])
    assert history.history["learning_rate"] == [pytest.approx(0.01), 0.0, 0.0]
    assert same(weights.seen[0], weights.seen[2])


def test_reduce_lr_on_plateau(data):
    model = linear(optimizers.SGD(0.01))
    model.fit(*data, epochs=4, verbose=0, callbacks=[ours.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)])
    assert float(np.asarray(model.optimizer.learning_rate)) == pytest.approx(0.01 / 8)


def test_nan_ends_training(data, capsys):
    x, y = data
    y = y.copy()
    y[40] = np.nan
    model = linear("sgd")
    history = model.fit(x, y, batch_size=32, epochs=5, shuffle=False, verbose=0, callbacks=[ours.TerminateOnNaN()])
    assert len(history.epoch) == 1 and "Batch 1: Invalid loss" in capsys.readouterr().out


def test_evaluation_with_averaged_weights(data):
    model = linear(optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9))
    seen = {}

    def look(logs):
        seen["evaluated"], seen["loss"] = model.get_weights(), logs["loss"]
    swap = ours.SwapEMAWeights()
    model.fit(*data, epochs=1, verbose=0, validation_data=data, callbacks=[swap, ours.LambdaCallback(on_test_end=look)][::-1])
    averages = [a.numpy() for a in model.optimizer._averages]
    assert same(seen["evaluated"], averages)
    kernel, bias = averages
    expected = np.square(data[0].astype("float64") @ kernel + bias - data[1]).mean()
    assert seen["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("hook", ["on_train_begin", "on_train_batch_end", "on_epoch_end", "on_test_begin", "on_train_end"])
def test_an_error_in_a_callback_leaves_the_model_usable(data, hook):
    model = linear("sgd")

    def fail(*args, **kwargs):
        raise RuntimeError("mine")
    with pytest.raises(RuntimeError, match="mine"):
        model.fit(*data, epochs=2, verbose=0, validation_data=data, callbacks=[ours.LambdaCallback(**{hook: fail})])
    before = model.evaluate(*data, verbose=0)[0]
    model.fit(*data, epochs=3, verbose=0)
    assert model.evaluate(*data, verbose=0)[0] < before


def adam():
    graphnet.utils.set_random_seed(1)
    model = graphnet.Sequential([layers.Input((4,)), layers.Dense(3), layers.Dropout(0.25), layers.Dense(1)])
    model.compile(optimizers.Adam(0.05), "mse")
    return model


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(data, tmp_path):
    def run(model, *callbacks):
        return model.fit(*data, epochs=5, batch_size=32, shuffle=False, verbose=0, callbacks=list(callbacks))

    def interrupt(epoch, logs):
        if epoch == 3:
            raise KeyboardInterrupt
    whole = adam()
    run(whole)
    with pytest.raises(KeyboardInterrupt):
        run(adam(), ours.BackupAndRestore(tmp_path / "backup"), ours.LambdaCallback(on_epoch_begin=interrupt))
    resumed = adam()
    history = run(resumed, ours.BackupAndRestore(tmp_path / "backup"))
    assert history.epoch == [3, 4] and not (tmp_path / "backup").exists()
    assert same(resumed.get_weights(), whole.get_weights()) and int(resumed.optimizer.iterations) == 15


def test_checkpoints_are_models_that_train_on(data, tmp_path):
    model = adam()
    best = ours.ModelCheckpoint(tmp_path / "best.weights.h5", "loss", save_best_only=True, save_weights_only=True)
    model.fit(*data, epochs=3, batch_size=32, shuffle=False, verbose=0,
              callbacks=[ours.ModelCheckpoint(tmp_path / "{epoch}.keras"), best])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.keras", "2.keras", "3.keras", "best.weights.h5"]
    second = graphnet.saving.load_model(tmp_path / "2.keras")
    assert int(second.optimizer.iterations) == 6
    second.fit(*data, initial_epoch=2, epochs=3, batch_size=32, shuffle=False, verbose=0)
    assert same(second.get_weights(), model.get_weights())
    other = adam()
    other.load_weights(tmp_path / "best.weights.h5")
    assert int(other.optimizer.iterations) == 9 and same(other.get_weights(), model.get_weights())


def test_progress_of_a_fit(data, capsys):
    model = linear("sgd")
    model.fit(*data, epochs=2, batch_size=32, verbose=2, validation_split=0.25)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Epoch 1/2" and lines[1].startswith("3/3 - 0s - ") and " - val_mae: " in lines[1] and len(lines) == 4
    model.evaluate(*data, verbose=1)
    out = capsys.readouterr().out
    assert "Epoch" not in out and out.endswith("\n") and " - mae: " in out
    model.fit(*data, verbose=0)
    assert capsys.readouterr().out == ""


def test_tensorboard_of_a_fit(data, tmp_path):
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator",
                                 reason="reads event files with the package tensorboard, which is not installed")
    model = linear("adam")
    history = model.fit(*data, epochs=2, batch_size=32, verbose=0, validation_data=data,
                        callbacks=[ours.TensorBoard(tmp_path, histogram_freq=1, update_freq="batch")])
    runs = {run: module.EventAccumulator(str(tmp_path / run)).Reload() for run in ("train", "validation")}
    for run, prefix in (("train", ""), ("validation", "val_")):
        written = [event.value for event in runs[run].Scalars("epoch_loss")]
        np.testing.assert_allclose(written, history.history[f"{prefix}loss"], rtol=1e-6)
    assert [event.step for event in runs["validation"].Scalars("evaluation_mae_vs_iterations")] == [3, 6]
    assert [event.step for event in runs["train"].Scalars("batch_loss")] == [1, 2, 3, 4, 5, 6]
    assert runs["train"].Tags()["histograms"] == [f"{weight.path}/histogram" for weight in model.weights]
