"""A depthwise convolution and the 1x1 convolution behind it, line by line: against a sum written out in float64."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lowered import agrees, close, run
from test_depthwise import convolved

import graphnet
from graphnet import layers
from graphnet.backends.cpu.kernels.separable import LINES, NARROW, lower_separable
from graphnet.backends.cpu.plan import Builder
from graphnet.graph import Spec
from graphnet.ops.convolution import Conv, DepthwiseConv
from graphnet.ops.elementwise import Add, Clip, Tanh
from graphnet.passes.fuse import Epilogue
from graphnet.passes.fuse_separable import Separable

CLIPPED = ((Add(), (0, 1)), (Clip(0.0, 6.0), (2,)))  # operand 1 is a bias
ADDED = ((Add(), (0, 1)), (Add(), (3, 2)))  # a bias, and operand 2 of the result's shape


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def separable(strides, padding, first=CLIPPED, second=ADDED, dilation=(1, 1)):
    depthwise = DepthwiseConv(strides, padding, dilation)
    one, two = (Epilogue(op, 2, program) if program else op for op, program in ((depthwise, first), (Conv(), second)))
    return Separable(one, 3 if first else 2, two)


def check(op, x, columns, kernel=(3, 3), pads=((1, 1), (1, 1)), layout="dense", kernels=None):
    """The op's kernels, which must be `kernels`, against float64."""
    channels, depthwise = x.shape[-1], op.producer
    w, bias = random(*kernel, channels, 1, seed=1), random(channels, seed=2)
    p, other = random(1, 1, channels, columns, seed=3), random(columns, seed=4)
    middle = convolved(x, w, depthwise.strides, pads, depthwise.dilation)
    if isinstance(op.first, Epilogue):
        middle = np.clip(middle + bias, 0, 6)
    expected = middle @ p[0, 0].astype("float64")
    more = []
    if isinstance(op.second, Epilogue):
        more = [random(*expected.shape, seed=5)]
        expected = expected + other + more[0]

    def lower(inputs, outputs, builder):
        given = [inputs[0], builder.constant(w), *([builder.constant(bias)] if op.arity == 3 else [])]
        rest = [builder.constant(p), *([builder.constant(other), inputs[1]] if more else [])]
        lower_separable(op, [*given, *rest], outputs, builder)
        names = [step.name.split("_")[0] for step in builder.steps if step.name not in ("copy_strided", "zero_halo")]
        assert kernels is None or names == kernels
    y, = run(lower, [x, *more], [Spec(expected.shape, "float32")], layout)
    close(y, expected, 1e-5)


@pytest.mark.parametrize("channels", [1, 15, 16, 33, 96, 145])
@pytest.mark.parametrize("columns", [1, 16, 24, 33, 70])
def test_extents(channels, columns):
    check(separable((1, 1), "same"), random(2, 9, NARROW + 3, channels), columns,
          kernels=["separable"] if columns > 1 else None)


@pytest.mark.parametrize("images, lines, width", [(1, LINES, NARROW), (3, 5, 57), (1, 31, 112), (2, 14, 14)])
def test_lines(images, lines, width):
    check(separable((1, 1), "same"), random(images, lines, width, 24), 40, kernels=["separable"])


@pytest.mark.parametrize("strides", [(2, 2), (1, 2), (3, 1)])
def test_strides(strides):
    check(separable(strides, "valid"), random(2, 33, 37, 20), 12, pads=((0, 0), (0, 0)), kernels=["separable"])


def test_a_larger_and_dilated_window():
    check(separable((1, 1), "same", dilation=(2, 2)), random(1, 12, 13, 20), 12, (5, 3), ((4, 4), (2, 2)), kernels=["separable"])


@pytest.mark.parametrize("first, second", [((), ()), (CLIPPED, ()), ((), ADDED)])
def test_epilogues(first, second):
    check(separable((1, 1), "same", first, second), random(2, 12, 12, 20), 36, kernels=["separable"])


def test_operands_of_any_strides():
    check(separable((1, 1), "same"), random(2, 12, 12, 20), 36, layout="padded")


