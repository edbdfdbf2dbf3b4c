"""Layers that move elements against numpy, and against Keras where it is installed."""
import numpy as np
import pytest
from differential import same_as_keras

import graphnet
from graphnet import layers

RNG = np.random.default_rng(0)


def draw(*shape):
    return RNG.standard_normal(shape).astype("float32")


def check(layer, x, expected):
    """On arrays, in a model, in a model of unknown extents, and from its configuration."""
    np.testing.assert_array_equal(layer(x), expected)
    inputs = graphnet.Input(x.shape[1:], dtype=x.dtype.name)
    model = graphnet.Model(inputs, layer(inputs))
    assert model.output_shape == (None, *expected.shape[1:])
    np.testing.assert_array_equal(model(x), expected)
    open_inputs = graphnet.Input((None,) * (x.ndim - 1), dtype=x.dtype.name)
    np.testing.assert_array_equal(graphnet.Model(open_inputs, layer(open_inputs))(x), expected)
    again = type(layer).from_config(layer.get_config())
    np.testing.assert_array_equal(again(x), expected)


def test_flatten():
    x = draw(2, 3, 4, 5)
    check(layers.Flatten(), x, x.reshape(2, 60))
    check(layers.Flatten("channels_first"), x, x.transpose(0, 2, 3, 1).reshape(2, 60))
    np.testing.assert_array_equal(layers.Flatten()(x[:, 0, 0, 0]), x[:, 0, 0, :1])


@pytest.mark.parametrize("target", [(12,), (-1,), (2, -1, 3), (3, 2, 2)])
def test_reshape(target):
    x = draw(2, 3, 4)
    check(layers.Reshape(target), x, x.reshape(2, *target))


@pytest.mark.parametrize("make",
                         [lambda: layers.Reshape((-1, -1)), lambda: layers.Reshape((-2,)), lambda: layers.Reshape((5,))(
                             graphnet.Input((3, 4))),
                                  lambda: layers.Reshape((5, -1))(graphnet.Input((3, 4)))])
def test_reshape_keeps_the_elements(make):
    with pytest.raises(ValueError, match="target_shape"):
        make()


def test_permute_and_repeat():
    x = draw(2, 3, 4, 5)
    check(layers.Permute((3, 1, 2)), x, x.transpose(0, 3, 1, 2))
    check(layers.RepeatVector(4), x[:, :, 0, 0], np.repeat(x[:, None, :, 0, 0], 4, 1))
    with pytest.raises(ValueError, match="dims"):
        layers.Permute((0, 1))
    with pytest.raises(TypeError, match="whole number"):
        layers.RepeatVector(2.0)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_up_sampling(data_format):
    first = 1 if data_format == "channels_last" else 2
    x = draw(2, 3, 4, 5)
    check(layers.UpSampling1D(3), x[:, 0], np.repeat(x[:, 0], 3, 1))
    check(layers.UpSampling2D((2, 3), data_format), x, np.repeat(np.repeat(x, 2, first), 3, first + 1))
    v = draw(1, 2, 3, 2, 3)
    check(layers.UpSampling3D((2, 1, 3), data_format), v, np.repeat(np.repeat(v, 2, first), 3, first + 2))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos3", "lanczos5"])
def test_smooth_up_sampling(interpolation):
    """Constant images stay constant; a bilinear step between two pixels is a straight line."""
    layer = layers.UpSampling2D(2, interpolation=interpolation)
    np.testing.assert_allclose(layer(np.full((1, 3, 4, 2), 7, "float32")), np.full((1, 6, 8, 2), 7), rtol=1e-5)
    if interpolation == "bilinear":
        x = np.array([0, 4], "float32").reshape(1, 1, 2, 1)
        np.testing.assert_allclose(layer(x)[0, 0, :, 0], [0, 1, 3, 4])


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_zero_padding_and_cropping(data_format):
    def widths(*pairs):
        return [(0, 0), *pairs, (0, 0)] if data_format == "channels_last" else [(0, 0), (0, 0), *pairs]
    x, v = draw(2, 3, 4, 5), draw(1, 2, 3, 4, 2)
    check(layers.ZeroPadding1D((1, 2), data_format), x[0], np.pad(x[0], widths((1, 2))))
    for argument, pairs in ((1, ((1, 1), (1, 1))), ((1, 2), ((1, 1), (2, 2))), (((1, 2), (0, 3)), ((1, 2), (0, 3)))):
        padded = np.pad(x, widths(*pairs))
        check(layers.ZeroPadding2D(argument, data_format), x, padded)
        check(layers.Cropping2D(argument, data_format), padded, x)
    padded = np.pad(v, widths((1, 0), (2, 1), (0, 0)))
    check(layers.ZeroPadding3D(((1, 0), (2, 1), (0, 0)), data_format), v, padded)
    check(layers.Cropping3D(((1, 0), (2, 1), (0, 0)), data_format), padded, v)
    check(layers.Cropping1D((1, 2)), np.pad(x[0], [(0, 0), (1, 2), (0, 0)]), x[0])


