"""Softmax and its logarithm against float64: any axis, layouts, masks, NaN and infinity."""
import numpy as np
import pytest
from lowered import close, lowered

from graphnet.backends.cpu.simd import LANES
from graphnet.ops.scaling import LogSoftmax, Softmax, SoftmaxGrad

LAYOUTS = [("dense", "dense"), ("padded", "padded"), ("reversed", "dense"), ("dense", "reversed"), ("reversed", "padded")]
OPS = (Softmax, LogSoftmax)


def data(shape, scale=3):
    return (scale * np.random.default_rng(0).standard_normal(shape)).astype("float32")


def check(op, x, **layouts):
    close(lowered(op, x, **layouts), op.reference(x.astype("float64")))


@pytest.mark.parametrize("kind", OPS)
@pytest.mark.parametrize("layout, to", LAYOUTS)
def test_every_axis(kind, layout, to):
    for n in (1, 2, LANES - 1, LANES, LANES + 1, 4 * LANES + 3, 131):
        for axis in range(3):
            shape = [3, 2, LANES + 1]
            shape[axis] = n
            check(kind(axis), data(shape), layout=layout, to=to)


@pytest.mark.parametrize("kind", OPS)
def test_each_element_is_good(kind):
    x = data((7, 1000), 8)
    found, wanted = lowered(kind(1), x), kind(1).reference(x.astype("float64"))
    wanted = np.where(np.abs(wanted) < 1e-35, 0, wanted)
    np.testing.assert_allclose(found, wanted, 5e-6, 1e-35)  # x - max alone is rounded by 2e-6 where it is about -60


@pytest.mark.parametrize("kind", OPS)
def test_long_and_short(kind):
    for shape, axis in (((50_000,), 0), ((5, 3000), 1), ((3000, 5), 0), ((1,), 0), ((4, 1), 1), ((1, 1, 1), 2)):
        check(kind(axis), data(shape))


@pytest.mark.parametrize("kind", OPS)
@pytest.mark.parametrize("axis", (0, 1))
def test_special_values(kind, axis):
    x = data((40, 41))
    x[3] = -np.inf
    x[5, 7] = np.nan
    x[9, 11], x[13, 15], x[:, 20] = np.inf, -np.inf, -1e9
    x[21, :30] = -1e9
    check(kind(axis), x)
    check(kind(axis), data((9, 9), 1e30))


def test_declines():
    assert lowered(Softmax(0), np.ones(3)) is None
    assert lowered(Softmax(1), np.ones((3, 0), "float32")) is None


@pytest.mark.parametrize("n", [1, 5, LANES, LANES + 1, 131, 5000])
def test_the_way_back(n):
    for shape, axis in (((3, n), 1), ((n, 3), 0), ((2, n, 3), 1), ((2, 3, n), 1)):
        g, x = np.random.default_rng(n).standard_normal((2, *shape))
        y = Softmax(axis).reference(x)
        op = SoftmaxGrad(axis)
        for layout, to in (("dense", "dense"), ("padded", "reversed")):
            found = lowered(op, g.astype("float32"), y.astype("float32"), layout=layout, to=to)
            close(found, op.reference(g, y), 1e-5, 1e-6)
