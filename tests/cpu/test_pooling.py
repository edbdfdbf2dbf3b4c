"""Pooling against numpy: padding, clipped windows, 1 to 3 axes, channels that do not fill a vector, NaN."""
import numpy as np
import pytest
from lowered import close, lowered, same

from graphnet.backends.cpu.simd import LANES
from graphnet.ops.pooling import AveragePool, AveragePoolGrad, MaxPool, MaxPoolGrad

CASES = [  # size, strides, padding, shape
    ((2, 2), (2, 2), "valid", (2, 8, 8, LANES)),
    ((3, 3), (2, 2), "same", (2, 7, 8, LANES + 1)),
    ((3, 2), (1, 3), "same", (1, 5, 11, 2 * LANES - 1)),
    ((3, 3), (3, 3), "valid", (3, 10, 9, 1)),
    ((5,), (1,), "same", (2, 3, 3)),
    ((2,), (2,), "valid", (3, 7, 4 * LANES)),
    ((2, 3, 2), (2, 1, 2), "same", (2, 5, 4, 6, 3)),
    ((1, 1), (2, 2), "valid", (1, 5, 5, 17)),
    ((7, 7), (1, 1), "valid", (2, 7, 7, 64)),
]


def data(shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("size, strides, padding, shape", CASES)
@pytest.mark.parametrize("layout, to", [("dense", "dense"), ("padded", "padded"), ("reversed", "dense"), ("dense", "reversed")])
def test_pools(size, strides, padding, shape, layout, to):
    x = data(shape)
    most, mean = MaxPool(size, strides, padding), AveragePool(size, strides, padding)
    same(lowered(most, x, layout=layout, to=to), most.reference(x))
    close(lowered(mean, x, layout=layout, to=to), mean.reference(x.astype("float64")))


@pytest.mark.parametrize("size, strides, padding, shape", [*CASES, ((2, 2), (2, 2), "same", (17, 6, 4, 3)),
                                                           ((3, 3), (2, 2), "valid", (2, 8, 9, 5 * LANES + 1))])
@pytest.mark.parametrize("layout, to", [("dense", "dense"), ("padded", "padded"), ("reversed", "dense"), ("dense", "reversed")])
def test_gradients(size, strides, padding, shape, layout, to):
    """Whole numbers, so that many are equal, and sums exact."""
    x = np.round(data(shape))
    y = MaxPool(size, strides, padding).reference(x)
    g = np.round(8 * data(y.shape))
    most, mean = MaxPoolGrad(size, strides, padding), AveragePoolGrad(shape[1:-1], size, strides, padding)
    same(lowered(most, x, y, g, layout=layout, to=to), most.reference(x, y, g))
    close(lowered(mean, g, layout=layout, to=to), mean.reference(g.astype("float64")))


def test_the_first_of_equals_and_the_first_nan_get_it():
    x = np.ones((1, 4, 4, LANES + 1), "float32")
    x[0, 1, 0], x[0, 1, 1] = np.nan, np.nan
    g = data((1, 2, 2, LANES + 1))
    op = MaxPoolGrad()
    found = lowered(op, x, MaxPool().reference(x), g)
    same(found, op.reference(x, MaxPool().reference(x), g))
    np.testing.assert_array_equal(found[0, 1, 0], g[0, 0, 0])
    np.testing.assert_array_equal(found[0, 0, 2], g[0, 0, 1])
    assert np.count_nonzero(found) == g.size


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_special_values(special):
    x = data((1, 6, 6, LANES + 2))
    x[0, ::2, 1::3, ::2] = special
    most, mean = MaxPool((2, 2), (2, 2), "same"), AveragePool((3, 3), (1, 1), "same")
    same(lowered(most, x), most.reference(x))
    with np.errstate(invalid="ignore"):
        close(lowered(mean, x), mean.reference(x.astype("float64")))


def test_nan_in_any_place_of_the_window():
    for place in range(4):
        x = np.ones((1, 2, 2, 3), "float32")
        x[0, place // 2, place % 2, 1] = np.nan
        same(lowered(MaxPool(), x), MaxPool().reference(x))


def test_declines():
    assert lowered(MaxPool(), data((2, 4, 4, 3)).astype("float64")) is None
    assert lowered(MaxPool(), np.ones((0, 4, 4, 3), "float32")) is None
