"""What a training step costs, against Keras on each of its backends in the same run: time, and resident memory.

python benchmarks/training.py [--peers PYTHON] [--models mlp,autoencoder,...] [--seconds 20] [--fit]

PYTHON is that of an environment with `benchmarks/requirements.txt`; without it graphnet runs alone. Each contender is a process
of its own with two threads; they take turns of some tenths of a second, one at a time, and a turn's first fifth is dropped. The table
gives medians over all turns, and what the best peer takes divided by what graphnet takes.
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np

BATCH = 32
BACKENDS = ("jax", "torch", "tensorflow")
ENOUGH = {"mlp": 1.2, "autoencoder": 1.2, "triage": 1.2, "resnet": 1.0, "mobilenet": 1.2}


# ---- the models, in either library

def mlp(lib):
    """The guide's MNIST model."""
    x = lib.Input((784,))
    h = lib.layers.Dense(64, activation="relu")(x)
    model = lib.Model(x, lib.layers.Dense(10)(lib.layers.Dense(64, activation="relu")(h)))
    model.compile(lib.optimizers.RMSprop(), lib.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model, lambda rng, n: (rng.random((n, 784), dtype="float32"), rng.integers(10, size=n))


def autoencoder(lib):
    """The guide's convolutional autoencoder."""
    layers = lib.layers
    image = x = lib.Input((28, 28, 1))
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, activation="relu")(x)
    x = layers.MaxPooling2D(3)(x)
    for filters in (32, 16):
        x = layers.Conv2D(filters, 3, activation="relu")(x)
    x = layers.Reshape((4, 4, 1))(layers.GlobalMaxPooling2D()(x))
    for filters in (16, 32):
        x = layers.Conv2DTranspose(filters, 3, activation="relu")(x)
    x = layers.Conv2DTranspose(16, 3, activation="relu")(layers.UpSampling2D(3)(x))
    model = lib.Model(image, layers.Conv2DTranspose(1, 3, activation="relu")(x))
    model.compile("adam", "mse")

    def data(rng, n):
        x = rng.random((n, 28, 28, 1), dtype="float32")
        return x, x
    return model, data


def triage(lib):
    """The guide's ticket triage: two texts and tags to a priority and a department."""
    layers = lib.layers
    title, body, tags = lib.Input((None,), name="title"), lib.Input((None,), name="body"), lib.Input((12,), name="tags")
    features = [layers.LSTM(128)(layers.Embedding(10000, 64)(title)), layers.LSTM(32)(layers.Embedding(10000, 64)(body)), tags]
    x = layers.concatenate(features)
    model = lib.Model([title, body, tags], [layers.Dense(1, name="priority")(x), layers.Dense(4, name="department")(x)])
    model.compile(lib.optimizers.RMSprop(1e-3), loss_weights={"priority": 1.0, "department": 0.2}, loss={
        "priority": lib.losses.BinaryCrossentropy(from_logits=True),
        "department": lib.losses.CategoricalCrossentropy(from_logits=True)})

    def data(rng, n):
        texts = [rng.integers(10000, size=(n, length)).astype("float32") for length in (10, 100)]
        return ([*texts, rng.integers(2, size=(n, 12)).astype("float32")],
                [rng.random((n, 1), dtype="float32"), np.eye(4, dtype="float32")[rng.integers(4, size=n)]])
    return model, data


def resnet(lib):
    """The guide's toy ResNet."""
    layers = lib.layers

    def conv(x, filters, **kwargs):
        return layers.Conv2D(filters, 3, activation="relu", **kwargs)(x)
    image = lib.Input((32, 32, 3))
    x = layers.MaxPooling2D(3)(conv(conv(image, 32), 64))
    for _ in range(2):
        x = layers.add([conv(conv(x, 64, padding="same"), 64, padding="same"), x])
    x = layers.Dense(256, activation="relu")(layers.GlobalAveragePooling2D()(conv(x, 64)))
    model = lib.Model(image, layers.Dense(10)(layers.Dropout(0.5)(x)))
    model.compile(lib.optimizers.RMSprop(1e-3), lib.losses.CategoricalCrossentropy(from_logits=True), metrics=["acc"])
    return model, lambda rng, n: (rng.random((n, 32, 32, 3), dtype="float32"), np.eye(10, dtype="float32")[rng.integers(10, size=n)])


def mobilenet(lib):
    """MobileNetV2 on 96 by 96 pixels."""
    model = lib.applications.MobileNetV2(input_shape=(96, 96, 3), weights=None, classes=10)
    model.compile("adam", lib.losses.SparseCategoricalCrossentropy())
    return model, lambda rng, n: (rng.random((n, 96, 96, 3), dtype="float32"), rng.integers(10, size=n))


MODELS = {f.__name__: f for f in (mlp, autoencoder, triage, resnet, mobilenet)}


# ---- a contender: a process that runs what it is told, line by line

def resident():
    """Megabytes of this process in memory; None where the system does not tell."""
    status = pathlib.Path("/proc/self/status")
    if not status.exists():
        return None
    return int(status.read_text().split("VmRSS:")[1].split()[0]) / 1024


