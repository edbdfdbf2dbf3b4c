"""What one call costs: model(x) for the MNIST MLP at batch 1, arithmetic included; ONNX Runtime beside it where it is installed.

python benchmarks/calls.py [mlp.onnx]
"""
import pathlib
import statistics
import sys
import time

import numpy as np

import graphnet
from graphnet import layers


def mlp():
    """The guide's MNIST model."""
    x = graphnet.Input((784,))
    y = layers.Dense(64, activation="relu")(x)
    y = layers.Dense(64, activation="relu")(y)
    return graphnet.Model(x, layers.Dense(10)(y))


def blocks(contenders, rounds=12, seconds=0.08):
    """Median microseconds of each, in alternating blocks: idle threads of two libraries disturb each other in single turns."""
    times = [[] for _ in contenders]
    for _ in range(rounds):
        for call, kept in zip(contenders, times, strict=True):
            begin = time.perf_counter()
            while (start := time.perf_counter()) < begin + seconds:
                for _ in range(10):
                    call()
                if start > begin + 0.02 or not kept:
                    kept.append((time.perf_counter() - start) / 10)
    return [1e6 * statistics.median(kept) for kept in times]


def main():
    model = mlp()
    print(f"{'MNIST MLP, microseconds':32}{'model(x)':>10}{'predict':>10}{'onnxruntime':>13}")
    session = None
    if len(sys.argv) > 1:
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        session = onnxruntime.InferenceSession(pathlib.Path(sys.argv[1]), options, providers=["CPUExecutionProvider"])
    for batch in (1, 32):
        x = np.random.default_rng(0).random((batch, 784), dtype="float32")
        contenders = [lambda x=x: model(x), lambda x=x: model.predict(x, verbose=0)]
        if session is not None:
            feed = {session.get_inputs()[0].name: x}
            contenders.append(lambda feed=feed: session.run(None, feed))
        for call in contenders:
            call()
        medians = blocks(contenders)
        print(f"{f'batch {batch}':32}{medians[0]:10.2f}{medians[1]:10.2f}" + (f"{medians[2]:13.2f}" if session else f"{'-':>13}"))
    print("bound: model(x) at batch 1 under 5")


if __name__ == "__main__":
    main()
