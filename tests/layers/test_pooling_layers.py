"""Pooling layers against windows written out in numpy, and against Keras where it is installed."""
import numpy as np
import pytest
from differential import same_as_keras

import graphnet
from graphnet import layers

RNG = np.random.default_rng(0)


def draw(*shape):
    return RNG.standard_normal(shape).astype("float32")


def pooled(x, size, strides, padding, reduce):
    """One number for each window of the elements that are there."""
    spatial = x.shape[1:-1]
    total = [max((-(-s // t) - 1) * t + k - s, 0) if padding == "same" else 0
             for s, k, t in zip(spatial, size, strides, strict=True)]
    extents = [-(-s // t) if padding == "same" else (s - k) // t + 1 for s, k, t in zip(spatial, size, strides, strict=True)]
    y = np.zeros((x.shape[0], *extents, x.shape[-1]))
    for place in np.ndindex(*extents):
        first = [p * t - n // 2 for p, t, n in zip(place, strides, total, strict=True)]
        window = tuple(slice(max(a, 0), max(a + k, 0)) for a, k in zip(first, size, strict=True))
        y[(slice(None), *place)] = reduce(x[(slice(None), *window)].astype("float64"), axis=tuple(range(1, x.ndim - 1)))
    return y


@pytest.mark.parametrize("kind, reduce", [("Max", np.max), ("Average", np.mean)])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("extents, size, strides",
                         [((11,), (3,), None), ((11,), (2,), (3,)), ((7, 9), (3, 2), (2, 1)), ((8, 8), (2, 2), None),
                                                    ((4, 5, 6), (2, 3, 2), (1, 2, 3))])
def test_windows(kind, reduce, padding, extents, size, strides):
    x = draw(2, *extents, 3)
    layer = getattr(layers, f"{kind}Pooling{len(size)}D")(size, strides, padding)
    np.testing.assert_allclose(layer(x), pooled(x, size, strides or size, padding, reduce), rtol=1e-5, atol=1e-6)
    first = type(layer)(size, strides, padding, data_format="channels_first")
    np.testing.assert_array_equal(np.moveaxis(first(np.moveaxis(x, -1, 1)), 1, -1), layer(x))


@pytest.mark.parametrize("kind, reduce", [("Max", np.max), ("Average", np.mean)])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("keepdims", [False, True])
def test_whole_axes(kind, reduce, rank, keepdims):
    x = draw(2, *(3, 4, 5)[:rank], 6)
    for data_format, axes in (("channels_last", range(1, rank + 1)), ("channels_first", range(2, rank + 2))):
        layer = getattr(layers, f"Global{kind}Pooling{rank}D")(data_format, keepdims)
        np.testing.assert_allclose(layer(x), reduce(x.astype("float64"), tuple(axes), keepdims=keepdims), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind, reduce", [("Max", np.max), ("Average", np.mean)])
@pytest.mark.parametrize("extents, sizes", [((7,), (3,)), ((3,), (5,)), ((8, 9), (4, 3)), ((7, 5), (4, 2)),
                                            ((4, 5, 6), (2, 4, 3))])
def test_a_number_of_windows(kind, reduce, extents, sizes):
    x = draw(2, *extents, 3)
    expected = np.zeros((2, *sizes, 3))
    for place in np.ndindex(*sizes):
        window = tuple(slice(int(np.floor(i * s / n)), int(np.ceil((i + 1) * s / n)))
                       for i, s, n in zip(place, extents, sizes, strict=True))
        expected[(slice(None), *place)] = reduce(x[(slice(None), *window)].astype("float64"),
                                                 axis=tuple(range(1, len(sizes) + 1)))
    layer = getattr(layers, f"Adaptive{kind}Pooling{len(sizes)}D")
    np.testing.assert_allclose(layer(sizes)(x), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.moveaxis(layer(sizes, "channels_first")(np.moveaxis(x, -1, 1)), 1, -1), expected, rtol=1e-5,
                               atol=1e-6)


def test_adaptive_windows_need_known_extents():
    with pytest.raises(NotImplementedError, match="known"):
        layers.AdaptiveMaxPooling1D(2)(graphnet.Input((None, 3)))


def test_masked_steps_do_not_count():
    x = draw(2, 4, 3)
    mask = np.array([[True, False, True, False], [False, False, False, True]])
    got = layers.GlobalAveragePooling1D()(x, mask=mask)
    np.testing.assert_allclose(got, [x[0, [0, 2]].mean(0), x[1, 3]], rtol=1e-6)
    inputs = graphnet.Input((4, 3))
    masked = layers.Masking()(inputs)
    out = layers.GlobalAveragePooling1D()(masked)
    assert out.mask is None
    np.testing.assert_allclose(graphnet.Model(inputs, out)(x * mask[..., None]), got, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layer", [layers.MaxPooling2D(2, padding="same"), layers.AveragePooling2D(3, 2),
                                   layers.GlobalAveragePooling2D()])
def test_unknown_extents(layer):
    inputs = graphnet.Input((None, None, 3))
    model = graphnet.Model(inputs, layer(inputs))
    for shape in ((2, 8, 9, 3), (1, 5, 4, 3)):
        x = draw(*shape)
        np.testing.assert_allclose(model(x), layer(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make, text", [
    (lambda: layers.MaxPooling2D(0), "pool_size"), (lambda: layers.MaxPooling2D((2, 2, 2)), "pool_size"),
    (lambda: layers.MaxPooling1D(2, padding="causal"), "padding"),
    (lambda: layers.MaxPooling2D(2, -1), "strides"), (lambda: layers.AdaptiveMaxPooling2D((2,)), "output_size"),
    (lambda: layers.MaxPooling2D()(graphnet.Input((8, 8))), "expected ndim=4, received ndim=3"),
    (lambda: layers.MaxPooling2D(9)(graphnet.Input((8, 8, 3))), "at least 9"),
    (lambda: layers.GlobalMaxPooling1D()(graphnet.Input((8, 8, 3))), "expected ndim=3, received ndim=4")])
def test_errors(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_aliases_are_the_same_classes():
    assert layers.MaxPool2D is layers.MaxPooling2D and layers.AvgPool1D is layers.AveragePooling1D
    assert layers.GlobalAvgPool2D is layers.GlobalAveragePooling2D and layers.GlobalMaxPool3D is layers.GlobalMaxPooling3D


KERAS = [
    ("MaxPooling2D", (2, 9, 11, 3), dict(pool_size=3, strides=2, padding="same"), {}),
    ("AveragePooling1D", (2, 11, 3), dict(pool_size=3, padding="same"), {}),
    ("AveragePooling3D", (1, 5, 6, 7, 2), dict(pool_size=2, data_format="channels_first"), {}),
    ("GlobalMaxPooling2D", (2, 4, 5, 3), dict(keepdims=True), {}),
    ("GlobalAveragePooling1D", (2, 3, 4), {}, dict(mask=np.array([[True, True, False], [True, False, False]]))),
    ("AdaptiveAveragePooling2D", (2, 7, 9, 3), dict(output_size=(3, 4)), {}),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name, shape, options, call", KERAS, ids=[k[0] for k in KERAS])
def test_same_as_keras(name, shape, options, call):
    same_as_keras(name, shape, options, call)
