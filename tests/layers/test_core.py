"""Core, activation and regularization layers against numpy, and against Keras where it is installed."""
import numpy as np
import pytest
from running import again, by_reference, draw, everywhere, like_keras, traced

import graphnet
from graphnet import layers
from graphnet.errors import OutOfRangeError, ShapeError, UnsupportedError

IDS = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 6, 0]], "int32")
X = draw(2, 5, 4)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float32"])
def test_embedding_takes_rows(dtype):
    layer = layers.Embedding(7, 3)
    y = everywhere(layer, IDS.astype(dtype))
    np.testing.assert_array_equal(y, layer.get_weights()[0][IDS])


def test_embedding_begins_with_given_weights_and_checks_arguments():
    table = draw(7, 3)
    np.testing.assert_array_equal(layers.Embedding(7, 3, weights=table)(IDS), table[IDS])
    np.testing.assert_array_equal(layers.Embedding(7, 3, weights=[table])(IDS), table[IDS])
    with pytest.raises(ValueError, match="input_dim to be a positive whole number; received input_dim=0"):
        layers.Embedding(0, 3)


def test_an_index_without_a_row_names_the_layer_and_the_position():
    layer = layers.Embedding(6, 3, name="tokens")
    with pytest.raises(OutOfRangeError, match=r"tokens.*between 0 and 5.*received 6 at position \(1, 3\)"):
        layer(IDS)
    x = graphnet.Input((5,), dtype="int32")
    model = graphnet.Model(x, layer(x))
    with pytest.raises(OutOfRangeError, match="tokens"):
        by_reference(model, IDS)
    with pytest.raises(OutOfRangeError, match="tokens"):
        model(IDS)


def test_masking_clears_padded_steps():
    x = X.copy()
    x[0, 3:] = x[1, 1] = -1.0
    y = everywhere(layers.Masking(mask_value=-1.0), x)
    np.testing.assert_array_equal(y, np.where((x == -1).all(-1, keepdims=True), 0, x))


def test_identity_and_activation():
    np.testing.assert_array_equal(everywhere(layers.Identity(), X), X)
    np.testing.assert_allclose(everywhere(layers.Activation("tanh"), X), np.tanh(X), rtol=1e-6)
    np.testing.assert_allclose(everywhere(layers.Activation(lambda x: x * x), X), X * X, rtol=1e-6)


def test_lambda_runs_functions_but_is_never_loaded():
    layer = layers.Lambda(lambda x, power, training=None: x ** power if not training else x, arguments={"power": 2})
    np.testing.assert_allclose(everywhere(layer, X), X ** 2, rtol=1e-6)
    np.testing.assert_allclose(layer(X, training=True), X)
    with pytest.raises(UnsupportedError, match="lambda"):
        layers.serialize(layer)
    with pytest.raises(UnsupportedError, match="Lambda"):
        layers.deserialize({"class_name": "Lambda",
                            "config": {"function": {"class_name": "__lambda__", "config": {"code": "4w"}}}})
    with pytest.raises(TypeError, match="expects a function"):
        layers.Lambda("x")


EQUATIONS = [("abc,cd->abd", (None, 6), "d"), ("abc,cde->abde", (None, 3, 2), "de"), ("...x,xy->...y", 6, "y"),
             ("abc,cd->adb", (6, None), "d"),
             ("abc,cbd->abd", (5, 3), "bd"), ("ab...,bc->ac...", (3,), "c")]


@pytest.mark.parametrize("equation, output_shape, bias_axes", EQUATIONS)
def test_einsum_dense_is_einsum(equation, output_shape, bias_axes):
    layer = layers.EinsumDense(equation, output_shape, bias_axes=bias_axes, activation="relu")
    y = everywhere(layer, X, known=True)
    kernel, *bias = layer.get_weights()
    expected = np.einsum(equation.replace("ab...,bc->ac...", "abz,bc->acz"), X, kernel)
    expected = expected + bias[0] if bias else expected
    np.testing.assert_allclose(y, np.maximum(expected, 0), rtol=1e-5, atol=1e-5)


