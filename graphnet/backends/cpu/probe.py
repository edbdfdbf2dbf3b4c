"""What this machine can do at most: multiply-adds on registers, and bytes copied. A speed is a share of these."""
import functools
import time

import numpy as np

from graphnet.backends.cpu.cache import kernel
from graphnet.backends.cpu.kernels.copy import copy
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES, fma, load, store, word

ROUNDS = 20_000
CHAINS = 12  # multiply-adds that do not wait for each other
COPIED = 48 << 20  # bytes, more than caches hold
RUNS = 12


@kernel
def peak(row, begin, end, scratch):
    """ROUNDS times CHAINS multiply-adds a task; word 0 is the address of vectors, of which each task has its own."""
    x = word(row, 0) + begin * 4 * (CHAINS + 1) * LANES
    z = load(x, 0)
    a, b, c, d, e, f = (load(x, LANES), load(x, 2 * LANES), load(x, 3 * LANES), load(x, 4 * LANES), load(x, 5 * LANES),
                        load(x, 6 * LANES))
    g, h, i, j, k, m = (load(x, 7 * LANES), load(x, 8 * LANES), load(x, 9 * LANES), load(x, 10 * LANES), load(x, 11 * LANES),
                        load(x, 12 * LANES))
    for _ in range((end - begin) * ROUNDS):
        a, b, c, d, e, f = fma(a, z, z), fma(b, z, z), fma(c, z, z), fma(d, z, z), fma(e, z, z), fma(f, z, z)
        g, h, i, j, k, m = fma(g, z, z), fma(h, z, z), fma(i, z, z), fma(j, z, z), fma(k, z, z), fma(m, z, z)
    store(x, LANES, a + b + c + d + e + f + g + h + i + j + k + m)


def _best(builder: Builder, threads: int, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> float:
    """The shortest time of some runs, in seconds."""
    instance = builder.finish().instantiate(threads)
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        instance.run(inputs, outputs)
        taken.append(time.perf_counter() - start)
    return min(taken)


def multiply_adds(threads: int) -> float:
    """Multiply-adds a second on registers, of so many threads together."""
    builder = Builder(threads=threads)
    x = builder.input((threads * (CHAINS + 1) * LANES,))
    builder.step(peak, [x], threads, 1e9, [x], [x])
    values = np.random.default_rng(0).random(x.shape, dtype="float32") / 2
    return threads * ROUNDS * CHAINS * LANES / _best(builder, threads, [values], [])


def bandwidth(threads: int) -> float:
    """Bytes a second read and written by a copy of an array that no cache holds."""
    builder = Builder(threads=threads)
    shape = (COPIED // 4096, 1024)
    x, y = builder.input(shape), builder.output(shape)
    copy(builder, x, y)
    source, to = np.ones(shape, "float32"), np.ones(shape, "float32")
    return 2 * COPIED / _best(builder, threads, [source], [to])


@functools.cache
def machine(threads: int) -> tuple[float, float]:
    """Multiply-adds and bytes a second, measured once in a process."""
    return multiply_adds(threads), bandwidth(threads)
