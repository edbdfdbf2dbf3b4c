"""Building long chains: time a layer for 100 and for 10,000 layers. python benchmarks/chains.py"""
import statistics
import time

import graphnet
from graphnet import layers


def build(length):
    """Seconds a layer to build and check a chain of so many layers."""
    start = time.perf_counter()
    x = inputs = graphnet.Input((4,))
    for _ in range(length):
        x = layers.Activation("relu")(x)
    graphnet.Model(inputs, x)
    return (time.perf_counter() - start) / length


def main():
    build(100)
    short = [build(100) for _ in range(20)]
    long = [build(10_000) for _ in range(3)]
    a, b = statistics.median(short), statistics.median(long)
    print(f"{'layers':>10}{'microseconds a layer':>24}")
    print(f"{100:10}{1e6 * a:24.1f}\n{10_000:10}{1e6 * b:24.1f}\nratio {b / a:.2f} (bound 2)")


if __name__ == "__main__":
    main()