def test_einsum_dense_says_what_does_not_fit():
    with pytest.raises(ValueError, match="equation of the form"):
        layers.EinsumDense("ab->c", 3)(draw(2, 4))
    with pytest.raises(ShapeError, match="'b'.*extent 4 in the input and 5 in output_shape"):
        layers.EinsumDense("ab,cb->acb", (3, 5))(draw(2, 4))
    with pytest.raises(ValueError, match="z.*no match"):
        layers.EinsumDense("ab,bc->ac", 3, bias_axes="z")(draw(2, 4))
    with pytest.raises(ShapeError, match="ndim=2"):
        layers.EinsumDense("ab,bc->ac", 3)(X)


def test_wrapper_holds_a_layer():
    class Twice(layers.Wrapper):
        def call(self, inputs):
            return self.layer(self.layer(inputs))
    wrapped = Twice(layers.Dense(4, name="inner"), name="outer")
    y = everywhere(wrapped, X)
    kernel, bias = wrapped.get_weights()
    np.testing.assert_allclose(y, (X @ kernel + bias) @ kernel + bias, rtol=1e-4, atol=1e-5)
    assert [w.path for w in wrapped.weights] == ["outer/inner/kernel", "outer/inner/bias"]
    with pytest.raises(ValueError, match="expects a layer"):
        Twice(3)


@pytest.mark.parametrize("layer, function", [
    (layers.ReLU(), lambda x: np.maximum(x, 0)),
    (layers.ReLU(0.5, 0.1, 0.2), lambda x: np.where(x > 0.2, np.minimum(x, 0.5), 0.1 * (x - 0.2))),
    (layers.LeakyReLU(0.3), lambda x: np.where(x > 0, x, 0.3 * x)),
    (layers.ELU(0.7), lambda x: np.where(x > 0, x, 0.7 * np.expm1(x))),
    (layers.Softmax(1), lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
    (layers.Softmax([1, 2]), lambda x: np.exp(x) / np.exp(x).sum((1, 2), keepdims=True)),
], ids=lambda v: getattr(v, "name", ""))
def test_activation_layers_are_their_formula(layer, function):
    np.testing.assert_allclose(everywhere(layer, X), function(X.astype("float64")), rtol=1e-5, atol=1e-6)
    assert again(layer).get_config() == layer.get_config()


@pytest.mark.parametrize("shared", [None, 1, [1, 2], [-1]])
def test_prelu_has_slopes_of_its_own(shared):
    layer = layers.PReLU(shared_axes=shared)
    y = everywhere(layer, X, known=True)
    alpha, = layer.get_weights()
    axes = [shared] if isinstance(shared, int) else shared or []
    assert alpha.shape == tuple([1 if i in [a % 3 for a in axes] else s for i, s in enumerate(X.shape)][1:])
    np.testing.assert_allclose(y, np.where(X > 0, X, alpha * X), rtol=1e-6)


def test_rectifiers_check_their_arguments():
    for make in (lambda: layers.ReLU(-1.0), lambda: layers.ReLU(negative_slope=None), lambda: layers.LeakyReLU(-0.1)):
        with pytest.raises(ValueError, match="not below 0"):
            make()
    with pytest.warns(DeprecationWarning, match="negative_slope"):
        assert layers.LeakyReLU(alpha=0.1).negative_slope == 0.1
    assert layers.LeakyReLU.from_config({"alpha": 0.2}).negative_slope == 0.2


def test_softmax_with_a_mask_shares_among_what_counts():
    mask = np.array([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0]], bool)[:, :, None]
    y = everywhere(layers.Softmax(1), X, call={"mask": mask})
    e = np.where(mask, np.exp(X.astype("float64")), 0)
    np.testing.assert_allclose(y[0], e[0] / e[0].sum(0), rtol=1e-5)
    assert (y[1] == 0).all()
    np.testing.assert_array_equal(layers.Softmax(1)(X, mask=mask.astype("float32")), y)
    with pytest.raises(ShapeError, match="mask that broadcasts"):
        layers.Softmax()(X, mask=np.ones((2, 5), bool))


