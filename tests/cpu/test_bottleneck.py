"""A 1x1 convolution, a depthwise one and a 1x1 convolution, some lines at a time: against sums written out in float64."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lowered import agrees, close, run
from test_depthwise import convolved
from test_separable import ADDED, CLIPPED, random, separable

import graphnet
from graphnet import layers
from graphnet.backends.cpu.kernels.bottleneck import lower_bottleneck
from graphnet.graph import Spec
from graphnet.ops.convolution import Conv, DepthwiseConv
from graphnet.ops.elementwise import Clip, Tanh
from graphnet.passes.fuse import Epilogue
from graphnet.passes.fuse_bottleneck import FAR, Bottleneck
from graphnet.passes.fuse_separable import Separable

ONE = ["bottleneck"]
THREE = ["contract", "depthwise", "contract"]


def check(after, x, channels, columns, kernel=(3, 3), pads=((1, 1), (1, 1)), first=CLIPPED, layout="dense", kernels=None):
    """The kernels of a bottleneck through so many channels, which must be `kernels`, against float64."""
    op = Bottleneck(Epilogue(Conv(), 2, first) if first else Conv(), 3 if first else 2, after)
    q, low = random(1, 1, x.shape[-1], channels, seed=6), random(channels, seed=7)
    w, bias = random(*kernel, channels, 1, seed=1), random(channels, seed=2)
    p, other = random(1, 1, channels, columns, seed=3), random(columns, seed=4)
    depthwise = after.producer
    middle = x.astype("float64") @ q[0, 0]
    if first:
        middle = np.clip(middle + low, 0, 6)
    middle = convolved(middle, w, depthwise.strides, pads, depthwise.dilation)
    if isinstance(after.first, Epilogue):
        middle = np.clip(middle + bias, 0, 6)
    expected = middle @ p[0, 0].astype("float64")
    more = []
    if isinstance(after.second, Epilogue):
        more = [random(*expected.shape, seed=5)]
        expected = expected + other + more[0]

    def lower(inputs, outputs, builder):
        constants = [q, *([low] if first else []), w, *([bias] if after.arity == 3 else []), p, *([other] if more else [])]
        lower_bottleneck(op, [inputs[0], *map(builder.constant, constants), *inputs[1:]], outputs, builder)
        names = [step.name.split("_")[0] for step in builder.steps if step.name not in ("copy_strided", "zero_halo")]
        assert kernels is None or names == kernels
    y, = run(lower, [x, *more], [Spec(expected.shape, "float32")], layout)
    close(y, expected, 1e-5)


@pytest.mark.parametrize("channels", [15, 16, 33, 96])
@pytest.mark.parametrize("columns", [16, 24, 33])
def test_extents(channels, columns):
    check(separable((1, 1), "same"), random(2, 9, 13, 7), channels, columns, kernels=ONE)


@pytest.mark.parametrize("images, lines, width", [(1, 1, 10), (1, 2, 30), (3, 5, 57), (1, 31, 29), (5, 14, 14), (1, 56, 12)])
def test_lines(images, lines, width):
    check(separable((1, 1), "same"), random(images, lines, width, 6), 24, 40, kernels=ONE)


@pytest.mark.parametrize("strides", [(2, 2), (1, 2), (3, 1), (5, 5)])
def test_strides(strides):
    check(separable(strides, "valid"), random(2, 33, 37, 6), 20, 12, pads=((0, 0), (0, 0)), kernels=ONE)


def test_zeros_behind_an_image_alone():
    check(separable((2, 2), "same"), random(2, 24, 24, 6), 20, 12, pads=((0, 1), (0, 1)), kernels=ONE)


def test_a_larger_and_dilated_window():
    check(separable((1, 1), "same", dilation=(2, 2)), random(1, 12, 13, 6), 20, 12, (5, 3), ((4, 4), (2, 2)), kernels=ONE)


@pytest.mark.parametrize("before, first, second", [((), (), ()), (CLIPPED, CLIPPED, ()), ((), (), ADDED)])
def test_epilogues(before, first, second):
    check(separable((1, 1), "same", first, second), random(2, 12, 12, 6), 20, 36, first=before, kernels=ONE)


def test_operands_of_any_strides():
    check(separable((1, 1), "same"), random(2, 12, 12, 6), 20, 36, layout="padded", kernels=ONE)


@pytest.mark.parametrize("lines, width, channels, kernels", [
    (30, 4, 20, THREE), (4, 1200, 30, ["contract", "separable"]), (9, 13, 1024, THREE)])
def test_where_it_does_not_pay_there_are_more_steps(lines, width, channels, kernels):
    check(separable((1, 1), "same"), random(2, lines, width, 6), channels, 128, kernels=kernels)


@pytest.mark.parametrize("first, second, kernels", [(Tanh(), Clip(0.0, 6.0), ["contract", "separable"]), (Clip(0.0, 6.0), Tanh(), ONE)])
def test_an_epilogue_that_needs_a_tape(first, second, kernels):
    before, last = (Epilogue(Conv(), 2, ((op, (0,)),)) for op in (first, second))
    op = Bottleneck(before, 2, Separable(DepthwiseConv((1, 1), "same"), 2, last))
    x, q, w, p = random(2, 12, 12, 6), random(1, 1, 6, 20, seed=3), random(3, 3, 20, 1, seed=1), random(1, 1, 20, 30, seed=2)

    def lower(inputs, outputs, builder):
        lower_bottleneck(op, [inputs[0], *map(builder.constant, (q, w, p))], outputs, builder)
        assert [step.name for step in builder.steps if step.name != "zero_halo"] == kernels
    y, = run(lower, [x], [Spec((2, 12, 12, 30), "float32")])
    middle = convolved(first.reference(x.astype("float64") @ q[0, 0]), w, (1, 1), ((1, 1), (1, 1)), (1, 1))
    close(y, second.reference(middle @ p[0, 0].astype("float64")), 1e-5)


@settings(max_examples=30)
@given(st.integers(1, 3), st.integers(3, 20), st.integers(3, 40), st.integers(1, 40), st.integers(1, 70), st.integers(1, 40),
       st.sampled_from([1, 2, 3]))
def test_random_extents(images, lines, width, inputs, channels, columns, stride):
    check(separable((stride, stride), "valid"), random(images, lines, width, inputs), channels, columns, pads=((0, 0), (0, 0)))


def names(runner):
    """The kernels of a plan's steps."""
    return [step.kernel for step in runner.steps() if step.kernel != "zero_halo"]


