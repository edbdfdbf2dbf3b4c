"""Convolution layers against the definition written out in loops, against each other, and against Keras where it is installed.
"""
import itertools

import numpy as np
import pytest
from differential import same_as_keras

import graphnet
from graphnet import layers

RNG = np.random.default_rng(0)


def draw(*shape):
    return RNG.standard_normal(shape).astype("float32")


def randomized(layer, x):
    """The layer, built for x, with weights drawn at random: biases are not 0."""
    layer.build(x.shape)
    layer.set_weights([draw(*w.shape) for w in layer.weights])
    return layer


def convolution(x, kernel, strides, dilation, pads, groups=1):
    """The definition, in float64: a sum over the kernel for each place of the output."""
    x, kernel = np.pad(x.astype("float64"), [(0, 0), *pads, (0, 0)]), kernel.astype("float64")
    size = kernel.shape[:-2]
    extents = [(s - (k - 1) * d - 1) // t + 1 for s, k, d, t in zip(x.shape[1:-1], size, dilation, strides, strict=True)]
    y = np.zeros((x.shape[0], *extents, kernel.shape[-1]))
    per, out = kernel.shape[-2], kernel.shape[-1] // groups
    for place in np.ndindex(*extents):
        for k in np.ndindex(*size):
            at = tuple(p * t + i * d for p, t, i, d in zip(place, strides, k, dilation, strict=True))
            for g in range(groups):
                part = x[(slice(None), *at, slice(g * per, (g + 1) * per))] @ kernel[k][:, g * out:(g + 1) * out]
                y[(slice(None), *place, slice(g * out, (g + 1) * out))] += part
    return y


def same_padding(extents, size, strides, dilation):
    """TensorFlow's "same": ceil(extent / stride) windows, the smaller half of the zeros before."""
    total = [max((-(-s // t) - 1) * t + (k - 1) * d + 1 - s, 0)
             for s, k, t, d in zip(extents, size, strides, dilation, strict=True)]
    return [(t // 2, t - t // 2) for t in total]


GEOMETRY = [  # rank, spatial extents, kernel, strides, dilation, groups
    (1, (11,), (3,), (1,), (1,), 1), (1, (11,), (4,), (2,), (1,), 2), (1, (11,), (3,), (1,), (3,), 1),
    (2, (7, 9), (3, 2), (2, 3), (1, 1), 1),
    (2, (7, 9), (1, 3), (1, 1), (2, 2), 3), (3, (4, 5, 3), (2, 3, 1), (2, 1, 3), (1, 1, 1), 1),
    (3, (4, 5, 3), (2, 2, 2), (1, 1, 1), (2, 1, 1), 2),
]


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("rank, extents, size, strides, dilation, groups", GEOMETRY)
def test_convolution_is_its_definition(rank, extents, size, strides, dilation, groups, padding):
    x = draw(2, *extents, 6)
    layer = randomized(getattr(layers, f"Conv{rank}D")(6, size, strides, padding, dilation_rate=dilation, groups=groups,
                                                       activation="relu"), x)
    kernel, bias = layer.get_weights()
    pads = same_padding(extents, size, strides, dilation) if padding == "same" else [(0, 0)] * rank
    expected = np.maximum(convolution(x, kernel, strides, dilation, pads, groups) + bias, 0)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("rank, extents, size, strides, dilation, groups", GEOMETRY[:5])
def test_depthwise_and_separable_are_their_definition(rank, extents, size, strides, dilation, groups, padding):
    x = draw(2, *extents, 3)
    pads = same_padding(extents, size, strides, dilation) if padding == "same" else [(0, 0)] * rank
    layer = randomized(getattr(layers, f"DepthwiseConv{rank}D")(size, strides, padding, 2, dilation_rate=dilation), x)
    kernel, bias = layer.get_weights()
    expected = convolution(x, kernel.reshape(*size, 1, 6), strides, dilation, pads, groups=3)
    np.testing.assert_allclose(layer(x), expected + bias, rtol=1e-4, atol=1e-4)
    both = randomized(getattr(layers, f"SeparableConv{rank}D")(5, size, strides, padding, dilation_rate=dilation,
                                                               depth_multiplier=2), x)
    depthwise, pointwise, bias = both.get_weights()
    middle = convolution(x, depthwise.reshape(*size, 1, 6), strides, dilation, pads, groups=3)
    np.testing.assert_allclose(both(x), middle @ pointwise.reshape(6, 5).astype("float64") + bias, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding, size, stride, more", [
    (p, k, s, m) for p, k, s, m in itertools.product(["valid", "same"], [1, 2, 3, 4, 5], [1, 2, 3], [None, 0, 1]) if m is None
    or m < s])
def test_transposed_convolution_is_the_adjoint(padding, size, stride, more):
    """<transposed(x), y> = <x, conv(y)> for all x and y, with the extents that Keras documents."""
    extent = 5
    x = draw(2, extent, 3)
    layer = layers.Conv1DTranspose(4, size, stride, padding, more, use_bias=False)
    layer = randomized(layer, x)
    got = layer(x)
    if more is None:
        length = extent * stride if padding == "same" else extent * stride + max(size - stride, 0)
    else:
        length = (extent - 1) * stride + more + (size % 2 if padding == "same" else size)
    assert got.shape == (2, length, 4)
    # what the convolution that this is the transpose of adds around y; it cuts where negative
    total = (extent - 1) * stride + size - length
    before = 0 if padding == "valid" else max(total // 2, 0)
    y = draw(2, length, 4)
    padded = np.pad(y, [(0, 0), (before, max(total - before, 0)), (0, 0)])[:, :(extent - 1) * stride + size]
    back = convolution(padded, layer.get_weights()[0], (stride,), (1,), [(0, 0)])
    np.testing.assert_allclose(np.sum(got.astype("float64") * y), np.sum(x * back), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make, rank", [
    (lambda f: layers.Conv1D(4, 3, data_format=f, padding="causal"), 1),
    (lambda f: layers.Conv2D(4, 3, 2, "same", f, activation="softmax"), 2),
    (lambda f: layers.Conv3D(4, 2, data_format=f), 3), (lambda f: layers.Conv2DTranspose(4, 3, 2, data_format=f), 2),
    (lambda f: layers.Conv3DTranspose(4, 3, 2, "same", f), 3), (lambda f: layers.DepthwiseConv2D(3, data_format=f), 2),
    (lambda f: layers.SeparableConv1D(4, 3, data_format=f), 1)])
def test_channels_first_is_channels_last_transposed(make, rank):
    """But for the activation: a softmax is always over the last axis."""
    x = draw(2, 3, *(5, 6, 7)[:rank])
    last, first = make("channels_last"), make("channels_first")
    activation, last.activation = last.activation, graphnet.activations.linear
    there, back = (0, *range(2, rank + 2), 1), (0, rank + 1, *range(1, rank + 1))
    randomized(last, x.transpose(there))
    first.build(x.shape)
    first.set_weights(last.get_weights())
    np.testing.assert_allclose(first(x), activation(last(x.transpose(there)).transpose(back)), rtol=1e-5, atol=1e-6)


def test_causal_convolution_sees_no_later_step():
    layer = layers.Conv1D(2, 3, padding="causal", dilation_rate=2)
    x = draw(1, 12, 3)
    before = layer(x)
    x[:, 7:] = 100
    after = layer(x)
    np.testing.assert_array_equal(before[:, :7], after[:, :7])
    assert before.shape == (1, 12, 2)
    assert not np.allclose(before[:, 7], after[:, 7])


@pytest.mark.parametrize("layer, channels", [
    (layers.Conv2D(4, 3, 2, "same", activation="relu"), 3), (layers.Conv2D(4, 3, groups=2), 4),
    (layers.Conv2DTranspose(4, 3, 2), 3),
    (layers.DepthwiseConv2D(3), 3), (layers.SeparableConv2D(4, 3, padding="same"), 3)])
def test_unknown_extents(layer, channels):
    """One model, whose extents are not known when it is made, gives what the layer gives for each."""
    inputs = graphnet.Input((None, None, channels))
    model = graphnet.Model(inputs, layer(inputs))
    assert model.output_shape == (None, None, None, 4 if not isinstance(layer, layers.DepthwiseConv2D) else 3)
    for shape in ((2, 8, 9), (1, 13, 6)):
        x = draw(*shape, channels)
        np.testing.assert_allclose(model(x), layer(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make, text", [
    (lambda: layers.Conv2D(0, 3), "filters"), (lambda: layers.Conv2D(4, (3, 0)), "kernel_size"),
    (lambda: layers.Conv2D(4, (3, 3, 3)), "kernel_size"),
    (lambda: layers.Conv2D(4, 3, strides=0), "strides"),
    (lambda: layers.Conv2D(4, 3, strides=2, dilation_rate=2), "dilation_rate"),
    (lambda: layers.Conv2D(4, 3, groups=3), "groups"), (lambda: layers.Conv2D(4, 3, padding="causal"), "padding"),
    (lambda: layers.Conv2D(4, 3, padding="full"), "padding"), (lambda: layers.Conv2D(4, 3, data_format="last"), "data_format"),
    (lambda: layers.DepthwiseConv2D(3, depth_multiplier=0), "depth_multiplier"),
    (lambda: layers.SeparableConv2D(0, 3), "filters"),
    (lambda: layers.Conv1DTranspose(3, 3, strides=2, output_padding=2), "output_padding")])
def test_arguments_are_checked(make, text):
    with pytest.raises(ValueError, match=text):
        make()


@pytest.mark.parametrize("layer, shape, text", [
    (layers.Conv2D(4, 3), (28, 28), "expected ndim=4, received ndim=3"), (layers.Conv2D(4, 9), (5, 5, 1), "at least 9"),
    (layers.Conv2D(4, 3, groups=2), (5, 5, 3), "groups=2"), (layers.Conv1D(4, 3), (8, None), "known number of channels")])
def test_inputs_are_checked_where_the_layer_is_called(layer, shape, text):
    with pytest.raises(ValueError, match=text) as caught:
        layer(graphnet.Input(shape))
    assert layer.name in str(caught.value)


def test_later_inputs_have_the_same_channels():
    layer = layers.Conv2D(4, 3)
    layer(graphnet.Input((8, 8, 3)))
    with pytest.raises(ValueError, match="axis -1 to have extent 3, received extent 4"):
        layer(graphnet.Input((8, 8, 4)))


@pytest.mark.parametrize("name", ["Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose",
                                  "DepthwiseConv1D",
                                  "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"])
def test_configuration_makes_an_equal_layer(name):
    kind = getattr(layers, name)
    first = {} if name.startswith("Depthwise") else {"filters": 4}
    layer = kind(**first, kernel_size=3, padding="same", activation="relu", bias_initializer="ones", activity_regularizer="l2")
    again = kind.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    shape = (2, *(8,) * layer.rank, 3)
    layer.build(shape)
    again.build(shape)
    assert [(w.name, w.shape) for w in again.weights] == [(w.name, w.shape) for w in layer.weights]


KERAS = [("Conv1D", (2, 11, 4), dict(filters=6, kernel_size=3, padding="causal", dilation_rate=2)),
         ("Conv2D", (2, 9, 11, 4), dict(
             filters=6, kernel_size=(3, 2), strides=(2, 3), padding="same", groups=2, activation="tanh",
             kernel_regularizer="l2")),
         ("Conv3D", (1, 2, 6, 7, 8), dict(filters=3, kernel_size=2, data_format="channels_first")),
         ("Conv2DTranspose", (2, 5, 6, 3), dict(filters=4, kernel_size=3, strides=(2, 3), padding="same",
                                                output_padding=(1, 0))),
         ("Conv1DTranspose", (2, 5, 3), dict(filters=4, kernel_size=4, strides=3)), ("DepthwiseConv2D", (2, 9, 11, 4), dict(
             kernel_size=3, depth_multiplier=2, strides=2, activation="relu")),
         ("SeparableConv2D", (2, 9, 11, 4), dict(filters=5, kernel_size=3, padding="same", use_bias=False))]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name, shape, options", KERAS, ids=[k[0] for k in KERAS])
def test_same_as_keras(name, shape, options):
    same_as_keras(name, shape, options)
