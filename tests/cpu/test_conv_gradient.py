"""Gradients of convolutions through the kernels, against sums in float64: strides, padding, dilation, groups, layouts."""
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lowered import close, run

from graphnet.backends.cpu.kernels import conv_gradient, depthwise_gradient, matmul
from graphnet.backends.cpu.lowering import lowering_of
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES
from graphnet.backends.cpu.tiles import HALF, MOST, WIDTH
from graphnet.graph import Spec
from graphnet.ops.convolution import (
    Conv,
    ConvGradInput,
    ConvGradKernel,
    ConvTranspose,
    DepthwiseConv,
    DepthwiseConvGradInput,
    DepthwiseConvGradKernel,
)
from graphnet.ops.elementwise import Add, Clip, Multiply
from graphnet.ops.linalg import MatMul
from graphnet.passes.fuse import Epilogue

TOLERANCE = 1e-5  # of the largest element
assert lowering_of(ConvGradKernel((3, 3))) is conv_gradient.lower_grad_kernel
assert lowering_of(DepthwiseConvGradKernel((3, 3))) is depthwise_gradient.lower_depthwise_grad_kernel
assert lowering_of(MatMul()) is matmul.lower_matmul
LAYOUTS = st.sampled_from([("dense", "dense"), ("padded", "padded"), ("reversed", "dense")])


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def computed(op, *arrays, layout="dense", to="dense", constant=False):
    """The op's kernels on arrays, which are all inputs of the plan; the second as a constant if so asked."""
    producer, epilogue = (op.producer, op) if isinstance(op, Epilogue) else (op, None)

    def lower(inputs, outputs, builder):
        inputs = [inputs[0], builder.constant(arrays[1]), *inputs[1:]] if constant else inputs
        return lowering_of(producer)(producer, inputs, outputs, builder, epilogue)
    spec = op.infer(*[Spec(a.shape, "float32") for a in arrays])
    given_arrays = [a for i, a in enumerate(arrays) if i != 1 or not constant]
    found = run(lower, given_arrays, [spec], layout, to)
    return None if found is None else found[0]


def exact(op, *arrays):
    return op.reference(*[a.astype("float64") for a in arrays])


