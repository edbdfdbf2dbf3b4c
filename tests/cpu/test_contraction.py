"""Matrix products, convolutions and their transposes against sums written out in float64; epilogues, layouts, splits of tasks.
"""
import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lowered import close, run

import graphnet
from graphnet import layers
from graphnet.backends.cpu.kernels import matmul
from graphnet.backends.cpu.kernels.convolution import required_halo
from graphnet.backends.cpu.kernels.epilogue import decode
from graphnet.backends.cpu.lowering import lowering_of
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.tiles import HALF, MOST, WIDTH
from graphnet.graph import Spec
from graphnet.ops.convolution import Conv, ConvTranspose
from graphnet.ops.elementwise import Add, Clip, Multiply, Sigmoid, Tanh
from graphnet.ops.linalg import MatMul
from graphnet.passes.fuse import Epilogue

TOLERANCE = 1e-5  # of the largest output
RELU = Clip(0.0, math.inf)
assert lowering_of(MatMul()) is matmul.lower_matmul


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def contracted(op, *arrays, constant=True, layout="dense", to="dense"):
    """The op's kernels on arrays, weights as constants or computed; an Epilogue's further operands are inputs."""
    x, w, *more = arrays
    producer, epilogue = (op.producer, op) if isinstance(op, Epilogue) else (op, None)

    def lower(inputs, outputs, builder):
        inputs = [inputs[0], builder.constant(w), *inputs[1:]] if constant else inputs
        return lowering_of(producer)(producer, inputs, outputs, builder, epilogue)
    spec = op.infer(*[Spec(a.shape, "float32") for a in arrays])
    found = run(lower, [x, *more] if constant else arrays, [spec], layout, to)
    return None if found is None else found[0]


# ---- references

