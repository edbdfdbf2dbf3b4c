"""BackupAndRestore: what a backup holds, and that a run may be killed at any moment."""
import os
import pathlib
import subprocess
import sys
import types

import h5py
import numpy as np
import pytest

from graphnet.callbacks import BackupAndRestore, CallbackList, ModelCheckpoint
from graphnet.errors import FileFormatError


class Model:
    """A model of one weight, the number of its steps; it writes files as real ones do, and as slowly as a big one."""

    built, name, size = True, "fake", 1000

    def __init__(self):
        self.steps, self.stop_training = 0, False
        self.optimizer = types.SimpleNamespace(built=False, build=self.build_optimizer, iterations=0)
        self.trainable_variables = []

    def build_optimizer(self, variables):
        self.optimizer.built = True

    def save_weights(self, path, overwrite):
        with h5py.File(path, "w") as file:
            file["weights"], file["iterations"] = np.full(self.size, self.steps), self.optimizer.iterations

    def load_weights(self, path):
        assert self.optimizer.built
        with h5py.File(path) as file:
            values = file["weights"][:]
            assert values.shape == (self.size,) and (values == values[0]).all()
            self.steps, self.optimizer.iterations = int(values[0]), int(file["iterations"][()])


def fit(model, callback, epochs=3, steps=4, after=lambda model: None):
    """The hooks of fit, which goes on where the callback says; ``after`` is called when a step's hooks are over."""
    callbacks = CallbackList([callback], model=model, epochs=epochs, steps=steps, verbose=0)
    callbacks.on_train_begin()
    first, skipped = callbacks.resume_at or (0, 0)
    for epoch in range(first, epochs):
        callbacks.on_epoch_begin(epoch)
        for batch in range(skipped if epoch == first else 0, steps):
            model.steps += 1
            model.optimizer.iterations += 1
            callbacks.on_train_batch_end(batch)
            after(model)
        callbacks.on_epoch_end(epoch)
    callbacks.on_train_end()


class Stop(Exception):
    pass


def stop_at(step):
    def after(model):
        if model.steps == step:
            raise Stop
    return after


@pytest.mark.parametrize("save_freq, stopped, at", [("epoch", 7, (1, 0)), ("epoch", 3, None), (3, 8, (1, 2)), (1, 6, (1, 2)),
                                                    (4, 5, (1, 0)), (2, 11, (2, 2))])
def test_goes_on_where_the_backup_was_made(tmp_path, save_freq, stopped, at):
    folder = tmp_path / "backup"
    with pytest.raises(Stop):
        fit(Model(), BackupAndRestore(folder, save_freq), after=stop_at(stopped))
    model, callback = Model(), BackupAndRestore(folder, save_freq)
    callbacks = CallbackList([callback], model=model)
    callbacks.on_train_begin()
    assert callbacks.resume_at == at
    assert model.steps == model.optimizer.iterations == (0 if at is None else 4 * at[0] + at[1])
    fresh = Model()
    fit(fresh, BackupAndRestore(folder, save_freq))
    assert fresh.steps == 12 and not folder.exists()  # no step twice, none left out; then the backup is deleted


def test_what_stays_in_the_folder(tmp_path):
    fit(Model(), BackupAndRestore(tmp_path / "kept", delete_checkpoint=False))
    assert sorted(p.name for p in (tmp_path / "kept").iterdir()) == ["latest.weights.h5", "training_metadata.json"]
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "notes.txt").write_text("mine")
    fit(Model(), BackupAndRestore(tmp_path / "shared"))
    assert [p.name for p in (tmp_path / "shared").iterdir()] == ["notes.txt"]  # what it did not write it does not delete