@st.composite
def convolutions(draw):
    """A convolution, and the shapes of x and of its kernel."""
    rank = draw(st.integers(1, 3))
    few = st.integers(1, 3)
    size = [draw(st.integers(1, 4 if rank < 3 else 2)) for _ in range(rank)]
    dilation = [draw(st.integers(1, 2)) for _ in range(rank)]
    strides = [draw(few) for _ in range(rank)]
    pads = [(draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(rank)]
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    spatial = [draw(st.integers(max(1, r - sum(p)), r + (16 if rank < 3 else 4))) for r, p in zip(reach, pads, strict=True)]
    groups = draw(few)
    channels = groups * draw(st.integers(1, MOST + 4))
    columns = groups * draw(st.sampled_from([1, 3, HALF, WIDTH, WIDTH + 5]))
    padding = draw(st.sampled_from([tuple(pads), "same"]))
    op = Conv(tuple(strides), padding, tuple(dilation), groups)
    return op, (draw(st.integers(1, 5)), *spatial, channels), (*size, channels // groups, columns)


def output(op, x_shape, w_shape):
    return op.infer(Spec(x_shape, "float32"), Spec(w_shape, "float32")).shape


@settings(max_examples=40, deadline=None)
@given(convolutions(), LAYOUTS, st.booleans())
@example((Conv((2, 2), ((1, -2), (0, 1)), (1, 1)), (2, 9, 7, 5), (2, 3, 5, 7)), ("dense", "dense"), False)
@example((Conv((3,), "same", (2,)), (2, 11, 5), (4, 5, WIDTH)), ("padded", "padded"), True)
def test_gradient_of_the_input(case, layouts, constant):
    conv, x_shape, w_shape = case
    op = ConvGradInput(x_shape[1:-1], *conv.geometry)
    g, w = random(*output(conv, x_shape, w_shape)), random(*w_shape, seed=1)
    close(computed(op, g, w, layout=layouts[0], to=layouts[1], constant=constant), exact(op, g, w), TOLERANCE)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_transposed_with_weights_that_a_call_computes(stride, padding):
    op = ConvTranspose((stride, 1), padding)
    x, w = random(2, 5, 4, 3), random(3, 2, WIDTH + 3, 3, seed=1)
    close(computed(op, x, w, to="padded"), exact(op, x, w), TOLERANCE)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
@pytest.mark.parametrize("columns", [5, WIDTH])
def test_epilogues_of_the_gradient_of_the_input(strides, columns):
    """The mask of a rectifier and the sum with another cotangent follow in a training step."""
    op = ConvGradInput((9, 8), strides, "same", (1, 1))
    g, w = random(2, *[-(-n // s) for n, s in zip((9, 8), strides, strict=True)], 6), random(3, 3, columns, 6, seed=1)
    other, mask = random(2, 9, 8, columns, seed=2), random(2, 9, 8, columns, seed=3)
    for program, more in ((((Add(), (0, 1)),), [other]), (((Multiply(), (0, 1)),), [mask]),
                          (((Add(), (0, 1)), (Multiply(), (3, 2)), (Clip(-1.0, 1.0), (4,))), [other, mask])):
        fused = Epilogue(op, 2, program)
        close(computed(fused, g, w, *more, to="padded"), exact(fused, g, w, *more), TOLERANCE)


@settings(max_examples=40, deadline=None)
@given(convolutions(), LAYOUTS)
@example((Conv((2, 2), ((1, -2), (0, 1)), (1, 1)), (2, 9, 7, 5), (2, 3, 5, 7)), ("dense", "dense"))
@example((Conv((1, 1), "same", (1, 1)), (9, 12, 13, 20), (3, 3, 20, WIDTH)), ("dense", "dense"))
@example((Conv((1, 1), "valid", (1, 1)), (33, 3, 2, 40), (1, 1, 40, WIDTH + 2)), ("padded", "padded"))
@example((Conv((1, 1, 1), "same", (1, 1, 1)), (40, 3, 2, 4, 3), (2, 1, 3, 3, 7)), ("padded", "padded"))
@example((Conv((1,), "same", (1,), 2), (3, 2000, 6), (3, 3, 2 * WIDTH + 2)), ("padded", "padded"))
def test_gradient_of_the_kernel(case, layouts):
    conv, x_shape, w_shape = case
    op = ConvGradKernel(w_shape[:-2], *conv.geometry)
    x, g = random(*x_shape), random(*output(conv, x_shape, w_shape), seed=1)
    close(computed(op, x, g, layout=layouts[0], to=layouts[1]), exact(op, x, g), TOLERANCE)


def test_nan_reaches_the_gradients_that_it_touches():
    x, g = random(2, 5, 5, 3), random(2, 5, 5, WIDTH + 1, seed=1)
    x[1, 2, 2, 1], g[0, 0, 0, WIDTH] = np.nan, np.inf
    op = ConvGradKernel((3, 3), (1, 1), "same", (1, 1))
    found, wanted = computed(op, x, g), exact(op, x, g)
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(wanted))


@pytest.mark.parametrize("op, shapes", [
    (ConvGradKernel((3, 3), (1, 1), "same", (1, 1)), [(16, 14, 14, 40), (16, 14, 14, 48)]),
    (ConvGradInput((14, 14), (2, 2), "same", (1, 1)), [(16, 7, 7, 48), (3, 3, 40, 48)]),
    (DepthwiseConvGradKernel((3, 3), (1, 1), "same"), [(16, 14, 14, 72), (16, 14, 14, 72)]),
    (MatMul(True, False), [(999, 130), (999, 70)]),
])
def test_any_number_of_threads_gives_the_same_bytes(op, shapes):
    arrays, found = [random(*shape, seed=i) for i, shape in enumerate(shapes)], []
    for threads in (1, 2, 8):
        builder = Builder(threads=threads)
        inputs = [builder.input(shape) for shape in shapes]
        y = builder.output(op.infer(*[Spec(shape, "float32") for shape in shapes]).shape)
        assert lowering_of(op)(op, inputs, [y], builder) is not False
        found.append(np.zeros(y.shape, "float32"))
        builder.finish().instantiate(threads).run(arrays, found[-1:])
    close(found[0], exact(op, *arrays), TOLERANCE)
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()


@pytest.mark.parametrize("kind", [Conv, ConvGradInput, ConvGradKernel, ConvTranspose, DepthwiseConv, DepthwiseConvGradInput,
                                  DepthwiseConvGradKernel])
@pytest.mark.parametrize("layout, to", [("dense", "dense"), ("padded", "padded")])
def test_samples(kind, layout, to):
    for op, arrays in kind.samples():
        if all(a.size for a in arrays):
            close(computed(op, *arrays, layout=layout, to=to), exact(op, *arrays), TOLERANCE)


# ---- few columns

@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("op, x, size", [
    (MatMul(), (33, 10 * LANES + 3), ()), (MatMul(), (2, 3, 5, 9 * LANES), ()),
    (Conv((2, 1), "same", (1, 1)), (2, 9, 11, LANES + 1), (3, 4)),
    (Conv((1,), "valid", (2,)), (3, 40, 6 * LANES), (3,)), (ConvTranspose((1, 1)), (2, 6, 20, LANES), (3, 3)),
    (ConvTranspose((2, 2), "same"), (2, 6, 5, 6 * LANES), (3, 3)),
    (ConvGradInput((9, 8), (1, 1), "same"), (2, 9, 8, 2 * LANES + 1), (3, 3))])
def test_few_columns(op, x, size, columns, constant):
    """Vectors go along the sums; a bias, a rectifier and a tape follow."""
    x = random(*x)
    ends = (columns, x.shape[-1]) if isinstance(op, ConvTranspose | ConvGradInput) else (x.shape[-1], columns)
    w, bias = random(*size, *ends, seed=1), random(columns, seed=2)
    for program in (((Add(), (0, 1)), (Clip(0.0, np.inf), (2,))), ((Multiply(), (0, 1)), (Multiply(), (2, 0)))):
        fused = Epilogue(op, 2, program)
        close(computed(fused, x, w, bias, constant=constant, to="padded"), exact(fused, x, w, bias), TOLERANCE)


def test_an_input_gets_its_halo_once():
    """The convolution and the gradient of its kernel read the same copy."""
    x, w, g = random(2, 6, 7, 4), random(3, 3, 4, 8, seed=1), random(2, 6, 7, 8, seed=2)
    forward, backward = Conv((1, 1), "same", (1, 1)), ConvGradKernel((3, 3), (1, 1), "same", (1, 1))
    builder = Builder()
    inputs = [builder.input(v.shape) for v in (x, w, g)]
    y, dw = builder.output(g.shape), builder.output(w.shape)
    lowering_of(forward)(forward, inputs[:2], [y], builder)
    before = len(builder.steps)
    lowering_of(backward)(backward, [inputs[0], inputs[2]], [dw], builder)
    assert [step.name for step in builder.steps[before:]] == ["outer_sums"]
    found = [np.zeros(v.shape, "float32") for v in (g, w)]
    builder.finish().instantiate(1).run([x, w, g], found)
    close(found[0], exact(forward, x, w), TOLERANCE)
    close(found[1], exact(backward, x, g), TOLERANCE)


@pytest.mark.parametrize("to", ["dense", "padded"])
@pytest.mark.parametrize("batch", [(), (3,), (2, 1)])
def test_epilogues_of_products_of_a_transposed_matrix(batch, to):
    """What a dense layer's weights get back, with a regularizer's share added."""
    a, b, w = (
        random(*batch, 40, 2 * MOST + 1),
        random(2, 40, WIDTH + 3, seed=1)[: 1 + bool(batch)],
        random(2 * MOST + 1, WIDTH + 3),
    )
    b = b[0] if batch in ((), (3,)) else b
    op = Epilogue(MatMul(True, False), 2, ((Multiply(), (1, 1)), (Add(), (0, 2))))
    close(computed(op, a, b, w, to=to), exact(op, a, b, w), TOLERANCE)
