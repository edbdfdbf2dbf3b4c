"""Depthwise convolutions against a sum written out in float64: channels that fill vectors or not, 1 to 3 axes, epilogues."""
import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lowered import close, run

from graphnet.backends.cpu.kernels import depthwise_gradient
from graphnet.backends.cpu.kernels.convolution import required_halo
from graphnet.backends.cpu.kernels.depthwise import lower_depthwise
from graphnet.backends.cpu.lowering import lowering_of
from graphnet.backends.cpu.simd import LANES
from graphnet.backends.cpu.tiles import HALF, LANE_MOST, WIDTH
from graphnet.graph import Spec
from graphnet.ops.convolution import DepthwiseConv, DepthwiseConvGradInput, DepthwiseConvGradKernel
from graphnet.ops.elementwise import Add, Clip, Multiply, Tanh
from graphnet.passes.fuse import Epilogue

TOLERANCE = 1e-5  # of the largest output
assert lowering_of(DepthwiseConvGradKernel((3, 3))) is depthwise_gradient.lower_depthwise_grad_kernel


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def convolved(x, kernel, strides, pads, dilation):
    """A sum over kernel elements of strided slices, each channel times its own weights."""
    x = np.pad(x.astype("float64"), ((0, 0), *pads, (0, 0)))
    size, multiplier = kernel.shape[:-2], kernel.shape[-1]
    out = [(e - (k - 1) * d - 1) // s + 1 for e, k, d, s in zip(x.shape[1:-1], size, dilation, strides, strict=True)]
    y = np.zeros((len(x), *out, x.shape[-1], multiplier))
    for at in itertools.product(*map(range, size)):
        places = tuple(slice(k * d, k * d + (o - 1) * s + 1, s) for k, d, o, s in zip(at, dilation, out, strides, strict=True))
        y += x[(slice(None), *places)][..., None] * kernel[at]
    return y.reshape(*y.shape[:-2], -1)


def computed(op, x, w, *more, constant=True, layout="dense", to="dense"):
    """The op's kernels on arrays; an Epilogue's further operands are inputs."""
    producer, epilogue = (op.producer, op) if isinstance(op, Epilogue) else (op, None)

    def lower(inputs, outputs, builder):
        inputs = [inputs[0], builder.constant(w), *inputs[1:]] if constant else inputs
        return lower_depthwise(producer, inputs, outputs, builder, epilogue)
    spec = op.infer(*[Spec(a.shape, "float32") for a in (x, w, *more)])
    found = run(lower, [x, *more] if constant else [x, w, *more], [spec], layout, to)
    return None if found is None else found[0]


@pytest.mark.parametrize("channels", [1, 3, LANES - 1, LANES, LANES + 1, WIDTH - 1, WIDTH, WIDTH + HALF, 2 * WIDTH + LANES + 2])
@pytest.mark.parametrize("width", [1, 2, LANE_MOST, LANE_MOST + 1, 3 * LANE_MOST + 2])
def test_extents(channels, width):
    x, w = random(2, 5, width, channels), random(3, 3, channels, 1, seed=1)
    close(computed(DepthwiseConv((1, 1), "same"), x, w), convolved(x, w, (1, 1), ((1, 1), (1, 1)), (1, 1)), TOLERANCE)


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels", [3, WIDTH + HALF + 1])
def test_rows_of_windows(size, stride, channels):
    """Tiles that load what windows share once, and windows that share nothing of the kind."""
    for width, dilation in ((3, 1), (4 * LANE_MOST + 3, 1), (19, 2)):
        x, w = random(2, 9, width, channels), random(3, size, channels, 1, seed=1)
        op = DepthwiseConv((1, stride), ((1, 1), (4, 3)), (1, dilation))
        for constant in (True, False):
            exact = convolved(x, w, op.strides, op.padding, op.dilation)
            close(computed(op, x, w, constant=constant, to="padded"), exact, TOLERANCE)


@st.composite
def convolutions(draw):
    rank = draw(st.integers(1, 3))
    size = [draw(st.integers(1, 4 if rank < 3 else 2)) for _ in range(rank)]
    dilation = [draw(st.integers(1, 2)) for _ in range(rank)]
    strides = [draw(st.integers(1, 3)) for _ in range(rank)]
    pads = [(draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(rank)]
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    spatial = [draw(st.integers(max(1, r - sum(p)), r + (12 if rank < 3 else 4))) for r, p in zip(reach, pads, strict=True)]
    channels = draw(st.sampled_from([1, 2, LANES, LANES + 3, WIDTH + LANES]))
    return ((draw(st.integers(1, 3)), *spatial, channels), (*size, channels, draw(st.sampled_from([1, 1, 2, 3]))),
            tuple(strides), tuple(pads), tuple(dilation))


@settings(max_examples=40, deadline=None)
@given(convolutions(), st.booleans(), st.sampled_from([("dense", "dense"), ("padded", "padded"), ("reversed", "dense")]))
def test_convolutions(shapes, constant, layouts):
    x_shape, w_shape, strides, pads, dilation = shapes
    x, w = random(*x_shape), random(*w_shape, seed=1)
    found = computed(DepthwiseConv(strides, pads, dilation), x, w, constant=constant, layout=layouts[0], to=layouts[1])
    close(found, convolved(x, w, strides, pads, dilation), TOLERANCE)


@pytest.mark.parametrize("channels", [5, WIDTH, WIDTH + 3])
@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize("last", [Clip(0.0, 6.0), Tanh()])
def test_epilogues(channels, multiplier, last):
    x, w = random(2, 7, 6, channels), random(3, 3, channels, multiplier, seed=1)
    bias, residual = random(channels * multiplier, seed=2), random(2, 7, 6, channels * multiplier, seed=3)
    op = Epilogue(DepthwiseConv((1, 1), "same"), 2, ((Add(), (0, 1)), (Add(), (3, 2)), (last, (4,))))
    exact = last.reference(convolved(x, w, (1, 1), ((1, 1), (1, 1)), (1, 1)) + bias + residual)
    close(computed(op, x, w, bias, residual, to="padded"), exact, TOLERANCE)


def test_nan_survives_relu():
    x, w = random(1, 4, 4, LANES + 2), random(2, 2, LANES + 2, 1, seed=1)
    x[0, 2, 1, [0, -1]] = np.nan
    op = Epilogue(DepthwiseConv(), 2, ((Clip(0.0, math.inf), (0,)),))
    found = computed(op, x, w)
    exact = op.reference(x.astype("float64"), w.astype("float64"))
    assert np.isnan(found).sum() == np.isnan(exact).sum() == 8
    close(found, exact, TOLERANCE)


def test_declines_and_empty_batches():
    x, w = random(1, 4, 4, 3), random(2, 2, 3, 1)
    assert computed(DepthwiseConv(), x.astype("float64"), w.astype("float64")) is None
    assert computed(DepthwiseConv(), x[:0], w).shape == (0, 3, 3, 3)


def test_halo():
    assert required_halo(DepthwiseConv((2, 2), "same"), (1, 8, 9, 4), (3, 3, 4, 1)) == ((0, 0), (0, 1), (1, 1), (0, 0))


# ---- gradients

def differentiated(op, *arrays, layout="dense", to="dense"):
    spec = op.infer(*[Spec(a.shape, "float32") for a in arrays])
    producer, epilogue = (op.producer, op) if isinstance(op, Epilogue) else (op, None)

    def lower(inputs, outputs, builder):
        return lowering_of(producer)(producer, inputs, outputs, builder, epilogue)
    found = run(lower, arrays, [spec], layout, to)
    return None if found is None else found[0]


def exact_of(op, *arrays):
    return op.reference(*[a.astype("float64") for a in arrays])


@settings(max_examples=40, deadline=None)
@given(convolutions(), st.sampled_from([("dense", "dense"), ("padded", "padded"), ("reversed", "dense")]))
@example(((3, 20, 33, WIDTH + LANES + 1), (3, 3, WIDTH + LANES + 1, 1), (1, 1), ((1, 1), (1, 1)), (1, 1)), ("dense", "dense"))
@example(((2, 21, 30, LANES + 1), (5, 9, LANES + 1, 1), (2, 2), ((1, 2), (2, 1)), (1, 1)), ("padded", "padded"))
@example(((2, 9, 7, 5), (1, 1, 5, 1), (2, 2), ((0, 0), (0, 0)), (1, 1)), ("dense", "padded"))
def test_gradients(shapes, layouts):
    x_shape, w_shape, *geometry = shapes
    g_shape = DepthwiseConv(*geometry).infer(Spec(x_shape, "float32"), Spec(w_shape, "float32")).shape
    x, w, g = random(*x_shape), random(*w_shape, seed=1), random(*g_shape, seed=2)
    for op, arrays in ((DepthwiseConvGradInput(x_shape[1:-1], *geometry), (g, w)),
                       (DepthwiseConvGradKernel(w_shape[:-2], *geometry), (x, g))):
        close(differentiated(op, *arrays, layout=layouts[0], to=layouts[1]), exact_of(op, *arrays), TOLERANCE)


@pytest.mark.parametrize("size", [3, 5])
def test_gradient_of_the_input_with_rows_of_windows(size):
    """Stride 1 reads the weights backwards, where they lie."""
    g, w = random(2, 6, 4 * LANE_MOST + 1, WIDTH + 3), random(3, size, WIDTH + 3, 1, seed=1)
    op = DepthwiseConvGradInput(g.shape[1:-1], (1, 1), "same", (1, 1))
    close(differentiated(op, g, w), exact_of(op, g, w), TOLERANCE)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_epilogues_of_the_gradient_of_the_input(strides):
    x_shape, w, channels = (2, 8, 9, WIDTH + 3), random(3, 3, WIDTH + 3, 1, seed=1), WIDTH + 3
    g = random(2, *[-(-n // s) for n, s in zip((8, 9), strides, strict=True)], channels)
    other, mask = random(*x_shape, seed=2), random(*x_shape, seed=3)
    op = Epilogue(DepthwiseConvGradInput((8, 9), strides, "same"), 2, ((Add(), (0, 1)), (Multiply(), (3, 2))))
    close(differentiated(op, g, w, other, mask, to="padded"), exact_of(op, g, w, other, mask), TOLERANCE)


def test_an_image_that_is_one_pixel_repeated():
    x, w = random(2, 1, 8), random(3, 8, 1, seed=1)

    def lower(inputs, outputs, builder):
        return lower_depthwise(DepthwiseConv((1,), "valid", (1,)), [inputs[0].broadcast((2, 9, 8)), builder.constant(w)], outputs, builder)
    y, = run(lower, [x], [Spec((2, 7, 8), "float32")])
    close(y, convolved(np.repeat(x, 9, 1), w, (1,), ((0, 0),), (1,)), TOLERANCE)
