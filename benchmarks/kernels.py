"""What share of the processor's multiply-add peak the contraction kernels reach, through real plans; matrix products against numpy.

python benchmarks/kernels.py [products]

The peak is measured in the same run, before and after, by a loop of multiply-adds on registers. Figures are medians of 30 runs of
the contraction's own steps (a padded convolution may have a step before it that copies the input into a buffer with a halo; in
a model its producer writes there, and there is no such step), of a plan of one step the whole call. They count the multiply-adds of
a direct sum: convolutions by Winograd come out above the peak.

The second table, which `products` asks for alone, sets matrix products beside numpy's in the same process, in turns: medians,
and the time of numpy over ours. Small ones are a plan of many steps, as they are in a network, and as many calls of numpy.
Both have as many threads as OPENBLAS_NUM_THREADS says, or else as there are processors. numpy's look for work for some time behind
a product; here for so short a time that they are off the processors when it is our turn (OPENBLAS_THREAD_TIMEOUT=4).
"""
import os
import statistics
import sys
import time

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
import numpy as np  # noqa: E402

from graphnet.backends.cpu import driver  # it imports all kernel files, which register their lowerings
from graphnet.backends.cpu.lowering import lowering_of
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.probe import multiply_adds
from graphnet.graph import Spec
from graphnet.ops.convolution import Conv, DepthwiseConv
from graphnet.ops.linalg import MatMul

RUNS = 30
MANY = 32  # products of a plan where one takes some microseconds


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


DENSE = [(1, 64, 10), (1, 256, 10), (1, 784, 64), (1, 1280, 1000), (1, 2048, 1000), (1, 4096, 4096), (2, 1280, 1000), (4, 784, 64),
         (8, 64, 10), (8, 1280, 1000), (8, 4096, 4096), (32, 784, 64), (32, 4096, 1000), (196, 256, 1024), (3136, 64, 64),
         (10_000, 16, 4), (17, 1031, 13), (512, 512, 512), (1024, 1024, 1024)]
COMPUTED = [  # what both factors of a product with computed weights are, and which of them lie transposed
    *[(name, (256, 512), (512, 384), swap) for name, swap in zip(
        ("a b", "a^T b", "a b^T", "a^T b^T"), ((False, False), (True, False), (False, True), (True, True)), strict=True)],
    ("scores, 4 x 8 heads, 128 tokens", (4, 8, 128, 32), (4, 8, 32, 128), (False, True)),
    ("their values", (4, 8, 128, 128), (4, 8, 128, 32), (False, False)),
    ("scores, 12 heads, 197 tokens", (1, 12, 197, 64), (1, 12, 64, 197), (False, True)),
    ("one query, 1024 keys", (1, 8, 1, 64), (1, 8, 64, 1024), (False, True)),
]


def against_numpy(left, right, swap, constant, threads):
    """Seconds of a product: by a plan, and by numpy."""
    rng = np.random.default_rng(0)
    a, b = rng.random(left, dtype="float32"), rng.random(right, dtype="float32") - np.float32(0.5)
    given = [np.ascontiguousarray(np.swapaxes(v, -1, -2)) if turned else v for v, turned in zip((a, b), swap, strict=True)]
    seen = [np.swapaxes(v, -1, -2) if turned else v for v, turned in zip(given, swap, strict=True)]
    work = a.size * right[-1]
    count = MANY if work < 1_000_000 else 1
    builder = Builder(threads=threads)
    x = builder.input(given[0].shape)
    w = builder.constant(given[1]) if constant else builder.input(given[1].shape)
    y = builder.output((*left[:-1], right[-1]))
    for _ in range(count):
        assert lowering_of(MatMul())(MatMul(*swap), [x, w], [y], builder) is not False
    instance, made = builder.finish().instantiate(threads), np.zeros(y.shape, "float32")
    arrays, taken = given[:1] if constant else given, ([], [])
    for _ in range(RUNS + 1):  # the first is not counted
        start = time.perf_counter()
        instance.run(arrays, [made])
        between = time.perf_counter()
        for _ in range(count):
            theirs = seen[0] @ seen[1]
        end = time.perf_counter()
        taken[0].append((between - start) / count)
        taken[1].append((end - between) / count)
    assert np.abs(made - theirs).max() <= 1e-4 * np.abs(theirs).max()
    return [statistics.median(times[1:]) for times in taken]


def products():
    """The table of matrix products, and the least ratio."""
    threads = int(os.environ.get("OPENBLAS_NUM_THREADS") or len(os.sched_getaffinity(0)))
    cases = [(f"{m} x {k} x {n}", (m, k), (k, n), (False, False), True) for m, k, n in DENSE]
    cases += [(name, *shapes, False) for name, *shapes in COMPUTED]
    print(f"{f'products, {threads} threads, microseconds':36}{'graphnet':>12}{'numpy':>12}{'ratio':>8}{'GFLOP/s':>10}{'weights GB/s':>14}")
    least = []
    for name, left, right, swap, constant in cases:
        ours, theirs = against_numpy(left, right, swap, constant, threads)
        least.append((theirs / ours, name))
        work, weights = 2e-9 * np.prod(left) * right[-1], 4e-9 * np.prod(right)
        print(f"{name:36}{1e6 * ours:12.2f}{1e6 * theirs:12.2f}{theirs / ours:8.2f}{work / ours:10.0f}{weights / ours:14.1f}", flush=True)
    print("the least ratio is {:.2f}: {}".format(*min(least)))


def main():
    assert driver.lower_graph
    if sys.argv[1:] != ["products"]:
        peak_shares()
    products()


def peak_shares():
    """The table of shares of the peak."""
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
