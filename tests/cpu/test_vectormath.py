"""Vector functions through their block kernels, against float64 numpy."""
import ctypes
import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from graphnet.backends.cpu.kernels.elementwise import block
from graphnet.backends.cpu.simd import LANES

CALL = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)
GUARD, CANARY = 37, np.float32(-12345)
TINY, MOST = float(np.finfo("f").tiny), float(np.finfo("f").max)
SPECIAL = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 1e-45, -1e-40, TINY, -TINY, 1e-30, MOST, -MOST, 0.5, -0.5, 2,
                    -2, 3, -3, 5.5, -5.5, 8.9, 9.1, 88, 88.72, 88.73, -87.5, -103, -104.5, 100, 1e30, -1e30, 1 + 2.0**-23,
                    1 - 2.0**-24, 2.0**23 + 1, -(2.0**23) - 1, 16777215], "f")


def run(formula: str, *arrays: np.ndarray, fields: dict[str, float] | None = None, fixed: Sequence[int] = ()) -> np.ndarray:
    """A block kernel on float32 arrays; operands in `fixed` are one value, as a vector of equal lanes with step 0."""
    made = block(formula)
    assert made is not None, formula
    n = max(len(a) for a in arrays)
    memory = np.full(n + 2 * GUARD, CANARY)
    slots, keep = [memory.ctypes.data + 4 * GUARD, 1], []
    for operand in made.operands:
        if isinstance(operand, str) or operand in fixed:
            value = (fields or {})[operand] if isinstance(operand, str) else arrays[operand][0]
            keep.append(np.full(LANES, value, "f"))
            slots += [keep[-1].ctypes.data, 0]
        else:
            keep.append(np.concatenate([np.full(GUARD, np.nan, "f"), arrays[operand], np.full(GUARD, np.nan, "f")]))
            slots += [keep[-1].ctypes.data + 4 * GUARD, 1]
    table, instruction = np.array(slots, np.int64), np.array([0, 0, 2, 4, 6, 8, 10], np.int64)
    CALL(made.kernel.address)(instruction.ctypes.data, 0, n, table.ctypes.data)
    assert (memory[:GUARD] == CANARY).all() and (memory[GUARD + n:] == CANARY).all(), "written outside of the block"
    return memory[GUARD:GUARD + n]


def check(found: np.ndarray, exact: Any, limit: float) -> None:
    """Relative error at most `limit` (of denormals absolute); infinities, NaN and the signs of zeros as they are due."""
    exact = np.asarray(exact, "d")
    with np.errstate(over="ignore"):
        single = exact.astype("f")
    finite = np.isfinite(single)
    np.testing.assert_array_equal(np.where(finite, 0, found), np.where(finite, 0, single))
    error = np.abs(found[finite] - exact[finite]) / np.maximum(np.abs(exact[finite]), TINY)
    assert error.size == 0 or error.max() <= limit, f"relative error {error.max():.2e}"
    zero = finite & (single == 0) & (found == 0)
    np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(single[zero]))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


UNARY: dict[str, Callable[[np.ndarray], Any]] = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "tanh": np.tanh, "sigmoid": _sigmoid,
    "softplus": lambda x: np.logaddexp(0, x), "erf": np.vectorize(math.erf, otypes=[float]), "sinh": np.sinh, "cosh": np.cosh,
    "arctan": np.arctan, "arcsin": np.arcsin, "arccos": np.arccos, "arcsinh": np.arcsinh, "arccosh": np.arccosh,
    "arctanh": np.arctanh, "rsqrt": lambda x: 1 / np.sqrt(x), "reciprocal": lambda x: 1 / x, "sqrt": np.sqrt,
    "negative": np.negative, "absolute": np.abs, "sign": np.sign, "floor": np.floor, "ceil": np.ceil, "rounded": np.rint,
    "isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite, "logical_not": np.logical_not,
}
BINARY: dict[str, Callable[[np.ndarray, np.ndarray], Any]] = {
    "less": np.less, "less_equal": np.less_equal, "greater": np.greater, "greater_equal": np.greater_equal, "equal": np.equal,
    "not_equal": np.not_equal, "logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor,
    "arctan2": np.arctan2, "pow": np.power,
}


def wide(seed: int = 0) -> np.ndarray:
    """Special values, then all magnitudes, then the middle of the range."""
    r = np.random.default_rng(seed)
    return np.concatenate([SPECIAL, r.choice([-1, 1], 4000) * 10 ** r.uniform(-40, 38, 4000), r.uniform(-100, 100, 4000),
                           r.uniform(-4, 4, 4000), r.uniform(0.5, 1.5, 2000)]).astype("f")


def pairs() -> tuple[np.ndarray, np.ndarray]:
    """All pairs of special values, then pairs of numbers of one size, then whole ones."""
    r = np.random.default_rng(1)
    x, y = (v.ravel() for v in np.meshgrid(SPECIAL, SPECIAL))
    more = r.normal(size=(2, 4000)) * 3
    return np.concatenate([x, more[0], np.rint(more[0])]).astype("f"), np.concatenate([y, more[1], np.rint(more[1])]).astype(
        "f"
    )