def test_the_backup_before(tmp_path, capsys):
    with pytest.raises(Stop):
        fit(Model(), BackupAndRestore(tmp_path, double_checkpoint=True), after=stop_at(9))
    latest = tmp_path / "latest.weights.h5"
    latest.write_bytes(latest.read_bytes()[:100])  # the disk did this
    model, callback = Model(), BackupAndRestore(tmp_path, double_checkpoint=True)
    CallbackList([callback], model=model).on_train_begin()
    assert callback.resume_at == (1, 0) and model.steps == 4 and "takes the backup before" in capsys.readouterr().out
    (tmp_path / "previous.weights.h5").unlink()
    with pytest.raises(OSError):
        CallbackList([callback], model=model).on_train_begin()


def test_a_backup_of_keras(tmp_path):
    model = Model()
    model.steps = 8
    model.save_weights(tmp_path / "latest.weights.h5", True)
    callback = BackupAndRestore(tmp_path)
    with pytest.raises(FileFormatError, match="does not say of which epoch"):
        CallbackList([callback], model=Model()).on_train_begin()
    (tmp_path / "training_metadata.json").write_text('{"epoch": 2, "batch": 0}')
    CallbackList([callback], model=Model()).on_train_begin()
    assert callback.resume_at == (2, 0)


def test_arguments():
    with pytest.raises(ValueError, match="backup_dir"):
        BackupAndRestore("")
    with pytest.raises(ValueError, match="save_freq=2.5"):
        BackupAndRestore("backup", save_freq=2.5)
    unbuilt = Model()
    unbuilt.built = False
    with pytest.raises(ValueError, match="expects a model that is built"):
        CallbackList([BackupAndRestore("backup")], model=unbuilt).on_train_begin()


def killed(folder, save_freq, times):
    """Kills a run as often as asked, each time at a random moment, and checks what it left; runs in a process of its own."""
    import random
    import signal
    import time
    folder, done = pathlib.Path(folder), pathlib.Path(folder + ".done")
    Model.size = 200_000
    steps, saved = 10, save_freq if save_freq != "epoch" else 10
    moments = random.Random(5)
    reached, written = 0, 0
    for kill in range(20 * times):
        if kill >= times and written:
            break  # on a busy machine it takes more rounds until a backup was whole
        done.write_bytes(b"%08d" % reached)
        child = os.fork()
        if child == 0:
            file = os.open(done, os.O_WRONLY)
            fit(Model(), BackupAndRestore(folder, save_freq), 1000, steps,
                after=lambda model, file=file: os.pwrite(file, b"%08d" % model.steps, 0))
            os._exit(0)
        while int(done.read_bytes()) == reached and os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.001)  # until it has made a step
        time.sleep(moments.uniform(0.0, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        model, callback = Model(), BackupAndRestore(folder, save_freq)
        CallbackList([callback], model=model).on_train_begin()
        epoch, batch = callback.resume_at or (0, 0)
        assert model.steps == model.optimizer.iterations == steps * epoch + batch, (model.steps, epoch, batch)
        assert model.steps >= int(done.read_bytes()) - saved, (model.steps, done.read_bytes())
        assert model.steps >= reached
        written += model.steps > reached
        reached = model.steps
    print("whole", times, "of them with a new backup", written, "steps", reached)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes by POSIX signals")
@pytest.mark.parametrize("save_freq", ["epoch", 3])
def test_killed_at_random_moments(tmp_path, save_freq):
    """A whole backup under the final name, of the place that it says; at most an epoch or ``save_freq`` steps are lost."""
    code = f"import test_backup; test_backup.killed({str(tmp_path / 'backup')!r}, {save_freq!r}, 25)"
    path = os.pathsep.join([str(pathlib.Path(__file__).parent), *[entry for entry in sys.path if entry]])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    assert words[:2] == ["whole", "25"] and int(words[-3]) > 0  # so many runs came to a backup


def test_checkpoint_every_steps(tmp_path):
    written = []
    model = Model()
    model.save_weights = lambda path, overwrite: written.append((os.path.basename(path), model.steps))
    fit(model, ModelCheckpoint(tmp_path / "{epoch}-{batch}.weights.h5", save_weights_only=True, save_freq=5))
    assert written == [("2-1.weights.h5", 5), ("3-2.weights.h5", 10)]
