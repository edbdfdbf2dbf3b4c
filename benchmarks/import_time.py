"""What a process costs before its first result, its kernels kept and its files in the page cache.

python benchmarks/import_time.py
"""
import statistics
import subprocess
import sys

IMPORT = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
FIRST = """
import time
start = time.perf_counter()
import sys
import graphnet
import numpy as np

def resident():  # MB
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024

imported, before = time.perf_counter(), resident()
layers = graphnet.layers
model = graphnet.Sequential([graphnet.Input((784,)), layers.Dense(128, "relu"), layers.Dense(10, "softmax")])
model(np.zeros((1, 784), "float32"))
now, compiled = time.perf_counter(), graphnet.kernel_stats()["compiled"]
print(now - start, now - imported, resident() - before, compiled, int("numba" in sys.modules))
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def main():
    print(f"{'import, seconds':20}{'median':>9}{'least':>9}")
    for module in ("numpy", "llvmlite.binding", "h5py", "numba", "graphnet"):
        times = [run(IMPORT.format(module))[0] for _ in range(7)][1:]
        print(f"{module:20}{statistics.median(times):9.3f}{min(times):9.3f}")
    print("bound: graphnet under 0.3")
    total, call, memory, compiled, numba = (min(values) for values in zip(*[run(FIRST) for _ in range(7)][1:], strict=True))
    print(f"an MLP: first result after {total:.3f} s, {call:.3f} s after the import; it takes {memory:.1f} MB, "
          f"{compiled:.0f} compiled; numba {'is' if numba else 'is not'} imported")
    print("bounds: 0.45 s, 25 MB, 0 compiled")


if __name__ == "__main__":
    main()
