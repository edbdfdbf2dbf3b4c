"""Kernels of batch statistics against float64: odd extents, any axes, layouts, splits, numbers far from 0, one output alone."""
import importlib

import numpy as np
import pytest
from lowered import close, run

from graphnet.backends.cpu.kernels.moments import PIECE, WIDE
from graphnet.backends.cpu.lowering import lowering_of
from graphnet.backends.cpu.simd import LANES
from graphnet.graph import Spec
from graphnet.ops.moments import CentredSums, Moments, Standardize

importlib.import_module("graphnet.backends.cpu.driver")


def kernels(op, arrays, layout="dense", to="dense", used=(0, 1)):
    specs = op.infer(*[Spec(a.shape, a.dtype.name) for a in arrays])

    def lower(inputs, outputs, builder):
        given = dict(zip(used, outputs, strict=True))
        done = lowering_of(op)(op, inputs, [given.get(i) for i in range(2)], builder)
        assert all(step.kernel is not None for step in builder.steps), "a step in Python"
        return done
    return run(lower, arrays, [specs[i] for i in used], layout, to)


def check(op, arrays, rtol=3e-6, **options):
    found = kernels(op, arrays, **options)
    assert found is not None, f"declined {op}"
    exact = op.reference(*[a.astype("float64") for a in arrays])
    for i, y in zip(options.get("used", (0, 1)), found, strict=True):
        close(y, exact[i], rtol)


def drawn(*shapes, mean=0.0):
    rng = np.random.default_rng([len(shapes), *shapes[0]])
    return [(rng.standard_normal(s) + mean).astype("float32") for s in shapes]


@pytest.mark.parametrize("columns", [1, LANES - 1, LANES, LANES + 1, WIDE - 1, WIDE, 2 * WIDE + 5])
@pytest.mark.parametrize("rows", [1, 2, PIECE - 1, PIECE, PIECE + 1, 18 * PIECE + 3])
def test_extents(rows, columns):
    x, g, middle = drawn((rows, columns), (rows, columns), (columns,))
    check(Moments((0,)), [x])
    check(CentredSums((0,), False), [g, x, middle])


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("layout,to", [("dense", "dense"), ("padded", "padded"), ("reversed", "dense")])
def test_axes(axes, keepdims, layout, to):
    extents = (5, 7, LANES + 3)
    x, g, middle = drawn(extents, extents, tuple([1 if i in axes else n for i, n in enumerate(extents)]))
    check(Moments(axes, keepdims), [x], layout=layout, to=to)
    check(CentredSums(axes, keepdims), [g, x, middle], layout=layout, to=to)


def test_far_from_zero():
    x, = drawn((4, 9, 9, 20), mean=3000.0)
    mean, variance = kernels(Moments((0, 1, 2)), [x])
    exact = x.astype("float64")
    np.testing.assert_allclose(mean, exact.mean((0, 1, 2)), rtol=2e-7)
    np.testing.assert_allclose(variance, exact.var((0, 1, 2)), rtol=1e-6)


def test_as_exact_as_numpy_in_many_rows():
    x, = drawn((32, 24, 24, 24))
    mean, variance = kernels(Moments((0, 1, 2)), [x])
    exact = x.astype("float64")
    np.testing.assert_allclose(mean, exact.mean((0, 1, 2)), atol=1e-7)
    np.testing.assert_allclose(variance, exact.var((0, 1, 2)), rtol=1e-6)


@pytest.mark.parametrize("used", [(0,), (1,)])
def test_one_output_alone(used):
    x, g, middle = drawn((40, 19), (40, 19), (19,))
    check(Moments((0,)), [x], used=used)
    check(CentredSums((0,), False), [g, x, middle], used=used)


def test_nan_shows_in_its_column_alone():
    x, = drawn((300, 21))
    x[177, 5] = np.nan
    for y in kernels(Moments((0,)), [x]):
        np.testing.assert_array_equal(np.isnan(y), np.arange(21) == 5)


def test_what_is_declined():
    x, = drawn((4, 5))
    assert kernels(Moments((0,)), [x.astype("float64")]) is None
    assert kernels(CentredSums((0,), False), [x, x, x]) is None  # a middle that differs along what is summed


def test_standardize_is_one_tape():
    for op, arrays in Standardize.samples():
        def lower(inputs, outputs, builder, op=op):
            done = lowering_of(op)(op, inputs, outputs, builder)
            assert len(builder.steps) == 1
            return done
        close(run(lower, arrays, [Spec(arrays[0].shape)])[0], op.reference(*[a.astype("float64") for a in arrays]), 1e-6)
