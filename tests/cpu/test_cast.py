"""float32 to int32: whole parts, bounds, NaN as the least number, odd extents, guard values around."""
import lowered
import numpy as np
import pytest

from graphnet.backends.cpu.kernels.cast import lower_cast
from graphnet.backends.cpu.simd import LANES
from graphnet.graph import Spec
from graphnet.ops.elementwise import Cast


@pytest.mark.parametrize("size", [1, LANES - 1, LANES, LANES + 1, 4096, 4099])
def test_whole_parts(size):
    x = np.random.default_rng(size).uniform(-1e6, 1e6, size).astype("float32")
    got, = lowered.run(lambda i, o, b: lower_cast(Cast("int32"), i, o, b), [x], [Spec(x.shape, "int32")])
    np.testing.assert_array_equal(got, x.astype("int32"))


def test_what_no_integer_stands_for():
    x = np.array([np.nan, np.inf, -np.inf, 3e9, -0.5], "float32")
    got, = lowered.run(lambda i, o, b: lower_cast(Cast("int32"), i, o, b), [x], [Spec(x.shape, "int32")])
    assert got.tolist() == [-2**31, 2**31 - 1, -2**31, 2**31 - 1, 0]
