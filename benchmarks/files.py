"""What model files cost: saving and loading ResNet50 beside a copy of the same bytes, and from the file to the first result.

python benchmarks/files.py [--peers PYTHON] [--work DIR] [--runs 5]

PYTHON is that of an environment with `benchmarks/requirements.txt`. Medians of some runs in turn; a copy is one with a sync, as a save is.
"First result" is a process of its own: its imports, `load_model`, and `model(x)` of one picture.
"""
import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

BACKENDS = ("jax", "torch", "tensorflow")
FIRST = """
import sys, time
start = time.perf_counter()
import numpy as np
import {library} as lib
model = lib.models.load_model({path!r})
loaded = time.perf_counter()
lib.ops.convert_to_numpy(model(np.zeros((1, 224, 224, 3), "float32")))
print(time.perf_counter() - start)
"""


def taken(function):
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def copy_with_sync(source, to):
    """The bytes of a file as another file, which is on the disk afterwards."""
    data = source.read_bytes()
    with open(to, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def copy_by_system(source, to):
    """The same without a way through this process's memory, where the system can do that."""
    shutil.copyfile(source, to)
    with open(to, "rb") as file:
        os.fsync(file.fileno())


def first_result(python, library, path, backend=None):
    """Seconds in a process of its own; None where it does not run."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"} | ({"KERAS_BACKEND": backend} if backend else {})
    done = subprocess.run([python, "-c", FIRST.format(library=library, path=str(path))], env=environment, capture_output=True, text=True)
    return float(done.stdout.split()[-1]) if done.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON")
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    import graphnet
    work = chosen.work or pathlib.Path(tempfile.mkdtemp())
    path = work / "resnet50.keras"
    model = graphnet.applications.ResNet50(weights=None)
    model.save(path)
    for name in ("resnet50.h5", "resnet50"):
        model.save(work / name)
    tasks = {"copy with a sync": lambda: copy_with_sync(path, work / "copy"),
             "copy by the system, with a sync": lambda: copy_by_system(path, work / "copied"),
             "save": lambda: model.save(work / "again.keras"), "load": lambda: graphnet.models.load_model(path),
             "save, .h5": lambda: model.save(work / "again.h5"), "load, .h5": lambda: graphnet.models.load_model(work / "resnet50.h5"),
             "save, saved model": lambda: model.save(work / "again"), "load, saved model": lambda: graphnet.models.load_model(work / "resnet50")}
    measured = {name: [] for name in tasks}
    for _ in range(chosen.runs):
        for name, task in tasks.items():
            measured[name].append(taken(task))
    medians = {name: statistics.median(times) for name, times in measured.items()}
    print(f"ResNet50, {path.stat().st_size / 2**20:.0f} MB; seconds, medians of {chosen.runs}")
    for name, seconds in medians.items():
        print(f"{name:32}{seconds:8.3f}{seconds / medians['copy with a sync']:8.2f} of the copy")
    contenders = [("graphnet", sys.executable, "graphnet", None)]
    contenders += [(backend, chosen.peers, "keras", backend) for backend in BACKENDS] if chosen.peers else []
    firsts = {name: [] for name, *_ in contenders}
    for _ in range(chosen.runs):
        for name, python, library, backend in contenders:
            seconds = first_result(python, library, path, backend)
            if seconds is not None:
                firsts[name].append(seconds)
    for name, times in firsts.items():
        print(f"{'first result, ' + name:32}{statistics.median(times) if times else np.nan:8.3f}")


if __name__ == "__main__":
    main()
