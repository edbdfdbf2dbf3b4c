"""Gathering: numpy's rows, negative indices, every place and layout; an index out of range is reported."""
import numpy as np
import pytest
from lowered import lowered, same

from graphnet.backends.cpu.simd import LANES
from graphnet.errors import OutOfRangeError
from graphnet.ops.indexing import OneHot, Take, TakeAlongAxis

rng = np.random.default_rng(0)
LAYOUTS = [("dense", "dense"), ("padded", "padded"), ("reversed", "dense"), ("dense", "reversed")]


@pytest.mark.parametrize("layout, to", LAYOUTS)
@pytest.mark.parametrize("op", [Take(), TakeAlongAxis(), OneHot()], ids=lambda op: type(op).__name__)
def test_samples(op, layout, to):
    for sample, arrays in op.samples():
        if sample.reference(*arrays).size:
            same(lowered(sample, *arrays, layout=layout, to=to), sample.reference(*arrays))


@pytest.mark.parametrize("layout, to", LAYOUTS)
@pytest.mark.parametrize("run", [1, 3, LANES - 1, LANES, LANES + 1, 131])
@pytest.mark.parametrize("ids", ["int32", "int64"])
def test_embedding(ids, run, layout, to):
    table = rng.standard_normal((19, run)).astype("float32")
    indices = rng.integers(-19, 19, (4, 5)).astype(ids)
    same(lowered(Take(0), table, indices, layout=layout, to=to), table[indices])


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", "float64"])
@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("shape", [(), (7,), (2, 1, 3)])
def test_take_along_any_axis(dtype, axis, shape):
    x = rng.integers(0, 100, (3, 5, LANES + 1)).astype(dtype)
    indices = rng.integers(-x.shape[axis], x.shape[axis], shape).astype("int32")
    same(lowered(Take(axis), x, indices, to="padded"), np.take(x, indices, axis))


def test_many_indices():
    table = rng.standard_normal((1000, 24)).astype("float32")
    indices = rng.integers(0, 1000, (40, 51))
    same(lowered(Take(0), table, indices), table[indices])


@pytest.mark.parametrize("bad", [19, -20, 2**31 - 1, -2**31])
def test_out_of_range(bad):
    table = rng.standard_normal((19, 5)).astype("float32")
    indices = np.zeros((3, 4), "int32")
    indices[1, 2] = bad
    with pytest.raises(OutOfRangeError, match=r"tested.*position 6 .*\(19, 5\)"):
        lowered(Take(0), table, indices)
    with pytest.raises(OutOfRangeError, match=r"tested.*position 7 .*\(19, 5\)"):
        lowered(TakeAlongAxis(0), table, np.where(np.arange(10).reshape(2, 5) == 7, bad, 0).astype("int32"))


def test_one_hot():
    labels = np.array([[0, 4, 7], [-1, 2, 3]])
    for axis in (0, 1, 2, -1):
        op = OneHot(2 * LANES + 3, axis)
        same(lowered(op, labels), op.reference(labels))


def test_declines():
    table = np.ones((3, 2), "float32")
    assert lowered(Take(0), table, np.zeros(2, "uint8")) is None
    assert lowered(Take(0), table, np.zeros(0, "int32")) is None
    assert lowered(Take(0), np.ones((3, 0), "float32"), np.zeros(2, "int32")) is None
    assert lowered(OneHot(3, dtype="int32"), np.zeros(2, "int32")) is None
