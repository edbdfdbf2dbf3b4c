"""Import time of graphnet in a fresh process, its files in the page cache. python benchmarks/import_time.py"""
import statistics
import subprocess
import sys

CODE = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def main():
    print(f"{'import, seconds':20}{'median':>9}{'least':>9}")
    for module in ("numpy", "numba", "networkx", "h5py", "graphnet"):
        times = [float(subprocess.run([sys.executable, "-c", CODE.format(module)], capture_output=True, text=True, check=True).stdout) for _ in range(7)][1:]
        print(f"{module:20}{statistics.median(times):9.3f}{min(times):9.3f}")
    print("bound: graphnet under 0.5")


if __name__ == "__main__":
    main()
