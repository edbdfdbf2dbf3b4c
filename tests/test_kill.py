"""kill -9 at any moment of a real fit: the files of BackupAndRestore and ModelCheckpoint are whole, and little is lost.

A process without threads forks the runs, kills each at a random moment and lets the next one go on from the files. A run is
deterministic, so its weights after a number of steps are known by the log that all runs write together.
GRAPHNET_KILLS sets how many runs each test kills.
"""
import hashlib
import os
import pathlib
import random
import signal
import struct
import subprocess
import sys
import time

import pytest

STEPS = 6  # of an epoch
RECORD = struct.Struct("<q16s")
KINDS = {"backup": STEPS, "backup_of_steps": 4, "model": STEPS, "weights": STEPS}  # steps that may be lost


def records(folder: pathlib.Path) -> list[tuple[int, bytes]]:
    """What the runs logged: after each step, their number and a digest of weights and the optimizer's state."""
    path = folder / "log"
    return list(RECORD.iter_unpack(path.read_bytes())) if path.exists() else []


def digest(model) -> bytes:
    state = hashlib.md5()
    for variable in (*model.variables, *model.optimizer.variables):
        state.update(variable.numpy().tobytes())
    return state.digest()


def compiled():
    import graphnet

    graphnet.utils.set_random_seed(1)
    model = graphnet.Sequential([graphnet.Input((4,)), graphnet.layers.Dense(16, "relu"), graphnet.layers.Dropout(0.25),
                                 graphnet.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def fit(model, **options) -> None:
    import numpy as np

    x = np.random.default_rng(0).normal(size=(8 * STEPS, 4)).astype("float32")
    model.fit(x, x.sum(1, keepdims=True), batch_size=8, shuffle=False, verbose=0, **options)


def train(kind: str, folder: pathlib.Path, ready: int) -> None:
    """One run: goes on from the files of the last one, after it has seen that they are right."""
    import graphnet
    from graphnet import callbacks

    model = compiled()
    files = folder / "files"
    path, first = files / ("m.keras" if kind == "model" else "m.weights.h5"), 0
    if kind.startswith("backup"):
        keep = callbacks.BackupAndRestore(files, save_freq="epoch" if kind == "backup" else KINDS[kind],
                                          double_checkpoint=kind == "backup")
    else:
        keep = callbacks.ModelCheckpoint(path, save_weights_only=kind == "weights")
        if path.exists():
            if kind == "model":
                model = graphnet.saving.load_model(path)
            else:
                model.load_weights(path)
            first = int(model.optimizer.iterations) // STEPS
    log = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    class Log(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            os.write(log, RECORD.pack(int(model.optimizer.iterations), digest(model)))
            os.write(ready, b"r")

    class Check(callbacks.Callback):
        def on_train_begin(self, logs=None):
            known = records(folder)
            steps = int(model.optimizer.iterations)
            if steps:
                assert dict(known)[steps] == digest(model), (
                    f"the weights after {steps} steps are not those of the run that was killed"
                )
            lost = (known[-1][0] if known else 0) - steps
            assert lost <= KINDS[kind], f"{lost} steps are lost"
    fit(model, initial_epoch=first, epochs=10**6, callbacks=[Log(), keep, Check()])


def serve(kind: str, folder: pathlib.Path, kills: int) -> None:
    """Forks runs and kills them."""
    fit(compiled())  # loads the kernels, once for all runs
    moments = random.Random(kind)
    for _ in range(kills):
        receive, send = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(receive)
                train(kind, folder, send)
            except BaseException:
                import traceback
                traceback.print_exc()
            finally:
                os._exit(1)  # a run does not end by itself
        os.close(send)
        if moments.random() < 0.9:
            os.read(receive, 1)
        time.sleep(moments.uniform(0.0, 0.2))
        os.kill(child, signal.SIGKILL)
        os.close(receive)
        if os.waitpid(child, 0)[1] != signal.SIGKILL:
            sys.exit("a run ended by itself")
    print(len(records(folder)))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills runs that were forked, which this system does not do")
@pytest.mark.parametrize("kind", KINDS)
def test_runs_that_are_killed(kind, tmp_path):
    kills = int(os.environ.get("GRAPHNET_KILLS", "13"))
    (tmp_path / "files").mkdir()
    root = pathlib.Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, __file__, kind, str(tmp_path), str(kills)], env=environment, capture_output=True,
                          text=True, timeout=60 + 5 * kills, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > kills
    steps = [number for number, _ in records(tmp_path)]
    assert max(steps) > STEPS and all(later <= before + 1 for before, later in zip(steps, steps[1:], strict=False))
    if kind.startswith("backup"):
        # the next run removes what the last one left
        assert sum(name.startswith(".") for name in os.listdir(tmp_path / "files")) <= 1
    known = {"m.keras", "m.weights.h5", "latest.weights.h5", "previous.weights.h5", "training_metadata.json"}
    assert all(name in known or name.endswith(".pending") or name == "pending.weights.h5"
               for name in os.listdir(tmp_path / "files"))


if __name__ == "__main__":
    serve(sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]))
