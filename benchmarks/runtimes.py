"""A contender of `compare.py`: one runtime with one network, that answers on its standard output what it is asked.

python runtimes.py RUNTIME FOLDER NETWORK, where FOLDER has what `prepare.py` made of the network.
"""
import importlib
import json
import os
import pathlib
import statistics
import sys
import time

import networks
import numpy as np
from contenders import PINNED, forget_peak, pin, resident, say

DROPPED = 0.02  # seconds of a turn that do not count: threads of others fall asleep, caches fill


# ---- the runtimes: modules to import first, and path of the network's files -> function of arrays that gives arrays

def graphnet(path):
    from graphnet.models import load_model
    model = load_model(f"{path}.keras")

    def call(xs):
        y = model(xs if len(xs) > 1 else xs[0])
        return y if isinstance(y, (list, tuple)) else [y]
    return call


def onnxruntime(path):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = PINNED
    session = onnxruntime.InferenceSession(f"{path}.onnx", options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    return lambda xs: session.run(None, dict(zip(names, xs, strict=True)))


def openvino(path):
    import openvino
    core, made = openvino.Core(), {}
    options = {"INFERENCE_NUM_THREADS": PINNED, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}

    def call(xs):
        shapes = tuple(x.shape for x in xs)
        request = made.get(shapes)
        if request is None:  # for known shapes, which is its fastest way
            model = core.read_model(f"{path}.onnx")
            model.reshape({given.get_any_name(): shape for given, shape in zip(model.inputs, shapes, strict=True)})
            request = made[shapes] = core.compile_model(model, "CPU", options).create_infer_request()
        return list(request.infer(dict(enumerate(xs)), share_inputs=True, share_outputs=True).values())
    return call


def keras_model(path):
    import keras
    return keras.models.load_model(f"{path}.keras", compile=False)


def leaves(y):
    return y if isinstance(y, (list, tuple)) else [y]


def jax(path):
    import jax
    model = keras_model(path)
    state = [[v.value for v in variables] for variables in (model.trainable_variables, model.non_trainable_variables)]
    run = jax.jit(lambda state, xs: model.stateless_call(*state, xs if len(xs) > 1 else xs[0], training=False)[0])
    return lambda xs: [np.asarray(y) for y in leaves(run(state, xs))]


def tensorflow(path):
    import tensorflow
    model = keras_model(path)
    run = tensorflow.function(lambda *xs: model(list(xs) if len(xs) > 1 else xs[0], training=False))
    return lambda xs: [y.numpy() for y in leaves(run(*map(tensorflow.constant, xs)))]


def torch(path):
    import torch
    torch.set_num_threads(PINNED)
    model = keras_model(path)

    def call(xs):
        given = [torch.from_numpy(x) for x in xs]
        with torch.inference_mode():
            return [y.numpy() for y in leaves(model(given if len(given) > 1 else given[0], training=False))]
    return call


def torch_compile(path):
    import torch
    torch.set_num_threads(PINNED)
    model, made = keras_model(path), {}

    def run(*xs):
        return tuple(leaves(model(list(xs) if len(xs) > 1 else xs[0], training=False)))

    class Whole(torch.nn.Module):
        """The model as one function: of Keras's layers, each a module, it would compile many small pieces."""

        def forward(self, *xs):
            return run(*xs)

    def call(xs):
        given, shapes = tuple(map(torch.from_numpy, xs)), tuple(x.shape for x in xs)
        with torch.no_grad():
            if shapes not in made:
                made[shapes] = torch.compile(torch.export.export(Whole(), given, strict=False).module())
            return [y.numpy() for y in made[shapes](*given)]
    return call


RUNTIMES = {
    "graphnet": (graphnet, ["graphnet"]), "onnxruntime": (onnxruntime, ["onnxruntime"]), "openvino": (openvino, ["openvino"]),
    "jax": (jax, ["keras"]), "tensorflow": (tensorflow, ["keras"]), "torch": (torch, ["keras"]),
    "torch.compile": (torch_compile, ["keras"]),
}


# ---- what is asked

class Answers:
    """Each method answers one question."""

    def __init__(self, folder, network, call, before):
        self.network, self.call, self.before, self.inputs = network, call, before, {}
        self.path = pathlib.Path(folder) / network

    def given(self, batch):
        if batch not in self.inputs:
            self.inputs[batch] = networks.inputs(self.network, batch)
        return self.inputs[batch]

    def check(self, batch):
        """The largest difference from what Keras computed, as a part of its largest value."""
        with np.load(f"{self.path}.npz") as expected:
            found = self.call(self.given(batch))
            return max(float(np.abs(y - expected[name][:batch]).max() / np.abs(expected[name][:batch]).max())
                       for name, y in zip(expected.files, found, strict=True))

    def turn(self, batch, seconds):
        """Median milliseconds of the calls of one turn, without those that begin too early; several at once where short."""
        xs, taken, many = self.given(batch), [], 1
        begin = time.perf_counter()
        while (start := time.perf_counter()) < begin + seconds or not taken:
            for _ in range(many):
                self.call(xs)
            end = time.perf_counter()
            if start > begin + DROPPED:
                taken.append(1e3 * (end - start) / many)
            many = min(20, max(1, round(many * 1e-4 / (end - start))))
        return statistics.median(taken)

    def fresh(self, batch):
        """Milliseconds of the first call with this batch, and of a later one."""
        xs, taken = self.given(batch), []
        for _ in range(4):
            start = time.perf_counter()
            self.call(xs)
            taken.append(1e3 * (time.perf_counter() - start))
        return taken[0], min(taken[1:])

    def memory(self):
        """Megabytes by which the process grew since its imports, at most; megabytes in all, at most."""
        return None if self.before is None else (resident("VmHWM") - self.before, resident("VmHWM"))

    def peak(self):
        """GFLOP/s of multiply-adds on registers, of graphnet's process."""
        import kernels
        return max(kernels.peaks()[1] for _ in range(3))


def main():
    runtime, folder, network = sys.argv[1:]
    os.environ["KERAS_BACKEND"] = runtime.split(".")[0]
    pin()
    load, modules = RUNTIMES[runtime]
    for module in modules:
        importlib.import_module(module)
    forget_peak()
    before = resident()
    answers = Answers(folder, network, load(str(pathlib.Path(folder) / network)), before)
    answers.call(networks.inputs(network, 1))
    say(first=time.monotonic())
    for line in sys.stdin:
        asked = json.loads(line)
        say(answer=getattr(answers, asked.pop("ask"))(**asked))


if __name__ == "__main__":
    main()
