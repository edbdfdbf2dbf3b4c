"""Products of few rows with large weights, read where they lie: against float64, with what may follow, between guard pages."""
import math

import numpy as np
import pytest
from lowered import close, guarded, run

from graphnet.backends.cpu.kernels import matmul, stream
from graphnet.backends.cpu.kernels.stream import CACHE, LARGE, STRETCH, streams
from graphnet.backends.cpu.lowering import lowering_of
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.tiles import STREAM_MOST, WIDTH
from graphnet.graph import Spec
from graphnet.ops.elementwise import Add, Clip, Multiply, Tanh
from graphnet.ops.linalg import MatMul
from graphnet.passes.fuse import Epilogue

assert lowering_of(MatMul()) is matmul.lower_matmul
RELU = Clip(0.0, math.inf)
PROGRAMS = {  # what follows, and how many operands it has: a value by column, one of the output's shape
    "nothing": ((), 0), "bias": (((Add(), (0, 1)), (RELU, (2,))), 1),
    "residual": (((Add(), (0, 1)), (RELU, (3,)), (Add(), (4, 2)), (Clip(-0.5, 2.0), (5,))), 2),
    "tape": (((Add(), (0, 1)), (Tanh(), (3,)), (Multiply(), (4, 2))), 2),
}


@pytest.fixture
def constants(monkeypatch):
    """Constant weights need not be large to be left where they lie."""
    monkeypatch.setattr(stream, "LARGE", CACHE)


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def multiplied(x, w, more=(), program=(), constant=True, **layouts):
    """x @ w and what follows by the kernel, which must be the only one that runs, and in float64."""
    follow = Epilogue(MatMul(), 2, program) if program else None
    spec, names = MatMul().infer(*[Spec(v.shape, "float32") for v in (x, w)]), []

    def lower(inputs, outputs, builder):
        inputs = [inputs[0], builder.constant(w), *inputs[1:]] if constant else inputs
        matmul.lower_matmul(MatMul(), inputs, outputs, builder, follow)
        names[:] = [step.name for step in builder.steps]
    found = run(lower, [x, *more] if constant else [x, w, *more], [spec], **layouts)
    assert names == ["stream"]
    return found[0], (follow or MatMul()).reference(*[v.astype("float64") for v in (x, w, *more)])


@pytest.mark.usefixtures("constants")
@pytest.mark.parametrize("rows", range(1, STREAM_MOST + 1))
@pytest.mark.parametrize("k, columns", [(6001, WIDTH + 3), (203, 1000), (31, 8 * STRETCH + 1), (1, 100_001)])
def test_extents(rows, k, columns):
    close(*multiplied(random(rows, k), random(k, columns, seed=1)), 1e-5)


@pytest.mark.usefixtures("constants")
@pytest.mark.parametrize("follows", PROGRAMS)
@pytest.mark.parametrize("layouts", [{}, {"layout": "padded", "to": "padded"}])
def test_what_follows(follows, layouts):
    program, count = PROGRAMS[follows]
    for shape in ((1,), (3,), (2, 3)):
        x, w = random(*shape, 203), random(203, 515, seed=1) / 10
        more = [random(515, seed=2), random(*shape, 515, seed=3)][:count]
        for constant in (True, False):
            close(*multiplied(x, w, more, program, constant, **layouts), 1e-5)


@pytest.mark.usefixtures("constants")
def test_nan_and_infinity():
    x, w = random(3, 203), random(203, 515, seed=1)
    x[1, 7], w[5, 514], w[200, 3] = np.nan, np.inf, np.nan
    close(*multiplied(x, w, (), ((RELU, (0,)),)), 1e-5)


def test_which_products():
    builder = Builder()
    computed, small = builder.input((4096, 1000)), builder.input((64, 1000))
    assert streams(1, computed) and streams(STREAM_MOST, computed)
    assert not streams(STREAM_MOST + 1, computed) and not streams(1, small) and not streams(1, computed.transpose((1, 0)))
    large = builder.constant(np.zeros((LARGE >> 12, 1025), "float32"))
    assert streams(1, large) and not streams(1, large.slice((0, 0), (LARGE >> 12, 1024)))


@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("rows", [1, 3, STREAM_MOST])
def test_between_guard_pages_by_any_number_of_threads(rows, at_end):
    x, w, bias = random(rows, 203), random(203, 1003, seed=1), random(1003, seed=2)
    found = []
    for threads in (1, 2, 3, 8):
        builder = Builder(threads=threads)
        given = [builder.input(v.shape) for v in (x, w, bias)]
        y = guarded(np.zeros((rows, 1003), "float32"), at_end)
        program = Epilogue(MatMul(), 2, PROGRAMS["bias"][0])
        matmul.lower_matmul(MatMul(), given, [builder.output(y.shape)], builder, program)
        step, = builder.steps
        step.chunk = step.least = 1
        builder.finish().instantiate(threads).run([guarded(v, at_end) for v in (x, w, bias)], [y])
        found.append(y.tobytes())
    assert len(set(found)) == 1
    close(y, np.maximum(x.astype("float64") @ w + bias, 0), 1e-5)
