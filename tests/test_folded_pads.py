"""Zeros that a layer puts around an image become the padding of a convolution behind it, and of nothing else."""
import numpy as np
import pytest

import graphnet
from graphnet import layers
from graphnet.backends.numpy.interpreter import evaluate
from graphnet.ops.shape import Pad


@pytest.mark.parametrize("layer", [
    lambda: layers.Conv2D(4, 3), lambda: layers.Conv2D(4, 3, strides=2), lambda: layers.DepthwiseConv2D(3, strides=2),
])
def test_zeros_around_an_image_are_the_padding_of_the_convolution_behind(layer):
    inputs = graphnet.Input((9, 8, 3))
    model = graphnet.Model(inputs, layer()(layers.ZeroPadding2D(((0, 1), (2, 1)))(inputs)))
    optimized = model.executable()[0].optimized
    assert not any(isinstance(n.op, Pad) for n in optimized.nodes)
    x = np.random.default_rng(0).normal(size=(2, 9, 8, 3)).astype("float32")
    want, _ = evaluate(model.executable()[0].graph, [x])
    np.testing.assert_allclose(model(x), want[0], rtol=1e-4, atol=1e-5)


def test_other_pads_stay():
    inputs = graphnet.Input((9, 8, 3))
    model = graphnet.Model(inputs, layers.MaxPooling2D(2)(layers.ZeroPadding2D(1)(inputs)))
    assert any(isinstance(n.op, Pad) for n in model.executable()[0].optimized.nodes)
