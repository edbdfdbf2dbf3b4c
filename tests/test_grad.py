"""graphnet.grad and value_and_grad over arrays, variables and modules, against central differences in float64."""
import numpy as np
import pytest

import graphnet as gn
from graphnet import layers, ops
from graphnet.errors import DTypeError, ShapeError

RNG = np.random.default_rng(0)


def slope(function, x, direction, step=1e-6):
    return (function(x + step * direction) - function(x - step * direction)) / (2 * step)


def test_of_an_array_by_central_differences():
    a = RNG.normal(size=(4, 3))

    def function(x):
        return ops.sum(ops.tanh(ops.matmul(a, x)) ** 2)
    x, direction = RNG.normal(size=(3, 5)), RNG.normal(size=(3, 5))
    value, gradient = gn.value_and_grad(function)(x)
    np.testing.assert_allclose(value, function(x), rtol=1e-12)
    np.testing.assert_allclose((gradient * direction).sum(), slope(function, x, direction), rtol=1e-6)


def test_of_several_arguments_and_structures():
    def function(parts, scale):
        return ops.sum(parts["a"] * parts["b"][0]) * scale
    parts = {"a": np.ones((2, 3), "float32"), "b": [np.full((3,), 2.0, "float32")]}
    gradients = gn.grad(function, argnums=(0, 1))(parts, np.float32(3.0))
    np.testing.assert_allclose(gradients[0]["a"], np.full((2, 3), 6.0))
    np.testing.assert_allclose(gradients[0]["b"][0], np.full((3,), 6.0))
    np.testing.assert_allclose(gradients[1], 12.0)


def test_of_a_module_follow_its_trainable_variables():
    model = gn.Sequential([gn.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(2)])
    x = RNG.normal(size=(5, 3)).astype("float32")
    model.layers[0].trainable = False
    loss, gradients = gn.value_and_grad(lambda m: ops.mean(m(x) ** 2))(model)
    assert [g.shape for g in gradients] == [v.shape for v in model.trainable_variables] == [(4, 2), (2,)]
    np.testing.assert_allclose(loss, (model(x) ** 2).mean(), rtol=1e-5)


def test_of_a_variable_and_what_is_assigned_meanwhile():
    v, count = gn.Variable(3.0), gn.Variable(0.0, trainable=False)

    def function(v):
        count.assign_add(1.0)
        return v * v, {"twice": 2.0 * v}
    gradient, rest = gn.grad(function, has_aux=True)(v)
    assert float(gradient) == 6.0 and float(rest["twice"]) == 6.0 and float(count) == 1.0


def test_second_derivatives():
    second = gn.grad(lambda x: ops.sum(gn.grad(lambda z: ops.sum(z ** 3))(x)))
    np.testing.assert_allclose(second(np.array([1.0, 2.0])), [6.0, 12.0], rtol=1e-6)


def test_what_cannot_be_differentiated_says_so():
    with pytest.raises(ShapeError, match="scalar"):
        gn.grad(lambda x: x * 2.0)(np.ones(3, "float32"))
    with pytest.raises(DTypeError, match="float"):
        gn.grad(lambda x: ops.sum(x * 2))(np.ones(3, "int32"))
    with pytest.raises(TypeError, match="argument 1"):
        gn.grad(lambda x: ops.sum(x), argnums=1)(np.ones(3, "float32"))
    with pytest.raises(ValueError, match="no variables"):
        gn.grad(lambda layer: ops.sum(layer(np.ones((1, 2), "float32"))))(layers.Dense(1))


def test_a_value_that_does_not_depend_has_gradient_zero():
    np.testing.assert_array_equal(gn.grad(lambda x, y: ops.sum(y))(np.ones(3, "float32"), np.ones(2, "float32")), np.zeros(3))


def test_a_number_is_of_the_default_float_type():
    try:
        gn.config.set_floatx("float64")
        assert gn.grad(lambda x: x * x)(0.1) == 0.2
    finally:
        gn.config.set_floatx("float32")


def test_an_array_changed_between_two_gradients_is_seen():
    a, b = np.ones(3, "float32"), np.ones(3, "float32")

    def loss(a):
        return ops.sum(a * b)
    for factor in (1, 2):
        b *= factor
        np.testing.assert_array_equal(gn.grad(loss)(a), np.full(3, factor))
