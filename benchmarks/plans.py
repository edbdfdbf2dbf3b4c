"""How long a plan takes: ResNet50 from Model to ready, a further batch size, and the first process with a warm kernel cache.

python benchmarks/plans.py [--fresh]   (--fresh: in this process, from nothing loaded, once)
"""
import statistics
import subprocess
import sys
import time

import numpy as np


def plan_once(model, batch):
    """Milliseconds until a call with this batch size could run: trace and passes (first time), lowering, packing, instance."""
    start = time.perf_counter()
    executable, _ = model.executable()
    runner = executable.runner(((batch, 224, 224, 3),))
    runner.give_back(runner.instance(runner.threads), runner.threads)
    return 1e3 * (time.perf_counter() - start)


def fresh():
    start = time.perf_counter()
    import graphnet
    imported = time.perf_counter()
    model = graphnet.applications.ResNet50(weights=None)
    built = time.perf_counter()
    from graphnet.backends.cpu import weights
    with weights.timed() as packing:
        took = plan_once(model, 1)
    stats = graphnet.kernel_stats()
    print(f"{1e3 * (imported - start):.0f} {1e3 * (built - imported):.0f} {took:.1f} {1e3 * packing.seconds:.1f} {stats['compiled']} {stats['loaded']}")


def main():
    import graphnet
    from graphnet.backends.cpu import weights
    model = graphnet.applications.ResNet50(weights=None)
    model.predict(np.zeros((1, 224, 224, 3), "float32"))  # the kernels are loaded
    compiled = graphnet.kernel_stats()["compiled"]
    rows = {"Model to ready, weights packed anew": [], "of that, weight packing": [], "Model to ready, without packing": [], "a further batch size": []}
    for _ in range(7):
        model.drop_executables()
        with weights.timed() as packing:
            whole = plan_once(model, 1)
        rows["Model to ready, weights packed anew"].append(whole)
        rows["of that, weight packing"].append(1e3 * packing.seconds)
        rows["Model to ready, without packing"].append(whole - 1e3 * packing.seconds)
        rows["a further batch size"].append(plan_once(model, 2))
    print(f"{'ResNet50, milliseconds':40}{'median':>9}{'least':>9}{'bound':>9}")
    bounds = {"Model to ready, without packing": 50, "a further batch size": 10}
    for name, times in rows.items():
        print(f"{name:40}{statistics.median(times):9.1f}{min(times):9.1f}{bounds.get(name, ''):>9}")
    print(f"functions compiled meanwhile: {graphnet.kernel_stats()['compiled'] - compiled}")
    command = [sys.executable, __file__, "--fresh"]
    runs = [list(map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())) for _ in range(5)]
    run = sorted(runs, key=lambda r: r[2])[len(runs) // 2]
    print(f"first process, warm cache: import {run[0]:.0f}, model built {run[1]:.0f}, plan ready {run[2] - run[3]:.0f} and packing {run[3]:.0f} "
          f"(bound 500), compiled {run[4]:.0f}, loaded {run[5]:.0f}")


if __name__ == "__main__":
    fresh() if "--fresh" in sys.argv else main()
