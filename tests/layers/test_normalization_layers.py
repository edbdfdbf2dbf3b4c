"""Normalization layers against numpy in float64, and against Keras where it is installed."""
import numpy as np
import pytest
from differential import same_as_keras

import graphnet
from graphnet import layers
from graphnet.backends.numpy.interpreter import evaluate

RNG = np.random.default_rng(0)


def draw(*shape):
    return RNG.normal(1.0, 2.0, shape).astype("float32")


def randomized(layer, shape):
    layer.build(shape)
    layer.set_weights([np.abs(draw(*w.shape)) + 0.1 for w in layer.weights])
    return layer


def normalized(x, axes, epsilon):
    x = x.astype("float64")
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


@pytest.mark.parametrize("axis, shape", [(-1, (4, 3)), (-1, (2, 4, 5, 3)), (1, (2, 3, 4, 5)), (2, (2, 4, 3))])
def test_batch_normalization(axis, shape):
    layer = randomized(layers.BatchNormalization(axis=axis, momentum=0.9, epsilon=0.01), shape)
    x = draw(*shape)
    assert [w.name for w in layer.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [w.name for w in layer.trainable_weights] == ["gamma", "beta"]
    along = [1] * len(shape)
    along[axis] = -1
    gamma, beta, mean, variance = (w.astype("float64").reshape(along) for w in layer.get_weights())
    np.testing.assert_allclose(layer(x), (x - mean) / np.sqrt(variance + 0.01) * gamma + beta, rtol=1e-4, atol=1e-5)
    axes = tuple(i for i in range(len(shape)) if i != axis % len(shape))
    np.testing.assert_allclose(layer(x, training=True), normalized(x, axes, 0.01) * gamma + beta, rtol=1e-4, atol=1e-5)
    wide = x.astype("float64")
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.9 * mean.ravel() + 0.1 * wide.mean(axes), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.9 * variance.ravel() + 0.1 * wide.var(axes), rtol=1e-5)


def test_a_frozen_batch_normalization_runs_as_at_inference():
    layer = randomized(layers.BatchNormalization(), (4, 3))
    layer.trainable = False
    before = layer.get_weights()
    x = draw(4, 3)
    np.testing.assert_array_equal(layer(x, training=True), layer(x, training=False))
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_masked_steps_do_not_count_in_batch_statistics():
    layer = randomized(layers.BatchNormalization(momentum=0.0), (2, 3, 4))
    x = draw(2, 3, 4)
    mask = np.array([[True, False, True], [True, False, False]])
    layer(x, training=True, mask=mask)
    np.testing.assert_allclose(layer.moving_mean.numpy(), x[mask].mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.numpy(), x[mask].var(0), rtol=1e-5)
    with pytest.raises(ValueError, match="mask with ndim=2"):
        layer(x, training=True, mask=mask[0])


def test_a_shared_batch_normalization_updates_in_the_order_of_its_calls():
    layer = layers.BatchNormalization(momentum=0.5)
    a, b = graphnet.Input((3,)), graphnet.Input((3,))
    model = graphnet.Model([a, b], [layer(a), layer(b)])
    x, y = draw(8, 3), draw(8, 3)
    graph = model.executable(True)[0].graph
    _, updates = evaluate(graph, [x, y])
    np.testing.assert_allclose(updates[layer.moving_mean], 0.25 * 0.0 + 0.25 * x.mean(0) + 0.5 * y.mean(0), rtol=1e-5)
    model([x, y], training=True)
    np.testing.assert_allclose(layer.moving_mean.numpy(), updates[layer.moving_mean], rtol=1e-5)


def test_batch_normalization_folds_into_the_convolution_before_it():
    inputs = graphnet.Input((8, 8, 3))
    conv, norm = layers.Conv2D(4, 3), layers.BatchNormalization()
    model = graphnet.Model(inputs, norm(conv(inputs)))
    model.set_weights([np.abs(draw(*w.shape)) + 0.1 for w in model.weights])
    x = draw(2, 8, 8, 3)
    executable = model.executable()[0]
    np.testing.assert_allclose(model(x), norm(conv(x)), rtol=1e-4, atol=1e-4)
    reads_activations = [n for n in executable.optimized.nodes if n.inputs and n.specs[0].shape[1:] == (6, 6, 4)]
    assert len(reads_activations) <= 2, str(executable.optimized)  # the convolution, and one addition at most


@pytest.mark.parametrize("axis, shape", [(-1, (4, 5)), (1, (2, 5, 6, 3)), ([1, 2], (2, 5, 6, 3)), ([-2, -1], (2, 5, 6, 3)),
                                         ([-1, -3], (2, 5, 6, 3))])
@pytest.mark.parametrize("center, scale", [(True, True), (False, True), (True, False)])
def test_layer_normalization(axis, shape, center, scale):
    layer = randomized(layers.LayerNormalization(axis, 1e-4, center, scale), shape)
    x = draw(*shape)
    axes = sorted(a % len(shape) for a in ([axis] if isinstance(axis, int) else axis))
    along = [s if i in axes else 1 for i, s in enumerate(shape)]
    weights = {w.name: w.numpy().astype("float64").reshape(along) for w in layer.weights}
    assert set(weights) == {n for n, there in (("beta", center), ("gamma", scale)) if there}
    expected = normalized(x, tuple(axes), 1e-4) * weights.get("gamma", 1) + weights.get("beta", 0)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("groups, axis, shape", [(2, -1, (4, 6)), (3, -1, (2, 4, 5, 6)), (2, 1, (2, 4, 3, 5)),
                                                 (-1, -1, (2, 4, 3)), (1, 2, (2, 3, 4))])
