"""Convolutions of few columns, as dot products: any number of positions, side by side or apart, with what may follow."""
import math

import numpy as np
import pytest
from lowered import close, run

from graphnet.backends.cpu.kernels import convolution, matmul
from graphnet.backends.cpu.kernels.dots import POSITIONS, few
from graphnet.backends.cpu.lowering import lowering_of
from graphnet.backends.cpu.simd import LANES
from graphnet.backends.cpu.tiles import WIDTH
from graphnet.graph import Spec
from graphnet.ops.convolution import Conv, ConvTranspose
from graphnet.ops.elementwise import Add, Clip, Exp
from graphnet.ops.linalg import MatMul
from graphnet.passes.fuse import Epilogue

assert lowering_of(Conv()) is convolution.lower_conv and lowering_of(MatMul()) is matmul.lower_matmul
RELU = Clip(0.0, math.inf)
PROGRAMS = {  # what follows, and how many operands it has: a value by column, and one of the output's shape
    "nothing": (None, 0), "bias": (((Add(), (0, 1)), (RELU, (2,))), 1),
    "residual": (((Add(), (0, 1)), (RELU, (3,)), (Add(), (4, 2)), (Clip(0.5, 2.0), (5,))), 2),
    "tape": (((Add(), (0, 1)), (Exp(), (2,))), 1),
}


MANY = max(n for n in range(1, WIDTH + 1) if few(n, 9 * (2 * LANES + 3), 2 * LANES + 3))  # columns that are few


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("to", ["dense", "padded"])
@pytest.mark.parametrize("follows", PROGRAMS)
@pytest.mark.parametrize("kind, columns", [(Conv, 1), (Conv, 2), (Conv, MANY), (ConvTranspose, 1)])
def test_sums(kind, columns, follows, to):
    channels = 2 * LANES + 3
    program, count = PROGRAMS[follows]
    for width in (3, 4, 6, 9, WIDTH + 7, POSITIONS // 2 + 3):
        x, w = random(2, 4, width, channels), random(3, 3, channels, columns, seed=1) / 20
        w = w if kind is Conv else w.swapaxes(2, 3)
        op, names = kind((1, 1), "valid"), []
        shape = op.infer(*[Spec(v.shape, "float32") for v in (x, w)]).shape
        extras = [random(columns, seed=2), random(*shape, seed=3)][:count]

        def lower(inputs, outputs, builder, op=op, extras=extras, names=names):
            follow = Epilogue(op, 2, program) if program else None
            done = lowering_of(op)(op, inputs, outputs, builder, follow)
            names[:] = [step.name for step in builder.steps]
            return done
        found = run(lower, [x, w, *extras], [Spec(shape, "float32")], to=to)
        assert "dots" in names
        meant = Epilogue(op, 2, program) if program else op
        close(found[0], meant.reference(*[v.astype("float64") for v in (x, w, *extras)]), 1e-5)


@pytest.mark.parametrize("left, right", [
    ((1, 70), (70, 203)), ((3, 1, 70), (3, 70, 41)), ((2, 4, 1, LANES), (2, 4, LANES, 5)), ((2, 4, 1, 33), (2, 1, 33, 9)),
    ((2, 1, 1, 33), (1, 4, 33, 9)), ((1, 1, 70), (3, 70, 4)), ((5, 1, 70), (70, 31))])
@pytest.mark.parametrize("layouts", [{}, {"layout": "padded", "to": "padded"}])
def test_one_row_with_what_lies_transposed(left, right, layouts):
    a, b, names = random(*left), random(*right, seed=1), []
    op = MatMul(transpose_b=True)
    shape = MatMul().infer(*[Spec(v.shape, "float32") for v in (a, b)]).shape

    def lower(inputs, outputs, builder):
        done = lowering_of(op)(op, inputs, outputs, builder)
        names[:] = [step.name for step in builder.steps]
        return done
    found = run(lower, [a, np.ascontiguousarray(b.swapaxes(-1, -2))], [Spec(shape, "float32")], **layouts)
    assert names == ["dots"]
    close(found[0], a.astype("float64") @ b, 1e-5)


@pytest.mark.parametrize("rows, k, columns", [(1000, LANES, 1), (POSITIONS + 1, LANES, 2), (77, 4 * LANES, 3), (5, 2 * LANES + 1, 2)])
def test_products_of_few_columns(rows, k, columns):
    a, b, names = random(rows, k), random(k, columns, seed=1), []

    def lower(inputs, outputs, builder):
        done = lowering_of(MatMul())(MatMul(), [inputs[0], builder.constant(b)], outputs, builder)
        names[:] = [step.name for step in builder.steps]
        return done
    found = run(lower, [a], [Spec((rows, columns), "float32")])
    assert names == (["dots"] if few(columns, k, k) else ["contract"])
    close(found[0], a.astype("float64") @ b, 1e-5)


def test_a_row_of_infinities_stays_in_its_row():
    a, b = np.ones((LANES + 3, LANES), "float32"), np.ones((LANES, 1), "float32")
    a[2] = np.inf
    a[LANES + 1, 0] = np.nan
    found = run(lambda inputs, outputs, builder: lowering_of(MatMul())(MatMul(), [inputs[0], builder.constant(b)], outputs, builder), [a],
                [Spec((LANES + 3, 1), "float32")])
    np.testing.assert_array_equal(found[0], a @ b)
