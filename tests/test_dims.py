"""Unknown extents: one form for equal expressions, and bounds on what a few operations can make of them."""
import pytest

import graphnet
from graphnet import layers, ops
from graphnet.dims import LONGEST, Dim, evaluate, maximum, sole_symbol
from graphnet.errors import ShapeError


def halved(extent, times):
    for _ in range(times):
        extent = (extent - 2) // 2 + 1
    return extent


def test_equal_expressions_are_equal_and_print_the_same():
    n = Dim.unknown("n")
    for one, other, shown in ((n + n - 3, 2 * n - 3, "2*n + -3"), ((n + 1) * (n - 1), n * n - 1, "n*n + -1"), ((4 * n + 1) // 2, n * 2, "2*n"),
                              (maximum(n, n // 2), maximum(n // 2, n), "max((n)//2, n)"), (halved(n, 2), (n // 2 - 2) // 2 + 1, "((n)//2)//2"),
                              (halved(n, 9), halved(halved(n, 4), 5), "(" * 9 + "n" + ")//2" * 9)):
        assert one == other and hash(one) == hash(other) and str(one) == str(other) == shown
    assert halved(n, 9) != halved(n, 10) != halved(Dim.unknown("n"), 10)


def test_an_atom_within_atoms_has_a_short_key():
    n = Dim.unknown("n")
    deep = halved(n, 40)
    (atom,), = deep.terms
    assert len(atom.key) < LONGEST + 100 and evaluate(deep, {sole_symbol(n): 1 << 50}) == 1 << 10
    x = graphnet.Input((None, None, 3))
    for _ in range(30):
        x = layers.MaxPooling2D()(x)
    assert x.shape == (None, None, None, 3)


def squared(extent):
    return extent * extent


def doubled(extent):
    return maximum(extent, extent // 2)


@pytest.mark.parametrize("step", [squared, doubled, lambda extent: extent * 1_000_000, lambda extent: (extent + Dim.unknown("m")) * (extent + 1)])
def test_an_extent_that_grows_without_bounds_is_refused(step):
    extent = Dim.unknown("n")
    with pytest.raises(ShapeError, match="at most 4096 parts"):
        for _ in range(40):
            extent = step(extent)


def test_known_extents_that_no_array_has_are_refused():
    x = graphnet.Input(batch_shape=(1 << 40, 2))
    with pytest.raises(ShapeError, match=r"below 2\*\*63; received an extent of 81 bits"):
        ops.kron(x, x)