def convolved(x, kernel, strides, pads, dilation, groups=1):
    """A convolution as a sum over kernel elements of strided slices."""
    x = np.pad(x.astype("float64"), ((0, 0), *pads, (0, 0)))
    size, channels, columns = kernel.shape[:-2], kernel.shape[-2], kernel.shape[-1] // groups
    out = [(e - (k - 1) * d - 1) // s + 1 for e, k, d, s in zip(x.shape[1:-1], size, dilation, strides, strict=True)]
    y = np.zeros((len(x), *out, kernel.shape[-1]))
    for at in itertools.product(*map(range, size)):
        places = tuple(slice(k * d, k * d + (o - 1) * s + 1, s) for k, d, o, s in zip(at, dilation, out, strides, strict=True))
        for g in range(groups):
            seen = x[(slice(None), *places, slice(g * channels, (g + 1) * channels))]
            y[..., g * columns:(g + 1) * columns] += seen @ kernel[at][:, g * columns:(g + 1) * columns].astype("float64")
    return y


def spread_out(x, kernel, strides, padding, output_padding, dilation):
    """A transposed convolution: each input pixel adds its kernel to the output; extents and crop as in Keras's jax backend."""
    size, extents, crops = kernel.shape[:-2], [], []
    for i, (e, k, s, d) in enumerate(zip(x.shape[1:-1], size, strides, dilation, strict=True)):
        reach = (k - 1) * d + 1
        if padding == "valid":
            extra = max(s - reach, 0) if output_padding is None else output_padding[i]
            extents.append((e - 1) * s + reach + extra)
            crops.append(0)
            continue
        if output_padding is None:
            total, extent = s + reach - 2, e * s
        else:
            total, extent = reach + reach % 2 - 2 + output_padding[i], (e - 1) * s + reach % 2 + output_padding[i]
        extents.append(extent)
        crops.append(reach - 1 - min(-(-total // 2), reach - 1))
    y = np.zeros((len(x), *extents, kernel.shape[-2]))
    for at in itertools.product(*map(range, x.shape[1:-1])):
        for k in itertools.product(*map(range, size)):
            o = tuple(i * s + j * d - c for i, s, j, d, c in zip(at, strides, k, dilation, crops, strict=True))
            if all(0 <= p < e for p, e in zip(o, extents, strict=True)):
                y[(slice(None), *o)] += x[(slice(None), *at)].astype("float64") @ kernel[k].astype("float64").T
    return y


# ---- matrix products

ROWS = [1, 2, 3, MOST - 1, MOST, MOST + 1, 2 * MOST + 1, 61]
COLUMNS = [1, 4, 10, HALF - 1, HALF, HALF + 1, WIDTH, WIDTH + 1, WIDTH + HALF, 3 * WIDTH - 1]


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("columns", COLUMNS)
def test_matmul_extents(rows, columns):
    a, b = random(rows, 37), random(37, columns, seed=1)
    for constant in (True, False):
        close(contracted(MatMul(), a, b, constant=constant), a.astype("float64") @ b, TOLERANCE)


@pytest.mark.parametrize("k", [1, 2, 3, 7, 64, 1031])
def test_matmul_depths(k):
    for rows in (1, 5, 2 * MOST):
        a, b = random(rows, k), random(k, 41, seed=1)
        close(contracted(MatMul(), a, b), a.astype("float64") @ b, TOLERANCE)


@pytest.mark.parametrize("left, right", [
    ((2, 3, 5, 7), (2, 3, 7, 33)), ((4, 1, 7), (1, 7, 9)), ((2, 3, 5, 7), (7, 40)), ((2, 1, 5, 7), (1, 3, 7, WIDTH)),
    ((5, 7), (3, 7, 2)), ((1, 5, 64), (6, 64, 2 * WIDTH)), ((2, 3, 4, 5, 6), (6, 7)), ((3, 1, 8), (3, 8, 8)),
])
@pytest.mark.parametrize("swap", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("layout, to", [("dense", "dense"), ("padded", "padded"), ("reversed", "dense")])
def test_matmul_batches(left, right, swap, layout, to):
    a, b = random(*left), random(*right, seed=1)
    exact = a.astype("float64") @ b
    a, b = np.swapaxes(a, -1, -2) if swap[0] else a, np.swapaxes(b, -1, -2) if swap[1] else b
    for constant in (True, False):
        close(contracted(MatMul(*swap), a, b, constant=constant, layout=layout, to=to), exact, TOLERANCE)


def test_computed_weights_where_they_lie_and_packed():
    """Few rows, and rows of weights near each other, read weights in place; others have them packed in the plan."""
    for rows, k, columns in ((3, 40, 1024), (100, 40, 1024), (100, 40, 2 * WIDTH), (100, 40, HALF), (100, 300, 1030)):
        a, b = random(rows, k), random(k, columns, seed=1)
        close(contracted(MatMul(), a, b, constant=False), a.astype("float64") @ b, TOLERANCE)


def test_declines():
    assert contracted(MatMul(), random(3, 0), random(0, 4)) is None
    assert contracted(MatMul(), random(2, 2, 2, 2, 3, 4), random(2, 2, 2, 2, 4, 5)) is None
    assert contracted(MatMul(), random(3, 4).astype("float64"), random(4, 5).astype("float64")) is None


@pytest.mark.parametrize("op, x, w", [
    (MatMul(), (0, 4), (4, 3)), (Conv(), (0, 5, 5, 3), (3, 3, 3, 2)), (ConvTranspose(), (0, 4, 4, 3), (3, 3, 2, 3))])
def test_empty_batch(op, x, w):
    assert contracted(op, random(*x), random(*w)).size == 0


# ---- convolutions

@st.composite
def convolutions(draw):
    rank = draw(st.integers(1, 3))
    few = st.integers(1, 3)
    size = [draw(st.integers(1, 4 if rank < 3 else 2)) for _ in range(rank)]
    dilation = [draw(st.integers(1, 2)) for _ in range(rank)]
    strides = [draw(few) for _ in range(rank)]
    pads = [(draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(rank)]
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    spatial = [draw(st.integers(max(1, r - sum(p)), r + (16 if rank < 3 else 4))) for r, p in zip(reach, pads, strict=True)]
    groups = draw(few)
    x = (draw(st.integers(1, 5)), *spatial, groups * draw(st.integers(1, 18)))
    w = (*size, x[-1] // groups, groups * draw(st.sampled_from([1, 3, HALF, WIDTH, WIDTH + 5])))
    return x, w, tuple(strides), tuple(pads), tuple(dilation), groups


@settings(max_examples=40, deadline=None)
@given(convolutions(), st.booleans(), st.sampled_from([("dense", "dense"), ("padded", "padded"), ("reversed", "dense")]))
@example(((2, 56, 4), (3, 4, 8), (1,), ((1, 1),), (1,), 1), True, ("dense", "dense"))
@example(((2, 3, 3, 3, 8), (3, 3, 3, 8, WIDTH), (1, 1, 1), ((1, 1),) * 3, (1, 1, 1), 1), True, ("dense", "padded"))
@example(((33, 2, 2, 8), (3, 3, 8, WIDTH), (1, 1), ((1, 1),) * 2, (1, 1), 1), True, ("dense", "padded"))
def test_convolutions(shapes, constant, layouts):
    x_shape, w_shape, strides, pads, dilation, groups = shapes
    x, w = random(*x_shape), random(*w_shape, seed=1)
    found = contracted(Conv(strides, pads, dilation, groups), x, w, constant=constant, layout=layouts[0], to=layouts[1])
    close(found, convolved(x, w, strides, pads, dilation, groups), TOLERANCE)


def test_same_padding_puts_the_smaller_half_before():
    x, w = random(2, 8, 7, 3), random(3, 2, 3, 5, seed=1)
    close(contracted(Conv((2, 1), "same", (1, 1)), x, w), convolved(x, w, (2, 1), ((0, 1), (0, 1)), (1, 1)), TOLERANCE)


def test_weights_larger_than_the_cache_and_many_images():
    x, w = random(5, 3, 3, 512), random(3, 3, 512, 96, seed=1)
    close(contracted(Conv((1, 1), "same", (1, 1)), x, w), convolved(x, w, (1, 1), ((1, 1), (1, 1)), (1, 1)), TOLERANCE)


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_transposed(stride, size, padding):
    for dilation in (1, 2) if stride == 1 else (1,):
        op = ConvTranspose((stride, 1), padding, None, (dilation, 1))
        x, w = random(2, 5, 4, 3), random(size, 3, 7, 3, seed=1)
        close(contracted(op, x, w, to="padded"), spread_out(x, w, (stride, 1), padding, None, (dilation, 1)), TOLERANCE)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("output_padding", [0, 1])
@pytest.mark.parametrize("size", [3, 5])
def test_transposed_output_padding(padding, output_padding, size):
    op = ConvTranspose((2,), padding, (output_padding,), (1,))
    x, w = random(2, 5, 3), random(size, WIDTH + 1, 3, seed=1)
    close(contracted(op, x, w), spread_out(x, w, (2,), padding, (output_padding,), (1,)), TOLERANCE)


def test_transposed_in_three_axes():
    op = ConvTranspose((2, 1, 3), "same", None, (1, 1, 1))
    x, w = random(2, 3, 4, 2, 5), random(3, 2, 3, 4, 5, seed=1)
    close(contracted(op, x, w), spread_out(x, w, (2, 1, 3), "same", None, (1, 1, 1)), TOLERANCE)


# ---- halos

def test_a_producer_with_a_halo_spares_the_copy():
    x, w = random(2, 6, 7, 4), random(3, 3, 4, 8, seed=1)
    op = Conv((1, 1), "same", (1, 1))
    halo = required_halo(op, x.shape, w.shape)
    assert halo == ((0, 0), (1, 1), (1, 1), (0, 0))
    for given_halo, steps in ((halo, 2), (((0, 0), (2, 1), (1, 3), (0, 0)), 2), (((0, 0), (1, 0), (1, 1), (0, 0)), 3)):
        builder = Builder()
        source, y = builder.input(x.shape), builder.output((2, 6, 7, 8))
        wide = builder.temporary(x.shape, halo=given_halo)
        builder.copy(source, wide)
        lowering_of(op)(op, [wide, builder.constant(w)], [y], builder)
        assert len(builder.steps) == steps
        found = np.empty(y.shape, "float32")
        builder.finish().instantiate(1).run([x], [found])
        close(found, convolved(x, w, (1, 1), ((1, 1), (1, 1)), (1, 1)), TOLERANCE)


def test_no_halo_is_required_where_nothing_is_read():
    assert required_halo(Conv(), (1, 5, 5, 3), (3, 3, 3, 4)) is None
    assert required_halo(MatMul(), (5, 5), (5, 5)) is None
    assert required_halo(None, (), ()) is None


# ---- epilogues

def epilogue(program, producer=None):
    return Epilogue(producer or Conv((1, 1), "same", (1, 1)), 2, tuple(program))


PROGRAMS = {  # operands: 0 the result, 1.. the others; a vector b, a tensor r
    "bias": ([(Add(), (0, 1))], "b"),
    "relu": ([(RELU, (0,))], ""),
    "relu6 behind a bias on the left": ([(Add(), (1, 0)), (Clip(0.0, 6.0), (2,))], "b"),
    "residual block": ([(Add(), (0, 1)), (Add(), (3, 2)), (RELU, (4,))], "br"),
    "residual then bias": ([(Add(), (0, 2)), (Add(), (3, 1))], "br"),
    "relu, residual, relu": ([(RELU, (0,)), (Add(), (2, 1)), (Clip(-1.0, 2.0), (3,))], "r"),
    "three clips": ([(Clip(-3.0, 3.0), (0,)), (Clip(-2.0, 4.0), (1,)), (Clip(-1.0, 1.5), (2,))], ""),
    "two biases": ([(Add(), (0, 1)), (Add(), (3, 2)), (Add(), (4, 1))], "bb"),
    "scale and shift": ([(Multiply(), (0, 1)), (Add(), (3, 2)), (RELU, (4,))], "bb"),
    "swish": ([(Add(), (0, 1)), (Sigmoid(), (2,)), (Multiply(), (2, 3))], "b"),
    "what is before the bias is read again": ([(Add(), (0, 1)), (Tanh(), (2,)), (Multiply(), (0, 3))], "b"),
    "image of its own": ([(Add(), (0, 1)), (Tanh(), (2,))], "i"),
    "column": ([(Add(), (0, 1)), (RELU, (2,))], "c"),
}


def operands(kinds, shape):
    made = {"b": shape[-1:], "r": shape, "i": shape[1:], "c": (*shape[:-1], 1)}
    return [random(*made[kind], seed=7 + i) for i, kind in enumerate(kinds)]


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("columns", [5, HALF, WIDTH + 3, 2 * WIDTH])
@pytest.mark.parametrize("layout, to", [("dense", "dense"), ("padded", "padded")])
def test_epilogues(name, columns, layout, to):
    program, kinds = PROGRAMS[name]
    x, w = random(2, 5, 9, 6), random(3, 3, 6, columns, seed=1)
    more = operands(kinds, (2, 5, 9, columns))
    op = epilogue(program)
    exact = [convolved(x, w, (1, 1), ((1, 1), (1, 1)), (1, 1)), *[m.astype("float64") for m in more]]
    for step, refs in program:
        exact.append(step.reference(*[exact[r] for r in refs]))
    close(contracted(op, x, w, *more, layout=layout, to=to), exact[-1], TOLERANCE)


@pytest.mark.parametrize("name", ["residual block", "swish", "scale and shift"])
def test_epilogues_of_transposed_and_of_products(name):
    program, kinds = PROGRAMS[name]
    for producer, x_shape, w_shape in (
            (ConvTranspose((2, 2), "same"), (2, 3, 4, 6), (3, 3, 19, 6)), (MatMul(), (3, 7, 6), (6, 19)),
            (MatMul(), (2, 2, 5, 6), (2, 2, 6, 19)), (Conv((1, 1, 1), "same", (1, 1, 1)), (2, 3, 3, 5, 6), (2, 1, 3, 6, 19))):
        x, w = random(*x_shape), random(*w_shape, seed=1)
        op = epilogue(program, producer)
        more = operands(kinds, producer.infer(Spec(x_shape, "float32"), Spec(w_shape, "float32")).shape)
        close(contracted(op, x, w, *more), op.reference(*[v.astype("float64") for v in (x, w, *more)]), TOLERANCE)


def test_nan_and_infinity_survive_relu():
    x, w = random(2, 4), random(4, WIDTH + 3, seed=1)
    x[0, 1], w[2, WIDTH + 1] = np.nan, np.inf
    op = epilogue([(RELU, (0,))], MatMul())
    close(contracted(op, x, w), op.reference(x.astype("float64"), w.astype("float64")), TOLERANCE)


def test_what_the_kernel_takes_of_a_program():
    shape = (2, 5, 9, 40)
    builder = Builder()
    vector, tensor = builder.input((40,)), builder.input(shape)

    def left(name, *extras: Operand):
        return len(decode(tuple(PROGRAMS[name][0]), extras, shape).rest)
    assert left("bias", vector) == left("relu") == left("residual block", vector, tensor) == 0
    assert left("two biases", vector, vector) == 1
    assert left("scale and shift", vector, vector) == 3
    assert left("swish", vector) == 2
    assert left("what is before the bias is read again", vector) == 3


def test_padded_convolutions_of_other_dtypes_behind_a_large_image():
    image = graphnet.Input((64, 64, 3), dtype="float64")
    y = layers.Conv2D(16, 5, padding="same", dtype="float64")(image)
    model = graphnet.Model(image, layers.Conv2D(16, 5, padding="same", dtype="float64")(y))
    x = np.random.default_rng(0).standard_normal((1, 64, 64, 3))
    expected, = graphnet.backends.numpy.interpreter.evaluate(model.executable()[0].graph, [x])[0]
    np.testing.assert_allclose(model(x), expected, rtol=1e-12)
