"""Argmax and argmin (first of equal ones, first NaN), any and all."""
import numpy as np
import pytest
from lowered import lowered, same

from graphnet.backends.cpu.simd import LANES
from graphnet.ops.reduction import All_, Any_, Argmax, Argmin

rng = np.random.default_rng(0)
LAYOUTS = [("dense", "dense"), ("padded", "padded"), ("reversed", "dense"), ("dense", "reversed")]


@pytest.mark.parametrize("kind", [Argmax, Argmin])
@pytest.mark.parametrize("layout, to", LAYOUTS)
def test_positions(kind, layout, to):
    for n in (1, 2, LANES, LANES + 1, 5 * LANES + 3, 2100):
        x = rng.integers(0, max(2, n // 2), (3, n, 2)).astype("float32")
        for axis in range(3):
            op = kind(axis, axis == 1)
            same(lowered(op, x, layout=layout, to=to), op.reference(x))
        same(lowered(kind(1), x[..., 0]), kind(1).reference(x[..., 0]))


@pytest.mark.parametrize("kind", [Argmax, Argmin])
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_special_values(kind, special):
    x = rng.standard_normal((40, 70)).astype("float32")
    for at in (0, 17, 38):
        x[at, at] = x[at + 1, at] = x[at, at + 2] = special
    for axis in (0, 1):
        same(lowered(kind(axis), x), kind(axis).reference(x))


@pytest.mark.parametrize("kind", [Any_, All_])
@pytest.mark.parametrize("axes", [(), (0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_any_and_all(kind, axes):
    for share in (0.02, 0.5, 0.98):
        x = rng.random((3, 5, LANES + 1)) < share
        for keepdims in (False, True):
            op = kind(axes, keepdims)
            same(lowered(op, x, layout="padded"), op.reference(x))


def test_declines():
    assert lowered(Argmax(0), np.ones(3, "int32")) is None
    assert lowered(Any_((0, 2)), np.ones((2, 3, 4), bool)) is None
    assert lowered(Any_((0,)), np.ones((0, 4), bool)) is None