NOISES = [layers.Dropout(0.4, seed=1), layers.Dropout(0.4, noise_shape=(None, 1, None), seed=1),
          layers.SpatialDropout1D(0.4, seed=1),
          layers.GaussianNoise(0.4, seed=1), layers.GaussianDropout(0.2, seed=1), layers.AlphaDropout(0.2, seed=1)]


@pytest.mark.parametrize("layer", NOISES, ids=lambda v: v.name)
def test_noise_is_for_training_only(layer):
    np.testing.assert_array_equal(everywhere(layer, X), X)
    x = draw(300, 10, 40)
    first, second = layer(x, training=True), layer(x, training=True)
    assert (first != x).any() and (first != second).any()
    assert abs(first.mean()) < 0.03
    inputs = graphnet.Input((None, 4))
    model = graphnet.Model(inputs, layer(inputs))
    assert len(traced(model, training=True).updates) == 1
    assert (by_reference(model, X, training=True)[0] != X).any()


def test_dropout_drops_whole_units_where_asked():
    kept = layers.SpatialDropout2D(0.5, seed=3)(np.ones((8, 4, 5, 16), "float32"), training=True)
    np.testing.assert_array_equal(kept, np.broadcast_to(kept[:, :1, :1], kept.shape))
    assert set(np.unique(kept)) == {0.0, 2.0}
    first = layers.SpatialDropout2D(0.5, "channels_first", seed=3)(np.ones((8, 16, 4, 5), "float32"), training=True)
    np.testing.assert_array_equal(first, np.broadcast_to(first[:, :, :1, :1], first.shape))
    volume = layers.SpatialDropout3D(0.5, seed=3)(np.ones((8, 2, 3, 4, 16), "float32"), training=True)
    np.testing.assert_array_equal(volume, np.broadcast_to(volume[:, :1, :1, :1], volume.shape))
    assert (layers.Dropout(1.0)(X, training=True) == 0).all()
    with pytest.raises(ValueError, match="noise_shape"):
        layers.Dropout(0.5, noise_shape=(0, 1))
    with pytest.raises(ValueError, match="rate to be a number from 0 to 1"):
        layers.Dropout(1.5)


def test_alpha_dropout_keeps_mean_and_variance():
    x = draw(400, 500)
    y = layers.AlphaDropout(0.3, seed=2)(x, training=True)
    assert abs(y.mean()) < 0.02 and abs(y.var() - 1) < 0.02


def test_activity_regularization_is_the_identity():
    layer = layers.ActivityRegularization(l1=0.1, l2=0.2)
    np.testing.assert_array_equal(everywhere(layer, X), X)
    assert (again(layer).l1, again(layer).l2) == (0.1, 0.2)


@pytest.mark.parametrize("make, x", [
    (lambda L: L.Embedding(7, 3, mask_zero=True), IDS), (lambda L: L.Masking(), X), (lambda L: L.PReLU(shared_axes=[1]), X),
    (lambda L: L.EinsumDense("abc,cde->abde", (None, 3, 2), bias_axes="de", activation="gelu"), X),
    (lambda L: L.Softmax(axis=(1, 2)), X),
    (lambda L: L.ReLU(1.0, 0.2, 0.3), X), (lambda L: L.ELU(0.3), X), (lambda L: L.LeakyReLU(), X),
    (lambda L: L.Dropout(0.2), X),
    (lambda L: L.SpatialDropout1D(0.2), X), (lambda L: L.GaussianNoise(0.1), X), (lambda L: L.AlphaDropout(0.1), X),
    (lambda L: L.ActivityRegularization(0.1), X), (lambda L: L.Activation("silu"), X), (lambda L: L.Identity(), X),
])
def test_as_keras(make, x):
    like_keras(make, x)
