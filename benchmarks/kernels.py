"""What share of the processor's multiply-add peak the contraction kernels reach, through real plans.

python benchmarks/kernels.py

The peak is measured in the same run, before and after, by a loop of multiply-adds on registers. Figures are medians of 30 runs of
the contraction's own steps (a padded convolution may have a step before it that copies the input into a buffer with a halo; in
a model its producer writes there, and there is no such step), of a plan of one step the whole call. They count the multiply-adds of
a direct sum: convolutions by Winograd come out above the peak.
"""
import statistics
import time

import numpy as np

from graphnet.backends.cpu import driver  # it imports all kernel files, which register their lowerings
from graphnet.backends.cpu.lowering import lowering_of
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.probe import multiply_adds
from graphnet.graph import Spec
from graphnet.ops.convolution import Conv, DepthwiseConv
from graphnet.ops.linalg import MatMul

RUNS = 30

def figure(instance, inputs, outputs, work):
    """GFLOP/s of a plan's steps that do not copy."""
    taken = []
    for _ in range(RUNS):
        if len(instance.plan.steps) > 1:
            steps = zip(instance.plan.steps, instance.times(inputs, outputs), strict=True)
            taken.append(sum(seconds for step, seconds in steps if step.name != "copy_strided"))
        else:
            start = time.perf_counter()
            instance.run(inputs, outputs)
            taken.append(time.perf_counter() - start)
    return 2e-9 * work / statistics.median(taken)


def peaks():
    """GFLOP/s of multiply-adds on registers, of one thread and of two."""
    return [2e-9 * multiply_adds(threads) for threads in (1, 2)]


def contraction(op, x_shape, w_shape, threads):
    """GFLOP/s of an op with constant weights."""
    rng = np.random.default_rng(0)
    x, w = rng.random(x_shape, dtype="float32"), rng.random(w_shape, dtype="float32") - np.float32(0.5)
    y_shape = op.infer(Spec(x_shape, "float32"), Spec(w_shape, "float32")).shape
    builder = Builder(threads=threads)
    given = [builder.input(x_shape), builder.constant(w)]
    result = builder.output(y_shape)
    assert lowering_of(op)(op, given, [result], builder) is not False
    instance = builder.finish().instantiate(threads)
    y = np.zeros(y_shape, "float32")
    instance.run([x], [y])
    sums = w.size // w_shape[-1] if not isinstance(op, DepthwiseConv) else int(np.prod(w_shape[:-2]))
    return figure(instance, [x], [y], y.size * sums)


SAME = Conv((1, 1), "same", (1, 1))
SHAPES = [
    ("matmul 1024 x 1024 x 1024", MatMul(), (1024, 1024), (1024, 1024)),
    ("3x3, 56 x 56, 64 -> 64", SAME, (1, 56, 56, 64), (3, 3, 64, 64)),
    ("3x3, 14 x 14, 256 -> 256", SAME, (1, 14, 14, 256), (3, 3, 256, 256)),
    ("3x3, 7 x 7, 512 -> 512", SAME, (1, 7, 7, 512), (3, 3, 512, 512)),
    ("3x3, 224 x 224, 64 -> 64", SAME, (1, 224, 224, 64), (3, 3, 64, 64)),
    ("1x1, 56 x 56, 256 -> 64", SAME, (1, 56, 56, 256), (1, 1, 256, 64)),
    ("7x7 stride 2, 224 x 224, 3 -> 64", Conv((2, 2), "same", (1, 1)), (1, 224, 224, 3), (7, 7, 3, 64)),
    ("3x3, 7 x 7, 512 -> 512, batch 32", SAME, (32, 7, 7, 512), (3, 3, 512, 512)),
    ("3x3, 2 x 2, 256 -> 256, batch 32", SAME, (32, 2, 2, 256), (3, 3, 256, 256)),
    ("dense 1024 -> 1024, batch 1", MatMul(), (1, 1024), (1024, 1024)),
    ("dense 1024 -> 1024, batch 32", MatMul(), (32, 1024), (1024, 1024)),
    ("dense 784 -> 64, batch 1", MatMul(), (1, 784), (784, 64)),
    ("dense 64 -> 10, batch 32", MatMul(), (32, 64), (64, 10)),
    ("depthwise 3x3, 56 x 56, 128", DepthwiseConv((1, 1), "same"), (1, 56, 56, 128), (3, 3, 128, 1)),
    ("depthwise 3x3, 7 x 7, 1024", DepthwiseConv((1, 1), "same"), (1, 7, 7, 1024), (3, 3, 1024, 1)),
]


def main():
    assert driver.lower_graph
    before = peaks()
    rows = [(name, *[contraction(op, x, w, threads) for threads in (1, 2)]) for name, op, x, w in SHAPES]
    after = peaks()
    one, two = (max(pair) for pair in zip(before, after, strict=True))
    print(f"peak, GFLOP/s: one thread {before[0]:.0f} before, {after[0]:.0f} after; two threads {before[1]:.0f}, {after[1]:.0f}")
    print(f"{'':36}{'one thread':>16}{'two threads':>18}")
    for name, a, b in rows:
        print(f"{name:36}{a:8.0f} {a / one:6.0%}{b:11.0f} {b / two:6.0%}")


if __name__ == "__main__":
    main()
