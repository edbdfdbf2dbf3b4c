"""Whole numbers and booleans through their kernel: equal bytes to numpy's, for all dtypes, odd sizes, broadcasts, layouts."""
import importlib

import numpy as np
import pytest
from lowered import lowered, same

from graphnet import ops
from graphnet.backends.cpu.kernels.integers import OPERATIONS
from graphnet.compiler import Executable
from graphnet.dims import Dim
from graphnet.graph import Spec
from graphnet.ops import elementwise as e
from graphnet.tracing import placeholder, trace_function

importlib.import_module("graphnet.backends.cpu.driver")

DTYPES = ["bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
PAIRS = [kind for kind in OPERATIONS if kind not in (e.Cast, e.Where, e.LogicalNot)]


def drawn(dtype, shape, salt=0):
    """Numbers of all sizes, small ones and zeros among them."""
    rng = np.random.default_rng([salt, len(dtype), *shape])
    if dtype == "bool":
        return rng.random(shape) < 0.5
    info = np.iinfo(dtype)
    wide = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    return np.where(rng.random(shape) < 0.5, wide, rng.integers(0, 4, shape).astype(dtype))


@pytest.mark.parametrize("kind", PAIRS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("dtype", DTYPES)
def test_two_operands(kind, dtype):
    logical = kind.__name__.startswith("Logical")
    if logical != (dtype == "bool") and (logical or kind in (e.Subtract, e.FloorDivide, e.Mod)):
        return  # numpy has none of these
    for shapes in (((7,), (7,)), ((3, 41), ()), ((5, 1, 9), (4, 1)), ((1031,), (1,))):
        a, b = (drawn(dtype, s, i) for i, s in enumerate(shapes))
        found = lowered(kind(), a, b)
        if dtype == "uint64" and kind not in (e.Add, e.Subtract, e.Multiply, e.Equal, e.NotEqual):
            assert found is None, "the sign of words of 64 bits shows"
            continue
        if found is None:  # small booleans and bytes may be for no kernel
            assert dtype == "bool" and kind in (e.Minimum, e.Maximum), (kind, dtype)
            continue
        with np.errstate(all="ignore"):
            same(found, kind().reference(a, b))


@pytest.mark.parametrize("layout", ["dense", "padded", "reversed"])
def test_layouts(layout):
    a, b = drawn("int64", (5, 7)), drawn("int64", (5, 7), 1)
    same(lowered(e.Add(), a, b, layout=layout, to="padded"), a + b)
    same(lowered(e.Less(), a, b, layout=layout), a < b)


def test_choice_and_negation():
    for dtype in ("int64", "int32", "uint64"):
        a, b = drawn(dtype, (3, 17)), drawn(dtype, (17,), 1)
        truth = drawn("bool", (3, 1))
        same(lowered(e.Where(), truth, a, b), np.where(truth, a, b))
    truth = drawn("bool", (5, 7))
    same(lowered(e.LogicalNot(), truth), ~truth)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("to", [*DTYPES, "float32"])
def test_casts(dtype, to):
    x = drawn(dtype, (7, 83))
    found = lowered(e.Cast(to), x)
    if found is not None:
        same(found, x.astype(to))
    assert found is not None or (dtype == "uint64" and to == "float32")


def test_casts_of_floats():
    x = np.random.default_rng(0).normal(0, 1e6, (5, 77)).astype("float32")
    same(lowered(e.Cast("int64"), x), x.astype("int64"))
    edges = np.array([np.nan, np.inf, -np.inf, 2e19, -2e19, 9.2e18, -0.5, 0.5], "float32")
    with np.errstate(all="ignore"):
        same(lowered(e.Cast("int64"), edges), edges.astype("int64"))


@pytest.mark.parametrize("labels", ["int32", "int64", "float32"])
def test_an_accuracy_runs_in_kernels_alone(labels):
    def accuracy(y_true, y_pred):
        hits = ops.equal(ops.cast(ops.argmax(y_pred, -1), labels), y_true)
        return ops.mean(ops.cast(hits, "float32"))
    batch = Dim.unknown("batch")
    graph, _ = trace_function(accuracy, [placeholder(Spec((batch,), labels)), placeholder(Spec((batch, 10)))])
    run = Executable(graph)
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.integers(0, 10, 33).astype(labels), rng.random((33, 10), "float32")
    np.testing.assert_allclose(run([y_true, y_pred])[0], (y_pred.argmax(-1) == y_true).mean(), rtol=1e-6)
    assert not run.runner(((33,), (33, 10))).plan.python_steps