@pytest.mark.parametrize("name", UNARY)
def test_functions(name: str) -> None:
    x = wide()
    with np.errstate(all="ignore"):
        check(run(f"{name}({{0}})", x), UNARY[name](x.astype("d")), 4e-7)


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_angles(name: str) -> None:
    r = np.random.default_rng(2)
    x = np.concatenate([SPECIAL[~(np.abs(SPECIAL) > 1e6)], r.uniform(-1e6, 1e6, 4000), r.uniform(-10, 10, 4000)]).astype("f")
    check(run(f"{name}({{0}})", x), getattr(np, name)(x.astype("d")), 4e-7)
    assert np.isnan(run(f"{name}({{0}})", np.array([np.inf, -np.inf], "f"))).all()
    if name != "tan":
        x = r.uniform(-1e9, 1e9, 4000).astype("f")
        assert np.abs(run(f"{name}({{0}})", x) - getattr(np, name)(x.astype("d"))).max() < 1e-6


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two(name: str) -> None:
    x, y = pairs()
    with np.errstate(all="ignore"):
        check(run(f"{name}({{0}}, {{1}})", x, y), BINARY[name](x.astype("d"), y.astype("d")), 4e-7)


def test_pow() -> None:
    r = np.random.default_rng(3)
    for x, y in ((10 ** r.uniform(-38, 38, 4000), r.uniform(-3, 3, 4000)), (r.uniform(0.2, 3, 4000), r.uniform(-80, 80, 4000)),
                 (-r.uniform(0.2, 3, 4000), np.rint(r.uniform(-80, 80, 4000))),
                 (r.uniform(1 - 1e-4, 1 + 1e-4, 4000), r.uniform(-8e5, 8e5, 4000))):
        x, y = x.astype("f"), y.astype("f")
        with np.errstate(all="ignore"):
            check(run("pow({0}, {1})", x, y), x.astype("d") ** y.astype("d"), 4e-7)


@pytest.mark.parametrize(("name", "function"), [("modulo", np.mod), ("floor_divide", np.floor_divide)])
def test_quotients(name: str, function: Any) -> None:
    r = np.random.default_rng(4)
    x, y = pairs()
    x = np.concatenate([x, r.choice([-1, 1], 4000) * 10 ** r.uniform(-38, 38, 4000)]).astype("f")
    y = np.concatenate([y, 10 ** r.uniform(-38, 38, 4000)]).astype("f")
    with np.errstate(all="ignore"):
        check(run(f"{name}({{0}}, {{1}})", x, y), function(x, y), 0 if name == "modulo" else 2e-7)


@pytest.mark.parametrize(("name", "function"), [("larger", np.maximum), ("smaller", np.minimum)])
def test_extremes_keep_nan(name: str, function: Any) -> None:
    x, y = pairs()
    np.testing.assert_array_equal(run(f"{name}({{0}}, {{1}})", x, y), function(x, y))


@pytest.mark.parametrize("n", [0, 1, LANES - 1, LANES, LANES + 1, 2 * LANES + 3, 101])
def test_extents_and_steps(n: int) -> None:
    r = np.random.default_rng(n)
    x, y, c = r.normal(size=n).astype("f"), r.normal(size=n).astype("f"), (r.normal(size=n) > 0).astype("f")
    np.testing.assert_array_equal(run("where({0}, {1}, {2})", c, x, y), np.where(c != 0, x, y))
    np.testing.assert_array_equal(run("{0} - {1}", x, y), x - y)
    np.testing.assert_array_equal(run("at_most(at_least({0}, low), high)", x, fields={"low": -0.5, "high": 0.25}),
                                  np.clip(x, np.float32(-0.5), np.float32(0.25)))
    if n:
        np.testing.assert_array_equal(run("{0} * {1}", x, y[:1], fixed=[1]), x * y[0])
        np.testing.assert_array_equal(run("{0} * {1}", x[:1], y, fixed=[0]), x[0] * y)


def test_formulas() -> None:
    x = np.linspace(-3, 3, 50, dtype="f")
    check(run("-{0} * 0.5 + 1", x), 1 - 0.5 * x.astype("d"), 1e-6)
    assert block("zeta({0})") is None and block("{0} ** {1}") is None
    assert block("{0} + {1}") is block("{0} + {1}")


PROGRAM = """
import sys; sys.path.insert(0, {folder!r})
import hashlib, numpy as np
from test_vectormath import run, wide, pairs
from graphnet.backends.cpu.cache import kernel_stats
from graphnet.backends.cpu.simd import LANES
digest = hashlib.sha256()
for name in ("exp", "tanh", "log1p", "erf", "sin", "negative", "sqrt"):
    digest.update(run(name + "({{0}})", wide()).tobytes())
for name in ("pow", "modulo", "less"):
    digest.update(run(name + "({{0}}, {{1}})", *pairs()).tobytes())
digest.update(run("{{0}} + {{1}}", *pairs()).tobytes())
print(LANES, digest.hexdigest(), kernel_stats()["compiled"])
"""


def _process(environment: dict[str, str]) -> list[str]:
    program = PROGRAM.format(folder=os.path.dirname(__file__))
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_second_process_loads_the_same_functions(tmp_path: Any) -> None:
    environment = {"GRAPHNET_CACHE_DIR": str(tmp_path)}
    first, second = _process(environment), _process(environment)
    assert int(first[2]) == 11 and second[2] == "0"
    assert first[:2] == second[:2]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64") or LANES < 8, reason="needs AVX2")
def test_avx2_gives_the_same_bytes(tmp_path: Any) -> None:
    features = "+avx,+avx2,+fma,+sse2,+sse4.1,+sse4.2,+ssse3,+sse3,+sse,+bmi,+bmi2,+popcnt,+cmov,+fxsr"
    environment = {"GRAPHNET_CACHE_DIR": str(tmp_path)}
    narrow = _process({**environment, "NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": features})
    assert narrow[0] == "8" and narrow[1] == _process(environment)[1]
