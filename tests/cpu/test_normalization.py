"""Normalization against float64: trailing, leading and scattered axes, layouts, large means, constant rows, NaN."""
import itertools

import numpy as np
import pytest
from lowered import close, lowered

from graphnet.backends.cpu.simd import LANES
from graphnet.ops.scaling import Normalize, NormalizeGrad

LAYOUTS = [("dense", "dense"), ("padded", "padded"), ("reversed", "dense"), ("dense", "reversed"), ("reversed", "padded")]


def data(shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def check(op, x, rtol=1e-6, **layouts):
    close(lowered(op, x, **layouts), op.reference(x.astype("float64")), rtol)


@pytest.mark.parametrize("layout, to", LAYOUTS)
def test_every_set_of_axes(layout, to):
    x = data((3, 2, 5, LANES + 1))
    for count in range(5):
        for axes in itertools.combinations(range(4), count):
            # of two close elements little more than the rounding of their mean is left
            check(Normalize(axes, 1e-3), x, 3e-6, layout=layout, to=to)
    check(Normalize((-1,), 1e-3), x)


def test_extents():
    for n in (1, 2, LANES - 1, LANES, LANES + 1, 2 * LANES, 3 * LANES, 4 * LANES + 3, 131, 5000):
        check(Normalize((1,), 1e-5), data((3, n)))
        check(Normalize((0,), 1e-5), data((n, 3)))


def test_groups_and_instances():
    check(Normalize((1, 3), 1e-3), data((2, 49, 4, 8)))
    check(Normalize((1, 2), 1e-3), data((2, 9, 11, 2 * LANES + 3)))


def test_large_mean():
    x = data((4, 300)) + np.float32(100)
    check(Normalize((1,), 1e-6), x, 1e-5)
    check(Normalize((0,), 1e-6), np.ascontiguousarray(x.T), 1e-5)


def test_constant_rows_are_zero():
    x = np.full((3, 64), 3.25, "float32")
    for axis in (0, 1):
        assert not lowered(Normalize((axis,), 1e-3), x).any()


@pytest.mark.parametrize("special", [np.nan, np.inf])
def test_special_values(special):
    x = data((40, 41))
    x[7, 9] = special
    for axis in (0, 1):
        check(Normalize((axis,), 1e-3), x)


def test_declines():
    assert lowered(Normalize((0,)), np.ones(3)) is None
    assert lowered(Normalize((0,)), np.ones((0, 3), "float32")) is None


@pytest.mark.parametrize("layout, to", LAYOUTS)
def test_the_way_back_over_every_set_of_axes(layout, to):
    g, x = np.random.default_rng(1).standard_normal((2, 3, 2, 5, LANES + 1)).astype("float32")
    for count in range(1, 5):
        for axes in itertools.combinations(range(4), count):
            op = NormalizeGrad(axes, 1e-2)
            close(lowered(op, g, x, layout=layout, to=to), op.reference(g.astype("float64"), x.astype("float64")), 1e-5, 1e-5)


@pytest.mark.parametrize("n", [1, LANES, LANES + 1, 4 * LANES + 3, 131, 5000])
def test_the_way_back_of_extents(n):
    for shape, axes in (((3, n), (1,)), ((n, 3), (0,)), ((2, n, 3), (1,))):
        g, x = np.random.default_rng(n).standard_normal((2, *shape)).astype("float32")
        op = NormalizeGrad(axes, 1e-3)
        close(lowered(op, g, x), op.reference(g.astype("float64"), x.astype("float64")), 1e-5, 1e-5)
