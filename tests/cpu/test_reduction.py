"""Reductions against float64: every set of axes, layouts, odd extents, long sums, NaN and infinity."""
import itertools

import numpy as np
import pytest
from lowered import close, lowered, same

from graphnet.backends.cpu.kernels import reduction
from graphnet.backends.cpu.simd import LANES
from graphnet.ops.reduction import Max, Mean, Min, Prod, Sum

OPS = (Sum, Mean, Max, Min, Prod)
LAYOUTS = [("dense", "dense"), ("padded", "padded"), ("reversed", "dense"), ("dense", "reversed"), ("reversed", "padded")]


def data(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def check(op, x, **layouts):
    found, wanted = lowered(op, x, **layouts), op.reference(x.astype("float64"))
    if isinstance(op, Max | Min):
        same(found, wanted.astype("float32"))
    else:  # errors count against what was added up
        size = np.abs(x).sum() / max(wanted.size, 1) / (x.size / max(wanted.size, 1) if isinstance(op, Mean) else 1)
        close(found, wanted, 1e-5 if isinstance(op, Prod) else 1e-6, 1e-6 * float(size) if isinstance(op, Sum | Mean) else 0)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("layout, to", LAYOUTS)
def test_every_set_of_axes(op, layout, to):
    x = data((3, 2, 5, LANES + 1))
    x = np.copysign(np.exp(0.1 * x), x)  # products stay in range
    for count in range(1, 5):
        for axes in itertools.combinations(range(4), count):
            check(op(axes, len(axes) % 2 == 0), x, layout=layout, to=to)


@pytest.mark.parametrize("op", OPS)
def test_extents(op):
    for n in (1, 2, LANES - 1, LANES, LANES + 1, 4 * LANES, 4 * LANES + 3, 131):
        for shape in ((n,), (3, n), (n, 3), (n, n), (n, 4 * LANES), (n, 4 * LANES + 5)):
            for axis in range(len(shape)):
                check(op((axis,)), np.exp(0.1 * data(shape)))


@pytest.mark.parametrize("op", OPS)
def test_no_axes_and_no_dimensions(op):
    check(op(()), data((3, 5)))
    check(op(()), data(()))
    check(op((0, 1), True), data((1, 1)))
    check(op((1,)), data((5, 1, 3)))


def test_more_axes_than_there_are_loops():
    x = data((2, 3, 2, 3, 2, 3, 2, 3))
    assert lowered(Sum((0, 2, 4, 6)), x) is None
    check(Sum((1, 2, 4, 6)), x)


@pytest.mark.parametrize("shape, axes", [((1_000_003,), (0,)), ((200_003, 5), (0,)), ((3, 70_001), (1,)), ((2, 3001, 40), (1,)),
                                         ((40, 50, 60, 3), (0, 1, 2)), ((5, 3, 4096, 2), (0, 2))])
def test_long_sums(shape, axes):
    x = np.random.default_rng(0).random(shape, "float32")
    for op in (Sum(axes), Mean(axes)):
        close(lowered(op, x), op.reference(x.astype("float64")), 5e-7)
    for op in (Max(axes), Min(axes)):
        same(lowered(op, x), op.reference(x))


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("op", OPS)
def test_special_values(op, special):
    for at in (0, 3, LANES, 4 * LANES + 1, 70):
        x = np.ones((71, 71), "float32")
        x[5, at] = special
        for axes in ((0,), (1,), (0, 1)):
            same(lowered(op(axes), x), op(axes).reference(x))


def test_nan_beats_infinity():
    x = np.array([np.inf, np.nan, -np.inf, 1], "float32").repeat(20)
    for op in OPS:
        same(lowered(op((0,)), x), np.array(np.nan, "float32"))


def test_global_pooling_reads_a_halo_in_place():
    walk = reduction.loops((8, 7, 7, 64), (9 * 9 * 64, 9 * 64, 64, 1), (64, 0, 0, 1), (1, 2))
    assert walk == reduction.Loops(((8, 9 * 9 * 64, 64),), ((7, 9 * 64, 0), (7, 64, 0)), 64)


def test_declines():
    assert lowered(Sum((0,)), np.ones(3, "int32")) is None
    assert lowered(Sum((0,)), np.ones(3)) is None
    assert lowered(Sum((0,)), np.ones((0, 3), "float32")) is None