def contend(library, name):
    """Answers ``seconds`` with the milliseconds of the steps that it then took, ``memory`` with megabytes, ``fit`` with seconds."""
    if library == "graphnet":
        import graphnet as lib
    else:
        import keras as lib
        if library == "torch":
            import torch
            torch.set_num_threads(2)
    before = resident()
    model, data = MODELS[name](lib)
    x, y = data(np.random.default_rng(0), BATCH)
    for _ in range(3):
        model.train_on_batch(x, y)
    print("ready", flush=True)
    for line in sys.stdin:
        word = line.strip()
        if word == "memory":
            answer = None if before is None else resident() - before
        elif word == "fit":
            many = data(np.random.default_rng(1), 60000)
            model.fit(*many, batch_size=64, epochs=1, verbose=0)
            start = time.perf_counter()
            model.fit(*many, batch_size=64, epochs=1, verbose=0)
            answer = time.perf_counter() - start
        else:
            answer = turn(model, x, y, float(word))
        print(json.dumps(answer), flush=True)


def turn(model, x, y, seconds):
    """Milliseconds of the steps of one turn, without those of its first fifth."""
    taken, begin = [], time.perf_counter()
    while (start := time.perf_counter()) < begin + seconds or not taken:
        model.train_on_batch(x, y)
        end = time.perf_counter()
        if start > begin + seconds / 5 or end > begin + seconds:
            taken.append(1e3 * (end - start))
    return taken


class Contender:
    """One such process."""

    def __init__(self, python, library, model):
        threads = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "GRAPHNET_THREADS"), "2")
        environment = {**os.environ, **threads, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
        if library != "graphnet":
            environment["KERAS_BACKEND"] = library
        self.library, self.taken = library, []
        self.process = subprocess.Popen([python, __file__, "--contend", library, model], env=environment, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        while self.process.poll() is None and self.process.stdout.readline().strip() != "ready":
            pass

    def ask(self, word):
        """What it answers; None where it has ended."""
        if self.process.poll() is not None:
            return None
        print(word, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def contenders(peers, model):
    """graphnet, and the peers that run."""
    found = [Contender(sys.executable, "graphnet", model)]
    found += [Contender(peers, backend, model) for backend in BACKENDS] if peers else []
    return [c for c in found if c.process.poll() is None]


def measure(peers, model, seconds):
    """Medians of a step in milliseconds, and megabytes, by library."""
    running = contenders(peers, model)
    length = 0.3 if model in ("mlp", "autoencoder", "triage", "resnet") else 2.0
    for _ in range(max(3, round(seconds / length / len(running)))):
        for contender in running:
            contender.taken += contender.ask(length) or []
    result = {c.library: (statistics.median(c.taken), c.ask("memory")) for c in running if c.taken}
    for contender in running:
        contender.end()
    return result


def fit(peers):
    """Seconds of an epoch of `fit` over 60,000 rows at batch 64, by library, in turn."""
    running = contenders(peers, "mlp")
    result = {c.library: c.ask("fit") for c in running}
    for contender in running:
        contender.end()
    return {library: seconds for library, seconds in result.items() if seconds}


def best(times):
    """The best peer's time over graphnet's."""
    others = [t for library, t in times.items() if library != "graphnet"]
    return min(others) / times["graphnet"] if others else math.nan


def row(name, values, form, ratio, bound=""):
    cells = "".join(f"{format(values[lib], form) if values.get(lib) is not None else '-':>12}" for lib in ("graphnet", *BACKENDS))
    print(f"{name:24}{cells}{ratio:>8.2f}{bound:>8}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON", help="Python with keras, jax, torch and tensorflow-cpu")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--seconds", type=float, default=20.0, help="for each model, shared by all")
    parser.add_argument("--fit", action="store_true", help="an epoch of fit as well")
    chosen = parser.parse_args()
    head = "".join(f"{lib:>12}" for lib in ("graphnet", *BACKENDS))
    print(f"{f'a step of {BATCH}, ms':24}{head}{'ratio':>8}{'bound':>8}")
    ratios, memory = [], {}
    for name in chosen.models.split(","):
        found = measure(chosen.peers, name, chosen.seconds)
        times = {lib: t for lib, (t, _) in found.items()}
        ratios.append(best(times))
        memory[name] = {lib: m for lib, (_, m) in found.items()}
        row(name, times, ".2f", ratios[-1], f"{ENOUGH[name]}")
    print(f"{'geometric mean':72}{math.exp(statistics.fmean(map(math.log, ratios))):>8.2f}{'2.0':>8}")
    for name, megabytes in memory.items():
        known = {lib: m for lib, m in megabytes.items() if m}
        row(f"{name}: memory grew, MB", known, ".0f", best(known) if known else math.nan, "0.91" if name == "mobilenet" else "")
    if chosen.fit:
        times = fit(chosen.peers)
        row("fit, an epoch, s", times, ".2f", best(times))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--contend"]:
        contend(*sys.argv[2:])
    else:
        main()
