"""A processor without AVX-512: kernels between guard pages, and any number of threads, where vectors have 8 elements.

The processes are told so by numba's switches and keep their kernels apart, so that they run the same on every x86-64.
"""
import os
import pathlib
import platform
import subprocess
import sys

import pytest
from test_threads import same_for_any_number

CPU = pathlib.Path(__file__).resolve().parent
FEATURES = "avx avx2 fma sse sse2 sse3 ssse3 sse4.1 sse4.2 bmi bmi2 popcnt cmov fxsr"
HASWELL = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ",".join(f"+{name}" for name in FEATURES.split())}


@pytest.fixture(scope="module")
def restricted(tmp_path_factory):
    """The environment, and all kernels compiled for it."""
    environment = {**HASWELL, "GRAPHNET_CACHE_DIR": str(tmp_path_factory.mktemp("kernels"))}
    run(environment, "-m", "graphnet", "warm")
    return environment


def run(environment, *arguments):
    done = subprocess.run([sys.executable, *map(str, arguments)], env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


x86 = pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="AVX2 is of x86-64 processors")


@x86
@pytest.mark.slow
def test_kernels_between_guard_pages(restricted):
    assert run(restricted, "-c", "from graphnet.backends.cpu.simd import LANES; print(LANES)") == "8\n"
    said = run({**restricted, "NUMBA_NUM_THREADS": "8"}, "-m", "pytest", "-p", "no:cacheprovider", CPU / "test_guard_pages.py")
    assert " passed" in said and " failed" not in said


@x86
@pytest.mark.slow
def test_any_number_of_threads_gives_the_same_bytes(restricted):
    same_for_any_number(**restricted)