def test_group_normalization(groups, axis, shape):
    layer = randomized(layers.GroupNormalization(groups, axis, 1e-4), shape)
    x = np.moveaxis(draw(*shape), axis, -1)
    parts = np.split(x, shape[axis] if groups == -1 else groups, -1)
    gamma, beta = layer.get_weights()
    expected = np.concatenate([normalized(p, tuple(range(1, x.ndim)), 1e-4) for p in parts], -1) * gamma + beta
    np.testing.assert_allclose(layer(np.moveaxis(x, -1, axis)), np.moveaxis(expected, -1, axis), rtol=1e-4, atol=1e-5)


def test_unit_and_root_mean_square():
    x = draw(3, 4, 5)
    np.testing.assert_allclose(np.linalg.norm(layers.UnitNormalization()(x), axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.square(layers.UnitNormalization(axis=[1, 2])(x)).sum((1, 2)), 1, rtol=1e-5)
    np.testing.assert_array_equal(layers.UnitNormalization()(np.zeros((2, 3), "float32")), 0)
    layer = randomized(layers.RMSNormalization(axis=1), x.shape)
    scale, = layer.get_weights()
    expected = x / np.sqrt(np.mean(x.astype("float64") ** 2, 1, keepdims=True) + 1e-6) * scale[:, None]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5)


def test_spectral_normalization_comes_to_norm_one():
    inner = layers.Dense(6, use_bias=False)
    layer = layers.SpectralNormalization(inner, power_iterations=50)
    x = draw(2, 4)
    np.testing.assert_allclose(layer(x), inner(x))
    layer(x, training=True)
    np.testing.assert_allclose(np.linalg.norm(inner.kernel.numpy(), 2), 1, rtol=1e-4)
    again = layers.SpectralNormalization.from_config(layer.get_config())
    assert type(again.layer) is layers.Dense and again.power_iterations == 50
    with pytest.raises(ValueError, match="kernel or embeddings"):
        layers.SpectralNormalization(layers.Flatten())(x)


@pytest.mark.parametrize("axis", [-1, None, (1, 2), 1])
def test_feature_normalization_learns_from_batches_as_from_the_whole(axis):
    data = draw(12, 3, 4)
    kept = set() if axis is None else {a % 3 for a in ([axis] if isinstance(axis, int) else axis)}
    axes = tuple(i for i in range(3) if i not in kept)
    whole, batched = layers.Normalization(axis=axis), layers.Normalization(axis=axis)
    whole.adapt(data)
    batched.adapt([data[:5], data[5:7], data[7:]])
    np.testing.assert_allclose(whole(data), normalized(data, axes, 0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(batched(data), whole(data), rtol=1e-4, atol=1e-5)
    back = layers.Normalization(axis=axis, invert=True)
    back.adapt(data)
    np.testing.assert_allclose(back(whole(data)), data, rtol=1e-4, atol=1e-5)


def test_feature_normalization_with_given_statistics():
    layer = layers.Normalization(mean=[1.0, 2.0], variance=[4.0, 9.0])
    np.testing.assert_allclose(layer(np.array([[3, 5]], "int32")), [[1, 1]])
    assert layer.weights == [] and layer.mean.shape == (1, 2)
    for wrong in (dict(mean=1.0), dict(mean=[1.0], variance=[1.0, 2.0]), dict(axis=None, mean=[1.0], variance=[1.0])):
        with pytest.raises(ValueError, match="mean"):
            layers.Normalization(**wrong)
    with pytest.raises(ValueError, match="nothing to adapt"):
        layer.adapt(draw(3, 2))


@pytest.mark.parametrize("make, text", [
    (lambda: layers.BatchNormalization(renorm=True), "renorm"),
    (lambda: layers.BatchNormalization(synchronized=True), "synchronized"),
    (lambda: layers.BatchNormalization(axis=4)(graphnet.Input((3,))), "axis"),
    (lambda: layers.LayerNormalization()(graphnet.Input((None,))), "unknown extent"),
    (lambda: layers.GroupNormalization(groups=0), "groups"),
    (lambda: layers.GroupNormalization(groups=2)(graphnet.Input((8, 3))), "groups=2"),
    (lambda: layers.GroupNormalization(groups=8)(graphnet.Input((3,))), "groups=8")])
def test_errors(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_an_axis_is_a_number():
    with pytest.raises(TypeError, match="axis"):
        layers.LayerNormalization(axis="last")


def test_a_built_batch_normalization_takes_that_ndim_and_extent():
    layer = layers.BatchNormalization()
    layer(graphnet.Input((8, 3)))
    with pytest.raises(ValueError, match="axis -1 to have extent 3"):
        layer(graphnet.Input((8, 4)))
    with pytest.raises(ValueError, match="ndim=3"):
        layer(graphnet.Input((3,)))


KERAS = [("BatchNormalization", (4, 5, 3), dict(momentum=0.9), dict(training=True)),
         ("BatchNormalization", (4, 5, 3), dict(axis=1, scale=False), {}),
         ("LayerNormalization", (2, 5, 6, 3), dict(axis=[1, 3]), {}),
         ("LayerNormalization", (2, 5, 3), dict(rms_scaling=True), {}),
         ("GroupNormalization", (2, 5, 6, 6), dict(groups=3), {}), ("UnitNormalization", (2, 5), {}, {}),
         ("RMSNormalization", (2, 5), {}, {})]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name, shape, options, call", KERAS, ids=[k[0] for k in KERAS])
def test_same_as_keras(name, shape, options, call):
    same_as_keras(name, shape, options, call)