@pytest.mark.parametrize("images, lines, width, channels", [(1, 4, 30, 8), (1, 30, 4, 8), (1, 8, 1100, 64), (1, 10, 10, 1024)])
def test_where_it_does_not_pay_there_are_two_steps(images, lines, width, channels):
    check(separable((1, 1), "same"), random(images, lines, width, channels), 128, kernels=["depthwise", "contract"])


def test_an_epilogue_that_needs_a_tape():
    program = ((Tanh(), (0,)),)
    op = Separable(Epilogue(DepthwiseConv((1, 1), "same"), 2, program), 2, Epilogue(Conv(), 2, program))
    x, w, p = random(2, 12, 12, 20), random(3, 3, 20, 1, seed=1), random(1, 1, 20, 30, seed=2)

    def lower(inputs, outputs, builder):
        lower_separable(op, [inputs[0], builder.constant(w), builder.constant(p)], outputs, builder)
    y, = run(lower, [x], [Spec((2, 12, 12, 30), "float32")])
    close(y, np.tanh(np.tanh(convolved(x, w, (1, 1), ((1, 1), (1, 1)), (1, 1))) @ p[0, 0]), 1e-5)


@settings(max_examples=30)
@given(st.integers(1, 3), st.integers(3, 20), st.integers(3, 40), st.integers(1, 70), st.integers(1, 70), st.booleans())
def test_random_extents(images, lines, width, channels, columns, stride):
    strides = (2, 2) if stride else (1, 1)
    check(separable(strides, "valid"), random(images, lines, width, channels), columns, pads=((0, 0), (0, 0)))


def test_scratch_does_not_add_up():
    builder = Builder()
    op, constants = separable((1, 1), "same"), [random(3, 3, 20, 1), random(20), random(1, 1, 20, 20), random(20)]
    x, found = builder.input((1, 12, 12, 20)), []
    for _ in range(3):
        y = builder.temporary(x.shape)
        w, bias, p, other = map(builder.constant, constants)
        lower_separable(op, [x, w, bias, p, other, x], [y], builder)
        x = y
        found.append(builder.scratch)
    assert len(set(found)) == 1


@pytest.mark.parametrize("size", [6, 20])
def test_several_results_of_a_channel(size):
    image = graphnet.Input((size, size, 3))
    y = layers.SeparableConv2D(5, 3, depth_multiplier=2, activation="relu", bias_initializer="normal")(image)
    assert "separable" not in agrees(graphnet.Model(image, y), random(2, size, size, 3))


def test_a_window_larger_than_the_cache():
    image = graphnet.Input((12, 12, 128))
    y = layers.Conv2D(128, 1)(layers.DepthwiseConv2D(31, padding="same")(image))
    assert "separable" not in agrees(graphnet.Model(image, y), random(1, 12, 12, 128))


def test_a_result_with_zeros_around():
    image = graphnet.Input((64, 64, 3))
    y = layers.SeparableConv2D(40, 3, padding="same")(image)
    y = layers.SeparableConv2D(8, 3, padding="same")(y)
    kernels = agrees(graphnet.Model(image, y), random(1, 64, 64, 3))
    assert kernels.count("separable") == 2 and "zero_halo" in kernels


def test_a_model_has_one_step_and_other_readers_have_their_tensor():
    image = graphnet.Input((20, 20, 3))
    x = layers.SeparableConv2D(8, 3, activation="relu", name="separable")(image)
    y = layers.DepthwiseConv2D(3, name="shared")(x)
    z = layers.Conv2D(4, 1, name="pointwise")(y)
    model = graphnet.Model(image, [z, layers.GlobalAveragePooling2D()(y)])
    kernels = [step.kernel for step in model.executable()[0].runner(((2, 20, 20, 3),)).steps()]
    assert kernels.count("separable") == 1 and "contract" in kernels
    x = random(2, 20, 20, 3)
    expected = model.executable()[0]
    for found, truth in zip(model(x), graphnet.backends.numpy.interpreter.evaluate(expected.graph, [x])[0], strict=True):
        np.testing.assert_allclose(found, truth, rtol=1e-4, atol=1e-5)