@pytest.mark.parametrize("make, text", [
    (lambda: layers.ZeroPadding2D((1, 2, 3)), "padding"), (lambda: layers.ZeroPadding1D(-1), "padding"),
    (lambda: layers.Cropping2D("1"), "cropping"),
    (lambda: layers.Cropping2D(4)(graphnet.Input((8, 9, 1))), "nothing is left of axis 1"),
    (lambda: layers.UpSampling1D(0), "size"),
    (lambda: layers.UpSampling2D(2, interpolation="cubic"), "interpolation"),
    (lambda: layers.ZeroPadding2D()(graphnet.Input((8, 8))), "expected ndim=4"),
    (lambda: layers.Resizing(0, 3), "height")])
def test_errors(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_rescaling():
    x = RNG.integers(0, 256, (2, 4, 4, 3)).astype("uint8")
    layer = layers.Rescaling(1 / 127.5, offset=-1)
    np.testing.assert_allclose(layer(x), x / 127.5 - 1, rtol=1e-5, atol=1e-6)
    by_channel = layers.Rescaling([1.0, 2.0, 3.0], [0.0, 1.0, 2.0])
    np.testing.assert_allclose(by_channel(x), x * [1.0, 2.0, 3.0] + [0.0, 1.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose(layers.Rescaling.from_config(by_channel.get_config())(x), by_channel(x))


def test_resizing_and_center_crop():
    x = draw(2, 9, 8, 3)
    check(layers.Resizing(18, 24, "nearest"), x, np.repeat(np.repeat(x, 2, 1), 3, 2))
    np.testing.assert_allclose(layers.Resizing(18, 16)(x), layers.UpSampling2D(2, interpolation="bilinear")(x), rtol=1e-5,
                               atol=1e-6)
    np.testing.assert_array_equal(layers.CenterCrop(4, 5)(x), x[:, 2:6, 1:6])
    first = x.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(layers.CenterCrop(4, 5, data_format="channels_first")(first), first[:, :, 2:6, 1:6])
    assert layers.CenterCrop(20, 5)(x).shape == (2, 20, 5, 3)


def test_a_crop_of_unknown_extents_refuses_images_that_are_too_small():
    inputs = graphnet.Input((None, None, 3))
    model = graphnet.Model(inputs, layers.CenterCrop(4, 5)(inputs))
    x = draw(2, 9, 8, 3)
    np.testing.assert_array_equal(model(x), x[:, 2:6, 1:6])
    with pytest.raises(ValueError, match="large enough"):
        model(x[:, :3])


KERAS = [("Flatten", (2, 3, 4), dict(data_format="channels_first")),
         ("UpSampling2D", (2, 3, 4, 5), dict(size=(2, 3), interpolation="bicubic")),
         ("UpSampling2D", (2, 3, 4, 5), dict(interpolation="lanczos5", data_format="channels_first")),
         ("Cropping3D", (1, 5, 6, 7, 2), {}),
         ("Reshape", (2, 3, 4), dict(target_shape=(2, -1))),
         ("Resizing", (2, 9, 8, 3), dict(height=5, width=12, antialias=True)),
         ("CenterCrop", (2, 9, 8, 3), dict(height=20, width=5))]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name, shape, options", KERAS, ids=[k[0] for k in KERAS])
def test_same_as_keras(name, shape, options):
    same_as_keras(name, shape, options)
