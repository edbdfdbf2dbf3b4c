"""What a training step costs, against Keras on each of its backends in the same run: time, and resident memory.

python benchmarks/training.py [--peers PYTHON] [--models mlp,autoencoder,...] [--seconds 20] [--fit]

PYTHON is that of an environment with `benchmarks/requirements.txt`; without it graphnet runs alone. Each contender is a process
of its own with two threads; they take turns of some tenths of a second, one at a time, and a turn's first fifth is dropped. The table
gives medians over all turns, and what the best peer takes divided by what graphnet takes.
"""
import argparse
import json
import math
import statistics
import sys
import time

import networks
import numpy as np
from contenders import Contender, resident, say

BATCH = 32
BACKENDS = ("jax", "torch", "tensorflow")
ENOUGH = {"mlp": 1.2, "autoencoder": 1.2, "triage": 1.2, "resnet": 1.0, "mobilenet": 1.2}


# ---- the models of `networks.py` with what it takes to train them: optimizer, losses, and data of (rng, rows)

def mlp(lib):
    model = networks.mlp(lib)
    model.compile(lib.optimizers.RMSprop(), lib.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model, lambda rng, n: (rng.random((n, 784), dtype="float32"), rng.integers(10, size=n))


def autoencoder(lib):
    model = networks.autoencoder(lib)
    model.compile("adam", "mse")

    def data(rng, n):
        x = rng.random((n, 28, 28, 1), dtype="float32")
        return x, x
    return model, data


def triage(lib):
    model = networks.triage(lib)
    model.compile(lib.optimizers.RMSprop(1e-3), loss_weights={"priority": 1.0, "department": 0.2}, loss={
        "priority": lib.losses.BinaryCrossentropy(from_logits=True),
        "department": lib.losses.CategoricalCrossentropy(from_logits=True)})

    def data(rng, n):
        texts = [rng.integers(10000, size=(n, length)).astype("float32") for length in (networks.TITLE, networks.BODY)]
        return ([*texts, rng.integers(2, size=(n, 12)).astype("float32")],
                [rng.random((n, 1), dtype="float32"), np.eye(4, dtype="float32")[rng.integers(4, size=n)]])
    return model, data


def resnet(lib):
    model = networks.resnet(lib)
    model.compile(lib.optimizers.RMSprop(1e-3), lib.losses.CategoricalCrossentropy(from_logits=True), metrics=["acc"])

    def data(rng, n):
        return rng.random((n, 32, 32, 3), dtype="float32"), np.eye(10, dtype="float32")[rng.integers(10, size=n)]
    return model, data


def mobilenet(lib):
    """Of 96 by 96 pixels."""
    model = lib.applications.MobileNetV2(input_shape=(96, 96, 3), weights=None, classes=10)
    model.compile("adam", lib.losses.SparseCategoricalCrossentropy())
    return model, lambda rng, n: (rng.random((n, 96, 96, 3), dtype="float32"), rng.integers(10, size=n))


MODELS = {f.__name__: f for f in (mlp, autoencoder, triage, resnet, mobilenet)}


# ---- a contender: a process that runs what it is told, line by line

def contend(library, name):
    """Answers ``turn`` with the milliseconds of the steps that it took, ``memory`` with megabytes, ``fit`` with seconds."""
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
    say(ready=True)
    for line in sys.stdin:
        asked = json.loads(line)
        word = asked["ask"]
        if word == "memory":
            answer = None if before is None else resident() - before
        elif word == "fit":
            many = data(np.random.default_rng(1), 60000)
            model.fit(*many, batch_size=64, epochs=1, verbose=0)
            start = time.perf_counter()
            model.fit(*many, batch_size=64, epochs=1, verbose=0)
            answer = time.perf_counter() - start
        else:
            answer = turn(model, x, y, asked["seconds"])
        say(answer=answer)


def turn(model, x, y, seconds):
    """Milliseconds of the steps of one turn, without those of its first fifth."""
    taken, begin = [], time.perf_counter()
    while (start := time.perf_counter()) < begin + seconds or not taken:
        model.train_on_batch(x, y)
        end = time.perf_counter()
        if start > begin + seconds / 5 or end > begin + seconds:
            taken.append(1e3 * (end - start))
    return taken


def contenders(peers, model):
    """By library, graphnet and the peers that run."""
    pythons = {"graphnet": sys.executable, **(dict.fromkeys(BACKENDS, peers) if peers else {})}
    found = {}
    for library, python in pythons.items():
        backend = {} if library == "graphnet" else {"KERAS_BACKEND": library}
        found[library] = Contender(python, __file__, "--contend", library, model, **backend)
    return {library: contender for library, contender in found.items() if contender.said is not None}


def measure(peers, model, seconds):
    """Medians of a step in milliseconds, and megabytes, by library."""
    running = contenders(peers, model)
    taken = {library: [] for library in running}
    length = 0.3 if model in ("mlp", "autoencoder", "triage", "resnet") else 2.0
    for _ in range(max(3, round(seconds / length / len(running)))):
        for library, contender in running.items():
            taken[library] += contender.ask("turn", seconds=length) or []
    result = {library: (statistics.median(taken[library]), c.ask("memory")) for library, c in running.items() if taken[library]}
    for contender in running.values():
        contender.end()
    return result


def fit(peers):
    """Seconds of an epoch of `fit` over 60,000 rows at batch 64, by library, in turn."""
    running = contenders(peers, "mlp")
    result = {library: contender.ask("fit") for library, contender in running.items()}
    for contender in running.values():
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