def model_of(size):
    """A residual block with many channels inside, as MobileNetV2 has them."""
    image = graphnet.Input((size, size, 12))
    x = layers.ReLU(6.0)(layers.Conv2D(72, 1, name="expand")(image))
    x = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x))
    return graphnet.Model(image, layers.Add()([image, layers.Conv2D(12, 1, name="project")(x)]))


@pytest.mark.parametrize("size, kernels", [(48, ["bottleneck"]), (40, ["contract", "separable"])])
def test_a_model_has_one_step_where_the_image_in_between_is_large(size, kernels):
    assert (4 * 72 * size ** 2 > FAR) == (kernels == ONE)
    model, x = model_of(size), random(2, size, size, 12)
    executable = model.executable()[0]
    assert names(executable.runner((x.shape,))) == kernels
    expected = graphnet.backends.numpy.interpreter.evaluate(executable.graph, [x])[0]
    np.testing.assert_allclose(model(x), expected[0], rtol=1e-4, atol=1e-5)


def test_narrow_results_with_zeros_around():
    image = graphnet.Input((12, 12, 32))
    x = layers.ReLU(6.0)(layers.Conv2D(1024, 1)(image))
    x = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, strides=4, padding="same")(x))
    x = layers.Conv2D(8, 5, padding="same")(layers.Conv2D(64, 1)(x))
    agrees(graphnet.Model(image, x), random(2, 12, 12, 32))


def test_a_result_with_zeros_around():
    model = model_of(48)
    y = layers.DepthwiseConv2D(5, padding="same")(layers.Concatenate()([model.output] * 6))
    kernels = agrees(graphnet.Model(model.input, y), random(1, 48, 48, 12))
    assert "bottleneck" in kernels


def test_transposed_images():
    image = graphnet.Input((12, 48, 48))
    x = layers.ReLU(6.0)(layers.Conv2D(72, 1)(layers.Permute((2, 3, 1))(image)))
    x = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, padding="same")(x))
    assert "bottleneck" not in agrees(graphnet.Model(image, layers.Conv2D(12, 1)(x)), random(2, 12, 48, 48))


def test_what_others_read_is_kept():
    model = model_of(48)
    inside = graphnet.Model(model.input, [model.get_layer("expand").output, model.output])
    kernels = names(inside.executable()[0].runner(((1, 48, 48, 12),)))
    assert "bottleneck" not in kernels and "separable" in kernels
    x = random(1, 48, 48, 12)
    np.testing.assert_allclose(inside(x)[1], model(x), rtol=1e-5, atol=1e-5)


def test_unknown_extents_are_left_as_they_are():
    image = graphnet.Input((None, None, 12))
    x = layers.DepthwiseConv2D(3, padding="same")(layers.Conv2D(72, 1)(image))
    model = graphnet.Model(image, layers.Conv2D(12, 1)(x))
    assert names(model.executable()[0].runner(((1, 48, 48, 12),))) == ["contract", "separable"]
