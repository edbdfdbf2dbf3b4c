"""The depthwise kernel against the reference: odd channels, borders, strides, dilation, multipliers, epilogues, guard values around."""
import itertools

import numpy as np
import pytest

import lowered
from graphnet.backends.cpu.kernels.depthwise import lower_depthwise
from graphnet.backends.cpu.simd import LANES
from graphnet.graph import Spec
from graphnet.ops.convolution import DepthwiseConv
from graphnet.ops.elementwise import Add, Clip, Multiply, Tanh
from graphnet.passes.fuse import Epilogue


def draw(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("float32")


def check(op, arrays, epilogue=None, layout="dense"):
    """The lowering against the same op in float64."""
    want = (epilogue or op).reference(*[a.astype("float64") for a in arrays])

    def lower(inputs, outputs, builder):
        return lower_depthwise(op, inputs, outputs, builder, epilogue)
    got, = lowered.run(lower, arrays, [Spec(want.shape, "float32")], layout)
    assert np.abs(got - want).max(initial=0) <= 1e-6 * max(1.0, np.abs(want).max(initial=0))


@pytest.mark.parametrize("channels", [1, LANES - 1, LANES, LANES + 1, 37])
@pytest.mark.parametrize("stride, padding, dilation", [(1, "same", 1), (2, "same", 1), (1, "valid", 1), (1, "same", 2), (3, "same", 1)])
def test_channels_and_borders(channels, stride, padding, dilation):
    check(DepthwiseConv((stride, stride), padding, (dilation, dilation)), [draw(2, 7, 6, channels), draw(3, 3, channels, 1)])


@pytest.mark.parametrize("height, width", list(itertools.product((1, 2, 3, 5), repeat=2)))
def test_small_pictures(height, width):
    check(DepthwiseConv((1, 1), "same", (1, 1)), [draw(1, height, width, LANES + 3), draw(3, 3, LANES + 3, 1)])


def test_other_windows_multipliers_and_one_axis():
    check(DepthwiseConv((1, 1), "same", (1, 1)), [draw(2, 8, 9, 5), draw(5, 2, 5, 3)])
    check(DepthwiseConv((2,), "same", (1,)), [draw(2, 9, 7), draw(4, 7, 2)], layout="padded")


def test_epilogues():
    op = DepthwiseConv((1, 1), "same", (1, 1))
    arrays = [draw(2, 6, 6, 21), draw(3, 3, 21, 1), draw(21)]
    check(op, arrays, Epilogue(op, 2, ((Add(), (0, 1)), (Clip(0.0, 6.0), (2,)))))
    check(op, arrays, Epilogue(op, 2, ((Add(), (0, 1)), (Tanh(), (2,)), (Multiply(), (3, 1)))))
